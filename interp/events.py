"""What can happen to a run, and `Transition`: one record of the journal.

An **event** is a recorded fact. Some move the workflow (a result, a timer, a signal); some only tell what happened
around it (an attempt failed, a worker was lost). A **transition** is one journal record: its cause, the commands that
the workflow answered with, and the outcome if that ended the run. It is atomic: there is no state between a result and
the commands that it led to.

These are the recorded forms: a change here is a change of the journal format (docs/reference/journal-format.md).
Fields are only ever added, at the end and with a default. They are `msgspec.Struct`s and not attrs classes because
tagged unions in array form decode in one pass (docs/decisions/0003-records-are-structs.md). Values of users travel
inside as JSON bytes, opaque here.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeAlias

import msgspec

__all__ = [
    "Asked",
    "AttemptFailed",
    "CancelRequested",
    "ChildEnded",
    "Completed",
    "ContinuedAs",
    "Delivered",
    "Event",
    "Failed",
    "Failure",
    "Fired",
    "Heartbeat",
    "Origin",
    "Outcome",
    "Outgrown",
    "Reconciled",
    "Record",
    "Refused",
    "Rejected",
    "Resolved",
    "Retried",
    "Signalled",
    "Started",
    "Transition",
    "WasCancelled",
    "WorkerLost",
    "decode_event",
    "decode_transition",
    "encode_event",
    "encode_transition",
]


class _Shape(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Array form without field names: a third of the bytes of a map."""


class Failure(_Shape, frozen=True):
    """An exception, as it is recorded.

    Attributes:
        type_name: `module.qualname` of the exception's class.
        message: `str` of it.
        traceback: As text; empty for a business outcome.
        payload: JSON from which a declared exception is rebuilt; empty otherwise.
        retryable: Whether another attempt could help.
    """

    type_name: str
    message: str
    traceback: str = ""
    payload: bytes = b""
    retryable: bool = True


class Record(_Shape, frozen=True):
    """One command as the journal holds it; where it stands in the source is information, not identity.

    Attributes:
        id: The command id: its coordinate in the tree of fibers.
        kind: `call`, `sleep`, `await_signal`, ...
        target: Name of the activity, the signal, the change; empty for kinds without one.
        payload: The arguments, as canonical JSON.
        where: `file:line` of the yield.
    """

    id: str
    kind: str
    target: str
    payload: bytes
    where: str


class Origin(_Shape, frozen=True):
    """A run whose history another one began with: it was forked.

    Attributes:
        run_id: The run.
        length: How many of the records are its own; 0 in a later round, whose records are all new.
        given: The calls whose results were given by hand.
    """

    run_id: str
    length: int
    given: tuple[str, ...] = ()


class Started(_Shape, frozen=True, tag="start"):
    """The run begins: always the cause of record 0.

    Attributes:
        workflow: Its name, with the version if that is not the first (`interp.versions`).
        args: The arguments, as canonical JSON.
        seed: From which `random()` and `uuid()` are derived, 16 bytes.
        code: Fingerprint of the workflow's source when it started; empty when unknown.
        worker: The worker that started it; empty when unknown.
        mailbox: Signals that came before a `continue_as` and were not taken: (name, payload) each.
        round: How many times the run has continued as new, from 0.
        first_at: When round 0 started; None in round 0.
        state: What earlier rounds annotated: a JSON object, or empty.
        parent: The run, its round and the command that wait for this run; None when nobody does.
        forked_from: The runs that its history began with, the oldest first; empty unless it was forked.
        failures: Why it failed at its very start, each time before somebody asked that it be tried again.
        start_at: When its workflow begins; None for at once.
        scheduled_at: The time for which a schedule started the run; None when none did.
        tells: The run, and the name of the signal, that are told how this run ended; None for nobody.
        asked: Requests that came before a `continue_as` and are not answered: (id, name, payload) each; the payload is
            None when the workflow has taken it.
    """

    workflow: str
    args: bytes
    seed: bytes
    code: str = ""
    worker: str = ""
    mailbox: tuple[tuple[str, bytes], ...] = ()
    round: int = 0
    first_at: datetime | None = None
    state: bytes = b""
    parent: tuple[str, int, str] | None = None
    forked_from: tuple[Origin, ...] = ()
    failures: tuple[Failure, ...] = ()
    start_at: datetime | None = None
    scheduled_at: datetime | None = None
    tells: tuple[str, str] | None = None
    asked: tuple[tuple[str, str, bytes | None], ...] = ()


class Resolved(_Shape, frozen=True, tag="ok"):
    """A call returned.

    Attributes:
        id: The command.
        payload: The result, as canonical JSON.
        attempt: Which attempt it was, from 1.
        begun: When the attempt began; None when unknown.
    """

    id: str
    payload: bytes
    attempt: int = 1
    begun: datetime | None = None


class Rejected(_Shape, frozen=True, tag="err"):
    """A call failed for good: by a declared exception, or its attempts are used up.

    Attributes:
        id: The command.
        failure: The exception.
        declared: Whether the activity declares it in `raises=`.
        attempt: Which attempt it was, from 1.
        begun: When the attempt began; None when unknown.
    """

    id: str
    failure: Failure
    declared: bool
    attempt: int = 1
    begun: datetime | None = None


class AttemptFailed(_Shape, frozen=True, tag="try"):
    """An attempt failed and another will follow. Does not move the workflow.

    Attributes:
        id: The command.
        attempt: Which attempt it was, from 1.
        failure: The exception.
        retry_at: When the next attempt may begin.
        begun: When the attempt began; None when unknown.
    """

    id: str
    attempt: int
    failure: Failure
    retry_at: datetime
    begun: datetime | None = None


