"""A run that this worker owns and holds in memory: its interpreter, and what is to be written and done for it."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from interp.asking import Answer, answer_topic
from interp.codec import ANY, encode_payload
from interp.commands import Child, FireRun, Reply, RequestCancel, Send, Transact
from interp.definitions import ByName, WorkflowDefinition, newest_tag, successor_of
from interp.errors import UndecodableHistory
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
    Resolved,
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
from interp.runtime.sealed import unreadable
from interp.schedules.book import Message
from interp.store import Append, Create, Emit, Post, Status, Why
from interp.streams import Emitted, encode_emitted

__all__ = ["EPOCH", "LiveRun", "decoded", "microseconds", "moment"]

# A workflow that continues as new so often without waiting for anything never will.
_MOST_ROUNDS = 100

_ENDED: dict[type, Status] = {
    Completed: Status.COMPLETED,
    Failed: Status.FAILED,
    WasCancelled: Status.CANCELLED,
}

_RUNNING, _WAITING = Status.RUNNING, Status.WAITING  # global names are read faster than an enum's members

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

# What is stored has 63 bits, of which dates need fewer. Some days are kept back for the zones.
_LAST_US = (datetime(9999, 12, 30, tzinfo=UTC) - EPOCH) // _MICROSECOND


def microseconds(moment: datetime) -> int:
    """Return a moment as the store keeps it: microseconds since the epoch."""
    return (moment - EPOCH) // _MICROSECOND


def moment(us: int) -> datetime:
    """Return microseconds since the epoch as a moment, UTC; what is later than any date as the last one."""
    return EPOCH + timedelta(microseconds=min(us, _LAST_US))


def decoded(run_id: str, records: Iterable[bytes]) -> Iterator[Transition]:
    """Decode the records of a run.

    Raises:
        JournalCorrupt: A record is none.
        PayloadLocked: It went through a codec that was not given.
    """
    for index, record in enumerate(records):
        try:
            transition = decode_transition(record)
        except msgspec.MsgspecError as error:
            raise unreadable(f"record {index} of run {run_id!r}", record, error) from None
        yield transition


class LiveRun(msgspec.Struct, eq=False):
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
        begun_by: Number of the message that was its start, if one was; others may have come before it.
        calls: Calls to dispatch, and transacts to perform, after the commit.
        transacts: Transacts whose records are durable: to be performed within the next commit.
        backoff: Calls that wait for their next attempt.
        attempts: Calls in flight.
        restart: Whether the records begin a new round (`continue_as`).
        annotated: Whether the run's state changed.
        left: Whether calls were recorded and are left to the next worker, as this one is about to stop.
        parked: Why the run is parked; empty otherwise.
        misfit: Whether that is because what it continues as does not fit the code.
        round: How many times it has continued as new.
        creates: Children to start with the records.
        posts: Messages to send with the records.
        emits: Items to add to streams with the records.
        told: Items of activities to add to streams.
        asked: Commands that wait to hear whether what they asked of the store is durable.
        open: Ids of the children and sends that are not answered; some may be answered already.
        parent: The run, its round and the command that wait for this run's end.
        tells: The run, and the name of the signal, that are told how this run ended.
    """

    run_id: str
    definition: WorkflowDefinition
    interpreter: Interpreter
    token: int
    written: int = 0
    records: list[bytes] = []
    consumed: list[int] = []
    seen: int = -1
    begun_by: int = -1
    calls: list[Issued] = []
    transacts: list[Issued] = []
    backoff: dict[str, datetime] = {}
    attempts: dict[str, Attempt] = {}
    restart: bool = False
    annotated: bool = False
    left: bool = False
    parked: str = ""
    misfit: bool = False
    round: int = 0
    creates: list[Create] = []
    posts: list[Post] = []
    emits: list[Emit] = []
    told: list[Emit] = []
    asked: list[Issued] = []
    open: set[str] = set()
    parent: tuple[str, int, str] | None = None
    tells: tuple[str, str] | None = None

    @classmethod
    def begin(cls, run_id: str, definition: WorkflowDefinition, started: Started, token: int, at: datetime) -> LiveRun:
        """Start a run whose journal is empty.

        Raises:
            UndecodableHistory: Its arguments do not fit the workflow.
        """
        interpreter = Interpreter(definition, started, run_id)
        run = cls(run_id, definition, interpreter, token, parent=started.parent, tells=started.tells)
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
            run.round, run.parent, run.tells = first.cause.round, first.cause.parent, first.cause.tells
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

    @property
    def took_in(self) -> bool:
        """Whether what was fed last is, or will be, behind the run: also when its next round is parked at its start."""
        return self.misfit or not self.parked

    def awaits(self, ended: ChildEnded) -> bool:
        """Whether a child's end is still waited for: its command may have been cancelled, or be of an earlier round."""
        return ended.round == self.round and self.interpreter.awaits(ended.id)

    def feed(self, event: Event, at: datetime) -> Step:
        """Take an event in: moves the workflow and collects the record."""
        step = self.interpreter.feed(event, at)
        self._write(event, at, step)
        if isinstance(event, Resolved):
            pass  # nearly always; and "is it another class?" is asked at length
        elif isinstance(event, AttemptFailed):
            self.backoff[event.id] = event.retry_at
        elif isinstance(event, Reconciled) and not event.done:
            self.calls.append(self.interpreter.pending[event.id])
        for issued in step.withdrawn:
            self.backoff.pop(issued.id, None)
        return step

    @property
    def can_perform(self) -> bool:
        """Whether there is a transact to perform, and somebody to hear of it."""
        return bool(self.transacts) and not self.parked and self.outcome is None

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
        if not (self.backoff or self.interpreter.timers):
            return None  # nearly always, and asked twice for each step
        timer = self.interpreter.next_due
        if self.backoff:
            attempt = min(self.backoff.values())
            return attempt if timer is None else min(timer, attempt)
        return timer

    def append(self, at_us: int, *, draining: bool) -> Append:
        """Return what is to be committed.

        Args:
            at_us: The time, as the store keeps it.
            draining: Whether calls will not be dispatched any more: the run is then due at once, for the next worker.
        """
        due = self.due()
        due_us = None if due is None else max(0, microseconds(due))
        if draining and (self.calls or self.transacts or self.left):
            due_us = at_us
        status = self._status(draining=draining)
        append = Append(self.run_id, self.token, self.written, self.records, status, due_us, at_us)
        is_more = self.consumed or self.creates or self.posts or self.emits
        if not (is_more or self.annotated or self.restart or self.parked):
            return append  # nearly always
        return msgspec.structs.replace(
            append,
            consumed=self.consumed or (),  # not the list itself, which stays when it is empty
            attributes=ANY.encode(self.interpreter.state) if self.annotated else None,
            reason=self.parked,
            restart=self.restart,
            creates=self.creates or (),
            posts=self.posts or (),
            workflow=self.definition.name if self.restart else None,
            misfit=self.misfit,
            emits=self.emits or (),
        )

    def committed(self) -> list[Issued]:
        """Forget what was written; returns the calls that may be dispatched now, transacts aside."""
        self.written += len(self.records)
        pending = self.interpreter.pending
        calls: list[Issued] = []
        for issued in self.calls:
            # A result may have come before its call was made: one that was given to a fork, or fed again by a retry.
            if pending.get(issued.id) is issued:
                (self.transacts if type(issued.command) is Transact else calls).append(issued)
        self.records = []
        # Most are empty as they are, and every new list is one more for the garbage collector to look at.
        if self.calls:
            self.calls = []
        if self.consumed:
            self.consumed = []
        if self.creates or self.posts:
            self.creates, self.posts = [], []
        if self.emits:
            self.emits = []
        self.restart = self.annotated = False
        return calls

    # Going ahead within a commit that may yet fail.

    def ahead(self) -> LiveRun:
        """Return the run as it goes on from here, collecting for itself; the two share the interpreter.

        Either `catch_up` with it follows, or `rewind`.
        """
        return msgspec.structs.replace(
            self,
            written=self.written + len(self.records),
            records=[],
            consumed=[],
            calls=[],
            transacts=[],
            backoff=dict(self.backoff),
            attempts=dict(self.attempts),
            restart=False,
            annotated=False,
            creates=[],
            posts=[],
            emits=[],
            asked=[],
            open=set(self.open),
        )

    def catch_up(self, ahead: LiveRun) -> None:
        """Go to where `ahead` has come, whose commit is durable; `committed` must follow."""
        if ahead.restart:
            self.written, self.records = 0, ahead.records
        else:
            self.records += ahead.records
        self.definition, self.interpreter = ahead.definition, ahead.interpreter
        self.calls += ahead.calls
        self.asked += ahead.asked
        self.transacts = []
        self.backoff = ahead.backoff
        self.open = ahead.open
        self.round = ahead.round
        self.parked, self.misfit = ahead.parked, ahead.misfit

    def rewind(self, history: Iterable[bytes]) -> None:
        """Go back to what was collected before `ahead`: its commit has failed, and the interpreter went with it.

        Args:
            history: The records that the store holds.
        """
        kept = () if self.restart else itertools.islice(history, self.written)
        records = decoded(self.run_id, itertools.chain(kept, self.records))
        self.interpreter = replay(self.definition, records, run_id=self.run_id).interpreter
        pending = self.interpreter.pending
        self.calls = [pending[issued.id] for issued in self.calls if issued.id in pending]
        self.transacts = [pending[issued.id] for issued in self.transacts if issued.id in pending]

    def children(self) -> list[WorkflowDefinition]:
        """Return the workflows of the children that were just asked for: meant by their function, not by their name."""
        made = [issued.child.definition for issued in self.asked if issued.child is not None]
        return [definition for definition in made if not isinstance(definition, ByName)]

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
        outcome = self.interpreter.outcome
        if outcome is not None:
            return _ENDED[type(outcome)]
        in_flight = self.attempts or ((self.calls or self.transacts) and not draining) or self._asks()
        return _RUNNING if in_flight else _WAITING

    def _asks(self) -> bool:
        """Whether a child or a send is open.

        Such a run counts as running: when its worker dies before it has heard from the store, the next one must ask
        again at once, for nobody else would ever tell.
        """
        if self.open:
            self.open = {command_id for command_id in self.open if command_id in self.interpreter.pending}
        return bool(self.open)

    def _write(self, cause: Event, at: datetime, step: Step) -> None:
        """Collect what came of an event."""
        if step.outcome is not None and isinstance(step.outcome, ContinuedAs):
            self._continue(cause, at, step)
            return
        if step.has_items:
            self.emits += self._emitted(step, at, cause)
        if step.annotated:
            self.annotated = True
        if type(cause) is Started:
            self._begin_round(cause)
        self._collect(cause, at, step)

    def _continue(self, cause: Event, at: datetime, step: Step) -> None:
        """Run as many rounds as end at once. A workflow that only ever continues as new leaves everything as it was."""
        annotated = self.annotated
        emits: list[Emit] = []
        for _ in range(_MOST_ROUNDS):
            if not isinstance(step.outcome, ContinuedAs):
                self.annotated = annotated
                self.emits += emits
                self._write(cause, at, step)
                return
            annotated = annotated or step.annotated
            emits += self._emitted(step, at, cause)
            # A fresh journal fits any code: this is where a run moves on to the newest version (decision 0023).
            self.definition = successor_of(self.definition)
            cause = msgspec.structs.replace(step.outcome.started, workflow=self.definition.name)
            self.interpreter = Interpreter(self.definition, cause, self.run_id)
            try:
                step = self.interpreter.start(at)
            except UndecodableHistory as misfit:
                self.annotated = annotated
                self._park_at_start(cause, misfit)
                return
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
        commands = step.commands
        # Most steps end in one command: a list comprehension is a call of its own on Python 3.11.
        records = (commands[0].record,) if len(commands) == 1 else tuple([issued.record for issued in commands])
        transition = Transition(self.written + len(self.records), at, cause, records, step.outcome)
        self.records.append(encode_transition(transition))
        pending = self.interpreter.pending
        for issued in commands:
            if issued.id not in pending:
                continue
            if issued.definition is not None:
                self.calls.append(issued)
            elif issued.child is not None or isinstance(issued.command, Send):
                self._ask(issued)
        if step.withdrawn:
            gone = {issued.id for issued in step.withdrawn}
            self.calls = [issued for issued in self.calls if issued.id not in gone]
            self.transacts = [issued for issued in self.transacts if issued.id not in gone]
            self._cancel_children(step.withdrawn)
        if step.outcome is not None:
            self._report(step.outcome, at)

    def _report(self, outcome: Outcome, at: datetime) -> None:
        """Tell those who want to know that the run has ended: written with its last record."""
        assert not isinstance(outcome, ContinuedAs), "it goes on"
        if self.parent is not None:
            run_id, parent_round, command_id = self.parent
            self.posts.append(Post(run_id, encode_event(ChildEnded(command_id, parent_round, outcome))))
        if self.tells is not None:
            run_id, name = self.tells
            ended = Message("ended", at, run=self.run_id, status=self._status(draining=False).value)
            self.posts.append(Post(run_id, encode_event(Signalled(name, encode_payload(ended)))))

    def _ask(self, issued: Issued) -> None:
        """Ask the store for what a command wants: written with the record, or not at all."""
        self.asked.append(issued)
        self.open.add(issued.id)
        if issued.child is not None:
            self.creates.append(self._child(issued, issued.child))
        elif isinstance(issued.command, Send):
            self.posts.append(Post(issued.command.run_id, encode_event(_message(issued.command))))

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
        name = child.definition.name
        if isinstance(issued.command, FireRun):
            name = newest_tag(name)  # the schedule may be older than the newest version, and the run is new
        started = Started(name, child.args, seed, parent=parent)
        if isinstance(issued.command, FireRun):
            tells = (self.run_id, issued.command.tells)
            started = msgspec.structs.replace(started, scheduled_at=issued.command.scheduled_at, tells=tells)
        asked_by = f"{self.run_id}/{self.round}:{issued.id}".encode()
        digest = hashlib.blake2b(child.args, key=hashlib.blake2b(asked_by).digest(), digest_size=16).digest()
        return Create(child.run_id, name, digest, encode_event(started))

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

    def _park_at_start(self, started: Started, misfit: UndecodableHistory) -> None:
        """Let the next round wait for code that takes its arguments; the round before is over, and nothing is lost."""
        self.interpreter.close()
        self._begin_round(started)
        self.posts.append(Post(self.run_id, encode_event(started)))
        self.misfit = True
        self.parked = (
            f"run {self.run_id!r} continues as {self.definition.name}, which does not take its arguments\n"
            f"  {misfit.reason}\n"
            "Make the newest version accept what the older one continues as (a default, a union); the run then starts "
            "its new round."
        )

    def _begin_round(self, started: Started) -> None:
        """Start over: what was collected for the old journal goes with it."""
        self.restart = self.restart or started.round > self.round
        self.round = started.round
        self.written = 0
        self.records = []
        self.calls = []
        self.transacts = []
        self.backoff = {}


def _message(command: Send) -> Signalled | CancelRequested:
    """Return what a send puts into the inbox of the other run."""
    if isinstance(command, RequestCancel):
        return CancelRequested(str(command.payload))
    return Signalled(command.name, encode_payload(command.payload, command.type))


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
