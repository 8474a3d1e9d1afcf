"""Commands and their answers in a few words, bounded, whatever was recorded. Pure."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from interp.definitions import WorkflowDefinition
from interp.events import Completed, ContinuedAs, Failed, Failure, Outcome, Record, WasCancelled
from interp.outline.nodes import Node, State
from interp.outline.words import LONG_BYTES, READ, clean, elide, failure_line, heading, one_line, recorded, span

__all__ = [
    "answer_words",
    "arguments_words",
    "clock",
    "command_words",
    "failure_words",
    "outcome_words",
    "place_words",
    "verb",
]

# Longer texts are not cleaned as a whole.
_CHARACTERS = 20_000


def command_words(record: Record, width: int = _CHARACTERS) -> str:
    """Return a command as it is read: `health_check('i-web-4')`, `sleep 1 min`, `signal 'approve'`."""
    kind = "" if record.kind == "call" else f"{record.kind} "
    if len(record.payload) > LONG_BYTES:
        return elide(clean(f"{kind}{record.target}({recorded(record.payload, min(width, 120))})"), width)
    head, inside = heading(record, max(READ, 4 * width))
    if inside is None:
        return elide(one_line(head), width)
    return elide(one_line(f"{head.removeprefix('call ')}({inside})"), width)


def answer_words(node: Node, width: int = _CHARACTERS) -> str:
    """Return what a command came to: `'healthy'`, `fired`, `timed out`; empty for one that has no answer."""
    match node.state:
        case State.WAITS:
            return "waits"
        case State.TIMED_OUT:
            return "timed out"
        case State.WITHDRAWN:
            return "withdrawn"
        case State.FAILED:
            return failure_words(node.failure, width)
        case State.DONE:
            if node.payload is not None:
                return recorded(node.payload, width)
            return "fired" if node.record.kind in ("sleep", "sleep_until") else ""


def failure_words(failure: Failure | None, width: int = _CHARACTERS) -> str:
    """Return an exception on one line."""
    if failure is None:
        return "failed"
    short = msgspec.structs.replace(failure, message=failure.message[:_CHARACTERS])
    return elide(clean(failure_line(short)), width)


def verb(node: Node, width: int) -> str:
    """Return what a command came to as the end of a sentence: `gave 'healthy'`, `failed: refused`, `still waits`."""
    match node.state:
        case State.WAITS:
            return "still waits"
        case State.TIMED_OUT:
            return "timed out"
        case State.WITHDRAWN:
            return "was withdrawn"
        case State.FAILED:
            return f"failed with {failure_words(node.failure, width)}"
        case State.DONE:
            told = answer_words(node, width)
            return told if told == "fired" else f"gave {told}" if told else "was done"


def outcome_words(outcome: Outcome | None, width: int = _CHARACTERS) -> str:
    """Say how a run ended."""
    match outcome:
        case None:
            return "has not ended"
        case Completed():
            return f"returned {recorded(outcome.payload, width)}"
        case Failed():
            return f"failed with {failure_words(outcome.failure, width)}"
        case WasCancelled():
            reason = one_line(outcome.reason[:_CHARACTERS])
            return elide(f"was cancelled: {reason}" if reason else "was cancelled", width)
        case ContinuedAs():
            return f"continued as {recorded(outcome.started.args, width)}"


def arguments_words(code: WorkflowDefinition | str, args: bytes) -> str:
    """Return the arguments of a run, by their names where the workflow is at hand."""
    if isinstance(code, str) or len(args) > LONG_BYTES:
        return recorded(args, _CHARACTERS)
    return one_line(code.arguments.render(args, _CHARACTERS))


def place_words(where: str, width: int = 160) -> str:
    """Write `file:line`; of a long one its end, which tells most."""
    text = one_line(where)
    return text if len(text) <= width else "…" + text[1 - width :]


def clock(after: timedelta) -> str:
    """Return how long after the start something was: `310 ms`, `7:17`, `1:02:05`, `3 d 4 h`."""
    seconds = max(int(after.total_seconds()), 0)
    if seconds < 60 or seconds >= 86400:
        return span(after)
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
