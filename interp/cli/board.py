"""What `interp top` knows and shows: read by glances at the store, drawn for a screen of any size.

A glance reads rows up to a bound, and counts say so when there are more; histories are read of some of the runs that
come first, and once. In a store of 100,000 runs, 1,000 of them open, it takes some 60 ms.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from interp.cli.history import tree_in
from interp.errors import InterpError
from interp.outline.answers import wait_line
from interp.outline.words import clean, count, elide, one_line, span
from interp.runtime.live import microseconds, moment
from interp.store import Attended, Reader, RunFilter, RunRow, Status, WorkerRow
from interp.terminal import status_text

__all__ = ["SORTS", "Board", "Glance", "board", "glance"]

# Rows that a glance reads: of open runs (the oldest ones), and of the newest runs.
_OPEN = 2_000
_NEWEST = 300

# Histories that a glance reads to tell what runs wait for, and the records of one that is read for it.
_TOLD = 40
_RECORDS = 2_000

# How long rates look back.
_RATE = timedelta(seconds=10)

# Failures and workers that are listed.
_FAILURES = 3
_WORKERS = 4

_OPEN_STATUSES = frozenset(status for status in Status if not status.ended)

SORTS = ("interest", "newest", "oldest", "records", "updated")
"""The orders in which runs can be listed."""

_INTEREST = {
    Status.PARKED: 0,
    Status.FAILED: 1,
    Status.RUNNING: 2,
    Status.PENDING: 3,
    Status.WAITING: 4,
    Status.CANCELLED: 5,
    Status.COMPLETED: 6,
}


@attrs.frozen
class Glance:
    """The store at one moment.

    Attributes:
        at: When.
        rows: Runs: open ones and the newest, by id.
        is_cut: Whether there are more open ones.
        workers: The workers; None where the store does not tell.
        waits: What runs wait for, by run id: text, and since when.
    """

    at: datetime
    rows: Mapping[str, RunRow]
    is_cut: bool
    workers: tuple[WorkerRow, ...] | None
    waits: Mapping[str, tuple[str, datetime]]


def glance(reader: Reader, now: datetime, before: Glance | None = None) -> Glance:
    """Look at a store.

    Args:
        reader: The store.
        now: The time.
        before: The glance before: the histories of runs that have not changed since are not read again.

    Raises:
        StoreError: The store cannot be read.
    """
    is_open = reader.runs(RunFilter(_OPEN_STATUSES, limit=_OPEN + 1))
    newest = reader.runs(RunFilter(limit=_NEWEST, newest=True))
    rows = {row.id: row for row in [*is_open[:_OPEN], *newest]}
    attended: object = reader  # what a store can besides is not seen from its type
    workers = attended.workers(microseconds(now)) if isinstance(attended, Attended) else None
    waits: dict[str, tuple[str, datetime]] = {}
    left = _TOLD
    for row in ordered(rows.values(), "interest"):
        if row.status.ended:
            continue
        if before is not None and row.id in before.waits and before.rows.get(row.id) == row:
            waits[row.id] = before.waits[row.id]
        elif left and (told := _wait(reader, row, now)) is not None:
            left -= 1
            waits[row.id] = told
    return Glance(now, rows, len(is_open) > _OPEN, workers, waits)


def _wait(reader: Reader, row: RunRow, now: datetime) -> tuple[str, datetime] | None:
    if row.status is Status.PARKED:
        return one_line(row.reason.partition("\n")[0]), moment(row.updated_us)
    if row.status is Status.PENDING:
        return "a worker", moment(row.created_us)
    if row.length > _RECORDS:
        return f"({count(row.length, 'record')}: enter shows it)", moment(row.updated_us)
    try:
        tree = tree_in(reader, row.id)
    except InterpError:  # damaged, or gone since
        return None
    if not tree.waiting:
        return None
    first, *others = tree.waiting.values()
    more = f" +{len(others):,}" if others else ""
    return f"{wait_line(first, now)[0]}{more}", first.at


def ordered(rows: Iterable[RunRow], sort: str) -> list[RunRow]:
    """Return runs in an order of `SORTS`."""
    keys: dict[str, Callable[[RunRow], Any]] = {
        "interest": lambda row: (_INTEREST[row.status], -row.updated_us),
        "newest": lambda row: -row.created_us,
        "oldest": lambda row: (row.status.ended, row.created_us),
        "records": lambda row: -row.length,
        "updated": lambda row: -row.updated_us,
    }
    return sorted(rows, key=keys[sort])


@attrs.define
class Board:
    """What is shown: the glances of late, and what the person chose.

    Attributes:
        store: URL of the store.
        glances: Those of the last seconds, the newest last.
        sort: The order of the runs.
        query: Only runs whose id, workflow or status holds this.
        selected: The run that is selected; empty for the first.
        paused: Whether nothing is read.
        typing: Whether keys go into the query.
        trouble: Why the last glance failed; empty when it did not.
    """

    store: str
    glances: deque[Glance] = attrs.field(factory=deque[Glance])
    sort: str = "interest"
    query: str = ""
    selected: str = ""
    paused: bool = False
    typing: bool = False
    trouble: str = ""

    @property
    def last(self) -> Glance | None:
        """The newest glance."""
        return self.glances[-1] if self.glances else None

    def add(self, seen: Glance) -> None:
        """Take in a glance, and forget those that are too old for rates."""
        self.glances.append(seen)
        while len(self.glances) > 2 and seen.at - self.glances[0].at > _RATE:
            self.glances.popleft()

    def listed(self) -> list[RunRow]:
        """Return the runs that are listed, in order."""
        if self.last is None:
            return []
        wanted = self.query.lower()
        rows = [
            row
            for row in self.last.rows.values()
            if not wanted or any(wanted in word.lower() for word in (row.id, row.workflow, row.status.value))
        ]
        return ordered(rows, self.sort)

    def place(self, rows: Sequence[RunRow]) -> int:
        """Return which of the listed runs is selected; 0 when it is not among them."""
        return next((place for place, row in enumerate(rows) if row.id == self.selected), 0)

    def move(self, by: int) -> None:
        """Select another run."""
        rows = self.listed()
        if rows:
            self.selected = rows[min(max(self.place(rows) + by, 0), len(rows) - 1)].id

    def rates(self) -> tuple[float, float] | None:
        """Return runs that were created and records that were written per second; None when it is not known yet."""
        if len(self.glances) < 2:
            return None
        first, last = self.glances[0], self.glances[-1]
        seconds = (last.at - first.at).total_seconds()
        if seconds <= 0:
            return None
        since_us = microseconds(first.at)
        new = sum(row.created_us > since_us for row in last.rows.values())
        records = 0
        for row in last.rows.values():
            before = first.rows.get(row.id)
            grown = row.length - (before.length if before is not None else 0)
            if before is not None or row.created_us > since_us:
                records += max(grown, 0)
        return new / seconds, records / seconds


def board(shown: Board, width: int, height: int, now: datetime, *, is_live: bool = True) -> RenderableType:
    """Draw the board for a screen.

    Args:
        shown: What is shown.
        width: Columns.
        height: Lines.
        now: The time.
        is_live: Whether keys do something: else nothing is said of them, and nothing is selected.
    """
    seen = shown.last
    if seen is None:
        return Text(shown.trouble or f"looking at {clean(shown.store)} …")
    head = [_title(shown, now), _counts(seen), *_rates(shown, seen), *_oldest(seen, now), *_failures(seen, now)]
    foot = _foot(shown)
    rows = shown.listed()
    room = max(height - len(head) - 4, 1)
    place = shown.place(rows)
    first = min(max(place - room // 2, 0), max(len(rows) - room, 0))
    table = _table(rows[first : first + room], seen, rows[place].id if rows and is_live else "", width, now)
    lines: list[RenderableType] = [*(_fitted(line, width) for line in head), Text(""), table]
    if not is_live:
        return Group(*lines)
    missing = height - len(head) - 3 - min(len(rows), room)
    lines += [Text("")] * max(missing, 0)
    return Group(*lines, _fitted(foot, width))


def _fitted(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    line.no_wrap = True
    return line


def _title(shown: Board, now: datetime) -> Text:
    state = ("  paused", "bold magenta") if shown.paused else ("", "")
    trouble = (f"  {elide(one_line(shown.trouble), 80)}", "bold red") if shown.trouble else ("", "")
    return Text.assemble(("interp top", "bold"), "  ", clean(shown.store), f"  {now:%H:%M:%S} UTC", state, trouble)


def _counts(seen: Glance) -> Text:
    number = Counter(row.status for row in seen.rows.values())
    line = Text()
    for status in Status:
        line.append(f"{number[status]:,}{'+' if seen.is_cut and not status.ended else ''} ", "bold")
        line.append_text(status_text(status) if number[status] else Text(status.value, "dim")).append("   ")
    line.append(f"open, and of the newest {_NEWEST}", "dim")
    return line


def _rates(shown: Board, seen: Glance) -> list[Text]:
    rates = shown.rates()
    told = "runs/s …   records/s …" if rates is None else f"{rates[0]:,.1f} runs/s   {rates[1]:,.1f} records/s"
    line = Text(told)
    if seen.workers is None:
        return [line]
    alive = [worker for worker in seen.workers if worker.is_alive]
    line.append(f"   {count(len(alive), 'worker')} alive", "" if alive else "bold red")
    for worker in sorted(alive, key=lambda worker: -worker.runs)[:_WORKERS]:
        line.append(f"  {clean(worker.name)} ", "dim").append(count(worker.runs, "run"))
    if len(alive) > _WORKERS:
        line.append(f"  … {len(alive) - _WORKERS} more", "dim")
    dead = [worker for worker in seen.workers if not worker.is_alive and worker.runs]
    if dead:
        line.append(
            f"  {count(len(dead), 'worker')} gone, with {count(sum(each.runs for each in dead), 'run')}", "magenta"
        )
    return [line]


def _oldest(seen: Glance, now: datetime) -> list[Text]:
    if not seen.waits:
        return []
    run_id, (what, since) = min(seen.waits.items(), key=lambda item: item[1][1])
    return [
        Text.assemble(
            ("waits longest  ", "dim"), clean(run_id), "  ", what, (f"  for {span(now - since)}", "bold cyan")
        )
    ]


def _failures(seen: Glance, now: datetime) -> list[Text]:
    failed = [row for row in ordered(seen.rows.values(), "updated") if row.status in (Status.FAILED, Status.PARKED)]
    return [
        Text.assemble(
            (f"{row.status.value}  " if row.status is Status.PARKED else "failed  ", "red"),
            f"{clean(row.id)}  {clean(row.workflow)}",
            (f"  {span(now - moment(row.updated_us), is_rough=True)} ago", "dim"),
            f"  {one_line(row.reason.partition(_LINE)[0])}" if row.reason else "",
        )
        for row in failed[:_FAILURES]
    ]


_LINE = "\n"


def _table(rows: Sequence[RunRow], seen: Glance, selected: str, width: int, now: datetime) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", width=width)
    table.add_column("run", no_wrap=True, overflow="ellipsis", max_width=max(width // 4, 12))
    table.add_column("workflow", no_wrap=True, overflow="ellipsis", max_width=max(width // 6, 10))
    table.add_column("status", no_wrap=True, min_width=9)
    table.add_column("records", justify="right", no_wrap=True)
    table.add_column("age", justify="right", no_wrap=True)
    table.add_column("waits for", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        what = seen.waits.get(row.id, ("", None))[0]
        age = span(now - moment(row.created_us), is_rough=True)
        mark = "▸ " if row.id == selected else "  "
        table.add_row(
            f"{mark}{clean(row.id)}",
            clean(row.workflow),
            status_text(row.status),
            f"{row.length:,}",
            age,
            what,
            style="reverse" if row.id == selected else "",
        )
    return table


def _foot(shown: Board) -> Text:
    if shown.typing:
        return Text.assemble(("/", "bold"), shown.query, ("▏", "bold"), ("  enter keeps, esc drops the filter", "dim"))
    chosen = f"  filter {shown.query!r}" if shown.query else ""
    line = Text(f"sorted by {shown.sort}{chosen}   ", "dim")
    for key, does in (
        ("q", "quit"),
        ("↑↓", "select"),
        ("enter", "open"),
        ("/", "filter"),
        ("s", "sort"),
        ("p", "pause"),
    ):
        line.append(key, "bold").append(f" {does}  ", "dim")
    return line
