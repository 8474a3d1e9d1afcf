"""A history as it is kept: one line for each record, what happened and what the workflow answered. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import tzinfo

from interp.events import (
    Asked,
    AttemptFailed,
    CancelRequested,
    ChildEnded,
    Completed,
    ContinuedAs,
    Delivered,
    Event,
    Failed,
    Fired,
    Heartbeat,
    Outcome,
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
from interp.outline.words import count, elide, failure_line, heading, long_history, one_line, rendered, stamp

__all__ = ["record_lines", "told"]

# Values longer than this are cut.
_VALUE = 60

# So much is read of them: more than is shown, since blanks are joined.
_READ = 1_000

# Commands of one record that are named; the others are counted.
_COMMANDS = 4


def record_lines(history: Iterable[Transition], zone: tzinfo | None) -> Iterator[str]:
    """Write each record on a line: its index, when, what happened, and the commands or the outcome that followed."""
    for record in history:
        happened, followed = told(record)
        line = f"{record.index:>4}  {stamp(record.at, zone)}  {happened}"
        yield f"{line}  ⇒  {followed}" if followed else line


def told(record: Transition) -> tuple[str, str]:
    """Tell what happened, and the commands or the outcome that followed; empty for none."""
    answers = [_command(command) for command in record.commands[:_COMMANDS]]
    if len(record.commands) > _COMMANDS:
        answers.append(f"{count(len(record.commands) - _COMMANDS, 'more command')}")
    if record.outcome is not None:
        answers.append(_outcome(record.outcome))
    return _cause(record.cause), "; ".join(answers)


def _cause(event: Event) -> str:
    match event:
        case Started():
            return "started"
        case Resolved():
            return f"{event.id} returned {_value(event.payload)}"
        case Rejected():
            return f"{event.id} failed: {failure_line(event.failure, _READ)}"
        case AttemptFailed():
            return f"attempt {event.attempt} of {event.id} failed: {failure_line(event.failure, _READ)}"
        case Fired():
            return f"time of {event.id} came"
        case Signalled():
            return f"signal {one_line(repr(event.name))} {_value(event.payload)}"
        case Asked():
            return f"request {one_line(repr(event.name))} {_value(event.payload)}"
        case CancelRequested():
            return one_line(f"cancellation asked for: {event.reason}".removesuffix(": "))
        case WorkerLost():
            return one_line(f"worker {event.worker} lost" if event.worker else "another worker took over")
        case Heartbeat():
            return f"attempt {event.attempt} of {event.id} told {_value(event.details)}"
        case Reconciled():
            return f"{event.id} " + ("had its effect" if event.done else "had no effect")
        case Delivered():
            return f"{event.id} is done"
        case Refused():
            return f"{event.id} cannot be: {event.why}"
        case ChildEnded():
            return f"child {event.id}: {_outcome(event.outcome)}"
        case Outgrown():
            return f"long history: {long_history(event)}"
        case Retried():
            call = f", {event.rejected.id} is made anew" if event.rejected is not None else ""
            return f"retried after {failure_line(event.failure, _READ)}{call}"


def _command(record: Record) -> str:
    head, inside = heading(record, _READ)
    text = head if inside is None else f"{head}({elide(one_line(inside), _VALUE)})"
    return text if record.kind == "patched" else f"{record.id} {text}"


def _outcome(outcome: Outcome) -> str:
    match outcome:
        case Completed():
            return f"completed: {_value(outcome.payload)}"
        case Failed():
            return f"failed: {failure_line(outcome.failure, _READ)}"
        case WasCancelled():
            return "cancelled"
        case ContinuedAs():
            return f"continues as {_value(outcome.started.args)}"


def _value(payload: bytes) -> str:
    return elide(one_line(rendered(payload, _READ)), _VALUE)
