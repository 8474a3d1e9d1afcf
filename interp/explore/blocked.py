"""Everything that waits: on what, since when, at which line of the source, and what would make it go on.

The runs are read as everywhere here, and nothing is asked of a worker. What a signal must be is known where the code is
at hand: the history is then replayed in memory, without effects, up to the command that waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import attrs
import msgspec

from interp.commands import AwaitSignal
from interp.definitions import WorkflowDefinition
from interp.errors import UnknownRun
from interp.explore.markup import Markup, element, text
from interp.explore.run import Run, read_run
from interp.explore.quoting import Source
from interp.explore.view import View
from interp.frames import brief
from interp.outline.nodes import Node
from interp.outline.words import clean, count, elide, failure_line, heading, one_line, span
from interp.replay import replay
from interp.runtime.live import microseconds, moment
from interp.runtime.stores import hint
from interp.store import Attended, Reader, RunFilter, RunRow, Status

__all__ = ["Blocked", "BlockedGroup", "Wait", "blocked_in", "blocked_of", "quoted", "waits_of"]

# How many waits of one run are told one by one: thousands of fibers may wait for the same.
_MOST_WAITS = 200

# How many groups are shown, and how many runs of each are named.
_MOST_GROUPS = 50
_EXAMPLES = 3

# Values longer than this are cut.
_VALUE = 80

# Longer histories are not replayed to learn the type of a signal.
_REPLAYED = 20_000

_OPEN = frozenset(status for status in Status if not status.ended)


@attrs.frozen
class Wait:
    """Something that a run waits for.

    Attributes:
        run_id: The run.
        workflow: Its workflow.
        kind: `signal`, `request`, `timer`, `retry`, `call`, `child`, `send`, `worker` or `parked`.
        what: What it waits for.
        like: The same without what only this run has: what waits alike has the same.
        since: Since when.
        until: When it goes on by itself, or times out; None for never.
        command: The id of the command that waits; empty where the run as a whole does.
        where: `file:line` of the yield; empty where no command waits.
        source: That line, where the code is at hand and the recorded one.
        detail: What else is worth knowing: the type of the signal, why the last attempt failed, how the child stands.
        wakes: What makes it go on: when, who, or by which command line (between backquotes).
    """

    run_id: str
    workflow: str
    kind: str
    what: str
    like: str
    since: datetime
    until: datetime | None = None
    command: str = ""
    where: str = ""
    source: str = ""
    detail: str = ""
    wakes: str = ""


def waits_of(run: Run, now: datetime, alive: Mapping[str, bool] | None = None) -> list[Wait]:
    """List what a run waits for, in the order in which it began to; empty when it has ended.

    Args:
        run: The run.
        now: The time.
        alive: Which workers are alive, as far as the store knows; None to ask it.
    """
    row = run.row
    if row.status.ended:
        return []
    if row.status is Status.PARKED:
        return [_parked(run)]
    if row.status is Status.PENDING:
        return [_pending(run, now)]
    waiting = list(run.tree.waiting.values())[:_MOST_WAITS]
    if not waiting:
        return [_unattended(run)]
    types = _signal_types(run) if any(node.record.kind == "await_signal" for node in waiting) else {}
    alive = alive_in(run.reader, now) if alive is None else alive
    told = _Told(run, now, Source(run), types, alive)
    return [told.wait(node) for node in waiting]


def alive_in(reader: Reader | None, now: datetime) -> Mapping[str, bool]:
    """Return which workers are alive, by name, as far as a store tells."""
    known = reader.workers(microseconds(now)) if isinstance(reader, Attended) else ()
    return {worker.name: worker.is_alive for worker in known}


def _parked(run: Run) -> Wait:
    row = run.row
    reason = one_line(row.reason.partition("\n")[0]) or "no reason is recorded"
    by_itself = "a deploy that fits it, or " if row.misfit else ""
    return Wait(
        row.id,
        row.workflow,
        "parked",
        f"parked: {reason}",
        f"parked: {reason.replace(repr(row.id), '…').replace(row.id, '…')}",
        moment(row.updated_us),
        wakes=f"{by_itself}`{clean(hint('retry', row.id, store=run.store))}`, when the cause is mended",
    )


def _pending(run: Run, now: datetime) -> Wait:
    row = run.row
    due = None if row.due_us is None else moment(row.due_us)
    name = clean(row.workflow)
    if due is not None and due > now:
        wakes = f"in {span(due - now)}, if a worker has {name!r} then"
    else:
        wakes = f"a worker that has {name!r}: `{clean(hint('worker', 'MODULE', store=run.store))}`"
    what = "a worker to take it up"
    return Wait(row.id, row.workflow, "worker", what, what, moment(row.created_us), due, wakes=wakes)


def _unattended(run: Run) -> Wait:
    """Tell of a run of which no command waits: its worker has not come to it yet, or its records cannot be read."""
    row = run.row
    what = "a worker to go on with it" if not run.damage else "unknown: records of it cannot be read"
    wakes = f"worker {clean(row.owner)}" if row.owner is not None else "whichever worker claims it"
    return Wait(row.id, row.workflow, "worker", what, what, moment(row.updated_us), wakes=wakes)


@attrs.frozen
class _Told:
    """Puts the waits of one run into words."""

    run: Run
    now: datetime
    source: Source
    types: Mapping[str, str]
    alive: Mapping[str, bool]

    def wait(self, node: Node) -> Wait:
        record = node.record
        match record.kind:
            case "call" | "transact":
                kind, detail, wakes = self._call(node)
            case "await_signal":
                kind, detail, wakes = "signal", self.types.get(node.id, ""), self._signal(node)
            case "await_request":
                kind, detail = "request", ""
                wakes = f"`{clean(hint('ask', self.run.id, record.target, store=self.run.store))}`"
            case "child":
                kind, (detail, wakes) = "child", self._child(node)
            case "send":
                kind, detail, wakes = "send", "", self._worker("delivers it")
            case _:
                kind, detail, wakes = "timer", "", self._time(node.due)
        head, inside = heading(record, _VALUE)
        what = one_line(head if inside is None else f"{head}({elide(one_line(inside), _VALUE)})")
        row, due = self.run.row, node.due
        if kind == "call" and node.tries:
            since = node.tries[-1].retry_at or node.tries[-1].ended
        else:
            since = node.at
        like = one_line(f"{kind} {record.target}".rstrip()) if kind != "timer" else "timer"
        return Wait(
            row.id,
            row.workflow,
            kind,
            what,
            like,
            since,
            None if kind == "call" else due,
            command=node.id,
            where=clean(record.where),
            source=self.source.line(record.where),
            detail=detail,
            wakes=wakes,
        )

    def _call(self, node: Node) -> tuple[str, str, str]:
        failure = next((attempt.failure for attempt in reversed(node.tries) if attempt.failure), None)
        parts = [f"attempt {node.attempt}"] if node.attempt > 1 else []
        if failure is not None:
            parts.append(f"the last failure: {elide(failure_line(failure), _VALUE)}")
        elif node.tries:
            parts.append("a worker was lost")
        detail = "; ".join(parts)
        if node.due is not None and node.due > self.now:
            return "retry", detail, self._time(node.due)
        return "call", detail, self._worker("is at work on it")

    def _signal(self, node: Node) -> str:
        given = {"bool": "true", "str": "TEXT", "int": "NUMBER", "float": "NUMBER", "None": "null"}
        value = given.get(self.types.get(node.id, ""), "VALUE")
        command = clean(hint("signal", self.run.id, node.record.target, value, store=self.run.store))
        due = f", or its timeout {self._time(node.due)}" if node.due is not None else ""
        return f"`{command}`{due}"

    def _child(self, node: Node) -> tuple[str, str]:
        run_id = _child_id(node)
        row = self.run.reader.run(run_id) if self.run.reader is not None and run_id else None
        if row is None:
            return "there is no such run" if self.run.reader is not None else "", "its end"
        told = f"it is {row.status.value}" + (f": {one_line(row.reason.partition(_NEWLINE)[0])}" if row.reason else "")
        return elide(told, _VALUE), f"its end: `{clean(hint('show', run_id, store=self.run.store))}`"

    def _time(self, due: datetime | None) -> str:
        if due is None:
            return "unknown: what was recorded cannot be read"
        if due > self.now:
            return f"in {span(due - self.now)}"
        return f"a worker: its time came {span(self.now - due)} ago"

    def _worker(self, does: str) -> str:
        owner = self.run.row.owner
        if owner is None:
            return "a worker: none has the run"
        match self.alive.get(owner):
            case True:
                return f"worker {clean(owner)}, which is alive, {does}"
            case False:
                return f"another worker: {clean(owner)} is dead"
            case None:
                return f"worker {clean(owner)} {does}"


_NEWLINE = "\n"


def _child_id(node: Node) -> str:
    try:
        _, run_id, *_ = msgspec.json.decode(node.record.payload)
    except (msgspec.MsgspecError, ValueError, TypeError):
        return ""
    return run_id if isinstance(run_id, str) else ""


def _signal_types(run: Run) -> dict[str, str]:
    """Return the types of the signals that are awaited, by command id, as far as the code is at hand and fits."""
    definition = run.code
    if not isinstance(definition, WorkflowDefinition) or run.damage or not 0 < len(run.history) <= _REPLAYED:
        return {}
    try:
        interpreter = replay(definition, run.history, run_id=run.id).interpreter
    except Exception:  # noqa: BLE001  code that does not fit any more, or raises: the history is told without it
        return {}
    try:
        awaited = [issued for issued in interpreter.pending.values() if isinstance(issued.command, AwaitSignal)]
        return {issued.id: _type_name(cast("AwaitSignal[Any]", issued.command).type) for issued in awaited}
    finally:
        interpreter.close()


def _type_name(annotation: Any) -> str:
    if annotation is None:
        return ""
    if annotation is type(None):
        return "None"
    return annotation.__qualname__ if isinstance(annotation, type) else one_line(brief(annotation, 40))


# --- the report ---------------------------------------------------------------------------------


@attrs.frozen
class BlockedGroup:
    """Waits that are alike: of one workflow, at one line, for the same.

    Attributes:
        waits: They, the oldest first; never empty.
    """

    waits: tuple[Wait, ...]

    @property
    def oldest(self) -> Wait:
        """The wait that began first."""
        return self.waits[0]

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs, the one that has waited longest first."""
        return tuple(dict.fromkeys(wait.run_id for wait in self.waits))


