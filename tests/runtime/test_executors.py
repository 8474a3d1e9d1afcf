"""Threads are added when calls wait and nothing moves."""

import threading

from interp import Engine, Workflow, activity, call, gather, workflow
from tests.runtime.helpers import WAIT, WAIT_S


def test_as_many_activities_as_allowed_run_at_once_though_each_blocks_the_others() -> None:
    met = threading.Barrier(48)

    @activity
    def meets() -> int:
        return met.wait(WAIT_S)

    @workflow
    def together() -> Workflow[list[int]]:
        return list((yield from gather(*[call(meets) for _ in range(48)])))

    with Engine("memory:", threads=48) as engine:
        assert sorted(engine.start(together).result(WAIT)) == list(range(48))
