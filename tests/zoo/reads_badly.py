"""Bugs that are seen by reading: what is written there never does what was meant."""

from __future__ import annotations

from datetime import timedelta

from interp import Workflow, await_signal, call, sleep, workflow
from tests.zoo.exhibits import Bug, Lints, Watches
from tests.zoo.world import charge, mail, price_of, ship

__all__ = ["BUGS"]


@workflow
def silent_partner(order: str) -> Workflow[str]:
    """Makes a command, and does not yield it.

    It describes a mail, and sends none. A worker would refuse to start such a run; here nobody has to wait for that.
    """
    receipt = yield from call(charge, order)
    call(mail, receipt)  # type: ignore[unused-awaitable]  # the planted bug
    return receipt


@workflow
def direct_sale(item: str) -> Workflow[int]:
    """Calls an activity as if it were a function.

    It works in the demonstration. After a restart it is called again, and answers otherwise.
    """
    price = price_of(item)
    yield from call(charge, f"{item} for {price}")
    return price


@workflow
def undying(order: str) -> Workflow[None]:
    """Catches everything, and so the cancellation, and GeneratorExit, by which a run is dropped from memory.

    Nobody can cancel it: it sleeps for a second, and waits on. While it is dropped, what it yields has to be ignored.
    """
    while True:
        try:
            yield from await_signal("next", str)
            yield from call(ship, order)
        except:  # noqa: E722  the planted bug
            yield sleep(timedelta(seconds=1))


BUGS = [
    Bug.of(silent_partner, Lints("forgotten-yield")),
    Bug.of(direct_sale, Lints("activity-call"), Watches("activity-call")),
    Bug.of(undying, Lints("swallowed")),
]
