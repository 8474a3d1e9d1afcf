"""When a history is told to be long: the arithmetic, and that telling moves nothing."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import HistoryBudget, UsageError
from interp.events import Outgrown
from tests.core.driving import Driver
from tests.core.happenings import live_through
from tests.core.programs import Program, loaded, programs


@given(st.integers(1, 50), st.integers(1, 5_000))
def test_records_are_told_once_at_the_budget_and_then_at_each_doubling(budget: int, length: int) -> None:
    kept = HistoryBudget(records=budget)
    told = [0]
    for records in range(1, length + 1):
        if kept.has_outgrown(records, told[-1]):
            told.append(records)

    assert told[1:] == [budget << power for power in range(13) if budget << power <= length]


@given(st.lists(st.integers(0, 10_000)), st.integers(1, 1_000))
def test_slow_replays_are_told_when_they_have_doubled_since_they_were_told(took_ms: list[int], budget_ms: int) -> None:
    kept = HistoryBudget(replay=timedelta(milliseconds=budget_ms))
    told = timedelta(0)
    for replay in (timedelta(milliseconds=ms) for ms in took_ms):
        if kept.is_too_slow(replay, told):
            assert replay > timedelta(milliseconds=budget_ms) and replay >= 2 * told

            told = replay

    slowest = timedelta(milliseconds=max(took_ms, default=0))
    assert slowest <= timedelta(milliseconds=budget_ms) or told > slowest / 2, "the slowest one is never missed by far"


def test_without_a_budget_nothing_is_told() -> None:
    without = HistoryBudget(records=None, replay=None)

    assert not without.has_outgrown(10**9, 0)
    assert not without.is_too_slow(timedelta(days=1), timedelta(0))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"records": 0}, "records=0): must be a whole number from 1 on, or None"),
        ({"records": True}, "records=True): must be a whole number"),
        ({"records": 1e4}, "records=10000.0): must be a whole number"),
        ({"replay": timedelta(0)}, "must be more than 0 s, or None"),
        ({"replay": 1}, "replay=1): takes a timedelta"),
    ],
)
def test_what_is_no_budget_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        HistoryBudget(**options)

    assert told in str(refused.value)


@given(programs(), st.data())
def test_telling_moves_nothing_and_a_replay_remembers_it(program: Program, data: st.DataObject) -> None:
    """The same events with and without tellings between them lead to the same commands."""
    code = loaded(program)
    with closing(code.start()) as driver:
        live_through(data.draw, driver)
        plain = [transition for transition in driver.history if not isinstance(transition.cause, Outgrown)]
        with closing(loaded(program).start()) as other:
            for transition in plain[1:]:
                other.now = transition.at
                if data.draw(st.booleans()):
                    step = other.feed(Outgrown(len(other.journal), data.draw(st.integers(0, 9))), timedelta(0))
                    assert ((), (), None) == (step.commands, step.withdrawn, step.outcome)
                other.feed(transition.cause, timedelta(0))

            assert [commands(each) for each in plain] == [commands(each) for each in _without(other)]
            assert driver.outcome == other.outcome
            with closing(other.replay(loaded(program).definition).interpreter) as interpreter:
                last = [each.cause for each in other.history if isinstance(each.cause, Outgrown)]
                by_number = [each.records for each in last if not each.replay_us]
                by_time = [each.replay_us for each in last if each.replay_us]
                assert (by_number or [0])[-1] == interpreter.told_records
                assert timedelta(microseconds=(by_time or [0])[-1]) == interpreter.told_replay


def _without(driver: Driver) -> list[Any]:
    return [transition for transition in driver.history if not isinstance(transition.cause, Outgrown)]


def commands(transition: Any) -> object:
    return transition.cause, transition.commands, transition.outcome
