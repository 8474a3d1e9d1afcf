"""Who waits for a run, on any thread, while others end it."""

import threading
from datetime import timedelta

import pytest

from interp import Engine, Workflow, activity, await_signal, call, workflow
from interp.errors import EngineClosed
from interp.runtime.inbox import Inbox
from interp.runtime.requests import Look
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
