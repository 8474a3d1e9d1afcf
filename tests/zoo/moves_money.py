"""Bugs of workflows that undo, retry and time out: money taken twice, goods put aside for ever."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from interp import (
    CallFailed,
    CallTimeout,
    Cancelled,
    PartTimeout,
    Workflow,
    await_signal,
    call,
    gather,
    race,
    sleep,
    timeout,
    uuid,
    workflow,
)
from interp.events import CancelRequested
from interp.testing import Execution
from tests.zoo.exhibits import Bug, Holds, Lints
from tests.zoo.world import (
    Declined,
    SoldOut,
    book,
    charge,
    charge_with_key,
    mail,
    quote,
    refund,
    release,
    reserve,
    ship,
)

__all__ = ["BUGS"]


@workflow
def order_by_mail(order: str) -> Workflow[str]:
    """Undoes nothing when it is cancelled.

    `except Exception` does not see `Cancelled`: the customer cancels, and is charged all the same.
    """
    receipt = yield from call(charge, order)
    try:
        yield from call(ship, order)
    except Exception:
        yield from call(refund, order)
        raise
    return receipt


def who_cancels_gets_the_money_back(life: Execution) -> None:
    if life.cancelled and any(made.status == "returned" for made in life.calls(charge)):
        assert life.calls(refund)


@workflow
def patient_payment(order: str) -> Workflow[str]:
    """Charges again after a timeout.

    A timeout does not say that nothing happened. The bank was slow, and has the money twice.
    """
    try:
        return (yield from call(charge, order))
    except CallTimeout:
        return (yield from call(charge, order))


def nobody_is_charged_twice(life: Execution) -> None:
    assert len(life.calls(charge)) <= 1


@workflow
def stubborn_payment(order: str) -> Workflow[str]:
    """Makes a new idempotency key for each attempt.

    The bank would recognise the same key; with a new one the second attempt is a second payment.
    """
    for _ in range(2):
        key = yield from uuid()
        try:
            return (yield from call(charge_with_key, order, str(key)))
        except CallFailed:
            yield sleep(timedelta(seconds=10))
    return "failed"


def one_order_has_one_key(life: Execution) -> None:
    assert len({made.args[1] for made in life.calls(charge_with_key)}) <= 1


@workflow
def impatient_reservation(item: str) -> Workflow[bool]:
    """Gives up a reservation that may have been made.

    The call answers a second after the timeout. The item stays put aside, for nobody.
    """
    try:
        yield from timeout(timedelta(seconds=5), call(reserve, item))
    except (PartTimeout, SoldOut):
        return False
    yield from call(ship, item)
    return True


def what_is_given_up_is_released(life: Execution) -> None:
    if life.completed and life.result is False and life.calls(reserve)[0].status == "open":
        assert life.calls(release)


@workflow
def fastest_hotel(one: str, other: str) -> Workflow[str]:
    """Lets two bookings race, and forgets that the loser may have been made.

    Cancelling a call does not take back what it did: some guests have two rooms.
    """
    which, _ = yield from race(call(book, one), call(book, other))
    return (one, other)[which]


def at_most_one_room_is_booked(life: Execution) -> None:
    asked = {made.args[0] for made in life.calls(book)}
    undone = {made.args[0] for made in life.calls("unbook")}
    assert not life.completed or len(asked - undone) <= 1


@workflow
def pay_and_reserve(order: str) -> Workflow[None]:
    """Pays and reserves at once, and undoes only what it knows to have ended.

    The reservation fails while the payment is under way; the payment goes through, and nobody gives it back.
    """
    try:
        yield from gather(call(charge, order), call(reserve, order))
    except (Declined, SoldOut):
        yield from call(mail, "sorry")


def who_gets_nothing_does_not_pay(life: Execution) -> None:
    if life.calls(mail) and life.calls(charge)[0].status != "raised":
        assert life.calls(refund)


@workflow
def keep_trying(order: str) -> Workflow[str]:
    """Catches BaseException, and with it the cancellation.

    The run cannot be cancelled any more; it charges the customer who has just cancelled.
    """
    try:
        yield from await_signal("confirm", timeout=timedelta(days=1))
    except BaseException:  # noqa: BLE001  the planted bug
        yield from call(mail, "we take that for a yes")
    return (yield from call(charge, order))


def who_has_cancelled_is_not_charged(life: Execution) -> None:
    cancelled = [each.index for each in life.history if isinstance(each.cause, CancelRequested)]
    assert not cancelled or all(made.index < cancelled[0] for made in life.calls(charge))


@workflow
def cautious_refund(order: str) -> Workflow[None]:
    """Refunds whenever something fails, whether there was a payment or not.

    A declined card gets money back that nobody has taken.
    """
    try:
        yield from call(charge, order)
        yield from call(ship, order)
    except (Exception, Cancelled):
        yield from call(refund, order)
        raise


def only_payments_are_refunded(life: Execution) -> None:
    if life.calls(refund):
        assert [made.status for made in life.calls(charge)] != ["raised"]


@workflow
def split_bill(cents: int, friends: int) -> Workflow[list[int]]:
    """Divides money with floats.

    Each share is rounded by itself; the shop is short of a cent, or has one too many.
    """
    shares = [round(cents / friends) for _ in range(friends)]
    for share in shares:
        yield from call(charge, f"{share} cents")
    return shares


def the_shares_add_up(life: Execution) -> None:
    if life.completed:
        assert life.args[0] == sum(life.result)


@workflow
def cheapest_carrier(carriers: list[str]) -> Workflow[str]:
    """Sorts the offers in place, and then takes them for parallel to the carriers.

    The lowest offer is found, and somebody else gets the parcel.
    """
    offers = list((yield from gather(*[call(quote, carrier) for carrier in carriers])))
    best = _lowest(offers)
    return carriers[offers.index(best)]


def _lowest(offers: list[int]) -> int:
    offers.sort()
    return offers[0]


def the_cheapest_gets_it(life: Execution) -> None:
    offers = {made.args[0]: made.value for made in life.calls(quote)}
    if life.completed:
        assert min(offers.values()) == offers[life.result]


BUGS = [
    Bug.of(order_by_mail, Holds(who_cancels_gets_the_money_back, {"cancellations": True})),
    Bug.of(patient_payment, Holds(nobody_is_charged_twice, {"faults": True})),
    Bug.of(stubborn_payment, Holds(one_order_has_one_key, {"faults": True})),
    Bug.of(impatient_reservation, Holds(what_is_given_up_is_released)),
    Bug.of(fastest_hotel, Holds(at_most_one_room_is_booked, {"args": ("Ritz", "Savoy")})),
    Bug.of(pay_and_reserve, Holds(who_gets_nothing_does_not_pay)),
    Bug.of(keep_trying, Holds(who_has_cancelled_is_not_charged, {"cancellations": True}), Lints("swallowed")),
    Bug.of(cautious_refund, Holds(only_payments_are_refunded)),
    Bug.of(split_bill, Holds(the_shares_add_up, {"args": (st.integers(0, 10_000), st.integers(1, 5))})),
    Bug.of(
        cheapest_carrier,
        Holds(the_cheapest_gets_it, {"args": (st.lists(st.text(min_size=1), min_size=1, unique=True),)}),
    ),
]
