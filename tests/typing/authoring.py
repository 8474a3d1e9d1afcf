"""What type checkers infer where workflows are written. Never run: mypy and pyright read it.

A wrong line carries the complaint that it must bring; one that no longer brings it is an error, too.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal, assert_type
from uuid import UUID

from interp import (
    Call,
    Command,
    Request,
    Retry,
    RunInfo,
    Saga,
    Task,
    Transaction,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    cancel,
    continue_as,
    emit,
    gather,
    join,
    map_,
    now,
    patched,
    race,
    random,
    reply,
    run_info,
    shield,
    sleep,
    sleep_until,
    spawn,
    timeout,
    transact,
    uuid,
    workflow,
)

HOUR = timedelta(hours=1)
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def seen(*values: object) -> None: ...


class Order:
    id: str


class CardDeclined(Exception): ...


@activity
def charge(order: Order, cents: int = 0, *, currency: str = "EUR") -> str:
    raise NotImplementedError


@activity(retry=Retry(attempts=5), timeout=HOUR, raises=CardDeclined)
async def mail(order: Order) -> bool:
    raise NotImplementedError


def plain(order: Order) -> int:
    raise NotImplementedError


@activity(raises=CardDeclined)
def book(tx: Transaction, order: Order, *, note: str = "") -> int:
    tx.table("orders").put(order.id.encode(), b"")
    return len(note)


class SqlTransaction(Transaction):
    """What another store may hand out."""


def book_in_sql(tx: SqlTransaction, order: Order) -> str:
    raise NotImplementedError


# --- decorators keep the function as it is ---


def decorated(order: Order) -> None:
    assert_type(charge(order, 5, currency="USD"), str)
    assert_type(plain(order), int)


# --- the constructors ---


def constructors(order: Order, task: Task[str]) -> None:
    seen(assert_type(call(charge, order), Call[str]))
    seen(assert_type(call(charge, order, 5, currency="USD"), Call[str]))
    seen(assert_type(call(charge, order).options(timeout=HOUR, compare="names"), Call[str]))
    seen(assert_type(call(mail, order), Call[bool]))  # the value, not the coroutine
    seen(assert_type(call(plain, order), Call[int]))
    seen(assert_type(transact(book, order, note="new"), Command[int]))
    seen(assert_type(transact(book_in_sql, order), Command[str]))
    seen(assert_type(sleep(HOUR), Command[None]))
    seen(assert_type(sleep_until(MOMENT), Command[None]))
    seen(assert_type(await_signal("approve", bool), Command[bool]))
    seen(assert_type(await_signal("approve", bool, timeout=HOUR), Command[bool]))
    seen(assert_type(await_signal("approve"), Command[Any]))
    seen(assert_type(gather(), Command[tuple[()]]))
    seen(assert_type(gather(call(charge, order)), Command[tuple[str]]))
    seen(assert_type(gather(call(charge, order), call(mail, order)), Command[tuple[str, bool]]))
    seen(assert_type(gather(call(charge, order), sleep(HOUR), part(order)), Command[tuple[str, None, int]]))
    seen(assert_type(gather(*[call(charge, order) for _ in range(9)]), Command[tuple[str, ...]]))
    seen(assert_type(gather(call(charge, order), call(mail, order), limit=1), Command[tuple[str, bool]]))
    seen(
        assert_type(
            gather(call(charge, order), call(mail, order), return_errors=True),
            Command[tuple[str | Exception, bool | Exception]],
        )
    )
    charges = [call(charge, order) for _ in range(9)]
    seen(assert_type(gather(*charges, limit=2), Command[tuple[str, ...]]))
    seen(assert_type(gather(*charges, return_errors=False), Command[tuple[str, ...]]))
    seen(assert_type(gather(*charges, return_errors=True, limit=2), Command[tuple[str | Exception, ...]]))
    seen(assert_type(gather(*charges, min_successful=2), Command[tuple[str | Exception, ...]]))
    seen(assert_type(gather(*charges, tolerated_failures=2), Command[tuple[str | Exception, ...]]))
    orders = [order]
    seen(assert_type(map_(charge, orders), Command[tuple[str, ...]]))
    seen(assert_type(map_(mail, orders, limit=20), Command[tuple[bool, ...]]))
    seen(assert_type(map_(part, iter(orders), limit=20), Command[tuple[int, ...]]))
    seen(assert_type(map_(part, orders, return_errors=True), Command[tuple[int | Exception, ...]]))
    seen(assert_type(map_(mail, orders, min_successful=1), Command[tuple[bool | Exception, ...]]))
    seen(assert_type(map_(plain, orders, tolerated_failures=1), Command[tuple[int | Exception, ...]]))
    seen(assert_type(timeout(HOUR, call(mail, order)), Command[bool]))
    seen(assert_type(timeout(HOUR, part(order)), Command[int]))
    seen(assert_type(shield(part(order)), Command[int]))
    seen(assert_type(gather(shield(part(order)), timeout(HOUR, sleep(HOUR))), Command[tuple[int, None]]))
    seen(assert_type(race(call(charge, order), sleep(HOUR)), Command[tuple[Literal[0], str] | tuple[Literal[1], None]]))
    seen(assert_type(race(*[call(charge, order) for _ in range(9)]), Command[tuple[int, str]]))
    seen(assert_type(race(one=call(charge, order), other=part_of_str(order)), Command[tuple[str, str]]))
    seen(assert_type(spawn(call(charge, order)), Command[Task[str]]))
    seen(assert_type(spawn(part(order), name="part"), Command[Task[int]]))
    seen(assert_type(join(task), Command[str]))
    seen(assert_type(cancel(task), Command[None]))
    seen(assert_type(now(), Command[datetime]))
    seen(assert_type(random(), Command[float]))
    seen(assert_type(uuid(), Command[UUID]))
    seen(assert_type(run_info(), Command[RunInfo]))
    seen(assert_type(patched("change"), Command[bool]))
    seen(assert_type(annotate(stage="paid"), Command[None]))
    seen(assert_type(emit("stages", "paid"), Command[None]))


# --- `yield from` gives the result ---


def part(order: Order) -> Workflow[int]:
    assert_type((yield from call(charge, order)), str)
    assert_type((yield from call(mail, order)), bool)
    assert_type((yield from sleep(HOUR)), None)
    assert_type((yield from await_signal("approve", bool)), bool)
    assert_type((yield from gather()), tuple[()])
    assert_type((yield from gather(call(charge, order), call(mail, order))), tuple[str, bool])
    assert_type((yield from gather(part_of_str(order), part(order))), tuple[str, int])
    assert_type((yield from part_of_str(order)), str)
    assert_type((yield from timeout(HOUR, part_of_str(order))), str)
    assert_type((yield from shield(call(mail, order))), bool)
    assert_type((yield from map_(part_of_str, [order])), tuple[str, ...])
    assert_type((yield from Saga.run(booking, order, nights=2)), str)
    winner, value = yield from race(call(charge, order), call(mail, order))
    if winner == 0:
        assert_type(winner, Literal[0])
    assert_type(value, str | bool)
    name, text = yield from race(one=call(charge, order), other=call(charge, order))
    assert_type(name, str)
    assert_type(text, str)
    task = yield from spawn(part_of_str(order))
    assert_type(task, Task[str])
    assert_type((yield from join(task)), str)
    yield from cancel(task)
    assert_type((yield from now()), datetime)
    assert_type((yield from random()), float)
    assert_type((yield from uuid()), UUID)
    assert_type((yield from run_info()).started_at, datetime)
    assert_type((yield from patched("change")), bool)
    yield from annotate(stage="paid")
    request = yield from await_signal("quote", Request[Order])
    assert_type(request, Request[Order])
    assert_type(request.payload.id, str)
    yield from reply(request, 3)
    yield from emit("stages", order)
    return 5


def part_of_str(order: Order) -> Workflow[str]:
    return (yield from call(charge, order))


def booking(saga: Saga, order: Order, *, nights: int = 1) -> Workflow[str]:
    receipt = yield from call(charge, order, nights)
    saga.undo(call(mail, order))
    saga.undo(part(order))
    return receipt


# --- plain `yield` is allowed, and untyped ---


def plainly(order: Order) -> Workflow[str]:
    receipt = yield call(charge, order)
    assert_type(receipt, Any)
    yield sleep(HOUR)
    answer: str = receipt
    return answer


# --- workflows ---


@workflow
def checkout(order: Order, note: str = "") -> Workflow[str]:
    assert_type(order, Order)
    receipt = yield from call(charge, order)
    assert_type((yield from transact(book, order)), int)
    return receipt + note


@workflow(name="other", compare="names")
def renamed(order: Order) -> Workflow[None]:
    yield from sleep(HOUR)


@workflow
def for_ever(left: int) -> Workflow[str]:
    yield from sleep(HOUR)
    return (yield from continue_as(left - 1))


# --- what must not pass ---


def wrong(order: Order, task: Task[str]) -> Workflow[str]:
    yield from transact(book, "42")  # type: ignore[arg-type]
    yield from transact(book)  # type: ignore[call-arg]
    yield from transact(plain, order)  # type: ignore[call-arg, type-var]
    yield from call(charge)  # type: ignore[call-overload]
    yield from call(charge, "42")  # type: ignore[call-overload]
    yield from call(charge, order, currncy="EUR")  # type: ignore[call-arg, arg-type]
    yield from sleep(5)  # type: ignore[arg-type]
    yield from join(part(order))  # type: ignore[arg-type]
    yield from spawn(part)  # type: ignore[arg-type]
    yield from gather(5)  # type: ignore[call-overload]
    yield from gather(sleep(HOUR), limt=5)  # type: ignore[call-overload]
    yield from map_(charge, ["42"])  # type: ignore[arg-type]
    yield from timeout(5, sleep(HOUR))  # type: ignore[arg-type]
    yield from shield(part)  # type: ignore[arg-type]
    yield from Saga.run(booking, "42")  # type: ignore[arg-type]
    yield from Saga.run(part, order)  # type: ignore[arg-type, call-arg]
    yield 5  # type: ignore[misc]
    yield part(order)  # type: ignore[misc]
    receipt: int = yield from call(charge, order)  # type: ignore[assignment]
    seen(receipt)
    seen(
        call(charge, order).options(
            deadline=HOUR, heartbeat=HOUR, retry=Retry(never=(ValueError, "lib.Error"), only=OSError)
        )
    )
    seen(call(charge, order).options(on_unknown=charge))
    seen(call(charge, order).options(on_unknown="perhaps"))  # type: ignore[arg-type]
    seen(Retry(never=3))  # type: ignore[arg-type]
    seen(call(charge, order).options(retries=3))  # type: ignore[call-arg]
    return call(charge, order)  # type: ignore[return-value]


@workflow  # type: ignore[type-var]
def no_generator(order: Order) -> str:
    return ""


@workflow  # type: ignore[type-var]
async def async_workflow(order: Order) -> str:
    return ""
