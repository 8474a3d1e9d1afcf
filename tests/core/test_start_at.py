"""A run that begins later, in the interpreter."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from interp import RunInfo, Workflow, await_signal, continue_as, now, run_info, workflow
from interp.definitions import workflow_of
from interp.errors import NondeterminismError
from interp.events import Completed, ContinuedAs, Started, WasCancelled
from interp.replay import replay
from tests.core.driving import EPOCH, SEED, Driver, issued

LATER = EPOCH + timedelta(hours=1)


@workflow
def begun_later(text: str) -> Workflow[tuple[datetime, str]]:
    at = yield from now()
    told = yield from await_signal("go", str)
    return at, text + told


@workflow
def begun_later_twice(round: int) -> Workflow[tuple[datetime, RunInfo]]:
    if round == 0:
        yield from await_signal("go")
        yield from continue_as(1)
    return (yield from now()), (yield from run_info())


def started(name: str, args: bytes, start_at: datetime | None = LATER, scheduled_at: datetime | None = None) -> Started:
    return Started(name, args, SEED, start_at=start_at, scheduled_at=scheduled_at)


def later(start_at: datetime = LATER) -> Driver:
    driver = Driver(workflow_of(begun_later), ("a",))
    driver.close()
    driver.begin(started("begun_later", b'["a"]', start_at))
    return driver


def test_nothing_runs_before_its_time_and_the_ids_are_those_that_they_would_be() -> None:
    driver = later()
    held = issued(driver.last)
    begun = issued(driver.fires())
    driver.signals("go", "b")

    assert (["0 sleep_until"], ["2 await_signal go"]) == (held, begun)
    assert driver.outcome == Completed(f'["{LATER.isoformat()}","ab"]'.encode())
    assert driver.replay().interpreter.outcome == driver.outcome


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_replay_stands_where_the_run_stood_also_before_its_time(length: int) -> None:
    driver = later()
    driver.fires()
    driver.signals("go", "b")

    assert length == driver.replay(length=length).interpreter.length


def test_a_cancellation_before_its_time_runs_nothing_of_it() -> None:
    driver = later()
    step = driver.cancels("enough")

    assert WasCancelled("enough") == step.outcome
    assert ["0"] == [each.id for each in step.withdrawn]
    assert driver.replay().interpreter.outcome == driver.outcome


def test_a_signal_before_its_time_is_kept() -> None:
    driver = later()
    driver.signals("go", "b")
    driver.fires()

    assert isinstance(driver.outcome, Completed)


def test_a_time_that_is_past_holds_nothing_back() -> None:
    assert ["2 await_signal go"] == issued(later(EPOCH).last)


def test_a_history_whose_time_was_changed_does_not_replay() -> None:
    driver = later()
    driver.fires()
    first, second = driver.history
    assert isinstance(first.cause, Started)
    moved = type(first)(first.index, first.at, started("begun_later", b'["a"]', LATER + timedelta(1)), first.commands)

    with pytest.raises(NondeterminismError):
        replay(workflow_of(begun_later), [moved, second], run_id="run")


def test_a_later_round_begins_at_once_and_keeps_the_time_of_its_schedule() -> None:
    driver = Driver(workflow_of(begun_later_twice), (0,))
    driver.close()
    driver.begin(started("begun_later_twice", b"[0]", scheduled_at=EPOCH))
    driver.fires()
    driver.signals("go")
    assert isinstance(driver.outcome, ContinuedAs)
    ended = driver.begin(driver.outcome.started).outcome

    assert isinstance(ended, Completed)
    at, info = workflow_of(begun_later_twice).arguments.result.decode(ended.payload)
    assert LATER < at
    assert RunInfo("run", "begun_later_twice", EPOCH, 1, scheduled_at=EPOCH) == info
