"""Checking a store against the code as it is now: every verdict, causes in common, and nothing touched."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from interp import Engine, Workflow, activity, await_signal, call, sleep, workflow
from interp.errors import JournalCorrupt, NondeterminismError, UndecodableHistory, UnknownWorkflow
from interp.events import Started, encode_event
from interp.runtime import open_store
from interp.runtime.checking import Reader, Report, Verdict, check
from interp.store import Create, Message, RunFilter, RunRow
from tests.runtime.helpers import WAIT, eventually, kinds

AnyWorkflow = Callable[..., Workflow[Any]]


@activity
def charge(order: str) -> str:
    return f"charged {order}"


@activity
def refund(order: str) -> str:
    return f"refunded {order}"


def first_deploy(name: str = "checked") -> AnyWorkflow:
    @workflow(name=name)
    def first(order: str) -> Workflow[str]:
        receipt = yield from call(charge, order)
        yield from await_signal("go")
        return receipt

    return first


def edited(compare: Any = "strict") -> None:
    @workflow(name="checked", compare=compare)
    def second(order: str) -> Workflow[str]:
        receipt = yield from call(charge, order + "!")
        yield from await_signal("go")
        return receipt


def swapped() -> None:
    @workflow(name="checked")
    def second(order: str) -> Workflow[str]:
        receipt = yield from call(refund, order)
        yield from await_signal("go")
        return receipt


def with_another_end() -> None:
    @workflow(name="checked")
    def second(order: str) -> Workflow[int]:
        receipt = yield from call(charge, order)
        yield from await_signal("go")
        return len(receipt)


def with_another_argument() -> None:
    @workflow(name="checked")
    def second(order: int) -> Workflow[str]:
        yield from sleep(timedelta(0))
        return str(order)


@pytest.fixture
def runs(url: str) -> Iterator[str]:
    """Three runs that wait, and one that has ended; the store stays open, so that one in memory stays."""
    store = open_store(url)
    with Engine(url) as engine:
        started = engine.start_many(first_deploy(), [(f"order-{n}", (f"{n}",)) for n in range(4)])
        started[3].signal("go")
        started[3].result(WAIT)
        for run in started[:3]:
            eventually(lambda run=run: "Resolved" in kinds(run))  # type: ignore[misc]
    yield url
    store.close()


def report(url: str, **options: Any) -> Report:
    store = open_store(url)
    try:
        return check(Watched(store), **options)
    finally:
        store.close()


class Watched:
    """The reading half of a store: there is nothing to write with."""

    def __init__(self, store: Reader) -> None:
        self._store = store

    def run(self, run_id: str) -> RunRow | None:
        return self._store.run(run_id)

    def runs(self, where: RunFilter) -> list[RunRow]:
        return self._store.runs(where)

    def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
        return self._store.history(run_id, start)

    def inbox(self, run_id: str) -> tuple[Message, ...]:
        return self._store.inbox(run_id)


def test_runs_of_unchanged_code_fit(runs: str) -> None:
    told = report(runs, closed=True)

    assert told.fits
    assert 4 == told.runs == told.counts[Verdict.FITS]
    assert [] == told.causes


def test_only_open_runs_are_checked_unless_asked_for(runs: str) -> None:
    assert 3 == report(runs).runs
    assert 0 == report(runs, workflow="another").runs


def test_runs_that_diverge_at_the_same_lines_have_one_cause_whatever_their_arguments_are(runs: str) -> None:
    swapped()

    told = report(runs)

    assert not told.fits
    (cause,) = told.causes
    assert (3, ["order-0", "order-1", "order-2"]) == (cause.runs, cause.examples)
    assert isinstance(cause.error, NondeterminismError)
    assert ("call charge('0')", "call refund(order='0')") == (cause.error.recorded, cause.error.yielded)
    assert 0 == cause.error.index


def test_differences_that_the_names_policy_accepts_are_counted(runs: str) -> None:
    edited()
    assert 3 == report(runs).counts[Verdict.DIVERGES]

    edited("names")
    told = report(runs)

    assert told.fits
    assert 3 == told.tolerated


def test_the_result_of_a_run_that_has_ended_is_compared_when_asked_for(runs: str) -> None:
    with_another_end()

    assert report(runs).fits
    (cause,) = report(runs, closed=True).causes

    assert ["order-3"] == cause.examples
    assert isinstance(cause.error, NondeterminismError)
    assert ("the run returns 'charged 3'", "the run returns 9") == (cause.error.recorded, cause.error.yielded)


def test_arguments_that_no_longer_decode_are_told(runs: str) -> None:
    with_another_argument()

    told = report(runs)

    assert 3 == told.counts[Verdict.UNDECODABLE]
    (cause,) = told.causes
    assert isinstance(cause.error, UndecodableHistory)


def test_runs_of_a_workflow_that_is_gone_are_unknown(runs: str) -> None:
    store = open_store(runs)

    class Renamed(Watched):
        def runs(self, where: RunFilter) -> list[RunRow]:
            return [msgspec.structs.replace(row, workflow="never registered") for row in store.runs(where)]

    told = check(Renamed(store))

    assert 3 == told.counts[Verdict.UNKNOWN]
    assert isinstance(told.causes[0].error, UnknownWorkflow)
    store.close()


def test_a_damaged_history_is_a_verdict_and_the_other_runs_are_checked(runs: str) -> None:
    store = open_store(runs)

    class Damaged(Watched):
        def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
            return iter([b"\xc1"]) if run_id == "order-1" else super().history(run_id, start)

    told = check(Damaged(store))

    assert (2, 1) == (told.counts[Verdict.FITS], told.counts[Verdict.BROKEN])
    assert isinstance(told.causes[0].error, JournalCorrupt)
    store.close()


def test_a_workflow_that_exits_does_not_end_the_check(runs: str) -> None:
    @workflow(name="checked")
    def leaves(order: str) -> Workflow[str]:
        yield from call(charge, order)
        raise SystemExit(3)

    told = report(runs)

    assert 3 == told.runs
    assert not told.fits


def test_a_run_that_was_not_started_yet_is_checked_by_its_arguments(url: str) -> None:
    first_deploy()
    store = open_store(url)
    started = Started("checked", b'["seven"]', bytes(16))
    store.create(Create("new", "checked", b"", encode_event(started)), 1)

    assert check(store).fits
    with_another_argument()
    assert 1 == check(store).counts[Verdict.UNDECODABLE]
    store.close()


def test_checking_changes_nothing(runs: str) -> None:
    store = open_store(runs)
    before = [(row, list(store.history(row.id)), store.inbox(row.id)) for row in store.runs(RunFilter())]
    swapped()

    check(store, closed=True)

    assert before == [(row, list(store.history(row.id)), store.inbox(row.id)) for row in store.runs(RunFilter())]
    store.close()


def test_a_thousand_small_runs_are_checked(url: str) -> None:
    store = open_store(url)
    with Engine(url) as engine:
        started = engine.start_many(first_deploy(), [(f"run-{n}", (f"{n}",)) for n in range(1_000)])
        eventually(lambda: len(started[-1].history()) > 1)
        told = check(store)
    assert 1_000 == told.counts[Verdict.FITS]
    store.close()
