"""Flight, hotel, car: all or nothing.

If one of them is sold out, or somebody cancels the run, what was booked is given back, the last first. Each step back
is a call with a record of its own: killed in the middle of them, the run goes on with the next, and never books again.
"""

from __future__ import annotations

from examples.scenarios import world
from interp import Retry, Saga, Workflow, activity, await_signal, call, workflow

__all__ = ["SoldOut", "book_trip"]


class SoldOut(Exception):
    """There is none left: an answer, not a fault, so that it is not tried again."""


@workflow
def book_trip(traveller: str) -> Workflow[list[str]]:
    """Book a trip and wait until it is paid."""
    return (yield from Saga.run(trip, traveller))


def trip(saga: Saga, traveller: str) -> Workflow[list[str]]:
    """Book one thing after the other, each with its way back."""
    references: list[str] = []
    for what in ("flight", "hotel", "car"):
        references.append((yield from call(book, what, traveller)))
        saga.undo(call(give_back, what, references[-1]))
    yield from await_signal("paid")
    return references


@activity(raises=SoldOut)
def book(what: str, traveller: str) -> str:
    """Book something and return its reference."""
    if world.happened(f"{what} sold out"):
        raise SoldOut(what)
    return world.do(f"book {what} for {traveller}")


@activity(retry=Retry(attempts=None))  # giving back must succeed in the end, however long the other side is down
def give_back(what: str, reference: str) -> None:
    """Undo a booking; the airline does not mind being told twice."""
    world.do(f"cancel {what}")
