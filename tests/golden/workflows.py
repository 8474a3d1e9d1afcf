"""The workflows behind the golden histories. Never change one: add another."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import attrs

from interp import (
    CallFailed,
    Cancelled,
    SignalTimeout,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    cancel,
    gather,
    join,
    now,
    patched,
    race,
    random,
    run_info,
    sleep,
    spawn,
    uuid,
    workflow,
)


class OutOfStock(Exception):
    """A declared outcome."""


@attrs.frozen
class Line:
    """One line of an order."""

    sku: str
    price: Decimal
    tags: frozenset[str] = frozenset()


@activity(raises=OutOfStock)
def reserve(line: Line, count: int = 1) -> UUID:
    """Reserve goods."""
    raise NotImplementedError


@activity
async def ship(lines: list[Line], *, express: bool) -> dict[str, int]:
    """Ship them."""
    raise NotImplementedError


@activity
def undo(key: UUID) -> None:
    """Give them back."""
    raise NotImplementedError


def _reserved(line: Line) -> Workflow[UUID | None]:
    try:
        return (yield from call(reserve, line, 2))
    except OutOfStock:
        return None


def _ticker() -> Workflow[None]:
    try:
        while True:
            yield from sleep(timedelta(minutes=1))
    except Cancelled:
        yield from annotate(ticker="stopped")
        raise


@workflow
def golden_order(lines: list[Line], express: bool) -> Workflow[tuple[str, float]]:
    """Use every kind of command once."""
    info = yield from run_info()
    started = yield from now()
    chance = yield from random()
    number = yield from uuid()
    yield from annotate(stage="reserving", run=info.id, number=str(number), started=started.isoformat())
    keys = yield from gather(*[_reserved(line) for line in lines])
    ticker = yield from spawn(_ticker(), name="ticker")
    with suppress(SignalTimeout):
        yield from await_signal("never", timeout=timedelta(seconds=5))
    who, _ = yield from race(approved=await_signal("approve", bool), late=sleep(timedelta(days=1)))
    if (yield from patched("express")):
        try:
            yield from call(ship, lines, express=express)
        except CallFailed as failed:
            yield from annotate(failed=failed.message)
    yield from cancel(ticker)
    key = next(key for key in keys if key is not None)
    yield from join((yield from spawn(call(undo, key))))
    return who, chance