class Heartbeat(_Shape, frozen=True, tag="beat"):
    """An attempt told how far it is, which the next one is given. Does not move the workflow.

    Attributes:
        id: The command.
        attempt: Which attempt it was, from 1.
        details: What it told, as JSON.
    """

    id: str
    attempt: int
    details: bytes


class Reconciled(_Shape, frozen=True, tag="know"):
    """A reconcile function told what came of the attempts whose outcome was unknown. Does not move the workflow.

    Attributes:
        id: The command.
        done: Whether the effect has happened: the answer to the call follows. If not, it is attempted again.
        begun: When the function was called; None when unknown.
    """

    id: str
    done: bool
    begun: datetime | None = None


class Fired(_Shape, frozen=True, tag="time"):
    """The time of a sleep, or the timeout of an await-signal, has come."""

    id: str


class Signalled(_Shape, frozen=True, tag="sig"):
    """A signal came in from outside."""

    name: str
    payload: bytes


class Asked(_Shape, frozen=True, tag="ask"):
    """A request came in from outside.

    Attributes:
        name: What it is asked under.
        payload: What is asked, as JSON.
        id: Tells it from all others of the run.
        again: Whether it is the cause of a record that a retry has taken back: it was accepted before.
    """

    name: str
    payload: bytes
    id: str
    again: bool = False


class CancelRequested(_Shape, frozen=True, tag="stop"):
    """Somebody asked that the run be cancelled."""

    reason: str = ""


class WorkerLost(_Shape, frozen=True, tag="lost"):
    """The worker died and another took over. Calls in flight are made again. Does not move the workflow.

    Attributes:
        worker: The one that was lost.
        successor: The one that took over.
        code: Fingerprint of the workflow's source there.
    """

    worker: str
    successor: str = ""
    code: str = ""


class Delivered(_Shape, frozen=True, tag="sent"):
    """What a command asked for is durable: the message of a `send`, the run of a detached `child`."""

    id: str


class Refused(_Shape, frozen=True, tag="no"):
    """What a command asked of the store cannot be.

    Attributes:
        id: The command.
        why: `differs` (the run id of a child is taken), `unknown` (no such run), `ended` (it takes no messages).
    """

    id: str
    why: str


class Retried(_Shape, frozen=True, tag="again"):
    """The run had failed, and somebody asked that it be tried again. Does not move the workflow.

    It stands in the place of the record that ended the run, which was taken back. If that held the failure of a call,
    the call is made anew; else what had happened then happens again.

    Attributes:
        failure: Why the run had failed.
        rejected: The failure of the call that is made anew; None for none.
        id: The command whose answer comes again; empty for none.
        failed_at: When it had failed: the time of the record that was taken back; None when unknown.
    """

    failure: Failure
    rejected: Rejected | None = None
    id: str = ""
    failed_at: datetime | None = None


class Outgrown(_Shape, frozen=True, tag="long"):
    """The history is longer than its budget allows. Does not move the workflow.

    Attributes:
        records: How many records there were before this one.
        replay_us: How long their replay took, in microseconds, if it was that; 0 if it was their number.
    """

    records: int
    replay_us: int = 0


class Completed(_Shape, frozen=True, tag="done"):
    """The workflow returned."""

    payload: bytes


class Failed(_Shape, frozen=True, tag="fail"):
    """The workflow raised."""

    failure: Failure


class WasCancelled(_Shape, frozen=True, tag="gone"):
    """The workflow let its cancellation pass."""

    reason: str


class ContinuedAs(_Shape, frozen=True, tag="next"):
    """The workflow starts over, with a fresh journal under the same run id."""

    started: Started


Outcome: TypeAlias = Completed | Failed | WasCancelled | ContinuedAs


class ChildEnded(_Shape, frozen=True, tag="child"):
    """A child has ended.

    Attributes:
        id: The command that started it.
        round: The parent's round in which that was.
        outcome: How it ended.
    """

    id: str
    round: int
    outcome: Completed | Failed | WasCancelled


Event: TypeAlias = (
    Started
    | Resolved
    | Rejected
    | AttemptFailed
    | Heartbeat
    | Reconciled
    | Fired
    | Signalled
    | Asked
    | CancelRequested
    | WorkerLost
    | Delivered
    | Refused
    | ChildEnded
    | Retried
    | Outgrown
)


class Transition(_Shape, frozen=True):
    """One journal record: what happened, and what the workflow answered.

    Attributes:
        index: Position in the history, from 0.
        at: When it happened; what `now()` answers within it.
        cause: What happened.
        commands: What the workflow yielded next, in order.
        outcome: How the run ended, if this ended it.
    """

    index: int
    at: datetime
    cause: Event
    commands: tuple[Record, ...] = ()
    outcome: Outcome | None = None


_encoder = msgspec.msgpack.Encoder()
_transition_decoder = msgspec.msgpack.Decoder(Transition)
_event_decoder: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


def encode_transition(transition: Transition) -> bytes:
    """Encode a record for the journal."""
    return _encoder.encode(transition)


def decode_transition(data: bytes) -> Transition:
    """Decode a record of the journal; raises `msgspec.MsgspecError` when it is none."""
    return _transition_decoder.decode(data)


def encode_event(event: Event) -> bytes:
    """Encode an event as a message for an inbox."""
    return _encoder.encode(event)


def decode_event(data: bytes) -> Event:
    """Decode a message of an inbox; raises `msgspec.MsgspecError` when it is none."""
    return _event_decoder.decode(data)
