"""A tree as rows of text: what is shown, in which order, and what is counted instead of shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import Enum

import attrs

from interp.events import Outgrown, Retried, WorkerLost
from interp.outline.answers import answer, remark
from interp.outline.nodes import Happening, Node, State, Try
from interp.outline.tree import Tree
from interp.outline.words import clean, count, failure_line, heading, long_history, one_line, span

__all__ = ["Item", "Limits", "Row", "Tone", "items_of", "rows_of"]


class Tone(Enum):
    """What a row tells, which decides on its mark and colour."""

    DONE = "done"
    FAILED = "failed"
    WAITS = "waits"
    WITHDRAWN = "withdrawn"
    GROUP = "group"
    TRY = "try"
    EVENT = "event"
    MORE = "more"
    TEXT = "text"


@attrs.frozen
class Row:
    """One line of the tree. The view may cut `inside` and `answer` to fit.

    Attributes:
        tone: What it tells.
        guide: The lines of the tree on its left.
        id: The command id, or empty.
        head: What it is.
        inside: The arguments of a call, for parentheses behind the head; None without.
        answer: What came of it.
        tail: What the view must not cut from the end of the answer.
        at: When.
        took: How long.
        where: `file:line` of the yield.
    """

    tone: Tone
    guide: str = ""
    id: str = ""
    head: str = ""
    inside: str | None = None
    answer: str = ""
    tail: str = ""
    at: datetime | None = None
    took: timedelta | None = None
    where: str = ""


@attrs.frozen
class Item:
    """One entry of a tree that is laid out, and what is below it.

    Attributes:
        row: What it says; its guide is empty.
        node: The command, if it is one.
        notes: Its attempts, and its traceback; their guides are what they are indented by.
        branches: Of a group, the fibers that are shown.
        more: Of a group, what is counted instead of shown; empty for nothing.
    """

    row: Row
    node: Node | None = None
    notes: tuple[Row, ...] = ()
    branches: tuple[list[Item], ...] = ()
    more: str = ""


@attrs.frozen
class Limits:
    """How much is shown of what is alike.

    Attributes:
        branches: Branches of one group. Beyond it the first finished ones are shown, and those at work or failed.
        commands: Commands of one fiber. Beyond it the first and the last ones are shown, and as many that failed or are
            at work.
        tracebacks: Whether failed calls show theirs.
        rows: Commands and groups of the whole tree. Beyond it branches are counted, and none is shown.
        value: Characters of a value.
    """

    branches: int = 10
    commands: int = 40
    tracebacks: bool = False
    rows: int = 400
    value: int = 2_000

    @classmethod
    def none(cls) -> Limits:
        """Show everything."""
        return cls(branches=1 << 40, commands=1 << 40, tracebacks=True, rows=1 << 40, value=1 << 40)


# What is kept of a list that is too long: at its beginning, and (commands of a fiber) at its end.
_FIRST = 3
_LAST = 12

_STATES = {
    State.WAITS: Tone.WAITS,
    State.DONE: Tone.DONE,
    State.FAILED: Tone.FAILED,
    State.TIMED_OUT: Tone.FAILED,
    State.WITHDRAWN: Tone.WITHDRAWN,
}


def rows_of(tree: Tree, now: datetime, limits: Limits, fiber: str = "") -> list[Row]:
    """Lay a tree out, line by line.

    Args:
        tree: The history.
        now: The time, for what still waits.
        limits: How much of it.
        fiber: A fiber or command id to show alone, with what is below it.
    """
    return list(_flat(items_of(tree, now, limits, fiber), ""))


def items_of(tree: Tree, now: datetime, limits: Limits, fiber: str = "") -> list[Item]:
    """Lay a tree out, nested; arguments as for `rows_of`."""
    layout = _Layout(tree, now, limits, limits.rows)
    if fiber in tree.groups:
        return [layout.group(fiber)]
    if fiber in tree.nodes and fiber not in tree.fibers:
        return [layout.command(tree.nodes[fiber])]
    return layout.fiber(fiber)


def _flat(items: Iterable[Item], guide: str, first: str | None = None) -> Iterator[Row]:
    """Give the rows of items; the first one gets the guide `first`, which ties it to its group."""
    for item in items:
        yield attrs.evolve(item.row, guide=guide if first is None else first)
        for row in item.notes:
            yield attrs.evolve(row, guide=guide + row.guide)
        for branch in item.branches:
            is_last = branch is item.branches[-1] and not item.more
            yield from _flat(branch, guide + ("   " if is_last else "│  "), guide + ("└─ " if is_last else "├─ "))
        if item.more:
            yield Row(Tone.MORE, f"{guide}└─ ", head=item.more)
        first = None


@attrs.define
class _Layout:
    """Walks a tree from the root down."""

    tree: Tree
    now: datetime
    limits: Limits
    left: int

    def fiber(self, fiber: str) -> list[Item]:
        """Give what is shown of one fiber."""
        return [self._item(part) for part in self._kept(self._parts(fiber))]

    def _item(self, part: Node | Happening | str | list[Node]) -> Item:
        self.left -= 1
        if isinstance(part, Node):
            return self.command(part)
        if isinstance(part, Happening):
            return Item(_happened(part))
        if isinstance(part, str):
            return self.group(part)
        return Item(Row(Tone.MORE, head=_summary(part)))

    def command(self, node: Node) -> Item:
        """Give one command, with the attempts that it took."""
        head, inside = heading(node.record, self.limits.value)
        is_instant = node.record.kind in ("annotate", "patched", "emit", "reply") or node.early is not None
        row = Row(
            _STATES[node.state],
            "",
            node.id if node.record.kind != "patched" else "",
            one_line(head),
            None if inside is None else one_line(inside),
            answer(node, self.now, is_open=self.tree.outcome is None, width=self.limits.value),
            remark(node),
            node.at,
            None if is_instant else (node.ended or self.now) - node.at,
            node.record.where,
        )
        shown, more = node.tries[: self.limits.commands], len(node.tries) - self.limits.commands
        notes = [_tried(attempt, self.limits.value) for attempt in shown]
        if more > 0:
            notes.append(Row(Tone.MORE, "  ", head=f"… {count(more, 'more attempt')}"))
        if self.limits.tracebacks and node.failure is not None:
            notes += [Row(Tone.TEXT, "    ", head=clean(line)) for line in node.failure.traceback.splitlines()]
        return Item(row, node, tuple(notes))

    def group(self, group: str) -> Item:
        """Give a gather, race or spawn: its headline, and its fibers as branches."""
        branches = self.tree.groups[group]
        nodes = {branch: list(self._below(branch)) for branch in branches}
        everything = [node for below in nodes.values() for node in below]
        at_work = sum(any(node.state is State.WAITS for node in below) for below in nodes.values())
        begun = min(node.at for node in everything)
        ended = self.now if at_work else max(node.ended or node.at for node in everything)
        done = len(branches) - at_work
        row = Row(
            Tone.GROUP,
            "",
            group,
            count(len(branches), "branch", "branches"),
            answer=f"{done} ended, {at_work} at work" if at_work and done else "at work" if at_work else "ended",
            at=begun,
            took=ended - begun,
        )
        kept = self._kept_branches(branches, nodes) if self.left > 0 else []
        hidden = [node for branch in branches if branch not in kept for node in nodes[branch]]
        number = len(branches) - len(kept)
        noun = ("more branch", "more branches") if kept else ("branch", "branches")
        more = f"… {count(number, *noun)}: {_states(hidden)}" if hidden else ""
        return Item(row, None, (), tuple([self.fiber(branch) for branch in kept]), more)

    # What is kept.

    def _parts(self, fiber: str) -> list[Node | Happening | str]:
        """Return what a fiber consists of, in order: commands, groups, and (the root) what happened to the run."""
        groups = list(self.tree.owned.get(fiber, ()))
        parts: list[Node | Happening | str] = []
        for node in [*self.tree.fibers.get(fiber, []), None]:
            while groups and self._comes_before(groups[0], node):
                parts.append(groups.pop(0))
            if node is not None:
                parts.append(node)
        for happening in self.tree.happenings if fiber == "" else ():
            later = (place for place, part in enumerate(parts) if self._begun(part) >= happening.at)
            parts.insert(next(later, len(parts)), happening)
        return parts

    def _begun(self, part: Node | Happening | str) -> datetime:
        return next(self._below(part)).at if isinstance(part, str) else part.at

    def _comes_before(self, group: str, node: Node | None) -> bool:
        """Tell whether a group was started before a command of the same fiber; None stands for the fiber's end."""
        if node is None:
            return True
        if node.record.kind == "patched":  # it has no number
            return next(self._below(group)).at < node.at
        return int(group.rpartition(".")[2]) < int(node.id.rpartition(".")[2])

    def _kept(self, parts: list[Node | Happening | str]) -> Iterator[Node | Happening | str | list[Node]]:
        """Give the parts that are shown, and lists of commands that are counted instead."""
        if len(parts) <= self.limits.commands:
            yield from parts
            return
        hidden: list[Node] = []
        left = self.limits.commands
        for place, part in enumerate(parts):
            nodes = [part] if isinstance(part, Node) else list(self._below(part)) if isinstance(part, str) else []
            if _FIRST <= place < len(parts) - _LAST:
                if nodes and (left <= 0 or all(map(_is_calm, nodes))):
                    hidden += nodes
                    continue
                left -= 1
            if hidden:
                yield hidden
                hidden = []
            yield part
        assert not hidden  # the last part is always shown

    def _kept_branches(self, branches: list[str], nodes: dict[str, list[Node]]) -> list[str]:
        if len(branches) <= self.limits.branches:
            return branches
        finished = {branch for branch in branches if all(_is_calm(node) for node in nodes[branch])}
        kept = set([branch for branch in branches if branch in finished][:_FIRST])
        kept |= set([branch for branch in branches if branch not in finished][: self.limits.branches])
        return [branch for branch in branches if branch in kept]

    def _below(self, part: str) -> Iterator[Node]:
        """Give all commands of a fiber or group, at any depth."""
        yield from self.tree.fibers.get(part, ())
        for fiber in self.tree.groups.get(part, ()):
            yield from self._below(fiber)
        if part in self.tree.fibers:
            for group in self.tree.owned.get(part, ()):
                yield from self._below(group)


