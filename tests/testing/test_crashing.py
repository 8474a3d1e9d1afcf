"""The real worker on a real store is killed at each of its writes."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from interp import (
    CallFailed,
    OutcomeUnknown,
    UsageError,
    Workflow,
    activity,
    await_signal,
    call,
    child,
    continue_as,
    current_call,
    gather,
    now,
    sleep,
    transact,
    workflow,
)
from interp.runtime import attempts
from interp.tables import Transaction
from interp.testing import NotCrashSafe, crash_sweep, in_turn
from interp.testing.stubs import Stubs


class Declined(Exception):
    """The business says no."""


@activity(raises=Declined)
def crash_charge(order: str) -> str:
    return f"receipt {order}"


@activity
def crash_mail(text: str) -> None:
    raise NotImplementedError


@activity(on_unknown="fail")
def crash_once(order: str) -> str:
    return "once"


@activity
def crash_count(folder: str) -> int:
    path = Path(folder) / current_call().idempotency_key.replace("/", "-")
    path.touch()
    return len(list(Path(folder).iterdir()))


@activity
async def crash_doze(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@workflow
def crash_checkout(order: str) -> Workflow[str]:
    yield from await_signal("approve", bool)
    try:
        receipt = yield from call(crash_charge, order)
    except Declined:
        return "declined"
    yield sleep(timedelta(days=30))
    yield from call(crash_mail, receipt)
    return receipt


@workflow
def crash_parent(order: str) -> Workflow[list[str]]:
    return list((yield from gather(child(crash_child, order), call(crash_charge, order))))


@workflow
def crash_child(order: str) -> Workflow[str]:
    yield from call(crash_mail, order)
    return order


@workflow
def crash_rounds(left: int) -> Workflow[str]:
    yield from call(crash_mail, str(left))
    if left:
        yield continue_as(left - 1)
    return "done"


@workflow
def crash_careful(order: str) -> Workflow[str]:
    try:
        return (yield from call(crash_once, order))
    except OutcomeUnknown:
        return "somebody must look"


@workflow
def crash_gives_up(order: str) -> Workflow[str]:
    try:
        return (yield from call(crash_charge, order))
    except CallFailed:
        return "given up"


def add(tx: Transaction, amount: int) -> int:
    table = tx.table("sums")
    total = int(table.get(b"total") or b"0") + amount
    table.put(b"total", str(total).encode())
    return total


@workflow
def crash_sums(amount: int) -> Workflow[int]:
    yield from transact(add, amount)
    return (yield from transact(add, amount))


@workflow
def crash_two_files(folder: str) -> Workflow[int]:
    yield from call(crash_count, folder)
    return (yield from call(crash_count, folder))


@workflow
def crash_dozes(*seconds: float) -> Workflow[list[float]]:
    return list((yield from gather(*(call(crash_doze, each) for each in seconds))))


@workflow
def crash_forgets(order: str) -> Workflow[str]:
    began = yield from now()
    yield from call(crash_mail, order)
    return began.isoformat()


STUBS: Stubs = {crash_mail: None}
APPROVED = {"approve": True}


def test_a_run_that_survives_every_kill() -> None:
    report = crash_sweep(crash_checkout, "42", activities=STUBS, signals=APPROVED)

    assert (10, 5, {}) == (report.kills, len(report.writes), report.problems)
    assert "returns 'receipt 42'" == report.ending
    assert ["before write 3 crash_charge('42') happened twice (attempts 1, 2)"] == [
        f"{each.death} {each}" for each in report.repeated if each.activity == "crash_charge"
    ]
    assert "crash_charge happened more than once after 1 kill" in str(report)


def test_an_effect_that_must_happen_once() -> None:
    with pytest.raises(NotCrashSafe) as caught:
        crash_sweep(crash_checkout, "42", activities=STUBS, signals=APPROVED, exactly_once=[crash_charge])

    lines = [" ".join(line.split()) for line in str(caught.value).splitlines()]
    assert "killed before write 3" in lines
    assert "3 gets crash_charge -> 'receipt 42'" in lines
    assert "crash_charge('42') happened twice (attempts 1, 2), and must happen exactly once" in lines
    assert ["before write 3"] == list(caught.value.report.problems)


@pytest.mark.parametrize(
    ("workflow", "args", "ending"),
    [
        (crash_parent, ("42",), "returns ['42', 'receipt 42']"),
        (crash_rounds, (2,), "returns 'done'"),
        (crash_sums, (5,), "returns 10"),
        (crash_dozes, (3.0, 1.0), "returns [3.0, 1.0]"),
        (crash_forgets, ("42",), "returns '2026-01-01T00:00:00+00:00'"),
    ],
)
def test_features_survive_every_kill(workflow: Any, args: tuple[Any, ...], ending: str) -> None:
    report = crash_sweep(workflow, *args, activities=STUBS)

    assert ending == report.ending
    assert 2 * len(report.writes) == report.kills >= 4


def test_stubs_go_on_where_the_killed_process_was() -> None:
    stubs: Stubs = {crash_charge: in_turn(ConnectionError("net"), "r-1")}

    assert "returns 'r-1'" == crash_sweep(crash_gives_up, "42", activities=stubs).ending


def test_declared_exceptions_are_effects() -> None:
    stubs: Stubs = {crash_charge: Declined("no funds"), crash_mail: None}
    report = crash_sweep(crash_checkout, "42", activities=stubs, signals=APPROVED)

    assert "returns 'declined'" == report.ending
    assert {"crash_charge"} == {each.activity for each in report.repeated}


def test_a_run_that_finds_out_ends_otherwise() -> None:
    with pytest.raises(NotCrashSafe, match="it returns 'somebody must look'"):
        crash_sweep(crash_careful, "42")

    assert not crash_sweep(crash_careful, "42", same_result=False, exactly_once=[crash_once]).problems


def test_real_activities_get_their_world_back(tmp_path: Path) -> None:
    def setup() -> None:
        for path in tmp_path.iterdir():
            path.unlink()

    (tmp_path / "left from before").touch()
    report = crash_sweep(crash_two_files, str(tmp_path), setup=setup)

    assert "returns 2" == report.ending


def test_a_result_that_nobody_returned_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted bug: an activity that was begun once is taken as done, whatever became of it."""

    def forgetful(attempt: attempts.Attempt) -> attempts.Completion:
        if attempt.number > 1:
            return attempts.Completion(attempt, b'"receipt 42"')
        return attempts.perform(attempt)

    monkeypatch.setattr("interp.testing.inline.perform", forgetful)
    monkeypatch.setattr("interp.testing.inline.Inline._end", _without_ledger_of_later_attempts)
    with pytest.raises(NotCrashSafe) as caught:
        crash_sweep(crash_checkout, "42", activities=STUBS, signals=APPROVED)

    assert "crash_charge('42') never happened" in str(caught.value)
    assert "the history says that crash_charge returned 'receipt 42', and no attempt has" in str(caught.value)


def _without_ledger_of_later_attempts(self: Any, watched: Any, completion: attempts.Completion, end: Any) -> None:
    if completion.attempt.number == 1:
        self._observer.ended(completion)
    self._deliver(completion)


def test_what_cannot_be_swept_is_refused() -> None:
    with pytest.raises(UsageError, match="waits for signal 'approve'"):
        crash_sweep(crash_checkout, "42", activities=STUBS)
    with pytest.raises(UsageError, match="children run"):
        crash_sweep(crash_parent, "42", activities={crash_child: "42"})
