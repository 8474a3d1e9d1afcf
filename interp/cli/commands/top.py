"""`interp top`: the runs of a store, live."""

from __future__ import annotations

import io
import sys
import time
from datetime import UTC, datetime

import attrs
import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from interp.cli.board import SORTS, Board, board, glance
from interp.cli.options import Command, common, existing_reader
from interp.cli.output import write_document
from interp.cli.views import console
from interp.cli.waiting import Stopped, stop_on_signals
from interp.errors import StoreError, UnknownRun
from interp.explore.run import read_run
from interp.outline.rows import Limits
from interp.runtime.repeated import repeated_calls
from interp.store import Reader
from interp.terminal import RunPage, print_plainly, show_page

__all__ = ["command"]

# How often the store is looked at when nothing is heard of it, and how often keys are.
_LOOK_S = 1.0
_KEYS_S = 0.1

# The pause after a glance: so long at least, and so many times as long as the glance took.
_PAUSE_S = 0.25
_SHARE = 10

# How many lines page up and down move.
_PAGE = 10

# Lines of a snapshot where there is no screen.
_PLAIN_LINES = 40


@click.command("top", cls=Command)
@click.option("--once", is_flag=True, help="Print one snapshot and exit; so it is where there is no terminal.")
@click.option("--sort", type=click.Choice(SORTS), default=SORTS[0], show_default=True, help="The order to begin with.")
@click.option("--filter", "query", metavar="TEXT", default="", help="Only runs whose id, workflow or status has it.")
@common
def command(once: bool, sort: str, query: str, store_url: str | None, as_json: bool) -> None:
    """Watch the runs of a store, live.

    How many there are of each status, how fast they move, who moves them, what waits longest, what failed; and the
    runs, those first that want to be looked at.

    Keys: q quits, the arrows or j and k select a run, enter opens it and escape goes back, / filters, s sorts in
    another way, p pauses. Nothing is held open in the store between two glances. What is counted are the open
    runs, up to 2,000, and the newest 300.
    """
    with existing_reader(store_url, redacts=True) as reader:
        shown = Board(reader.url, sort=sort, query=query)
        out = console()
        if as_json or once or not (out.is_terminal and sys.stdin.isatty()):
            _print_once(out, reader, shown, as_json=as_json)
        else:
            try:
                with stop_on_signals():
                    _Screen(out, reader, shown).run()
            except Stopped as stopped:
                click.get_current_context().exit(stopped.exit_code)


def _print_once(out: Console, reader: Reader, shown: Board, *, as_json: bool) -> None:
    now = datetime.now(UTC)
    seen = glance(reader, now)
    shown.add(seen)
    if as_json:
        workers = [attrs.asdict(worker) for worker in seen.workers or ()]
        rows = [
            {"id": row.id, "workflow": row.workflow, "status": row.status.value, "records": row.length}
            for row in shown.listed()
        ]
        write_document({"store": reader.url, "is_cut": seen.is_cut, "workers": workers, "runs": rows})
        return
    print_plainly(out, board(shown, out.width, _PLAIN_LINES, now, is_live=False))


@attrs.define
class _Screen:
    """The screen: what is drawn, and what keys do."""

    out: Console
    reader: Reader
    shown: Board
    opened: str = ""
    scroll: int = 0
    _is_over: bool = False
    _looked_s: float = 0.0
    _pause_s: float = 0.0

    def run(self) -> None:
        """Show the board until somebody quits; the terminal is as it was then, whatever happens."""
        # Where there are no terminals of this kind (Windows), the snapshot is all there is.
        from interp.cli.keys import raw_keys  # noqa: PLC0415  termios is not everywhere

        drawn: object = None
        with raw_keys() as keys, Live(console=self.out, screen=True, auto_refresh=False, transient=True) as live:
            while not self._is_over:
                self._look()
                pressed = False
                # Drawn anew when there is something new, or another second has begun.
                state = (self._looked_s, self.out.size, int(time.monotonic()))
                if state != drawn:
                    live.update(self._drawn(), refresh=True)
                    drawn = state
                for key in keys.within(_KEYS_S):
                    self._press(key)
                    pressed = True
                drawn = None if pressed else drawn

    def _look(self) -> None:
        """Look at the store when it was written to or a second has passed; for a tenth of the time at most."""
        begun_s = time.monotonic()
        ago_s = begun_s - self._looked_s
        if self.shown.paused or ago_s < self._pause_s:
            return
        if self.shown.last is not None and ago_s < _LOOK_S and not self.reader.changed(0):
            return
        try:
            self.shown.add(glance(self.reader, datetime.now(UTC), self.shown.last))
            self.shown.trouble = ""
        except StoreError as error:
            self.shown.trouble = str(error)
        self._looked_s = time.monotonic()
        self._pause_s = max(_PAUSE_S, _SHARE * (self._looked_s - begun_s))

    def _drawn(self) -> RenderableType:
        size = self.out.size
        now = datetime.now(UTC)
        if self.opened:
            return self._page(size.width, size.height, now)
        return board(self.shown, size.width, size.height, now)

    def _page(self, width: int, height: int, now: datetime) -> RenderableType:
        """Draw the tree of the run that is open, as `interp show` does, from the line that it was scrolled to."""
        try:
            run = read_run(self.reader, self.opened)
        except (StoreError, UnknownRun) as error:
            return Text(f"{error}\n\nescape goes back")
        within = Console(
            file=io.StringIO(), width=width, force_terminal=True, color_system="standard", highlight=False, markup=False
        )
        with within.capture() as captured:
            show_page(
                within, RunPage(run.row, run.store, run.tree, now, Limits(), repeated=repeated_calls(run.history))
            )
        lines = captured.get().splitlines()
        room = max(height - 1, 1)
        self.scroll = min(self.scroll, max(len(lines) - room, 0))
        seen = lines[self.scroll : self.scroll + room]
        body = Text.from_ansi("\n".join([*seen, *[""] * (room - len(seen))]), no_wrap=True)
        more = f"  {self.scroll + len(seen)} of {len(lines)} lines" if len(lines) > room else ""
        foot = Text.assemble(("esc", "bold"), " back  ", ("↑↓", "bold"), " scroll  ", ("q", "bold"), f" quit{more}")
        return Group(body, foot)

    def _press(self, key: str) -> None:
        if key == "ctrl-c":
            self._is_over = True
        elif self.shown.typing:
            self._type(key)
        elif key == "q":
            self._is_over = True
        elif key in _MOVES:
            self._move(_MOVES[key])
        elif key == "enter":
            rows = self.shown.listed()
            self.opened, self.scroll = (rows[self.shown.place(rows)].id if rows else ""), 0
        elif key in ("escape", "backspace"):
            self.opened, self.shown.query = "", self.shown.query if self.opened else ""
        elif key == "p":
            self.shown.paused = not self.shown.paused
        elif key == "s" and not self.opened:
            self.shown.sort = SORTS[(SORTS.index(self.shown.sort) + 1) % len(SORTS)]
        elif key == "/" and not self.opened:
            self.shown.typing = True

    def _move(self, by: int) -> None:
        if self.opened:
            self.scroll = max(self.scroll + by, 0)
        else:
            self.shown.move(by)

    def _type(self, key: str) -> None:
        """Take a key into the filter."""
        if key in ("enter", "escape"):
            self.shown.typing = False
            if key == "escape":
                self.shown.query = ""
        elif key == "backspace":
            self.shown.query = self.shown.query[:-1]
        elif len(key) == 1 and key.isprintable():
            self.shown.query += key


_MOVES = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -_PAGE, "page down": _PAGE}
