"""Scenario 23: the code is fixed, and a failed run goes on from the failed step with what was paid for."""

from examples.scenarios import world
from examples.scenarios.reset import write_article
from interp import Status
from tests.runtime.helpers import WAIT
from tests.scenarios.stage import Stage, Start

BEFORE = "tests.scenarios.before_fix:write_article"


def test_a_failed_run_goes_on_with_the_fixed_code_and_pays_nothing_twice(stage: Stage) -> None:
    assert stage.life(Start(BEFORE, ("bees",)), dies=9) is False

    with stage.engine() as engine:
        run = engine.get("run")
        assert Status.FAILED is run.status
        run.retry()
    stage.life(Start(write_article, ("bees",)), dies=1)

    assert "On bees" == stage.played(write_article, "bees")
    assert ["pay for research on bees", "publish On bees"] == world.deeds()
    assert 1 == sum(request.what.startswith("pay") for request in world.requests())


def test_a_fork_begins_with_the_records_up_to_where_it_went_wrong(stage: Stage) -> None:
    stage.life(Start(BEFORE, ("bees",)), dies=9)

    with stage.engine() as engine:
        fork = engine.fork("run", at=1, results={"1": {"title": "On bees", "receipt": "paid"}})
        assert "On bees" == fork.result(WAIT)
        assert Status.FAILED is engine.get("run").status

    assert ["pay for research on bees", "publish On bees"] == world.deeds()
