"""`interp logs`: the log lines that were captured of a run."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import click
import msgspec

from interp.cli.following import items_of
from interp.cli.logs import LEVELS, level_of
from interp.cli.options import Command, common, existing_reader
from interp.cli.output import note, say, write_document, write_line
from interp.errors import JournalCorrupt
from interp.runtime.capture import LOG_TOPIC, Line
from interp.runtime.streams import Tail, recorded
from interp.store import Item
from interp.streams import Emitted

__all__ = ["command"]

# Room for the names of the levels, and for a command id with its attempt.
_LEVEL_WIDTH = 8
_PLACE_WIDTH = 9


@click.command("logs", cls=Command)
@click.argument("run_id", metavar="RUN")
@click.option("--follow", is_flag=True, help="Wait for more lines until the run has ended.")
@click.option("--level", type=click.Choice(LEVELS, case_sensitive=False), help="Show lines from this level on.")
@common
def command(run_id: str, follow: bool, level: str | None, store_url: str | None, as_json: bool) -> None:
    """Show the captured log lines of a run.

    Each with its time (UTC), its level, the command with the attempt that wrote it, and its text.

    Lines are captured by workers that are told to: Engine(capture_logs=logging.INFO), or `interp worker --capture-logs
    INFO`. The newest 1,000 of a run are kept.
    """
    least = level_of(level) or 0
    with existing_reader(store_url) as store:
        lines = _lines(run_id, items_of(Tail(store, run_id, LOG_TOPIC), follow=follow), least)
        if as_json and not follow:
            write_document({"run": run_id, "lines": [_document(*line) for line in lines]})
            return
        is_empty = True
        for line in lines:
            is_empty = False
            if as_json:
                write_line(_document(*line))
            else:
                _show(line[1], line[2])
        if is_empty and not follow:
            from_level = f" from {level} on" if level else ""
            note(f"run {run_id!r} has no captured lines{from_level}; workers with --capture-logs keep them")


def _lines(run_id: str, items: Iterator[Item], least: int) -> Iterator[tuple[Item, Emitted, Line]]:
    for item in items:
        emitted = recorded(run_id, LOG_TOPIC, item)
        try:
            line = msgspec.json.decode(emitted.payload, type=Line)
        except msgspec.MsgspecError as error:
            raise JournalCorrupt(f"captured line {item.number} of run {run_id!r}", str(error)) from None
        if line.level >= least:
            yield item, emitted, line


def _show(emitted: Emitted, line: Line) -> None:
    attempt = f" #{emitted.attempt}" if emitted.attempt else ""
    place = f"{emitted.command_id}{attempt}" or "-"
    stamp = emitted.at.isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
    head = f"{stamp}  {logging.getLevelName(line.level):<{_LEVEL_WIDTH}}  {place:<{_PLACE_WIDTH}}  "
    first, *more = line.text.splitlines() or [""]
    say(head + first)
    for text in more:
        say(" " * len(head) + text)


def _document(item: Item, emitted: Emitted, line: Line) -> dict[str, Any]:
    return {
        "number": item.number,
        "at": emitted.at,
        "level": logging.getLevelName(line.level),
        "logger": line.logger,
        "command": emitted.command_id,
        "attempt": emitted.attempt,
        "text": line.text,
    }
