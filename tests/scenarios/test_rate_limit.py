"""Scenario 18: many runs together never make more requests than an API allows in any window, also over restarts."""

from datetime import timedelta

from examples.scenarios import world
from examples.scenarios.rate_limit import ask, gate
from tests.runtime.helpers import WAIT
from tests.scenarios.stage import Stage, Start

LIMIT = 3
WINDOW = timedelta(seconds=0.3)


def test_no_window_has_more_requests_than_the_limit_whatever_is_killed(stage: Stage) -> None:
    door = Start(gate, (LIMIT, WINDOW), "gate")
    runs = [Start(ask, (f"question {n}",), f"ask-{n}") for n in range(9)]
    for deeds in (1, 3, 4):
        assert stage.life(door, *runs, dies=deeds)

    with stage.engine() as engine:
        answers = [run.result(WAIT) for run in [run.on(engine) for run in runs]]

    assert [f"QUESTION {n}" for n in range(9)] == answers
    times = sorted(request.at_s for request in world.requests())
    # Requests of which nobody knew were made again, and these count, too.
    assert 9 <= len(times) <= 9 + 3 * LIMIT
    spans = [later - earlier for earlier, later in zip(times, times[LIMIT:], strict=False)]
    assert min(spans) >= WINDOW.total_seconds()
