"""Which calls of a run may have had their effect without anybody knowing it: read from the history alone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import attrs

from interp.events import AttemptFailed, Event, Reconciled, Record, Rejected, Resolved, Transition, WorkerLost

__all__ = ["RepeatedCall", "repeated_calls"]


@attrs.frozen
class RepeatedCall:
    """A call that has attempts of unknown outcome, because their worker was lost.

    Attributes:
        id: The command id; with the run id before it the idempotency key of all its attempts.
        activity: Name of the activity.
        where: `file:line` of the yield.
        attempts: The attempts whose outcome is unknown, from 1.
    """

    id: str
    activity: str
    where: str
    attempts: tuple[int, ...]


@attrs.define(eq=False)
class _Made:
    """A call, as far as it has been read."""

    record: Record
    attempt: int = 1
    retry_at: datetime | None = None
    unknown: list[int] = attrs.field(factory=list[int])


@attrs.define(eq=False)
class _Reading:
    """What has been read of a history so far: the calls, and where its fibers stand."""

    made: dict[str, _Made] = attrs.field(factory=dict[str, _Made])
    waiting: dict[str, _Made] = attrs.field(factory=dict[str, _Made])
    heads: dict[str, int] = attrs.field(factory=dict[str, int])
    slots: dict[str, set[str]] = attrs.field(factory=dict[str, "set[str]"])

    def happened(self, event: Event, at: datetime) -> None:
        match event:
            case Resolved() | Rejected():
                self.waiting.pop(event.id, None)
            case AttemptFailed():
                call = self.made[event.id]
                call.attempt, call.retry_at = event.attempt + 1, event.retry_at
            case Reconciled():
                self.made[event.id].unknown.clear()
            case WorkerLost():
                self.lost(at)
            case _:
                pass

    def lost(self, at: datetime) -> None:
        """Count the attempts that were in flight: neither in a pause nor withdrawn."""
        for call in self.waiting.values():
            if (call.retry_at is None or call.retry_at <= at) and not self.withdrawn(call.record.id):
                call.unknown.append(call.attempt)
                call.attempt += 1
                call.retry_at = None

    def issued(self, record: Record) -> None:
        if record.kind == "patched":  # takes no number
            return
        if record.kind == "call":
            self.made[record.id] = self.waiting[record.id] = _Made(record)
        parts = record.id.split(".")  # command, slot, command, slot ... command
        for end in range(0, len(parts), 2):
            fiber, group = ".".join(parts[:end]), ".".join(parts[: end + 1])
            self.heads[fiber] = max(self.heads.get(fiber, 0), int(parts[end]))
            self.slots.setdefault(group, set()).update(parts[end + 1 : end + 2])

    def withdrawn(self, call_id: str) -> bool:
        """Conclude that nobody waits for a call any more: its fiber, or the one whose branch it is, has gone on.

        A branch alone in its group may be a spawned one, beside which its parent goes on: it is taken to live.
        """
        parts = call_id.split(".")
        return any(
            self.heads[".".join(parts[:end])] > int(parts[end])
            and (end == len(parts) - 1 or len(self.slots[".".join(parts[: end + 1])]) > 1)
            for end in range(0, len(parts), 2)
        )


def repeated_calls(history: Iterable[Transition]) -> tuple[RepeatedCall, ...]:
    """List the calls with attempts of unknown outcome, in the order in which they were made; see `Run.repeated_calls`.

    Args:
        history: The records of a run, from the first on.
    """
    reading = _Reading()
    for transition in history:
        reading.happened(transition.cause, transition.at)
        for record in transition.commands:
            reading.issued(record)
    return tuple(
        RepeatedCall(call.record.id, call.record.target, call.record.where, tuple(call.unknown))
        for call in reading.made.values()
        if call.unknown
    )
