"""A moment of a run: what happened in one record, and where the workflow then stood, with all its variables."""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, overload

import attrs

from interp.errors import UsageError
from interp.events import Record, Transition
from interp.explore.cards import CARD_STYLE, cards_html, cards_text, changed_in, in_columns
from interp.explore.changes import Changes, changes_between
from interp.explore.frames import Frame, Kind
from interp.explore.markup import Markup, element, table
from interp.explore.names import called
from interp.explore.places import Lived, Where, index_of, length_of, record_of
from interp.explore.scenes import FiberAt, Pending, Scene, scene_by_records
from interp.explore.staleness import Staleness
from interp.explore.standing import Standing, standing
from interp.explore.supposing import Known
from interp.explore.values import shown
from interp.explore.view import View
from interp.explore.what_if import WhatIf, what_if
from interp.outline.happened import News, happened
from interp.outline.tree import Tree
from interp.outline.words import count, elide, one_line, span, stamp
from interp.runtime.live import moment

__all__ = ["Fibers", "Moment", "moment_at", "moments"]

# How many of the commands that wait are listed, and of the signals in the mailbox.
_LISTED = 12

_MARKS: dict[News, str] = {"good": "✓", "bad": "✗", "wait": "◆", "odd": "●"}

_ATOMS = (str, int, float, bool, bytes, type(None))


