"""Runs that wait: timers, eviction, continuing as new, and loops that never wait."""

import asyncio
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import methodcaller

import pytest

from interp import (
    Engine,
    Run,
    RunParked,
    Status,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    continue_as,
    gather,
    now,
    race,
    random,
    sleep,
    sleep_until,
    uuid,
    workflow,
)
from interp.constructors import run_info
from interp.events import Fired, Started
from tests.runtime.helpers import WAIT, WAIT_S, causes, eventually, kinds

TICK = timedelta(milliseconds=1)


# --- timers -----------------------------------------------------------------------------------------------------------


def test_a_timer_fires_when_its_time_has_come_and_not_before(url: str) -> None:
    @workflow
    def sleeping() -> Workflow[float]:
        before = yield from now()
        yield sleep(timedelta(milliseconds=30))
        return ((yield from now()) - before).total_seconds()

    with Engine(url) as engine:
        assert 0.03 <= engine.start(sleeping).result(WAIT)


def test_timers_fire_in_the_order_of_their_times(url: str) -> None:
    @workflow
    def sleeping() -> Workflow[list[int]]:
        woken: list[int] = []

        def nap(n: int) -> Workflow[None]:
            yield sleep(timedelta(milliseconds=5 * n))
            woken.append(n)

        yield from gather(*[nap(n) for n in (7, 3, 5, 1)])
        return woken

    with Engine(url) as engine:
        assert [1, 3, 5, 7] == engine.start(sleeping).result(WAIT)


def test_a_timer_goes_on_while_no_engine_runs(url: str) -> None:
    @workflow
    def sleeping() -> Workflow[str]:
        yield sleep(timedelta(milliseconds=100))
        return "awake"

    with Engine(url) as engine:
        _ = engine.start(sleeping, id="one")
        due = engine.get("one").row.due_us
    with Engine(url) as engine:
        run = engine.get("one")
        assert "awake" == run.result(WAIT)
        assert due is not None
        fired = run.history()[-1]
        assert isinstance(fired.cause, Fired)
        assert timedelta(microseconds=due) <= fired.at - datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("cache", [0, 1_000])
def test_times_in_the_past_fire_at_once(url: str, cache: int) -> None:
    @workflow
    def sleeping() -> Workflow[str]:
        yield sleep(timedelta(0))
        yield sleep(timedelta(days=-100_000))
        yield sleep_until(datetime(1, 1, 1, tzinfo=UTC))
        yield sleep_until(datetime(1969, 12, 31, tzinfo=UTC))
        return "here"

    with Engine(url, cache=cache) as engine:
        assert "here" == engine.start(sleeping).result(WAIT)


def test_times_in_the_farthest_future_wait(url: str) -> None:
    @workflow
    def sleeping() -> Workflow[str]:
        which, _ = yield from race(far=sleep_until(datetime.max.replace(tzinfo=UTC)), near=sleep(TICK))
        return which

    with Engine(url, cache=0) as engine:
        assert "near" == engine.start(sleeping).result(WAIT)


def test_a_run_that_sleeps_zero_seconds_for_ever_leaves_the_others_their_turn(url: str) -> None:
    @workflow
    def busy() -> Workflow[None]:
        while True:
            yield sleep(timedelta(0))

    @activity
    def double(n: int) -> int:
        return n * 2

    @workflow
    def doubling(n: int) -> Workflow[int]:
        return (yield from call(double, n))

    with Engine(url) as engine:
        hog = engine.start(busy)
        assert [2 * n for n in range(20)] == [engine.start(doubling, n).result(WAIT) for n in range(20)]
        hog.cancel()


# --- eviction ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [0, 1])
def test_runs_that_left_memory_come_back_by_replay_and_see_the_same_values(url: str, cache: int) -> None:
    seen: dict[str, list[object]] = {}

    @activity
    def note(n: int) -> int:
        return n * 10

    @workflow
    def remembering(n: int) -> Workflow[str]:
        mine: list[object] = seen.setdefault(f"{n} {len(seen)}", [])
        mine.append((yield from random()))
        mine.append((yield from uuid()))
        mine.append((yield from now()))
        mine.append((yield from call(note, n)))
        mine.append((yield from await_signal("a", int)))
        mine.append((yield from run_info()))
        mine.append((yield from await_signal("b", int)))
        return str(mine)

    with Engine(url, cache=cache) as engine:
        runs = engine.start_many(remembering, [(f"r{n}", (n,)) for n in range(20)])
        for name in ("a", "b"):
            for n, run in enumerate(runs):
                run.signal(name, n)
        results = [run.result(WAIT) for run in runs]

    for n, result in enumerate(results):
        lives = [values for key, values in seen.items() if key.split()[0] == str(n)]
        longest = max(lives, key=len)
        assert len(lives) > 1 or cache == 1
        assert str(longest) == result
        for values in lives:
            assert longest[: len(values)] == values


def test_thousands_of_waiting_runs_need_no_place_in_memory(url: str) -> None:
    @workflow
    def waiting(n: int) -> Workflow[int]:
        yield annotate(n=n)
        return n + (yield from await_signal("add", int))

    count = 3_000
    with Engine(url, cache=1) as engine:
        runs = engine.start_many(waiting, [(str(n), (n,)) for n in range(count)])
        assert {Status.WAITING} == {row.status for row in engine.runs()}
        for run in runs[::100]:
            run.signal("add", 1)

        assert [n + 1 for n in range(0, count, 100)] == [run.result(WAIT) for run in runs[::100]]
        assert count - count // 100 == sum(row.status is Status.WAITING for row in engine.runs())


