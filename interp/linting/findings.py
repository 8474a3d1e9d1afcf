"""A finding: what a workflow does that it must not do, where, and the cure. And the comments that allow it."""

from __future__ import annotations

import linecache
import re

import attrs

from interp.linting.codes import CODES

__all__ = ["Finding", "is_allowed", "is_allowed_at"]

_ALLOW = re.compile(r"#\s*interp:\s*allow\[([^\]]*)\]")


@attrs.frozen(order=True)
class Finding:
    """Something that a workflow, or what it calls, must not do.

    Attributes:
        file: Full name of the source file.
        line: Its line, from 1.
        column: Its column, from 1.
        code: The id of its code, such as `clock`.
        what: What was found, such as `time.time()`.
        function: The function that holds it.
        workflow: The workflow that leads there.
        cure: What to write instead.
        certain: Whether there is no doubt at all: a start of the workflow is refused.
    """

    file: str
    line: int
    column: int
    code: str
    what: str
    function: str
    workflow: str
    cure: str
    certain: bool = False

    @property
    def why(self) -> str:
        """What goes wrong because of it."""
        return CODES[self.code].why

    @property
    def place(self) -> str:
        """`file:line:column`, with the file as it was found."""
        return f"{self.file}:{self.line}:{self.column}"

    @property
    def context(self) -> str:
        """Say which function it is in, and which workflow leads there."""
        if self.function == self.workflow:
            return f"in workflow {self.workflow}"
        return f"in {self.function}, for workflow {self.workflow}"

    def __str__(self) -> str:
        """Tell it in three lines: where and what, why, and the cure."""
        return f"{self.place}: {self.code}: {self.what}  ({self.context})\n  {self.why}\n  Instead: {self.cure}"


def is_allowed(code: str, line: str) -> bool:
    """Tell whether a line of source says `# interp: allow[code]`."""
    found = _ALLOW.search(line)
    return found is not None and code in [name.strip() for name in found.group(1).split(",")]


def is_allowed_at(code: str, file: str, line: int) -> bool:
    """Tell whether the source of a running program allows something on a line."""
    return is_allowed(code, linecache.getline(file, line))
