"""Activities that random programs call; nothing ever runs them: the tests answer in their place."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import attrs

from interp import Transaction, Workflow, activity, call, workflow

__all__ = ["ACTIVITIES", "Declined", "Item", "OutOfStock", "SlightlyDeclined", "core_child", "deposit"]


@attrs.frozen
class Item:
    """A value with parts."""

    name: str
    cents: int
    tags: tuple[str, ...] = ()
    price: Decimal | None = None


class Declined(Exception):
    """A plain exception."""


class SlightlyDeclined(Declined):
    """A subclass of a declared exception, with an `__init__` of its own."""

    def __init__(self, by: int) -> None:
        super().__init__(f"declined by {by}")
        self.by = by


@attrs.frozen
class OutOfStock(Exception):
    """An attrs exception."""

    item: Item
    left: int = 0


@activity(raises=(Declined, OutOfStock))
def number(key: int) -> int:
    raise NotImplementedError


@activity(raises=(Declined, OutOfStock))
def money(key: int, currency: str = "EUR") -> Decimal:
    raise NotImplementedError


@activity(raises=(Declined, OutOfStock))
def moment(key: int) -> datetime:
    raise NotImplementedError


@activity(raises=(Declined, OutOfStock))
def item(key: int) -> Item:
    raise NotImplementedError


@activity(raises=(Declined, OutOfStock))
async def items(key: int) -> list[Item]:
    raise NotImplementedError


@activity(raises=(Declined, OutOfStock))
def either(key: int) -> int | str | None:
    raise NotImplementedError


@activity(raises=(Declined, OutOfStock))
def anything(key: int) -> Any:
    raise NotImplementedError


@activity(raises=(Declined, OutOfStock))
def deposit(tx: Transaction, key: int, currency: str = "EUR") -> int:
    raise NotImplementedError


ACTIVITIES = {fn.__name__: fn for fn in (number, money, moment, item, items, either, anything)}


@workflow
def core_child(key: int) -> Workflow[int]:
    """What the programs start as children; it is never run: how it ends is drawn."""
    return (yield from call(number, key))
