"""The code changes while runs are open.

The first version was

    receipt = yield from call(charge_card, order)
    yield from await_signal("packed")
    yield from call(ship, order)
    yield from call(print_label, order)
    return receipt

Runs that began with it go on with this one, and both kinds end well. `interp check` tells before the deploy whether
they will; a run that meets code which does not fit is parked, untouched, until code comes that does.
"""

from __future__ import annotations

from examples.scenarios import world
from interp import Workflow, activity, await_signal, call, patched, workflow

__all__ = ["fulfil"]


@workflow
def fulfil(order: str) -> Workflow[str]:
    """Charge, wait for the parcel, ship it."""
    # A step was inserted before one that open runs have made: guarded, so that they pass without it.
    if (yield from patched("screening")):
        yield from call(screen, order)
    receipt = yield from call(charge, order)
    yield from await_signal("packed")
    # Steps after the point where all open runs wait change freely: two were reordered, one got an argument.
    yield from call(print_label, order)
    yield from call(ship, order, "express")
    return receipt


@activity
def screen(order: str) -> None:
    """Look whether the order is honest."""
    world.do(f"screen {order}")


# The function was renamed: its old name stays the one that the journal knows.
@activity(name="charge_card")
def charge(order: str) -> str:
    """Take the money."""
    return world.do(f"charge {order}")


@activity
def ship(order: str, how: str = "parcel") -> None:
    """Send it."""
    world.do(f"ship {order} by {how}")


@activity
def print_label(order: str) -> None:
    """Print what goes on the parcel."""
    world.do(f"label {order}")
