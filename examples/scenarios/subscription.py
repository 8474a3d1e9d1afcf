"""Charge every thirty days until somebody cancels; a new price holds from the next period on.

Each period is a round with a fresh journal (`continue_as`), so that the history stays as short after ten years as it is
after one month. The end of a period is counted from the start of the run: periods do not drift, whenever the workers
ran. Killed during a charge, the run charges with the same idempotency key again, and the bank takes the money once.
"""

from __future__ import annotations

from datetime import timedelta

from examples.scenarios import world
from interp import Workflow, activity, annotate, await_signal, call, continue_as, race, run_info, sleep_until, workflow

__all__ = ["PERIOD", "subscription"]

PERIOD = timedelta(days=30)


@workflow
def subscription(customer: str, cents: int) -> Workflow[str]:
    """Live through one period, then through the next."""
    yield from call(charge, customer, cents)
    info = yield from run_info()
    period_ends = info.started_at + PERIOD * (info.round + 1)
    yield from annotate(periods_paid=info.round + 1, price=cents)
    while True:
        what, price = yield from race(
            price=await_signal("price", int),
            cancelled=await_signal("cancel"),
            over=sleep_until(period_ends),
        )
        if what == "cancelled":
            return f"{customer} left after {info.round + 1} periods"
        if what == "over":
            return (yield from continue_as(customer, cents))
        assert price is not None
        cents = price


@activity
def charge(customer: str, cents: int) -> str:
    """Take the money for one period."""
    return world.do(f"charge {customer} {cents}")
