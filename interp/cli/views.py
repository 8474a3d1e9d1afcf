"""What rich draws for the command line: the console, and the table of runs. One run is drawn by `interp.terminal`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime

from rich.console import Console
from rich.table import Table

from interp.outline.words import clean, span
from interp.runtime.live import moment
from interp.store import RunRow
from interp.terminal import print_plainly, status_text

__all__ = ["console", "print_table", "show_runs"]

# Without a terminal: as wide as most people have theirs.
_WIDTH = 100


def console(*, stderr: bool = False) -> Console:
    """Return a console on stdout or stderr: plain text, 100 columns wide, where there is no terminal."""
    made = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _WIDTH
    return made


def show_runs(out: Console, runs: Sequence[tuple[RunRow, str]], now: datetime) -> None:
    """Print a table of runs, each with what it waits for."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("run", no_wrap=True, overflow="fold")
    for name in ("workflow", "status"):
        table.add_column(name, no_wrap=True)
    table.add_column("records", justify="right", no_wrap=True)
    table.add_column("updated", justify="right", no_wrap=True)
    table.add_column("waits for", no_wrap=True, overflow="ellipsis", ratio=1)
    for row, waits in runs:
        ago = f"{span(now - moment(row.updated_us), is_rough=True)} ago"
        table.add_row(clean(row.id), clean(row.workflow), status_text(row.status), f"{row.length:,}", ago, waits)
    print_table(out, table)


def print_table(out: Console, table: Table) -> None:
    """Print a table; where there is no terminal, as wide as it is."""
    if not out.is_terminal:
        out.width = max(out.width, table.__rich_measure__(out, out.options.update(max_width=10_000)).maximum)
    print_plainly(out, table)
