"""The activities of the zoo: what a small shop asks of the world. None is ever called."""

from __future__ import annotations

from datetime import timedelta

import attrs

from interp import activity

__all__ = [
    "Declined",
    "Parcel",
    "SoldOut",
    "book",
    "charge",
    "charge_with_key",
    "escalate",
    "list_orders",
    "mail",
    "price_of",
    "publish",
    "quote",
    "read_stock",
    "refund",
    "release",
    "reserve",
    "seats_left",
    "ship",
    "unbook",
    "write_stock",
]

_LIMIT = timedelta(seconds=30)


class Declined(Exception):
    """The bank says no."""


class SoldOut(Exception):
    """Nothing is left."""


@attrs.frozen
class Parcel:
    """What is shipped."""

    id: str
    grams: int


@activity(raises=Declined, timeout=_LIMIT)
def charge(order: str) -> str:
    """Take money; returns a receipt."""
    raise NotImplementedError


@activity(timeout=_LIMIT)
def charge_with_key(order: str, key: str) -> str:
    """Take money once for each key."""
    raise NotImplementedError


@activity
def refund(order: str) -> None:
    """Give money back."""
    raise NotImplementedError


@activity
def mail(text: str) -> None:
    """Write to the customer."""
    raise NotImplementedError


@activity
def ship(what: str) -> None:
    """Hand over to the carrier."""
    raise NotImplementedError


@activity
def price_of(what: str) -> int:
    """Ask for a price in cents."""
    raise NotImplementedError


@activity
def quote(carrier: str) -> int:
    """Ask a carrier for an offer in cents."""
    raise NotImplementedError


@activity
def read_stock(what: str) -> int:
    """Count what is in store."""
    raise NotImplementedError


@activity
def write_stock(what: str, count: int) -> None:
    """Write down what is in store."""
    raise NotImplementedError


@activity(raises=SoldOut, timeout=_LIMIT)
def reserve(what: str) -> None:
    """Put aside."""
    raise NotImplementedError


@activity
def release(what: str) -> None:
    """Put back."""
    raise NotImplementedError


@activity
def book(what: str) -> None:
    """Book a room, a seat, a table."""
    raise NotImplementedError


@activity
def unbook(what: str) -> None:
    """Cancel what is booked."""
    raise NotImplementedError


@activity
def seats_left() -> int:
    """Count the free seats."""
    raise NotImplementedError


@activity
def publish(what: str) -> None:
    """Show to the world."""
    raise NotImplementedError


@activity
def escalate(what: str) -> None:
    """Call the boss."""
    raise NotImplementedError


@activity
def list_orders() -> list[str]:
    """List what is open."""
    raise NotImplementedError
