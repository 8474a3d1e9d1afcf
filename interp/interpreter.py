"""The pure interpreter: one event in, commands out.

Theory of operation
===================

A workflow is a generator. It yields commands and is sent their results; between two yields it computes, and nothing it
computes may depend on anything but what it was sent. So whoever knows what it was sent knows where it stands. That is
all there is to durable execution: write down what is sent, and after a crash send it again.

This module is the fold over that list. `Interpreter.start` runs the workflow to its first wait; `feed` takes one event
and runs it to the next. Each returns a `Step`: the commands that were yielded on the way, and the outcome if there is
one. Whoever drives it (the worker, a replay, a test) writes one `Transition` per step to the journal.

Inputs, and nothing else: the definition (code), the run id, the `Started` event (arguments, seed), then events with
the time at which each happened. No clock, no chance, no I/O, no threads.

Three kinds of event:
- those that answer a command: `Resolved` and `Rejected` (calls), `Fired` (timers), `Signalled` and `Asked` (the oldest
  waiter for that name, or else the mailbox), `ChildEnded` (children), `Delivered` and `Refused` (what was asked of the
  store);
- `CancelRequested`, which cancels the root fiber;
- those that only inform: `AttemptFailed`, `WorkerLost` and `Retried` count attempts, `Heartbeat` keeps what the next
  one is told, `Reconciled` tells what came of them, `Outgrown` that the history is long; they move nothing.

Three kinds of command:
- recorded and awaited: call, transact, sleep, sleep_until, await_signal, child, send. They become `Issued`, stay in
  `pending`, and the fiber blocks;
- recorded and answered at once: patched, annotate, emit, reply, and await_signal when the mailbox has one;
- not recorded: gather, race, timeout, shield, spawn, join, cancel are visible by their leaves (the timer of a timeout
  is a leaf, the sleep in its slot 1); now, random, uuid, run_info are derived from the journal and the command id.

Every command but `patched` takes the next number of its fiber; number and fiber give its id (`3`, `2.0.1`). Ids say
where in the code's structure a command stands, not when it was reached, so that they do not depend on the order in
which results arrive. `patched` takes no number: code guarded by it may be absent from old histories, and what follows
must keep its ids.

Invariants:
- Fold: the same inputs give the same steps, byte for byte.
- Between two steps every fiber is blocked; the ready queue is empty.
- `pending` holds exactly the recorded commands whose fibers are blocked on them.
- After an outcome `pending` is empty and no generator is alive.
- User errors (a non-command, an argument that cannot be recorded) are thrown into the generator at the yield that made
  them. Errors of replay (a recorded value that no longer decodes) are raised out of `feed`, past the generator, so
  that no `except` of the workflow can swallow them.

One worked history
==================

    @workflow
    def checkout(order):
        receipt = yield from call(charge, order)
        yield from gather(call(mail, order), sleep(timedelta(hours=1)))
        return receipt

    0  start {"id":"42"}        -> 1 call charge([{"id":"42"}])
    1  ok 1 "r-9"               -> 2.0.1 call mail(...), 2.1.1 sleep [3600.0]
    2  ok 2.0.1 null            ->
    3  time 2.1.1               -> done "r-9"

Record 2 has no commands: slot 0 of the gather has ended, slot 1 has not. The gather itself took id 2 of the root fiber.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from types import GeneratorType
from typing import Any, ClassVar, cast
from uuid import UUID

import msgspec

from interp.asking import Answer, Request, asked_type
from interp.codec import ANY, codec_for, encode_payload, render_value
from interp.commands import (
    Annotate,
    AwaitSignal,
    Call,
    Cancel,
    Child,
    Command,
    ContinueAs,
    Emit,
    FireRun,
    Gather,
    GetRunInfo,
    Join,
    Now,
    Part,
    Patched,
    Race,
    Random,
    Reply,
    RequestCancel,
    RunInfo,
    Send,
    Shield,
    Sleep,
    SleepUntil,
    Spawn,
    Task,
    Timeout,
    Transact,
    Uuid,
)
from interp.definitions import ActivityDefinition, WorkflowDefinition, activity_of, transaction_of, workflow_of
from interp.errors import (
    ChildCancelled,
    ChildFailed,
    CodecError,
    NotACommand,
    PartTimeout,
    RunEnded,
    RunExists,
    SignalPayloadError,
    SignalTimeout,
    Stalled,
    UndecodableHistory,
    UnknownRun,
    UsageError,
)
from interp.events import (
    Asked,
    AttemptFailed,
    CancelRequested,
    ChildEnded,
    Completed,
    ContinuedAs,
    Delivered,
    Event,
    Failed,
    Failure,
    Fired,
    Heartbeat,
    Origin,
    Outcome,
    Outgrown,
    Reconciled,
    Record,
    Refused,
    Rejected,
    Resolved,
    Retried,
    Signalled,
    Started,
    WasCancelled,
    WorkerLost,
)
from interp.failures import fault, raised
from interp.fibers import ChildRun, Code, Fiber, Group, Issued, State
from interp.frames import StackFrame, brief, label, note, stack, trace, where
from interp.rules import CANCELLED, All, Ended, First, Shielded, Timed
from interp.scheduler import BLOCKED, Scheduler

__all__ = ["BEFORE_THE_FIRST", "Interpreter", "Step", "UnexpectedEvent", "at_work"]


BEFORE_THE_FIRST = "0"
"""The id of the timer that holds a workflow back until its `start_at`: the first command of its own is 1."""

_ENDED = State.ENDED  # a global name is read faster than an enum's member (see `scheduler`)

# These come from outside.
_NO_PROGRESS = frozenset({WorkerLost, Signalled, Asked, CancelRequested, Outgrown})

# What a store takes as a run id at most, in bytes.
_LONGEST_RUN_ID = 400

# The time before the first event; nothing reads it.
_NEVER = datetime.min.replace(tzinfo=UTC)


class UnexpectedEvent(LookupError):
    """An event answers a command that nobody waits for. In a replay this means that the code changed."""

    def __init__(self, command_id: str) -> None:
        """Remember the command."""
        super().__init__(f"no fiber waits for command {command_id}")
        self.command_id = command_id


class Step(msgspec.Struct, eq=False, gc=False):
    """What the workflow answered to one event.

    Attributes:
        commands: What it yielded and the journal records, in order.
        withdrawn: Calls, timers and waits of before that are cancelled; nobody waits for them any more.
        outcome: How the run ended, if it did.
        annotated: Whether the run's state changed.
        has_items: Whether it adds something to streams: items, or replies.
        refused: Requests whose payload does not fit what the workflow awaits: id and reason of each.
    """

    commands: tuple[Issued, ...]
    withdrawn: tuple[Issued, ...]
    outcome: Outcome | None
    annotated: bool
    has_items: bool
    refused: tuple[tuple[str, str], ...] = ()


class Interpreter:
    """One run of a workflow, held at the point up to which it was fed."""

    # More attributes than 30, and Python 3.11 gives each instance a dict of its own.
    __slots__ = (
        "_allowed",
        "_annotated",
        "_at",
        "_continued",
        "_dropped",
        "_has_items",
        "_issued",
        "_patches",
        "_refusals",
        "_requests",
        "_root",
        "_scheduler",
        "_started",
        "_started_at",
        "_timer_count",
        "_unanswered",
        "_waiters",
        "_withdrawn",
        "asked",
        "definition",
        "has_told_time",
        "length",
        "losses",
        "mailbox",
        "outcome",
        "pending",
        "run_id",
        "state",
        "timers",
        "told_records",
        "told_replay",
    )

    def __init__(self, definition: WorkflowDefinition, started: Started, run_id: str) -> None:
        """Prepare a run; nothing of the workflow is executed.

        Args:
            definition: The workflow.
            started: Its arguments and seed.
            run_id: The id of the run.
        """
        self.definition = definition
        self.run_id = run_id
        self.length = 0
        self.losses = 0  # how many workers were lost in a row without progress; releasing a parked run starts afresh
        self.told_records = 0  # how many records there were when their number was last told
        self.told_replay = timedelta(0)  # how long a replay had taken when that was last told
        self.pending: dict[str, Issued] = {}
        self.state: dict[str, Any] = ANY.decode(started.state) if started.state else {}
        self.outcome: Outcome | None = None
        self.has_told_time = False  # whether the workflow has asked what time it is
        self.mailbox: dict[str, deque[bytes]] = {}
        for name, payload in started.mailbox:
            self.mailbox.setdefault(name, deque()).append(payload)
        self.asked: set[str] = (
            set()
        )  # ids of the requests that came in this round, or are carried over from earlier ones
        self._requests: dict[str, deque[Asked]] = {}
        self._unanswered: dict[str, str] = {}
        for request_id, name, question in started.asked:
            self._note_asked(request_id, name)
            if question is not None:
                self._requests.setdefault(name, deque()).append(Asked(name, question, request_id))
        self._started = started
        self._started_at: datetime | None = None
        self._at = _NEVER
        self._root: Fiber | None = None
        self._scheduler = Scheduler(self._perform, self._withdraw)
        self.timers: list[tuple[datetime, int, str]] = []  # a heap; some may be of commands that wait no more
        self._timer_count = 0
        self._waiters: dict[tuple[str, str], deque[str]] = {}  # by kind and name
        self._patches: set[str] = set()
        self._allowed: Collection[str] | None = None
        self._continued: Started | None = None
        self._issued: list[Issued] = []
        self._withdrawn: list[Issued] = []
        self._annotated = False
        self._has_items = False
        self._refusals: list[tuple[str, str]] = []
        self._dropped = False

    # The fold.

    def start(self, at: datetime, patches: Collection[str] | None = None) -> Step:
        """Run the workflow to its first wait: transition 0. One that has a `start_at` waits for that first.

        Args:
            at: When it starts.
            patches: As for `feed`.

        Raises:
            UndecodableHistory: The arguments do not fit the workflow's annotations.
        """
        assert self._root is None, "an interpreter starts once"
        self._begin(at, patches)
        self._started_at = at
        try:
            args, kwargs = self.definition.arguments.decode(self._started.args)
        except (CodecError, TypeError) as error:
            raise UndecodableHistory(self.run_id, 0, f"argument of {self.definition.name}", str(error)) from None
        self._root = Fiber("", cast("Code", self.definition.fn(*args, **kwargs)))
        start_at = self._started.start_at
        if start_at is not None and start_at > at:
            self._hold(self._root, start_at)
        else:
            self._scheduler.start(self._root)
        return self._run()

    def _hold(self, root: Fiber, until: datetime) -> None:
        """Hold the workflow back by a timer of its own: fired, it resumes a generator that has not begun."""
        record = Record(BEFORE_THE_FIRST, "sleep_until", "", f'["{until.isoformat()}"]'.encode(), "")
        command = SleepUntil(until)
        self._scheduler.hold(root)
        self._issue(Issued(record.id, command, record, self.definition.compare, root, due=until))

    def feed(self, event: Event, at: datetime, patches: Collection[str] | None = None) -> Step:
        """Take one event and run the workflow to its next wait.

        Args:
            event: What happened.
            at: When it happened; what `now()` answers until the next event.
            patches: In a replay, the change ids that the record of this transition holds: only those (and the ones
                seen before) answer `patched` with True. None when live: every `patched` is True and recorded.

        Raises:
            UnexpectedEvent: Nobody waits for the command that the event answers; nothing has changed.
            UndecodableHistory: The recorded result does not decode as the type declared now.
        """
        assert self._root is not None and self.outcome is None, "fed before the start or after the end"
        self._begin(at, patches)
        if type(event) not in _NO_PROGRESS:
            self.losses = 0
        match event:
            case Resolved():
                self._resolved(event)
            case Rejected():
                self._rejected(event)
            case Fired():
                self._fired(event)
            case Signalled():
                self._signalled(event)
            case Asked():
                self._ask(event)
            case AttemptFailed():
                self._attempt_failed(event)
            case Heartbeat():
                self._awaited_call(event.id)[0].heartbeat = event.details
            case Reconciled():
                self._awaited_call(event.id)[0].unknown = False
            case CancelRequested():
                self._scheduler.reason = self._scheduler.reason or event.reason
                self._scheduler.cancel(self._root)
            case WorkerLost():
                self._worker_lost()
                self.losses = self.losses + 1 if event.worker else 0
            case ChildEnded():
                self._child_ended(event)
            case Delivered():
                self._delivered(event)
            case Refused():
                self._refused(event)
            case Retried():
                self._retried(event)
            case Outgrown():
                self._outgrown(event)
            case Started():
                raise AssertionError("a run starts once")
        return self._run()

    def close(self) -> None:
        """Drop the run's generators, here and now. Journals nothing, dispatches nothing; closing twice is fine.

        Plain side effects in the workflow's `finally` blocks do run, which is why they belong in activities.
        """
        if self._dropped:
            return
        self._dropped = True
        token = _at_work.set(self)
        try:
            self._scheduler.close()
        finally:
            _at_work.reset(token)

    # What the driver asks.

    @property
    def seed(self) -> bytes:
        """From what the run's random values are derived."""
        return self._started.seed

    def awaits(self, command_id: str) -> bool:
        """Tell whether a command still waits for its answer."""
        return command_id in self.pending

    @property
    def next_due(self) -> datetime | None:
        """When the next timer fires; None when there is none."""
        timers = self.timers
        while timers:
            due, _, command_id = timers[0]
            if command_id in self.pending:
                return due
            heapq.heappop(timers)
        return None

    def due_timer(self, now: datetime) -> str | None:
        """Return the command of the earliest timer that has fired by now, or None."""
        due = self.next_due
        return self.timers[0][2] if due is not None and due <= now else None

    def owes(self, request_id: str) -> bool:
        """Tell whether a request has come in and is not answered."""
        return request_id in self._unanswered

    def misfit(self, asked: Asked) -> str:
        """Tell why a request does not fit what the workflow awaits just now; empty when it fits, or must wait."""
        issued = self._waiting("await_request", asked.name)
        if issued is not None:
            try:
                codec_for(asked_type(cast("Any", issued.command).type)).decode(asked.payload)
            except CodecError as error:
                return str(error)
        return ""

    @property
    def fibers(self) -> Mapping[str, Fiber]:
        """The fibers that have not ended, by id."""
        return self._scheduler.alive

    @property
    def is_first_time(self) -> bool:
        """Whether what the workflow does now it does for the first time: it is neither replayed nor dropped."""
        return self._allowed is None and not self._dropped

    @property
    def position(self) -> str:
        """The command that the fiber at work has passed last; empty before its first one."""
        fiber = next((fiber for fiber in self.fibers.values() if fiber.state is State.RUNNING), None)
        if fiber is None or not fiber.count:
            return ""
        return f"{fiber.id}.{fiber.count}" if fiber.id else str(fiber.count)

    def stack(self, fiber_id: str = "") -> tuple[StackFrame, ...]:
        """Return the nested generators at which a fiber stands, outermost first; empty when it has ended."""
        fiber = self._scheduler.alive.get(fiber_id)
        return stack(fiber.generator) if fiber is not None else ()

    @property
    def error(self) -> BaseException | None:
        """What the workflow raised, if that has ended the run; its traceback holds the variables of the end."""
        ended = None if self._root is None else self._root.ended
        return None if self.outcome is None or ended is None or ended.error is CANCELLED else ended.error

    # One transition.

    def _begin(self, at: datetime, patches: Collection[str] | None) -> None:
        self._at = at
        self._allowed = patches
        self._issued = []
        self._annotated = self._has_items = False
        if self._withdrawn:
            self._withdrawn = []
        if self._refusals:
            self._refusals = []

    def _run(self) -> Step:
        scheduler = self._scheduler
        token = _at_work.set(self)
        try:
            is_endless = scheduler.run()
        finally:
            _at_work.reset(token)
        self.length += 1
        root = self._root
        assert root is not None
        if root.state is _ENDED or self._continued is not None or not self.pending or is_endless:
            self.outcome = self._settle(root)
            self.pending.clear()
            self.close()
        issued, withdrawn = tuple(self._issued), tuple(self._withdrawn)
        step = Step(issued, withdrawn, self.outcome, self._annotated, self._has_items)
        if self._refusals:
            step.refused, step.has_items = tuple(self._refusals), True
        return step

    def _settle(self, root: Fiber) -> Outcome:
        """Say how the run ended."""
        if self._continued is not None:
            return ContinuedAs(self._continued)
        if root.ended is None or root.state is not _ENDED:
            return Failed(fault(Stalled(self._waits()), "", retryable=False))
        if root.ended.error is CANCELLED:
            return WasCancelled(self._scheduler.reason)
        if root.ended.error is not None:
            return Failed(_failure(root.ended))
        try:
            return Completed(self.definition.arguments.encode_result(root.ended.value))
        except CodecError as error:
            note(error, f"the value that {self.definition.name} returned")
            return Failed(fault(error, trace(error), retryable=False))

    def _waits(self) -> tuple[str, ...]:
        return tuple(
            f"{self._line(fiber)}: {fiber.name or label(fiber.generator)} (fiber {fiber.id or 'root'}) "
            f"waits for {_sketch(fiber)}"
            for fiber in self._alive()
        )

    def _alive(self) -> list[Fiber]:
        """Return the fibers that have not ended; for messages, which must not depend on who was started when."""
        return sorted(self._scheduler.alive.values(), key=lambda fiber: fiber.id)

    # Events that answer a command.

    def _awaited(self, command_id: str) -> Issued:
        issued = self.pending.get(command_id)
        if issued is None:
            raise UnexpectedEvent(command_id)
        return issued

    def _awaited_call(self, command_id: str) -> tuple[Issued, ActivityDefinition]:
        issued = self._awaited(command_id)
        if issued.definition is None:
            raise UnexpectedEvent(command_id)
        return issued, issued.definition

    def _resolved(self, event: Resolved) -> None:
        issued = self.pending.get(event.id)
        if issued is None or issued.definition is None:
            raise UnexpectedEvent(event.id)
        try:
            value = issued.definition.arguments.decode_result(event.payload)
        except CodecError as error:
            what = f"result of {issued.record.target} (command {issued.id})"
            raise UndecodableHistory(self.run_id, self.length, what, str(error)) from None
        del self.pending[event.id]
        self._scheduler.resume(issued.fiber, value)

    def _rejected(self, event: Rejected) -> None:
        issued, activity = self._awaited_call(event.id)
        error = raised(event, activity.name, activity.raises)
        del self.pending[event.id]
        self._scheduler.throw(issued.fiber, error)

    def _fired(self, event: Fired) -> None:
        issued = self._awaited(event.id)
        if issued.due is None:
            raise UnexpectedEvent(event.id)
        del self.pending[event.id]
        command = issued.command
        if isinstance(command, AwaitSignal):
            assert command.timeout is not None
            self._scheduler.throw(issued.fiber, SignalTimeout(command.name, command.timeout.total_seconds()))
        else:
            self._scheduler.resume(issued.fiber, None)

    def _signalled(self, event: Signalled) -> None:
        issued = self._waiting("await_signal", event.name)
        if issued is None:
            self.mailbox.setdefault(event.name, deque()).append(event.payload)
            return
        del self.pending[issued.id]
        try:
            self._scheduler.resume(issued.fiber, _signal_value(issued.command, event.payload))
        except SignalPayloadError as error:
            self._scheduler.throw(issued.fiber, error)

    def _waiting(self, kind: str, name: str) -> Issued | None:
        """Return who has waited the longest for a signal or request of this name, and waits still."""
        waiters = self._waiters.get((kind, name))
        while waiters:
            issued = self.pending.get(waiters[0])
            if issued is not None:
                return issued
            waiters.popleft()
        return None

    def _ask(self, event: Asked) -> None:
        self._note_asked(event.id, event.name)
        issued = self._waiting("await_request", event.name)
        if issued is None:
            self._requests.setdefault(event.name, deque()).append(event)
            return
        del self.pending[issued.id]
        try:
            self._scheduler.resume(issued.fiber, self._request(issued.command, event))
        except SignalPayloadError as error:
            self._scheduler.throw(issued.fiber, error)

    def _note_asked(self, request_id: str, name: str) -> None:
        self.asked.add(request_id)
        self._unanswered[request_id] = name

    def _request(self, command: Any, event: Asked) -> Request[Any]:
        """Return a request as the workflow gets it; one whose payload does not fit is refused, as nobody will reply."""
        try:
            return Request(event.id, codec_for(asked_type(command.type)).decode(event.payload), event.name)
        except CodecError as error:
            del self._unanswered[event.id]
            self._refusals.append((event.id, str(error)))
            raise SignalPayloadError(command.name, render_value(event.payload), str(error)) from None

    def _child_ended(self, event: ChildEnded) -> None:
        issued = self._awaited(event.id)
        if issued.child is None or event.round != self._started.round:
            raise UnexpectedEvent(event.id)
        child = issued.child
        error: ChildFailed | ChildCancelled | None = None
        value: Any = None
        match event.outcome:
            case Completed():
                try:
                    value = child.definition.arguments.result.decode(event.outcome.payload)
                except CodecError as misfit:
                    what = f"result of child {child.run_id!r} (command {issued.id})"
                    raise UndecodableHistory(self.run_id, self.length, what, str(misfit)) from None
            case Failed():
                failure = event.outcome.failure
                error = ChildFailed(child.run_id, failure.type_name, failure.message, failure.traceback)
            case WasCancelled():
                error = ChildCancelled(child.run_id, event.outcome.reason)
        del self.pending[event.id]
        if error is None:
            self._scheduler.resume(issued.fiber, value)
        else:
            self._scheduler.throw(issued.fiber, error)

    def _delivered(self, event: Delivered) -> None:
        issued = self._awaited(event.id)
        if issued.child is None and not isinstance(issued.command, Send):
            raise UnexpectedEvent(event.id)
        del self.pending[event.id]
        self._scheduler.resume(issued.fiber, issued.child.run_id if issued.child is not None else None)

    def _refused(self, event: Refused) -> None:
        issued = self._awaited(event.id)
        if issued.child is None and not isinstance(issued.command, Send):
            raise UnexpectedEvent(event.id)
        del self.pending[event.id]
        if issued.child is not None:
            child = issued.child
            requested = f"{child.definition.name}({render_value(child.args)[1:-1]}) as a child of {self.run_id!r}"
            self._scheduler.throw(issued.fiber, RunExists(child.run_id, "another run", requested))
        elif isinstance(issued.command, Send):
            to = issued.command.run_id
            missing = RunEnded(to, "ended") if event.why == "ended" else UnknownRun(to, "this store")
            self._scheduler.throw(issued.fiber, missing)

    # Events that only inform.

    def _attempt_failed(self, event: AttemptFailed) -> None:
        issued, _ = self._awaited_call(event.id)
        issued.attempt = event.attempt + 1
        issued.failures += 1
        issued.retry_at = event.retry_at

    def _worker_lost(self, answered: str = "") -> None:
        """Count the attempts that were in flight: whether they had an effect is unknown, but of an answered one."""
        for issued in self.pending.values():
            if (
                issued.id != answered
                and issued.definition is not None
                and (issued.retry_at is None or issued.retry_at <= self._at)
            ):
                issued.attempt += 1
                issued.retry_at = None
                # Of a transact it is known that it had no effect: its record would be there.
                issued.unknown = isinstance(issued.command, Call)

    def _retried(self, event: Retried) -> None:
        """Count the attempts that were in flight when the run failed, and forget the failures of the call that did."""
        if event.rejected is not None:
            self._awaited_call(event.rejected.id)[0].failures = 0
        self._worker_lost(answered=event.id)

    def _outgrown(self, event: Outgrown) -> None:
        """Remember what was told, so that it is not told again after a restart."""
        if event.replay_us:
            self.told_replay = timedelta(microseconds=event.replay_us)
        else:
            self.told_records = event.records

    # Commands.

    def _perform(self, fiber: Fiber, yielded: Any) -> Any:
        kind: type[Any] = type(yielded)  # pyright: ignore[reportUnknownVariableType]  # of what, nobody knows
        handler = self._HANDLERS.get(kind)
        if handler is None:
            raise NotACommand(brief(yielded), where(fiber.generator), _cure(yielded))
        return handler(self, fiber, yielded)

    def _issue(self, issued: Issued) -> None:
        """Record a command whose answer comes later, and block its fiber on it."""
        issued.at = self._at
        self._issued.append(issued)
        self.pending[issued.id] = issued
        self._scheduler.block(issued.fiber, issued)
        if issued.due is not None:
            self._timer_count += 1
            heapq.heappush(self.timers, (issued.due, self._timer_count, issued.id))

    def _note(self, fiber: Fiber, command: Command[Any], record: Record) -> None:
        """Record a command that is answered at once."""
        self._issued.append(Issued(record.id, command, record, self.definition.compare, fiber))

    def _call(self, fiber: Fiber, command: Call[Any]) -> Any:
        definition = activity_of(command.fn)
        payload = definition.arguments.encode(command.args, command.kwargs)
        command_id = fiber.next_id()
        record = Record(command_id, "call", definition.name, payload, where(fiber.generator) or fiber.where)
        compare = command.with_options.compare or self.definition.compare
        self._issue(Issued(command_id, command, record, compare, fiber, definition))
        return BLOCKED

    def _transact(self, fiber: Fiber, command: Transact[Any]) -> Any:
        definition = transaction_of(command.fn)
        payload = definition.arguments.encode(command.args, command.kwargs)
        command_id = fiber.next_id()
        record = Record(command_id, "transact", definition.name, payload, self._line(fiber))
        self._issue(Issued(command_id, command, record, self.definition.compare, fiber, definition))
        return BLOCKED

    def _sleep(self, fiber: Fiber, command: Sleep) -> Any:
        self._timer(fiber, command, "sleep", _seconds(command.delta), self._due(command.delta))
        return BLOCKED

    def _due(self, delta: timedelta) -> datetime:
        try:
            return self._at + delta
        except OverflowError:
            raise UsageError(f"{delta!r} from now is no date: the last is at the end of the year 9999") from None

    def _sleep_until(self, fiber: Fiber, command: SleepUntil) -> Any:
        self.has_told_time = True  # by how long it waits
        self._timer(fiber, command, "sleep_until", f'["{command.when.isoformat()}"]'.encode(), command.when)
        return BLOCKED

    def _timer(self, fiber: Fiber, command: Command[Any], kind: str, payload: bytes, due: datetime) -> None:
        command_id = fiber.next_id()
        record = Record(command_id, kind, "", payload, self._line(fiber))
        self._issue(Issued(command_id, command, record, self.definition.compare, fiber, due=due))

    def _await_signal(self, fiber: Fiber, command: AwaitSignal[Any]) -> Any:
        due = None if command.timeout is None else self._due(command.timeout)
        payload = b"[null]" if command.timeout is None else _seconds(command.timeout)
        command_id = fiber.next_id()
        kind = "await_signal" if asked_type(command.type) is None else "await_request"
        record = Record(command_id, kind, command.name, payload, self._line(fiber))
        if kind == "await_request" and (requests := self._requests.get(command.name)):
            self._note(fiber, command, record)
            return self._request(command, requests.popleft())
        if kind == "await_signal" and (waiting := self.mailbox.get(command.name)):
            self._note(fiber, command, record)
            return _signal_value(command, waiting.popleft())
        self._waiters.setdefault((kind, command.name), deque()).append(command_id)
        self._issue(Issued(command_id, command, record, self.definition.compare, fiber, due=due))
        return BLOCKED

    def _child(self, fiber: Fiber, command: Child[Any]) -> Any:
        definition = workflow_of(command.fn)
        args = definition.arguments.encode(command.args, {})
        run_id = command.id
        if run_id is None:
            again = f"{self._started.round}:" if self._started.round else ""
            run_id = f"{self._run_id_then()}/{again}{fiber.id_of_next()}"
        if not 0 < len(run_id.encode(errors="replace")) <= _LONGEST_RUN_ID:
            raise UsageError(f"child: the run id {run_id[:40]!r}... is longer than {_LONGEST_RUN_ID} bytes; give id=")
        command_id = fiber.next_id()
        payload = b"[%s,%s,%s]" % (args, ANY.encode(run_id), b"true" if command.detached else b"false")
        # Without the version: a parent is not to diverge because its child has got a newer one.
        record = Record(command_id, "child", definition.family, payload, self._line(fiber))
        child = ChildRun(run_id, definition, args)
        self._issue(Issued(command_id, command, record, self.definition.compare, fiber, child=child))
        return BLOCKED

    def _send(self, fiber: Fiber, command: Send) -> Any:
        payload = encode_payload(command.payload, command.type)
        command_id = fiber.next_id()
        told = b"[%s,%s]" % (ANY.encode(command.run_id), payload)
        record = Record(command_id, "send", command.name, told, self._line(fiber))
        self._issue(Issued(command_id, command, record, self.definition.compare, fiber))
        return BLOCKED

    def _gather(self, fiber: Fiber, command: Gather[Any]) -> Any:
        if not command.parts:
            fiber.next_id()
            return ()
        parts = _generators(command.parts)
        self._scheduler.group(fiber, parts, self._line(fiber), _rule(command), limit=command.limit)
        return BLOCKED

    def _race(self, fiber: Fiber, command: Race[Any]) -> Any:
        parts, names = _generators(command.parts), command.names
        self._scheduler.group(fiber, parts, self._line(fiber), First(names), names=names or ())
        return BLOCKED

    def _timeout(self, fiber: Fiber, command: Timeout[Any]) -> Any:
        self._due(command.delta)  # refuses a moment that is no date before anything begins
        part = command.part
        parts = _generators((part, Sleep(command.delta)))
        told = part.sketch() if isinstance(part, Command) else label(parts[0])
        rule = Timed(PartTimeout(told, command.delta.total_seconds()))
        self._scheduler.group(fiber, parts, self._line(fiber), rule, names=("", "timeout"))
        return BLOCKED

    def _shield(self, fiber: Fiber, command: Shield[Any]) -> Any:
        self._scheduler.group(fiber, _generators((command.part,)), self._line(fiber), Shielded())
        return BLOCKED

    def _spawn(self, fiber: Fiber, command: Spawn[Any]) -> Task[Any]:
        (generator,) = _generators((command.part,))
        spawned = self._scheduler.spawn(fiber, generator, self._line(fiber), command.name)
        return Task(spawned.id, command.name)

    def _join(self, fiber: Fiber, command: Join[Any]) -> Any:
        fiber.next_id()
        return self._scheduler.join(fiber, self._task(command.task))

    def _cancel(self, fiber: Fiber, command: Cancel) -> None:
        fiber.next_id()
        self._scheduler.cancel(self._task(command.task))

    def _task(self, task: Task[Any]) -> Fiber:
        try:
            return self._scheduler.tasks[task.id]
        except (KeyError, AttributeError):
            raise UsageError(f"{task!r} is not a task that spawn returned in this run") from None

    def _now(self, fiber: Fiber, _command: Now) -> datetime:
        fiber.next_id()
        self.has_told_time = True
        return self._at

    def _random(self, fiber: Fiber, _command: Random) -> float:
        # 53 bits: as many as a float between 0 and 1 can tell apart (as in random.random).
        return (int.from_bytes(self._derive(fiber.next_id())[:7], "big") >> 3) / (1 << 53)

    def _uuid(self, fiber: Fiber, _command: Uuid) -> UUID:
        return UUID(bytes=self._derive(fiber.next_id()), version=4)

    def _derive(self, what: str) -> bytes:
        """Derive 16 bytes from the run's seed and a name."""
        return hashlib.blake2b(what.encode(), key=self._started.seed, digest_size=16).digest()

    def _run_info(self, fiber: Fiber, _command: GetRunInfo) -> RunInfo:
        fiber.next_id()
        definition, started = self.definition, self._started
        return RunInfo(
            id=self._run_id_then(),
            workflow=definition.family,
            started_at=self._first_at(),
            round=started.round,
            version=definition.version,
            scheduled_at=started.scheduled_at,
        )

    def _run_id_then(self) -> str:
        """Return the id of the run that this record was written for: in what a fork took over, that of its origin."""
        return next((origin.run_id for origin in self._started.forked_from if self.length < origin.length), self.run_id)

    def _first_at(self) -> datetime:
        assert self._started_at is not None
        return self._started.first_at or self._started_at

    def _patched(self, fiber: Fiber, command: Patched) -> bool:
        change_id = command.change_id
        if change_id in self._patches:
            return True
        if self._allowed is not None and change_id not in self._allowed:
            return False
        self._patches.add(change_id)
        self._note(fiber, command, Record(f"~{change_id}", "patched", change_id, b"[]", self._line(fiber)))
        return True

    def _annotate(self, fiber: Fiber, command: Annotate) -> None:
        payload = ANY.encode(command.fields)
        self._note(fiber, command, Record(fiber.next_id(), "annotate", "", payload, self._line(fiber)))
        self.state.update(ANY.decode(payload))
        self._annotated = True

    def _emit(self, fiber: Fiber, command: Emit) -> None:
        payload = encode_payload(command.value, command.type, name="value")
        self._note(fiber, command, Record(fiber.next_id(), "emit", command.topic, payload, self._line(fiber)))
        self._has_items = True

    def _reply(self, fiber: Fiber, command: Reply) -> None:
        request = command.request
        if request.id not in self._unanswered:
            told = "was answered before" if request.id in self.asked else "was never asked of this run"
            raise UsageError(f"reply: request {request.id!r} ({request.name!r}) {told}")
        value = encode_payload(command.value, command.type, name="value")
        answer = Answer("ok", value) if command.error is None else Answer("error", ANY.encode(command.error))
        payload = answer.encode(request.id)
        name = self._unanswered.pop(request.id)
        self._note(fiber, command, Record(fiber.next_id(), "reply", name, payload, self._line(fiber)))
        self._has_items = True

    def _continue_as(self, fiber: Fiber, command: ContinueAs) -> Any:
        if len(self._scheduler.alive) > 1:
            others = ", ".join(other.id for other in self._alive() if other.id)
            raise UsageError(f"continue_as: fibers {others} are still running; join or cancel them first")
        started = self._started
        self._continued = Started(
            workflow=started.workflow,
            args=self.definition.arguments.encode(command.args, command.kwargs),
            seed=self._derive("continue_as"),
            mailbox=tuple((name, payload) for name, waiting in self.mailbox.items() for payload in waiting),
            round=started.round + 1,
            first_at=self._first_at(),
            state=ANY.encode(self.state) if self.state else b"",
            parent=started.parent,
            forked_from=tuple(Origin(origin.run_id, 0, origin.given) for origin in started.forked_from),
            scheduled_at=started.scheduled_at,
            tells=started.tells,
            asked=self._open_requests(),
        )
        self._scheduler.block(fiber, None)
        return BLOCKED

    def _open_requests(self) -> tuple[tuple[str, str, bytes | None], ...]:
        """Return the requests that are not answered, in the order in which they came."""
        waiting = {asked.id: asked.payload for requests in self._requests.values() for asked in requests}
        return tuple((request_id, name, waiting.get(request_id)) for request_id, name in self._unanswered.items())

    def _line(self, fiber: Fiber) -> str:
        return where(fiber.generator) or fiber.where

    def _withdraw(self, issued: Issued) -> None:
        del self.pending[issued.id]
        self._withdrawn.append(issued)

    _HANDLERS: ClassVar[dict[type, Callable[[Interpreter, Fiber, Any], Any]]] = {
        Call: _call,
        Transact: _transact,
        Sleep: _sleep,
        SleepUntil: _sleep_until,
        AwaitSignal: _await_signal,
        Gather: _gather,
        Race: _race,
        Timeout: _timeout,
        Shield: _shield,
        Spawn: _spawn,
        Join: _join,
        Cancel: _cancel,
        Now: _now,
        Random: _random,
        Uuid: _uuid,
        GetRunInfo: _run_info,
        Child: _child,
        FireRun: _child,
        Send: _send,
        RequestCancel: _send,
        Patched: _patched,
        Annotate: _annotate,
        Emit: _emit,
        Reply: _reply,
        ContinueAs: _continue_as,
    }


