"""Workflows for the tests of the command line; copied to where they run."""

import os
import socket
import time
from collections.abc import Generator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from interp import (
    Command,
    Retry,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    gather,
    race,
    sleep,
    spawn,
    workflow,
)


@attrs.frozen
class Order:
    id: str
    cents: int


class CardDeclined(Exception):
    pass


@activity(raises=CardDeclined)
def charge(order: Order) -> str:
    with Path("charges").open("a") as charges:
        charges.write(f"{order.id}\n")
    if order.cents > 5000:
        raise CardDeclined("limit")
    return f"receipt-{order.id}"


@activity(retry=Retry(attempts=2, initial=timedelta(milliseconds=10)))
def broken(number: int) -> int:
    raise ConnectionError(f"gateway {number} refused")


@activity
def echo(value: str) -> str:
    return value


@activity
def unrecordable() -> Any:
    return object()


@workflow
def checkout(order: Order) -> Workflow[str]:
    yield from annotate(stage="charging")
    try:
        receipt = yield from call(charge, order)
    except CardDeclined:
        return "declined"
    yield from await_signal("approve", bool, timeout=timedelta(days=3))
    return receipt


@workflow
def quick(name: str, times: int = 1) -> Workflow[list[str]]:
    return list((yield from gather(*[call(echo, f"{name}-{number}") for number in range(times)])))


@workflow
def typed(day: date, price: Decimal, flag: bool | None = None) -> Workflow[str]:
    yield from sleep(timedelta(0))
    return f"{day.year} {price} {flag}"


@workflow
def many(*names: str) -> Workflow[int]:
    yield from sleep(timedelta(0))
    return len(names)


def helper() -> Generator[Command[Any], Any, int]:
    return (yield from call(broken, 7))


@workflow
def failing() -> Workflow[int]:
    return (yield from helper())


@workflow
def wrong_argument() -> Workflow[str]:
    value: Any = object()
    return (yield from call(echo, value))


@workflow
def wrong_result() -> Workflow[Any]:
    return (yield from call(unrecordable))


@workflow
def wrong_yield() -> Workflow[None]:
    yield 3  # type: ignore[misc]


@workflow
def takes_socket(value: socket.socket) -> Workflow[None]:
    yield from sleep(timedelta(0))


@workflow
def cleaning() -> Workflow[None]:
    try:
        yield from gather(sleep(timedelta(hours=1)), await_signal("never"))
    finally:
        yield from call(echo, "tidied")


@workflow
def changing() -> Workflow[str]:
    """What it does first depends on the environment, as if its code had been changed."""
    yield from call(echo, os.environ.get("FLOW_VERSION", "old"))
    return str((yield from await_signal("go")))


@workflow
def busy() -> Workflow[str]:
    task = yield from spawn(call(echo, "beside"))
    yield from race(first=await_signal("never"), second=sleep(timedelta(milliseconds=10)))
    yield from await_signal("end")
    return task.id


@activity
def pay() -> None:
    before = Path("paid").exists()
    Path("paid").touch()
    if not before:
        time.sleep(3_600)  # until it is killed


@workflow
def paying() -> Workflow[None]:
    yield from call(pay)
