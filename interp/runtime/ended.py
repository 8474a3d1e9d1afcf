"""How a run ended, as those hear of it who wait for its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec

from interp.errors import JournalCorrupt, RunCancelled, RunFailed, RunParked
from interp.events import Completed, ContinuedAs, Failed, WasCancelled
from interp.runtime.live import LiveRun, decoded
from interp.store import Reader, RunRow, Status

__all__ = ["Ended", "Found", "ended_here", "ended_of", "value_of"]

T = TypeVar("T")


class Ended(msgspec.Struct, frozen=True, eq=False):
    """How a run ended, or why it is set aside.

    Attributes:
        workflow: What it was at its end, by name: it may have gone on in another version than it began with.
        outcome: How it ended; None when it is parked.
        reason: Why it is parked; empty otherwise.
    """

    workflow: str
    outcome: Completed | Failed | WasCancelled | None
    reason: str = ""


Found: TypeAlias = Ended | RunRow
"""How a run ended, or its row, by which that can be read; reading it takes time, and may fail."""


def ended_here(run: LiveRun) -> Ended:
    """Return how a run ended that is in memory, or why it is parked."""
    if run.parked:
        return Ended(run.definition.name, None, run.parked)
    outcome = run.outcome
    assert not isinstance(outcome, ContinuedAs), "it goes on"
    return Ended(run.definition.name, outcome)


def ended_of(row: RunRow, store: Reader) -> Ended | None:
    """Read how a run ended.

    Args:
        row: The run as the store lists it, ended or parked.
        store: The store.

    Returns:
        How it ended; None when it has gone on since its row was read, because somebody retried it.

    Raises:
        JournalCorrupt: Its last record cannot be read, or is not that of an end.
        PayloadLocked: It went through a codec that was not given.
    """
    if row.status is Status.PARKED:
        return Ended(row.workflow, None, row.reason)
    last = next(decoded(row.id, store.history(row.id, row.length - 1)), None)
    if last is not None and isinstance(last.outcome, Completed | Failed | WasCancelled):
        return Ended(row.workflow, last.outcome)
    if store.run(row.id) != row:
        return None
    raise JournalCorrupt(f"run {row.id!r}", f"it is {row.status}, but its last record has no outcome")


def value_of(run_id: str, ended: Ended, decode: Callable[[bytes], T]) -> T:
    """Return the result of a run, or raise why there is none.

    Args:
        run_id: The run.
        ended: How it ended.
        decode: Decodes the result.

    Raises:
        RunFailed: The workflow raised an exception.
        RunCancelled: The run was cancelled.
        RunParked: It is set aside.
        NotDecodable: By `decode`.
    """
    match ended.outcome:
        case Completed(payload=payload):
            return decode(payload)
        case Failed(failure=failure):
            raise RunFailed(run_id, failure.type_name, failure.message, failure.traceback)
        case WasCancelled(reason=reason):
            raise RunCancelled(run_id, reason)
        case None:
            raise RunParked(run_id, ended.reason)
