"""What is decided about a call between its attempts: whether there is another one, and when.

Every decision is an event for the journal, so that a replay agrees with it whatever the options say by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from interp.commands import Call, CallOptions, Transact
from interp.events import AttemptFailed, Event, Heartbeat, Reconciled, Rejected, Resolved
from interp.failures import outcome_unknown, timed_out
from interp.fibers import Issued
from interp.interpreter import Interpreter
from interp.runtime.attempts import Completion, later

__all__ = ["deadline_of", "options_of", "poison", "refusal", "verdict"]


def options_of(issued: Issued) -> CallOptions:
    """Return how a call is made: as its own options say, else as its activity declares."""
    call, definition = issued.command, issued.definition
    assert isinstance(call, Call) and definition is not None
    return call.with_options.over(definition.options)


def deadline_of(issued: Issued) -> datetime | None:
    """Return when a call must be done, all attempts and pauses included; None for no limit."""
    deadline = options_of(issued).deadline
    assert issued.at is not None
    return None if deadline is None else later(issued.at, deadline)


def refusal(issued: Issued, now: datetime) -> Rejected | None:
    """Tell why a call must fail instead of being attempted; None when it may be attempted.

    Args:
        issued: A call that waits for its next attempt, or a transact, which always may.
        now: The time.
    """
    if isinstance(issued.command, Transact):
        return None
    options, until = options_of(issued), deadline_of(issued)
    late = until is not None and until <= now
    if issued.unknown and (options.on_unknown == "fail" or (late and callable(options.on_unknown))):
        failure = outcome_unknown("its deadline has passed" if late else "")
    elif late and options.deadline is not None:
        failure = timed_out(options.deadline.total_seconds(), "deadline")
    else:
        return None
    return Rejected(issued.id, failure, declared=False, attempt=issued.attempt - 1)


def poison(interpreter: Interpreter, after: int | None) -> str:
    """Tell why a run is to be parked whose workers die, one after the other; empty when it is not.

    Args:
        interpreter: The run, which has just been taken over.
        after: How many deaths without progress are too many; None for any number.
    """
    if after is None or interpreter.losses < after:
        return ""
    calls = ", ".join(
        f"{issued.record.target} (command {issued.id}, {issued.line})"
        for issued in interpreter.pending.values()
        if issued.unknown or isinstance(issued.command, Transact)
    )
    return (
        f"its worker was lost {interpreter.losses} times in a row without any progress of the run\n"
        f"  in flight: {calls}\n"
        "Mend what ends the worker, such as its use of memory, and release the run with `interp retry`."
    )


def verdict(issued: Issued, completion: Completion, now: datetime, chance: Callable[[], float]) -> list[Event]:
    """Say what follows from the end of an attempt.

    Args:
        issued: The call.
        completion: How the attempt ended.
        now: The time.
        chance: Gives a random number from [0, 1).
    """
    attempt = completion.attempt
    events: list[Event] = []
    reconciled = attempt.reconcile is not None and (completion.payload is not None or completion.declared)
    if reconciled or completion.not_done:
        events.append(Reconciled(issued.id, not completion.not_done, attempt.begun))
    if completion.payload is not None:
        events.append(Resolved(issued.id, completion.payload, attempt.number, attempt.begun))
    elif not completion.not_done:
        events += _failed(issued, completion, now, chance)
    return events


def _failed(issued: Issued, completion: Completion, now: datetime, chance: Callable[[], float]) -> Iterator[Event]:
    """Say what follows from a failure."""
    attempt, failure = completion.attempt, completion.failure
    assert failure is not None
    retry_at = _retry_at(issued, completion, now, chance)
    if retry_at is None:
        if attempt.reconcile is not None and not completion.declared:
            asked = getattr(attempt.reconcile, "__name__", "the reconcile function")
            told = f"{asked} was asked and failed: {failure.type_name}: {failure.message}"
            failure = outcome_unknown(told)
        yield Rejected(issued.id, failure, completion.declared, attempt.number, attempt.begun)
        return
    if attempt.details and attempt.details != issued.heartbeat:  # told since the last time that it was recorded
        yield Heartbeat(issued.id, attempt.number, attempt.details)
    yield AttemptFailed(issued.id, attempt.number, failure, retry_at, attempt.begun)


def _retry_at(issued: Issued, completion: Completion, now: datetime, chance: Callable[[], float]) -> datetime | None:
    """Return when the next attempt may begin; None when there is none."""
    retry = options_of(issued).retry
    assert retry is not None and completion.failure is not None
    asked: timedelta | None = completion.delay
    if not completion.failure.retryable or (asked is None and not retry.covers(completion.kinds)):
        return None
    pause = retry.pause(issued.failures + 1, chance())
    if pause is None:
        return None
    retry_at = later(now, pause if asked is None else asked)
    until = deadline_of(issued)
    return None if until is not None and until <= retry_at else retry_at
