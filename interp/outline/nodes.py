"""What a tree is made of: commands and what became of them, and what happened around them."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

import attrs
import msgspec

from interp.events import CancelRequested, Failure, Outgrown, Record, Retried, WorkerLost

__all__ = ["Happening", "Letter", "Node", "State", "Try"]


class State(Enum):
    """What became of a command."""

    WAITS = "waits"
    DONE = "done"
    FAILED = "failed"
    TIMED_OUT = "timed out"  # an await-signal
    WITHDRAWN = "withdrawn"  # nobody waits for it any more


@attrs.frozen
class Try:
    """An attempt of a call that did not give its answer.

    Attributes:
        number: Which attempt it was, from 1.
        begun: When it began; None when unknown.
        ended: When it failed, or its worker was found lost.
        failure: Why it failed; None when its worker was lost: its outcome is unknown.
        retry_at: When the next attempt might begin.
    """

    number: int
    begun: datetime | None
    ended: datetime
    failure: Failure | None = None
    retry_at: datetime | None = None


@attrs.define
class Node:
    """A recorded command and what became of it.

    Attributes:
        record: The command.
        at: When it was yielded.
        state: What became of it.
        ended: When it got its answer, or was withdrawn.
        payload: Its result, or the signal's payload, as JSON.
        failure: Why it failed.
        declared: Whether the activity declares that exception.
        attempt: Which attempt gave the answer, or is being made.
        begun: When the attempt that gave the answer began.
        tries: The attempts before.
        early: When the signal came that was waiting already.
    """

    record: Record
    at: datetime
    state: State = State.WAITS
    ended: datetime | None = None
    payload: bytes | None = None
    failure: Failure | None = None
    declared: bool = False
    attempt: int = 1
    begun: datetime | None = None
    tries: list[Try] = attrs.field(factory=list[Try])
    early: datetime | None = None

    @property
    def id(self) -> str:
        """The command id."""
        return self.record.id

    @property
    def fiber(self) -> str:
        """The fiber that yielded it; empty for the root, and for `patched`, whose record does not tell."""
        return "" if self.record.kind == "patched" else self.record.id.rpartition(".")[0]

    @property
    def due(self) -> datetime | None:
        """When its timer fires or it times out; for a call, when the next attempt may begin."""
        if self.record.kind in ("call", "transact"):
            return self.tries[-1].retry_at if self.tries else None
        try:
            (value,) = msgspec.json.decode(self.record.payload, type=tuple[float | datetime | None])
            return value if value is None or isinstance(value, datetime) else self.at + timedelta(seconds=value)
        except (msgspec.MsgspecError, OverflowError):
            return None


@attrs.frozen
class Happening:
    """What happened to the run as a whole.

    Attributes:
        event: A worker was lost, a cancellation asked for, the run retried after it had failed, or its history long.
        at: When.
    """

    event: WorkerLost | CancelRequested | Retried | Outgrown
    at: datetime


@attrs.frozen
class Letter:
    """A signal or request that came and was not taken yet.

    Attributes:
        name: Its name.
        payload: Its payload, as JSON.
        at: When it came; None for before a `continue_as`.
        request_id: The id of a request; empty for a signal.
    """

    name: str
    payload: bytes
    at: datetime | None
    request_id: str = ""

    def is_for(self, record: Record) -> bool:
        """Whether a command awaits it."""
        return record.kind == ("await_request" if self.request_id else "await_signal") and record.target == self.name
