"""Where a history and the code as it is now part: recorded and yielded beside each other, in the source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from enum import Enum
from textwrap import wrap

import attrs

from interp.definitions import WorkflowDefinition
from interp.errors import InterpError, NondeterminismError, UndecodableHistory
from interp.events import Outcome, Transition
from interp.explore.contrast import Cut, contrasted
from interp.explore.markup import Markup, element, indented
from interp.explore.quiet import quiet
from interp.explore.sources import SourceLine, around_lines, full_name, place_of
from interp.explore.staleness import recorded_code
from interp.explore.subject import Subject
from interp.explore.view import View
from interp.fibers import Issued
from interp.frames import message
from interp.interpreter import UnexpectedEvent
from interp.outline.phrases import answer_words, command_words, outcome_words
from interp.outline.words import clean, elide, one_line, reflowed
from interp.replay import follow, opened

__all__ = ["Divergence", "Misfit", "divergence_of", "whole"]

# Commands that both sides agree on, and that come next; characters of each.
_AGREED = 4
_NEXT = 5
_WIDTH = 90

# Of a text view.
_COLUMNS = 118


class Misfit(Enum):
    """Why a history does not fit the code."""

    DIVERGES = "diverges"  # the code yields something else
    UNDECODABLE = "undecodable"  # a recorded value does not fit its declared type any more
    UNKNOWN = "unknown"  # the workflow is not at hand
    BROKEN = "broken"  # the code cannot be replayed at all


@attrs.frozen
class Line:
    """A command on one side, as the views write it.

    Attributes:
        id: The command id.
        words: What it is.
        where: `file:line` of its yield.
        answer: What it came to; empty for nothing yet.
    """

    id: str
    words: str
    where: str
    answer: str = ""


@attrs.frozen(eq=False, repr=False)
class Divergence(View):
    """A run whose history does not fit the code as it is now: where they part, and what to do.

    Attributes:
        run_id: The run.
        misfit: Why it does not fit.
        index: The record where they part; None when nothing was replayed.
        command_id: The command where they part; None when it is no command.
        error: What a worker would park the run with; None when the workflow is not at hand.
        why: What is the matter, where there is no such error.
        agreed: The last commands of that fiber that both agree on.
        recorded: What the history holds next.
        yielded: What the code yields there.
        is_stale: Whether the source has changed since the record was written; None when nobody knows.
        likely: Full names of the source files that it is about.
        outcome: How the code ends there; None when it does not.
    """

    run_id: str
    misfit: Misfit
    index: int | None = None
    command_id: str | None = None
    error: InterpError | None = None
    why: str = ""
    agreed: tuple[Line, ...] = ()
    recorded: tuple[Line, ...] = ()
    yielded: tuple[Line, ...] = ()
    is_stale: bool | None = None
    likely: tuple[str, ...] = ()
    outcome: Outcome | None = None

    @property
    def summary(self) -> str:
        """Where they part, in a sentence."""
        match self.misfit:
            case Misfit.UNKNOWN:
                return f"The code of run {one_line(self.run_id)!r} is not at hand."
            case Misfit.BROKEN:
                return f"Run {one_line(self.run_id)!r} cannot be replayed."
            case Misfit.UNDECODABLE:
                assert isinstance(self.error, UndecodableHistory)
                what = one_line(self.error.what)
                return f"The recorded {what} does not fit its declared type any more (record {self.error.index})."
            case Misfit.DIVERGES:
                assert isinstance(self.error, NondeterminismError)
                command = f", command {self.command_id}" if self.command_id else ""
                place = f" ({clean(self.error.yielded_at)})" if self.error.yielded_at else ""
                return f"History and code part at record {self.index}{command}{place}."

    @property
    def cure(self) -> str:
        """What to do."""
        if isinstance(self.error, NondeterminismError):
            return reflowed(self.error.hint)
        return reflowed(self.why or str(self.error))

    @property
    def sides(self) -> tuple[Cut, Cut]:
        """The command that was recorded, and the one that the code yields."""
        if not isinstance(self.error, NondeterminismError):
            return Cut(), Cut()
        recorded, yielded = (one_line(told or "nothing here") for told in (self.error.recorded, self.error.yielded))
        return contrasted(recorded, yielded, _WIDTH)

    @property
    def ends(self) -> str:
        """How the code ends there, in words; empty when it does not, or that is the very difference."""
        return (
            ""
            if self.outcome is None or self.command_id is None
            else f"There the run {outcome_words(self.outcome, 90)}."
        )

    def __repr__(self) -> str:
        """Say on one line where they part."""
        return f"<divergence: {self.summary}>"

    # Source.

    def excerpts(self) -> list[tuple[str, str, list[SourceLine]]]:
        """Return the source around the recorded line and around the one where the code stands.

        Returns:
            A title, the file and its lines, for each; one of both where they are in one file.
        """
        if not isinstance(self.error, NondeterminismError):
            return []
        then, now = place_of(self.error.recorded_at), self._now()
        if then is not None and now is not None and (then[0] == now[0].rpartition("/")[2]):
            lit: dict[int, tuple[str, ...]] = {then[1]: ("recorded",)}
            lit[now[1]] = (*lit.get(now[1], ()), "now")
            lines = around_lines(now[0], lit)
            return [("recorded and now", now[0], lines)] if lines else []
        found: list[tuple[str, str, list[SourceLine]]] = []
        if then is not None:
            file = full_name(then[0], self.likely)
            found.append(("recorded", file, around_lines(file, {then[1]: ("recorded",)})))
        if now is not None:
            found.append(("now", now[0], around_lines(now[0], {now[1]: ("now",)})))
        return [each for each in found if each[2]]

    def _now(self) -> tuple[str, int] | None:
        """Return the file and the line where the code stands."""
        assert isinstance(self.error, NondeterminismError)
        place = place_of(self.error.yielded_at)
        if place is None:
            return None
        stack = [file for file, line, _ in self.error.stack if line == place[1]]
        return full_name(place[0], [*stack, *self.likely]) or place[0], place[1]

    @property
    def stack(self) -> tuple[tuple[str, int, str], ...]:
        """Where the code stands now, outermost first: (file, line, function) each."""
        return self.error.stack if isinstance(self.error, NondeterminismError) else ()

    @property
    def remark(self) -> str:
        """What to know of the lines that are shown."""
        if self.is_stale:
            return "The workflow's source has changed since: the recorded line may be another one today."
        if self.is_stale is None and self.misfit is Misfit.DIVERGES:
            return "It was not recorded which source the run was written with: the recorded line may be another one."
        return ""

    # Text.

    def text(self) -> str:
        """Show both sides, one below the other, and the source."""
        lines = wrap(self.summary, _COLUMNS)
        if self.misfit is Misfit.DIVERGES:
            recorded, yielded = self.sides
            lines += [
                "",
                f"  recorded: {recorded}",
                f"  yielded:  {yielded}{f'. {self.ends}' if self.ends else ''}",
                *self._source_lines(),
                *self._lists(),
            ]
        lines.append("")
        for line in self.cure.splitlines():
            lines += wrap(clean(line), _COLUMNS, subsequent_indent="  ") or [""]
        return "\n".join(elide(line, _COLUMNS) for line in lines)

    def _source_lines(self) -> Iterator[str]:
        for _, file, lines in self.excerpts():
            yield ""
            yield f"  {_short(file)}"
            for line in lines:
                role = " + ".join(line.roles)
                number = str(line.number) if line.number else ""
                yield f"  {role:>14} {'>' if role else ' '}{number:>5}  {line.text}".rstrip()
                if line.marked is not None:
                    yield " " * (25 + line.marked[0]) + "~" * (line.marked[1] - line.marked[0])
        if self.remark:
            yield f"  {self.remark}"

    def _lists(self) -> Iterator[str]:
        for title, commands in self._commands():
            if commands:
                yield ""
                yield f"  {title}"
                for each in commands:
                    told = f"{clean(each.id):<8} {each.words}{f' → {each.answer}' if each.answer else ''}"
                    yield f"    {elide(told, 90):<90}  {clean(each.where)}".rstrip()
        if self.stack:
            yield ""
            yield "  the code stands at"
            for file, line, function in self.stack[-_NEXT:]:
                yield f"    {clean(f'{_short(file)}:{line}'):<24} in {clean(function)}"

    def _commands(self) -> tuple[tuple[str, Sequence[Line]], ...]:
        return (
            ("both agree on", self.agreed),
            ("the history goes on with", self.recorded),
            ("the code goes on with", self.yielded),
        )

    # HTML.

    def html(self) -> Markup:
        """Show both sides beside each other, and the source."""
        return element(
            "div",
            Markup(f"<style>{_STYLE}</style>"),
            element("p", self.summary, class_="said"),
            [self._sides(), self._sources(), self._tables()] if self.misfit is Misfit.DIVERGES else None,
            element("div", [element("p", line) for line in map(clean, self.cure.splitlines())], class_="cure"),
            class_="diverged",
        )

    def _sides(self) -> Markup:
        cells: list[Markup] = []
        for title, cut, kind in zip(("recorded", "the code yields"), self.sides, ("old", "new"), strict=True):
            told = [element("span", cut.before), element("b", cut.odd) if cut.odd else None, element("span", cut.after)]
            ends = element("div", self.ends) if kind == "new" and self.ends else None
            cells.append(element("div", element("span", title, class_="dim"), element("code", told), ends, class_=kind))
        return element("div", cells, class_="sides")

    def _sources(self) -> list[Markup]:
        drawn = [element("p", self.remark, class_="dim")] if self.remark else []
        found = self.excerpts()
        blocks = [
            element(
                "figure",
                element("figcaption", f"{_short(file)}, {title}", class_="dim"),
                element("div", [_drawn(line) for line in lines], class_="source"),
            )
            for title, file, lines in found
        ]
        return [element("div", blocks, class_="sources"), *drawn]

    def _tables(self) -> Markup:
        blocks = [
            element("div", element("h4", title), _table(commands)) for title, commands in self._commands() if commands
        ]
        if self.stack:
            rows = [
                element("tr", element("td", clean(f"{_short(file)}:{line}")), element("td", clean(function)))
                for file, line, function in self.stack[-_NEXT:]
            ]
            blocks.append(element("div", element("h4", "the code stands at"), element("table", element("tbody", rows))))
        return element("div", blocks, class_="lists")


def _table(commands: Sequence[Line]) -> Markup:
    rows = [
        element(
            "tr",
            element("th", clean(each.id), scope="row"),
            element("td", each.words, element("span", f" → {each.answer}", class_="dim") if each.answer else None),
            element("td", clean(each.where), class_="dim"),
        )
        for each in commands
    ]
    return element("table", element("tbody", rows))


def _drawn(line: SourceLine) -> Markup:
    """Draw a line of source: its number, what stands at it, and its text with the `yield` underlined."""
    begin, end = line.marked or (0, 0)
    text = [indented(line.text[:begin]), element("u", line.text[begin:end]) if line.marked else None, line.text[end:]]
    roles = [element("span", role, class_=f"role {role}") for role in line.roles]
    return element(
        "div",
        element("span", line.number or "", class_="number"),
        element("span", text, class_="code"),
        roles,
        class_=" ".join(("line", *line.roles)),
    )


def _short(file: str) -> str:
    return clean(file.replace("\\", "/").rpartition("/")[2])


# Finding it.


def whole(history: Sequence[Transition]) -> Sequence[Transition]:
    """Return the records up to the first one that cannot be read: what comes behind it hangs in the air."""
    gap = next((number for number, each in enumerate(history) if each.index != number), len(history))
    return history[:gap]


def divergence_of(run: Subject) -> Divergence | None:
    """Replay a run against the code as it is now, and find where they part.

    Args:
        run: The run.

    Returns:
        What does not fit; None when everything does.
    """
    definition = run.code
    if not isinstance(definition, WorkflowDefinition):
        misfit = Misfit.UNKNOWN if definition == run.definition else Misfit.BROKEN  # it is there, but values are locked
        return Divergence(run.id, misfit, why=f"{definition}. Until then nobody can say whether the run fits.")
    history = whole(run.history)
    if not history:
        return None
    try:
        _replay(definition, run.id, history)
    except NondeterminismError as error:
        return _diverged(run, definition, history, error)
    except UndecodableHistory as error:
        return Divergence(run.id, Misfit.UNDECODABLE, error.index, error=error)
    except Exception as error:  # noqa: BLE001  the code is the user's, of another day: whatever it does is told
        told = f"{type(error).__name__}: {message(error)}"
        return Divergence(run.id, Misfit.BROKEN, why=f"The code as it is now cannot follow its history: {told}")
    return None


def _replay(definition: WorkflowDefinition, run_id: str, history: Sequence[Transition]) -> None:
    """Replay a history, unheard."""
    with quiet(), closing(opened(definition, history[0], run_id)) as interpreter:
        for transition in history:
            follow(interpreter, transition)


def _diverged(
    run: Subject, definition: WorkflowDefinition, history: Sequence[Transition], error: NondeterminismError
) -> Divergence:
    transition = history[error.index]
    yielded, outcome = _yielded(definition, run.id, history[: error.index + 1])
    same = 0
    for old, new in zip(transition.commands, yielded, strict=False):
        if (old.id, old.kind, old.target, old.payload) != (
            new.id,
            new.record.kind,
            new.record.target,
            new.record.payload,
        ):
            break
        same += 1
    fiber = (error.command_id or "").rpartition(".")[0]
    nodes = run.tree.fibers.get(fiber, [])
    later = {each.id for one in history[error.index + 1 :] for each in one.commands}
    later |= {each.id for each in transition.commands[same:]}
    agreed = [node for node in nodes if node.id not in later][-_AGREED:]
    return Divergence(
        run.id,
        Misfit.DIVERGES,
        error.index,
        error.command_id,
        error,
        agreed=tuple(
            Line(node.id, command_words(node.record, _WIDTH), node.record.where, answer_words(node, 40))
            for node in agreed
        ),
        recorded=tuple(
            Line(node.id, command_words(node.record, _WIDTH), node.record.where, answer_words(node, 40))
            for node in [node for node in nodes if node.id in later][:_NEXT]
        ),
        yielded=tuple(
            Line(each.id, command_words(each.record, _WIDTH), each.record.where)
            for each in yielded[same : same + _NEXT]
        ),
        is_stale=_is_stale(definition, history[: error.index + 1]),
        outcome=outcome,
        likely=tuple(dict.fromkeys([definition.fn.__code__.co_filename, *(file for file, _, _ in error.stack)])),
    )


def _yielded(
    definition: WorkflowDefinition, run_id: str, history: Sequence[Transition]
) -> tuple[tuple[Issued, ...], Outcome | None]:
    """Return all that the code yields at the last of these records, where it differs, and how it ends there."""
    last = history[-1]
    patches = tuple(command.target for command in last.commands if command.kind == "patched")
    with quiet(), closing(opened(definition, history[0], run_id)) as interpreter:
        for transition in history[:-1]:
            follow(interpreter, transition)
        if last.index == 0:
            return interpreter.start(last.at, patches).commands, interpreter.outcome
        if interpreter.outcome is not None:
            return (), interpreter.outcome
        try:
            return interpreter.feed(last.cause, last.at, patches).commands, interpreter.outcome
        except UnexpectedEvent:  # the code does not wait for what was answered
            return (), None


def _is_stale(definition: WorkflowDefinition, history: Sequence[Transition]) -> bool | None:
    """Tell whether the last record was written by other code than there is now."""
    recorded = recorded_code(history)
    return recorded != definition.code if recorded else None


_STYLE = """
.interp .diverged .said { font-size: 15px; font-weight: 600; margin: 0 0 10px; padding: 6px 12px;
border-left: 4px solid var(--odd); background: var(--band); overflow-wrap: anywhere; }
.interp .diverged .sides, .interp .diverged .sources { display: grid; gap: 8px;
grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); margin: 8px 0; }
.interp .diverged .sides > div { padding: 6px 12px; border-radius: 6px; overflow-wrap: anywhere; }
.interp .diverged .sides .dim { display: block; font-size: 12px; }
.interp .diverged .old { background: var(--old); } .interp .diverged .new { background: var(--new); }
.interp .diverged figure { margin: 0; min-width: 0; }
.interp .diverged .source { border: 1px solid var(--line); border-radius: 6px; padding: 6px 0; overflow-x: auto;
font: 12.5px/1.6 ui-monospace, "Cascadia Code", Menlo, "DejaVu Sans Mono", monospace; }
.interp .diverged .line { display: flex; padding: 0 12px 0 0; white-space: pre; }
.interp .diverged .number { color: var(--dim); width: 48px; text-align: right; padding-right: 14px; flex: none; }
.interp .diverged .code { flex: 1; }
.interp .diverged .line.recorded { background: var(--old); } .interp .diverged .line.now { background: var(--new); }
.interp .diverged .line.recorded.now { background: var(--lit); }
.interp .diverged u { text-decoration: underline 2px var(--lit-edge); text-underline-offset: 3px; }
.interp .diverged .role { font: 600 11px/1.5 system-ui, "DejaVu Sans", sans-serif; border: 1px solid currentColor;
border-radius: 999px; padding: 0 7px; margin-left: 8px; align-self: center; }
.interp .diverged .lists { display: flex; flex-wrap: wrap; gap: 0 36px; }
.interp .diverged .lists td, .interp .diverged .lists th {
font: 12.5px/1.6 ui-monospace, "Cascadia Code", Menlo, "DejaVu Sans Mono", monospace; }
.interp .diverged .lists h4 { color: var(--dim); font-weight: 500; }
.interp .differ > .diverged { margin-bottom: 22px; }
.interp .diverged .cure { border: 1px solid var(--line); border-radius: 6px; padding: 6px 12px; margin-top: 12px; }
.interp .diverged .cure p { margin: 2px 0; overflow-wrap: anywhere; }
"""
