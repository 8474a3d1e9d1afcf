"""What a durable step costs in counts that no machine changes. Times are measured by benchmarks/, not here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import counts
from benchmarks.counts import SHAPES, advice, bounds, measure
from interp.runtime.attempts import Attempt, Completion, perform


@pytest.fixture(scope="module")
def measured() -> dict[str, dict[str, float]]:
    """Count in a process of its own: what other tests have left in this one costs calls, too."""
    command = [sys.executable, "-m", "benchmarks.counts", "--json"]
    root = Path(counts.__file__).parent.parent
    found: dict[str, dict[str, float]] = json.loads(subprocess.check_output(command, cwd=root, timeout=60))
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_costs_no_more_than_it_did(shape: str, measured: dict[str, dict[str, float]]) -> None:
    found = measured[shape]
    grown = [advice(shape, count, found[count], most) for count, most in bounds(shape).items() if found[count] > most]

    assert not grown, "\n\n".join(grown)


def test_counts_are_the_same_each_time() -> None:
    first, second = measure("20 x 10"), measure("20 x 10")

    assert (first.commits, first.record_bytes, first.pages) == (second.commits, second.record_bytes, second.pages)
    # What a cache happens to hold already costs a few calls in all.
    assert second.calls == pytest.approx(first.calls, abs=1)


def test_a_step_that_calls_more_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> None:
        """Be called."""

    def more(attempt: Attempt) -> Completion:
        for _ in range(50):
            nothing()
        return perform(attempt)

    before = measure("20 x 10")
    monkeypatch.setattr(counts, "perform", more)
    after = measure("20 x 10")

    assert after.calls - before.calls == pytest.approx(51, abs=1)


def test_what_grew_is_said_with_a_way_to_look() -> None:
    words = advice("1 x 200", "calls", 250, 197)

    assert "calls per step grew to 250, and may be 197" in words
    assert "python -m benchmarks.counts --profile '1 x 200'" in words
