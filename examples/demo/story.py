"""What the demo tells while it goes on, and the checks that its verdict is computed from."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Iterable

import attrs

__all__ = ["Check", "Story"]

_WIDTH = 110

# How much is shown of what was found instead, in characters: the rest is more of the same.
_LONGEST_FOUND = 300


@attrs.frozen
class Check:
    """Something that must be so, and what was found."""

    claim: str
    holds: bool
    found: str


@attrs.define
class Story:
    """Tells on the terminal, or in a file, what happens and what came of it."""

    checks: list[Check] = attrs.field(factory=list)
    _began: float = attrs.field(factory=time.monotonic)

    def title(self, text: str) -> None:
        """Begin a chapter."""
        print(f"\n{_bold(text)}\n", flush=True)

    def say(self, text: str) -> None:
        """Explain something."""
        print(textwrap.fill(" ".join(text.split()), _WIDTH, initial_indent="  ", subsequent_indent="  "), flush=True)

    def event(self, text: str) -> None:
        """Tell what has just happened, and when."""
        at = f"{time.monotonic() - self._began:7.1f} s  "
        print(textwrap.fill(text, _WIDTH, initial_indent=at, subsequent_indent=" " * len(at)), flush=True)

    def lines(self, lines: Iterable[str]) -> None:
        """Show lines as they are, with some air around them."""
        print(*("", *(f"    {line}" for line in lines), ""), sep="\n", flush=True)

    def check(self, claim: str, *, expected: object, found: object) -> None:
        """Note for the verdict whether two things are equal."""
        self.checks.append(Check(claim, expected == found, f"expected {expected!r}, found {found!r}"))

    def verdict(self) -> bool:
        """Show all checks, and whether every one of them holds."""
        self.title("Verdict")
        for check in self.checks:
            print(f"  {'ok    ' if check.holds else 'BROKEN'}  {check.claim}")
            if not check.holds:
                found = textwrap.shorten(check.found, _LONGEST_FOUND, placeholder=" ...")
                print(textwrap.indent(textwrap.fill(found, _WIDTH - 10), " " * 10))
        held = sum(check.holds for check in self.checks)
        took = time.monotonic() - self._began
        print(f"\n{_bold(f'{held} of {len(self.checks)} checks hold')}, after {took:.0f} s", flush=True)
        return held == len(self.checks) > 0


def _bold(text: str) -> str:
    """Make text bold where a person reads it on a terminal."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    return text if plain else f"\033[1m{text}\033[0m"