@attrs.frozen(eq=False, repr=False)
class Blocked(View):
    """What waits, grouped; see `blocked_in`.

    Attributes:
        groups: What waits alike, the longest waiting first.
        now: The time for which it is told.
        runs: How many open runs were looked at.
        more: How many open runs were not, because there are more than was asked for.
    """

    groups: tuple[BlockedGroup, ...]
    now: datetime
    runs: int
    more: int = 0

    def __repr__(self) -> str:
        """Say how much waits."""
        return f"<blocked: {self._sum()}>"

    def _sum(self) -> str:
        waits = sum(len(group.waits) for group in self.groups)
        of_all = f" of the {count(self.runs + self.more, 'open run')}" if self.more else ""
        return f"{count(self.runs, 'run')}{of_all}, {count(waits, 'wait')} in {count(len(self.groups), 'group')}"

    def text(self) -> str:
        """Show what waits, two to four lines for each group."""
        if not self.groups:
            return "nothing waits"
        lines = [self._sum()]
        for group in self.groups[:_MOST_GROUPS]:
            lines += ["", *_group_lines(group, self.now)]
        if len(self.groups) > _MOST_GROUPS:
            lines += ["", f"… and {count(len(self.groups) - _MOST_GROUPS, 'more group')}"]
        return "\n".join(elide(line, 120) for line in lines)

    def html(self) -> Markup:
        """Show what waits as a table, one row for each group."""
        if not self.groups:
            return element("p", "Nothing waits.", class_="dim")
        heads = ("runs", "waits for", "workflow and line", "since", "until", "what makes it go on")
        rows = [_group_row(group, self.now) for group in self.groups[:_MOST_GROUPS]]
        rest = len(self.groups) - _MOST_GROUPS
        return element(
            "div",
            element("p", self._sum(), class_="dim"),
            element(
                "table",
                element("thead", element("tr", [element("th", head, scope="col") for head in heads])),
                element("tbody", rows),
                class_="blocked",
            ),
            element("p", f"… and {count(rest, 'more group')}", class_="dim") if rest > 0 else None,
        )