_at_work: ContextVar[Interpreter | None] = ContextVar("interp_at_work", default=None)


def at_work() -> Interpreter | None:
    """Return the interpreter whose workflow's code is running here; None outside of a workflow.

    For what observes workflows, such as their loggers. Nothing that a workflow computes may depend on it.
    """
    return _at_work.get()


def _generators(parts: tuple[Part[Any], ...]) -> list[Code]:
    """Return what runs as fibers; a command as a part is a generator that yields it once.

    Raises:
        UsageError: A generator has begun already, or is given twice, so that it cannot be a fiber of its own.
    """
    generators: list[Code] = [cast("Code", iter(part) if isinstance(part, Command) else part) for part in parts]
    for generator in generators:
        if generator.gi_suspended or generator.gi_running or generator.gi_frame is None:
            raise UsageError(f"{generator.__name__} has begun already; make a fresh generator for each branch")
    if len({id(generator) for generator in generators}) < len(generators):
        raise UsageError("one generator is given as two branches; make a fresh generator for each")
    return generators


def _rule(command: Gather[Any]) -> All:
    """Say how many parts of a gather must succeed, and what becomes of the others."""
    parts = len(command.parts)
    if command.min_successful is not None:
        return All(parts, command.min_successful, stops=True, keeps_errors=True)
    if command.tolerated_failures is not None:
        return All(parts, max(0, parts - command.tolerated_failures), keeps_errors=True)
    return All(parts, 0 if command.return_errors else parts, keeps_errors=command.return_errors)