async def test_a_thousand_idle_runs_can_be_awaited_at_once(url: str) -> None:
    @workflow
    def waiting(n: int) -> Workflow[int]:
        return n + (yield from await_signal("add", int))

    async def result(run: Run[int]) -> int:
        return await run

    with Engine(url, cache=0) as engine:
        runs = engine.start_many(waiting, [(str(n), (n,)) for n in range(1_000)])
        async with asyncio.TaskGroup() as group:
            results = [group.create_task(result(run)) for run in runs]
            await asyncio.to_thread(lambda: deque(map(methodcaller("signal", "add", 1), runs)))

    assert [n + 1 for n in range(1_000)] == [task.result() for task in results]


def test_many_runs_that_come_due_at_once_all_run(url: str) -> None:
    @workflow
    def sleeping(n: int, until: datetime) -> Workflow[int]:
        yield sleep_until(until)
        return n

    with Engine(url, cache=10) as engine:
        until = datetime.now(UTC) + timedelta(milliseconds=200)
        runs = engine.start_many(sleeping, [(str(n), (n, until)) for n in range(1_500)])

        assert list(range(1_500)) == [run.result(WAIT) for run in runs]


# --- continue_as ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [0, 1_000])
def test_continuing_as_new_starts_the_journal_afresh_and_keeps_state_and_mailbox(url: str, cache: int) -> None:
    @workflow
    def batching(round_no: int) -> Workflow[list[int]]:
        yield annotate(**{f"round{round_no}": "seen"})
        got = yield from await_signal("n", int)
        if round_no < 3:
            yield continue_as(round_no + 1)
        info = yield from run_info()
        return [got, info.round]

    with Engine(url, cache=cache) as engine:
        run = engine.start(batching, 0, id="one")
        started_at = run.history()[0].at
        for n in range(4):
            run.signal("n", n)

        assert [3, 3] == run.result(WAIT)
        assert {f"round{n}": "seen" for n in range(4)} == run.state
        first = causes(run)[0]
        assert isinstance(first, Started)
        assert (3, started_at) == (first.round, first.first_at)
        assert list(range(len(run.history()))) == [transition.index for transition in run.history()]


def test_continuing_as_new_survives_the_engine(url: str) -> None:
    @activity
    def work(n: int) -> int:
        return n

    @workflow
    def going_on(n: int) -> Workflow[int]:
        yield from call(work, n)
        if n < 6:
            yield continue_as(n + 1)
        return n

    for _ in range(2):
        with Engine(url) as engine:
            run = engine.start(going_on, 0, id="one")
    with Engine(url) as engine:
        run = engine.get("one")
        assert 6 == run.result(WAIT)
        assert ["Started", "Resolved"] == kinds(run)


def test_a_run_that_only_ever_continues_as_new_is_parked_with_nothing_lost(url: str) -> None:
    going = threading.Event()

    @workflow
    def spinning(n: int) -> Workflow[int]:
        if n == 1:
            yield from await_signal("go")
        while not going.is_set():
            yield continue_as(n + 1)
        yield annotate(n=n)
        return n

    with Engine(url) as engine:
        at_once = engine.start(spinning, 2, id="at once")
        later = engine.start(spinning, 1, id="later")
        before = later.history()
        later.signal("go")
        for run in (at_once, later):
            with pytest.raises(RunParked, match="spinning continued as new 100 times in a row without ever waiting"):
                run.result(WAIT)
        assert before == later.history()

        going.set()
        for run, expected in ((at_once, 2), (later, 1)):
            assert engine.store.unpark(run.id, 0)
            assert expected == run.result(WAIT)


# --- wake-ups ---------------------------------------------------------------------------------------------------------


def test_a_signal_to_a_run_that_left_memory_wakes_it_at_once(url: str) -> None:
    @workflow
    def counting() -> Workflow[int]:
        total = 0
        for _ in range(30):
            total += yield from await_signal("n", int)
            yield annotate(total=total)
        return total

    with Engine(url, cache=0) as engine:
        run = engine.start(counting)
        totals: deque[int] = deque()
        for n in range(30):
            run.signal("n", 1)
            eventually(partial(lambda total: run.state.get("total") == total, n + 1))
            totals.append(run.state["total"])

        assert 30 == run.result(WAIT)
        assert list(range(1, 31)) == list(totals)


def test_a_workflow_that_asks_its_own_engine_fails_instead_of_waiting_for_itself(url: str) -> None:
    engine = Engine(url)

    @workflow
    def inner() -> Workflow[None]:
        yield sleep(TICK)

    @workflow
    def outer() -> Workflow[None]:
        yield sleep(TICK)
        engine.start(inner).result()

    with engine:
        run = engine.start(outer)
        with pytest.raises(Exception, match="it would wait for itself"):
            run.result(WAIT)


def test_an_activity_may_ask_its_own_engine(url: str) -> None:
    engine = Engine(url)

    @workflow
    def inner() -> Workflow[str]:
        yield sleep(TICK)
        return "from within"

    @activity
    def delegate() -> str:
        return engine.start(inner).result(timedelta(seconds=WAIT_S))

    @workflow
    def outer() -> Workflow[str]:
        return (yield from call(delegate))

    with engine:
        assert "from within" == engine.start(outer).result(WAIT)
