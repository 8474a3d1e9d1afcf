"""What crash tests look at: the journals as they lie in the store, and the lines that the program left."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import attrs

from interp.definitions import find_workflow
from interp.events import Event, Resolved, Signalled, Transition, decode_event, decode_transition
from interp.replay import replay
from interp.runtime import open_store
from interp.store import RunFilter, RunRow

__all__ = ["Evidence", "Snapshot"]


@attrs.frozen
class Snapshot:
    """The store at one moment; or nearly, where a program is at work: then what moves is seen twice rather than never.

    Attributes:
        rows: The runs.
        records: The journal of each run.
        inboxes: The messages that wait for each run.
    """

    rows: dict[str, RunRow]
    records: dict[str, list[bytes]]
    inboxes: dict[str, list[bytes]]

    @classmethod
    def of(cls, url: str) -> "Snapshot":
        with closing(open_store(url)) as store:
            rows = {row.id: row for row in store.runs(RunFilter())}
            inboxes = {run_id: [message.body for message in store.inbox(run_id)] for run_id in rows}
            records = {run_id: list(store.history(run_id)) for run_id in rows}
        return cls(rows, records, inboxes)

    def histories(self) -> Iterator[tuple[str, list[Transition]]]:
        for run_id, records in self.records.items():
            yield run_id, [decode_transition(record) for record in records]

    def resolved(self) -> dict[tuple[str, str], str]:
        """Return which execution gave each recorded result, by run and command."""
        return {
            (run_id, cause.id): cause.payload.decode()
            for run_id, history in self.histories()
            for cause in (transition.cause for transition in history)
            if isinstance(cause, Resolved)
        }

    def check(self, before: "Snapshot") -> None:
        """Assert that no record is torn: all decode, none is missing, and the code accepts what there is."""
        for run_id, history in self.histories():
            if self.records[run_id] == before.records.get(run_id):
                continue
            row = self.rows[run_id]
            assert list(range(len(history))) == [transition.index for transition in history]
            assert row.length <= len(history)
            if history:
                replayed = replay(find_workflow(row.workflow), history, run_id=run_id)
                assert not row.status.ended or replayed.interpreter.outcome is not None
                replayed.interpreter.close()

    def continues(self, before: "Snapshot") -> None:
        """Assert that what was durable then is durable still."""
        for run_id, records in before.records.items():
            assert records == self.records[run_id][: len(records)]

    def taken(self) -> Counter[tuple[str, str, int]]:
        """Count the signals that are in journals."""
        return _signals((run_id, transition.cause) for run_id, history in self.histories() for transition in history)

    def waiting(self) -> Counter[tuple[str, str, int]]:
        """Count the signals that are in inboxes."""
        return _signals((run_id, decode_event(body)) for run_id, bodies in self.inboxes.items() for body in bodies)


def _signals(events: Iterable[tuple[str, Event]]) -> Counter[tuple[str, str, int]]:
    return Counter((run_id, event.name, int(event.payload)) for run_id, event in events if isinstance(event, Signalled))


class Evidence:
    """The lines that a program left, and the snapshots between its lives."""

    def __init__(self, url: str, log: Path) -> None:
        self._url = url
        self._log = log
        self._last = Snapshot({}, {}, {})
        self._checked = 0

    def take(self) -> Snapshot:
        """Look at the store and the log after a life of the program has ended, and assert what must hold always."""
        told = self._lines()
        now = Snapshot.of(self._url)
        lines = self._lines()
        now.check(self._last)
        now.continues(self._last)
        self._check_effects(lines)
        self._check_signals(told, now)
        self._last = now
        self._checked = len(lines)
        return now

    def _lines(self) -> list[list[str]]:
        return [line.split() for line in self._log.read_text().splitlines()] if self._log.exists() else []

    def _check_effects(self, lines: list[list[str]]) -> None:
        """Assert that what was durable before this life was neither made again nor seen differently in it."""
        known = self._last.resolved()
        values = {(run_id, label): nonce for run_id, label, nonce in self._nonces()}
        begun: Counter[tuple[str, ...]] = Counter()
        for word, run_id, *rest in lines:
            if word == "begin":
                begun[run_id, rest[0], rest[1]] += 1
        for word, run_id, *rest in lines[self._checked :]:
            if word == "begin":
                assert (run_id, rest[0]) not in known, f"{run_id} made command {rest[0]} again after its record"
            elif word == "seen" and (run_id, rest[0]) in values:
                assert values[run_id, rest[0]] == rest[1], f"{run_id} saw another value of {rest[0]} in a replay"
        assert {1} >= set(begun.values()), f"an attempt was made twice: {begun.most_common(1)}"

    def _check_signals(self, lines: list[list[str]], now: Snapshot) -> None:
        """Assert that each signal that was acknowledged is there, once; a run that has ended need not have taken it."""
        taken = now.taken()
        there = taken + now.waiting()
        for word, *sent in lines:
            if word == "told" and not now.rows[sent[0]].status.ended:
                assert (sent[0], sent[1], int(sent[2])) in there, f"acknowledged and lost: {sent}"
        assert {1} >= set(taken.values()), f"taken twice: {taken.most_common(1)}"

    def _nonces(self) -> Iterator[tuple[str, str, str]]:
        """Give run, label and execution of each call whose result was durable before this life."""
        results = self._last.resolved()
        for run_id, history in self._last.histories():
            for transition in history:
                for command in transition.commands:
                    if (run_id, command.id) in results:
                        label = command.payload.decode().strip('[]"')
                        yield run_id, label, results[run_id, command.id].strip("[]").split(",")[1].strip('"')
