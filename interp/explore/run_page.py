"""The page of one run: what it is, how it stands, what it waits for, and its commands as a tree.

The tree is that of `interp show` (`interp.outline.rows`), nested: lists in lists, and what can be folded is a
`<details>`, so that keyboards and screen readers know their way. What failed comes first and is open. However long the
history is, the page stays bounded: what is alike is counted.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console

from interp.definitions import WorkflowDefinition
from interp.errors import InterpError
from interp.events import (
    Completed,
    ContinuedAs,
    Failed,
    Failure,
    Started,
    Transition,
    WasCancelled,
    WorkerLost,
    decode_event,
)
from interp.explore.blocked import quoted
from interp.explore.divergence import divergence_of
from interp.explore.markup import Markup, element, joined
from interp.explore.subject import Damage, Stored
from interp.explore.timeline import timeline_of
from interp.explore.values import recorded
from interp.explore.view import part
from interp.explore.waits import Wait, waits_of
from interp.outline.answers import short_path
from interp.outline.nodes import Letter, Node, State, Try
from interp.outline.records import told
from interp.outline.rows import Item, Limits, Row, Tone, items_of
from interp.outline.words import clean, count, elide, failure_line, one_line, reflowed, span, stamp
from interp.runtime.attempts import idempotency_key
from interp.runtime.live import moment
from interp.runtime.repeated import RepeatedCall, repeated_calls
from interp.store import Status
from interp.terminal import MARKS, RunPage, show_page

__all__ = ["STYLE", "run_html", "run_text"]

# As wide as texts of views are.
_WIDTH = 120

# Lines of text: from more than this the middle is left out.
_LINES = 600

# What is shown of the tree: some more than on a terminal, since it can be folded.
_LIMITS = Limits(branches=30, commands=60, rows=400, value=1_500)

# Characters of a line that may be cut, of a value that is unfolded, and of a traceback.
_LINE = 160
_ID = 80
_VALUE = 1_500
_TRACE = 4_000

# How many tracebacks, attempts of a call, things waited for, messages, and records at either end are shown.
_MOST_TRACES = 40
_MOST_TRIES = 20
_MOST_WAITS = 12
_MOST_LETTERS = 20
_FIRST_RECORDS = 100
_LAST_RECORDS = 150

# Longer histories are not replayed for the page of a run; `run.divergence()` does it all the same.
_REPLAYED = 20_000

# Trees of up to so many rows are shown unfolded.
_OPEN_ROWS = 24

STYLE = """
.interp .facts { display: flex; flex-wrap: wrap; gap: 2px 26px; margin: 2px 0 8px; }
.interp .facts div { display: flex; gap: 7px; }
.interp .facts dt { color: var(--dim); font-weight: 400; } .interp .facts dd { margin: 0; font-weight: 600; }
.interp .asked { border-left: 3px solid var(--line); padding: 1px 0 1px 10px; margin: 6px 0; }
.interp .note { border: 1px solid var(--line); border-left: 4px solid var(--dim); border-radius: 6px;
padding: 7px 12px; margin: 10px 0; } .interp .note h4 { margin: 0 0 2px; }
.interp .note p { margin: 0 0 2px; }
.interp .note.bad { border-left-color: var(--bad); color: inherit; } .interp .note.bad h4 { color: var(--bad); }
.interp .note.odd { border-left-color: var(--odd); color: inherit; } .interp .note.odd h4 { color: var(--odd); }
.interp .note.wait { border-left-color: var(--wait); color: inherit; } .interp .note.wait h4 { color: var(--wait); }
.interp .note pre.said { margin: 2px 0 4px; } .interp .note table { margin: 2px 0 0; }
.interp .note td:first-child { min-width: 130px; } .interp .note .num { white-space: nowrap; }
.interp .quote { background: var(--band); border-radius: 4px; padding: 0 5px; box-decoration-break: clone;
-webkit-box-decoration-break: clone; }
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
.interp details[open] > summary.row .told.whole { white-space: normal; overflow-wrap: anywhere; }
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
.interp table.records td:nth-child(n+3) { overflow-wrap: anywhere; }
@media (max-width: 760px) { .interp .row { grid-template-columns: 12px 15px minmax(0, 1fr) 70px; }
.interp .row .at, .interp .row .place { display: none; } }
@media print { .interp .row .told { white-space: normal; } .interp .trace { max-height: none; } }
"""
"""What the page of a run adds to the style of all views."""


def _place(where: str) -> str:
    """Write `file:line`; of a long one its end, which tells most."""
    text = one_line(where)
    return text if len(text) <= _LINE else "…" + text[1 - _LINE :]


def run_text(run: Stored, now: datetime | None = None) -> str:
    """Show a run as `interp show` does, in 120 columns.

    Args:
        run: The run.
        now: The time, for what still waits; None for now.
    """
    now = now or datetime.now(UTC)
    written = io.StringIO()
    out = Console(
        file=written,
        width=_WIDTH,
        force_terminal=False,
        force_jupyter=False,  # it would show every line as an output of its own
        color_system=None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    page = RunPage(run.row, run.store, run.tree, now, Limits(), zone=UTC, repeated=_repeated(run))
    show_page(out, page)
    lines = written.getvalue().rstrip("\n").split("\n")
    if len(lines) > _LINES:
        left_out = len(lines) - _LINES
        lines[_LINES // 2 : -(_LINES // 2)] = [f"… {count(left_out, 'more line')}"]
    if run.damage:
        lines += ["", _damage_line(run)]
        lines += [f"  record {each.index}: {clean(each.why)}" for each in run.damage[:_MOST_LETTERS]]
    return "\n".join(_fitted(clean(line)) for line in lines)


def _fitted(line: str) -> str:
    return (line if cell_len(line) <= _WIDTH else f"{set_cell_size(line, _WIDTH - 1)}…").rstrip()


def run_html(run: Stored, now: datetime | None = None, *, has_style: bool = False) -> Markup:
    """Show a run as markup.

    The text of a value, a message or a traceback is cut where it is long; the number of rows does not grow without end.

    Args:
        run: The run.
        now: The time, for what still waits; None for now.
        has_style: Whether the page around it has `STYLE` already.
    """
    now = now or datetime.now(UTC)
    parts: list[tuple[str, Callable[[], Markup | None]]] = [
        ("the header", lambda: _header(run, now)),
        ("what is damaged", lambda: _damaged(run)),
        ("why it is parked", lambda: _parked(run, now)),
        ("how it ended", lambda: _ended(run)),
        ("what it waits for", lambda: _waiting(run, now)),
        ("what may have happened twice", lambda: _twice(run)),
        ("the timeline", lambda: _over_time(run, now)),
        ("the tree of commands", lambda: _tree(run, now)),
        ("what was not taken", lambda: _letters(run)),
        ("the records", lambda: _records(run)),
    ]
    return element(
        "section",
        None if has_style else Markup(f"<style>{STYLE}</style>"),
        [part(name, draw) for name, draw in parts],
        class_="run",
        aria_label=elide(f"run {run.id} of {run.row.workflow}", 3 * _LINE),
    )


# --- the header ---------------------------------------------------------------------------------


def _header(run: Stored, now: datetime) -> Markup:
    row, begun = run.row, _beginning(run)
    arguments = "…" if begun is None else recorded(begun.args, _VALUE).removeprefix("[").removesuffix("]")
    outcome = run.tree.outcome
    result = f"\n→ {recorded(outcome.payload, _VALUE)}" if isinstance(outcome, Completed) else ""
    return element(
        "header",
        element(
            "h3",
            elide(one_line(row.workflow[:_TRACE]), _LINE),
            element("span", row.status.value, class_=f"pill {row.status.value}"),
            element("code", elide(row.id, 2 * _LINE), class_="dim"),
        ),
        element(
            "dl",
            [
                element("div", element("dt", name), element("dd", elide(value, _LINE)))
                for name, value in _facts(run, now)
            ],
            class_="facts",
        ),
        element("pre", f"{elide(one_line(row.workflow[:_TRACE]), _LINE)}({arguments}){result}", class_="asked"),
        _state(run),
    )


def _facts(run: Stored, now: datetime) -> list[tuple[str, str]]:
    row, tree = run.row, run.tree
    begun = moment(row.created_us)
    facts: list[tuple[str, str]] = []
    if row.status.ended and tree.last_at is not None:
        facts.append(("took", span(tree.last_at - begun)))
    else:
        facts.append(("for", span(now - begun)))
    nodes = tree.nodes.values()
    failed = sum(attempt.failure is not None for node in nodes for attempt in node.tries)
    failed += sum(node.state is State.FAILED and node.record.kind in ("call", "transact") for node in nodes)
    lost = sum(isinstance(transition.cause, WorkerLost) for transition in run.history)
    facts += [
        ("started", f"{stamp(begun, UTC)} UTC"),
        ("records", f"{row.length:,}"),
        ("commands", f"{len(tree.nodes):,}"),
        ("fibers", f"{max(len(tree.fibers), 1):,}"),
        ("attempts failed", f"{failed:,}"),
        ("workers lost", f"{lost:,}"),
    ]
    if row.owner is not None and not row.status.ended:
        facts.append(("worker", one_line(row.owner)))
    started = tree.started
    if started is None:
        return facts
    if started.round:
        facts.append(("continued as new", count(started.round, "time")))
    if started.failures:
        facts.append(("failed at its start before", count(len(started.failures), "time")))
    if started.parent is not None:
        facts.append(("child of", one_line(started.parent[0])))
    if started.forked_from:
        origin = started.forked_from[-1]
        facts.append(("forked from", one_line(f"{origin.run_id} at record {origin.length}")))
    if started.scheduled_at is not None:
        facts.append(("scheduled for", f"{stamp(started.scheduled_at, UTC)} UTC"))
    return facts


def _state(run: Stored) -> Markup | None:
    if not run.row.attributes:
        return None
    said = element("code", recorded(run.row.attributes, _VALUE))
    return element("p", element("span", "state ", class_="dim"), said, style="margin: 4px 0")


def _beginning(run: Stored) -> Started | None:
    """Return how the run was started: by its first record, or, before there is one, by the message that waits."""
    if run.started is not None or run.history or not run.messages:
        return run.started
    try:
        event = decode_event(run.messages[0].body)
    except (msgspec.MsgspecError, InterpError):
        return None
    return event if isinstance(event, Started) else None


# --- what is the matter -------------------------------------------------------------------------


def _note(kind: str, title: str, *inside: Markup | str | None) -> Markup:
    return element("div", element("h4", title), inside, class_=f"note {kind}", role="note")


def _damage_line(run: Stored) -> str:
    number = count(len(run.damage), "record")
    return (
        f"{number} cannot be read: the tree of commands leaves out what {'it' if len(run.damage) == 1 else 'they'} told"
    )


def _damaged(run: Stored) -> Markup | None:
    if not run.damage:
        return None
    shown = [element("li", elide(f"record {each.index}: {each.why}", 3 * _LINE)) for each in run.damage[:_MOST_LETTERS]]
    more = len(run.damage) - len(shown)
    rest = element("li", f"… and {count(more, 'more')}") if more > 0 else None
    return _note("bad", _damage_line(run), element("ul", shown, rest))


def _parked(run: Stored, now: datetime) -> Markup | None:
    """Tell why a run is parked."""
    if run.row.status is not Status.PARKED:
        return None
    (wait,) = waits_of(run, now, {})
    return _note(
        "odd",
        "parked",
        element("pre", elide(reflowed(clean(run.row.reason[:_TRACE])), _TRACE), class_="said"),
        element("p", "It goes on by ", quoted(wait.wakes), "."),
        _divergence(run),
    )


def _divergence(run: Stored) -> Markup | None:
    """Show what was recorded and what the code does now, side by side, where the code is at hand and they differ."""
    if not isinstance(run.code, WorkflowDefinition) or len(run.history) > _REPLAYED:
        return None
    found = part("the divergence", lambda: None if (seen := divergence_of(run)) is None else seen.html())
    return None if found is None else element("div", found, style="margin-top: 8px")


def _ended(run: Stored) -> Markup | None:
    match run.tree.outcome:
        case Failed(failure=failure):
            return _note(
                "bad", f"failed: {elide(failure_line(failure, _VALUE), _VALUE)}", _trace(failure, is_open=True)
            )
        case WasCancelled(reason=reason):
            return _note("bad", "cancelled" + (f": {elide(one_line(reason[:_TRACE]), _VALUE)}" if reason else ""))
        case ContinuedAs(started=started):
            return _note("wait", "continues as new", element("pre", recorded(started.args, _VALUE)))
        case _:
            return None


def _trace(failure: Failure, *, is_open: bool = False) -> Markup | None:
    """Fold a traceback; a long one loses its middle."""
    text = failure.traceback
    if not text:
        return None
    if len(text) > _TRACE:
        text = f"{text[: _TRACE // 2]}\n  … {len(text) - _TRACE:,} characters …\n{text[-_TRACE // 2 :]}"
    text = clean(text)
    inside = element("pre", text, class_="trace", tabindex=0, role="region", aria_label="traceback")
    return element("details", element("summary", "traceback"), inside, open=is_open)


def _waiting(run: Stored, now: datetime) -> Markup | None:
    if run.row.status is Status.PARKED:
        return None
    waits = waits_of(run, now)
    if not waits:
        return None
    heads = ("what", "for", "where", "what makes it go on")
    more = max(len(waits), len(run.tree.waiting)) - _MOST_WAITS
    return _note(
        "wait",
        "waits for",
        element(
            "table",
            element("thead", element("tr", [element("th", head, scope="col") for head in heads])),
            element("tbody", [_wait_row(wait, now) for wait in waits[:_MOST_WAITS]]),
        ),
        element("p", f"… and {more:,} more", class_="dim") if more > 0 else None,
    )


def _wait_row(wait: Wait, now: datetime) -> Markup:
    source = element("code", elide(wait.source, _LINE), class_="quote") if wait.source else None
    return element(
        "tr",
        element(
            "td",
            element("span", wait.command, " ", class_="dim") if wait.command else None,
            element("code", wait.what),
            element("div", wait.detail, class_="dim") if wait.detail else None,
        ),
        element("td", span(now - wait.since), class_="num"),
        element(
            "td", element("div", element("code", _place(wait.where)), class_="dim") if wait.where else None, source
        ),
        element("td", quoted(wait.wakes)),
    )


def _repeated(run: Stored) -> Sequence[RepeatedCall]:
    try:
        return repeated_calls(run.history)
    except (LookupError, ValueError):  # records are missing
        return ()


def _twice(run: Stored) -> Markup | None:
    """List the calls whose effects may have happened twice, with the keys by which outside systems know them."""
    calls = _repeated(run)
    if not calls:
        return None
    heads = ("call", "attempts of unknown outcome", "idempotency key", "where")
    rows = [
        element(
            "tr",
            element(
                "td",
                element("span", elide(call.id, _ID), " ", class_="dim"),
                element("code", elide(call.activity, _LINE)),
            ),
            element("td", ", ".join(map(str, call.attempts[:_MOST_TRIES]))),
            element("td", element("code", elide(idempotency_key(run.id, run.tree.round, call.id), 3 * _LINE))),
            element("td", element("code", _place(call.where), class_="dim")),
        )
        for call in calls[:_MOST_WAITS]
    ]
    more = len(calls) - len(rows)
    return _note(
        "odd",
        "may have happened twice",
        element("p", "Their workers were lost: ask the outside system what it did for these keys.", class_="dim"),
        element(
            "table",
            element("thead", element("tr", [element("th", head, scope="col") for head in heads])),
            element("tbody", rows),
        ),
        element("p", f"… and {more:,} more", class_="dim") if more > 0 else None,
    )


def _over_time(run: Stored, now: datetime) -> Markup | None:
    """Draw the timeline of a run that has come to a command."""
    return element("div", timeline_of(run, now=now).html(), class_="over-time") if run.tree.nodes else None


# --- the tree -----------------------------------------------------------------------------------


def _tree(run: Stored, now: datetime) -> Markup | None:
    items = items_of(run.tree, now, _LIMITS)
    if not items:
        return None
    drawn = _Drawn(_clock(run.tree.at, run.tree.last_at), _size(items) <= _OPEN_ROWS)
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
            element("span", _place(row.where), class_="place mono"),
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
            trace = _trace(node.failure)
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
            element(
                "table",
                element("thead", element("tr", [element("th", head, scope="col") for head in heads])),
                element("tbody", shown),
            ),
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


def _rank(branch: list[Item]) -> int:
    """Put failed branches first, then those at work."""
    states = {node.state for item in branch for node in _nodes(item)}
    return 0 if State.FAILED in states else 1 if State.WAITS in states else _CALM


def _nodes(item: Item) -> list[Node]:
    """Return the commands that are shown of an item."""
    if item.node is not None:
        return [item.node]
    return [node for branch in item.branches for below in branch for node in _nodes(below)]


# --- below the tree -----------------------------------------------------------------------------


def _letters(run: Stored) -> Markup | None:
    """List the signals and requests that came and that nobody took."""
    letters = run.tree.mailbox
    if not letters:
        return None
    heads = ("name", "payload", "came")
    more = len(letters) - _MOST_LETTERS
    return element(
        "div",
        element("h4", f"{count(len(letters), 'message')} not taken"),
        element(
            "table",
            element("thead", element("tr", [element("th", head, scope="col") for head in heads])),
            element("tbody", map(_letter, letters[:_MOST_LETTERS])),
        ),
        element("p", f"… and {count(more, 'more')}", class_="dim") if more > 0 else None,
    )


def _letter(letter: Letter) -> Markup:
    kind = "request" if letter.request_id else "signal"
    came = f"{stamp(letter.at, UTC)} UTC" if letter.at is not None else "in an earlier round"
    return element(
        "tr",
        element("th", f"{kind} ", element("code", elide(one_line(repr(letter.name[:_LINE])), _LINE)), scope="row"),
        element("td", element("code", recorded(letter.payload, _LINE))),
        element("td", came, class_="dim"),
    )


def _records(run: Stored) -> Markup | None:
    """List the records, folded: the first and the last ones of many; those that cannot be read stand in their place."""
    places: list[Transition | Damage] = [*run.history, *run.damage]
    places.sort(key=lambda each: each.index)
    if not places:
        return None
    hidden = len(places) - _FIRST_RECORDS - _LAST_RECORDS
    rows = [_record(each) for each in (places if hidden <= 0 else places[:_FIRST_RECORDS])]
    if hidden > 0:
        rows.append(element("tr", element("td", f"… {count(hidden, 'more record')}", colspan=4, class_="dim")))
        rows += [_record(each) for each in places[-_LAST_RECORDS:]]
    heads = ("record", "at (UTC)", "what happened", "what the workflow answered")
    return element(
        "details",
        element("summary", f"all {count(len(places), 'record')}" if len(places) > 1 else "the record"),
        element(
            "table",
            element("thead", element("tr", [element("th", head, scope="col") for head in heads])),
            element("tbody", rows),
            class_="records",
        ),
    )


def _record(record: Transition | Damage) -> Markup:
    number = element("th", record.index, scope="row", class_="num")
    if isinstance(record, Damage):
        why = f"cannot be read: {record.why} ({count(record.size, 'byte')})"
        return element("tr", number, element("td"), element("td", elide(why, 2 * _LINE), class_="bad"), element("td"))
    happened, followed = told(record)
    at = record.at.astimezone(UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
    return element(
        "tr",
        number,
        element("td", at, class_="num dim"),
        element("td", elide(happened, 2 * _LINE)),
        element("td", elide(followed, 2 * _LINE)),
    )
