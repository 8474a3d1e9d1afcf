"""Workflows and activities without annotations are accepted, and untyped. Never run: mypy and pyright read it."""

# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators
# pyright: reportUnnecessaryTypeIgnoreComment=true
# pyright: reportUnknownParameterType=false, reportMissingParameterType=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from datetime import timedelta

from interp import Engine, activity, call, gather, race, sleep, spawn, workflow


@activity
def charge(order, cents=0):
    return order


@workflow
def checkout(order):
    receipt = yield from call(charge, order)
    yield sleep(timedelta(hours=1))
    both = yield from gather(call(charge, order), call(charge, order, cents=5))
    yield from race(call(charge, order), sleep(timedelta(hours=1)))
    yield from spawn(part(order))
    return receipt, both


def part(order):
    yield call(charge, order)


def started(engine: Engine) -> None:
    engine.start(checkout, "42", id="order-42").signal("approve", True)
    checkout("42")
