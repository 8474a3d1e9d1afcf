"""Several engines on one store: each run has one owner, and finds another when that one is gone."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from interp import (
    Engine,
    Run,
    RunCancelled,
    Status,
    Workflow,
    activity,
    await_signal,
    call,
    current_call,
    gather,
    sleep,
    workflow,
)
from interp.errors import RunExists
from interp.events import Started, WorkerLost
from interp.runtime import open_store
from tests.runtime.helpers import WAIT, WAIT_S, causes, eventually, kinds
from tests.runtime.other_process import holding_in

ROOT = Path(__file__).parents[2]
AT_ONCE = timedelta(0)


@contextmanager
def other_process(url: str, *run_ids: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the program beside this one, with runs of its own; gives it and its engine's name."""
    command = [sys.executable, "-m", "tests.runtime.other_process", url, *run_ids]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, told(process, "ready").split()[1]
        finally:
            process.kill()


def told(process: subprocess.Popen[str], word: str) -> str:
    """Wait for a line that begins with a word."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(word):
            return line
    raise AssertionError(f"the program ended without {word!r}")


def test_a_call_that_a_closing_engine_leaves_behind_is_made_by_the_next_one(url: str) -> None:
    first_may_end, second_may_end = threading.Event(), threading.Event()

    @activity
    def hold_one() -> None:
        first_may_end.wait(WAIT_S)

    @activity
    def hold_two() -> None:
        second_may_end.wait(WAIT_S)

    @activity
    def left_behind() -> int:
        return 5

    def branch() -> Workflow[int]:
        yield from call(hold_one)
        return (yield from call(left_behind))

    @workflow
    def leaving_behind() -> Workflow[int]:
        return (yield from gather(call(hold_two), branch()))[1]

    store = open_store(url)
    engine = Engine(store, grace=WAIT)
    run = engine.start(leaving_behind, id="left")
    closing = threading.Thread(target=engine.close)
    closing.start()
    eventually(lambda: engine._closed.is_set() and engine._worker._drain_until is not None)
    first_may_end.set()
    eventually(lambda: (row := store.run("left")) is not None and row.length == 2)
    second_may_end.set()  # one more record, after the one that holds the call
    closing.join()
    del run
    with Engine(store) as engine:
        assert 5 == engine.get("left").result(WAIT)
    store.close()


def test_a_second_engine_takes_nothing_that_a_live_one_owns_and_all_of_it_afterwards(url: str) -> None:
    begun, release = threading.Barrier(11), threading.Event()
    made: Counter[str] = Counter()

    @activity
    def work(n: int) -> int:
        made[current_call().idempotency_key] += 1
        if current_call().attempt == 1:
            begun.wait(WAIT_S)
            release.wait(WAIT_S)
        return n

    @workflow
    def working(n: int) -> Workflow[int]:
        return (yield from call(work, n))

    first = Engine(url, grace=AT_ONCE)
    with Engine(url) as second:
        first.start_many(working, [(str(n), (n,)) for n in range(10)])
        begun.wait(WAIT_S)
        watching = [second.get(str(n)) for n in range(10)]
        assert {first.name} == {row.owner for row in second.runs()}
        assert {1} == set(made.values())

        first.close()

        assert list(range(10)) == [run.result(WAIT) for run in watching]
        release.set()
    assert {2} == set(made.values())


def test_with_two_engines_at_work_nothing_is_made_twice(url: str) -> None:
    made: Counter[str] = Counter()
    lock = threading.Lock()

    @activity
    def work(n: int) -> int:
        with lock:
            made[f"{current_call().idempotency_key} {current_call().attempt}"] += 1
        return n + 1

    @workflow
    def working(n: int) -> Workflow[int]:
        for _ in range(3):
            n = yield from call(work, n)
            yield sleep(timedelta(milliseconds=1))
        a, b = yield from gather(call(work, n), call(work, n))
        return a + b

    with Engine(url, cache=5) as first, Engine(url, cache=0) as second:
        runs: list[Run[int]] = []
        for n in range(100):
            runs += [(first, second)[n % 2].start(working, n, id=str(n))]
        assert [2 * (n + 4) for n in range(100)] == [run.result(WAIT) for run in runs]
        assert 100 == sum(first.get(str(n)).result(WAIT) == 2 * (n + 4) for n in range(100))

    assert 500 == len(made)
    assert {1} == set(made.values())


def test_two_engines_that_are_given_one_run_at_once_make_it_once(url: str) -> None:
    made: Counter[str] = Counter()

    @activity
    def work(n: int) -> int:
        made[current_call().idempotency_key] += 1
        return n

    @workflow
    def working(n: int) -> Workflow[int]:
        return (yield from call(work, n))

    with Engine(url) as first, Engine(url) as second, ThreadPoolExecutor(8) as pool:
        for n in range(30):
            at_once = [
                pool.submit(lambda engine, n: engine.start(working, n, id=f"r{n}"), engine, n)
                for engine in (first, second) * 4
            ]
            assert [n] * 8 == [run.result().result(WAIT) for run in at_once]

    assert {f"r{n}/1": 1 for n in range(30)} == made


def test_two_engines_that_are_given_one_id_with_other_arguments_agree_on_one(url: str) -> None:
    @workflow
    def waiting(n: int) -> Workflow[int]:
        yield from await_signal("go")
        return n

    def start(engine: Engine, n: int) -> int | None:
        try:
            _ = engine.start(waiting, n, id="one")
        except RunExists:
            return None
        return n

    with Engine(url) as first, Engine(url) as second, ThreadPoolExecutor(2) as pool:
        won = [pool.submit(start, engine, n) for n, engine in enumerate((first, second), 1)]
        winners = [n.result() for n in won if n.result() is not None]

        assert 1 == len(winners)
        second.get("one").signal("go")
        assert winners == [first.get("one").result(WAIT)]


def test_a_start_again_while_the_run_moves_disturbs_nothing(url: str) -> None:
    made: Counter[str] = Counter()
    lock = threading.Lock()

    @activity
    def work(n: int) -> int:
        with lock:
            made[current_call().idempotency_key] += 1
        return n + 1

    @workflow
    def working(n: int) -> Workflow[int]:
        for _ in range(30):
            n = yield from call(work, n)
        return n

    with Engine(url) as engine, Engine(url) as other, ThreadPoolExecutor(4) as pool:
        run = engine.start(working, 0, id="one")
        again = [pool.submit(lambda n: (engine, other)[n % 2].start(working, 0, id="one"), n) for n in range(100)]
        assert [30] * 100 == [start.result().result(WAIT) for start in again]
        assert 30 == run.result(WAIT)

    assert {1} == set(made.values())
    assert 30 == len(made)


# --- closing ----------------------------------------------------------------------------------------------------------


def test_closing_lets_activities_in_flight_end_and_records_them(url: str) -> None:
    begun, release = threading.Event(), threading.Event()
    made: list[str] = []

    @activity
    def slow() -> str:
        begun.set()
        release.wait(WAIT_S)
        return "kept"

    @activity
    def after(what: str) -> str:
        made.append(current_call().idempotency_key)
        return what

    @workflow
    def working() -> Workflow[str]:
        return (yield from call(after, (yield from call(slow))))

    engine = Engine(url, grace=WAIT)
    _ = engine.start(working, id="one")
    begun.wait(WAIT_S)
    closing = threading.Thread(target=engine.close)
    closing.start()
    release.set()
    closing.join(WAIT_S)
    assert [] == made

    with Engine(url) as engine:
        run = engine.get("one")
        assert "kept" == run.result(WAIT)
        assert ["one/2"] == made
        assert ["Started", "Resolved", "Resolved"] == kinds(run)


def test_closing_does_not_wait_longer_than_its_grace(url: str) -> None:
    begun, release = threading.Event(), threading.Event()

    @activity
    def endless() -> None:
        begun.set()
        release.wait(WAIT_S)

    @workflow
    def working() -> Workflow[None]:
        yield from call(endless)

    engine = Engine(url, grace=timedelta(milliseconds=20))
    _ = engine.start(working, id="one")
    begun.wait(WAIT_S)
    engine.close()

    assert not release.is_set()
    release.set()
    with Engine(url) as engine:
        run = engine.get("one")
        run.result(WAIT)
        assert isinstance(causes(run)[1], WorkerLost)


def test_runs_in_every_state_go_on_in_the_next_engine(url: str) -> None:
    release = threading.Event()
    failed_once: set[str] = set()

    @activity
    def flaky(n: int) -> int:
        key = current_call().idempotency_key
        if key not in failed_once:
            failed_once.add(key)
            raise OSError
        return n

    @activity
    def blocked(n: int) -> int:
        if not release.is_set():
            release.wait(0.3)
        return n

    @workflow
    def working(n: int) -> Workflow[int]:
        match n % 4:
            case 0:
                yield sleep(timedelta(milliseconds=50))
            case 1:
                yield from call(flaky, n)
            case 2:
                yield from call(blocked, n)
            case _:
                yield from await_signal("go")
        return n

    with Engine(url, grace=AT_ONCE) as engine:
        engine.start_many(working, [(str(n), (n,)) for n in range(40)])
    release.set()
    with Engine(url) as engine:
        for n in range(3, 40, 4):
            engine.get(str(n)).signal("go")

        assert list(range(40)) == [engine.get(str(n)).result(WAIT) for n in range(40)]


# --- engines that die -------------------------------------------------------------------------------------------------


def test_an_engine_that_is_taken_for_dead_while_it_lives_does_no_harm(url: str) -> None:
    begun, release = threading.Event(), threading.Event()
    made: list[int] = []

    @activity
    def work() -> int:
        made.append(current_call().attempt)
        if current_call().attempt == 1:
            begun.set()
            release.wait(WAIT_S)
        return current_call().attempt

    @workflow
    def working() -> Workflow[list[int]]:
        attempt = yield from call(work)
        return [attempt, (yield from await_signal("n", int)), (yield from await_signal("n", int))]

    with Engine(url) as first, Engine(url) as second:
        run = first.start(working, id="one")
        begun.wait(WAIT_S)
        first.store.resign(first.name)
        eventually(lambda: "Resolved" in kinds(run))
        run.signal("n", 1)
        run.signal("n", 2)

        assert [2, 1, 2] == second.get("one").result(WAIT)
        release.set()
        assert [2, 1, 2] == run.result(WAIT)
        assert [1, 2] == made
        assert 5 == len(run.history())


def test_runs_of_a_process_that_is_killed_go_on_elsewhere_at_once(lmdb_url: str) -> None:
    with Engine(lmdb_url) as engine, other_process(lmdb_url, "a", "b") as (process, name):
        for _ in range(2):
            told(process, "begun")
        runs = [engine.get(run_id) for run_id in ("a", "b")]
        for run in runs:
            run.signal("extra", 7)
        assert {name} == {run.row.owner for run in runs}

        process.send_signal(signal.SIGKILL)

        assert {7} == {run.result(WAIT)[1] for run in runs}
        for run in runs:
            started = causes(run)[0]
            (lost,) = (cause for cause in causes(run) if isinstance(cause, WorkerLost))
            assert isinstance(started, Started) and started.worker == name
            assert (name, engine.name) == (lost.worker, lost.successor)


def test_runs_of_a_process_that_lives_are_left_alone(lmdb_url: str) -> None:
    with other_process(lmdb_url, "theirs") as (process, name):
        told(process, "begun theirs/1 1")
        with Engine(lmdb_url) as engine:
            ours = engine.start(holding_in, 0, id="ours")
            ours.signal("extra", 1)
            assert 1 == ours.result(WAIT)[1]
            theirs = engine.get("theirs")
            assert (name, Status.RUNNING) == (theirs.row.owner, theirs.status)

            theirs.cancel("enough")

            with pytest.raises(RunCancelled, match="enough"):
                theirs.result(WAIT)
