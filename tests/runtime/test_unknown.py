"""Calls whose worker was lost: what the author declares is done, recorded, and listed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from interp import (
    Engine,
    NotDone,
    OutcomeUnknown,
    RepeatedCall,
    Retry,
    Run,
    RunParked,
    UsageError,
    Workflow,
    activity,
    call,
    current_call,
    gather,
    race,
    sleep,
    spawn,
    workflow,
)
from interp.events import Reconciled, Rejected, Resolved, WorkerLost
from tests.runtime.helpers import WAIT, WAIT_S, causes, kinds

AT_ONCE = timedelta(0)
MOMENT = timedelta(milliseconds=1)
QUICK = Retry(attempts=3, initial=MOMENT, jitter=0)


class Declined(Exception):
    pass


class Outside:
    """An outside system, and an activity whose first attempts hang there until the test is over."""

    def __init__(self, hangs: int = 1) -> None:
        self.hangs = hangs
        self.made: list[tuple[str, int]] = []
        self.asked: list[tuple[int, str, int]] = []
        self.begun = threading.Semaphore(0)
        self.over = threading.Event()

    def act(self, n: int) -> str:
        self.made.append((current_call().idempotency_key, current_call().attempt))
        if len(self.made) <= self.hangs:
            self.begun.release()
            self.over.wait(WAIT_S)
        return f"made {n}"

    def ask(self, n: int) -> None:
        self.asked.append((n, current_call().idempotency_key, current_call().attempt))


@pytest.fixture
def outside() -> Iterator[Outside]:
    outside = Outside()
    yield outside
    outside.over.set()


@contextmanager
def taken_over(url: str, outside: Outside, program: Callable[..., Workflow[Any]]) -> Iterator[Run[Any]]:
    """Start a run, lose its engine while the activity is at work, and give it as another engine sees it."""
    first = Engine(url, grace=AT_ONCE)
    _ = first.start(program, id="one")
    for _ in range(outside.hangs):
        assert outside.begun.acquire(timeout=WAIT_S)
    first.close()
    with Engine(url) as engine:
        yield engine.get("one")


def one_call(outside: Outside, on_unknown: Any, retry: Retry = QUICK) -> Callable[[], Workflow[Any]]:
    @activity(on_unknown=on_unknown, retry=retry, raises=Declined)
    def act(n: int) -> str:
        return outside.act(n)

    @workflow
    def calling() -> Workflow[Any]:
        try:
            return (yield from call(act, 7))
        except OutcomeUnknown as unknown:
            return [unknown.activity, unknown.attempts, unknown.reason]
        except Declined as declined:
            return f"declined: {declined}"

    return calling


def test_without_a_choice_the_call_is_attempted_again(url: str, outside: Outside) -> None:
    with taken_over(url, outside, one_call(outside, "retry")) as run:
        assert "made 7" == run.result(WAIT)
        assert ["Started", "WorkerLost", "Resolved"] == kinds(run)
        (repeated,) = run.repeated_calls()

    assert [("one/1", 1), ("one/1", 2)] == outside.made
    assert ("1", "act", (1,)) == (repeated.id, repeated.activity, repeated.attempts)
    assert type(repeated) is RepeatedCall
    assert repeated.where.startswith("test_unknown.py:")


def test_a_call_may_fail_instead_and_the_workflow_is_told(url: str, outside: Outside) -> None:
    with taken_over(url, outside, one_call(outside, "fail")) as run:
        assert ["act", 1, ""] == run.result(WAIT)
        assert ["Started", "WorkerLost", "Rejected"] == kinds(run)
        assert ["1"] == [call.id for call in run.repeated_calls()]

    assert [("one/1", 1)] == outside.made


@pytest.mark.parametrize("is_async", [False, True])
def test_a_reconcile_function_finds_the_result(url: str, outside: Outside, *, is_async: bool) -> None:
    def ask(n: int) -> str:
        outside.ask(n)
        return "found"

    async def ask_async(n: int) -> str:
        return ask(n)

    with taken_over(url, outside, one_call(outside, ask_async if is_async else ask)) as run:
        assert "found" == run.result(WAIT)
        assert ["Started", "WorkerLost", "Reconciled", "Resolved"] == kinds(run)
        assert () == run.repeated_calls()

    assert [("one/1", 1)] == outside.made
    assert [(7, "one/1", 2)] == outside.asked


def test_a_reconcile_function_that_finds_nothing_has_the_call_attempted_again(url: str, outside: Outside) -> None:
    def ask(n: int) -> str:
        outside.ask(n)
        raise NotDone

    with taken_over(url, outside, one_call(outside, ask)) as run:
        assert "made 7" == run.result(WAIT)
        _, _, told, resolved = causes(run)
        assert isinstance(told, Reconciled) and not told.done
        assert isinstance(resolved, Resolved)
        assert () == run.repeated_calls()

    assert [("one/1", 1), ("one/1", 2)] == outside.made


def test_a_reconcile_function_may_find_a_business_outcome(url: str, outside: Outside) -> None:
    def ask(n: int) -> str:
        raise Declined(n)

    with taken_over(url, outside, one_call(outside, ask)) as run:
        assert "declined: 7" == run.result(WAIT)
        assert ["Started", "WorkerLost", "Reconciled", "Rejected"] == kinds(run)


def test_a_reconcile_function_that_fails_is_asked_again_by_policy_and_then_the_outcome_is_unknown(
    url: str, outside: Outside
) -> None:
    def ask(n: int) -> str:
        outside.ask(n)
        raise OSError("no route")

    with taken_over(url, outside, one_call(outside, ask)) as run:
        assert ["act", 4, "ask was asked and failed: builtins.OSError: no route"] == run.result(WAIT)
        assert ["AttemptFailed", "AttemptFailed", "Rejected"] == kinds(run)[2:]

    assert 3 == len(outside.asked)
    assert 1 == len(outside.made)


def test_options_choose_for_one_call_and_hold_for_attempts_from_now_on(url: str, outside: Outside) -> None:
    @activity(on_unknown="fail")
    def act(n: int) -> str:
        return outside.act(n)

    @workflow
    def calling() -> Workflow[str]:
        return (yield from call(act, 7).options(on_unknown="retry"))

    with taken_over(url, outside, calling) as run:
        assert "made 7" == run.result(WAIT)


def test_only_calls_that_were_in_flight_are_of_unknown_outcome(url: str) -> None:
    outside = Outside(hangs=2)

    @activity
    def act(n: int) -> str:
        return outside.act(n)

    @activity
    def quick() -> int:
        return 1

    @activity(on_unknown="fail")
    def slow_loser() -> None:
        outside.over.wait(WAIT_S)

    def branch(n: int) -> Workflow[str]:
        yield from call(quick)
        return (yield from call(act, n))

    @workflow
    def calling() -> Workflow[Any]:
        yield from race(call(slow_loser), sleep(MOMENT))
        yield from spawn(branch(1))
        return (yield from gather(branch(2), call(quick)))

    with taken_over(url, outside, calling) as run:
        run.result(WAIT)
        outside.over.set()
        repeated = run.repeated_calls()

    assert ["2.0.2", "3.0.2"] == sorted(call.id for call in repeated)
    assert {(1,)} == {call.attempts for call in repeated}


def test_the_failure_of_one_call_withdraws_the_others_that_wait_for_their_verdict(url: str) -> None:
    outside = Outside(hangs=2)

    @activity(on_unknown="fail")
    def act(n: int) -> str:
        return outside.act(n)

    @workflow
    def calling() -> Workflow[Any]:
        try:
            return (yield from gather(call(act, 1), call(act, 2)))
        except OutcomeUnknown as unknown:
            return str(unknown)

    with taken_over(url, outside, calling) as run:
        assert "attempt 1 took effect is unknown" in run.result(WAIT)
        assert 1 == sum(isinstance(cause, Rejected) for cause in causes(run))
        outside.over.set()


def test_something_else_is_no_choice() -> None:
    with pytest.raises(ValueError, match="on_unknown"):
        activity(on_unknown="perhaps")  # type: ignore[call-overload]


# --- poison -----------------------------------------------------------------------------------------------------------


def lose_engines(url: str, outside: Outside, program: Callable[..., Workflow[Any]], times: int) -> None:
    """Let engine after engine go away while the activity is at work."""
    for _ in range(times):
        engine = Engine(url, grace=AT_ONCE, poison_after=None)
        _ = engine.start(program, id="one")
        assert outside.begun.acquire(timeout=WAIT_S)
        engine.close()


def test_a_run_is_parked_after_as_many_losses_as_the_engine_says_and_not_before(url: str) -> None:
    outside = Outside(hangs=5)
    program = one_call(outside, "retry")
    lose_engines(url, outside, program, 5)

    with Engine(url, poison_after=5) as engine:
        run = engine.get("one")
        with pytest.raises(RunParked, match="5 times in a row"):
            run.result(WAIT)
        assert ["Started", *["WorkerLost"] * 5] == kinds(run)

        engine.store.unpark("one", 0)

        assert "made 7" == run.result(WAIT)
        released = causes(run)[6]
        assert isinstance(released, WorkerLost) and not released.worker
    outside.over.set()


def test_progress_and_the_choice_of_the_engine_keep_a_run_from_being_parked(url: str) -> None:
    outside = Outside(hangs=6)
    program = one_call(outside, "retry")
    lose_engines(url, outside, program, 6)

    with pytest.raises(UsageError, match="poison_after"):
        Engine(url, poison_after=0)
    with Engine(url, poison_after=None) as engine:
        assert "made 7" == engine.get("one").result(WAIT)
    outside.over.set()
