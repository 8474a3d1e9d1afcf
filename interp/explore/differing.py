"""Two runs beside each other: where they part, and why."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from textwrap import wrap

import attrs

from interp.explore.comparing import (
    CommandDifference,
    Differs,
    FiberDifference,
    Side,
    compared,
    same_outcome,
    same_payload,
)
from interp.explore.contrast import Cut, contrasted, values_contrasted
from interp.explore.divergence import Divergence, Misfit
from interp.explore.markup import Markup, element
from interp.explore.names import called, root_name
from interp.explore.subject import Subject
from interp.explore.view import View
from interp.outline.nodes import Node, State
from interp.outline.phrases import answer_words, arguments_words, clock, command_words, outcome_words, verb
from interp.outline.words import LONG_BYTES, clean, count, elide, one_line, span
from interp.sealing import REDACTED

__all__ = ["Difference", "difference_of"]

# How much is drawn: fibers, differences of one fiber, characters of one text.
_FIBERS = 12
_ENTRIES = 12
_WIDTH = 72

# Characters of the arguments and the outcome of a run.
_FACT = 108

# Of a text view.
_COLUMNS = 118

# Characters of a value in the sentence that says it all.
_SENTENCE = 60


@attrs.frozen(eq=False, repr=False, slots=False)  # for cached properties
class Difference(View):
    """Two runs, compared command by command.

    What differs is shown fiber by fiber, in the order in which they part; what is the same is counted. How long
    things took and how often they were attempted is no difference, unless asked for.

    Attributes:
        a: One run.
        b: The other one.
        fibers: The fibers that differ, sorted by the time at which they part.
        same: How many commands are the same.
        titles: What each run is called.
        divergence: Where the history of A and the code as it is now part, if B is what the code would do.
    """

    a: Subject
    b: Subject
    fibers: tuple[FiberDifference, ...]
    same: int
    titles: tuple[str, str]
    divergence: Divergence | None = None

    @property
    def is_same(self) -> bool:
        """Whether both runs began with the same arguments, did the same, and came to the same."""
        return not self.fibers and self.has_same_arguments and self.has_same_outcome and self.divergence is None

    @functools.cached_property
    def has_same_arguments(self) -> bool:
        """Whether they are of one workflow, and began with the same arguments."""
        a, b = self.a.started, self.b.started
        if a is None or b is None:
            return a is b
        return a.workflow == b.workflow and same_payload(a.args, b.args)

    @functools.cached_property
    def has_same_outcome(self) -> bool:
        """Whether they ended the same way, or neither has."""
        return same_outcome(self.a.tree.outcome, self.b.tree.outcome)

    @property
    def first(self) -> CommandDifference | None:
        """The difference that shows first; None when no command differs."""
        if not self.fibers:
            return None
        fiber = self.fibers[0]
        at_once = [entry for entry in fiber.entries if entry.after == fiber.after]
        return next((entry for entry in at_once if entry.kind in (Differs.ANSWER, Differs.OUTSIDE)), at_once[0])

    @functools.cached_property
    def names(self) -> dict[str, str]:
        """What the fibers are called."""
        return {**self.b.fiber_names, **self.a.fiber_names}

    def __repr__(self) -> str:
        """Say on one line where they part."""
        return f"<difference of {self.titles[0]!r} and {self.titles[1]!r}: {self.summary}>"

    # Words.

    @property
    def summary(self) -> str:
        """Where they part, in a sentence or two."""
        first = self.first
        if self.divergence is not None and self.divergence.misfit is not Misfit.DIVERGES:
            return "So nobody can say what the code as it is now would do."
        if first is not None:
            return self._parted(first)
        began = "" if self.has_same_arguments else " They began with other arguments."
        if self.has_same_outcome:
            ended = "came to the same" if self.a.tree.outcome is not None else "neither has ended"
            return f"They did the same: {count(self.same, 'command')}, same answers, and {ended}.{began}"
        return f"They did the same, {count(self.same, 'command')}, but came to something else.{began}"

    def _parted(self, entry: CommandDifference) -> str:
        if entry.kind is Differs.OUTSIDE:
            return f"They part at {clock(entry.after)}, {one_line(elide(entry.told, 200))}."
        place = f"They part at command {entry.id}{f' ({clean(entry.where)})' if entry.where else ''}: "
        a, b = entry.a, entry.b
        if a is None or b is None:
            (here, other) = ("A", "B") if b is None else ("B", "A")
            node = a or b
            assert node is not None
            instead = "" if entry.instead is None else f" yields {command_words(entry.instead.record, _SENTENCE)}"
            ends = " has not come so far" if (self.b if b is None else self.a).tree.outcome is None else " ends"
            return f"{place}{here} yields {command_words(node.record, _SENTENCE)}, where {other}{instead or ends}."
        heads = _heads(a, b, _SENTENCE)
        if entry.kind is Differs.ARGUMENTS:
            return f"{place}{heads[0]} in A is {heads[1]} in B."
        if entry.kind is Differs.TIME:
            return f"{place}{heads[0]} took {_took(a)} in A and {_took(b)} in B."
        return f"{place}{heads[0]} {' and '.join(self._came_to(a, b))}."

    def _came_to(self, a: Node, b: Node) -> tuple[str, str]:
        if a.payload is not None and b.payload is not None and a.state is b.state is State.DONE:
            left, right = values_contrasted(a.payload, b.payload, _SENTENCE)
            return f"gave {left} in A", f"{right} in B"
        return f"{verb(a, _SENTENCE)} in A", f"{verb(b, _SENTENCE)} in B"

    def _title(self, fiber: FiberDifference) -> tuple[str, str]:
        """Return the name of a fiber and its id, as headings."""
        if all(entry.kind is Differs.OUTSIDE for entry in fiber.entries):
            return "from outside", ""
        if not fiber.id:
            return root_name(self.a.tree, self.a.row.workflow), "root"
        if fiber.is_group:
            kinds = {command_words(each.record, 40) for entry in fiber.entries for each in (entry.a, entry.b) if each}
            told = min(kinds) if len(kinds) == 1 else "its branches"
            return f"command {fiber.id}", told
        return called(fiber.id, self.names)

    def _facts(self) -> Iterator[tuple[str, Cut, Cut, bool]]:
        """Give what is compared on top: a name, both sides, and whether they are the same."""
        a, b = self.a, self.b
        yield "", Cut(_told(a)), Cut(_told(b)), True
        yield "arguments", *contrasted(_arguments(a), _arguments(b), _FACT), self.has_same_arguments
        ends = outcome_words(a.tree.outcome), outcome_words(b.tree.outcome)
        yield "outcome", *contrasted(*ends, _FACT), self.has_same_outcome

    @property
    def _left_out(self) -> tuple[int, int]:
        """How many fibers are not drawn, and how many differences they have."""
        hidden = self.fibers[_FIBERS:]
        return len(hidden), sum(len(fiber.entries) for fiber in hidden)

    @property
    def _hints(self) -> Iterator[str]:
        if self.divergence is not None and self.b.tree.outcome is None and self.a.tree.outcome is not None:
            yield "B stops where the history has no answer to what the code yields."
        for name, run in zip("AB", (self.a, self.b), strict=True):
            if any(each.record.payload == REDACTED or each.payload == REDACTED for each in run.tree.nodes.values()):
                yield f"Values of {name} are encrypted, and are not compared: open the journal with codec=."
            if run.row.length > len(run.history):
                yield f"{name} has {count(run.row.length - len(run.history), 'record')} that cannot be read."

    # Text.

    def text(self) -> str:
        """Show where they part, fiber by fiber."""
        lines = [] if self.divergence is None else [str(self.divergence), ""]
        lines += [*wrap(self.summary, _COLUMNS), ""]
        for side, title in zip("AB", self.titles, strict=True):
            lines.append(elide(f"{side}  {title}  {_told(self.a if side == 'A' else self.b)}", _COLUMNS))
        for name, a, b, is_same in self._facts():
            if name and is_same:
                lines.append(elide(f"   same {name}: {a}", _COLUMNS))
            elif name:
                lines += [f"   {name}", elide(f"      A  {a}", _COLUMNS), elide(f"      B  {b}", _COLUMNS)]
        lines += [f"   {hint}" for hint in self._hints]
        for number, fiber in enumerate(self.fibers[:_FIBERS]):
            lines += ["", *self._fiber_lines(fiber, is_first=number == 0)]
        fibers, entries = self._left_out
        if fibers:
            lines += ["", f"… {count(fibers, 'more fiber')}, {count(entries, 'difference')}"]
        return "\n".join(lines)

    def _fiber_lines(self, fiber: FiberDifference, *, is_first: bool) -> Iterator[str]:
        name, about = self._title(fiber)
        tag = "   ◀ they part here first" if is_first else ""
        yield elide(f"{name}{f'  ({about})' if about else ''}  from {clock(fiber.after)}{tag}", _COLUMNS)
        for entry in fiber.entries[:_ENTRIES]:
            if entry.equal_before:
                yield f"    … {entry.equal_before:,} equal"
            yield from _entry_lines(entry)
        if len(fiber.entries) > _ENTRIES:
            yield f"    … {count(len(fiber.entries) - _ENTRIES, 'more difference')}"
        elif fiber.equal_after:
            yield f"    … {fiber.equal_after:,} equal"

    # HTML.

    def html(self) -> Markup:
        """Show both sides beside each other."""
        fibers, entries = self._left_out
        more = f"… {count(fibers, 'more fiber')}, {count(entries, 'difference')}" if fibers else None
        return element(
            "div",
            Markup(f"<style>{_STYLE}</style>"),
            None if self.divergence is None else self.divergence.html(),
            element("p", self.summary, class_="said same" if self.is_same else "said"),
            [element("p", hint, class_="dim") for hint in self._hints],
            element("table", self._head(), self._facts_body(), list(self._bodies())),
            element("p", more, class_="dim") if more else None,
            class_="differ",
        )

    def _head(self) -> Markup:
        titles = [
            element("th", element("span", side, class_="side"), element("b", one_line(title)), scope="col")
            for side, title in zip("AB", self.titles, strict=True)
        ]
        ids, places = (element("th", element("span", told, class_="unseen"), scope="col") for told in _ENDS)
        widths = [element("col", class_=name) for name in ("ids", "half", "half", "places")]
        return Markup(element("colgroup", widths) + element("thead", element("tr", ids, titles, places)))

    def _facts_body(self) -> Markup:
        rows: list[Markup] = []
        for name, a, b, is_same in self._facts():
            if name and is_same:
                told = [element("span", str(a), class_="mono"), element("span", " in both", class_="dim")]
                cells = [element("td", told, colspan=2)]
            else:
                cells = [element("td", _marked(cut), class_="mono" if name else None) for cut in (a, b)]
            rows.append(element("tr", element("th", name, scope="row"), cells, element("td")))
        return element("tbody", rows, class_="given")

    def _bodies(self) -> Iterator[Markup]:
        for number, fiber in enumerate(self.fibers[:_FIBERS]):
            name, about = self._title(fiber)
            tag = element("span", "they part here first", class_="pill first") if number == 0 else None
            since = " · ".join(filter(None, (about, f"from {clock(fiber.after)}")))
            told = [element("b", name), element("span", f" {since} ", class_="dim"), tag]
            head = element("tr", element("th", told, colspan=4, scope="rowgroup", class_="fiber"))
            yield element("tbody", head, list(_rows(fiber)))


def _rows(fiber: FiberDifference) -> Iterator[Markup]:
    for entry in fiber.entries[:_ENTRIES]:
        if entry.equal_before:
            yield _note_row(f"… {entry.equal_before:,} equal")
        yield _row(entry)
    if len(fiber.entries) > _ENTRIES:
        yield _note_row(f"… {count(len(fiber.entries) - _ENTRIES, 'more difference')}")
    elif fiber.equal_after:
        yield _note_row(f"… {fiber.equal_after:,} equal")


def _note_row(told: str) -> Markup:
    return element("tr", element("td"), element("td", told, colspan=3), class_="dim skipped")


# What the outer columns hold, for those who do not see them.
_ENDS = ("command", "source line")

_MARKS = {Differs.ONLY_A: "−", Differs.ONLY_B: "+"}
_SAID = {
    Differs.ANSWER: "another answer",
    Differs.ARGUMENTS: "other arguments",
    Differs.TIME: "another duration",
    Differs.OUTSIDE: "from outside",
}


def _row(entry: CommandDifference) -> Markup:
    if entry.kind is Differs.OUTSIDE:
        mark = element("th", element("span", "!", class_="mark"), scope="row")
        return element("tr", mark, element("td", one_line(entry.told[:200]), colspan=3), class_="outside")
    ids = dict.fromkeys(node.id for node in (entry.a, entry.b) if node is not None)
    places = dict.fromkeys(node.record.where for node in (entry.a, entry.b) if node is not None)
    mark = element("span", _MARKS.get(entry.kind, "≠"), class_="mark", title=_SAID.get(entry.kind, entry.kind.value))
    cells = [element("td", half, class_=side) for side, half in zip("ab", _halves(entry), strict=True)]
    return element(
        "tr",
        element("th", mark, " / ".join(map(clean, ids)), scope="row", class_="id"),
        cells,
        element("td", " / ".join(clean(place) for place in places if place), class_="where"),
        class_=entry.kind.name.lower().replace("_", "-"),
    )


def _halves(entry: CommandDifference) -> tuple[Markup | None, Markup | None]:
    a, b = entry.a, entry.b
    if a is None or b is None:
        halves = [None if node is None else _half(*_plain(node)) for node in (a, b)]
        return halves[0], halves[1]
    heads, answers = _heads(a, b, _WIDTH), _answers(entry.kind, a, b, _WIDTH)
    return _half(heads[0], answers[0]), _half(heads[1], answers[1])


def _half(head: Cut, answer: Cut) -> Markup:
    return Markup(_marked(head) + (element("span", " → ", class_="dim") + _marked(answer) if str(answer) else ""))


def _marked(cut: Cut) -> Markup:
    return Markup(element("span", cut.before) + (element("b", cut.odd) if cut.odd else "") + element("span", cut.after))


def _plain(node: Node) -> tuple[Cut, Cut]:
    return Cut(command_words(node.record, _WIDTH)), Cut(answer_words(node, _WIDTH))


def _heads(a: Node, b: Node, width: int) -> tuple[Cut, Cut]:
    """Return both commands; where they differ, cut around that."""
    if a.record.payload == b.record.payload and a.record.target == b.record.target:
        same = Cut(command_words(a.record, width))
        return same, same
    name = f"{elide(one_line(a.record.target), width // 2)}("
    if max(len(a.record.payload), len(b.record.payload)) > LONG_BYTES:
        left, right = values_contrasted(a.record.payload, b.record.payload, width - len(name))
    else:
        one, other = command_words(a.record), command_words(b.record)
        name = name if one.startswith(name) and other.startswith(name) else ""
        left, right = contrasted(one[len(name) :], other[len(name) :], width - len(name))
    return attrs.evolve(left, before=name + left.before), attrs.evolve(right, before=name + right.before)


def _answers(kind: Differs, a: Node, b: Node, width: int) -> tuple[Cut, Cut]:
    """Return both answers; where they differ, cut around that."""
    if kind is Differs.TIME:
        return Cut("took ", _took(a)), Cut("took ", _took(b))
    if a.payload is not None and b.payload is not None and a.state is b.state is State.DONE:
        return values_contrasted(a.payload, b.payload, width)
    if a.state is not b.state:
        return Cut("", answer_words(a, width) or "done"), Cut("", answer_words(b, width) or "done")
    return contrasted(answer_words(a), answer_words(b), width)


def _took(node: Node) -> str:
    took = "" if node.ended is None else span(node.ended - node.at)
    return f"{took} in {count(node.attempt, 'attempt')}" if node.attempt > 1 else took


def _entry_lines(entry: CommandDifference) -> Iterator[str]:
    if entry.kind is Differs.OUTSIDE:
        yield elide(f"  ! {one_line(entry.told[:_COLUMNS])}", _COLUMNS)
        return
    mark = {Differs.ONLY_A: "A", Differs.ONLY_B: "B"}.get(entry.kind, "≠")
    node = entry.a or entry.b
    assert node is not None
    if entry.a is None or entry.b is None:
        head, answer = _plain(node)
        yield _line(mark, node, f"{head}{f' → {answer}' if str(answer) else ''}")
        return
    heads, answers = _heads(entry.a, entry.b, 84), _answers(entry.kind, entry.a, entry.b, 100)
    if entry.kind is Differs.ARGUMENTS:
        name = entry.a.record.target or entry.a.record.kind
        yield _line(mark, node, f"{one_line(name)}, with other arguments")
        for side, head, answer in zip("AB", heads, answers, strict=True):
            yield elide(f"        {side} {head}{f' → {answer}' if str(answer) else ''}", _COLUMNS)
        return
    yield _line(mark, node, str(heads[0]))
    for side, answer in zip("AB", answers, strict=True):
        yield elide(f"        {side} → {answer}", _COLUMNS)


def _line(mark: str, node: Node, told: str) -> str:
    """Write one command: id on the left, the line of the source on the right."""
    where = clean(node.record.where)[-30:]
    room = _COLUMNS - len(where) - 2
    return f"{elide(f'  {mark} {clean(node.id):<8} {told}', room):<{room}}  {where}".rstrip()


def _told(run: Subject) -> str:
    """Return what kind of run it is, how it stands, and how much there is of it."""
    tree = run.tree
    took = "" if tree.at is None or tree.last_at is None else f", {span(tree.last_at - tree.at)}"
    parts = f"{count(run.row.length, 'record')}, {count(len(tree.nodes), 'command')}{took}"
    again = f", round {tree.round}" if tree.round else ""
    return f"{one_line(run.row.workflow)} {run.row.status}{again}: {parts}"


def _arguments(run: Subject) -> str:
    return "unknown" if run.started is None else arguments_words(run.code, run.started.args) or "none"


def difference_of(a: Subject, b: Subject, *, times: bool = False, titles: tuple[str, str] | None = None) -> Difference:
    """Compare two runs.

    Args:
        a: One run.
        b: The other one.
        times: Whether durations that differ much (twice as long, and a second at least) are differences, too.
        titles: What each run is called; by default, its id.
    """
    fibers, same = compared(Side(a.id, a.tree), Side(b.id, b.tree), times=times)
    return Difference(a, b, tuple(fibers), same, titles or (one_line(a.id), one_line(b.id)))


_STYLE = """
.interp .differ .said { font-size: 15px; font-weight: 600; margin: 0 0 10px; padding: 6px 12px;
border-left: 4px solid var(--lit-edge); background: var(--band); overflow-wrap: anywhere; }
.interp .differ .said.same { border-color: var(--good); }
.interp .differ > p { margin: 6px 0; }
.interp .differ > table { width: 100%; table-layout: fixed; }
.interp .differ col.ids { width: 96px; } .interp .differ col.places { width: 100px; }
.interp .differ > table :is(td, th) { padding: 2px 8px; overflow-wrap: anywhere; }
.interp .differ tbody tr:hover td:not(.a, .b) { background: none; }
.interp .differ tbody tr:hover td:is(.a, .b):empty { background: none; }
.interp .differ > table thead th { color: var(--fg); font-weight: 400; }
.interp .differ thead b { font-weight: 600; font-size: 14px; }
.interp .differ .side { display: inline-block; width: 18px; margin-right: 8px; border-radius: 4px;
text-align: center; font-weight: 700; background: var(--old); }
.interp .differ th:nth-child(3) .side { background: var(--new); }
.interp .differ tbody.given { border-bottom: 1px solid var(--line); }
.interp .differ tbody.given tr:last-child > * { padding-bottom: 8px; }
.interp .differ th.fiber { color: var(--fg); font-size: 14px; padding: 14px 8px 1px; }
.interp .differ th.fiber b { font-weight: 600; }
.interp .differ th[scope=row], .interp .differ td.where { color: var(--dim); white-space: nowrap;
overflow: hidden; text-overflow: ellipsis; vertical-align: top; }
.interp .differ td.where { text-align: right; }
.interp .differ td.a, .interp .differ td.b, .interp .differ td.where, .interp .differ th.id, .interp .differ td.mono {
font: 12.5px/1.6 ui-monospace, "Cascadia Code", Menlo, "DejaVu Sans Mono", monospace; }
.interp .differ .mark { display: inline-block; width: 18px; color: var(--fg); font-weight: 700; }
.interp .differ tr.answer td:is(.a, .b), .interp .differ tr.time td:is(.a, .b), .interp .differ tr.outside td {
background: var(--lit); }
.interp .differ tr:is(.only-a, .arguments) td.a { background: var(--old); }
.interp .differ tr:is(.only-b, .arguments) td.b { background: var(--new); }
.interp .differ td.a { border-right: 6px solid transparent; background-clip: padding-box; }
.interp .differ td.b { padding-left: 5px; }
.interp .differ b { font-weight: 700; }
.interp .differ .pill.first { background: #7d5a00; margin-left: 4px; }
.interp .differ .unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""
