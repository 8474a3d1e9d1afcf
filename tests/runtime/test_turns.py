"""Who gives the worker its turns, and what comes in for them."""

import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

from interp import (
    CallTimeout,
    Engine,
    Retry,
    Workflow,
    activity,
    await_signal,
    call,
    gather,
    sleep,
    workflow,
)
from interp.errors import EngineClosed, StoreFailed
from interp.runtime.inbox import Inbox
from interp.runtime.worker import Worker
from tests.runtime.helpers import WAIT, WAIT_S, eventually

turns: list[str] = []
ran: list[str] = []


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Note on which threads turns are given, and activities run."""
    gives = Worker.turn

    def turn(self: Worker, *more: object) -> None:
        turns.append(threading.current_thread().name)
        gives(self, *more)  # type: ignore[arg-type]  # as it was called

    turns.clear()
    ran.clear()
    monkeypatch.setattr(Worker, "turn", turn)


@activity
def step(number: int) -> int:
    ran.append(f"{threading.current_thread().name} {threading.get_ident()}")
    return number + 1


@workflow
def chained(length: int) -> Workflow[int]:
    number = 0
    for _ in range(length):
        number = yield from call(step, number)
    return number


@pytest.mark.usefixtures("told")
def test_a_chain_of_calls_stays_on_one_thread(tmp_path: Path) -> None:
    with Engine(f"lmdb://{tmp_path}/store?durability=none") as engine:
        assert 50 == engine.start(chained, 50).result(WAIT)

    assert 1 == len(set(ran))
    # The run's start is no end of an activity, and the worker's own thread looks now and then.
    assert turns.count("interp-activity") >= 48


@pytest.mark.usefixtures("told")
def test_with_more_in_flight_the_workers_own_thread_gives_the_turns() -> None:
    @workflow
    def at_once() -> Workflow[list[int]]:
        return list((yield from gather(*[call(step, number) for number in range(20)])))

    with Engine("memory:turns-at-once") as engine:
        assert list(range(1, 21)) == engine.start(at_once).result(WAIT)

    assert turns.count("interp-activity") <= 1  # the last one of them was alone in the end


def test_a_signal_is_taken_while_a_chain_goes_on_elsewhere() -> None:
    """The worker's own thread sleeps through the chain: what comes in must not wait for it to end."""
    release = threading.Event()

    @activity
    def holds(number: int) -> int:
        release.wait(WAIT_S)
        return number

    @workflow
    def chain_and_hold() -> Workflow[int]:
        number = yield from call(step, 1)
        number = yield from call(step, number)
        return (yield from call(holds, number))

    @workflow
    def listens() -> Workflow[str]:
        return (yield from await_signal("go", str))

    with Engine("memory:turns-signal") as engine:
        listening = engine.start(listens)
        holding = engine.start(chain_and_hold)
        eventually(lambda: len(holding.history()) == 3)
        listening.signal("go", "gone")

        assert "gone" == listening.result(WAIT)
        release.set()
        assert 3 == holding.result(WAIT)


def test_a_timer_that_a_chain_sets_fires_though_the_workers_own_thread_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interp.runtime.worker._IDLE_S", 3_600.0)  # it never looks by itself

    @workflow
    def rests() -> Workflow[int]:
        number = yield from call(step, 1)
        yield from sleep(timedelta(milliseconds=20))
        return (yield from call(step, number))

    with Engine("memory:turns-timer") as engine:
        time.sleep(0.05)  # the worker's own thread has gone to sleep
        assert 3 == engine.start(rests).result(WAIT)


def test_a_retry_after_a_pause_in_a_chain_is_made() -> None:
    tries: list[float] = []

    @activity(retry=Retry(attempts=3, initial=timedelta(milliseconds=10)))
    def flaky() -> int:
        tries.append(time.monotonic())
        if len(tries) < 3:
            raise OSError("not yet")
        return len(tries)

    @workflow
    def tries_on() -> Workflow[int]:
        yield from call(step, 1)
        return (yield from call(flaky))

    with Engine("memory:turns-retry") as engine:
        assert 3 == engine.start(tries_on).result(WAIT)


def test_a_limit_in_a_chain_is_kept() -> None:
    @activity(timeout=timedelta(milliseconds=30), retry=Retry(attempts=1))
    def hangs() -> int:
        time.sleep(0.5)
        return 1

    @workflow
    def waits() -> Workflow[str]:
        yield from call(step, 1)
        try:
            yield from call(hangs)
        except CallTimeout as error:
            return type(error).__name__
        return "no limit"

    with Engine("memory:turns-limit") as engine:
        assert "CallTimeout" == engine.start(waits).result(WAIT)


def test_what_goes_wrong_in_a_turn_on_an_activitys_thread_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine("memory:turns-wrong")
    commits = engine.store.commit
    held = threading.Event()

    @activity
    def holds() -> int:
        held.wait(WAIT_S)
        return 1

    @workflow
    def calls() -> Workflow[int]:
        return (yield from call(holds))

    def fails(*args: object) -> object:
        if threading.current_thread().name == "interp-activity":
            raise StoreFailed("the disk", "it is gone")
        return commits(*args)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(engine.store, "commit", fails)
    run = engine.start(calls)
    held.set()
    with pytest.raises(StoreFailed, match="it is gone"):
        run.result(WAIT)
    engine.close()
    with pytest.raises(EngineClosed):
        _ = engine.start(calls)


# --- what comes in ----------------------------------------------------------------------------------------------------


def test_what_came_in_stays_until_it_is_taken_and_in_order() -> None:
    inbox: Inbox[int] = Inbox()
    for number in range(5):
        inbox.put(number)

    assert inbox.wait(0)
    assert inbox.wait(60)  # what is there is not waited for
    assert [0, 1, 2] == inbox.take(3)
    assert [3, 4] == inbox.take(3)
    assert [] == inbox.take(3)
    assert not inbox
    assert not inbox.wait(0.001)


def test_nothing_that_threads_put_in_is_lost_or_overtaken() -> None:
    inbox: Inbox[tuple[int, int]] = Inbox()
    most = 2_000

    def puts(thread: int) -> None:
        for number in range(most):
            inbox.put((thread, number))

    threads = [threading.Thread(target=puts, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    found: list[tuple[int, int]] = []
    while len(found) < 4 * most:
        assert inbox.wait(WAIT_S)
        found += inbox.take(100)
    for thread in threads:
        thread.join()

    for which in range(4):
        assert list(range(most)) == [number for of, number in found if of == which]
