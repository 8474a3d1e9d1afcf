"""One run, read once: its row, its history, its tree; and the door to all views of it.

Nothing here writes, calls an activity or keeps the store busy: what is shown is what had been recorded when it was
read, and `refresh` reads again.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import attrs
import msgspec

from interp.codec import ANY
from interp.definitions import WorkflowDefinition, find_workflow, workflow_of
from interp.errors import InvalidDefinition, UnknownRun, UnknownWorkflow
from interp.events import Completed, Failed, Started, Transition, WasCancelled
from interp.explore.blocked import Blocked, blocked_of
from interp.explore.commands import Past, commands_frame, records_frame
from interp.explore.critical import CriticalPath
from interp.explore.decoding import read_history
from interp.explore.differing import Difference, difference_of
from interp.explore.divergence import Divergence, divergence_of
from interp.explore.frames import Frame
from interp.explore.markup import Markup
from interp.explore.moments import Moment, moment_at
from interp.explore.names import fiber_names
from interp.explore.places import Where
from interp.explore.run_page import run_html, run_text
from interp.explore.stepper import live_stepper, stepper_of
from interp.explore.subject import Damage
from interp.explore.supposing import Known
from interp.explore.timeline import Timeline, path_of, timeline_of
from interp.explore.today import against_code
from interp.explore.view import View
from interp.explore.what_if import WhatIf, made_real, what_if
from interp.outline.tree import Tree, tree_of
from interp.outline.words import count, elide
from interp.runtime.live import microseconds
from interp.sealing import is_redacted
from interp.store import Message, Reader, RunRow, Status

__all__ = ["Damage", "Run", "diff", "read_run"]

_STATUS: dict[type[Any], Status] = {
    Completed: Status.COMPLETED,
    Failed: Status.FAILED,
    WasCancelled: Status.CANCELLED,
}


@attrs.frozen(eq=False, repr=False, slots=False)  # for cached properties
class Run(View):
    """One run as it was when it was read.

    Attributes:
        id: The run id.
        row: As the store lists it.
        history: Its records that can be read, in order.
        damage: Those that cannot.
        messages: What waits in its inbox.
        store: URL of the store.
        workflow: The workflow as the caller gave it; None to look it up by its name.
    """

    row: RunRow
    history: tuple[Transition, ...]
    damage: tuple[Damage, ...] = ()
    messages: tuple[Message, ...] = ()
    store: str = ""
    workflow: WorkflowDefinition | None = None
    _reader: Reader | None = None

    @property
    def id(self) -> str:
        """The run id."""
        return self.row.id

    def __repr__(self) -> str:
        """Say on one line which run it is."""
        return f"<run {self.id!r} of {self.row.workflow}: {self.row.status}, {count(self.row.length, 'record')}>"

    # What is computed once has a plain property before it: pyright does not take a cached one for the property that a
    # protocol (`interp.explore.subject`) asks for.

    @property
    def tree(self) -> Tree:
        """The history as a tree of commands."""
        return self._tree

    @functools.cached_property
    def _tree(self) -> Tree:
        return tree_of(self.history)

    @property
    def fiber_names(self) -> Mapping[str, str]:
        """What its fibers are called in all views, by id: by what sets their first commands apart; not the root."""
        return self._fiber_names

    @functools.cached_property
    def _fiber_names(self) -> Mapping[str, str]:
        return fiber_names(self._tree)

    @property
    def started(self) -> Started | None:
        """How it began; None when that cannot be read, or it has not."""
        first = self.history[0].cause if self.history else None
        return first if isinstance(first, Started) else None

    @property
    def code(self) -> WorkflowDefinition | str:
        """The workflow as it is now, or why its history cannot be replayed: it is not at hand, or values are locked."""
        return self._code

    @functools.cached_property
    def _code(self) -> WorkflowDefinition | str:
        if any(is_redacted(transition.cause) for transition in self.history):
            return "its values are encrypted; to replay it, open the journal with their key: Journal(url, codec=...)"
        return self.definition

    @property
    def definition(self) -> WorkflowDefinition | str:
        """The workflow as it is now, or why it is not at hand."""
        return self._definition

    @functools.cached_property
    def _definition(self) -> WorkflowDefinition | str:
        if self.workflow is not None:
            return self.workflow
        try:
            return find_workflow(self.row.workflow)
        except UnknownWorkflow:
            name = elide(repr(self.row.workflow), 44)
            return f"the workflow {name} is not imported here; import its module, or give workflow="
        except InvalidDefinition as error:
            return str(error)

    @property
    def reader(self) -> Reader | None:
        """The store that it was read from; None for a history by itself."""
        return self._reader

    @property
    def past(self) -> Past:
        """What can be read of its history, for the views of many runs."""
        return Past(self.id, self.row.workflow, self.history, len(self.damage))

    def commands(self) -> Frame:
        """Return one row per command; see `Journal.commands`."""
        return commands_frame([self.past])

    def records(self) -> Frame:
        """Return one row per record that can be read.

        The columns: `run`, `workflow`, `index`, `at`, `cause` (`resolved`, `attempt failed`, `signalled` ...),
        `command` (the id of the one that it answers), `name` (of a signal, a workflow, a worker), `attempt`, `value`,
        `failure`, `yielded` (how many commands followed) and `outcome`.
        """
        return records_frame([self.past])

    def refresh(self) -> Run:
        """Read the run again.

        Raises:
            UnknownRun: It is not there any more.
            StoreError: The store cannot be read.
        """
        return self if self._reader is None else read_run(self._reader, self.id, self.workflow)

    def timeline(
        self,
        *,
        fold: bool = True,
        rows: int = 40,
        width: float = 1100,
        critical: bool = False,
        now: datetime | None = None,
    ) -> Timeline:
        """Draw the run over time: a lane for each fiber, with its attempts, failures and waits.

        Args:
            fold: Whether long times in which nothing happened are drawn narrow.
            rows: How many lanes at most; a run of more shows how many fibers did what at once, and the worst lanes.
            width: Of the picture, in pixels; at least 480.
            critical: Whether the critical path is marked.
            now: Until when goes on what has not ended; None for the present.
        """
        return timeline_of(self, fold=fold, rows=rows, width=width, critical=critical, now=now)

    def at(self, where: Where) -> Moment:
        """Stand at a record: the workflow is replayed to it, with no effects, and shown with all its variables.

        Args:
            where: A record's index, negative from the end; a datetime, or a time as text such as `14:03:11` (in this
                computer's zone, on the first day on which the run has it) for the last record written by then; a
                command id such as `2.0.1` for the record that the command was yielded in, where its fiber stands at
                it; `failure` for where the run failed, or else a call, or an attempt, the last one.

        Returns:
            The moment. Where the code is gone, or has diverged from the history, or a record is damaged, it says so,
            and shows the last record that can be stood at.

        Raises:
            UsageError: There is no such record.
        """
        return moment_at(self, where)

    def step_through(self, at: Where | None = None, *, live: bool = False, height: int = 800) -> Any:
        """Step through the records: a slider, the source with the current line lit, the variables as they change.

        Left and right step, Home and End go to the ends; buttons jump to failures and to where a variable changed.

        Args:
            at: The record to begin with, as for `at`; None for the first one, and live for the last one.
            live: Whether it is a widget that asks this process for each record, for long runs and for such as go on;
                else a page that holds up to 500 records around `at` and works wherever HTML does, exported and offline.
            height: Of the page in a notebook, in pixels.

        Returns:
            A `Stepper`, or with `live` an `anywidget.AnyWidget` whose `step` may be read, set and observed.

        Raises:
            UsageError: There is no such record, or `live` without the package anywidget.
        """
        return live_stepper(self, at) if live else stepper_of(self, at, height=height)

    def critical_path(self, *, now: datetime | None = None) -> CriticalPath:
        """Find the one chain of commands that decided when the run ended, or that it is where it is.

        Args:
            now: Until when goes on what has not ended; None for the present.
        """
        return path_of(self, now)

    def imagined(self, history: Sequence[Transition], state: Mapping[str, Any]) -> Self:
        """Return this run with another history, one that no store holds.

        Args:
            history: The records, one at least.
            state: What the workflow has annotated.
        """
        row = msgspec.structs.replace(
            self.row,
            status=_STATUS.get(type(history[-1].outcome), Status.WAITING),
            length=len(history),
            due_us=None,
            owner=None,
            updated_us=microseconds(history[-1].at),
            attributes=ANY.encode(state) if state else b"",
            reason="",
            misfit=False,
        )
        return attrs.evolve(self, row=row, history=tuple(history), damage=(), messages=(), reader=None)

    def diff(self, other: Run | None = None, *, times: bool = False) -> Difference:
        """Compare this run with another one, command by command; or with what the code as it is now would do.

        Args:
            other: The other one; None for the code as it is now, which is given the answers that were recorded. Where
                it does not fit the history, the difference shows its divergence, too.
            times: Whether durations that differ much (twice as long, and a second at least) are differences, too.

        Raises:
            UsageError: There is no other one, and the workflow is not at hand, or the run has no records.
        """
        return against_code(self) if other is None else difference_of(self, other, times=times)

    def divergence(self) -> Divergence | None:
        """Replay the history against the code as it is now, and show where they part; None when it fits."""
        return divergence_of(self)

    def what_if(
        self,
        at: int,
        results: Mapping[str, Any] | None = None,
        *,
        signals: Mapping[str, Any] | None = None,
        known: Known | None = None,
    ) -> WhatIf[Any]:
        """Continue this run in memory from one of its records on, with other answers; nothing is called or stored.

        Args:
            at: The record up to which the run is taken over; negative from the end. Where an answer before it is
                changed, only what came before that one.
            results: What commands come to, by id: a value as the activity returns it, or an exception to fail with.
            signals: What signals carry that come after that, by name; one that was not recorded comes at once.
            known: What activities and children answer of which the history tells nothing, by function or name: a
                value, an exception, or a function that is called with the arguments.

        Raises:
            NondeterminismError: The records that are taken over do not fit the code as it is now.
            UndecodableHistory: A recorded value does not fit its declared type any more.
            NotEncodable: A result is not what its activity declares to return.
            UsageError: There is no such record, the workflow is not at hand, or a result belongs to a command that has
                none.
        """
        return what_if(self, at, results, signals=signals, known=known)

    def fork(self, *, at: int, results: Mapping[str, Any] | None = None, id: str | None = None) -> str:
        """Start a live run from the first records of this one: it is written to the store, and calls activities.

        The store is opened for writing, for as long as this takes. The next worker on it moves the new run.

        Args:
            at: How many records are taken over: those with index 0 to `at - 1`.
            results: Results of calls by command id: they replace recorded ones, and calls that wait are not made.
            id: The id of the new run; a random one by default.

        Returns:
            The id of the new run.

        Raises:
            NondeterminismError: The records do not fit the code as it is now; nothing was created.
            StoreError: The store cannot be opened for writing.
            RunExists: The id is taken by something else.
            UsageError: The run has not so many records, has ended with them, or a result belongs to no call.
        """
        return made_real(self, None, at, results or {}, id)

    def blocked(self, *, now: datetime | None = None) -> Blocked:
        """Tell what the run waits for, since when and at which line, and what would make it go on.

        Args:
            now: The time; None for the present.
        """
        return blocked_of([self], now)

    def html(self) -> Markup:
        """Show the run."""
        return run_html(self)

    def text(self) -> str:
        """Show the run as `interp show` does."""
        return run_text(self)


def diff(a: Run, b: Run | None = None, *, times: bool = False) -> Difference:
    """Compare two runs, or one with the code as it is now; arguments and errors as for `Run.diff`."""
    return a.diff(b, times=times)


def read_run(reader: Reader, run_id: str, workflow: Any = None) -> Run:
    """Read a run; what cannot be read of it is told in `damage`.

    Args:
        reader: The store.
        run_id: The run.
        workflow: Its workflow: the function or its definition; None to look it up by its name.

    Raises:
        UnknownRun: There is no such run.
        StoreError: The store cannot be read.
    """
    row = reader.run(run_id)
    if row is None:
        raise UnknownRun(run_id, reader.url)
    history, damage = read_history(reader, run_id)
    definition = workflow if workflow is None or isinstance(workflow, WorkflowDefinition) else workflow_of(workflow)
    return Run(row, history, damage, reader.inbox(run_id), reader.url, definition, reader)
