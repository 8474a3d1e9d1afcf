"""Scenario 5: charged once a period until cancelled, at the price of the period, with a bounded history."""

from examples.scenarios import world
from examples.scenarios.subscription import PERIOD, subscription
from interp import Run
from tests.runtime.helpers import WAIT, eventually
from tests.scenarios.stage import Stage, took, waits


def await_state(run: Run[str], *, periods_paid: int) -> None:
    eventually(lambda: run.state.get("periods_paid") == periods_paid)


def test_a_new_price_holds_from_the_next_period_on_and_a_killed_charge_is_made_once(stage: Stage) -> None:
    stage.killed(subscription, "ada", 999, dies=1)
    stage.killed(subscription, "ada", 999, dies="waiting")
    with stage.engine() as engine:
        run = engine.get("run")
        run.signal("price", 1_500)
        took(run, 1)
        assert ["charge ada 999"] == world.deeds()
    stage.ahead += PERIOD
    stage.killed(subscription, "ada", 999, dies=1)

    with stage.engine() as engine:
        run = engine.get("run")
        await_state(run, periods_paid=2)
        run.signal("cancel")
        assert "ada left after 2 periods" == run.result(WAIT)

    assert ["charge ada 999", "charge ada 1500"] == world.deeds()
    assert 4 == len(world.requests())  # each charge was asked for twice, and the bank knew the key


def test_a_year_leaves_a_history_of_one_period(stage: Stage) -> None:
    with stage.engine() as engine:
        run = engine.start(subscription, "ada", 999)
        for month in range(1, 13):
            await_state(run, periods_paid=month)
            waits(run)
            assert 2 == len(run.history())
            stage.jump(engine, PERIOD)
        await_state(run, periods_paid=13)

    assert ["charge ada 999"] * 13 == world.deeds()
