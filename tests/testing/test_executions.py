"""Generated lives: every one replays, everything that may happen does, and what is printed tells it."""

from __future__ import annotations

import random
import re
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

from interp import (
    CallFailed,
    CallTimeout,
    OutcomeUnknown,
    UsageError,
    Workflow,
    activity,
    await_signal,
    call,
    continue_as,
    workflow,
)
from interp.events import Fired, Signalled
from interp.replay import replay
from interp.testing import Answers, Execution, Raised, Returned, Signals, TimedOut, executions, in_turn, replay_schedule
from tests.testing.workflows import (
    Declined,
    Order,
    countdown,
    endless,
    mail,
    parent,
    pay,
    purchase,
    quote,
    trip,
)

LIVES = st.one_of(
    executions(trip, faults=True, cancellations=True),
    executions(purchase, faults=True),
    executions(parent, faults=True),
    executions(endless, max_events=5),
    executions(countdown, (st.integers(0, 3),)),
)


@given(LIVES)
def test_every_life_replays_from_its_records(execution: Execution) -> None:
    for history in execution.rounds:
        replay(execution.definition, history, run_id="run").interpreter.close()


def shortest(strategy: st.SearchStrategy[Execution], **wanted: Any) -> Execution:
    """Return the smallest life of which something is true."""
    return find(strategy, lambda life: all(getattr(life, name) == value for name, value in wanted.items()))


@pytest.mark.parametrize("ending", ["completed", "failed", "cancelled"])
def test_a_life_may_end_in_every_way(ending: str) -> None:
    life = shortest(executions(trip, faults=True, cancellations=True), **{ending: True})

    assert [ending] == [each for each in ("completed", "failed", "cancelled", "open") if getattr(life, each)]


def test_a_life_that_never_ends_is_left_open() -> None:
    life = shortest(executions(endless, max_events=5))

    assert life.open
    assert 6 == len(life.history)


@pytest.mark.parametrize(
    ("failure", "kind"), [(None, CallFailed), (TimedOut(), CallTimeout), (Declined(), Declined)], ids=str
)
def test_a_stub_makes_a_call_fail(failure: Any, kind: type[Exception]) -> None:
    stub = ValueError if failure is None else failure
    life = shortest(executions(trip, activities={quote: stub}), failed=True)

    assert life.failure is not None
    assert life.failure.type_name.endswith(kind.__name__)


def test_an_outcome_may_be_lost_only_where_it_matters() -> None:
    lost = OutcomeUnknown.__name__

    life = find(executions(purchase, faults=True), lambda life: life.failure is not None and lost in str(life.failure))

    assert "raised" == life.calls(pay)[0].status


def test_stubs_answer_in_turn_and_see_the_arguments() -> None:
    life = shortest(executions(trip, ("a", "b"), activities={quote: in_turn(3, lambda what: len(what) + 10)}))

    assert {3, 11} == {made.value for made in life.calls(quote)}


def test_a_stub_may_be_a_strategy_of_answers() -> None:
    stub = st.sampled_from([7, Declined("no"), Raised(ValueError("broken"))])
    lives = executions(purchase, activities={pay: st.just("r-1")})

    assert 7 == find(executions(trip, activities={"quote": stub}), lambda life: life.completed).calls("quote")[0].value
    assert "r-1" == shortest(lives).result


def test_a_signal_may_come_before_it_is_awaited() -> None:
    def early(life: Execution) -> bool:
        causes = [type(transition.cause) for transition in life.history]
        return life.completed and causes.index(Signalled) == 1

    assert ("go", True) == find(executions(trip, signals={"go": True}), early).signals()[0]


def test_a_timer_may_fire_before_a_call_has_ended() -> None:
    def overtaken(life: Execution) -> bool:
        fired = [transition.index for transition in life.history if isinstance(transition.cause, Fired)]
        answered = [made.answered for made in life.calls(quote) if made.answered is not None]
        return bool(fired) and len(answered) == 2 and fired[0] < max(answered)

    assert overtaken(find(executions(trip), overtaken))


def test_calls_tell_what_was_asked_and_answered() -> None:
    order = Order("42", 1999)
    life = shortest(executions(purchase, (order,), activities={pay: "r-9"}), completed=True)

    charged, mailed = life.calls()
    assert ("pay", ({"id": "42", "cents": 1999},), "returned", "r-9") == (
        charged.activity,
        charged.args,
        charged.status,
        charged.value,
    )
    assert [mailed] == life.calls(mail)
    assert "r-9" == life.result


