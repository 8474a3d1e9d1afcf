"""Bugs of edits: the code was changed while runs were open. A history of the code as it was finds each."""

from __future__ import annotations

from datetime import timedelta

from interp import Workflow, call, patched, sleep, workflow
from interp.testing import Answers, Fires, Returned
from tests.zoo.exhibits import Bug, Golden
from tests.zoo.world import charge, mail, read_stock, ship

__all__ = ["BUGS"]


@workflow(name="dispatch_order")
def dispatch_before(order: str) -> Workflow[None]:
    """The code as it was."""
    yield from call(charge, order)
    yield sleep(timedelta(days=1))
    yield from call(ship, order)


@workflow(name="dispatch_order")
def dispatch_order(order: str) -> Workflow[None]:
    """Looks into the store first, without a guard.

    All runs that were open when this was deployed are parked: their histories begin with a payment.
    """
    yield from call(read_stock, order)
    yield from call(charge, order)
    yield sleep(timedelta(days=1))
    yield from call(ship, order)


@workflow(name="dispatch_politely")
def dispatch_politely(order: str) -> Workflow[None]:
    """Guards what was added, and moves what was there.

    The mail is behind the guard; but the payment now comes after the day of waiting, for old runs too.
    """
    if (yield from patched("mail-first")):
        yield from call(mail, "thank you")
    yield sleep(timedelta(days=1))
    yield from call(charge, order)
    yield from call(ship, order)


@workflow(name="dispatch_twice_changed")
def dispatch_once_changed(order: str) -> Workflow[None]:
    """The code as it was after the first change."""
    if (yield from patched("stock")):
        yield from call(read_stock, order)
    yield from call(charge, order)
    yield sleep(timedelta(days=1))
    yield from call(ship, order)


@workflow(name="dispatch_twice_changed")
def dispatch_twice_changed(order: str) -> Workflow[None]:
    """Uses the name of an earlier change for another one.

    Runs since the first change have recorded the name as taken: they go the way of the second, which they never went.
    """
    if (yield from patched("stock")):
        yield from call(read_stock, order)
        yield from call(mail, "it is there")
    yield from call(charge, order)
    yield sleep(timedelta(days=1))
    yield from call(ship, order)


@workflow(name="dispatch_shorter")
def dispatch_shorter(order: str) -> Workflow[None]:
    """Leaves out what old runs are in the middle of.

    The pause was taken out; a run that is in it, or behind it, has a timer that nobody set.
    """
    yield from call(charge, order)
    yield from call(ship, order)


_PAID = (Answers("1"), Returned("r-1"))

BUGS = [
    Bug.of(dispatch_order, Golden(dispatch_before, ("7",), (_PAID, Fires("2")))),
    Bug.of(dispatch_politely, Golden(dispatch_before, ("7",), (_PAID,))),
    Bug.of(dispatch_twice_changed, Golden(dispatch_once_changed, ("7",), ((Answers("1"), Returned(3)),))),
    Bug.of(dispatch_shorter, Golden(dispatch_before, ("7",), (_PAID,))),
]
