"""Scenario 11: an entity takes messages in order, shows its state, and keeps a bounded history, also when killed."""

import pytest

from examples.scenarios.cart import MESSAGES_PER_ROUND, Add, CheckOut, Remove, cart, tell
from tests.runtime.helpers import WAIT, eventually
from tests.scenarios.stage import Stage, Start

EMPTY: dict[str, int] = {}


def test_messages_are_taken_in_order_and_the_state_is_readable(stage: Stage) -> None:
    stage.killed(cart, EMPTY, dies="waiting")

    with stage.engine() as engine:
        run = engine.start(cart, EMPTY, id="run")
        for message in (Add("tea", 2), Remove("tea"), Add("cup", 1), Add("tea", 1)):
            tell(run, message)
        eventually(lambda: run.state == {"items": {"cup": 1, "tea": 1}})
        tell(run, CheckOut())
        assert {"cup": 1, "tea": 1} == run.result(WAIT)


def test_a_message_that_makes_no_sense_does_not_end_the_cart(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    with stage.engine() as engine:
        run = engine.start(cart, EMPTY, id="run")
        tell(run, Add("tea", 1))
        run.signal("message", "hello")
        tell(run, CheckOut())
        assert {"tea": 1} == run.result(WAIT)

    assert 1 == caplog.text.count("signal 'message' carries 'hello'")


def test_no_acknowledged_message_is_lost_or_taken_twice_when_the_worker_is_killed(stage: Stage) -> None:
    process = stage.begin(Start(cart, (EMPTY,)))
    eventually(stage.history)

    with stage.engine() as engine:
        run = engine.start(cart, EMPTY, id="run")
        for n in range(250):
            if n == 70:
                process.kill()
            tell(run, Add("tea", 1))
        assert len(run.history()) <= MESSAGES_PER_ROUND + 1
        tell(run, CheckOut())
        assert {"tea": 250} == run.result(WAIT)
    process.join()
