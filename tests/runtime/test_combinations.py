"""Features that meet in one run: what holds for each alone holds for them together."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from interp import (
    Encrypted,
    Engine,
    HistoryBudget,
    Request,
    RunParked,
    Status,
    Transaction,
    Workflow,
    annotate,
    await_signal,
    child,
    continue_as,
    emit,
    get_logger,
    reply,
    run_info,
    sleep,
    transact,
    workflow,
)
from interp.events import Outgrown
from interp.runtime.capture import LOG_TOPIC, Line
from interp.runtime.checking import check
from interp.runtime.streams import recorded
from tests.runtime.helpers import WAIT, causes, eventually

log = get_logger("combined")


def add(tx: Transaction, name: str) -> int:
    table = tx.table("sums")
    total = int(table.get(name.encode()) or b"0") + 1
    table.put(name.encode(), str(total).encode())
    return total


def total(engine: Engine, name: str) -> int:
    with engine.transaction(write=False) as tx:
        return int(tx.table("sums").get(name.encode()) or b"0")


def lines(engine: Engine, run_id: str) -> list[str]:
    items = (recorded(run_id, LOG_TOPIC, item) for item in engine.store.stream(run_id, LOG_TOPIC))
    return [msgspec.json.decode(item.payload, type=Line).text for item in items]


# --- what follows from a transact -------------------------------------------------------------------------------------


@workflow
def combined_leaf(number: int) -> Workflow[int]:
    yield sleep(timedelta(0))
    return number


@workflow
def combined_steps(name: str, times: int) -> Workflow[int]:
    """Follow each transact by everything that is written with its record."""
    value = 0
    for _ in range(times):
        log.info("before %d", value)
        value = yield from transact(add, name)
        log.info("after %d", value)
        yield annotate(value=value)
        yield emit("values", value)
        yield from child(combined_leaf, value, id=f"leaf of {name}/{value}")
    return value


@pytest.mark.parametrize("failing", [0, 3])
def test_what_follows_from_a_transact_is_written_once_also_when_its_commit_fails(
    lmdb_url: str, full: Callable[[int], None], failing: int
) -> None:
    full(failing)
    with Engine(lmdb_url, capture_logs=logging.INFO) as engine:
        run = engine.start(combined_steps, "a", 3)

        assert 3 == run.result(WAIT)
        assert [1, 2, 3] == list(run.stream("values"))
        assert {"value": 3} == run.state
        assert ["before 0", "after 1", "before 1", "after 2", "before 2", "after 3"] == lines(engine, run.id)
        assert [1, 2, 3] == [engine.get(f"leaf of a/{n}").result(WAIT) for n in (1, 2, 3)]
        assert 3 == total(engine, "a")
        assert check(engine.store, closed=True).fits


@workflow
def combined_till(name: str, sells: int) -> Workflow[int]:
    value = 0
    for _ in range(sells):
        request = yield from await_signal("sell", Request[str])
        value = yield from transact(add, name)
        yield from reply(request, f"{request.payload} {value}")
    return value


@pytest.mark.parametrize("failing", [0, 3])
def test_a_request_is_answered_by_what_was_written_once(
    lmdb_url: str, full: Callable[[int], None], failing: int
) -> None:
    with Engine(lmdb_url, cache=0) as engine:
        run = engine.start(combined_till, "a", 2)
        full(failing)

        assert "tea 1" == run.ask("sell", "tea", id="one")
        assert "tea 1" == run.ask("sell", "tea", id="one")
        assert "jam 2" == run.ask("sell", "jam", id="two")
        assert 2 == run.result(WAIT) == total(engine, "a")
        assert [1, 1] == [len(list(engine.store.stream(run.id, f"~answer/{each}"))) for each in ("one", "two")]


@workflow
def combined_transacts(name: str, times: int) -> Workflow[int]:
    value = 0
    for _ in range(times):
        value = yield from transact(add, name)
    return value


def test_a_history_of_nothing_but_transacts_is_told_when_it_is_long(url: str) -> None:
    with Engine(url, history_budget=HistoryBudget(records=4, replay=None)) as engine:
        run = engine.start(combined_transacts, "a", 20)

        assert 20 == run.result(WAIT) == total(engine, "a")
        assert [4, 8, 16] == [cause.records for cause in causes(run) if isinstance(cause, Outgrown)]
        assert check(engine.store, closed=True).fits


def test_a_transact_that_leads_into_a_newer_version_goes_on_in_it_also_when_a_commit_fails(
    lmdb_url: str, full: Callable[[int], None]
) -> None:
    @workflow(name="combined_versions")
    def version_1(name: str) -> Workflow[Any]:
        yield from await_signal("go")
        yield from transact(add, name)
        yield from continue_as(name)

    with Engine(lmdb_url) as engine:
        run = engine.start(version_1, "a", id="one")
        eventually(lambda: run.row.length)

        failing = [2]

        @workflow(name="combined_versions", version=2)
        def version_2(name: str) -> Workflow[Any]:
            yield sleep(timedelta(0))
            if failing:
                full(failing.pop())
            value = yield from transact(add, name)
            info = yield from run_info()
            return [value, info.version]

        run.signal("go")

        assert [2, 2] == run.result(WAIT)
        assert "combined_versions@2" == run.row.workflow
        assert 2 == total(engine, "a")
        assert check(engine.store, closed=True).fits


# --- values that cannot be read here ----------------------------------------------------------------------------------


def combined_plan(answer: str, name: str) -> Callable[[], Workflow[str]]:
    @workflow(name=name)
    def planned() -> Workflow[str]:
        yield emit(answer, 1)
        return str((yield from await_signal("go", str)))

    return planned


def test_a_parked_run_without_its_key_does_not_keep_others_from_being_released(
    lmdb_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = "combined_release"
    keys = {"1": Encrypted(Encrypted.new_key()), "2": None}
    for run_id, codec in keys.items():
        with Engine(lmdb_url, codec=codec) as engine:
            run = engine.start(combined_plan("a", name), id=run_id)
            eventually(lambda run=run: run.row.length)  # type: ignore[misc]
    combined_plan("b", name)
    for run_id, codec in keys.items():
        with Engine(lmdb_url, codec=codec) as engine:
            engine.get(run_id).signal("go", "on")
            with pytest.raises(RunParked):
                engine.get(run_id).result(WAIT)

    combined_plan("a", name)
    with Engine(lmdb_url) as plain:
        eventually(lambda: plain.get("2").status is not Status.PARKED)
        assert "on" == plain.get("2").result(WAIT)
        assert Status.PARKED is plain.get("1").status
    assert "ended early" not in caplog.text
