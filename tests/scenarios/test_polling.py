"""Scenario 6: three ways to wait for a job somewhere else; a restart keeps the position of each."""

from datetime import timedelta

from examples.scenarios import world
from examples.scenarios.polling import await_often, await_on_schedule, await_seldom
from interp.events import Heartbeat
from tests.runtime.helpers import WAIT, causes, eventually
from tests.scenarios.stage import Stage, Start


def test_looking_often(stage: Stage) -> None:
    process = stage.begin(Start(await_often, ("job",)))
    eventually(lambda: any(isinstance(record.cause, Heartbeat) for record in stage.history()))
    process.kill()
    process.join()

    world.happen("job done")
    assert "job done" == stage.played(await_often, "job")

    assert ["submit job"] == [request.what for request in world.requests() if request.key]


def test_looking_now_and_then(stage: Stage) -> None:
    stage.killed(await_seldom, "job", dies="waiting")

    with stage.engine() as engine:
        run = engine.get("run")
        stage.jump(engine, timedelta(minutes=10))
        eventually(lambda: world.happened("look 2 at job") and run.status == "waiting")
        world.happen("job done")
        stage.jump(engine, timedelta(minutes=10))
        assert "job done" == run.result(WAIT)

    assert ["submit job", "look 1 at job", "look 2 at job", "look 3 at job"] == world.deeds()


def test_looking_now_and_then_for_a_day_at_most(stage: Stage) -> None:
    stage.killed(await_seldom, "job", dies="waiting")

    stage.ahead += timedelta(days=1)
    with stage.engine() as engine:
        run = engine.get("run")
        eventually(lambda: run.status == "failed")
        assert "Rejected" == type(causes(run)[-1]).__name__


def test_looking_on_a_schedule(stage: Stage) -> None:
    stage.killed(await_on_schedule, "job", dies="waiting")

    with stage.engine() as engine:
        run = engine.get("run")
        assert {"looks": 1} == run.state
        stage.jump(engine, timedelta(hours=1))
        eventually(lambda: run.state == {"looks": 2} and run.status == "waiting")
        world.happen("job done")
        stage.jump(engine, timedelta(hours=1))
        assert 3 == run.result(WAIT)

    assert ["submit job"] == world.deeds()
