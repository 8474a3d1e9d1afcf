"""Keys of a terminal, one at a time: raw mode that is always taken back."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Generator, Iterator
from contextlib import contextmanager

__all__ = ["Keys", "raw_keys"]

_NAMES = {
    "\x1b[A": "up",
    "\x1b[B": "down",
    "\x1bOA": "up",
    "\x1bOB": "down",
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
    "\r": "enter",
    "\n": "enter",
    "\x1b": "escape",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x03": "ctrl-c",
}

# How long the rest of a sequence may take after its first byte.
_REST_S = 0.05


class Keys:
    """Reads keys from a terminal that is in raw mode."""

    def __init__(self, descriptor: int) -> None:
        """Read from a descriptor."""
        self._descriptor = descriptor

    def within(self, seconds: float) -> Iterator[str]:
        """Give the keys that are pressed until the time is up, or some have come: their names, or their characters."""
        if not select.select([self._descriptor], [], [], max(seconds, 0))[0]:
            return
        data = os.read(self._descriptor, 1024)
        if not data:
            raise EOFError
        while data.endswith(b"\x1b") and select.select([self._descriptor], [], [], _REST_S)[0]:
            data += os.read(self._descriptor, 1024)
        yield from _keys(data.decode(errors="replace"))


def _keys(typed: str) -> Iterator[str]:
    while typed:
        found = next((each for each in sorted(_NAMES, key=len, reverse=True) if typed.startswith(each)), None)
        if found is None:
            yield typed[0]
            typed = typed[1:]
            continue
        if found == "\x1b" and len(typed) > 1 and typed[1] in "[O":  # a key that has no meaning here
            end = next(
                (place for place, char in enumerate(typed[2:], 2) if char.isalpha() or char == "~"), len(typed) - 1
            )
            typed = typed[end + 1 :]
            continue
        yield _NAMES[found]
        typed = typed[len(found) :]


@contextmanager
def raw_keys() -> Generator[Keys]:
    """Let keys come one by one, unechoed; the terminal is as it was after the block, whatever happens in it."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
