"""Correct workflows that look suspicious: no tool may raise an alarm."""

from __future__ import annotations

import itertools
import random as chance
import re
from collections import Counter, defaultdict, deque
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import attrs
from hypothesis import strategies as st

from interp import (
    Cancelled,
    PartTimeout,
    Saga,
    SignalTimeout,
    Workflow,
    await_signal,
    call,
    child,
    continue_as,
    gather,
    join,
    now,
    patched,
    race,
    random,
    run_info,
    shield,
    sleep,
    sleep_until,
    spawn,
    timeout,
    uuid,
    workflow,
)
from interp.testing import Execution, either
from tests.zoo.exhibits import Correct
from tests.zoo.moves_money import nobody_is_charged_twice, the_shares_add_up, who_cancels_gets_the_money_back
from tests.zoo.runs_beside import every_delivery_counts
from tests.zoo.world import (
    Declined,
    Parcel,
    SoldOut,
    book,
    charge,
    charge_with_key,
    escalate,
    mail,
    price_of,
    publish,
    quote,
    read_stock,
    refund,
    release,
    reserve,
    ship,
    unbook,
)

__all__ = ["CORRECT"]


@workflow
def sorted_watchers(watchers: list[str]) -> Workflow[None]:
    """Goes through a set, in order."""
    for watcher in sorted(set(watchers)):
        yield from call(mail, watcher)


@workflow
def counted_watchers(watchers: list[str]) -> Workflow[int]:
    """Asks sets only what has no order: length, membership, union, equality."""
    seen: set[str] = set()
    for watcher in watchers:
        if watcher not in seen:
            seen |= {watcher}
            yield from call(mail, watcher)
    return len(seen)


@workflow
def seeded_dice(order: str, seed: int) -> Workflow[None]:
    """Draws from a generator of its own, with a seed that is an argument."""
    dice = chance.Random(seed)
    yield from call(mail, f"{order}: number {dice.randrange(1_000)} wins")


@workflow
def drawn_dice(order: str) -> Workflow[None]:
    """Draws random numbers and ids from the run."""
    if (yield from random()) < 0.5:
        yield from call(mail, order)
    yield from call(charge_with_key, order, str((yield from uuid())))


@workflow
def own_clock(order: str) -> Workflow[str]:
    """Measures time and branches on the hour, by the clock of the run."""
    began = yield from now()
    yield sleep(timedelta(hours=5))
    later = yield from now()
    if later.hour >= 17 or later - began < timedelta(hours=5):
        yield from call(mail, order)
    return later.isoformat()


@workflow
def fixed_dates(order: str) -> Workflow[None]:
    """Makes datetimes from constants, and takes them apart in UTC."""
    christmas = datetime(2026, 12, 24, 18, tzinfo=UTC)
    yield sleep_until(christmas - timedelta(days=7))
    yield from call(mail, f"{order}: {datetime.fromtimestamp(0, tz=UTC):%d.%m.%Y} {christmas:%H:%M}")


@workflow
def basket_in_order(items: list[str]) -> Workflow[None]:
    """Relies on the order of dicts that were filled in order."""
    basket = Counter(items)
    by_letter: defaultdict[str, list[str]] = defaultdict(list)
    for item, count in basket.items():
        by_letter[item[:1]].append(f"{count} x {item}")
    for letter, told in by_letter.items():
        yield from call(mail, f"{letter}: {', '.join(told)}")


@workflow
def nested_gathers(shops: int) -> Workflow[int]:
    """Nests gathers in gathers, and adds up what comes in any order."""

    def ask(shop: str) -> Workflow[int]:
        prices = yield from gather(call(price_of, f"{shop} tea"), call(price_of, f"{shop} cup"))
        return sum(prices)

    sums = yield from gather(*[ask(f"shop {number}") for number in range(shops)])
    return sum(sums)


