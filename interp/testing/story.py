"""A history as a story: what came in, what the workflow answered, line by line; what failing tests print.

0  starts
   yields   1.0.1  call quote('flight')               trips.py:12
   yields   1.1.1  call quote('hotel')                trips.py:12
1  gets     1.1.1  quote -> -1
   yields   1.1.2  call pay(-1)                       trips.py:14
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import attrs

from interp.codec import render_value
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
    Failure,
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
from interp.replay import describe

__all__ = ["Line", "Parting", "failure_text", "marked", "outcome_line", "render", "story"]

# Beyond so many lines the middle of a story is left out.
_MOST_LINES = 200

_TEXT_WIDTH = 58

# A remark that would make its line longer than this stands on a line of its own.
_WIDTH = 110


@attrs.frozen
class Line:
    """One line of a story.

    Attributes:
        index: The record; None in the lines that belong to the one above.
        verb: What the workflow did or met: `starts`, `yields`, `gets`, `timer`, `signal`, `cancel`, `returns` ...
        id: The command, or empty.
        text: What it was.
        where: `file:line`, or empty.
        mark: A remark at the end of the line, such as how a replay differs; or empty.
    """

    index: int | None
    verb: str
    id: str
    text: str
    where: str = ""
    mark: str = ""


class Parting(Protocol):
    """Where a replay differs from a history: a `NondeterminismError`, or what came of one in another process."""

    @property
    def index(self) -> int:
        """The record."""
        ...

    @property
    def command_id(self) -> str | None:
        """The command; None where the outcome differs."""
        ...

    @property
    def recorded(self) -> str | None:
        """What the history holds; None for nothing."""
        ...

    @property
    def yielded(self) -> str | None:
        """What the code yields; None for nothing."""
        ...

    @property
    def yielded_at(self) -> str | None:
        """`file:line`, if there is one."""
        ...


def story(history: Iterable[Transition]) -> list[Line]:
    """Tell a history.

    Args:
        history: The records, from index 0 on.
    """
    lines: list[Line] = []
    issued: dict[str, Record] = {}
    began: datetime | None = None
    for transition in history:
        began = began or transition.at
        lines.append(_cause(transition, issued, transition.at - began))
        for record in transition.commands:
            issued[record.id] = record
            lines.append(Line(None, "yields", record.id, describe(record), record.where))
        if transition.outcome is not None:
            lines.append(outcome_line(transition.outcome))
    return lines


def _cause(transition: Transition, issued: Mapping[str, Record], since: timedelta) -> Line:
    verb, command_id, text = _say(transition.cause, issued)
    if verb == "timer":
        text = f"{text} at +{_span(since)}"
    return Line(transition.index, verb, command_id, text)


def _say(event: Event, issued: Mapping[str, Record]) -> tuple[str, str, str]:
    """Tell an event: verb, command id, text."""
    match event:
        case Started():
            text = f"{event.workflow}({render_value(event.args, 200)[1:-1]})"
            return ("starts", "", text if event.round == 0 else f"{text}, round {event.round}")
        case Resolved():
            return ("gets", event.id, f"{_name(issued, event.id)} -> {render_value(event.payload)}")
        case Rejected():
            return ("gets", event.id, f"{_name(issued, event.id)} raises {failure_text(event.failure)}")
        case AttemptFailed():
            told = f"{_name(issued, event.id)}: attempt {event.attempt} fails with {failure_text(event.failure)}"
            return ("retry", event.id, told)
        case Heartbeat():
            return ("beat", event.id, f"{_name(issued, event.id)}: {render_value(event.details)}")
        case Reconciled():
            return ("asked", event.id, f"{_name(issued, event.id)}: {'done' if event.done else 'not done'}")
        case Fired():
            return ("timer", event.id, _name(issued, event.id))
        case Signalled():
            return ("signal", "", f"{event.name}({render_value(event.payload)})")
        case Asked():
            return ("asked", "", f"{event.name}({render_value(event.payload)})")
        case CancelRequested():
            return ("cancel", "", event.reason)
        case WorkerLost():
            return ("lost", "", f"worker {event.worker}" if event.worker else "the run is released")
        case Delivered():
            return ("stored", event.id, _name(issued, event.id))
        case Refused():
            return ("refused", event.id, f"{_name(issued, event.id)}: {event.why}")
        case ChildEnded():
            return ("gets", event.id, f"{_name(issued, event.id)} {_ended(event.outcome)}")
        case Retried():
            return ("retry", event.id, "the run is tried again")
        case Outgrown():
            return ("told", "", f"the history has {event.records:,} records")


def marked(lines: list[Line], difference: Parting) -> list[Line]:
    """Mark the line where a replay parts from a story, and leave out what comes later.

    Args:
        lines: The story.
        difference: How the replay differs.
    """
    start = next((at for at, line in enumerate(lines) if line.index == difference.index), len(lines) - 1)
    end = next((at for at, line in enumerate(lines) if (line.index or 0) > difference.index), len(lines))
    parts = [at for at in range(start, end) if lines[at].id == difference.command_id and lines[at].verb == "yields"]
    last = lines[end - 1]
    if parts and difference.recorded is not None:
        end = parts[0] + 1
    elif last.verb in ("yields", "starts", "gets", "timer", "signal"):  # it did nothing more here, and now it does
        return [*lines[:end], Line(None, "", "", "(nothing more)", mark=_instead(difference, ""))]
    return [*lines[: end - 1], attrs.evolve(lines[end - 1], mark=_instead(difference, lines[end - 1].where))]


def _instead(difference: Parting, where: str) -> str:
    """Tell what the replay does; the place only if it is another one."""
    place = f"  ({difference.yielded_at})" if difference.yielded_at not in (None, where) else ""
    return f"the replay: {difference.yielded or 'nothing here'}{place}"


def outcome_line(outcome: Outcome) -> Line:
    """Tell how a run ended."""
    match outcome:
        case Completed():
            return Line(None, "returns", "", render_value(outcome.payload))
        case Failed():
            return Line(None, "fails", "", failure_text(outcome.failure))
        case WasCancelled():
            return Line(None, "ends", "", "cancelled")
        case ContinuedAs():
            return Line(None, "continues", "", f"as {_say(outcome.started, {})[2]}")


def _ended(outcome: Completed | Failed | WasCancelled) -> str:
    match outcome:
        case Completed():
            return f"-> {render_value(outcome.payload)}"
        case Failed():
            return f"fails with {failure_text(outcome.failure)}"
        case WasCancelled():
            return "is cancelled"


def failure_text(failure: Failure) -> str:
    """Tell a failure: the name of its class and its message."""
    name = failure.type_name.rpartition("<locals>.")[2].rpartition(".")[2]
    return f"{name}: {failure.message}" if failure.message else name


def _name(issued: Mapping[str, Record], command_id: str) -> str:
    record = issued.get(command_id)
    if record is None:
        return f"command {command_id}"
    return record.target or record.kind


def _span(delta: timedelta) -> str:
    """Show a span of time: `45 s`, `1:30:00`, `12 days, 0:00:00`."""
    seconds = delta.total_seconds()
    return f"{seconds:g} s" if seconds < 60 else str(delta)


def render(lines: Sequence[Line]) -> str:
    """Lay lines out in columns; a very long story loses its middle, but never a remark.

    Args:
        lines: The lines.
    """
    if len(lines) > _MOST_LINES:
        half = _MOST_LINES // 2
        kept = [line for line in lines[half:-half] if line.mark]
        left_out = Line(None, "...", "", f"{len(lines) - 2 * half - len(kept)} lines more")
        lines = [*lines[:half], left_out, *kept, *lines[-half:]]
    verbs = max((len(line.verb) for line in lines), default=0)
    ids = max((len(line.id) for line in lines), default=0)
    texts = min(max((len(line.text) for line in lines if line.where or line.mark), default=0), _TEXT_WIDTH)
    return "\n".join(_laid_out(line, verbs, ids, texts) for line in lines)


def _laid_out(line: Line, verbs: int, ids: int, texts: int) -> str:
    number = "" if line.index is None else str(line.index)
    margin = f"{number:>4}  {line.verb:<{verbs}}  {line.id:<{ids}}  "
    columns = f"{margin}{line.text:<{texts}}  {line.where}".rstrip()
    if not line.mark:
        return columns
    marked = f"{columns}   <-- {line.mark}"
    return marked if len(marked) <= _WIDTH else f"{columns}\n{' ' * len(margin)}<-- {line.mark}"
