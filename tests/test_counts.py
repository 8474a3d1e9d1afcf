"""What a durable step costs in counts that no machine changes. Times are measured by benchmarks/, not here."""

import attrs
import pytest

from benchmarks import counts
from benchmarks.counts import SHAPES, advice, bounds, measure
from interp.runtime.attempts import Attempt, Completion, perform


def over(shape: str) -> list[str]:
    found = attrs.asdict(measure(shape))
    return [advice(shape, count, found[count], most) for count, most in bounds(shape).items() if found[count] > most]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_step_costs_no_more_than_it_did(shape: str) -> None:
    grown = over(shape)

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
