"""Scenario 16: chain, group and chord; the chord's body runs once, also when a member has failed."""

import pytest

from examples.scenarios import world
from examples.scenarios.canvas import chain, chord, group
from interp import RunFailed
from tests.scenarios.stage import Stage


def test_a_chain_passes_each_result_on(stage: Stage) -> None:
    assert 2 == stage.killed_again_and_again(chain, 4)

    assert 7 == stage.played(chain, 4)
    assert ["add 4 1", "multiply 5 2", "add 10 -3"] == world.deeds()


def test_a_group_gives_all_results_in_order(stage: Stage) -> None:
    assert [3, 1, 2] == stage.played(group, ["a b c", "d", "e f"])


def test_a_group_fails_with_its_first_member(stage: Stage) -> None:
    with pytest.raises(RunFailed, match="Unreadable"):
        stage.played(group, ["a b c", "", "e f"])


def test_the_body_of_a_chord_runs_once_after_all_members_though_one_has_failed(stage: Stage) -> None:
    pages = ["a b c", "", "d", "e f"]

    assert stage.killed_again_and_again(chord, pages, dies=4) >= 1

    assert 6 == stage.played(chord, pages)
    assert "sum of 3 is 6" == world.deeds()[-1]
    assert {"count a b c", "count d", "count e f", "sum of 3 is 6"} == set(world.deeds())
    assert 4 == len(world.deeds())
