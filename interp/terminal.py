"""One run as rich draws it: what `interp show` prints, and what `print(run)` in a notebook or a test.

Colours are the terminal's own sixteen, so that they are readable on dark and light; yellow and white are not among
them. Where there is no terminal, rich writes plain text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

import attrs
from rich.console import Console, OverflowMethod, RenderableType
from rich.table import Table
from rich.text import Text

from interp.events import Completed, ContinuedAs, Failed, Origin, Outcome, WasCancelled
from interp.outline.answers import wait_line
from interp.outline.nodes import Node
from interp.outline.rows import Limits, Row, Tone, rows_of
from interp.outline.tree import Tree
from interp.outline.words import (
    WHOLE,
    clean,
    count,
    elide,
    failure_line,
    one_line,
    reflowed,
    rendered,
    rendered_arguments,
    span,
    stamp,
)
from interp.runtime.attempts import idempotency_key
from interp.runtime.live import moment
from interp.runtime.repeated import RepeatedCall
from interp.runtime.stores import hint
from interp.store import RunRow, Status

__all__ = ["MARKS", "RunPage", "print_plainly", "show_page", "status_text", "waits_table"]

_STATUS_STYLES = {
    Status.PENDING: "",
    Status.RUNNING: "cyan",
    Status.WAITING: "cyan",
    Status.COMPLETED: "green",
    Status.FAILED: "red",
    Status.CANCELLED: "red",
    Status.PARKED: "bold magenta",
}

MARKS = {
    Tone.DONE: ("✓", "green"),
    Tone.FAILED: ("✗", "red"),
    Tone.WAITS: ("●", "cyan"),
    Tone.WITHDRAWN: ("-", "dim"),
    Tone.GROUP: ("┬", "dim"),
    Tone.TRY: ("✗", "red"),
    Tone.EVENT: ("!", "magenta"),
    Tone.MORE: ("", ""),
    Tone.TEXT: ("", ""),
}

# Values longer than this are cut, before lines are fitted to the terminal.
_VALUE = 200

# Widest column of places in the source.
_WHERE = 60

# How many of the things that a run waits for are listed.
_WAITS = 8


def print_plainly(
    out: Console, what: RenderableType = "", overflow: OverflowMethod | None = None, *, no_wrap: bool = False
) -> None:
    """Print; where there is no terminal, without the blanks that fill up the lines."""
    if out.is_terminal:
        out.print(what, overflow=overflow, no_wrap=no_wrap)
        return
    with out.capture() as captured:
        out.print(what, overflow=overflow, no_wrap=no_wrap)
    for line in captured.get().splitlines():
        out.file.write(f"{line.rstrip()}\n")


def status_text(status: Status) -> Text:
    """Return a status in its colour."""
    return Text(status.value, _STATUS_STYLES[status])


@attrs.frozen
class RunPage:
    """One run to be shown.

    Attributes:
        row: As the store lists it.
        store: URL of its store.
        tree: Its history.
        now: The time.
        limits: How much of the history is shown.
        is_whole: Whether values are shown whole.
        fiber: The fiber or command to be shown alone; empty for all.
        zone: The time zone; None for the local one.
        repeated: The calls whose effects may have happened twice.
    """

    row: RunRow
    store: str
    tree: Tree
    now: datetime
    limits: Limits
    is_whole: bool = False
    fiber: str = ""
    zone: tzinfo | None = None
    repeated: Sequence[RepeatedCall] = ()


def show_page(out: Console, page: RunPage) -> None:
    """Print a run: its headline, its history, how it ended or what it waits for."""
    print_plainly(out, _headline(page))
    rows = rows_of(page.tree, page.now, page.limits, page.fiber)
    if rows:
        print_plainly(out)
        _print_rows(out, rows, page)
    for line in _letters(page):
        print_plainly(out, line, overflow="fold" if page.is_whole else "ellipsis", no_wrap=not page.is_whole)
    waiting = list(page.tree.waiting.values()) if page.tree.outcome is None else []
    if waiting and page.row.status is not Status.PARKED:
        print_plainly(out)
        print_plainly(out, Text("waits for", "bold"))
        print_plainly(out, waits_table(waiting, page.now, _WAITS))
    if page.repeated and not page.fiber:
        print_plainly(out)
        print_plainly(out, Text("may have happened twice", "bold magenta"))
        print_plainly(out, _repeated_table(page))
        print_plainly(
            out, "  Their workers were lost: ask the outside system what it did for these keys.", overflow="fold"
        )
    for ending in _endings(page):
        print_plainly(out)
        if not page.is_whole and len(ending) > _ENDING:  # a message of megabytes would take minutes to be wrapped
            left_out = Text(f"\n… {len(ending) - _ENDING:,} characters; --full shows them\n")
            ending = Text.assemble(ending[: _ENDING // 2], left_out, ending[-_ENDING // 2 :])
        print_plainly(out, ending, overflow="fold")


# How many characters of a failure, its traceback included, or of a reason are shown.
_ENDING = 50_000


def _headline(page: RunPage) -> Text:
    row, tree = page.row, page.tree
    begun = moment(row.created_us)
    verb = "created" if row.status is Status.PENDING else "started"
    facts = [
        f"{verb} {stamp(begun, page.zone)} ({span(page.now - begun, is_rough=True)} ago)",
        count(row.length, "record"),
    ]
    if row.status.ended and tree.last_at is not None:
        facts.append(f"took {span(tree.last_at - begun)}")
    elif row.owner is not None:
        facts.append(f"last worker {clean(row.owner)}")
    if tree.started is not None and tree.started.failures:
        facts.append(f"failed at its start {count(len(tree.started.failures), 'time')} before")
    if tree.started is not None and tree.started.round:
        facts.append(f"continued as new {count(tree.started.round, 'time')}")
    width = page.limits.value
    arguments = one_line(rendered_arguments(tree.started.args, width)) if tree.started is not None else "…"
    call = f"{clean(row.workflow)}({arguments if page.is_whole else elide(arguments, _VALUE)})"
    lines = [
        Text.assemble((clean(row.id), "bold"), "  ", status_text(row.status)),
        Text(f"{call}  in {clean(page.store)}"),
        Text(" · ".join(facts), "dim"),
    ]
    if tree.started is not None and tree.started.forked_from:
        lines.append(Text(_origin(tree.started.forked_from[-1]), "dim"))
    if row.attributes:
        lines.append(
            Text(f"state {elide(one_line(rendered(row.attributes, width)), WHOLE if page.is_whole else _VALUE)}")
        )
    return Text("\n").join(lines)


def _origin(origin: Origin) -> str:
    given = f", with results given for {', '.join(origin.given)}" if origin.given else ""
    return f"forked from {clean(origin.run_id)} at record {origin.length}{clean(given)}"


def waits_table(waiting: Sequence[Node], now: datetime, most: int) -> Table:
    """List what a run waits for: since when, until when, and at which line of its source."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=False)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for _ in range(3):
        table.add_column(no_wrap=True)
    for node in waiting[:most]:
        what, until = wait_line(node, now)
        since = f"for {span(now - node.at)}"
        table.add_row(f"  {elide(what, _VALUE)}", since, until, Text(clean(node.record.where), "dim"))
    if len(waiting) > most:
        table.add_row(f"  … and {len(waiting) - most:,} more", "", "", "")
    return table