@attrs.frozen(eq=False, repr=False, slots=False)  # for cached properties
class Moment(View):
    """A run as it stood when one of its records had been written.

    Attributes:
        run: The run.
        index: The record.
        wanted: The record that was asked for; another one than `index` where that cannot be stood at.
        at: When the record was written.
        news: Whether it is good news, bad, comes from outside, or is about the run as a whole.
        happened: What the record tells, in words.
        scene: Where the run stood, as text.
        before: Where it stood one record earlier; None when nobody knows.
        trouble: Why the workflow cannot be stood at the record asked for; empty when it can.
        warning: What makes the source doubtful; empty for nothing.
    """

    run: Lived
    index: int
    wanted: int
    at: datetime
    news: News
    happened: str
    scene: Scene
    before: Scene | None = None
    trouble: str = ""
    warning: str = ""

    @property
    def fibers(self) -> Fibers:
        """The fibers that had not ended, the root first; called with a function's name, a table of their variables."""
        return Fibers(self)

    @property
    def pending(self) -> tuple[Pending, ...]:
        """The commands that waited for an answer, oldest first."""
        return self.scene.pending

    @property
    def state(self) -> Mapping[str, str]:
        """What the workflow had annotated, as text."""
        return self.scene.state

    @property
    def mailbox(self) -> tuple[tuple[str, str], ...]:
        """The signals that nobody had taken yet: name and payload, as text."""
        return self.scene.mailbox

    @property
    def outcome(self) -> str:
        """How the run had ended, in words; empty while it went on."""
        return self.scene.outcome

    @property
    def changed(self) -> tuple[str, ...]:
        """The variables that this record has changed: `function.variable` each."""
        if self.before is None:
            return ()
        earlier = {fiber.id: fiber for fiber in self.before.fibers}
        found: dict[str, None] = {}
        for fiber in self.scene.fibers:
            old = earlier.get(fiber.id)
            if old is None or old is fiber:
                continue
            for frame, names in zip(fiber.frames, changed_in(fiber, old), strict=False):
                found.update(dict.fromkeys(f"{frame.name}.{name}" for name in frame.local if name in names))
        return tuple(found)

    def __getitem__(self, name: str) -> Any:
        """Return a copy of a variable of the workflow: of the innermost function that it stands in and that has it.

        What cannot be copied, such as a generator, is returned as text.

        Args:
            name: The variable.

        Raises:
            KeyError: There is no such variable, or the workflow is not at hand; says which variables there are.
        """
        return self.variable(name)

    def variable(self, name: str, fiber: str = "") -> Any:
        """Return a copy of a variable of a fiber, as `moment[name]` does for the root.

        Args:
            name: The variable.
            fiber: Id of the fiber, such as `2.0`; empty for the root.

        Raises:
            KeyError: There is no such variable or fiber.
        """
        at = next((each for each in self.scene.fibers if each.id == fiber), None)
        if at is None:
            raise KeyError(self._no_fiber(fiber))
        depth = next((depth for depth in reversed(range(len(at.frames))) if name in at.frames[depth].local), None)
        if depth is None:
            there = "; ".join(f"{frame.name}: {', '.join(frame.local) or 'none'}" for frame in reversed(at.frames))
            raise KeyError(f"no variable {name!r} at record {self.index}; there are: {there}")
        with self.standing() as stood:
            return _copied(stood.frames(fiber)[depth].local[name])

    def _no_fiber(self, fiber: str) -> str:
        if not self.scene.fibers:
            return f"no variables at record {self.index}: {self.trouble or self.outcome or 'nothing runs'}"
        there = ", ".join(each.id or "'' (the root)" for each in self.scene.fibers[:_LISTED])
        return f"no fiber {fiber!r} at record {self.index}; there are {there}"

    @contextmanager
    def standing(self) -> Generator[Standing]:
        """Stand here again, with the live objects: nothing of them may be kept or changed."""
        code = self.run.code
        assert not isinstance(code, str), "without code there are no fibers to look at"
        with standing(self.run.id, code, self.run.history) as stood:
            stood.go(self.index)
            yield stood

    def what_if(
        self,
        results: Mapping[str, Any] | None = None,
        *,
        signals: Mapping[str, Any] | None = None,
        known: Known | None = None,
    ) -> WhatIf[Any]:
        """Continue the run in memory from here on with other answers; arguments and errors as for `Run.what_if`."""
        return what_if(self.run, self.index, results, signals=signals, known=known)

    def diff(self, other: Moment | Where) -> Changes:
        """Say what has changed between this moment and another one of the same run.

        Args:
            other: The moment, or which one, as for `Run.at`.

        Raises:
            UsageError: There is no such record, or the other moment is of another run.
        """
        there = other if isinstance(other, Moment) else moment_at(self.run, other)
        if there.run.id != self.run.id:
            raise UsageError(f"a moment of run {there.run.id!r} is of another run than {self.run.id!r}")
        return changes_between(
            self.run.history,
            self.run.fiber_names,
            (self.index, self.at, self.scene),
            (there.index, there.at, there.scene),
        )

    def __repr__(self) -> str:
        """Say on one line which moment it is."""
        return f"<record {self.index} of run {self.run.id!r}: {elide(self.happened, 80)}>"

    # Shown.

    def html(self) -> Markup:
        """Show the moment as cards."""
        return element("div", Markup(f"<style>{CARD_STYLE}</style>"), self.head_html(), self.body_html())

    def head_html(self) -> Markup:
        """Show what happened, without the cards."""
        begun = self.run.history[0].at if self.run.history else self.at
        mark = element("span", f"{_MARKS[self.news]} ", class_=self.news, aria_hidden="true")
        return element(
            "div",
            element(
                "h3",
                f"record {self.index}",
                element("span", f"of {length_of(self.run) - 1}", class_="dim"),
                element("span", f"+{span(self.at - begun)} · {stamp(self.at, None)}", class_="dim at-when"),
                class_="at-title",
            ),
            element("div", mark, element("code", self.happened), class_="at-happened"),
            self._notes(),
        )

    def _notes(self) -> list[Markup]:
        notes: list[Markup] = []
        if self.trouble:
            title = element("b", self._trouble_title())
            notes.append(element("div", title, element("pre", self.trouble), class_="at-note bad", role="note"))
        if self.warning:
            notes.append(element("div", f"⚠ {self.warning}", class_="at-note", role="note"))
        if self.outcome:
            word = self.outcome.partition(" ")[0].rstrip(":")
            notes.append(element("div", element("code", self.outcome), class_="good" if word == "completed" else "bad"))
        return notes

    def _trouble_title(self) -> str:
        if self.wanted == self.index:
            return f"What record {self.index} tells without the workflow's code"
        return f"Record {self.wanted} cannot be stood at; this is record {self.index}, the last one that can"

    def body_html(self) -> Markup:
        """Show the cards, and what waits."""
        return element("div", in_columns(self.cards()), self.rest_html())

    def cards(self) -> tuple[list[Markup], list[Markup]]:
        """Show each place at which fibers stand as a card, in two columns."""
        return cards_html(self.scene, self.before, self.run.fiber_names)

    def rest_html(self) -> Markup:
        """Show the state, the mailbox and the commands that wait."""
        parts: list[Markup | None] = []
        if self.state:
            told = [f"{name}={text}" for name, text in self.state.items()]
            parts.append(_facts("annotated", told))
        if self.mailbox:
            told = [f"{one_line(name)}: {text}" for name, text in self.mailbox]
            parts.append(_facts("in the mailbox", told))
        if self.pending:
            rows = [
                element(
                    "tr",
                    element("th", element("code", each.id), scope="row"),
                    element("td", element("code", each.what)),
                    element("td", _since(each, self.at), class_="dim"),
                    element("td", each.until, class_="dim"),
                )
                for each in self.pending[:_LISTED]
            ]
            if len(self.pending) > _LISTED:
                rest = f"… and {len(self.pending) - _LISTED:,} more: moment.pending"
                rows.append(element("tr", element("td", rest, class_="dim", colspan=4)))
            title = element("summary", f"{count(len(self.pending), 'command')} waiting")
            heads = ("id", "command", "since", "until")
            parts.append(element("details", title, table(heads, rows)))
        return element("div", parts, class_="at-rest")

    def text(self) -> str:
        """Show the moment as text."""
        begun = self.run.history[0].at if self.run.history else self.at
        lines = [
            f"record {self.index} of {length_of(self.run) - 1}  +{span(self.at - begun)}  {stamp(self.at, None)}",
            elide(f"{_MARKS[self.news]} {self.happened}", 120),
        ]
        if self.trouble:
            lines += [f"! {self._trouble_title()}", *(f"  {line}" for line in self.trouble.splitlines())]
        if self.warning:
            lines.append(f"! {self.warning}")
        if self.outcome:
            lines.append(elide(self.outcome, 120))
        lines += cards_text(self.scene, self.before, self.run.fiber_names)
        if self.state:
            lines += ["", elide("annotated: " + ", ".join(f"{name}={text}" for name, text in self.state.items()), 120)]
        lines += [elide(f"in the mailbox: {one_line(name)}: {text}", 120) for name, text in self.mailbox[:_LISTED]]
        if not self.scene.fibers and self.pending:
            lines += ["", f"{count(len(self.pending), 'command')} waiting"]
            lines += [
                elide(f"  {each.id}  {each.what}  since {_since(each, self.at)}", 120)
                for each in self.pending[:_LISTED]
            ]
        return "\n".join(lines)


