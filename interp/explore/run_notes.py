"""What is the matter with a run, a box for each: damaged, parked, ended, waiting; and what may have happened twice.

Each function gives None where there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from interp.definitions import WorkflowDefinition
from interp.events import ContinuedAs, Failed, WasCancelled
from interp.explore.blocked import quoted
from interp.explore.command_tree import traceback
from interp.explore.divergence import divergence_of
from interp.explore.markup import Markup, element, table
from interp.explore.subject import Stored
from interp.explore.view import part
from interp.explore.waits import Wait, waits_of
from interp.outline.phrases import place_words
from interp.outline.words import clean, count, elide, failure_line, one_line, recorded, reflowed, span
from interp.runtime.attempts import idempotency_key
from interp.runtime.repeated import RepeatedCall, repeated_calls
from interp.store import Status

__all__ = ["NOTE_STYLE", "damage_line", "damaged", "ended", "parked", "repeated", "twice", "waiting"]

# Characters of a line that may be cut, of an id, of a value, and of a reason.
_LINE = 160
_ID = 80
_VALUE = 1_500
_REASON = 4_000

# How many damaged records, things waited for, calls, and attempts of one are listed.
_MOST_DAMAGED = 20
_MOST_WAITS = 12
_MOST_TRIES = 20

# Longer histories are not replayed for the page of a run; `run.divergence()` does it all the same.
_REPLAYED = 20_000

NOTE_STYLE = """
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
"""
"""Goes with the theme wherever such boxes are shown."""


def _note(kind: str, title: str, *inside: Markup | str | None) -> Markup:
    return element("div", element("h4", title), inside, class_=f"note {kind}", role="note")


def damage_line(run: Stored) -> str:
    """Say how many records cannot be read, and what follows from it."""
    number = count(len(run.damage), "record")
    return (
        f"{number} cannot be read: the tree of commands leaves out what {'it' if len(run.damage) == 1 else 'they'} told"
    )


def damaged(run: Stored) -> Markup | None:
    """List the records that cannot be read."""
    if not run.damage:
        return None
    shown = [element("li", elide(f"record {each.index}: {each.why}", 3 * _LINE)) for each in run.damage[:_MOST_DAMAGED]]
    more = len(run.damage) - len(shown)
    rest = element("li", f"… and {count(more, 'more')}") if more > 0 else None
    return _note("bad", damage_line(run), element("ul", shown, rest))


def parked(run: Stored, now: datetime) -> Markup | None:
    """Tell why a run is parked."""
    if run.row.status is not Status.PARKED:
        return None
    (wait,) = waits_of(run, now, {})
    return _note(
        "odd",
        "parked",
        element("pre", elide(reflowed(clean(run.row.reason[:_REASON])), _REASON), class_="said"),
        element("p", "It goes on by ", quoted(wait.wakes), "."),
        _divergence(run),
    )


def _divergence(run: Stored) -> Markup | None:
    """Show what was recorded and what the code does now, side by side, where the code is at hand and they differ."""
    if not isinstance(run.code, WorkflowDefinition) or len(run.history) > _REPLAYED:
        return None
    found = part("the divergence", lambda: None if (seen := divergence_of(run)) is None else seen.html())
    return None if found is None else element("div", found, style="margin-top: 8px")


def ended(run: Stored) -> Markup | None:
    """Tell how a run ended that did not return."""
    match run.tree.outcome:
        case Failed(failure=failure):
            return _note(
                "bad", f"failed: {elide(failure_line(failure, _VALUE), _VALUE)}", traceback(failure, is_open=True)
            )
        case WasCancelled(reason=reason):
            return _note("bad", "cancelled" + (f": {elide(one_line(reason[:_REASON]), _VALUE)}" if reason else ""))
        case ContinuedAs(started=started):
            return _note("wait", "continues as new", element("pre", recorded(started.args, _VALUE)))
        case _:
            return None


def waiting(run: Stored, now: datetime) -> Markup | None:
    """List what a run waits for, and what would make it go on."""
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
        table(heads, [_wait_row(wait, now) for wait in waits[:_MOST_WAITS]]),
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
            "td", element("div", element("code", place_words(wait.where)), class_="dim") if wait.where else None, source
        ),
        element("td", quoted(wait.wakes)),
    )


def repeated(run: Stored) -> Sequence[RepeatedCall]:
    """Return the calls whose effects may have happened twice; none where that cannot be told."""
    try:
        return repeated_calls(run.history)
    except (LookupError, ValueError):  # records are missing
        return ()


def twice(run: Stored) -> Markup | None:
    """List the calls whose effects may have happened twice, with the keys by which outside systems know them."""
    calls = repeated(run)
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
            element("td", element("code", place_words(call.where), class_="dim")),
        )
        for call in calls[:_MOST_WAITS]
    ]
    more = len(calls) - len(rows)
    return _note(
        "odd",
        "may have happened twice",
        element("p", "Their workers were lost: ask the outside system what it did for these keys.", class_="dim"),
        table(heads, rows),
        element("p", f"… and {more:,} more", class_="dim") if more > 0 else None,
    )
