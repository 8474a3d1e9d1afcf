"""Read a run's history, show it, and count what it tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

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
    decode_transition,
)
from interp.store import Store

__all__ = ["Calls", "Tally", "history_of", "show"]


def history_of(store: Store, run_id: str) -> tuple[Transition, ...]:
    """Return the records of a run so far."""
    # Programs write `engine.get(run_id).history()`. But an engine is a worker: while nobody owns the run, because we
    # have just killed the one who did, ours would take it over, and there would be nothing to start again.
    return tuple(decode_transition(record) for record in store.history(run_id))


def show(history: Sequence[Transition]) -> list[str]:
    """Render a history: a line for what happened, and one for each command that the workflow answered with."""
    names: dict[str, str] = {}
    lines = []
    for record in history:
        names |= {command.id: command.target or command.kind for command in record.commands}
        at = (record.at - history[0].at).total_seconds()
        lines.append(f"record {record.index}  {at:6.3f} s  {_happened(record.cause, names)}")
        for command in record.commands:
            what = f"{command.kind} {command.target}".rstrip()
            lines.append(f"{'':19}-> {what}  [command {command.id}, {command.where.rpartition('/')[2]}]")
        if record.outcome is not None:
            lines.append(f"{'':19}=> {_ended(record.outcome)}")
    return lines


@attrs.frozen
class Calls:
    """Where the calls of a run stand at a record of its history.

    Attributes:
        recorded: The ids of those whose results are in the journal.
        in_flight: The ids of those that were asked for, and have none.
    """

    recorded: frozenset[str]
    in_flight: frozenset[str]


@attrs.frozen
class Tally:
    """What a history tells of its calls.

    Attributes:
        asked: All calls, by id.
        now: Where they stand at the end of the history.
        kills: Where they stood at each kill, as the worker after it has noted.
        failed: The ids of those of which an attempt has failed and was made again.
        paused: When those that wait for their next attempt may be attempted.
    """

    asked: dict[str, Record]
    now: Calls
    kills: tuple[Calls, ...]
    failed: frozenset[str]
    paused: dict[str, datetime]

    def attempts_at(self, moment: datetime) -> frozenset[str]:
        """Return the ids of the calls that are attempted at a moment, or about to be: not those in a pause."""
        return frozenset(call_id for call_id in self.now.in_flight if self.paused.get(call_id, moment) <= moment)

    @property
    def made(self) -> Counter[str]:
        """How many calls came to an end, by the name of the activity."""
        return Counter(self.asked[call_id].target for call_id in self.now.recorded)

    @property
    def repeated(self) -> int:
        """How many attempts were made again because their worker was killed."""
        return sum(len(kill.in_flight) for kill in self.kills)

    @property
    def skipped(self) -> int:
        """How often a worker took a result from the journal instead of making the call."""
        return sum(len(kill.recorded) for kill in self.kills)

    @classmethod
    def of(cls, history: Iterable[Transition]) -> Tally:
        """Count."""
        asked: dict[str, Record] = {}
        in_flight: set[str] = set()
        recorded: set[str] = set()
        failed: set[str] = set()
        paused: dict[str, datetime] = {}
        kills = []
        for record in history:
            match record.cause:
                case Resolved(id=call_id) | Rejected(id=call_id):
                    in_flight.remove(call_id)
                    recorded.add(call_id)
                case AttemptFailed(id=call_id, retry_at=retry_at):
                    failed.add(call_id)
                    paused[call_id] = retry_at
                case WorkerLost():
                    kills.append(Calls(frozenset(recorded), frozenset(in_flight)))
                case _:
                    pass
            calls = {command.id: command for command in record.commands if command.kind == "call"}
            asked |= calls
            in_flight |= calls.keys()
        return cls(asked, Calls(frozenset(recorded), frozenset(in_flight)), tuple(kills), frozenset(failed), paused)


def _happened(event: Event, names: dict[str, str]) -> str:
    match event:
        case Started():
            return f"started {event.workflow}({render_value(event.args).strip('[]')})"
        case Resolved():
            return f"{names[event.id]} returned {render_value(event.payload)}"
        case Rejected():
            return f"{names[event.id]} failed: {event.failure.type_name}: {event.failure.message}"
        case AttemptFailed():
            return f"attempt {event.attempt} of {names[event.id]} failed: {event.failure.message}"
        case Heartbeat():
            return f"attempt {event.attempt} of {names[event.id]} is at {render_value(event.details)}"
        case Reconciled():
            return f"{names[event.id]} had {'taken' if event.done else 'not taken'} effect before its worker was lost"
        case Fired():
            return f"{names[event.id]}: the time has come"
        case Signalled():
            return f"signal {event.name} {render_value(event.payload)}"
        case Asked():
            return f"request {event.name} {render_value(event.payload)}"
        case CancelRequested():
            return f"asked to cancel: {event.reason}"
        case WorkerLost():
            return "the worker had died; another has taken over, and makes the calls again that were in flight"
        case Delivered() | Refused() | ChildEnded():  # no program here has children
            return f"command {event.id} was answered"
        case Retried():
            return f"retried after it had failed: {event.failure.message}"
        case Outgrown():
            return f"the history is long: {event.records} records"


def _ended(outcome: Outcome) -> str:
    match outcome:
        case Completed():
            return f"completed with {render_value(outcome.payload)}"
        case Failed():
            return f"failed: {outcome.failure.type_name}: {outcome.failure.message}"
        case WasCancelled():
            return f"cancelled: {outcome.reason}"
        case ContinuedAs():
            return "continued as new"