def _since(pending: Pending, now: datetime) -> str:
    """Say when a command was yielded: the time alone within a day. It stays the same from one record to the next."""
    if pending.since is None:
        return ""
    since = stamp(pending.since, None)
    return since if now - pending.since >= timedelta(days=1) else since.partition(" ")[2]


def _facts(title: str, facts: Sequence[str]) -> Markup:
    listed: list[Markup] = [element("code", fact) for fact in facts[:_LISTED]]
    more = f" … and {len(facts) - _LISTED} more" if len(facts) > _LISTED else ""
    spaced = [part for fact in listed for part in (" ", fact)]
    return element("div", element("span", title, class_="dim"), spaced, more, class_="at-facts")


def _copied(value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001  a generator, a lock, or a class that refuses
        return shown(value, 1000)


class Fibers(View, Sequence[FiberAt]):
    """The fibers of a moment, in order of their ids; called with the name of a function, a table of their variables."""

    def __init__(self, moment: Moment) -> None:
        """Look at the fibers of a moment."""
        self._moment = moment

    @overload
    def __getitem__(self, index: int) -> FiberAt: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[FiberAt]: ...

    def __getitem__(self, index: int | slice) -> FiberAt | Sequence[FiberAt]:
        """Return a fiber by its position, from 0."""
        return self._moment.scene.fibers[index]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._moment.scene.fibers)

    def __repr__(self) -> str:
        """Say on one line what it is."""
        return f"<{count(len(self), 'fiber')} at record {self._moment.index}>"

    def __call__(self, function: str = "") -> Frame:
        """Return the variables of the fibers of one function as a table: one row per fiber.

        Args:
            function: Name of the function that they began with; empty for all fibers.

        Returns:
            Columns `fiber`, `line`, `waits_for`, `until`, then the variables of that function; where a variable holds
            plain values of one type these, else text.

        Raises:
            UsageError: No fiber began with a function of that name.
        """
        moment = self._moment
        chosen = [
            fiber for fiber in self if fiber.frames and function in ("", fiber.function, fiber.frames[0].function)
        ]
        if not chosen and function:
            there = ", ".join(dict.fromkeys(fiber.function for fiber in self if fiber.frames)) or "no functions"
            raise UsageError(f"no fiber of {function!r} at record {moment.index}; there are {there}")
        columns: dict[str, tuple[Kind, Any]] = {
            "fiber": (Kind.TEXT, [fiber.id for fiber in chosen]),
            "line": (Kind.WHOLE, [fiber.frames[-1].line for fiber in chosen]),
            "waits_for": (Kind.TEXT, [fiber.waits for fiber in chosen]),
            "until": (Kind.TEXT, [fiber.until for fiber in chosen]),
        }
        with moment.standing() as stood:
            tables = [_outermost(stood, fiber) for fiber in chosen]
        for name in dict.fromkeys(name for each in tables for name in each):
            columns[name if name not in columns else f"{name}_"] = _column([each.get(name) for each in tables])
        return Frame(columns, noun="fiber")

    def text(self) -> str:
        """Show the fibers as lines."""
        lines: list[str] = []
        for fiber in self[: 3 * _LISTED]:
            place = fiber.frames[-1].place if fiber.frames else ""
            told = (*called(fiber.id, self._moment.run.fiber_names), fiber.label, place, fiber.waits)
            lines.append(elide("  ".join(filter(None, dict.fromkeys(told))), 120))
        return "\n".join([*lines, *([f"… and {len(self) - len(lines):,} more"] if len(self) > len(lines) else [])])

    def html(self) -> Markup:
        """Show the fibers as cards."""
        cards = in_columns(self._moment.cards())
        return element("div", Markup(f"<style>{CARD_STYLE}</style>"), cards)