@workflow
def counted_stock(first: str, second: str) -> Workflow[int]:
    """Shares a number among fibers, and adds to it without waiting in between."""
    stock = 0

    def arrives(delivery: str) -> Workflow[None]:
        nonlocal stock
        delivered = yield from call(read_stock, delivery)
        stock += delivered

    yield from gather(arrives(first), arrives(second))
    return stock


@workflow
def packing_queue(orders: int) -> Workflow[int]:
    """Takes from a queue when the fiber that fills it has ended."""
    waiting: deque[str] = deque()
    packed = 0

    def arrivals() -> Workflow[None]:
        for number in range(orders):
            price = yield from call(price_of, f"order {number}")
            waiting.append(f"order {number} for {price}")

    task = yield from spawn(arrivals())
    yield from join(task)
    while waiting:
        yield from call(ship, waiting.popleft())
        packed += 1
    return packed


@workflow
def careful_order(order: str) -> Workflow[str]:
    """Catches Cancelled, cleans up under a shield, and raises it again."""
    receipt = yield from call(charge, order)
    try:
        yield from call(ship, order)
    except (Exception, Cancelled):
        yield from shield(call(refund, order))
        raise
    return receipt


@workflow
def thorough_order(order: str) -> Workflow[None]:
    """Catches BaseException, and lets it pass on."""
    try:
        yield from call(charge, order)
    except BaseException as error:
        if isinstance(error, Declined):
            yield from call(mail, "declined")
        raise


@workflow
def trip_as_saga(town: str) -> Workflow[str]:
    """Registers how to undo each step of a saga."""

    def body(saga: Saga, where: str) -> Workflow[str]:
        saga.undo(call(unbook, where))
        yield from call(book, where)
        receipt = yield from call(charge, where)
        saga.undo(call(refund, where))
        yield from call(ship, f"tickets to {where}")
        return receipt

    return (yield from Saga.run(body, town))


def who_is_not_going_has_no_room(life: Execution) -> None:
    if life.cancelled or life.failed:
        assert len(life.calls(book)) == len(life.calls(unbook))
        assert len(life.calls(refund)) == len([made for made in life.calls(charge) if made.status == "returned"])


@workflow
def patient_order(order: str) -> Workflow[str]:
    """Times out, and gives back what may have been taken."""
    try:
        yield from timeout(timedelta(seconds=5), call(reserve, order))
    except PartTimeout:
        yield from call(release, order)
        return "too slow"
    except SoldOut:
        return "sold out"
    return "reserved"


@workflow
def single_payment(order: str) -> Workflow[str]:
    """Charges once, and leaves trying again to the activity's policy and key."""
    try:
        return (yield from call(charge, order))
    except Declined as declined:
        return f"declined: {declined}"


@workflow
def fastest_answer(question: str) -> Workflow[int]:
    """Lets two questions race: whoever answers first, nothing is done."""
    _, price = yield from race(call(quote, f"{question} north"), call(quote, f"{question} south"))
    return price


@workflow
def best_answer(question: str) -> Workflow[int]:
    """Takes the lowest of all answers, which hangs on no order."""
    prices = yield from gather(call(quote, f"{question} north"), call(quote, f"{question} south"))
    return min(prices)


@workflow
def shopping_list() -> Workflow[list[str]]:
    """Takes one kind of signal, whose order is kept, so that the last one is the last."""
    items: list[str] = []
    while True:
        item = yield from await_signal("item", str)
        if item == "":
            return items
        items.append(item)


def what_came_before_the_end_is_on_the_list(life: Execution) -> None:
    if life.completed:
        came = [str(item) for _, item in life.signals("item")]
        assert life.result == came[: came.index("")]


@workflow
def two_approvals(what: str) -> Workflow[None]:
    """Awaits two signals at once, which may come in any order, and early."""
    yield from gather(await_signal("legal"), await_signal("finance"))
    yield from call(publish, what)


@workflow
def friendly_escalation(what: str) -> Workflow[str]:
    """Escalates after a deadline, and goes on listening."""
    for _ in range(2):
        try:
            answer = yield from await_signal("answer", bool, timeout=timedelta(days=1))
        except SignalTimeout:
            yield from call(escalate, what)
        else:
            return "yes" if answer else "no"
    return "nobody cares"


