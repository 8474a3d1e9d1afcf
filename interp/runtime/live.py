"""A run that this worker owns and holds in memory: its interpreter, and what is to be written and done for it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import attrs
import msgspec

from interp.asking import Answer, answer_topic
from interp.codec import ANY, encode_payload
from interp.commands import Child, Reply, Send
from interp.definitions import WorkflowDefinition
from interp.errors import JournalCorrupt
from interp.events import (
    AttemptFailed,
    CancelRequested,
    ChildEnded,
    Completed,
    ContinuedAs,
    Delivered,
    Event,
    Failed,
    Outcome,
    Reconciled,
    Refused,
    Signalled,
    Started,
    Transition,
    WasCancelled,
    decode_transition,
    encode_event,
    encode_transition,
)
from interp.fibers import ChildRun, Issued
from interp.interpreter import Interpreter, Step
from interp.replay import replay
from interp.runtime.attempts import Attempt
from interp.store import Append, Create, Emit, Post, Status, Why
from interp.streams import Emitted, encode_emitted

__all__ = ["EPOCH", "LiveRun", "decoded", "microseconds", "moment"]

# A workflow that continues as new so often without waiting for anything never will.
_MOST_ROUNDS = 100

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Return a moment as the store keeps it: microseconds since the epoch."""
    return (moment - EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """Return microseconds since the epoch as a moment, UTC."""
    return EPOCH + timedelta(microseconds=us)


def decoded(run_id: str, records: Iterable[bytes]) -> Iterator[Transition]:
    """Decode the records of a run.

    Raises:
        JournalCorrupt: A record is none.
    """
    for index, record in enumerate(records):
        try:
            transition = decode_transition(record)
        except msgspec.MsgspecError as error:
            raise JournalCorrupt(f"record {index} of run {run_id!r}", str(error)) from None
        yield transition


@attrs.define(eq=False)
class LiveRun:
    """A run in memory.

    Between two commits it collects what happened: `records` to append, messages `consumed`, `calls` to dispatch once
    the records are durable.

    Attributes:
        run_id: The run.
        definition: Its workflow.
        interpreter: Where it stands.
        token: The token of this worker's ownership.
        written: How many records the store holds.
        records: Records to append.
        consumed: Numbers of messages that the records have taken in.
        seen: The highest number of a message that was taken in; -1 for none.
        calls: Calls to dispatch after the commit.
        backoff: Calls that wait for their next attempt.
        attempts: Calls in flight.
        restart: Whether the records begin a new round (`continue_as`).
        annotated: Whether the run's state changed.
        parked: Why the run is parked; empty otherwise.
        round: How many times it has continued as new.
        creates: Children to start with the records.
        posts: Messages to send with the records.
        emits: Items to add to streams with the records.
        told: Items of activities to add to streams.
        asked: Commands that wait to hear whether what they asked of the store is durable.
        open: Ids of the children and sends that are not answered; some may be answered already.
        parent: The run, its round and the command that wait for this run's end.
    """

    run_id: str
    definition: WorkflowDefinition
    interpreter: Interpreter
    token: int
    written: int = 0
    records: list[bytes] = attrs.field(factory=list[bytes])
    consumed: list[int] = attrs.field(factory=list[int])
    seen: int = -1
    calls: list[Issued] = attrs.field(factory=list[Issued])
    backoff: dict[str, datetime] = attrs.field(factory=dict[str, datetime])
    attempts: dict[str, Attempt] = attrs.field(factory=dict[str, Attempt])
    restart: bool = False
    annotated: bool = False
    parked: str = ""
    round: int = 0
    creates: list[Create] = attrs.field(factory=list[Create])
    posts: list[Post] = attrs.field(factory=list[Post])
    emits: list[Emit] = attrs.field(factory=list[Emit])
    told: list[Emit] = attrs.field(factory=list[Emit])
    asked: list[Issued] = attrs.field(factory=list[Issued])
    open: set[str] = attrs.field(factory=set[str])
    parent: tuple[str, int, str] | None = None

    @classmethod
    def begin(cls, run_id: str, definition: WorkflowDefinition, started: Started, token: int, at: datetime) -> LiveRun:
        """Start a run whose journal is empty.

        Raises:
            UndecodableHistory: Its arguments do not fit the workflow.
        """
        run = cls(run_id, definition, Interpreter(definition, started, run_id), token, parent=started.parent)
        try:
            run._write(started, at, run.interpreter.start(at))
        except BaseException:
            run.interpreter.close()
            raise
        return run

    @classmethod
    def load(
        cls, run_id: str, definition: WorkflowDefinition, records: Iterable[bytes], token: int, now: datetime
    ) -> LiveRun:
        """Bring a run back from its journal.

        Raises:
            ReplayError: History and code do not fit.
            JournalCorrupt: The history cannot be read.
        """
        history = decoded(run_id, records)
        first = next(history, None)
        interpreter = replay(definition, itertools.chain((first,) if first else (), history), run_id=run_id).interpreter
        run = cls(run_id, definition, interpreter, token, written=interpreter.length)
        if first is not None and isinstance(first.cause, Started):
            run.round, run.parent = first.cause.round, first.cause.parent
        for issued in interpreter.pending.values():
            if issued.child is not None or isinstance(issued.command, Send):
                run._ask_again(issued)
            elif issued.definition is not None:
                if issued.retry_at is not None and issued.retry_at > now:
                    run.backoff[issued.id] = issued.retry_at
                else:
                    run.calls.append(issued)
        return run

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended, if it did."""
        return self.interpreter.outcome

    @property
    def dirty(self) -> bool:
        """Whether there is something to write."""
        return bool(self.records or self.consumed or self.parked)

    def awaits(self, ended: ChildEnded) -> bool:
        """Whether a child's end is still waited for: its command may have been cancelled, or be of an earlier round."""
        return ended.round == self.round and self.interpreter.awaits(ended.id)

    def feed(self, event: Event, at: datetime) -> Step:
        """Take an event in: moves the workflow and collects the record."""
        step = self.interpreter.feed(event, at)
        self._write(event, at, step)
        if isinstance(event, AttemptFailed):
            self.backoff[event.id] = event.retry_at
        elif isinstance(event, Reconciled) and not event.done:
            self.calls.append(self.interpreter.pending[event.id])
        for issued in step.withdrawn:
            self.backoff.pop(issued.id, None)
        return step

    def answer(self, request_id: str, given: Answer, at: datetime) -> None:
        """Answer a request of which nothing is recorded, with the next commit."""
        self.emits.append(_answered(request_id, given, at, self.round))

    def has_answered(self, request_id: str) -> bool:
        """Whether an answer to the request is yet to be written."""
        topic = answer_topic(request_id)
        return any(emit.topic == topic for emit in self.emits)

    def ready_calls(self, now: datetime) -> None:
        """Move calls whose pause is over to those that are dispatched."""
        for command_id in [command_id for command_id, at in self.backoff.items() if at <= now]:
            del self.backoff[command_id]
            self.calls.append(self.interpreter.pending[command_id])

    def due(self) -> datetime | None:
        """When the run must be looked at though nobody tells: the next timer or the next attempt."""
        timer = self.interpreter.next_due
        if self.backoff:
            attempt = min(self.backoff.values())
            return attempt if timer is None else min(timer, attempt)
        return timer

    def append(self, at: datetime, *, draining: bool) -> Append:
        """Return what is to be committed.

        Args:
            at: The time.
            draining: Whether calls will not be dispatched any more: the run is then due at once, for the next worker.
        """
        due = self.due()
        if draining and self.calls:
            due = at
        return Append(
            run_id=self.run_id,
            token=self.token,
            index=self.written,
            records=self.records,
            status=self._status(draining=draining),
            due_us=None if due is None else max(0, microseconds(due)),
            at_us=microseconds(at),
            consumed=self.consumed,
            attributes=ANY.encode(self.interpreter.state) if self.annotated else None,
            reason=self.parked,
            restart=self.restart,
            creates=self.creates,
            posts=self.posts,
            emits=self.emits,
        )

    def committed(self) -> list[Issued]:
        """Forget what was written; returns the calls that may be dispatched now."""
        self.written += len(self.records)
        # A result may have come before its call was made: one that was given to a fork, or fed again by a retry.
        pending = self.interpreter.pending
        calls, self.calls = [issued for issued in self.calls if pending.get(issued.id) is issued], []
        self.records = []
        self.consumed = []
        self.restart = False
        self.annotated = False
        self.creates = []
        self.posts = []
        self.emits = []
        return calls

    def children(self) -> list[WorkflowDefinition]:
        """Return the workflows of the children that were just asked for: meant by their function, not by their name."""
        return [issued.child.definition for issued in self.asked if issued.child is not None]

    def answers(self, refused: Mapping[tuple[str, str], Why]) -> list[Event]:
        """Say what came of what was asked of the store, now that the records are durable.

        Args:
            refused: Why something was refused, by its kind (`child` or `send`) and run id.
        """
        asked, self.asked = self.asked, []
        events: list[Event] = []
        for issued in asked:
            if issued.id not in self.interpreter.pending:
                continue
            why = refused.get((issued.record.kind, _asked_of(issued)))
            if why is not None:
                events.append(Refused(issued.id, why))
            elif issued.child is None or _is_detached(issued):
                events.append(Delivered(issued.id))
        return events

    def _status(self, *, draining: bool) -> Status:
        if self.parked:
            return Status.PARKED
        match self.outcome:
            case Completed():
                return Status.COMPLETED
            case Failed():
                return Status.FAILED
            case WasCancelled():
                return Status.CANCELLED
            case _:
                in_flight = self.attempts or (self.calls and not draining) or self._asks()
                return Status.RUNNING if in_flight else Status.WAITING

    def _asks(self) -> bool:
        """Whether a child or a send is open.

        Such a run counts as running: when its worker dies before it has heard from the store, the next one must ask
        again at once, for nobody else would ever tell.
        """
        if self.open:
            self.open = {command_id for command_id in self.open if command_id in self.interpreter.pending}
        return bool(self.open)

    def _write(self, cause: Event, at: datetime, step: Step) -> None:
        """Collect what came of an event. A workflow that only ever continues as new leaves everything as it was."""
        annotated = self.annotated
        emits: list[Emit] = []
        for _ in range(_MOST_ROUNDS):
            annotated = annotated or step.annotated
            emits += self._emitted(step, at, cause)
            if not isinstance(step.outcome, ContinuedAs):
                if isinstance(cause, Started):
                    self._begin_round(cause)
                self._collect(cause, at, step)
                self.annotated = annotated
                self.emits += emits
                return
            cause = step.outcome.started
            self.interpreter = Interpreter(self.definition, cause, self.run_id)
            step = self.interpreter.start(at)
        self.interpreter.close()
        self.parked = (
            f"{self.definition.name} continued as new {_MOST_ROUNDS} times in a row without ever waiting\n"
            "  Between two rounds it must wait for something: a call, sleep(...) or await_signal(...)."
        )

    def _emitted(self, step: Step, at: datetime, cause: Event) -> Iterator[Emit]:
        """Give the items that a step adds to streams; they outlive the round."""
        number = cause.round if isinstance(cause, Started) else self.round
        for issued in step.commands:
            record = issued.record
            if record.kind == "emit":
                yield Emit(record.target, encode_emitted(Emitted(at, record.id, 0, record.payload, number)))
            elif isinstance(issued.command, Reply):
                topic = answer_topic(issued.command.request.id)
                yield Emit(topic, encode_emitted(Emitted(at, record.id, 0, record.payload, number)))
        for request_id, reason in step.refused:
            yield _answered(request_id, Answer.refusal(reason), at, number)

    def _collect(self, cause: Event, at: datetime, step: Step) -> None:
        """Note one transition: its record, and the calls that it makes or withdraws."""
        records = tuple([issued.record for issued in step.commands])
        transition = Transition(self.written + len(self.records), at, cause, records, step.outcome)
        self.records.append(encode_transition(transition))
        for issued in step.commands:
            if issued.id not in self.interpreter.pending:
                continue
            if issued.definition is not None:
                self.calls.append(issued)
            elif issued.child is not None or isinstance(issued.command, Send):
                self._ask(issued)
        if step.withdrawn:
            gone = {issued.id for issued in step.withdrawn}
            self.calls = [issued for issued in self.calls if issued.id not in gone]
            self._cancel_children(step.withdrawn)
        if self.parent is not None and isinstance(step.outcome, Completed | Failed | WasCancelled):
            run_id, parent_round, command_id = self.parent
            self.posts.append(Post(run_id, encode_event(ChildEnded(command_id, parent_round, step.outcome))))

    def _ask(self, issued: Issued) -> None:
        """Ask the store for what a command wants: written with the record, or not at all."""
        self.asked.append(issued)
        self.open.add(issued.id)
        if issued.child is not None:
            self.creates.append(self._child(issued, issued.child))
        elif isinstance(issued.command, Send):
            payload = encode_payload(issued.command.payload, issued.command.type)
            self.posts.append(Post(issued.command.run_id, encode_event(Signalled(issued.command.name, payload))))

    def _ask_again(self, issued: Issued) -> None:
        """Learn what became of a command whose record was durable when its worker died.

        A child is asked for again: the one that was made is the same. A message was sent with the record.
        """
        self.asked.append(issued)
        self.open.add(issued.id)
        if issued.child is not None:
            self.creates.append(self._child(issued, issued.child))

    def _child(self, issued: Issued, child: ChildRun) -> Create:
        """Return the creation of a child. Its digest holds who asked for it: no other run can be taken for it."""
        parent = None if _is_detached(issued) else (self.run_id, self.round, issued.id)
        seed = hashlib.blake2b(child.run_id.encode(), key=self.interpreter.seed, digest_size=16).digest()
        started = Started(child.definition.name, child.args, seed, parent=parent)
        asked_by = f"{self.run_id}/{self.round}:{issued.id}".encode()
        digest = hashlib.blake2b(child.args, key=hashlib.blake2b(asked_by).digest(), digest_size=16).digest()
        return Create(child.run_id, child.definition.name, digest, encode_event(started))

    def _cancel_children(self, withdrawn: Iterable[Issued]) -> None:
        """Pass a cancellation on to the children that nobody waits for any more."""
        for issued in withdrawn:
            command = issued.command
            if issued.child is not None and isinstance(command, Child) and not _is_detached(issued):
                made = [new for new in self.creates if new.run_id != issued.child.run_id]
                if len(made) < len(self.creates):  # withdrawn before it was written: it never is
                    self.creates = made
                elif command.on_parent_close == "cancel":
                    reason = f"its parent {self.run_id!r} does not wait for it any more"
                    self.posts.append(Post(issued.child.run_id, encode_event(CancelRequested(reason))))

    def _begin_round(self, started: Started) -> None:
        """Start over: what was collected for the old journal goes with it."""
        self.restart = self.restart or started.round > self.round
        self.round = started.round
        self.written = 0
        self.records = []
        self.calls = []
        self.backoff = {}


def _answered(request_id: str, given: Answer, at: datetime, round_no: int) -> Emit:
    return Emit(answer_topic(request_id), encode_emitted(Emitted(at, "", 0, given.encode(request_id), round_no)))


def _is_detached(issued: Issued) -> bool:
    return isinstance(issued.command, Child) and issued.command.detached


def _asked_of(issued: Issued) -> str:
    """Return the run that a child or send is about."""
    if issued.child is not None:
        return issued.child.run_id
    assert isinstance(issued.command, Send)
    return issued.command.run_id