def _repeated_table(page: RunPage) -> Table:
    """List the calls whose outcome was unknown at some time, with the key by which the outside system knows them."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=False)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="fold")
    table.add_column(no_wrap=True)
    shown = page.repeated if page.is_whole else page.repeated[:_WAITS]
    for call in shown:
        lost = f"{'attempt' if len(call.attempts) == 1 else 'attempts'} {', '.join(map(str, call.attempts))}"
        key = idempotency_key(page.row.id, page.tree.round, call.id)
        what = f"  {clean(call.id)}  {clean(call.activity)}"
        table.add_row(what, lost, f"key {clean(key)}", Text(clean(call.where), "dim"))
    if len(page.repeated) > len(shown):
        table.add_row(f"  … and {len(page.repeated) - len(shown):,} more", "", "", "")
    return table


def _print_rows(out: Console, rows: Sequence[Row], page: RunPage) -> None:
    """Print rows in four columns: when, what, how long, where."""
    clock = _clock(rows, page.zone)
    table = Table.grid(padding=(0, 2, 0, 0), expand=out.is_terminal)
    spans = [span(row.took) if row.took is not None else "" for row in rows]
    took_width = max(map(len, spans))
    where_width = min(max(len(row.where) for row in rows), _WHERE)
    at_width = max(len(_at(row, clock, page.zone)) for row in rows)
    room = max(out.width - at_width - took_width - where_width - 6, 30)
    table.add_column(no_wrap=True, style="dim", width=at_width)
    table.add_column(no_wrap=not page.is_whole, overflow="fold" if page.is_whole else "ellipsis", width=room)
    table.add_column(justify="right", no_wrap=True, width=took_width)
    table.add_column(no_wrap=True, style="dim", width=where_width)
    for row, took in zip(rows, spans, strict=True):
        where = elide(clean(row.where), _WHERE)
        table.add_row(_at(row, clock, page.zone), _line(row, None if page.is_whole else room), took, where)
    print_plainly(out, table)


def _line(row: Row, room: int | None) -> Text:
    """Draw the tree's part of a row; values are cut to `room` columns, the arguments before the result."""
    mark, style = MARKS[row.tone]
    if room is not None and len(row.head) > _VALUE:
        row = attrs.evolve(row, head=elide(row.head, _VALUE))
    line = Text.assemble((row.guide, "dim"))
    if mark:
        line.append(f"{mark} ", style)
    if row.id:
        line.append(f"{clean(row.id)}  ", "dim")
    inside, answer = row.inside, row.answer
    if room is not None:
        left = room - len(line.plain) - len(row.head) - len(row.tail) - 3
        answer = elide(answer, max(left - min(len(inside or ""), left // 2), 12))
        inside = None if inside is None else elide(inside, max(left - len(answer) - 2, 4))
    faint = row.tone in (Tone.WITHDRAWN, Tone.MORE, Tone.TEXT, Tone.GROUP)
    line.append(row.head + (f"({inside})" if inside is not None else ""), "dim" if faint else "")
    if answer:
        told = {Tone.FAILED: "red", Tone.TRY: "red", Tone.WAITS: "cyan", Tone.EVENT: "magenta"}.get(row.tone, "dim")
        line.append(" " if row.tone is Tone.WAITS else "  ").append(answer, "" if row.tone is Tone.DONE else told)
        line.append(row.tail, "dim")
    return line


def _clock(rows: Iterable[Row], zone: tzinfo | None) -> str:
    """Choose how precise times are: to the millisecond within a minute, with the date beyond a day."""
    moments = [row.at for row in rows if row.at is not None]
    if not moments:
        return ""
    first, last = min(moments), max(moments)
    if (last - first).total_seconds() < 60:
        return "%H:%M:%S.%f"
    same_day = first.astimezone(zone).date() == last.astimezone(zone).date()
    return "%H:%M:%S" if same_day else "%m-%d %H:%M:%S"


def _at(row: Row, clock: str, zone: tzinfo | None) -> str:
    if row.at is None:
        return ""
    text = row.at.astimezone(zone).strftime(clock)
    return text[:-3] if clock.endswith("%f") else text


def _letters(page: RunPage) -> list[Text]:
    """List the signals and requests that came and were not taken."""
    letters = page.tree.mailbox if not page.fiber else []
    kinds = {"request" if letter.request_id else "signal" for letter in letters}
    what = kinds.pop() if len(kinds) == 1 else "message"
    lines = [Text(f"\n{count(len(letters), what)} not taken", "bold")] if letters else []
    for letter in letters:
        came = f"  came {stamp(letter.at, page.zone)}" if letter.at is not None else "  from an earlier round"
        payload = one_line(rendered(letter.payload, page.limits.value))
        lines.append(Text(f"  {one_line(repr(letter.name))} {payload}{came}"))
    return lines


def _endings(page: RunPage) -> list[Text]:
    """Say how the run ended, or why it is parked."""
    endings: list[Text] = []
    if page.tree.outcome is not None:
        endings.append(_ending(page.tree.outcome, page))
    if page.row.status is Status.PARKED:
        by_itself = "A deploy that fits it releases it, and " if page.row.misfit else ""
        advice = f"\n{by_itself}`{hint('retry', page.row.id, store=page.store)}` releases it when the cause is mended."
        endings.append(Text.assemble(("parked: ", "bold magenta"), reflowed(clean(page.row.reason)), advice))
    return endings


def _ending(outcome: Outcome, page: RunPage) -> Text:
    match outcome:
        case Completed():
            result = one_line(rendered(outcome.payload, page.limits.value))
            return Text.assemble(("completed: ", "bold green"), result if page.is_whole else elide(result, 2 * _VALUE))
        case Failed():
            trace = "\n".join(outcome.failure.traceback.splitlines()[:-1])
            line = failure_line(outcome.failure, page.limits.value)
            return Text.assemble(("failed: ", "bold red"), line, (f"\n{clean(trace)}" if trace else "", "dim"))
        case WasCancelled():
            return Text.assemble(("cancelled", "bold red"), f": {clean(outcome.reason)}" if outcome.reason else "")
        case ContinuedAs():
            return Text(f"continued as {one_line(rendered(outcome.started.args, page.limits.value))}")