def _group_lines(group: BlockedGroup, now: datetime) -> list[str]:
    oldest = group.oldest
    runs = group.runs
    what = oldest.what if len(group.waits) == 1 else oldest.like
    lines = [
        f"{_number(group)}{clean(oldest.workflow)}  {what}{_detail(oldest)}  {_since(group, now)}{_until(group, now)}"
    ]
    if oldest.where:
        lines.append(f"      at {oldest.where}" + (f"  {oldest.source}" if oldest.source else ""))
    lines.append(f"      wakes: {oldest.wakes}")
    more = f" and {len(runs) - _EXAMPLES:,} more" if len(runs) > _EXAMPLES else ""
    lines.append(f"      {'run' if len(runs) == 1 else 'runs'} {', '.join(map(clean, runs[:_EXAMPLES]))}{more}")
    return lines


def _number(group: BlockedGroup) -> str:
    return f"{len(group.waits):>4,}× " if len(group.waits) > 1 else "      "


def _detail(wait: Wait) -> str:
    return f" ({wait.detail})" if wait.detail else ""


def _since(group: BlockedGroup, now: datetime) -> str:
    return f"for {span(now - group.oldest.since)}"


def _until(group: BlockedGroup, now: datetime) -> str:
    until = min((wait.until for wait in group.waits if wait.until is not None), default=None)
    if until is None:
        return ""
    return f", until {'in ' + span(until - now) if until > now else 'now'}"