@workflow
def long_loop(rounds: int) -> Workflow[int]:
    """Loops often, and sleeps in between."""
    total = 0
    for number in range(rounds % 20):
        yield sleep(timedelta(minutes=number))
        total += yield from call(price_of, f"tea {number}")
    return total


@workflow
def rounds_with_state(left: int, letters: list[str], totals: dict[str, int]) -> Workflow[dict[str, int]]:
    """Hands everything that it has collected to its next round, with types."""
    letters = [*letters, (yield from await_signal("letter", str))]
    totals = {**totals, letters[-1]: totals.get(letters[-1], 0) + 1}
    if left > 0:
        return (yield from continue_as(left - 1, letters, totals))
    return totals


def every_letter_is_counted(life: Execution) -> None:
    if life.completed:
        assert sum(life.result.values()) <= len(life.signals("letter"))
        assert sum(life.result.values()) == life.args[0] + 1


@attrs.define
class _Basket:
    """State of one run, in an object that the run has made."""

    parcels: list[Parcel] = attrs.field(factory=list[Parcel])

    def add(self, parcel: Parcel) -> None:
        self.parcels.append(parcel)

    @property
    def grams(self) -> int:
        return sum(parcel.grams for parcel in self.parcels)


@workflow
def basket_object(parcels: list[Parcel]) -> Workflow[int]:
    """Keeps its state in an object that it has made, and changes it."""
    basket = _Basket()
    for parcel in parcels:
        basket.add(parcel)
        yield from call(ship, parcel.id)
    return basket.grams


@workflow
def counting_closure(orders: int) -> Workflow[int]:
    """Counts in a closure that is made anew for each run."""
    count = 0
    numbers = itertools.count(1)

    def numbered() -> str:
        nonlocal count
        count += 1
        return f"invoice {next(numbers)}"

    for _ in range(orders % 5):
        yield from call(mail, numbered())
    return count


@cache
def _cents_of(text: str) -> tuple[int, ...]:
    return tuple(ord(letter) for letter in text)


_AMOUNT = re.compile(r"\d+")
_RATES = {"tea": 3, "cup": 9}


@workflow
def cached_pure_function(item: str) -> Workflow[int]:
    """Caches a pure function, whose values nobody changes; reads constants of its module."""
    yield from call(mail, f"{_AMOUNT.findall(item)} {_RATES.get(item, 0)}")
    return sum(_cents_of(item))


@workflow
def changed_argument(items: list[str]) -> Workflow[int]:
    """Changes its own argument: every replay gets its own."""
    count = 0
    while items:
        yield from call(ship, items.pop())
        count += 1
    return count


@workflow
def exact_shares(cents: int, friends: int) -> Workflow[list[int]]:
    """Divides money in whole cents, and gives the rest to the first."""
    share, rest = divmod(cents, friends)
    shares = [share + (number < rest) for number in range(friends)]
    for each in shares:
        yield from call(mail, f"{each} cents")
    return shares


@contextmanager
def _labelled(labels: list[str], name: str) -> Any:
    labels.append(f"begin {name}")
    try:
        yield
    finally:
        labels.append(f"end {name}")


@workflow
def local_context(order: str) -> Workflow[list[str]]:
    """Has a `with` and a `finally` around its yields, which touch only what is its own."""
    labels: list[str] = []
    with _labelled(labels, order):
        try:
            yield from call(ship, order)
        finally:
            labels.append("shipped or not")
    return labels


@workflow
def guarded_edit(order: str) -> Workflow[None]:
    """Asks for the same patch in a loop, where the code before had nothing."""
    for number in range(2):
        if (yield from patched("gift wrap")):
            yield from call(mail, f"{order}: wrapping {number}")
        yield from call(ship, f"{order}/{number}")


