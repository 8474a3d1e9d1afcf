"""Bugs of workflows that keep something from one run to the next, or from a run to its replay."""

from __future__ import annotations

import itertools
import random
from functools import lru_cache

from interp import Workflow, call, workflow
from tests.zoo.exhibits import Bug, Lints, Replays
from tests.zoo.world import mail, price_of, ship

__all__ = ["BUGS"]

_known_prices: dict[str, int] = {}


@workflow
def cached_price(item: str) -> Workflow[int]:
    """Keeps prices in a global dict.

    The second run of the same process skips a call that it makes everywhere else, also in its own replay.
    """
    if item not in _known_prices:
        _known_prices[item] = yield from call(price_of, item)
    return _known_prices[item]


@workflow
def collected(item: str, basket: list[str] = []) -> Workflow[int]:  # noqa: B006  the planted bug
    """Fills a default argument.

    There is one list for all runs: customers get what others have bought.
    """
    basket.append(item)
    for each in basket:
        yield from call(ship, each)
    return len(basket)


_dice = random.Random(7)


@workflow
def raffle(names: list[str]) -> Workflow[None]:
    """Shares a random number generator, seeded once, among all runs.

    The seed looks deterministic; but where the generator stands hangs on how many runs have drawn before.
    """
    if names:
        yield from call(mail, f"number {_dice.randrange(1_000_000)} wins")


_numbers = itertools.count(1)


@workflow
def numbered_invoice(order: str) -> Workflow[None]:
    """Numbers invoices by a counter of the module.

    A replay takes the next number, and so does the first run after a restart take the first.
    """
    yield from call(mail, f"invoice {next(_numbers)} for {order}")


class _Basket:
    items: list[str] = []  # noqa: RUF012  the planted bug

    def add(self, item: str) -> None:
        self.items.append(item)


@workflow
def shared_basket(item: str) -> Workflow[None]:
    """Fills an attribute of a class and takes it for one of the object.

    All baskets of the process are the same one.
    """
    basket = _Basket()
    basket.add(item)
    yield from call(ship, ", ".join(basket.items))


@lru_cache
def _route(depots: int) -> list[str]:
    return [f"depot {number}" for number in range(depots)]


@workflow
def delivery_tour(depots: int) -> Workflow[None]:
    """Empties a list that it got from a cache.

    The next one who asks the cache, be it a replay, gets the empty list.
    """
    route = _route(depots % 5)
    while route:
        yield from call(ship, route.pop())


BUGS = [
    Bug.of(cached_price, Replays("state outside: global '_known_prices'"), Lints("global-state")),
    Bug.of(collected, Replays("default argument 'basket'"), Lints("mutable-default")),
    Bug.of(raffle, Replays("global '_dice'"), Lints("random")),
    Bug.of(numbered_invoice, Replays("global '_numbers'")),
    Bug.of(shared_basket, Replays("class attribute _Basket.items")),
    Bug.of(delivery_tour, Replays("an earlier run has left behind")),
]
