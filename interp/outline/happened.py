"""What a record tells, on one line: its cause in words, and what kind of news it is. Pure.

The words of every view that tells a record: `interp show --records`, time travel and pages of `interp.explore`, the
demo. Only `interp.testing` tells histories in another form, as a table of verbs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, assert_never

from interp.events import (
    Asked,
    AttemptFailed,
    CancelRequested,
    ChildEnded,
    Completed,
    Delivered,
    Failed,
    Fired,
    Heartbeat,
    Outgrown,
    Reconciled,
    Record,
    Refused,
    Rejected,
    Resolved,
    Retried,
    Signalled,
    Started,
    Transition,
    WasCancelled,
    WorkerLost,
)
from interp.outline.phrases import command_words, failure_words
from interp.outline.words import elide, long_history, one_line, recorded, span

__all__ = ["News", "happened"]

News: TypeAlias = Literal["good", "bad", "wait", "odd"]
"""How a record is to be taken: an answer, a failure, something from outside, something about the run as a whole."""

# Longest text of a command, in characters.
_COMMAND = 80

# Names of activities, signals, workers: longer ones are cut.
_NAME = 80


def happened(transition: Transition, commands: Mapping[str, Record], width: int = 90) -> tuple[News, str]:
    """Say what a record tells.

    Args:
        transition: The record.
        commands: The commands of the run, by id.
        width: Longest text of one value, in characters.
    """
    cause = transition.cause

    def name(command_id: str) -> str:
        record = commands.get(command_id)
        return (
            f"command {command_id}"
            if record is None
            else f"{command_words(record, min(width, _COMMAND))} [{command_id}]"
        )

    match cause:
        case Started():
            return "odd", f"{_name(cause.workflow)} began" + (f", round {cause.round}" if cause.round else "")
        case Resolved():
            return "good", f"{name(cause.id)} → {recorded(cause.payload, width)}"
        case Rejected():
            return "bad", f"{name(cause.id)} failed: {failure_words(cause.failure, width)}"
        case AttemptFailed():
            again = span(cause.retry_at - transition.at)
            failure = failure_words(cause.failure, width)
            return "bad", f"attempt {cause.attempt} of {name(cause.id)} failed: {failure}; again in {again}"
        case Heartbeat():
            return "good", f"attempt {cause.attempt} of {name(cause.id)} told: {recorded(cause.details, width)}"
        case Reconciled():
            told = "has had its effect" if cause.done else "has had no effect, and is made again"
            return "odd", f"it was found that {name(cause.id)} {told}"
        case Fired():
            record = commands.get(cause.id)
            is_wait = record is not None and record.kind in ("await_signal", "await_request")
            return ("bad", f"{name(cause.id)} timed out") if is_wait else ("wait", f"{name(cause.id)} is over")
        case Signalled():
            return "wait", one_line(f"signal {_name(cause.name)!r} came: {recorded(cause.payload, width)}")
        case Asked():
            return "wait", one_line(f"request {_name(cause.name)!r} came: {recorded(cause.payload, width)}")
        case CancelRequested():
            return "odd", one_line(f"cancellation asked for: {elide(cause.reason, width)}".removesuffix(": "))
        case WorkerLost():
            taken = (
                f"; {_name(cause.successor)} took over and replayed {transition.index} records"
                if cause.successor
                else ""
            )
            lost = f"worker {_name(cause.worker)} was lost" if cause.worker else "the run was taken up again"
            return "bad", one_line(f"{lost}{taken}")
        case ChildEnded():
            return _child(cause, name(cause.id), width)
        case Delivered():
            record = commands.get(cause.id)
            return "good", f"{name(cause.id)} was {'started' if record and record.kind == 'child' else 'delivered'}"
        case Refused():
            return "bad", one_line(f"{name(cause.id)} was refused: {elide(cause.why, width)}")
        case Retried():
            anew = f"; {name(cause.rejected.id)} is made anew" if cause.rejected is not None else ""
            return "odd", f"the run was tried again after {failure_words(cause.failure, width)}{anew}"
        case Outgrown():
            return "odd", f"the history is long: {long_history(cause)}"
        case _:
            assert_never(cause)


def _child(cause: ChildEnded, name: str, width: int) -> tuple[News, str]:
    match cause.outcome:
        case Completed():
            return "good", f"{name} → {recorded(cause.outcome.payload, width)}"
        case Failed():
            return "bad", f"{name} failed: {failure_words(cause.outcome.failure, width)}"
        case WasCancelled():
            return "bad", one_line(f"{name} was cancelled: {elide(cause.outcome.reason, width)}".removesuffix(": "))


def _name(name: str) -> str:
    return elide(one_line(name), _NAME)