def _group_row(group: BlockedGroup, now: datetime) -> Markup:
    oldest, runs = group.oldest, group.runs
    more = f" and {len(runs) - _EXAMPLES:,} more" if len(runs) > _EXAMPLES else ""
    what = oldest.what if len(group.waits) == 1 else oldest.like
    return element(
        "tr",
        element(
            "td",
            element("div", f"{len(group.waits):,}×", class_="many") if len(group.waits) > 1 else None,
            element("code", ", ".join(runs[:_EXAMPLES])),
            element("span", more, class_="dim"),
        ),
        element("td", element("code", what), element("div", oldest.detail, class_="dim") if oldest.detail else None),
        element("td", oldest.workflow, *_place(oldest)),
        element("td", span(now - oldest.since), class_="num"),
        element("td", _until(group, now).removeprefix(", until "), class_="num"),
        element("td", quoted(oldest.wakes)),
    )


def _place(wait: Wait) -> list[Markup]:
    place = [element("div", wait.where, class_="dim mono")] if wait.where else []
    return [*place, element("div", element("code", wait.source))] if wait.source else place


def quoted(told: str) -> list[Markup]:
    """Write a sentence in which what stands between backquotes is code."""
    return [element("code", part) if place % 2 else text(part) for place, part in enumerate(told.split("`"))]


def blocked_of(runs: Iterable[Run], now: datetime | None = None, more: int = 0) -> Blocked:
    """Tell what some runs wait for.

    Args:
        runs: The runs.
        now: The time; None for now.
        more: How many others there are.
    """
    now = now or datetime.now(UTC)
    found: dict[tuple[str, str, str], list[Wait]] = {}
    number = 0
    alive: Mapping[str, bool] | None = None
    for run in runs:
        alive = alive_in(run.reader, now) if alive is None else alive
        number += not run.row.status.ended
        for wait in waits_of(run, now, alive):
            found.setdefault((wait.workflow, wait.where, wait.like), []).append(wait)
    groups = [BlockedGroup(tuple(sorted(waits, key=_age))) for waits in found.values()]
    groups.sort(key=lambda group: _age(group.oldest))
    return Blocked(tuple(groups), now, number, more)


def _age(wait: Wait) -> datetime:
    return wait.since


def blocked_in(
    reader: Reader, where: RunFilter | None = None, *, limit: int = 1_000, now: datetime | None = None
) -> Blocked:
    """Tell what the open runs of a store wait for; where there are more than the limit, those that are oldest.

    Args:
        reader: The store.
        where: Which runs; None for all. Those that have ended are left out.
        limit: How many runs are read at most.
        now: The time; None for now.

    Raises:
        StoreError: The store cannot be read.
    """
    where = where or RunFilter()
    rows = reader.runs(attrs.evolve(where, statuses=(where.statuses or _OPEN) & _OPEN, limit=None))
    return blocked_of(_existing(reader, rows[:limit]), now, max(len(rows) - limit, 0))


def _existing(reader: Reader, rows: Sequence[RunRow]) -> Iterator[Run]:
    for row in rows:
        try:
            yield read_run(reader, row.id)
        except UnknownRun:  # it has gone since the list was read
            continue
