"""Scenario 21: a job that kills its worker every time is parked with the reason, and the worker lives on."""

import pytest

from examples.scenarios import world
from examples.scenarios.poison import make_thumbnail
from interp import RunParked
from tests.runtime.helpers import WAIT
from tests.scenarios.stage import Stage, Start


def test_a_job_that_kills_five_workers_is_parked_and_may_be_released(stage: Stage) -> None:
    for _ in range(5):
        assert stage.life(Start(make_thumbnail, ("8k.mp4",)), dies=99)

    with stage.engine() as engine:
        poisoned = engine.get("run")
        with pytest.raises(RunParked) as parked:
            poisoned.result(WAIT)
        assert "lost 5 times in a row" in str(parked.value)
        assert "decode (command 1, poison.py:" in str(parked.value)
        assert "small.mp4.png" == engine.start(make_thumbnail, "small.mp4").result(WAIT)

        world.happen("the decoder is mended")
        poisoned.retry()
        assert "8k.mp4.png" == poisoned.result(WAIT)