@workflow
def careful_newsletter(order: str) -> Workflow[str]:
    """Spawns something unimportant that keeps its failures to itself."""

    def newsletter() -> Workflow[None]:
        try:
            yield from call(mail, "newsletter")
        except Exception:  # noqa: BLE001  whatever it is
            return

    _ = yield from spawn(newsletter())
    receipt = yield from call(charge, order)
    try:
        yield from call(ship, order)
    except Exception:
        yield from call(refund, order)
        raise
    return receipt


def what_is_paid_is_shipped_or_refunded(life: Execution) -> None:
    if life.failed and any(made.status == "returned" for made in life.calls(charge)):
        assert life.calls(refund)


@workflow
def family(order: str) -> Workflow[str]:
    """Has a child, knows its own id, and names things after it."""
    about = yield from run_info()
    receipt = yield from child(single_payment, f"{about.id}/{order}")
    yield from call(mail, f"{about.workflow} {about.started_at:%Y}: {receipt}")
    return receipt


CORRECT = [
    Correct(sorted_watchers, explored=(["b", "a"],)),
    Correct(counted_watchers, explored=(["b", "a", "b"],)),
    Correct(seeded_dice, explored=("7", 3)),
    Correct(drawn_dice, explored=("7",), stubs={charge_with_key: "r-1"}),
    Correct(own_clock, explored=("7",)),
    Correct(fixed_dates, explored=("7",)),
    Correct(basket_in_order, explored=(["tea", "cup", "tea"],)),
    Correct(nested_gathers, options={"args": (st.integers(0, 3),)}, explored=(2,), stubs={price_of: 3}),
    Correct(counted_stock, every_delivery_counts, explored=("a", "b"), stubs={read_stock: either(1, 2)}),
    Correct(packing_queue, options={"args": (st.integers(0, 3),)}, explored=(2,), stubs={price_of: 1}),
    Correct(careful_order, who_cancels_gets_the_money_back, explored=("7",), stubs={charge: "r-1"}),
    Correct(thorough_order, explored=("7",), stubs={charge: either("r-1", Declined())}),
    Correct(trip_as_saga, who_is_not_going_has_no_room, explored=("Rome",), stubs={charge: either("r-1", Declined())}),
    Correct(patient_order, explored=("tea",)),
    Correct(single_payment, nobody_is_charged_twice, explored=("7",), stubs={charge: either("r-1", Declined("no"))}),
    Correct(fastest_answer, explored=("tea",), stubs={quote: either(1, 2)}),
    Correct(best_answer, explored=("tea",), stubs={quote: either(1, 2)}),
    Correct(
        shopping_list,
        what_came_before_the_end_is_on_the_list,
        options={"signals": {"item": st.sampled_from(["", "tea", "cup"])}},
        explored=(),
        signals={"item": either("", "tea")},
    ),
    Correct(two_approvals, explored=("news",), signals={"legal": None, "finance": None}),
    Correct(friendly_escalation, explored=("news",), signals={"answer": either(True, False)}),
    Correct(long_loop, explored=(4,), stubs={price_of: 1}),
    Correct(
        rounds_with_state,
        every_letter_is_counted,
        options={"args": (st.integers(0, 2), st.just([]), st.just({}))},
        explored=(0, [], {}),
        signals={"letter": "a"},
    ),
    Correct(basket_object, explored=([Parcel("p", 3)],)),
    Correct(counting_closure, explored=(2,)),
    Correct(cached_pure_function, explored=("tea",)),
    Correct(changed_argument, explored=(["tea", "cup"],)),
    Correct(exact_shares, the_shares_add_up, options={"args": (st.integers(0, 10_000), st.integers(1, 5))}),
    Correct(local_context, explored=("7",)),
    Correct(guarded_edit, explored=("7",)),
    Correct(careful_newsletter, what_is_paid_is_shipped_or_refunded, explored=("7",), stubs={charge: "r-1"}),
    Correct(family, explored=("7",), stubs={single_payment: "r-1"}),
]