def _is_calm(node: Node) -> bool:
    return node.state in (State.DONE, State.WITHDRAWN)


def _tried(attempt: Try, width: int) -> Row:
    if attempt.failure is None:
        answer = "outcome unknown: its worker was lost"
        return Row(Tone.TRY, "  ", head=f"attempt {attempt.number}", answer=answer, at=attempt.ended)
    pause = f"; again after {span(attempt.retry_at - attempt.ended)}" if attempt.retry_at else ""
    return Row(
        Tone.TRY,
        "  ",
        head=f"attempt {attempt.number}",
        answer=failure_line(attempt.failure, width),
        tail=pause,
        at=attempt.begun or attempt.ended,
        took=attempt.ended - attempt.begun if attempt.begun else None,
    )


def _happened(happening: Happening) -> Row:
    event = happening.event
    if isinstance(event, WorkerLost):
        taken = f"; {event.successor} took over" if event.successor else ""
        return Row(Tone.EVENT, head="worker lost", answer=one_line(f"{event.worker}{taken}"), at=happening.at)
    if isinstance(event, Retried):
        return Row(Tone.EVENT, head="retried after", answer=failure_line(event.failure, 2_000), at=happening.at)
    if isinstance(event, Outgrown):
        return Row(Tone.EVENT, head="long history", answer=long_history(event), at=happening.at)
    return Row(Tone.EVENT, head="cancellation asked for", answer=one_line(event.reason), at=happening.at)


def _summary(nodes: list[Node]) -> str:
    more = f"… {count(len(nodes), 'more command')}"
    if not all(map(_is_calm, nodes)):
        return f"{more}: {_states(nodes)}"
    tries = sum(len(node.tries) for node in nodes)
    withdrawn = _in(State.WITHDRAWN, nodes)
    states = f": {len(nodes) - withdrawn:,} done, {withdrawn:,} withdrawn" if withdrawn else ", all done"
    return more + states + (f", {count(tries, 'retry', 'retries')}" if tries else "")


def _states(nodes: Iterable[Node]) -> str:
    """Count commands by what became of them."""
    nodes = list(nodes)
    states = [f"{count(number, 'command')} {state.value}" for state in State if (number := _in(state, nodes))]
    tries = sum(len(node.tries) for node in nodes)
    return ", ".join(states) + (f", {count(tries, 'retry', 'retries')}" if tries else "")


def _in(state: State, nodes: list[Node]) -> int:
    return sum(node.state is state for node in nodes)
