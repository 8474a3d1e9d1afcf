"""Writes the two pages about the zoo: what was measured, and what the tools say.

    python -m tests.zoo.report [--seeds 20] [--texts]

`docs/reference/zoo.md` holds the medians over the seeds, `docs/explanation/counterexamples.md` the texts of one seed.
With `--texts` only the latter is written; a test checks that it is what is printed now.
"""

from __future__ import annotations

import argparse
import inspect
import re
import statistics
from collections.abc import Callable
from pathlib import Path

from tests.zoo.bugs import BUGS, MOST
from tests.zoo.correct import CORRECT
from tests.zoo.exhibits import Bug, Explores, Finding, Golden, Holds, Hunt

__all__ = ["TABLE", "TEXTS", "counterexamples", "without_numbers"]

DOCS = Path(__file__).parent.parent.parent / "docs"
TABLE = DOCS / "reference" / "zoo.md"
TEXTS = DOCS / "explanation" / "counterexamples.md"

_SEED = 1

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

_HEAD_OF_TABLE = """\
# The zoo

Bugs that workflows have, each in a small workflow, and the tools of the [testing kit](testing.md) that find them.
Behind each name stands a workflow in `tests/zoo/`, with what is wrong and what comes of it.
What some of the tools print is shown in [](../explanation/counterexamples.md).

*Examples* is how many generated lives were looked at until the first that shows the bug.
It is the median of {seeds} seeds, and the most; up to {most:,} were allowed.
*Records* is the length of the counterexample, after shrinking; for `lint` it is the number of findings.

% Written by `python -m tests.zoo.report`, which measures it.
"""

_QUIET = """\
None of the tools says anything against them: determinism with twins, lint, the guard, exploration, and a property
where there is one.
"""


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--texts", action="store_true", help="only the texts, which are not measured")
    options = parser.parse_args()
    TEXTS.write_text(counterexamples())
    if not options.texts:
        TABLE.write_text(table(options.seeds))


def table(seeds: int) -> str:
    """Measure everything, and return the page."""
    rows = [_row(bug, hunt, seeds) for bug in BUGS for hunt in bug.hunts]
    tools = ", ".join(f"{sum(hunt.tool == tool for bug in BUGS for hunt in bug.hunts)} by {tool}" for tool in _tools())
    return "\n".join(
        [
            _HEAD_OF_TABLE.format(seeds=seeds, most=MOST),
            f"## {len(BUGS)} bugs",
            "",
            f"Found: {tools}; some by more than one.",
            "",
            "| bug | what it does | found by | examples | records |",
            "|---|---|---|---|---|",
            *rows,
            "",
            f"## {len(CORRECT)} correct workflows that look suspicious",
            "",
            _QUIET,
            "| workflow | what it does |",
            "|---|---|",
            *[f"| `{correct.name}` | {correct.title} |" for correct in CORRECT],
            "",
        ]
    )


def _tools() -> list[str]:
    return list(dict.fromkeys(hunt.tool for bug in BUGS for hunt in bug.hunts))


def _row(bug: Bug, hunt: Hunt, seeds: int) -> str:
    first = _found(bug, hunt, _SEED)
    found = [first]
    if first.examples is not None:
        found += [_found(bug, hunt, seed) for seed in range(2, seeds + 1)]
    examples = [each.examples for each in found if each.examples is not None]
    told = f"{statistics.median(examples):g}, at most {max(examples)}" if examples else first.searched
    size = statistics.median(each.size for each in found)
    print(f"{bug.name:<24}{hunt.tool:<20}{told:<30}{size:g}", flush=True)
    return f"| `{bug.name}` | {bug.title} | {hunt.tool} | {told} | {size:g} |"


def _found(bug: Bug, hunt: Hunt, seed: int) -> Finding:
    finding = hunt.find(bug.flow, seed, MOST)
    if finding is None:
        raise SystemExit(f"{hunt.tool} did not find {bug.name} in {MOST} examples with seed {seed}")
    return finding


def counterexamples() -> str:
    """Return the page with what the tools print now."""
    bugs = {bug.name: bug for bug in BUGS}
    return "\n".join([_HEAD_OF_TEXTS, *[_section(bugs[name], tool) for name, tool in _SHOWN]])


def _section(bug: Bug, tool: str) -> str:
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
        f"`{tool}` says:\n\n```text\n{_found(bug, hunt, _SEED).text}\n```\n"
    )


def _source(fn: Callable[..., object]) -> str:
    return re.sub(r"  # (noqa|type: ignore|pyright).*", "", inspect.getsource(fn)).strip()


def _without_docstring(fn: Callable[..., object]) -> str:
    return re.sub(r'^ *""".*?"""\n', "", _source(fn), count=1, flags=re.DOTALL | re.MULTILINE)


def without_numbers(page: str) -> str:
    """Return a page without the numbers of lines, which change with every edit above them."""
    return re.sub(r"\.py:\d+(:\d+)?", ".py:1", page)


if __name__ == "__main__":
    main()
