"""Scenario 7: a thousand items, at most twenty at once, failures collected, killed in the middle."""

from collections import Counter

from examples.scenarios import world
from examples.scenarios.fan_out import Report, resize_all
from tests.scenarios.stage import Stage

PICTURES = [f"picture-{n}" for n in range(1_000)]
BROKEN = [picture for picture in PICTURES if picture.endswith("7")]


def test_a_thousand_pictures_are_done_but_for_the_broken_ones(stage: Stage) -> None:
    stage.killed(resize_all, PICTURES, dies=300)
    stage.killed(resize_all, PICTURES, dies=300)

    assert Report(900, BROKEN) == stage.played(resize_all, PICTURES)

    whole = [f"resize {picture}" for picture in PICTURES if picture not in BROKEN]
    assert Counter([*whole, "report 100 broken"]) == Counter(world.deeds())
    assert len(world.requests()) <= 901 + 2 * 20  # of twenty nobody knew, twice
    assert 20 == max(stage.calls_at_once())
