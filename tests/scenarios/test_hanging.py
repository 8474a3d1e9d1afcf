"""Scenario 22: a call that hangs is given up and made again; what it returns late is ignored."""

from examples.scenarios import world
from examples.scenarios.hanging import TIMEOUT, fetch_report
from tests.runtime.helpers import WAIT, eventually, kinds
from tests.scenarios.stage import Stage


def test_a_late_answer_is_ignored(stage: Stage) -> None:
    world.happen("the server is deaf to request 1")
    with stage.engine() as engine:
        run = engine.start(fetch_report, "sales", id="run")
        eventually(lambda: world.happened("request 1 for sales"))
        stage.jump(engine, TIMEOUT)
        assert "sales, answered to request 2" == run.result(WAIT)
        world.happen("the server wakes up")
        eventually(lambda: world.happened("answer 1"))

    assert "sales, answered to request 2" == stage.played(fetch_report, "sales")
    assert ["Started", "AttemptFailed", "Resolved"] == [type(record.cause).__name__ for record in stage.history()]


def test_a_worker_that_dies_while_it_hangs_is_no_loss(stage: Stage) -> None:
    world.happen("the server is deaf to request 1")
    stage.killed(fetch_report, "sales", dies=1)

    with stage.engine() as engine:
        run = engine.get("run")
        assert "sales, answered to request 2" == run.result(WAIT)
        assert ["Started", "WorkerLost", "Resolved"] == kinds(run)