def _outermost(stood: Standing, fiber: FiberAt) -> dict[str, Any]:
    frames = stood.frames(fiber.id)
    return (
        {name: value if type(value) in _ATOMS else shown(value, 1000) for name, value in frames[0].local.items()}
        if frames
        else {}
    )


_KINDS: dict[type, Kind] = {int: Kind.WHOLE, bool: Kind.TRUTH, float: Kind.NUMBER, str: Kind.TEXT}


def _column(values: list[Any]) -> tuple[Kind, list[Any]]:
    kinds: set[type] = {type(value) for value in values if value is not None}
    kind = _KINDS.get(next(iter(kinds)), Kind.TEXT) if len(kinds) == 1 else Kind.TEXT
    if kind is Kind.WHOLE and any(value is not None and abs(value) >= 1 << 63 for value in values):
        kind = Kind.TEXT
    if kind is not Kind.TEXT:
        return kind, values
    return kind, [value if value is None or type(value) is str else shown(value, 1000) for value in values]


# How moments are made.


def moment_at(run: Lived, where: Where) -> Moment:
    """Stand at a record; see `Run.at`."""
    index = index_of(run, where)
    return next(moments(run, index, index))


def moments(run: Lived, first: int, last: int) -> Iterator[Moment]:
    """Give the moments of several records, one after the other, each at little more than the cost of one step.

    Args:
        run: The run.
        first: The first record.
        last: The last record.
    """
    observer = _Observer(run)
    for index in range(first, last + 1):
        yield observer.moment(index)


class _Observer:
    """Makes the moments of one run."""

    def __init__(self, run: Lived) -> None:
        self._run = run
        self._commands: dict[str, Record] = {
            command.id: command for transition in run.history for command in transition.commands
        }
        self._alone = _Alone(run.history)
        self._staleness = None if isinstance(run.code, str) else Staleness(run.code, run.history)

    def moment(self, index: int) -> Moment:
        run, code = self._run, self._run.code
        if isinstance(code, str):
            return self._without_code(index, code)
        with standing(run.id, code, run.history) as stood:
            reached, before, scene = stood.look(index)
        trouble = "" if reached == index else self._trouble(stood, reached)
        if scene is None:
            return self._without_code(index, trouble)
        return self._made(reached, index, scene, before, trouble)

    def _trouble(self, stood: Standing, reached: int) -> str:
        damaged = next((damage for damage in self._run.damage if damage.index > reached), None)
        met = stood.trouble
        if damaged is not None and (met is None or met.index >= damaged.index):
            return f"record {damaged.index} cannot be read: {damaged.why}"
        assert met is not None
        return met.why

    def _without_code(self, index: int, why: str) -> Moment:
        """Tell what the records alone tell; of one that cannot be read, what those before it do."""
        transition, scene = self._alone.at(index)
        if transition is None:
            damage = self._run.damage[0]
            why = f"record {damage.index} cannot be read: {damage.why}"
            written = moment(self._run.row.created_us)
            return Moment(self._run, index, index, written, "bad", "no record up to here can be read", scene, None, why)
        return self._made(transition.index, index, scene, None, why)

    def _made(self, index: int, wanted: int, scene: Scene, before: Scene | None, trouble: str) -> Moment:
        transition = record_of(self._run, index)
        assert transition is not None
        news, told = happened(transition, self._commands)
        # With no code there is no source either.
        warning = self._staleness.at(index) if self._staleness is not None and scene.fibers else ""
        return Moment(self._run, index, wanted, transition.at, news, told, scene, before, trouble, warning)


class _Alone:
    """What the records alone tell, read on from one to the next."""

    def __init__(self, history: Sequence[Transition]) -> None:
        self._history = history
        self._tree = Tree()
        self._read = 0
        self._last: Transition | None = None

    def at(self, index: int) -> tuple[Transition | None, Scene]:
        if self._last is not None and self._last.index > index:
            self._tree, self._read, self._last = Tree(), 0, None
        while self._read < len(self._history) and self._history[self._read].index <= index:
            self._last = self._history[self._read]
            self._tree.add(self._last)
            self._read += 1
        return self._last, scene_by_records(self._tree)
