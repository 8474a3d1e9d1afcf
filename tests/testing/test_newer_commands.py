"""The testing kit and what runs emit, answer and write: transacts, requests, streams."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest
from hypothesis import find, given
from hypothesis import strategies as st

from interp import (
    Request,
    SignalTimeout,
    Transaction,
    UsageError,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    continue_as,
    emit,
    gather,
    reply,
    transact,
    workflow,
)
from interp.definitions import workflow_of
from interp.replay import replay
from interp.testing import (
    Answers,
    Asks,
    Execution,
    OutcomeLost,
    Paths,
    Returned,
    TimedOut,
    check_determinism,
    executions,
    explore,
    in_turn,
    replay_schedule,
)
from interp.testing.play import Play


class Poor(Exception):
    """There is not enough."""


@attrs.frozen
class Take:
    cents: int


@activity(raises=Poor)
def book(tx: Transaction, cents: int) -> int:
    raise NotImplementedError


@activity
def approve(cents: int) -> bool:
    raise NotImplementedError


def check_take(take: Take, state: dict[str, Any]) -> None:
    if not 0 < take.cents <= state["left"]:
        raise ValueError("too much")


@workflow(name="kit_till", validators={"take": check_take})
def till(left: int, *, careless: bool = False) -> Workflow[int]:
    """Give what is asked for until nothing is left, or nobody asks."""
    while left:
        yield from annotate(left=left)
        try:
            request = yield from await_signal("take", Request[Take], timeout=timedelta(hours=1))
        except SignalTimeout:
            return left
        if request.payload.cents > left and not careless:  # it came, and was looked at, while another one was at work
            yield from reply(request, error="too late")
            continue
        try:
            yield from gather(call(approve, request.payload.cents), transact(book, request.payload.cents))
        except Poor:
            yield from reply(request, error="poor")
            continue
        left -= request.payload.cents
        yield from emit("left", left)
        yield from reply(request, left)
    return left


@given(executions(till, (st.integers(0, 9),), faults=True, cancellations=True))
def test_every_life_with_requests_and_transacts_replays(life: Execution) -> None:
    for history in life.rounds:
        replay(life.definition, history, run_id="run").interpreter.close()
    assert all(0 < payload["cents"] <= life.args[0] for _, payload in life.requests("take"))


def test_requests_are_drawn_from_the_type_or_given() -> None:
    taken = find(executions(till, (5,)), lambda life: bool(life.requests()))
    given_ones = find(executions(till, (5,), requests={"take": Take(5)}), lambda life: bool(life.requests()))

    assert all(0 < payload["cents"] <= 5 for _, payload in taken.requests("take"))
    assert {"approve", "book"} == {made.activity for made in taken.calls()}
    assert [("take", {"cents": 5})] == given_ones.requests("take")
    assert [] == given_ones.requests("other") == given_ones.signals()


def test_what_a_validator_refuses_leaves_no_record() -> None:
    play = Play(workflow_of(till), (3,))

    assert () == play.take(Asks("take"), payload=Take(4)).commands
    assert 1 == len(play.journal)
    play.take(Asks("take"), payload=Take(3))
    assert ["approve", "book"] == [issued.record.target for issued in play.interpreter.pending.values()]
    play.close()


def test_a_till_is_deterministic_and_its_ways_are_counted() -> None:
    paths = check_determinism(till, (st.integers(1, 3),), max_examples=60, twins=False)

    assert {
        ("await_signal", "take", "arrives"),
        ("await_signal", "take", "times out"),
        ("call", "approve", "returns"),
        ("transact", "book", "raises Poor"),
        ("transact", "book", "returns"),
    } == {(way.kind, way.target, way.how) for way in paths.ways if way.how != "fails"}


@workflow(name="kit_rounds_of_requests")
def rounds(left: int) -> Workflow[list[int]]:
    first = yield from await_signal("first", Request[int])
    if left:
        yield from continue_as(left - 1)
    second = yield from await_signal("second", Request[int])
    yield from reply(second, second.payload)
    return [first.payload, second.payload]


def test_a_request_that_came_in_an_earlier_round_arrives() -> None:
    life = replay_schedule(rounds, (1,), [(Asks("second"), 2), (Asks("first"), 1), (Asks("first"), 3)])
    paths = Paths(rounds)
    paths.add(life)

    assert [3, 2] == life.result
    assert [] == paths.missed


def test_exploring_tries_requests_at_any_moment_but_not_where_they_are_refused() -> None:
    found = explore(
        till, 2, activities={approve: True, book: 0}, requests={"take": in_turn(Take(1), Take(2), Take(1))}
    ).check()

    assert found.complete
    assert [0, 1, 2] == sorted(found.results)
    careless = explore(
        till,
        2,
        kwargs={"careless": True},
        activities={approve: True, book: 0},
        requests={"take": in_turn(Take(1), Take(2))},
    )
    assert -1 in careless.results, "two that came at once are found to have passed the validator both"
    for ending in found.endings:
        assert ending.execution.journals == ending.schedule.replay().journals
    written = [repr(ending.schedule) for ending in found.endings]
    assert any("(Asks('take'), Take(cents=1))" in schedule for schedule in written)


@pytest.mark.parametrize("answer", [TimedOut(), OutcomeLost()])
def test_a_transact_returns_or_raises(answer: Any) -> None:
    with pytest.raises(UsageError, match="book is a transact, which returns or raises"):
        replay_schedule(
            till, (1,), [(Asks("take"), Take(1)), (Answers("3.0.1"), Returned(True)), (Answers("3.1.1"), answer)]
        )
