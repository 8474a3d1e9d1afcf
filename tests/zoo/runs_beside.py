"""Bugs of workflows whose fibers share something: what one does is overwritten, skipped or cancelled by another."""

from __future__ import annotations

from datetime import timedelta

from interp import Workflow, await_signal, call, gather, join, sleep, spawn, workflow
from interp.testing import Execution, Moment, either
from tests.zoo.exhibits import Bug, Explores, Holds, Orders
from tests.zoo.world import book, charge, mail, price_of, read_stock, seats_left, ship

__all__ = ["BUGS"]


@workflow
def stock_taking(first: str, second: str) -> Workflow[int]:
    """Reads, waits and writes: a lost update between two fibers.

    Two deliveries come on the same morning, and one of them is missing in the books.
    """
    stock = {"count": 0}

    def arrives(delivery: str) -> Workflow[None]:
        before = stock["count"]
        delivered = yield from call(read_stock, delivery)
        stock["count"] = before + delivered

    yield from gather(arrives(first), arrives(second))
    return stock["count"]


def every_delivery_counts(life: Execution) -> None:
    if life.completed:
        assert life.result == sum(made.value for made in life.calls(read_stock))


def every_delivery_is_counted(moment: Moment) -> None:
    if moment.completed:
        assert moment.result == sum(made.value for made in moment.calls(read_stock))


@workflow
def last_seat(first: str, second: str) -> Workflow[None]:
    """Looks whether a seat is free, and books it later.

    Both have looked before either has booked: one seat is sold twice.
    """

    def buy(name: str) -> Workflow[None]:
        if (yield from call(seats_left)) > len(taken):
            yield from call(book, name)
            taken.append(name)

    taken: list[str] = []
    yield from gather(buy(first), buy(second))


def no_seat_is_sold_twice(moment: Moment) -> None:
    assert len(moment.calls(book)) <= 1


@workflow
def packing_station(orders: int) -> Workflow[None]:
    """Goes through a list from which another fiber takes.

    The loop counts positions; what moves up into a position that it has passed is never packed.
    """
    waiting = [f"order {number}" for number in range(orders)]

    def cancellations() -> Workflow[None]:
        gone = yield from await_signal("cancel_order", int)
        if 0 <= gone < len(waiting):
            del waiting[gone]

    task = yield from spawn(cancellations())
    for order in waiting:
        yield from call(ship, order)
    yield from join(task)


def what_is_not_cancelled_is_shipped(life: Execution) -> None:
    if life.completed:
        gone = {f"order {number}" for _, number in life.signals()}
        shipped = {made.args[0] for made in life.calls(ship)}
        assert {f"order {number}" for number in range(life.args[0])} - gone <= shipped


def what_is_kept_is_shipped(moment: Moment) -> None:
    if moment.completed:
        gone = {f"order {number}" for _, number in moment.signals()}
        shipped = {made.args[0] for made in moment.calls(ship)}
        assert {f"order {number}" for number in range(moment.args[0])} - gone <= shipped


@workflow
def first_offer(one: str, other: str) -> Workflow[int]:
    """Adds a fee for whoever comes second.

    The same two offers cost more or less, as it happens.
    """
    total = 0

    def ask(shop: str) -> Workflow[None]:
        nonlocal total
        price = yield from call(price_of, shop)
        total += price if total == 0 else price + 5

    yield from gather(ask(one), ask(other))
    return total


@workflow
def shared_box(first: str, second: str) -> Workflow[str]:
    """Hands the same list to two fibers, which both change it.

    The label of a parcel names what is in the other one, if that was faster.
    """
    box: list[str] = []

    def pack(item: str, box: list[str]) -> Workflow[str]:
        yield from call(reserve_for, item)
        box.append(item)
        return "+".join(box)

    labels = yield from gather(pack(first, box), pack(second, box))
    return "; ".join(labels)


def reserve_for(item: str) -> None:
    """Put aside."""
    raise NotImplementedError


@workflow
def order_with_newsletter(order: str) -> Workflow[str]:
    """Spawns something unimportant, and joins it nowhere.

    The newsletter fails, and with it the run: a paid order is not shipped.
    """
    _ = yield from spawn(call(mail, "newsletter"))
    receipt = yield from call(charge, order)
    yield sleep(timedelta(hours=1))
    yield from call(ship, order)
    return receipt


def what_is_paid_is_shipped(life: Execution) -> None:
    if any(made.status == "returned" for made in life.calls(charge)) and life.failed:
        assert life.calls(ship)


@workflow
def two_keys() -> Workflow[None]:
    """Has two fibers wait for each other's signal.

    The second key is only asked for when the first has come, by somebody who has been told to wait for the second.
    """
    handed: list[str] = []

    def holder(mine: str, other: str) -> Workflow[None]:
        while other not in handed:
            key = yield from await_signal(mine, str)
            if key != mine:
                continue
            handed.append(mine)
            if other not in handed:
                yield from await_signal(f"{other} is there")

    yield from gather(holder("red", "blue"), holder("blue", "red"))


def nobody_waits_for_ever(moment: Moment) -> None:
    assert not moment.is_stuck


BUGS = [
    Bug.of(
        stock_taking,
        Holds(every_delivery_counts),
        Explores(every_delivery_is_counted, ("a", "b"), {"activities": {read_stock: 1}}),
    ),
    Bug.of(last_seat, Explores(no_seat_is_sold_twice, ("Ann", "Bob"), {"activities": {seats_left: 1}})),
    Bug.of(
        packing_station,
        Holds(what_is_not_cancelled_is_shipped, {"args": (3,)}),
        Explores(what_is_kept_is_shipped, (2,), {"signals": {"cancel_order": either(0, 1)}}),
    ),
    Bug.of(first_offer, Orders(("a", "b"), {"activities": {price_of: either(0, 1)}})),
    Bug.of(shared_box, Orders(("tea", "cup"))),
    Bug.of(order_with_newsletter, Holds(what_is_paid_is_shipped, {"faults": True})),
    Bug.of(
        two_keys,
        Explores(nobody_waits_for_ever, (), {"signals": {"red": "red", "blue": "blue"}}),
    ),
]
