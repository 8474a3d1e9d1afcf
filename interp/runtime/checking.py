"""Replay the runs of a store against the code as it is now, and tell which would not fit. Reads, and nothing else.

What a worker would find out one run at a time, after the deploy, by parking it: here it is known before. No activity is
called, nothing is claimed and nothing written, so that it works beside workers, and on a copy of the store.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from enum import StrEnum
from typing import Protocol

import attrs
import msgspec

from interp.definitions import WorkflowDefinition, find_workflow
from interp.errors import (
    CodecError,
    InvalidDefinition,
    JournalCorrupt,
    NondeterminismError,
    StoreError,
    UndecodableHistory,
    UnknownWorkflow,
)
from interp.events import Event, Started, Transition, decode_event
from interp.replay import replay
from interp.runtime.live import decoded
from interp.runtime.sealed import unreadable
from interp.store import Message, RunFilter, RunRow, Status

__all__ = ["Cause", "Checked", "Reader", "Report", "Verdict", "check", "check_run", "checks"]

# How many ids a cause names: enough to look at some of its runs.
_EXAMPLES = 5

_OPEN = frozenset(status for status in Status if not status.ended)


class Reader(Protocol):
    """The part of a store that checking needs: that it cannot write is seen from its type."""

    def run(self, run_id: str) -> RunRow | None:
        """Return the row of a run."""
        ...

    def runs(self, where: RunFilter) -> list[RunRow]:
        """List runs."""
        ...

    def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
        """Give the records."""
        ...

    def inbox(self, run_id: str) -> tuple[Message, ...]:
        """Return the messages that wait."""
        ...


class Verdict(StrEnum):
    """What came of replaying one run."""

    FITS = "fits"
    DIVERGES = "diverges"  # history and code differ
    UNDECODABLE = "undecodable"  # a recorded value does not fit its declared type
    UNKNOWN = "unknown"  # no workflow of its name, or more than one
    BROKEN = "broken"  # the history is damaged, or the code broke the interpreter

    @property
    def fits(self) -> bool:
        """Whether the run would go on, or end as it did."""
        return self is Verdict.FITS


@attrs.frozen
class Checked:
    """One run, replayed.

    Attributes:
        run: Its row.
        verdict: What came of it.
        records: How many records were replayed, the one that does not fit included.
        tolerated: How many commands had other arguments than recorded, where `compare="names"` accepts that.
        error: Why it does not fit; None if it does.
    """

    run: RunRow
    verdict: Verdict
    records: int = 0
    tolerated: int = 0
    error: BaseException | None = None


@attrs.define(eq=False)
class Cause:
    """One reason for which runs do not fit.

    Runs have a cause in common when they part from the code at the same pair of lines, in the same way, whatever their
    arguments are.

    Attributes:
        verdict: What it leads to.
        workflow: The workflow.
        error: The error of the first run.
        runs: How many runs have it.
        examples: Ids of some of them, the oldest first.
    """

    verdict: Verdict
    workflow: str
    error: BaseException
    runs: int = 0
    examples: list[str] = attrs.field(factory=list[str])


@attrs.define(eq=False)
class Report:
    """What came of all runs together. Its size goes with the number of causes, not of runs.

    Attributes:
        counts: How many runs there are of each verdict.
        tolerated: How many commands `compare="names"` accepted.
    """

    counts: dict[Verdict, int] = attrs.field(factory=lambda: dict.fromkeys(Verdict, 0))
    tolerated: int = 0
    _causes: dict[tuple[str, ...], Cause] = attrs.field(factory=dict[tuple[str, ...], Cause])

    @property
    def runs(self) -> int:
        """How many runs were checked."""
        return sum(self.counts.values())

    @property
    def fits(self) -> bool:
        """Whether all runs fit."""
        return not self._causes

    @property
    def causes(self) -> list[Cause]:
        """The reasons for which runs do not fit, those of most runs first."""
        return sorted(self._causes.values(), key=lambda cause: -cause.runs)

    def add(self, checked: Checked) -> Cause | None:
        """Count a run; returns the cause if it does not fit, whose `runs` is 1 when it is new."""
        self.counts[checked.verdict] += 1
        self.tolerated += checked.tolerated
        if checked.error is None:
            return None
        key = _key(checked, checked.error)
        cause = self._causes.get(key)
        if cause is None:
            cause = self._causes[key] = Cause(checked.verdict, checked.run.workflow, checked.error)
        cause.runs += 1
        if len(cause.examples) < _EXAMPLES:
            cause.examples.append(checked.run.id)
        return cause


def check(store: Reader, *, closed: bool = False, workflow: str | None = None) -> Report:
    """Replay the runs of a store against the workflows that are registered now; nothing is written or executed.

    Args:
        store: The store; it may be in use.
        closed: Check the runs that have ended, too: whether they would end as they did.
        workflow: Only runs of this workflow: `checkout` for all its versions, `checkout@1` for one.

    Raises:
        StoreError: The store cannot be read. A single damaged history is a verdict.
    """
    report = Report()
    for checked in checks(store, closed=closed, workflow=workflow):
        report.add(checked)
    return report


def checks(store: Reader, *, closed: bool = False, workflow: str | None = None) -> Iterator[Checked]:
    """Give the verdict on each run, the oldest first, with one history in memory at a time; see `check`."""
    for row in store.runs(RunFilter(None if closed else _OPEN, workflow)):
        yield check_run(store, row)


def check_run(store: Reader, row: RunRow) -> Checked:
    """Give the verdict on one run; see `check`."""
    counted = _Counted()
    try:
        definition = find_workflow(row.workflow)
        tolerated = _replayed(store, row, definition, counted)
    except NondeterminismError as error:
        return Checked(row, Verdict.DIVERGES, counted.records, error=error)
    except UndecodableHistory as error:
        return Checked(row, Verdict.UNDECODABLE, counted.records, error=error)
    except (UnknownWorkflow, InvalidDefinition) as error:
        return Checked(row, Verdict.UNKNOWN, error=error)
    except (Exception, SystemExit) as error:  # the code of a workflow may do anything; the other runs are checked still
        if isinstance(error, StoreError) and not isinstance(error, JournalCorrupt):
            raise
        return Checked(row, Verdict.BROKEN, counted.records, error=error)
    return Checked(row, Verdict.FITS, counted.records, tolerated)


@attrs.define
class _Counted:
    """How many records went by: also known when one of them does not fit."""

    records: int = 0

    def each(self, history: Iterator[Transition]) -> Iterator[Transition]:
        for transition in history:
            self.records += 1
            yield transition


def _replayed(store: Reader, row: RunRow, definition: WorkflowDefinition, counted: _Counted) -> int:
    history = counted.each(decoded(row.id, store.history(row.id)))
    first = next(history, None)
    if first is None:
        started = _start_of(store, row)
        if started is not None:
            _decode(definition, started, row.id)
            return 0
        history = counted.each(decoded(row.id, store.history(row.id)))  # a worker has started it just now
        first = next(history, None)
    replayed = replay(definition, itertools.chain((first,) if first else (), history), run_id=row.id)
    replayed.interpreter.close()
    return replayed.tolerated


def _start_of(store: Reader, row: RunRow) -> Started | None:
    """Return how a run is to start that has no record yet."""
    for message in store.inbox(row.id):
        event = _event(row, message)
        if isinstance(event, Started):
            return event
    return None


def _event(row: RunRow, message: Message) -> Event:
    try:
        return decode_event(message.body)
    except msgspec.MsgspecError as error:
        raise unreadable(f"message {message.number} of run {row.id!r}", message.body, error) from None


def _decode(definition: WorkflowDefinition, started: Started, run_id: str) -> None:
    """Check the arguments of a run that was not started; nothing of it runs."""
    try:
        definition.arguments.decode(started.args)
    except (CodecError, TypeError) as error:
        raise UndecodableHistory(run_id, 0, f"argument of {definition.name}", str(error)) from None


# Causes.


def _key(checked: Checked, error: BaseException) -> tuple[str, ...]:
    """Return what runs with the same cause have in common."""
    common = (checked.verdict, checked.run.workflow)
    match error:
        case NondeterminismError():
            lines = (error.recorded_at or "", error.yielded_at or "")
            return *common, *lines, _sketch(error.recorded), _sketch(error.yielded)
        case UndecodableHistory():
            return *common, error.what.partition(" (command")[0]
        case _:
            return *common, type(error).__name__


def _sketch(side: str | None) -> str:
    """Leave the values out of one side of a divergence: `call charge`, `sleep`, `the run returns`."""
    words = (side or "").partition("(")[0].split()
    kept = {"call": 2, "transact": 2, "the": 3}.get(words[0] if words else "", 1)
    return " ".join(words[:kept])
