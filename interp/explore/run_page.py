"""The page of one run: what it is, what is the matter with it, its timeline, its commands and its records.

What is the matter is told by `interp.explore.run_notes`, the commands are drawn by `interp.explore.command_tree`.
However long the history is, the page stays bounded.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.console import Console

from interp.errors import InterpError
from interp.events import (
    Completed,
    Record,
    Started,
    Transition,
    WorkerLost,
    decode_event,
)
from interp.explore.command_tree import TREE_STYLE, command_tree
from interp.explore.markup import Markup, element, table
from interp.explore.run_notes import NOTE_STYLE, damage_line, damaged, ended, parked, repeated, twice, waiting
from interp.explore.subject import Damage, Stored
from interp.explore.theme import within
from interp.explore.timeline import timeline_of
from interp.explore.view import part
from interp.outline.nodes import Letter, State
from interp.outline.records import told
from interp.outline.rows import Limits
from interp.outline.words import clean, count, elide, one_line, recorded, span, stamp
from interp.runtime.live import moment
from interp.terminal import RunPage, show_page

__all__ = ["STYLE", "run_html", "run_text"]

# As wide as texts of views are.
_WIDTH = 120

# Lines of text: from more than this the middle is left out.
_LINES = 600

# Characters of a line that may be cut, and of a value; of a longer name only the beginning is cleaned.
_LINE = 160
_VALUE = 1_500
_NAME = 4_000

# How many messages, damaged records in the text, and records at either end are shown.
_MOST_LETTERS = 20
_MOST_DAMAGED = 20
_FIRST_RECORDS = 100
_LAST_RECORDS = 150

_STYLE = """
.interp .facts { display: flex; flex-wrap: wrap; gap: 2px 26px; margin: 2px 0 8px; }
.interp .facts div { display: flex; gap: 7px; }
.interp .facts dt { color: var(--dim); font-weight: 400; } .interp .facts dd { margin: 0; font-weight: 600; }
.interp .asked { border-left: 3px solid var(--line); padding: 1px 0 1px 10px; margin: 6px 0; }
.interp table.records td:nth-child(n+3) { overflow-wrap: anywhere; }
"""

STYLE = within("run", _STYLE + NOTE_STYLE + TREE_STYLE)
"""What the page of a run adds to the style of all views."""


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
    page = RunPage(run.row, run.store, run.tree, now, Limits(), zone=UTC, repeated=repeated(run))
    show_page(out, page)
    lines = written.getvalue().rstrip("\n").split("\n")
    if len(lines) > _LINES:
        left_out = len(lines) - _LINES
        lines[_LINES // 2 : -(_LINES // 2)] = [f"… {count(left_out, 'more line')}"]
    if run.damage:
        lines += ["", damage_line(run)]
        lines += [f"  record {each.index}: {clean(each.why)}" for each in run.damage[:_MOST_DAMAGED]]
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
        ("what is damaged", lambda: damaged(run)),
        ("why it is parked", lambda: parked(run, now)),
        ("how it ended", lambda: ended(run)),
        ("what it waits for", lambda: waiting(run, now)),
        ("what may have happened twice", lambda: twice(run)),
        ("the timeline", lambda: _over_time(run, now)),
        ("the tree of commands", lambda: command_tree(run.tree, now)),
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


def _header(run: Stored, now: datetime) -> Markup:
    row, begun = run.row, _beginning(run)
    arguments = "…" if begun is None else recorded(begun.args, _VALUE).removeprefix("[").removesuffix("]")
    outcome = run.tree.outcome
    result = f"\n→ {recorded(outcome.payload, _VALUE)}" if isinstance(outcome, Completed) else ""
    return element(
        "header",
        element(
            "h3",
            elide(one_line(row.workflow[:_NAME]), _LINE),
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
        element("pre", f"{elide(one_line(row.workflow[:_NAME]), _LINE)}({arguments}){result}", class_="asked"),
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


def _over_time(run: Stored, now: datetime) -> Markup | None:
    """Draw the timeline of a run that has come to a command."""
    return element("div", timeline_of(run, now=now).html(), class_="over-time") if run.tree.nodes else None


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
        table(heads, map(_letter, letters[:_MOST_LETTERS])),
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
    commands = {command.id: command for record in run.history for command in record.commands}
    rows = [_record(each, commands) for each in (places if hidden <= 0 else places[:_FIRST_RECORDS])]
    if hidden > 0:
        rows.append(element("tr", element("td", f"… {count(hidden, 'more record')}", colspan=4, class_="dim")))
        rows += [_record(each, commands) for each in places[-_LAST_RECORDS:]]
    heads = ("record", "at (UTC)", "what happened", "what the workflow answered")
    return element(
        "details",
        element("summary", f"all {count(len(places), 'record')}" if len(places) > 1 else "the record"),
        table(heads, rows, class_="records"),
    )


def _record(record: Transition | Damage, commands: Mapping[str, Record]) -> Markup:
    number = element("th", record.index, scope="row", class_="num")
    if isinstance(record, Damage):
        why = f"cannot be read: {record.why} ({count(record.size, 'byte')})"
        return element("tr", number, element("td"), element("td", elide(why, 2 * _LINE), class_="bad"), element("td"))
    happened, followed = told(record, commands)
    at = record.at.astimezone(UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
    return element(
        "tr",
        number,
        element("td", at, class_="num dim"),
        element("td", elide(happened, 2 * _LINE)),
        element("td", elide(followed, 2 * _LINE)),
    )
