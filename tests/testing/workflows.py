"""Small workflows that the tests of the testing kit let live."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import attrs

from interp import Command, Workflow, activity, await_signal, call, child, continue_as, gather, sleep, workflow

__all__ = ["Declined", "Order", "countdown", "endless", "mail", "parent", "pay", "purchase", "quote", "refund", "trip"]


class Declined(Exception):
    """The business says no."""


@attrs.frozen
class Order:
    """A value with parts."""

    id: str
    cents: int


@activity(raises=Declined, timeout=timedelta(seconds=3))
def quote(what: str) -> int:
    raise NotImplementedError


@activity(raises=Declined, on_unknown="fail")
def pay(order: Order) -> str:
    raise NotImplementedError


@activity
def mail(text: str) -> None:
    raise NotImplementedError


@activity
def refund(receipt: str) -> None:
    raise NotImplementedError


def _best(what: str) -> Generator[Command[Any], Any, int]:
    price = yield from call(quote, what)
    yield sleep(timedelta(seconds=10))
    return price


@workflow(name="kit_trip")
def trip(first: str, second: str) -> Workflow[int]:
    prices = yield from gather(_best(first), _best(second))
    go = yield from await_signal("go", bool, timeout=timedelta(days=1))
    return sum(prices) if go else 0


@workflow(name="kit_purchase")
def purchase(order: Order) -> Workflow[str]:
    try:
        receipt = yield from call(pay, order)
    except Declined:
        return "declined"
    yield from call(mail, receipt)
    return receipt


@workflow(name="kit_countdown")
def countdown(left: int) -> Workflow[str]:
    yield from call(mail, str(left))
    if left > 0:
        yield continue_as(left - 1)
    return "lift-off"


@workflow(name="kit_endless")
def endless() -> Workflow[None]:
    while True:
        yield sleep(timedelta(minutes=1))


@workflow(name="kit_parent")
def parent(order: Order) -> Workflow[str]:
    return (yield from child(purchase, order))