def test_rounds_are_followed_through_continue_as() -> None:
    life = shortest(executions(countdown, (2,)))

    assert [3, "lift-off"] == [len(life.rounds), life.result]
    assert ["2", "1", "0"] == [made.args[0] for made in life.calls(mail)]


def test_the_story_of_a_life() -> None:
    life = shortest(executions(purchase, (Order("42", 5),), activities={pay: Declined("no funds")}))

    told = [line.split("workflows.py")[0].rstrip() for line in life.story.splitlines()]
    assert [
        "   0  starts      kit_purchase(order={'id': '42', 'cents': 5})",
        "      yields   1  call pay({'id': '42', 'cents': 5})",
        "   1  gets     1  pay raises Declined: no funds",
        "      returns     'declined'",
    ] == told


@workflow(name="kit_two_letters")
def two_letters(left: int) -> Workflow[None]:
    for _ in range(2):
        yield from await_signal("letter", str)
        yield from call(mail, "")
    if left:
        yield continue_as(left - 1)


def marks(life: Execution) -> list[str]:
    return [line for line in life.story.splitlines() if "<--" in line]


def test_a_signal_that_had_to_wait_is_told_where_it_came_and_where_it_was_taken() -> None:
    mailed = Returned(None)
    letters: list[Any] = [
        (Signals("letter"), "a"),
        (Signals("letter"), "b"),
        (Answers("2"), mailed),
        (Answers("4"), mailed),
    ]

    kept, taken = marks(replay_schedule(two_letters, (0,), letters))

    assert re.fullmatch(r" +2  signal +letter\('b'\)   <-- kept: nobody awaits it yet", kept)
    assert re.fullmatch(r" +yields +3  await_signal 'letter' +\S+   <-- takes the one kept since record 2", taken)


def test_a_signal_that_was_awaited_has_no_remark() -> None:
    mailed = Returned(None)
    letters: list[Any] = [
        (Signals("letter"), "a"),
        (Answers("2"), mailed),
        (Signals("letter"), "b"),
        (Answers("4"), mailed),
    ]

    assert [] == marks(replay_schedule(two_letters, (0,), letters))


def test_a_signal_may_wait_for_the_next_round() -> None:
    def crosses(life: Execution) -> bool:
        return any(mark.endswith("takes the one kept since the earlier round") for mark in marks(life))

    assert 2 == len(find(executions(two_letters, (1,)), crosses).rounds)


def test_a_failing_property_prints_the_shortest_story() -> None:
    @settings(database=None, suppress_health_check=list(HealthCheck))
    @given(executions(trip, ("a", "b"), activities={quote: 1}))
    def never_ends(execution: Execution) -> None:
        assert not execution.completed

    with pytest.raises(AssertionError) as caught:
        never_ends()

    told = "\n".join(caught.value.__notes__)
    assert "gets     1.0.1  quote -> 1" in told
    assert "signal          go(False)" in told
    assert "cancel" not in told


@activity(name="kit_untyped")
def untyped():  # type: ignore[no-untyped-def]  # the mistake
    return 1


@workflow(name="kit_calls_untyped")
def calls_untyped() -> Workflow[Any]:
    return (yield from call(untyped))


def test_a_result_without_a_type_is_refused_with_the_cure() -> None:
    with pytest.raises(UsageError, match="kit_untyped does not say of what type") as caught:
        shortest(executions(calls_untyped))
    assert "activities={'kit_untyped': ...}" in str(caught.value)


@workflow(name="kit_argument_without_type")
def argument_without_type(order):  # type: ignore[no-untyped-def]  # the mistake
    yield from call(mail, str(order))


def test_an_argument_without_a_type_is_refused_with_the_cure() -> None:
    with pytest.raises(UsageError, match="parameter order of kit_argument_without_type has no annotation"):
        executions(argument_without_type)


@workflow(name="kit_looks_around")
def looks_around() -> Workflow[tuple[float, float]]:
    yield from call(mail, "")
    return time.time(), random.random()  # what a workflow must not do


@given(executions(looks_around), st.data())
def test_lives_see_the_same_world(execution: Execution, data: st.DataObject) -> None:
    assert execution.result == data.draw(executions(looks_around)).result
