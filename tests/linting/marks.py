"""The marks in bodies.py: which net finds what on which line."""

import re
from pathlib import Path

from interp.linting import CODES

__all__ = ["marked"]

_MARK = re.compile(r"# !([a-z-]+)(?:: ([a-z0-9 ]+))?")


def marked(path: Path, net: str, *, also: str = "") -> set[tuple[int, str]]:
    """The lines on which a net finds something, with the code.

    Args:
        path: The file with the marks.
        net: `file`, `live` or `guard`.
        also: Another name of the net.
    """
    found: set[tuple[int, str]] = set()
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for code, nets in _MARK.findall(line):
            assert code in CODES, line
            default = "file live guard" if CODES[code].watched else "file live"
            if {net, also} & set((nets or default).split()):
                found.add((number, code))
    return found
