"""examples/scenarios/code_change.py without its guard: what must be caught before the deploy."""

from examples.scenarios import world
from interp import Workflow, activity, await_signal, call, workflow


@workflow
def fulfil(order: str) -> Workflow[str]:
    yield from call(screen, order)
    receipt = yield from call(charge, order)
    yield from await_signal("packed")
    return receipt


@activity
def screen(order: str) -> None:
    world.do(f"screen {order}")


@activity(name="charge_card")
def charge(order: str) -> str:
    return world.do(f"charge {order}")
