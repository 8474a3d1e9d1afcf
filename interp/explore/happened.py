"""What a record tells, on one line: its cause in words, and what kind of news it is."""

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
    Failure,
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
from interp.explore.values import recorded
from interp.outline.words import elide, failure_line, heading, long_history, one_line, span

__all__ = ["News", "command_words", "happened"]

News: TypeAlias = Literal["good", "bad", "wait", "odd"]
"""How a record is to be taken: an answer, a failure, something from outside, something about the run as a whole."""

# Recorded arguments with more bytes are not read as a whole.
_LARGE = 20_000

# Names of activities, signals, workers: longer ones are cut.
_NAME = 80


def command_words(record: Record, width: int = 60) -> str:
    """Name a command on one line: `create_vm('web-1', 'net-1')`, `sleep 1 min`.

    Args:
        record: The command.
        width: Longest text of its arguments, in characters.
    """
    if record.kind in ("call", "transact"):
        inside = recorded(record.payload, width + 2)
        return one_line(
            f"{_name(record.target)}({inside[1:-1] if inside[:1] == '[' and inside[-1:] == ']' else inside})"
        )
    if len(record.payload) > _LARGE:
        return one_line(f"{record.kind} {_name(record.target)}".rstrip())
    return one_line(elide(heading(record)[0], width + 20))


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
        return f"command {command_id}" if record is None else f"{command_words(record)} [{command_id}]"

    match cause:
        case Started():
            return "odd", f"{_name(cause.workflow)} began" + (f", round {cause.round}" if cause.round else "")
        case Resolved():
            return "good", f"{name(cause.id)} → {recorded(cause.payload, width)}"
        case Rejected():
            return "bad", f"{name(cause.id)} failed: {_failure(cause.failure, width)}"
        case AttemptFailed():
            again = span(cause.retry_at - transition.at)
            failure = _failure(cause.failure, width)
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
            return "bad", one_line(f"worker {_name(cause.worker) or '?'} was lost{taken}")
        case ChildEnded():
            return _child(cause, name(cause.id), width)
        case Delivered():
            return "good", f"{name(cause.id)} was delivered"
        case Refused():
            return "bad", one_line(f"{name(cause.id)} was refused: {cause.why}")
        case Retried():
            return "odd", f"the run was tried again after {_failure(cause.failure, width)}"
        case Outgrown():
            return "odd", f"the history is long: {long_history(cause)}"
        case _:
            assert_never(cause)


def _child(cause: ChildEnded, name: str, width: int) -> tuple[News, str]:
    match cause.outcome:
        case Completed():
            return "good", f"{name} → {recorded(cause.outcome.payload, width)}"
        case Failed():
            return "bad", f"{name} failed: {_failure(cause.outcome.failure, width)}"
        case WasCancelled():
            return "bad", one_line(f"{name} was cancelled: {elide(cause.outcome.reason, width)}".removesuffix(": "))


def _name(name: str) -> str:
    return elide(one_line(name), _NAME)


def _failure(failure: Failure, width: int) -> str:
    return elide(failure_line(failure), width)
