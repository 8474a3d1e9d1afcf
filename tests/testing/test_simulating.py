"""Several workers on one store, with faults from a seed: our engine survives them, and planted bugs do not."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from interp import (
    CallFailed,
    Retry,
    Workflow,
    activity,
    await_signal,
    call,
    child,
    continue_as,
    emit,
    gather,
    race,
    send,
    sleep,
    transact,
    workflow,
)
from interp.runtime.turn import Turn
from interp.store import Append
from interp.tables import Transaction
from interp.testing import Faults, WentWrong, simulate
from interp.testing.stubs import Stubs
from stores.memory import MemoryStore


@activity(timeout=timedelta(minutes=5))
def sim_charge(order: str) -> str:
    time.sleep(2)
    return f"receipt {order}"


@activity(retry=Retry(attempts=4))
async def sim_mail(text: str) -> str:
    await asyncio.sleep(1)
    return text


@workflow
def sim_checkout(order: str) -> Workflow[str]:
    yield from await_signal("approve", bool)
    receipt = yield from call(sim_charge, order)
    yield sleep(timedelta(days=1))
    yield from call(sim_mail, receipt)
    return receipt


@workflow
def sim_fan_out(width: int) -> Workflow[int]:
    receipts = yield from gather(*(call(sim_charge, str(number)) for number in range(width)))
    yield emit("receipts", len(receipts))
    names = yield from gather(*(child(sim_leaf, receipt) for receipt in receipts))
    return len(set(names))


@workflow
def sim_leaf(text: str) -> Workflow[str]:
    yield from race(call(sim_mail, text), sleep(timedelta(days=10)))
    return text


@workflow
def sim_rounds(left: int) -> Workflow[str]:
    yield from call(sim_mail, str(left))
    if left:
        yield continue_as(left - 1)
    return "done"


@workflow
def sim_ping(other: str) -> Workflow[str]:
    yield from child(sim_pong, detached=True, id=f"{other}-pong")
    yield from send(f"{other}-pong", "ping", 1)
    return "sent"


@workflow
def sim_pong() -> Workflow[int]:
    return (yield from await_signal("ping", int))


def sim_add(tx: Transaction, amount: int) -> int:
    table = tx.table("sums")
    total = int(table.get(b"total") or b"0") + amount
    table.put(b"total", str(total).encode())
    return total


@workflow
def sim_sums(amount: int) -> Workflow[int]:
    yield from transact(sim_add, amount)
    yield from call(sim_mail, "added")
    return (yield from transact(sim_add, amount))


PLAYS: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (sim_checkout, ("42",), {"signals": {"approve": True}}),
    (sim_fan_out, (3,), {"runs": 2}),
    (sim_rounds, (3,), {}),
    (sim_ping, ("a",), {"runs": 1}),
    (sim_sums, (5,), {"runs": 1}),
]


@pytest.mark.parametrize(("workflow", "args", "more"), PLAYS, ids=lambda part: getattr(part, "__name__", ""))
def test_the_engine_survives(workflow: Any, args: tuple[Any, ...], more: dict[str, Any]) -> None:
    simulated = simulate(workflow, *args, seeds=60, **more)

    assert 60 == simulated.seeds
    assert 1 == len(simulated.endings)
    assert {"refused", "fails", "dies", "stalls"} <= set(simulated.faults)


@pytest.mark.soak
@pytest.mark.parametrize(("workflow", "args", "more"), PLAYS, ids=lambda part: getattr(part, "__name__", ""))
def test_the_engine_survives_for_long(workflow: Any, args: tuple[Any, ...], more: dict[str, Any]) -> None:
    faults = Faults(refused=0.05, failed=0.03, slow=0.03, dies=0.05, stalls=0.05, most=20)

    assert 10_000 == simulate(workflow, *args, seeds=10_000, faults=faults, **more).seeds


def test_all_workers_may_stand_still_at_once() -> None:
    often = Faults(stalls=0.2, dies=0, most=40)

    assert 30 == simulate(sim_checkout, "42", signals={"approve": True}, faults=often, seeds=30).seeds


def test_without_faults_nothing_goes_wrong() -> None:
    calm = Faults(refused=0, failed=0, slow=0, dies=0, stalls=0, raises=0, late=0)
    simulated = simulate(sim_checkout, "42", signals={"approve": True}, faults=calm, seeds=5)

    assert 20 == simulated.runs
    assert 0 == simulated.faults.total()
    assert "20 runs in 5 simulations; faults: none\n      20  returns 'receipt 42'" == str(simulated)


def _unfenced(self: Any, append: Append, _original: Any = MemoryStore._append) -> Any:
    """The planted bug: whoever believes to own a run may write to it."""
    row = self._contents.runs[append.run_id].row
    if row.owner is None:
        return "fenced"
    index = append.index if append.restart else row.length
    return _original(self, msgspec.structs.replace(append, token=row.token, index=index))


def test_a_store_without_fences_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryStore, "_append", _unfenced)
    with pytest.raises(WentWrong):
        simulate(sim_checkout, "42", signals={"approve": True}, seeds=300)


def test_a_worker_that_forgets_what_a_full_store_refused_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(self: Turn, error: BaseException, _original: Any = Turn.refuse_new) -> None:
        _original(self, error)
        self.dirty.clear()

    monkeypatch.setattr(Turn, "refuse_new", forgets)
    with pytest.raises(WentWrong) as caught:
        simulate(sim_checkout, "42", signals={"approve": True}, seeds=300)

    assert f"seed={caught.value.seed})" in str(caught.value)
    assert "a write is refused" in str(caught.value)


SEEN: list[str] = []


@workflow
def sim_remembers(order: str) -> Workflow[int]:
    SEEN.append(order)
    yield from call(sim_mail, str(len(SEEN)))
    yield sleep(timedelta(hours=1))
    yield from call(sim_mail, str(len(SEEN)))
    return 1


def test_a_workflow_that_does_not_replay_is_found() -> None:
    with pytest.raises(WentWrong) as caught:
        simulate(sim_remembers, "42")

    told = str(caught.value)
    assert "once more: simulate(sim_remembers, '42', ..., seed=" in told
    assert "what happened:" in told


@activity(retry=Retry(attempts=2))
def sim_flaky() -> str:
    return "fine"


@workflow
def sim_fragile() -> Workflow[str]:
    try:
        return (yield from call(sim_flaky))
    except CallFailed:
        return "broken"


def test_other_endings_are_allowed_by_saying_so() -> None:
    stubs: Stubs = {sim_flaky: _every_second_fails()}
    endings = {"returns 'fine'", "returns 'broken'"}
    simulated = simulate(sim_fragile, activities=stubs, ends=endings.__contains__, seeds=40)

    assert set(simulated.endings) <= endings
    with pytest.raises(WentWrong, match="sim_fragile went wrong in simulation"):
        simulate(sim_fragile, activities=stubs, ends=lambda ending: ending == "returns 'perfect'", seeds=40)


def _every_second_fails() -> Any:
    count = [0]

    def flaky() -> str:
        count[0] += 1
        if count[0] % 2:
            raise OSError("flaky")
        return "fine"

    return flaky


def test_a_seed_tells_everything() -> None:
    def told() -> tuple[str, int]:
        with pytest.raises(WentWrong) as caught:
            simulate(sim_checkout, "42", signals={"approve": True}, ends=lambda ending: False, seed=7)
        return str(caught.value), caught.value.seed

    assert told() == told()
    assert 7 == told()[1]
