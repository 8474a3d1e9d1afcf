"""Signals and cancellation: what is sent to runs from outside."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import attrs
import pytest

from interp import (
    Cancelled,
    Engine,
    RunCancelled,
    SignalTimeout,
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
from interp.errors import NotEncodable, RunEnded, UnknownRun
from tests.runtime.helpers import WAIT, WAIT_S, eventually, kinds


@attrs.frozen
class Vote:
    who: str
    yes: bool = True


@workflow
def collecting(count: int) -> Workflow[list[int]]:
    collected: list[int] = []
    while len(collected) < count:
        collected += [(yield from await_signal("n", int))]
    return collected


def test_signals_that_come_early_are_kept_in_order(url: str) -> None:
    begun, release = threading.Event(), threading.Event()

    @activity
    def hold() -> None:
        begun.set()
        release.wait(WAIT_S)

    @workflow
    def holding() -> Workflow[list[int]]:
        yield from call(hold)
        first = yield from await_signal("n", int)
        second = yield from await_signal("n", int)
        return [first, second]

    with Engine(url) as engine:
        run = engine.start(holding)
        begun.wait(WAIT_S)
        run.signal("n", 1)
        run.signal("n", 2)
        release.set()

        assert [1, 2] == run.result(WAIT)


@pytest.mark.parametrize("cache", [0, 1, 1_000])
def test_signals_arrive_in_the_order_in_which_they_were_sent(url: str, cache: int) -> None:
    with Engine(url, cache=cache) as engine:
        run = engine.start(collecting, 50)
        for n in range(50):
            run.signal("n", n)

        assert list(range(50)) == run.result(WAIT)


def test_signals_of_many_threads_all_arrive_once(url: str) -> None:
    with Engine(url, cache=0) as engine, ThreadPoolExecutor(8) as pool:
        run = engine.start(collecting, 200)
        for sent in pool.map(lambda n: run.signal("n", n), range(200)):
            assert sent is None

        assert list(range(200)) == sorted(run.result(WAIT))


def test_signals_that_nobody_awaited_survive_the_engine(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(collecting, 3, id="one")
        run.signal("n", 1)
    with Engine(url) as engine:
        engine.get("one").signal("n", 2)
    with Engine(url) as engine:
        run = engine.get("one")
        run.signal("n", 3)
        assert [1, 2, 3] == run.result(WAIT)


def test_a_signal_from_a_second_engine_reaches_the_run_in_the_first(url: str) -> None:
    with Engine(url) as first, Engine(url) as second:
        run = first.start(collecting, 20, id="one")
        for n in range(20):
            (first, second)[n % 2].get("one").signal("n", n)

        assert list(range(20)) == run.result(WAIT)
        assert list(range(20)) == second.get("one").result(WAIT)


def test_the_payload_of_a_signal_has_its_type(url: str) -> None:
    @workflow
    def voting() -> Workflow[str]:
        vote = yield from await_signal("vote", Vote)
        return f"{vote.who} {vote.yes}"

    with Engine(url) as engine:
        run = engine.start(voting)
        with pytest.raises(NotEncodable):
            run.signal("vote", object())
        run.signal("vote", Vote("ann", yes=False))

        assert "ann False" == run.result(WAIT)


def test_a_signal_that_does_not_come_in_time_is_a_timeout_in_the_workflow(url: str) -> None:
    @workflow
    def waiting() -> Workflow[str]:
        try:
            yield from await_signal("go", timeout=timedelta(milliseconds=10))
        except SignalTimeout as timeout:
            return str(timeout)
        raise AssertionError

    with Engine(url) as engine:
        assert "no signal 'go' within 0.01 s" == engine.start(waiting).result(WAIT)


def test_a_run_that_has_ended_takes_no_signals(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(collecting, 1, id="one")
        run.signal("n", 1)
        run.result(WAIT)
        before = run.row, run.history()

        with pytest.raises(RunEnded, match="run 'one' has ended \\(completed\\)"):
            run.signal("n", 2)
        with pytest.raises(RunEnded):
            run.cancel()

        assert before == (run.row, run.history())


def test_a_handle_on_a_run_that_is_gone_is_an_unknown_run(url: str) -> None:
    with Engine(url) as engine, pytest.raises(UnknownRun):
        engine.get("nobody").signal("n", 1)


# --- cancellation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cache", [0, 1_000])
def test_a_cancelled_run_cleans_up_by_commands_and_ends_with_its_reason(url: str, cache: int) -> None:
    undone: list[str] = []

    @activity
    def undo(what: str) -> None:
        undone.append(what)

    @workflow
    def booking() -> Workflow[None]:
        try:
            yield from await_signal("never")
        finally:
            yield from call(undo, "hotel")
            yield sleep(timedelta(milliseconds=1))
            yield from call(undo, "flight")

    with Engine(url, cache=cache) as engine:
        run = engine.start(booking, id="trip")
        run.cancel("rain")

        with pytest.raises(RunCancelled, match="run 'trip' was cancelled: rain"):
            run.result(WAIT)
        assert Status.CANCELLED is run.status
        assert ["hotel", "flight"] == undone
        assert ["Started", "CancelRequested", "Resolved", "Fired", "Resolved"] == kinds(run)


def test_a_workflow_may_turn_its_cancellation_into_a_result(url: str) -> None:
    @workflow
    def stubborn() -> Workflow[str]:
        try:
            yield from await_signal("never")
        except Cancelled:
            return "saved what there was"
        raise AssertionError

    with Engine(url) as engine:
        run = engine.start(stubborn)
        run.cancel()

        assert "saved what there was" == run.result(WAIT)
        assert Status.COMPLETED is run.status


def test_cancelling_twice_is_cancelling_once(url: str) -> None:
    begun, release = threading.Event(), threading.Event()

    @activity
    def clean() -> None:
        begun.set()
        release.wait(WAIT_S)

    @workflow
    def cleaning() -> Workflow[None]:
        try:
            yield from await_signal("never")
        finally:
            yield from call(clean)

    with Engine(url) as engine:
        run = engine.start(cleaning)
        run.cancel("first")
        begun.wait(WAIT_S)
        run.cancel("second")
        release.set()

        with pytest.raises(RunCancelled, match="first"):
            run.result(WAIT)


def test_cancelling_a_run_tells_the_activities_under_way(url: str) -> None:
    begun, told = threading.Barrier(3), threading.Event()
    cancelled = threading.Event()

    @activity
    def working() -> None:
        begun.wait(WAIT_S)
        eventually(lambda: current_call().cancelled)
        told.set()

    @activity
    async def working_async() -> None:
        try:
            await asyncio.to_thread(begun.wait, WAIT_S)
            await asyncio.sleep(WAIT_S)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    @workflow
    def work() -> Workflow[None]:
        yield from gather(call(working), call(working_async))

    with Engine(url) as engine:
        run = engine.start(work)
        begun.wait(WAIT_S)
        run.cancel()

        with pytest.raises(RunCancelled):
            run.result(WAIT)
        assert told.wait(WAIT_S)
        assert cancelled.wait(WAIT_S)


def test_a_run_can_be_cancelled_while_it_waits_for_a_retry(url: str) -> None:
    made: list[int] = []

    @activity
    def broken() -> None:
        made.append(1)
        raise OSError

    @workflow
    def calling() -> Workflow[None]:
        yield from call(broken)

    with Engine(url) as engine:
        run = engine.start(calling)
        eventually(lambda: "AttemptFailed" in kinds(run))
        run.cancel()
        with pytest.raises(RunCancelled):
            run.result(WAIT)

    assert [1] == made
