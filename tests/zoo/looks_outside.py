"""Bugs of workflows that look at what a replay finds changed: the clock, chance, the environment, the order of sets."""

from __future__ import annotations

import os
import random
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from hypothesis import strategies as st

from interp import Workflow, call, sleep, workflow
from tests.zoo.exhibits import Bug, Lints, Replays, Watches
from tests.zoo.world import charge_with_key, mail, price_of, ship

__all__ = ["BUGS"]


@workflow
def happy_hour(drink: str) -> Workflow[int]:
    """Branches on the hour of the clock.

    A run that is replayed in the evening wants to send a mail that its history does not have, and is parked.
    """
    price = yield from call(price_of, drink)
    if datetime.now(UTC).hour >= 17:
        yield from call(mail, f"{drink}: half price")
    return price


@workflow
def slow_partner(item: str) -> Workflow[int]:
    """Measures how long a call took.

    In a replay no call takes any time: the complaint was mailed, and now is not.
    """
    began = time.monotonic()
    price = yield from call(price_of, item)
    if time.monotonic() - began > 60:
        yield from call(mail, "too slow")
    return price


@workflow
def payment_reminder(invoice: str, days: int) -> Workflow[None]:
    """Computes a deadline from the wall clock.

    Each replay sleeps for another span than the recorded one; the run is parked after the first restart.
    """
    due = datetime(2030, 1, 1, tzinfo=UTC) + timedelta(days=days % 1_000)
    yield sleep(due - datetime.now(UTC))
    yield from call(mail, f"pay {invoice}")


@workflow
def spot_check(orders: list[str]) -> Workflow[None]:
    """Rolls dice, but only for large orders.

    Small orders replay well in every test written by hand; one of three or more is parked, sometimes.
    """
    if len(orders) >= 3 and random.random() < 0.5:
        yield from call(mail, "please check")
    for order in orders:
        yield from call(ship, order)


@workflow
def pay_once(order: str) -> Workflow[str]:
    """Makes the key that should prevent a second payment anew in each replay.

    The history holds one key, the replay makes another: parked, if lucky; without comparison it would be paid twice.
    """
    return (yield from call(charge_with_key, order, str(uuid4())))


@workflow
def regional_tax(order: str) -> Workflow[None]:
    """Reads a setting from the environment.

    A run that moves to a machine with another setting is parked.
    """
    yield from call(ship, f"{order} to {os.environ.get('HOME', 'nowhere')}")


@workflow
def pay_day(employee: str, worked_until: float) -> Workflow[None]:
    """Takes a moment apart in the zone of whatever machine it runs on.

    The laptop says the 31st, the server in another zone the 1st.
    """
    moment = datetime.fromtimestamp(worked_until % 1e9)  # noqa: DTZ006  the planted bug
    yield from call(mail, f"{employee}: pay day is {moment:%d.%m. %H:%M}")


@workflow
def tell_watchers(watchers: list[str]) -> Workflow[None]:
    """Goes through a set.

    The order of text in a set differs from process to process: after a restart the second watcher comes first.
    """
    for watcher in set(watchers):
        yield from call(mail, watcher)


@workflow
def merged_basket(mine: list[str], yours: list[str]) -> Workflow[None]:
    """Builds a dict from a set, and takes the dict's order for granted.

    A dict keeps the order in which it was filled; a set has filled it.
    """
    basket = dict.fromkeys({*mine, *yours}, 1)
    for item, count in basket.items():
        yield from call(ship, f"{count} x {item}")


@workflow
def chosen_shard(customer: str) -> Workflow[None]:
    """Spreads customers over shards by hash().

    Text is hashed with another seed in each process: after a restart the customer's data is looked for elsewhere.
    """
    yield from call(ship, f"shard {hash(customer) % 8}")


class _Ticket:
    """A class without a `__repr__` of its own."""


@workflow
def audit_trail() -> Workflow[None]:
    """Writes the address of an object into a message.

    `<_Ticket object at 0x7f...>` differs in every replay.
    """
    ticket = _Ticket()
    yield from call(mail, f"opened {ticket!r}")


_RATES = Path("rates.json")


@workflow
def current_rates(amount: int) -> Workflow[None]:
    """Reads a file.

    Somebody edits the file while runs are open; each replay computes with the new rates.
    """
    rate = float(_RATES.read_text())
    yield from call(mail, str(amount * rate))


WATCHERS = st.lists(st.sampled_from(["Ann", "Bob", "Cleo"]))

BUGS = [
    Bug.of(happy_hour, Replays("the clock"), Lints("clock"), Watches("clock")),
    Bug.of(slow_partner, Replays("the clock"), Lints("clock")),
    Bug.of(payment_reminder, Replays("the clock"), Lints("clock")),
    Bug.of(spot_check, Replays("random numbers"), Lints("random")),
    Bug.of(pay_once, Replays("random numbers"), Lints("uuid"), Watches("uuid")),
    Bug.of(regional_tax, Replays("the environment variable HOME"), Lints("environment")),
    Bug.of(pay_day, Replays("the environment variable TZ")),
    Bug.of(tell_watchers, Replays("the order of a set", {"args": (WATCHERS,)}), Lints("set-order")),
    Bug.of(merged_basket, Replays("the order of a set")),
    Bug.of(chosen_shard, Replays("the order of a set"), Lints("identity")),
    Bug.of(audit_trail, Replays("identity of an object")),
    Bug.of(current_rates, Lints("io"), Watches("io")),
]
