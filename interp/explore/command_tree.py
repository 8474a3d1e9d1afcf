"""The commands of a run as a tree: that of `interp show` (`interp.outline.rows`), nested.

Lists in lists, and what can be folded is a `<details>`, so that keyboards and screen readers know their way. What
failed comes first and is open. The tree of a long history stays bounded: what is alike is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from interp.events import Failure
from interp.explore.markup import Markup, element, joined, table
from interp.outline.answers import short_path
from interp.outline.nodes import Node, State, Try
from interp.outline.phrases import place_words
from interp.outline.rows import Item, Limits, Row, Tone, items_of
from interp.outline.tree import Tree
from interp.outline.words import clean, count, elide, failure_line, span
from interp.terminal import MARKS

__all__ = ["TREE_STYLE", "command_tree", "traceback"]

# What is shown of the tree: some more than on a terminal, since it can be folded.
_LIMITS = Limits(branches=30, commands=60, rows=400, value=1_500)

# Characters of a line that may be cut, of an id, of a value that is unfolded, and of a traceback.
_LINE = 160
_ID = 80
_VALUE = 1_500
_TRACE = 4_000

# How many tracebacks, and attempts of a call, are shown.
_MOST_TRACES = 40
_MOST_TRIES = 20

# Trees of up to so many rows are shown unfolded.
_OPEN_ROWS = 24

# Shorter lines show all that there is.
_LONG = 110

# Groups of so few branches are open.
_FEW = 8

_CALM = 2

_WORST = (
    (State.FAILED, Tone.FAILED),
    (State.TIMED_OUT, Tone.FAILED),
    (State.WAITS, Tone.WAITS),
)

_COLOURS = {
    Tone.DONE: "good",
    Tone.FAILED: "bad",
    Tone.TRY: "bad",
    Tone.WAITS: "wait",
    Tone.EVENT: "odd",
    Tone.WITHDRAWN: "dim",
    Tone.MORE: "dim",
}

_SAID = {
    Tone.DONE: "done",
    Tone.FAILED: "failed",
    Tone.WAITS: "waits",
    Tone.WITHDRAWN: "withdrawn",
    Tone.EVENT: "event",
}

TREE_STYLE = """
.interp ul.tree, .interp ul.tree ul { list-style: none; margin: 0; padding: 0; }
.interp ul.tree { border-top: 1px solid var(--grid); font-size: 13px; }
.interp ul.tree ul { margin-left: 16px; border-left: 1px solid var(--grid); }
.interp ul.tree li { margin: 0; }
.interp .row { display: grid; grid-template-columns: 12px 15px minmax(0, 1fr) 92px 96px 118px; gap: 0 6px;
align-items: baseline; padding: 1px 4px 1px 2px; border-radius: 4px; }
.interp details > summary.row { color: inherit; list-style: none; }
.interp summary.row::-webkit-details-marker { display: none; }
.interp summary.row::before { content: ""; width: 0; height: 0; align-self: start; margin: 6px 0 0 3px;
border: 4px solid transparent; border-left: 6px solid var(--dim); border-right: 0; }
.interp details[open] > summary.row::before { transform: rotate(90deg); }
.interp div.row::before { content: ""; }
.interp .row:hover { background: var(--band); } .interp summary:focus-visible { outline: 2px solid var(--wait); }
.interp .row .mark { text-align: center; font-weight: 700; }
.interp .row .told { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.interp .row .took { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.interp .row .at, .interp .row .place { color: var(--dim); white-space: nowrap; overflow: hidden;
text-overflow: ellipsis; font-size: 12px; text-align: right; font-variant-numeric: tabular-nums; }
.interp .row .id { color: var(--dim); margin-right: 7px; font-variant-numeric: tabular-nums; }
.interp .row .ans { margin-left: 8px; }
.interp .more { padding: 3px 4px 8px 42px; } .interp .more pre { margin: 2px 0 6px; }
.interp .more dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 1px 12px; margin: 0; }
.interp .more dt { color: var(--dim); } .interp .more dd { margin: 0; overflow-wrap: anywhere; }
.interp .trace { background: var(--band); border-radius: 6px; padding: 6px 10px; max-height: 340px; overflow: auto; }
.interp .sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
white-space: nowrap; }
@media (max-width: 760px) { .interp .row { grid-template-columns: 12px 15px minmax(0, 1fr) 70px; }
.interp .row .at, .interp .row .place { display: none; } }
@media print { .interp .row .told { white-space: normal; } .interp .trace { max-height: none; } }
"""
"""Goes with the theme wherever a tree is shown."""


def command_tree(tree: Tree, now: datetime) -> Markup | None:
    """Draw the commands of a run; None when there are none.

    Args:
        tree: The commands.
        now: The time, for what still waits.
    """
    items = items_of(tree, now, _LIMITS)
    if not items:
        return None
    drawn = _Drawn(_clock(tree.at, tree.last_at), _size(items) <= _OPEN_ROWS)
    return element("div", element("h4", "commands"), element("ul", [drawn.item(item) for item in items], class_="tree"))


def _size(items: Iterable[Item]) -> int:
    return sum(1 + sum(map(_size, item.branches)) for item in items)


def _clock(first: datetime | None, last: datetime | None) -> str:
    if first is None or last is None or first.date() != last.date():
        return "%m-%d %H:%M:%S"
    return "%H:%M:%S.%f" if (last - first).total_seconds() < 60 else "%H:%M:%S"


class _Drawn:
    """Draws the items of one tree."""

    def __init__(self, clock: str, is_open: bool) -> None:
        self._clock = clock
        self._is_open = is_open
        self._traces = 0

    def item(self, item: Item) -> Markup:
        """Draw one entry, and what is below it."""
        row = item.row
        if item.branches or item.more:
            return self._group(item)
        if item.node is None:
            return element("li", element("div", *self._cells(row), class_="row"))
        more = self._more(item.node, row)
        if more is None:
            return element("li", element("div", *self._cells(row), class_="row"))
        return element("li", element("details", element("summary", *self._cells(row), class_="row"), more))

    def _group(self, item: Item) -> Markup:
        branches = sorted(item.branches, key=_rank)
        inside = [self._branch(branch) for branch in branches]
        if item.more:
            inside.append(element("li", element("div", *self._cells(Row(Tone.MORE, head=item.more)), class_="row")))
        is_open = self._is_open or any(_rank(branch) < _CALM for branch in branches) or len(branches) <= _FEW
        summary = element("summary", *self._cells(item.row), class_="row")
        return element("li", element("details", summary, element("ul", inside), open=is_open))

    def _branch(self, branch: list[Item]) -> Markup:
        """Draw a fiber: alone what is one command, else a line that tells its way, and its commands folded."""
        if len(branch) == 1:
            return self.item(branch[0])
        nodes = [node for item in branch for node in _nodes(item)]
        if not nodes:
            return joined(map(self.item, branch))
        fiber = next((item.node.fiber for item in branch if item.node is not None), nodes[0].fiber)
        states = {node.state for node in nodes}
        tone = next((tone for state, tone in _WORST if state in states), Tone.DONE)
        ended = None if State.WAITS in states else max(node.ended or node.at for node in nodes)
        took = None if ended is None else ended - nodes[0].at
        row = Row(tone, "", fiber, short_path(nodes), at=nodes[0].at, took=took, answer=count(len(nodes), "command"))
        summary = element("summary", *self._cells(row, is_summary=True), class_="row")
        inside = element("ul", [self.item(item) for item in branch])
        return element("li", element("details", summary, inside, open=self._is_open))

    def _cells(self, row: Row, *, is_summary: bool = False) -> list[Markup]:
        mark, _ = MARKS[row.tone]
        tone = _COLOURS.get(row.tone, "")
        is_faint = row.tone in (Tone.WITHDRAWN, Tone.MORE, Tone.GROUP)
        inside = "" if row.inside is None else f"({row.inside})"
        answer = row.answer + row.tail
        colour = "dim" if is_summary or row.tone is Tone.GROUP else tone if row.tone is not Tone.DONE else ""
        return [
            element("span", mark if mark != "┬" else "", class_=f"mark {tone}".rstrip(), aria_hidden="true"),
            element(
                "span",
                element("span", f"{_SAID[row.tone]}: ", class_="sr") if row.tone in _SAID else None,
                element("span", elide(row.id, _ID), class_="id") if row.id else None,
                element("code", elide(row.head + inside, 2 * _LINE), class_="dim" if is_faint else None),
                element("code", elide(answer, 2 * _LINE), class_=f"ans {colour}".rstrip()) if answer else None,
                class_="told",
            ),
            element("span", span(row.took) if row.took is not None else "", class_="took"),
            element("time", self._at(row.at), class_="at", datetime=row.at.isoformat())
            if row.at is not None
            else element("span", class_="at"),
            element("span", place_words(row.where), class_="place mono"),
        ]

    def _at(self, at: datetime) -> str:
        text = at.astimezone(UTC).strftime(self._clock)
        return text[:-3] if self._clock.endswith("%f") else text

    def _more(self, node: Node, row: Row) -> Markup | None:
        """Draw what unfolds below a command: values that do not fit, its attempts, its traceback; None for nothing."""
        is_long = len(row.head) + len(row.inside or "") + len(row.answer) > _LONG
        has_trace = node.failure is not None and bool(node.failure.traceback) and self._traces < _MOST_TRACES
        if not is_long and not node.tries and not has_trace:
            return None
        pairs: list[tuple[str, str]] = []
        if is_long and row.inside:
            pairs.append(("arguments", elide(row.inside, _VALUE)))
        if is_long and row.answer:
            pairs.append(("answer", elide(row.answer, _VALUE)))
        trace = None
        if has_trace and node.failure is not None:
            self._traces += 1
            trace = traceback(node.failure)
        fields = [joined([element("dt", name), element("dd", element("code", value))]) for name, value in pairs]
        return element("div", element("dl", fields) if fields else None, self._tries(node), trace, class_="more")

    def _tries(self, node: Node) -> Markup | None:
        if not node.tries:
            return None
        heads = ("attempt", "began", "took", "what came of it", "pause")
        shown = [self._try(attempt) for attempt in node.tries[:_MOST_TRIES]]
        more = len(node.tries) - len(shown)
        return element(
            "div",
            table(heads, shown),
            element("p", f"… and {count(more, 'more attempt')}", class_="dim") if more > 0 else None,
        )

    def _try(self, attempt: Try) -> Markup:
        begun, pause = attempt.begun, attempt.retry_at
        failure = attempt.failure
        came = "unknown: its worker was lost" if failure is None else elide(failure_line(failure, _VALUE), 2 * _LINE)
        return element(
            "tr",
            element("th", attempt.number, scope="row", class_="num"),
            element("td", self._at(begun) if begun is not None else "", class_="num"),
            element("td", span(attempt.ended - begun) if begun is not None else "", class_="num"),
            element("td", came, class_="bad"),
            element("td", span(pause - attempt.ended) if pause is not None else "", class_="num"),
        )


def _rank(branch: list[Item]) -> int:
    """Put failed branches first, then those at work."""
    states = {node.state for item in branch for node in _nodes(item)}
    return 0 if State.FAILED in states else 1 if State.WAITS in states else _CALM


def _nodes(item: Item) -> list[Node]:
    """Return the commands that are shown of an item."""
    if item.node is not None:
        return [item.node]
    return [node for branch in item.branches for below in branch for node in _nodes(below)]


def traceback(failure: Failure, *, is_open: bool = False) -> Markup | None:
    """Fold a traceback; a long one loses its middle.

    Args:
        failure: The exception.
        is_open: Whether it is unfolded.

    Returns:
        The markup; None where no traceback was recorded.
    """
    text = failure.traceback
    if not text:
        return None
    if len(text) > _TRACE:
        text = f"{text[: _TRACE // 2]}\n  … {len(text) - _TRACE:,} characters …\n{text[-_TRACE // 2 :]}"
    text = clean(text)
    inside = element("pre", text, class_="trace", tabindex=0, role="region", aria_label="traceback")
    return element("details", element("summary", "traceback"), inside, open=is_open)
