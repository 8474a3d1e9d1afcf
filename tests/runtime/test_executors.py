"""When threads are added for calls that wait."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from interp import Engine, Workflow, activity, call, gather, workflow
from interp.commands import CallOptions
from interp.definitions import activity_of
from interp.runtime import executors
from interp.runtime.attempts import Attempt
from interp.runtime.executors import ThreadExecutor
from tests.runtime.helpers import WAIT, WAIT_S, eventually


def test_as_many_activities_as_allowed_run_at_once_though_each_blocks_the_others() -> None:
    met = threading.Barrier(48)

    @activity
    def meets() -> int:
        return met.wait(WAIT_S)

    @workflow
    def together() -> Workflow[list[int]]:
        return list((yield from gather(*[call(meets) for _ in range(48)])))

    with Engine("memory:", threads=48) as engine:
        assert sorted(engine.start(together).result(WAIT)) == list(range(48))


def attempt(fn: Callable[[], int]) -> Attempt:
    return Attempt("r", 0, "1", 1, activity_of(fn), b"[]", CallOptions(), datetime.now(UTC))


@activity
def one() -> int:
    return 1


@activity
def asks() -> int:
    time.sleep(0.002)
    return 1


go_on = threading.Event()


@activity
def waits() -> int:
    return int(go_on.wait(WAIT_S))


class Executing:
    """An executor of eight threads, and what came of its calls."""

    def __init__(self) -> None:
        self.delivered: list[object] = []
        self.executor = ThreadExecutor(8, self.delivered.append)

    @property
    def threads(self) -> int:
        return self.executor._count

    def submit(self, *fns: Callable[[], int]) -> None:
        self.executor.submit([attempt(fn) for fn in fns])

    def ends(self, calls: int) -> None:
        eventually(lambda: len(self.delivered) == calls)

    def rests(self) -> None:
        eventually(lambda: not self.executor._running and self.executor._queue.empty())


@pytest.fixture
def executing() -> Iterator[Executing]:
    go_on.clear()
    executing = Executing()
    yield executing
    go_on.set()
    executing.executor.close()


def test_no_thread_is_added_for_calls_that_an_idle_one_takes_quickly(
    executing: Executing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_QUICK_S", WAIT_S)  # however slow the machine is
    for rounds in range(1, 4):
        executing.submit(*[one] * 100)
        executing.ends(100 * rounds)
        executing.rests()

    assert 1 == executing.threads


def test_a_thread_is_added_at_once_when_all_are_busy(executing: Executing) -> None:
    executing.submit(waits)
    eventually(lambda: len(executing.executor._running) == 1)

    executing.submit(one)  # nobody asks the executor to grow
    executing.ends(1)

    assert 2 == executing.threads


def test_calls_that_wait_behind_one_that_blocks_get_threads_when_nothing_moves(
    executing: Executing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "_QUICK_S", WAIT_S)
    executing.submit(one)
    executing.ends(1)
    executing.rests()

    executing.submit(waits, one, one)  # one thread is idle, and is blocked by the first
    assert 1 == executing.threads
    eventually(lambda: executing.executor.grow() is False)
    executing.ends(3)


def test_calls_that_take_long_get_a_thread_each_in_the_end(executing: Executing) -> None:
    for rounds in range(1, 51):  # as a workflow does with one gather after the other
        executing.submit(*[asks] * 8)
        executing.ends(8 * rounds)
        executing.rests()

    assert 8 == executing.threads
