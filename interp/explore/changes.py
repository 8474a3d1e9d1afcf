"""What has changed between two moments of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import attrs

from interp.events import Rejected, Resolved, Transition
from interp.explore.cards import CARD_STYLE
from interp.explore.markup import Markup, element
from interp.explore.names import called
from interp.explore.scenes import FiberAt, Scene
from interp.explore.view import View
from interp.outline.happened import happened
from interp.outline.words import count, elide, span

__all__ = ["Changes", "VariableChange", "changes_between"]

# How many lines of one kind are shown, and how wide a value is.
_LISTED = 20
_VALUE = 70


@attrs.frozen
class VariableChange:
    """A variable that is not what it was.

    Attributes:
        fiber: Its id; empty for the root.
        function: Name of the function that has the variable.
        name: Its name.
        old: What it was, as text; None for nothing.
        new: What it is; None where it is gone.
    """

    fiber: str
    function: str
    name: str
    old: str | None
    new: str | None


@attrs.frozen(eq=False, repr=False)
class Changes(View):
    """What has changed between two moments, the earlier and the later one as they were given.

    Attributes:
        old: The record of the first moment.
        new: The record of the second one.
        took: The time between them, in words; empty when the first is the later one.
        variables: Of fibers that are there in both.
        begun: Fibers that are there in the second one only.
        ended: Fibers that are there in the first one only.
        issued: Commands that wait in the second one only: id and words.
        answered: Commands that wait in the first one only: id and what came of it.
        state: What was annotated: name, old, new.
        arrived: Signals in the mailbox of the second one only.
        taken: Signals in the mailbox of the first one only.
        records: What happened in the records between, in words.
        outcome: How the run has ended in between; empty when it has not.
        names: What the fibers of the run are called, by id.
    """

    old: int
    new: int
    took: str
    variables: tuple[VariableChange, ...]
    begun: tuple[FiberAt, ...]
    ended: tuple[FiberAt, ...]
    issued: tuple[tuple[str, str], ...]
    answered: tuple[tuple[str, str], ...]
    state: tuple[tuple[str, str | None, str | None], ...]
    arrived: tuple[tuple[str, str], ...]
    taken: tuple[tuple[str, str], ...]
    records: tuple[str, ...]
    outcome: str = ""
    names: Mapping[str, str] = attrs.field(factory=dict[str, str])

    def __bool__(self) -> bool:
        """Tell whether anything has changed."""
        return any(len(rows) for _, _, rows in self._tables())

    def _tables(self) -> list[tuple[str, tuple[str, ...], list[tuple[str | None, ...]]]]:
        """Give each kind of change: its title, its columns and its rows. None stands for nothing."""
        return [
            (
                "variables",
                ("fiber", "variable", "old", "new"),
                [
                    (self._called(each.fiber), f"{each.function}.{each.name}", each.old, each.new)
                    for each in self.variables
                ],
            ),
            ("fibers that began", ("fiber", "which", "waits for"), [self._fiber(fiber) for fiber in self.begun]),
            ("fibers that ended", ("fiber", "which", "waited for"), [self._fiber(fiber) for fiber in self.ended]),
            ("commands answered", ("command", "what came of it"), list(self.answered)),
            ("commands issued", ("command", "what"), list(self.issued)),
            ("annotated", ("name", "old", "new"), list(self.state)),
            ("came into the mailbox", ("signal", "payload"), list(self.arrived)),
            ("taken from the mailbox", ("signal", "payload"), list(self.taken)),
            ("outcome", ("",), [(self.outcome,)] if self.outcome else []),
        ]

    def _called(self, fiber_id: str) -> str:
        name, its_id = called(fiber_id, self.names)
        return f"{name} {its_id.removeprefix('fiber ')}".rstrip()

    def _fiber(self, fiber: FiberAt) -> tuple[str, ...]:
        return self._called(fiber.id), fiber.label, fiber.waits

    def __repr__(self) -> str:
        """Say on one line what it is."""
        return f"<changes from record {self.old} to {self.new}: {count(len(self.variables), 'variable')}>"

    def _title(self) -> str:
        between = f", {self.took} later" if self.took else ""
        return f"record {self.old} → record {self.new}{between}"

    def html(self) -> Markup:
        """Show the changes as tables."""
        parts: list[Markup] = [Markup(f"<style>{CARD_STYLE}</style>"), element("h3", self._title(), class_="at-title")]
        if len(self.records) == 1:
            parts.append(element("div", element("code", self.records[0])))
        elif self.records:
            listed = element("ul", [element("li", element("code", told)) for told in self.records[:_LISTED]])
            more = f"… and {len(self.records) - _LISTED:,} more" if len(self.records) > _LISTED else None
            parts.append(element("details", element("summary", f"{len(self.records):,} records between"), listed, more))
        for title, columns, rows in self._tables():
            if rows:
                parts.append(_table(title, columns, rows))
        if not self:
            parts.append(element("p", "nothing has changed", class_="dim"))
        return element("div", parts)

    def text(self) -> str:
        """Show the changes as lines."""
        lines = [self._title()]
        lines += [f"  {elide(told, 116)}" for told in self.records[:_LISTED]]
        if len(self.records) > _LISTED:
            lines.append(f"  … and {len(self.records) - _LISTED:,} more")
        for title, columns, rows in self._tables():
            if rows:
                lines += ["", f"{title} ({len(rows):,})" if len(rows) > 1 else title]
                lines += [elide(line, 120) for line in _lines(columns, rows[:_LISTED])]
            if len(rows) > _LISTED:
                lines.append(f"  … and {len(rows) - _LISTED:,} more")
        return "\n".join(lines if self else [*lines, "nothing has changed"])


def _lines(columns: Sequence[str], rows: Sequence[tuple[str | None, ...]]) -> Iterable[str]:
    changes = columns[-2:] == ("old", "new")
    heads = len(columns) - 2 if changes else len(columns) - 1
    widths = [max(len(row[at] or "") for row in rows) for at in range(heads)]
    for row in rows:
        head = "  ".join((row[at] or "").ljust(widths[at]) for at in range(heads))
        if changes:
            yield f"  {head}  {elide(row[-2] or '–', _VALUE // 2 + 5)}  →  {elide(row[-1] or '–', _VALUE)}"
        else:
            yield f"  {head}  {row[-1] or ''}" if heads else f"  {row[-1]}"


def _table(title: str, columns: Sequence[str], rows: Sequence[tuple[str | None, ...]]) -> Markup:
    heads = element("tr", [element("th", name, scope="col") for name in columns])
    drawn = [
        element("tr", [_cell(text, name) for text, name in zip(row, columns, strict=True)]) for row in rows[:_LISTED]
    ]
    if len(rows) > _LISTED:
        more = f"… and {len(rows) - _LISTED:,} more"
        drawn.append(element("tr", element("td", more, class_="dim", colspan=len(columns))))
    table = element("table", element("thead", heads) if any(columns) else None, element("tbody", drawn))
    number = element("span", f" {len(rows):,}", class_="dim") if len(rows) > 1 else None
    return element("section", element("h4", title, number), table, class_="at-changes")


def _cell(text: str | None, column: str) -> Markup:
    told = element("span", "–", class_="dim") if text is None else element("code", elide(text, _VALUE))
    return element("td", told, class_=f"at-{column}" if column in ("old", "new") else None)


Stood = tuple[int, datetime, Scene]


def changes_between(history: Sequence[Transition], names: Mapping[str, str], one: Stood, two: Stood) -> Changes:
    """Compare two moments of a run.

    Args:
        history: The records of the run.
        names: What its fibers are called, by id.
        one: A record, when it was written, and where the run stood.
        two: Another one; may be earlier.
    """
    (first, begun, old), (second, ended, new) = one, two
    between = [each for each in history if min(first, second) < each.index <= max(first, second)]
    commands = {command.id: command for transition in history for command in transition.commands}
    answers = {
        each.cause.id: happened(each, commands, 60)[1]
        for each in between
        if isinstance(each.cause, (Resolved, Rejected))
    }
    were, are = {fiber.id: fiber for fiber in old.fibers}, {fiber.id: fiber for fiber in new.fibers}
    waited, waits = {each.id: each for each in old.pending}, {each.id: each for each in new.pending}
    return Changes(
        first,
        second,
        span(ended - begun) if second >= first else "",
        tuple(_variables(were, are)),
        tuple(fiber for fiber in new.fibers if fiber.id not in were),
        tuple(fiber for fiber in old.fibers if fiber.id not in are),
        tuple((each.id, each.what) for each in new.pending if each.id not in waited),
        tuple((each.id, answers.get(each.id, each.what)) for each in old.pending if each.id not in waits),
        tuple(
            (name, old.state.get(name), new.state.get(name))
            for name in dict.fromkeys([*old.state, *new.state])
            if old.state.get(name) != new.state.get(name)
        ),
        tuple(_without(new.mailbox, old.mailbox)),
        tuple(_without(old.mailbox, new.mailbox)),
        tuple(f"{each.index}: {happened(each, commands, 60)[1]}" for each in between),
        new.outcome if new.outcome != old.outcome else "",
        names,
    )


def _variables(were: Mapping[str, FiberAt], are: Mapping[str, FiberAt]) -> Iterable[VariableChange]:
    for fiber_id, fiber in are.items():
        before = were.get(fiber_id)
        if before is None or before is fiber:
            continue
        for depth in range(max(len(fiber.frames), len(before.frames))):
            then = before.frames[depth] if depth < len(before.frames) else None
            now = fiber.frames[depth] if depth < len(fiber.frames) else None
            # Another function in the same place has variables of its own: all of one are gone, all of the other new.
            if then is not None and now is not None and then.function == now.function:
                yield from _locals(fiber_id, now.name, then.local, now.local)
                continue
            if then is not None:
                yield from _locals(fiber_id, then.name, then.local, {})
            if now is not None:
                yield from _locals(fiber_id, now.name, {}, now.local)


def _locals(fiber: str, function: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterable[VariableChange]:
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield VariableChange(fiber, function, name, old.get(name), new.get(name))


def _without(these: Sequence[tuple[str, str]], those: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what is in the one list and not in the other, each as often as it is more."""
    left = list(those)
    result: list[tuple[str, str]] = []
    for each in these:
        if each in left:
            left.remove(each)
        else:
            result.append(each)
    return result
