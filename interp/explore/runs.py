"""Many runs: listed without their histories, and the door to all views of several runs.

A listing is what the store keeps of each run beside its journal: it costs the same for a run of ten records and for one
of ten thousand. Histories are read one at a time, by the views that need them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, overload

import attrs

from interp.definitions import WorkflowDefinition, find_workflow
from interp.errors import InterpError, InvalidDefinition, UnknownRun, UnknownWorkflow
from interp.explore.blocked import Blocked, blocked_of
from interp.explore.commands import Past, commands_frame, records_frame
from interp.explore.concurrency import Concurrency, concurrency_of
from interp.explore.failing import Failures, failures_of
from interp.explore.finding import Query, found
from interp.explore.frames import Frame, Kind
from interp.explore.latency import Latency, latency_of
from interp.explore.markup import Markup, element
from interp.explore.path_map import PathMap, path_map_of
from interp.explore.run import Run, read_run
from interp.explore.slowest import Slowest, slowest_of
from interp.explore.view import View
from interp.explore.ways import ways_of
from interp.outline.answers import wait_line
from interp.outline.words import clean, count, elide, one_line, recorded, span, stamp
from interp.runtime.live import moment
from interp.store import Reader, RunRow, Status

__all__ = ["Runs", "runs_of"]

# Runs that are shown, and the records that are read to tell what they wait for: a page of runs of ten thousand records
# each must not take a minute.
_SHOWN = 50
_RECORDS = 20_000

_ID = 40
_CELL = 60


@attrs.frozen
class _Line:
    """One run of the table, in words."""

    row: RunRow
    started: str
    took: str
    waits: str
    attributes: str


@attrs.frozen(eq=False, repr=False)
class Runs(View):
    """Some runs of a journal, as they were when they were listed.

    `len(runs)`, `for run in runs` and `runs[0]`; `runs["order-7"]` by its id, and `runs[:10]` are several again. It is
    no `collections.abc.Sequence`: polars would then read every history instead of the Arrow stream.

    Attributes:
        rows: As the store lists them.
        query: What was asked for.
        is_cut: Whether there are more than the limit.
    """

    rows: tuple[RunRow, ...]
    query: Query
    is_cut: bool
    _reader: Reader

    def __len__(self) -> int:
        """Return how many runs there are."""
        return len(self.rows)

    @overload
    def __getitem__(self, which: int | str) -> Run: ...
    @overload
    def __getitem__(self, which: slice) -> Runs: ...
    def __getitem__(self, which: int | str | slice) -> Run | Runs:
        """Read a run by its place or its id; a slice is some of the runs.

        Raises:
            UnknownRun: It is not among these.
            IndexError: There are not so many.
        """
        if isinstance(which, slice):
            return attrs.evolve(self, rows=self.rows[which])
        if isinstance(which, str):
            if all(row.id != which for row in self.rows):
                raise UnknownRun(which, f"these {count(len(self), 'run')} of {self._reader.url}")
            return read_run(self._reader, which)
        return read_run(self._reader, self.rows[which].id)

    def __iter__(self) -> Iterator[Run]:
        """Read the runs one after the other; those that are gone by then are left out."""
        for row in self.rows:
            try:
                yield read_run(self._reader, row.id)
            except UnknownRun:
                continue

    def __contains__(self, run_id: object) -> bool:
        """Tell whether a run is among them, by its id."""
        return any(row.id == run_id for row in self.rows)

    def __repr__(self) -> str:
        """Say on one line how many there are."""
        return f"<{count(len(self), 'run')} of {self._reader.url}>"

    @property
    def url(self) -> str:
        """Where they are: the URL of the store, or the path of the file."""
        return self._reader.url

    @property
    def ids(self) -> tuple[str, ...]:
        """The run ids, in order."""
        return tuple(row.id for row in self.rows)

    def refresh(self) -> Runs:
        """List again what was asked for; a slice becomes whole.

        Raises:
            StoreError: The store cannot be read.
        """
        return runs_of(self._reader, self.query)

    def blocked(self, *, now: datetime | None = None) -> Blocked:
        """Tell what waits in these runs, grouped by workflow, line and what is waited for, the longest waiting first.

        The histories of those that have not ended are read.

        Args:
            now: The time; None for the present.
        """
        unended = attrs.evolve(self, rows=tuple(row for row in self.rows if not row.status.ended))
        return blocked_of(unended, now, is_cut=self.is_cut)

    # As a table.

    def frame(self) -> Frame:
        """Return one row per run: what the store lists, without reading histories.

        The columns: `run`, `workflow`, `status`, `created_at`, `updated_at`, `took_s` (from the creation to the last
        record, of those that have ended), `records`, `due_at`, `worker`, `attributes` (JSON) and `reason` (of a parked
        run).
        """
        rows = self.rows
        return Frame(
            {
                "run": (Kind.TEXT, (row.id for row in rows)),
                "workflow": (Kind.TEXT, (row.workflow for row in rows)),
                "status": (Kind.TEXT, (row.status.value for row in rows)),
                "created_at": (Kind.MOMENT, (moment(row.created_us) for row in rows)),
                "updated_at": (Kind.MOMENT, (moment(row.updated_us) for row in rows)),
                "took_s": (Kind.NUMBER, (_took_s(row) for row in rows)),
                "records": (Kind.WHOLE, (row.length for row in rows)),
                "due_at": (Kind.MOMENT, (_due(row) for row in rows)),
                "worker": (Kind.TEXT, (row.owner for row in rows)),
                "attributes": (Kind.TEXT, (row.attributes.decode("utf-8", "replace") or None for row in rows)),
                "reason": (Kind.TEXT, (row.reason or None for row in rows)),
            },
            noun="run",
        )

    def to_pandas(self) -> Any:
        """Return `frame()` as a `pandas.DataFrame`."""
        return self.frame().to_pandas()

    def to_polars(self) -> Any:
        """Return `frame()` as a `polars.DataFrame`."""
        return self.frame().to_polars()

    def to_arrow(self) -> Any:
        """Return `frame()` as a `pyarrow.Table`."""
        return self.frame().to_arrow()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """Give `frame()` as an Arrow stream."""
        return self.frame().__arrow_c_stream__(requested_schema)

    # Their histories, read one at a time.

    def pasts(self) -> Iterator[Past]:
        """Read the histories one after the other."""
        return (run.past for run in self)

    def commands(self) -> Frame:
        """Return one row per command of all of them; see `Journal.commands`."""
        return commands_frame(self.pasts())

    def records(self) -> Frame:
        """Return one row per record of all of them; see `Run.records`."""
        return records_frame(self.pasts())

    def latency(self, by: str = "target") -> Latency:
        """Show how long calls took: a row for each activity, with a small histogram; the most work first.

        Args:
            by: A column of `commands()` that the calls are grouped by: `target`, `workflow`, `where`, `run` ...

        Raises:
            UsageError: There is no such column.
        """
        return latency_of(self.commands(), runs=len(self), title=self._title(), by=by)

    def concurrency(self, by: Literal["activity", "status"] = "activity") -> Concurrency:
        """Show how many calls and runs there were at once, over time.

        Args:
            by: `activity` for calls at work; `status` for all calls by what they did: at work, queued, waiting to try
                again, or their worker was lost.

        Raises:
            UsageError: It is something else.
        """
        return concurrency_of(self.pasts(), title=self._title(), by=by)

    def slowest(self, number: int = 20, by: str = "total_s") -> Slowest:
        """Show the slowest calls, and what they spent their time on.

        Args:
            number: How many.
            by: `total_s` (from the yield to the answer), `took_s` (the attempt that gave it), `queued_s`, `worked_s`.

        Raises:
            UsageError: It is something else.
        """
        return slowest_of(self.commands(), number, runs=len(self), by=by)

    def failures(self) -> Failures:
        """Show what failed, by type, activity and shape of message: those that ended runs first."""
        return failures_of(self.pasts(), len(self))

    def path_map(self) -> PathMap:
        """Show the yields of their workflow as a graph: how often each was reached, how long it took, what failed.

        Where the workflow is imported, and is the one that the runs were recorded with, the yields that none of them
        reached are shown, too.
        """
        return path_map_of(ways_of(self.pasts(), self._definition()), self._title())

    def _definition(self) -> WorkflowDefinition | None:
        """Return the workflow of the runs as it is now, if they are of one and it is at hand."""
        names = {row.workflow for row in self.rows}
        try:
            return find_workflow(names.pop()) if len(names) == 1 else None
        except (UnknownWorkflow, InvalidDefinition):
            return None

    def _title(self) -> str:
        names = dict.fromkeys(row.workflow for row in self.rows)
        return ", ".join([*names][:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") or "no runs"

    # How they show themselves.

    def html(self) -> Markup:
        """Show the newest of them as a table."""
        if not self.rows:
            return element("p", self._foot(), class_="dim")
        lines = list(self._lines())
        names = ["status", "run", "workflow", "started", "took", "records"]
        names += ["waits for"] * any(line.waits for line in lines)
        names += ["attributes"] * any(line.attributes for line in lines)
        head = element("tr", *(element("th", name, scope="col", class_=_NUMBERS.get(name)) for name in names))
        body = [element("tr", *(cells[name] for name in names)) for cells in map(_html_cells, lines)]
        return element(
            "div",
            element("table", element("thead", head), element("tbody", *body)),
            element("p", self._foot(), class_="dim", style="margin: 2px 0"),
        )

    def text(self) -> str:
        """Show the newest of them as a table."""
        if not self.rows:
            return self._foot()
        names = ("run", "workflow", "status", "started", "took", "records", "waits for")
        cells = [
            (
                elide(clean(line.row.id), 30),
                elide(clean(line.row.workflow), 20),
                line.row.status.value,
                line.started,
                line.took,
                f"{line.row.length:,}",
                line.waits,
            )
            for line in self._lines()
        ]
        widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
                for cell, width, name in zip(line, widths, names, strict=True)
            )
            for line in (names, *cells)
        ]
        return "\n".join([*(elide(line.rstrip(), 120) for line in lines), self._foot()])

    def _foot(self) -> str:
        if not self.rows:
            return f"no such runs in {self._reader.url}"
        more = f"… {len(self) - _SHOWN:,} more; " if len(self) > _SHOWN else ""
        kept = "newest" if self.query.newest else "oldest"
        cut = f", the {kept} of more: limit=None lists all" if self.is_cut else ""
        return f"{more}{count(len(self), 'run')} in {self._reader.url}{cut}; times in UTC"

    def _lines(self) -> Iterator[_Line]:
        now = datetime.now(UTC)
        left = _RECORDS
        for row in self.rows[:_SHOWN]:
            is_read = row.status in _TELLING and row.length <= left
            left -= row.length if is_read else 0
            took = _took_s(row)
            yield _Line(
                row,
                stamp(moment(row.created_us), UTC),
                span(timedelta(seconds=took)) if took is not None else f"{span(now - moment(row.created_us))} …",
                self._waits(row, now) if is_read else _known(row, now),
                recorded(row.attributes, _CELL) if row.attributes else "",
            )

    def _waits(self, row: RunRow, now: datetime) -> str:
        """Say what a run waits for, by its history."""
        try:
            tree = read_run(self._reader, row.id).tree
        except InterpError:  # the journal was closed, or the run has gone: what is listed is still shown
            return _known(row, now)
        if tree.outcome is not None or not tree.waiting:
            return _known(row, now)
        first, *others = tree.waiting.values()
        what, until = wait_line(first, now)
        more = f" +{len(others):,}" if others else ""
        return f"{elide(what, _CELL - 20)}{', ' if until else ''}{until}{more}"


_NUMBERS = {"took": "num", "records": "num"}

# Statuses of runs whose histories tell what they wait for.
_TELLING = frozenset({Status.RUNNING, Status.WAITING})


def _known(row: RunRow, now: datetime) -> str:
    """Say what the row alone tells."""
    match row.status:
        case Status.PARKED:
            return elide(one_line(row.reason.partition("\n")[0]), _CELL)
        case Status.PENDING:
            return "a worker"
        case Status.WAITING if (due := _due(row)) is not None and due > now:
            return f"a time, in {span(due - now, is_rough=True)}"
        case _:
            return ""


def _due(row: RunRow) -> datetime | None:
    try:
        return None if row.due_us is None else moment(row.due_us)
    except OverflowError:  # further away than the calendar goes
        return None


def _took_s(row: RunRow) -> float | None:
    """Return how long an ended run took."""
    return (row.updated_us - row.created_us) / 1e6 if row.status.ended else None


def _html_cells(line: _Line) -> dict[str, Markup]:
    row = line.row
    pill = element("span", row.status.value, class_=f"pill {row.status.value}")
    name = element("code", elide(clean(row.id), _ID), title=elide(clean(row.id), 400))
    return {
        "status": element("td", pill),
        "run": element("td", name),
        "workflow": element("td", elide(clean(row.workflow), _ID)),
        "started": element("td", line.started, style="white-space: nowrap"),
        "took": element("td", line.took, class_="num", style="white-space: nowrap"),
        "records": element("td", f"{row.length:,}", class_="num"),
        "waits for": element("td", line.waits),
        "attributes": element("td", element("code", line.attributes) if line.attributes else None),
    }


def runs_of(reader: Reader, query: Query) -> Runs:
    """List the runs that are asked for.

    Args:
        reader: The store.
        query: Which ones.

    Raises:
        UsageError: No run and no workflow has such a name.
        StoreError: The store cannot be read.
    """
    rows, is_cut = found(reader, query)
    return Runs(tuple(rows), query, is_cut, reader)
