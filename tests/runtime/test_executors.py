"""How many threads there are, and when one is added."""

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


def test_never_more_activities_run_at_once_than_allowed() -> None:
    running: set[int] = set()
    most: list[int] = []

    @activity
    def counts(number: int) -> None:
        running.add(number)
        most.append(len(running))
        threading.Event().wait(0.005)  # long enough for all threads there are to be in here
        running.remove(number)

    @workflow
    def crowd() -> Workflow[None]:
        yield from gather(*[call(counts, number) for number in range(40)])

    with Engine("memory:", threads=4) as engine:
        engine.start(crowd).result(WAIT)

    assert max(most) == 4


def test_small_activities_do_not_cost_a_thread_each() -> None:
    used: set[int] = set()

    @activity
    def tiny() -> None:
        used.add(threading.get_ident())

    @workflow
    def many() -> Workflow[None]:
        for _ in range(5):
            yield from gather(*[call(tiny) for _ in range(100)])

    with Engine("memory:", threads=64) as engine:
        engine.start(many).result(WAIT)

    assert len(used) < 64
