"""Some things may be used by one run at a time, or by three: a mutex and a semaphore, without a lock server.

The lock is a run. It hands its places out in the order in which they were asked for. Killed with all that holds or
waits for it, it goes on as it was: places are journaled. A holder that does not give its place back, because it hangs,
was parked or ended badly, loses it when the lease is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TypeVar

import attrs

from interp import (
    SignalTimeout,
    Workflow,
    await_signal,
    continue_as,
    gather,
    run_info,
    send,
    timeout,
    uuid,
    workflow,
)
from interp.errors import RunEnded, UnknownRun

__all__ = ["LEASE", "holding", "lock"]

T = TypeVar("T")

# A holder is stopped after a while; its place is free somewhat later, so that the two do not meet.
HOLD = timedelta(minutes=10)
LEASE = timedelta(minutes=11)

TURNS_PER_ROUND = 1_000


@attrs.frozen
class Ticket:
    """Who asks for a place, and the name under which it is granted and given back."""

    run_id: str
    number: str


@workflow
def lock(places: int) -> Workflow[None]:
    """Hand out places, for ever: `engine.start(lock, 1, id="printer")` is a mutex."""
    turns = iter(range(TURNS_PER_ROUND))
    yield from gather(*[place(turns) for _ in range(places)])
    yield from continue_as(places)


def place(turns: Iterator[int]) -> Workflow[None]:
    """Serve one after the other."""
    for _ in turns:
        ticket = yield from await_signal("acquire", Ticket)
        try:
            yield from send(ticket.run_id, f"granted {ticket.number}")
            yield from await_signal(f"release {ticket.number}", timeout=LEASE)
        except (SignalTimeout, RunEnded, UnknownRun):  # the lease is over, or nobody waits for the place any more
            continue


def holding(lock_id: str, body: Workflow[T]) -> Workflow[T]:
    """Hold a place of a lock for as long as a part of the workflow runs.

    `yield from holding("printer", printing(page))`
    """
    ticket = Ticket((yield from run_info()).id, str((yield from uuid())))
    yield from send(lock_id, "acquire", ticket)
    try:
        yield from await_signal(f"granted {ticket.number}")
        return (yield from timeout(HOLD, body))
    finally:
        yield from send(lock_id, f"release {ticket.number}")
