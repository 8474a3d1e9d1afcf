"""Read a run's history, show it, and count what it tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

import attrs

from interp.events import AttemptFailed, Record, Rejected, Resolved, Transition, WorkerLost, decode_transition
from interp.outline.happened import happened
from interp.outline.phrases import command_words, outcome_words
from interp.store import Store

__all__ = ["Calls", "Tally", "history_of", "show"]

# Longer values and commands are cut.
_WIDTH = 70


def history_of(store: Store, run_id: str) -> tuple[Transition, ...]:
    """Return the records of a run so far."""
    # Programs write `engine.get(run_id).history()`. But an engine is a worker: while nobody owns the run, because we
    # have just killed the one who did, ours would take it over, and there would be nothing to start again.
    return tuple(decode_transition(record) for record in store.history(run_id))


def show(history: Sequence[Transition]) -> list[str]:
    """Render a history: a line for what happened, and one for each command that the workflow answered with."""
    commands: dict[str, Record] = {}
    lines: list[str] = []
    for record in history:
        commands |= {command.id: command for command in record.commands}
        at = (record.at - history[0].at).total_seconds()
        lines.append(f"record {record.index}  {at:6.3f} s  {happened(record, commands, _WIDTH)[1]}")
        for command in record.commands:
            what, where = command_words(command, _WIDTH), command.where.rpartition("/")[2]
            lines.append(f"{'':19}-> {what}  [command {command.id}, {where}]")
        if record.outcome is not None:
            lines.append(f"{'':19}=> {outcome_words(record.outcome, _WIDTH)}")
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
