"""Scenario 4: a saga is undone in reverse, one durable step after the other, also when it is cancelled."""

import pytest

from examples.scenarios import world
from examples.scenarios.booking import book_trip
from interp import RunCancelled, RunFailed
from tests.runtime.helpers import WAIT
from tests.scenarios.stage import Stage, waits

BOOKED = ["book flight for ada", "book hotel for ada", "book car for ada"]


def test_what_was_booked_is_given_back_in_reverse_whatever_is_killed(stage: Stage) -> None:
    world.happen("car sold out")

    deaths = stage.killed_again_and_again(book_trip, "ada")

    assert deaths >= 3
    with pytest.raises(RunFailed, match="SoldOut"):
        stage.played(book_trip, "ada")
    assert [*BOOKED[:2], "cancel hotel", "cancel flight"] == world.deeds()


def test_a_cancelled_trip_is_given_back_too(stage: Stage) -> None:
    stage.killed(book_trip, "ada", dies="waiting")

    with stage.engine() as engine:
        run = engine.get("run")
        run.cancel("no holiday")
        with pytest.raises(RunCancelled, match="no holiday"):
            run.result(WAIT)

    assert [*BOOKED, "cancel car", "cancel hotel", "cancel flight"] == world.deeds()


def test_a_trip_that_is_paid_stays_booked(stage: Stage) -> None:
    with stage.engine() as engine:
        run = engine.start(book_trip, "ada")
        waits(run)
        run.signal("paid")
        assert 3 == len(run.result(WAIT))

    assert BOOKED == world.deeds()
