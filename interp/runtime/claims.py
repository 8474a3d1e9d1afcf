"""What a claim holds, and what is written of a run that it could not bring to memory."""

from __future__ import annotations

from datetime import datetime

import msgspec

from interp.errors import JournalCorrupt
from interp.events import Event, Started, decode_event
from interp.runtime.live import microseconds
from interp.runtime.sealed import unreadable
from interp.store import Append, Claim, Message, RunRow, Status

__all__ = ["left_append", "message_event", "parked_append", "start_among"]


def message_event(run_id: str, message: Message) -> Event:
    """Return the event that a message is.

    Raises:
        JournalCorrupt: It is none.
        PayloadLocked: It went through a codec that was not given.
    """
    try:
        return decode_event(message.body)
    except msgspec.MsgspecError as error:
        raise unreadable(f"message {message.number} of run {run_id!r}", message.body, error) from None


def start_among(claim: Claim) -> tuple[int, Started]:
    """Return how a run without records is to start, and the number of the message that says so.

    Other messages may have come before it, in earlier rounds of the run.

    Raises:
        JournalCorrupt: There is none, or one before it is no event.
        PayloadLocked: As for `message_event`.
    """
    for message in claim.messages:
        event = message_event(claim.run.id, message)
        if isinstance(event, Started):
            return message.number, event
    raise JournalCorrupt("the inbox of a new run", "it holds no start")


def parked_append(row: RunRow, reason: str, now: datetime, *, misfit: bool) -> Append:
    """Return what sets a run aside that could not be loaded."""
    at_us = microseconds(now)
    return Append(row.id, row.token, row.length, (), Status.PARKED, None, at_us, reason=reason, misfit=misfit)


def left_append(row: RunRow, again: datetime) -> Append:
    """Return what gives a run up as it is, to be looked at again.

    The change is dated then, since messages that wait make a run due at the time of the change.
    """
    at_us = microseconds(again)
    return Append(row.id, row.token, row.length, (), row.status, at_us, at_us, release=True)