def _seconds(delta: timedelta) -> bytes:
    return f"[{delta.total_seconds()!r}]".encode()


def _signal_value(command: Any, payload: bytes) -> Any:
    try:
        return codec_for(command.type).decode(payload)
    except CodecError as error:
        raise SignalPayloadError(command.name, render_value(payload), str(error)) from None


def _failure(ended: Ended) -> Failure:
    error = ended.error
    assert isinstance(error, Exception)
    text = trace(error)
    return fault(error, text, retryable=False)


def _sketch(fiber: Fiber) -> str:
    waits = fiber.waits
    if isinstance(waits, Fiber):
        return f"task {waits.id}"
    if isinstance(waits, Group):
        return f"the {waits.rule.word}"
    return "the fibers that it spawned" if fiber.state is State.CLOSING else "nothing: it never stops running"


def _cure(yielded: Any) -> str:
    """Say what was probably meant."""
    if isinstance(yielded, GeneratorType):
        return f"Delegate to a generator with `yield from {yielded.__name__}(...)`; gather(...) runs several at once."
    if isinstance(yielded, Task):
        return "Write `yield from join(task)` to wait for a task."
    if isinstance(yielded, (list, tuple)):
        return "Write `yield from gather(*parts)` to run several at once."
    if hasattr(yielded, "__await__"):
        return "A workflow does not await. Call an async activity with `yield from call(fn, ...)`."
    if callable(yielded):
        return "Write `yield from call(fn, ...)` to run an activity."
    return "A workflow yields commands only: call(...), sleep(...), await_signal(...), gather(...) ..."
