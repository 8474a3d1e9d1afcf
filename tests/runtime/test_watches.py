"""Who waits for a run, on any thread, while others end it."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from interp import Engine, Retry, Status, Workflow, activity, await_signal, call, workflow
from interp.errors import EngineClosed, RunFailed
from interp.runtime import watches
from interp.runtime.inbox import Inbox
from interp.runtime.requests import Look
from interp.runtime.retrying import retry
from stores.memory import MemoryStore
from tests.runtime.helpers import WAIT, WAIT_S, eventually


@activity
def double(number: int) -> int:
    return 2 * number


@workflow
def doubles(number: int) -> Workflow[int]:
    return (yield from call(double, number))


@workflow
def listens() -> Workflow[str]:
    yield from await_signal("ready")
    return (yield from await_signal("go", str))


@workflow
def repeats(times: int) -> Workflow[str]:
    return times * (yield from await_signal("go", str))


@workflow
def lists() -> Workflow[list[int]]:
    return [(yield from call(double, 1))]


is_down = threading.Event()


@activity(retry=Retry(attempts=1))
def reach() -> str:
    if is_down.is_set():
        raise ConnectionError("it is down")
    return "reached"


@workflow
def reaches() -> Workflow[str]:
    return (yield from call(reach))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that a worker was asked to look for."""
    asked: list[str] = []
    puts = Inbox.put

    def put(self: Inbox[object], item: object) -> None:
        if isinstance(item, Look):
            asked.append(item.run_id)
        puts(self, item)

    monkeypatch.setattr(Inbox, "put", put)
    return asked


def asks_in_the_background(run: object, answers: list[object]) -> threading.Thread:
    def ask() -> None:
        try:
            answers.append(run.result(WAIT))  # type: ignore[attr-defined]  # a run of any workflow
        except Exception as error:  # noqa: BLE001  what is told is looked at
            answers.append(type(error))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_waiting_for_a_run_in_memory_asks_nothing_of_the_worker(asked: list[str]) -> None:
    answers: list[object] = []
    with Engine("memory:watches-live") as engine:
        run = engine.start(listens)
        run.signal("ready")  # on return the run is certainly in memory
        waiting = asks_in_the_background(run, answers)
        run.signal("go", "gone")
        waiting.join(WAIT_S)

    assert ["gone"] == answers
    assert [] == asked


def test_a_run_of_another_worker_is_looked_for_and_waited_for(asked: list[str]) -> None:
    answers: list[object] = []
    with Engine("memory:watches-other") as engine, Engine("memory:watches-other") as other:
        run = engine.start(listens)
        waiting = asks_in_the_background(other.get(run.id), answers)
        eventually(lambda: asked == [run.id])
        run.signal("ready")
        run.signal("go", "gone")
        waiting.join(WAIT_S)

    assert ["gone"] == answers


def test_nobody_misses_the_end_of_a_run_however_the_two_meet() -> None:
    with Engine("memory:watches-race", cache=3) as engine:
        for number in range(300):
            run = engine.start(doubles, number)
            answers: list[object] = []
            waiting = [asks_in_the_background(run, answers) for _ in range(2)]
            assert 2 * number == run.result(WAIT)
            for thread in waiting:
                thread.join(WAIT_S)
            assert [2 * number] * 2 == answers


def test_those_who_wait_hear_that_the_engine_was_closed() -> None:
    answers: list[object] = []
    engine = Engine("memory:watches-closed")
    run = engine.start(listens)
    waiting = asks_in_the_background(run, answers)
    engine.close(timedelta(0))
    waiting.join(WAIT_S)

    assert [EngineClosed] == answers
    with pytest.raises(EngineClosed):
        run.result(WAIT)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose records were read in the store."""
    reads: list[str] = []
    history = MemoryStore.history

    def read(self: MemoryStore, run_id: str, start: int = 0) -> Iterator[bytes]:
        reads.append(run_id)
        return history(self, run_id, start)

    monkeypatch.setattr(MemoryStore, "history", read)
    return reads


def test_the_result_of_a_run_that_completed_here_is_known_without_the_store(reads: list[str]) -> None:
    with Engine("memory:watches-known") as engine:
        runs = engine.start_many(doubles, [(f"r-{number}", (number,)) for number in range(20)])
        eventually(lambda: all(engine._worker._watches.completed(run.id) for run in runs))

        assert [2 * number for number in range(20)] == [run.result(WAIT) for run in runs]
        assert [] == reads
        assert 4 == engine.get("r-2").result(WAIT)
        assert [] == reads


def test_each_caller_gets_a_value_of_its_own() -> None:
    with Engine("memory:watches-own") as engine:
        run = engine.start(lists)
        run.result(WAIT).append(3)

        assert [2] == run.result(WAIT)


def test_a_long_result_is_read_again_each_time(reads: list[str]) -> None:
    with Engine("memory:watches-long") as engine:
        for times, expected in ((watches._SHORT - 2, []), (watches._SHORT - 1, ["r-511"])):  # in quotes as JSON
            run = engine.start(repeats, times, id=f"r-{times}")
            run.signal("go", "x")
            assert times * "x" == run.result(WAIT)
            reads.clear()
            assert times * "x" == run.result(WAIT)
            assert expected == reads


def test_only_so_many_results_are_kept(reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watches, "_KEPT", 3)
    with Engine("memory:watches-many") as engine:
        runs = []
        for number in range(5):
            runs.append(engine.start(doubles, number, id=f"r-{number}"))
            runs[-1].result(WAIT)
        reads.clear()

        assert [0, 2, 4, 6, 8] == [run.result(WAIT) for run in runs]
        assert ["r-0", "r-1"] == reads


def test_a_failure_is_not_remembered_as_somebody_else_may_mend_it() -> None:
    is_down.set()
    with Engine("memory:watches-mended") as engine:
        run = engine.start(reaches)
        with pytest.raises(RunFailed):
            run.result(WAIT)

        assert engine._worker._watches.completed(run.id) is None

        is_down.clear()
        retry(engine.store, run.id)  # as `interp retry` does in another process, and tells nobody here
        eventually(lambda: run.status is Status.COMPLETED)
        assert "reached" == run.result(WAIT)


def test_a_failure_that_is_mended_while_it_is_read_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    is_down.set()
    with Engine("memory:watches-meanwhile") as engine:
        run = engine.start(reaches)
        with pytest.raises(RunFailed):
            run.result(WAIT)
        is_down.clear()
        history = MemoryStore.history
        begun: list[str] = []

        def read(self: MemoryStore, run_id: str, start: int = 0) -> Iterator[bytes]:
            begun.append(run_id)
            if begun == [run.id]:  # the row is read, and its last record not yet
                retry(engine.store, run_id)
                eventually(lambda: engine.store.run(run_id).length > start + 1)  # type: ignore[union-attr]
            return history(self, run_id, start)

        monkeypatch.setattr(MemoryStore, "history", read)
        assert "reached" == run.result(WAIT)
