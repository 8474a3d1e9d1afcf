"""Scenario 3: reminders until a decision or the deadline, whoever dies; a decision that comes early counts."""

from threading import Event
from unittest.mock import patch

from examples.scenarios import world
from examples.scenarios.approval import DEADLINE, REMIND_EVERY, Decision, approval
from interp.events import Signalled
from tests.runtime.helpers import WAIT, WAIT_S, causes, eventually
from tests.scenarios.stage import Stage, waits

ASKED, REMINDED = "mail: please decide on leave", "mail: still waiting for leave"


def test_reminders_come_every_day_until_nobody_decided(stage: Stage) -> None:
    stage.killed(approval, "leave", dies=1)
    stage.killed(approval, "leave", dies="waiting")
    stage.ahead += REMIND_EVERY
    stage.killed(approval, "leave", dies=1)

    with stage.engine() as engine:
        run = engine.get("run")
        waits(run)
        assert [ASKED, REMINDED] == world.deeds()
        stage.jump(engine, REMIND_EVERY)
        eventually(lambda: world.deeds() == [ASKED, REMINDED, REMINDED])
        waits(run)
        stage.jump(engine, DEADLINE - 2 * REMIND_EVERY)
        assert "expired" == run.result(WAIT)

    assert [ASKED, REMINDED, REMINDED, "mail: nobody decided on leave"] == world.deeds()


def test_a_decision_ends_the_reminders(stage: Stage) -> None:
    stage.killed(approval, "leave", dies="waiting")

    with stage.engine() as engine:
        run = engine.get("run")
        run.signal("decide", Decision(approved=False, by="ada"))
        assert "refused by ada" == run.result(WAIT)

    assert [ASKED] == world.deeds()


def test_a_decision_that_comes_before_anybody_waits_for_it_counts(stage: Stage) -> None:
    told, do = Event(), world.do

    def slowly(what: str) -> str:
        assert told.wait(WAIT_S)
        return do(what)

    with patch.object(world, "do", slowly), stage.engine() as engine:
        run = engine.start(approval, "leave")
        run.signal("decide", Decision(approved=True, by="ada"))
        eventually(lambda: isinstance(causes(run)[-1], Signalled))
        told.set()
        assert "approved by ada" == run.result(WAIT)
