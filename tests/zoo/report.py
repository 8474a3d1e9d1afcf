"""Writes the two pages about the zoo: what was measured, and what the tools say.

    python -m tests.zoo.report [--seeds 20] [--texts]

`docs/reference/zoo.md` holds the medians over the seeds, `docs/explanation/counterexamples.md` the texts of one seed.
With `--texts` only the latter is written; a test checks that it is what is printed now.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

from tests.zoo.bugs import BUGS, MOST
from tests.zoo.correct import CORRECT
from tests.zoo.exhibits import Bug, Finding, Hunt

__all__ = ["TABLE", "TEXTS", "counterexamples", "without_numbers"]

ROOT = Path(__file__).parent.parent.parent
TABLE = ROOT / "docs" / "reference" / "zoo.md"
TEXTS = ROOT / "docs" / "explanation" / "counterexamples.md"

_HEAD_OF_TABLE = """\
# The zoo

Bugs that workflows have, each in a small workflow, and the tools of the [testing kit](testing.md) that find them.
Behind each name stands a workflow in `tests/zoo/`, with what is wrong and what comes of it.
What some of the tools print is shown in [](../explanation/counterexamples.md).

*Examples* is how many generated lives were looked at until the first that shows the bug.
It is the median of {seeds} seeds, and the most; up to {most:,} were allowed.
*Records* is the length of the counterexample, after shrinking; for `lint` and `guarded` it is the number of findings.

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
    first = _found(bug, hunt, 1)
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
    """Return the page with what the tools print now.

    A process of its own prints it: there the order of sets is the same each time, and no constants are drawn that stand
    in other tests.
    """
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "tests.zoo.texts"]
    return subprocess.run(command, cwd=ROOT, env=environ, text=True, check=True, stdout=subprocess.PIPE).stdout


def without_numbers(page: str) -> str:
    """Return a page without the numbers of lines, which change with every edit above them."""
    return re.sub(r"\.py:\d+(:\d+)?", ".py:1", page)


if __name__ == "__main__":
    main()
