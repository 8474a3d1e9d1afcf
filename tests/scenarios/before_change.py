"""The first version of examples/scenarios/code_change.py, imported only by processes that play the past."""

from examples.scenarios import world
from interp import Workflow, activity, await_signal, call, workflow


@workflow
def fulfil(order: str) -> Workflow[str]:
    receipt = yield from call(charge_card, order)
    yield from await_signal("packed")
    yield from call(ship, order)
    yield from call(print_label, order)
    return receipt


@activity
def charge_card(order: str) -> str:
    return world.do(f"charge {order}")


@activity
def ship(order: str) -> None:
    world.do(f"ship {order}")


@activity
def print_label(order: str) -> None:
    world.do(f"label {order}")
