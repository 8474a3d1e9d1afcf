"""Retry a run that is set aside: a parked one is released, a failed one goes on from where it failed.

What is recorded and paid for is kept. Of a failed run only the record that ended it is taken back, and a `Retried` in
its place says what it was:

- it held the failure of a call: that call is made anew, with all of its attempts;
- anything else had happened (a result, a signal, a timer) and the workflow raised: the same happens again, to the code
  as it is then;
- the run failed at its very start: it starts over, and its start remembers the failure.

The code of the workflow is not needed here: whether it fits is found out by the worker that takes the run up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from interp.codec import ANY
from interp.errors import JournalCorrupt, UnknownRun, UsageError
from interp.events import Asked, Event, Failed, Rejected, Retried, Started, Transition, encode_event, encode_transition
from interp.runtime.live import decoded, microseconds
from interp.store import Reopen, Status, Store

__all__ = ["retry", "state_of"]


def retry(store: Store, run_id: str) -> Retried | None:
    """Make a parked or failed run go on; it is durable on return, and the next worker moves it.

    Args:
        store: Its store.
        run_id: The run.

    Returns:
        What was taken back of a run that had failed; None if it was parked.

    Raises:
        UnknownRun: There is no such run.
        UsageError: It is neither parked nor failed.
    """
    row = store.run(run_id)
    if row is None:
        raise UnknownRun(run_id, store.url)
    now = datetime.now(UTC)
    if row.status is Status.PARKED:
        store.unpark(run_id, microseconds(now))  # False: an engine has released it just now, which is what was wanted
        return None
    if row.status is not Status.FAILED:
        raise UsageError(f"run {run_id!r} is neither parked nor failed: it is {row.status}{_instead(row.status)}")
    history = tuple(decoded(run_id, store.history(run_id)))
    if not history or not isinstance(history[-1].outcome, Failed):
        raise JournalCorrupt(f"run {run_id!r}", "it has failed, but its last record does not say so")
    retried, reopen = _reopened(run_id, history, history[-1].outcome, now)
    if not store.reopen(reopen, microseconds(now)):
        raise UsageError(f"run {run_id!r} has been retried by somebody else just now")
    return retried


def _instead(status: Status) -> str:
    if status.ended:
        return "\n  `interp fork` starts a new run from any of its records."
    return ""


def _reopened(run_id: str, history: tuple[Transition, ...], failed: Failed, now: datetime) -> tuple[Retried, Reopen]:
    """Return what is taken back, and what is written instead."""
    last = history[-1]
    cause = last.cause
    retried = Retried(failed.failure, failed_at=last.at)
    record: Transition | None = None
    again: list[Event] = [cause]
    if isinstance(cause, Started):
        again = [msgspec.structs.replace(cause, failures=(*cause.failures, failed.failure))]
    else:
        if isinstance(cause, Rejected):
            retried = msgspec.structs.replace(retried, rejected=cause)
            again = []
        else:
            retried = msgspec.structs.replace(retried, id="" if isinstance(cause, Asked) else getattr(cause, "id", ""))
            again = [msgspec.structs.replace(cause, again=True)] if isinstance(cause, Asked) else again
        record = Transition(last.index, now, retried)
    return retried, Reopen(
        run_id,
        length=len(history),
        record=None if record is None else encode_transition(record),
        messages=[encode_event(event) for event in again],
        attributes=state_of(history[:-1]),
    )


def state_of(history: Iterable[Transition]) -> bytes:
    """Return what the workflow has annotated: a JSON object, or empty."""
    state: dict[str, Any] = {}
    for record in history:
        if isinstance(record.cause, Started) and record.cause.state:
            state.update(ANY.decode(record.cause.state))
        for command in record.commands:
            if command.kind == "annotate":
                state.update(ANY.decode(command.payload))
    return ANY.encode(state) if state else b""
