"""Prints the page of counterexamples; see `tests.zoo.report`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable

from tests.zoo.bugs import BUGS, MOST
from tests.zoo.exhibits import Bug, Explores, Golden, Holds, Hunt

__all__ = ["counterexamples"]

# Bug and tool, from what one looks at first to what one would not have thought of.
_SHOWN = [
    ("happy_hour", "check_determinism"),
    ("tell_watchers", "check_determinism"),
    ("delivery_tour", "check_determinism"),
    ("collected", "check_determinism"),
    ("impatient_reservation", "executions"),
    ("patient_payment", "executions"),
    ("order_by_mail", "executions"),
    ("editorial_office", "executions"),
    ("packing_station", "explore"),
    ("first_offer", "check_confluent"),
    ("dispatch_order", "golden history"),
    ("silent_partner", "lint"),
]

_HEAD_OF_TEXTS = """\
# Twelve counterexamples

What the tools of the testing kit print about bugs from our [zoo](../reference/zoo.md), as they print it.
Each is the shortest life that was found in which the bug shows; nothing was left out by hand.

How to read a story: the number on the left is the record of the history.
Then comes what happened, the command's id, what it was, and the line of the `yield`.
`gets` is an answer from outside, `yields` what the workflow then asks for.

% Written by `python -m tests.zoo.report --texts`; a test compares it with what is printed now.
"""


def counterexamples(seed: int = 1) -> str:
    """Return the page with what the tools print now."""
    bugs = {bug.name: bug for bug in BUGS}
    return "\n".join([_HEAD_OF_TEXTS, *[_section(bugs[name], tool, seed) for name, tool in _SHOWN]])


def _section(bug: Bug, tool: str, seed: int) -> str:
    hunt = next(hunt for hunt in bug.hunts if hunt.tool == tool)
    what = inspect.cleandoc(bug.flow.__doc__ or "").partition("\n\n")[2].replace("\n", " ")
    invariant = ""
    if isinstance(hunt, Holds):
        invariant = f"\nWhat should hold:\n\n```py\n{_source(hunt.prop)}\n```\n"
    elif isinstance(hunt, Explores):
        invariant = f"\nWhat should hold:\n\n```py\n{_source(hunt.invariant)}\n```\n"
    elif isinstance(hunt, Golden):
        invariant = f"\nAs it was when the run was recorded:\n\n```py\n{_without_docstring(hunt.old)}\n```\n"
    return (
        f"## {bug.title}\n\n{what}\n\n```py\n{_without_docstring(bug.flow)}\n```\n{invariant}\n"
        f"`{tool}` says:\n\n```text\n{_text(bug, hunt, seed)}\n```\n"
    )


def _source(fn: Callable[..., object]) -> str:
    return re.sub(r"  # (noqa|type: ignore|pyright).*", "", inspect.getsource(fn)).strip()


def _without_docstring(fn: Callable[..., object]) -> str:
    return re.sub(r'^ *""".*?"""\n', "", _source(fn), count=1, flags=re.DOTALL | re.MULTILINE)


def _text(bug: Bug, hunt: Hunt, seed: int) -> str:
    finding = hunt.find(bug.flow, seed, MOST)
    assert finding is not None, bug.name
    return finding.text


if __name__ == "__main__":
    print(counterexamples(*map(int, sys.argv[1:])), end="")
