"""Scenario 15: steps that depend on each other, one of them skipped by the result of another."""

from collections import Counter

from examples.scenarios import world
from examples.scenarios.dag import nightly_load
from tests.scenarios.stage import Stage


def steps() -> list[str]:
    return [deed.partition(" ")[0] for deed in world.deeds()]


def test_each_step_gets_what_the_ones_before_it_gave(stage: Stage) -> None:
    # Once or twice: the first life may, or may not, record one of the two results before the other's deed ends it.
    assert stage.killed_again_and_again(nightly_load, "shop", dies=3) >= 1

    published = stage.played(nightly_load, "shop")

    assert published.startswith("publish-")
    assert Counter(["extract", "validate", "convert", "publish"]) == Counter(steps())
    assert ("extract", "publish") == (steps()[0], steps()[-1])


def test_bad_data_is_not_published(stage: Stage) -> None:
    world.happen("the data is bad")

    assert stage.killed_again_and_again(nightly_load, "shop", dies=3) >= 1

    assert "skipped" == stage.played(nightly_load, "shop")
    assert Counter(["extract", "validate", "convert"]) == Counter(steps())
