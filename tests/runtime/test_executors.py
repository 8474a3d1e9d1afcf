"""Threads are added when calls wait and nothing moves."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from interp import Engine, Workflow, activity, call, gather, workflow
from interp.commands import CallOptions
from interp.definitions import activity_of
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


def test_no_thread_is_added_for_calls_that_an_idle_one_takes_at_once() -> None:
    delivered: list[object] = []
    executor = ThreadExecutor(8, delivered.append)
    for _ in range(3):
        delivered.clear()
        executor.submit([attempt(one) for _ in range(10_000)])
        eventually(lambda: len(delivered) == 10_000 and not executor._running)

    assert 1 == executor._count
    executor.close()


def test_a_thread_is_added_at_once_when_all_are_busy() -> None:
    go_on = threading.Event()

    @activity
    def waits() -> int:
        return int(go_on.wait(WAIT_S))

    delivered: list[object] = []
    executor = ThreadExecutor(8, delivered.append)
    executor.submit([attempt(waits)])
    eventually(lambda: len(executor._running) == 1)

    executor.submit([attempt(one)])  # nobody asks the executor to grow
    eventually(lambda: len(delivered) == 1)

    go_on.set()
    eventually(lambda: len(delivered) == 2)
    assert 2 == executor._count
    executor.close()


def test_calls_that_wait_behind_one_that_blocks_get_threads_when_nothing_moves() -> None:
    go_on = threading.Event()

    @activity
    def waits() -> int:
        return int(go_on.wait(WAIT_S))

    delivered: list[object] = []
    executor = ThreadExecutor(8, delivered.append)
    executor.submit([attempt(one)])
    eventually(lambda: len(delivered) == 1 and not executor._running)

    executor.submit([attempt(waits), attempt(one), attempt(one)])  # one thread is idle, and is blocked by the first
    eventually(lambda: executor.grow() is False)
    eventually(lambda: len(delivered) == 3)

    go_on.set()
    eventually(lambda: len(delivered) == 4)
    executor.close()


def test_calls_that_take_long_get_a_thread_each_in_the_end() -> None:
    @activity
    def asks() -> int:
        time.sleep(0.002)
        return 1

    delivered: list[object] = []
    executor = ThreadExecutor(8, delivered.append)
    for _ in range(50):  # as a workflow does with one gather after the other
        delivered.clear()
        executor.submit([attempt(asks) for _ in range(8)])
        eventually(lambda: len(delivered) == 8 and not executor._running)

    assert 8 == executor._count
    executor.close()
