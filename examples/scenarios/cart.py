"""A shopping cart that lives for as long as it is needed, takes messages in order, and shows what it holds.

What it holds is read from outside without waking it (`run.state`). Its history is bounded: after a hundred messages it
starts over with what it holds, and messages that it has not taken yet are kept. Killed anywhere, it loses no message
that was acknowledged, and takes none twice.
"""

from __future__ import annotations

from typing import TypeAlias

import attrs

from interp import Run, SignalPayloadError, Workflow, annotate, await_signal, continue_as, get_logger, workflow

__all__ = ["Add", "CheckOut", "Message", "Remove", "cart", "tell"]

MESSAGES_PER_ROUND = 100

log = get_logger("cart")


@attrs.frozen
class Add:
    """Put something in."""

    item: str
    count: int


@attrs.frozen
class Remove:
    """Take all of something out."""

    item: str


@attrs.frozen
class CheckOut:
    """That is all."""


Message: TypeAlias = Add | Remove | CheckOut


@workflow
def cart(items: dict[str, int]) -> Workflow[dict[str, int]]:
    """Take messages until the customer checks out."""
    for _ in range(MESSAGES_PER_ROUND):
        try:
            message: Message = yield from await_signal("message", Message)
        except SignalPayloadError as error:  # somebody has sent something else: no reason to lose the cart
            log.warning("%s", error)
            continue
        match message:
            case Add(item, count):
                items[item] = items.get(item, 0) + count
            case Remove(item):
                items.pop(item, None)
            case CheckOut():
                return items
        yield from annotate(items=items)
    return (yield from continue_as(items))


def tell(run: Run[dict[str, int]], message: Message) -> None:
    """Send a cart a message; it is durable on return."""
    run.signal("message", message, type=Message)
