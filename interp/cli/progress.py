"""What a terminal shows while the command waits for a run: how far it is, and what it waits for."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from interp.cli.history import Follower
from interp.cli.views import console
from interp.outline.nodes import State
from interp.outline.tree import Tree
from interp.outline.words import clean, count, span
from interp.runtime.live import moment
from interp.store import Reader
from interp.terminal import status_text, waits_table

__all__ = ["Progress", "counts", "progress"]

# Runs that end sooner show no progress: it would only flicker.
_PATIENCE_S = 0.3

# How many of the things that the run waits for are shown.
_WAITS = 5


class Progress:
    """Draws the state of a run on stderr; `update` it now and then."""

    def __init__(self, out: Console, store: Reader, run_id: str) -> None:
        """Begin; nothing is drawn yet."""
        self._follower = Follower(store, run_id)
        self._begun_s = time.monotonic()
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=out, transient=True, auto_refresh=False)

    def update(self) -> None:
        """Look at the run and draw it."""
        if time.monotonic() - self._begun_s < _PATIENCE_S:
            return
        self._follower.look()
        if not self._live.is_started:
            self._live.start()
        self._live.update(self._drawn(), refresh=True)

    def stop(self) -> None:
        """Take the drawing away."""
        if self._live.is_started:
            self._live.stop()

    def _drawn(self) -> Group:
        row, tree = self._follower.row, self._follower.tree
        now = datetime.now(UTC)
        headline = Table.grid(padding=(0, 1, 0, 0))
        told = Text.assemble((clean(row.id), "bold"), " ", status_text(row.status), "  ", counts(tree))
        headline.add_row(self._spinner, told, Text(span(now - moment(row.created_us)), "dim"))
        if not tree.waiting:
            return Group(headline)
        return Group(headline, waits_table(list(tree.waiting.values()), now, _WAITS))


@contextmanager
def progress(store: Reader, run_id: str, *, quiet: bool) -> Generator[Progress | None]:
    """Give what draws the progress of a run, or None where nobody looks."""
    out = console(stderr=True)
    if quiet or not out.is_terminal:
        yield None
        return
    drawn = Progress(out, store, run_id)
    try:
        yield drawn
    finally:
        drawn.stop()


def counts(tree: Tree) -> str:
    """Return how much of a run is done: `12 calls done, 2 retries`."""
    calls = [node for node in tree.nodes.values() if node.record.kind == "call"]
    done = sum(node.state is State.DONE for node in calls)
    told = [f"{count(done, 'call')} done"]
    if failed := sum(node.state is State.FAILED for node in calls):
        told.append(f"{failed:,} failed")
    if retries := sum(len(node.tries) for node in calls):
        told.append(count(retries, "retry", "retries"))
    return ", ".join(told)
