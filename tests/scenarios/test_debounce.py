"""Scenario 9: a burst becomes one piece of work with the last payload."""

from examples.scenarios import world
from examples.scenarios.debounce import QUIET, changed, keep_indexed
from tests.runtime.helpers import eventually
from tests.scenarios.stage import Stage, Start, took, waits

RUN = Start(keep_indexed, ("book",), "index-book")


def test_a_burst_is_indexed_once_with_its_last_version(stage: Stage) -> None:
    with stage.engine() as engine:
        for version in (1, 2, 3):
            changed(engine, "book", version)
        took(engine.get(RUN.id), 3)
    assert stage.life(RUN, dies="waiting")
    assert [] == world.deeds()

    stage.ahead += QUIET
    assert stage.life(RUN, dies=1)

    with stage.engine() as engine:
        run = engine.get(RUN.id)
        eventually(lambda: len(run.history()) == 1)  # it has started over
        assert ["index book version 3"] == world.deeds()
        assert 2 == len(world.requests())
        for version in (4, 5):
            changed(engine, "book", version)
        took(run, 2)
        waits(run)
        stage.jump(engine, QUIET)
        eventually(lambda: world.happened("index book version 5"))

    assert ["index book version 3", "index book version 5"] == world.deeds()
