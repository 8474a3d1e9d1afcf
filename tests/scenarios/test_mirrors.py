"""Scenario 8: the first success wins, losers are told, and what they deliver after all is ignored."""

from examples.scenarios import world
from examples.scenarios.mirrors import download_first
from interp.events import Rejected
from tests.runtime.helpers import WAIT, causes, eventually
from tests.scenarios.stage import Stage

MIRRORS = ["de", "fr", "nl"]


def test_the_first_of_three_mirrors_wins(stage: Stage) -> None:
    stage.killed(download_first, MIRRORS, dies=3)

    with stage.engine() as engine:
        run = engine.get("run")
        eventually(lambda: len(world.requests()) == 6)
        world.happen("de breaks")
        eventually(lambda: isinstance(causes(run)[-1], Rejected))
        world.happen("fr delivers")
        assert "from fr" == run.result(WAIT)
        before = run.history()
        eventually(lambda: world.happened("hang up on nl"))
        world.happen("nl delivers")
        assert not world.happened("hang up on de")

    assert "from fr" == stage.played(download_first, MIRRORS)
    assert before == stage.history()
