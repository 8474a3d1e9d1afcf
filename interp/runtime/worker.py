"""The worker: one loop on one thread that owns runs and moves them.

    take what came in -> feed interpreters -> one batch -> commit -> dispatch

The order is the promise. An event is fed, its record is committed, and only then does anything happen in the outside
world because of it: calls are dispatched, and waiting callers are told, after the commit that holds them is durable.
Everything that comes in while a batch is being committed goes into the next one, so that batches grow with the load
by themselves (group commit).
"""

from __future__ import annotations

import logging
import random
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import TypeAlias

import attrs
import msgspec

from interp.definitions import WorkflowDefinition, find_workflow, workflows
from interp.errors import (
    EngineClosed,
    InterpError,
    JournalCorrupt,
    ReplayError,
    StoreError,
    StoreFull,
    StoreReadOnly,
    UsageError,
)
from interp.events import ChildEnded, Event, Fired, Heartbeat, Started, WorkerLost, decode_event
from interp.runtime.attempts import Attempt, Beat, Completion
from interp.runtime.dispatcher import Dispatcher
from interp.runtime.guard import GuardMode, enter, watch
from interp.runtime.live import LiveRun, microseconds, moment
from interp.runtime.requests import Input, Start, Stop, Tell, Wake, Watch
from interp.runtime.turn import Turn
from interp.runtime.verdicts import poison, refusal, verdict
from interp.runtime.vetting import warn
from interp.runtime.watches import Watches
from interp.store import Append, Claim, Create, Message, RunRow, Status, Store, Why

__all__ = ["CLOSED", "Clock", "Worker", "WorkerOptions"]

_log = logging.getLogger("interp")

Clock: TypeAlias = Callable[[], datetime]

CLOSED = "close() was called, or its `with` block has ended; its runs go on when an engine opens the store again"
"""Why an engine that was asked to stop serves no more."""

# Bounds of one turn: how much is taken in, and how many due runs are claimed, before a commit. More would make the
# first of them wait; fewer would waste syncs.
_MOST_INPUTS = 2_048
_MOST_CLAIMS = 512

# How many timers of one run fire before the others have their turn: `while True: yield sleep(timedelta(0))`.
_MOST_FIRED = 100

# How long to wait before a write that found no room is tried again.
_FULL_PAUSE = timedelta(seconds=0.5)

# How long the worker is trusted without a sign, where the store cannot see it die; it gives one three times as often.
_LEASE = timedelta(seconds=30)
_LEASE_US = _LEASE // timedelta(microseconds=1)

# Which kind of command hears of a refusal. `exists` is no refusal: a child that was made before is the same child.
_ASKED: dict[Why, str] = {"differs": "child", "unknown": "send", "ended": "send"}

# An idle worker looks at the store so often anyway, in case that a wake-up was lost.
_IDLE_S = 5.0


@attrs.frozen
class WorkerOptions:
    """How a worker works.

    Attributes:
        threads: How many sync activities may run at once.
        cache: How many idle runs are kept in memory; others are replayed from the journal when something happens.
        clock: Tells the time, UTC.
        poison_after: After how many lost workers in a row, without progress, a run is parked; None for never.
        chance: Gives random numbers from [0, 1), for the jitter of retries.
        guard: What happens when a workflow does what it must not do.
    """

    threads: int
    cache: int
    clock: Clock
    poison_after: int | None = None
    chance: Callable[[], float] = random.random
    guard: GuardMode = "warn"


class Worker:
    """Owns runs of one store and moves them, on a thread of its own."""

    def __init__(self, store: Store, name: str, options: WorkerOptions) -> None:
        """Prepare a worker; `run` is the body of its thread.

        Args:
            store: The store; the worker does not close it.
            name: The worker's name, unique among all workers that ever used the store.
            options: How it works.
        """
        self.store = store
        self.name = name
        self.trouble: BaseException | None = None
        self._options = options
        self._clock = options.clock
        self._inputs: SimpleQueue[Input] = SimpleQueue()
        self._taken: deque[Input] = deque()
        self._dispatcher = Dispatcher(options.threads, self._inputs.put, options.clock)
        self._live: dict[str, LiveRun] = {}
        self._idle: OrderedDict[str, LiveRun] = OrderedDict()
        self._turn = Turn()
        self._watches = Watches(store, name)
        self._woken = True
        self._claim_at: datetime | None = None
        self._renew_at = self._clock()
        self._hold_until: datetime | None = None
        self._drain_until: datetime | None = None
        self._thread: int | None = None
        # What was started here by its function is meant, where the name alone would not say.
        self._started: dict[str, WorkflowDefinition] = {}

    # Called from other threads.

    def put(self, request: Start | Tell | Watch) -> None:
        """Hand a request in.

        Raises:
            UsageError: By a workflow, which runs on the very thread that would have to answer it.
        """
        if threading.get_ident() == self._thread:
            raise UsageError(
                "a workflow cannot ask its own engine for anything: it would wait for itself\n"
                "  Do it in an activity: `yield from call(...)`."
            )
        self._inputs.put(request)
        if self.trouble is not None:  # the loop has ended, perhaps without seeing the request
            self._refuse_inputs(self.trouble)

    def wake(self) -> None:
        """Make the worker look at the store."""
        self._inputs.put(Wake())

    def stop(self, grace_s: float) -> None:
        """Ask the worker to stop; attempts in flight get `grace_s` seconds to end."""
        self._inputs.put(Stop(grace_s))

    # The loop.

    def run(self) -> None:
        """Work until stopped. Whatever ends the loop is told to everyone who waits."""
        trouble: BaseException = EngineClosed(CLOSED)
        self._thread = threading.get_ident()
        enter(self._options.guard)
        try:
            self.store.register(self.name)
            while not self._stopped():
                self._work()
        except BaseException as error:  # noqa: BLE001  handed to all who wait
            trouble = error
            _log.critical("worker %s stops: %s", self.name, error, exc_info=not isinstance(error, StoreError))
        try:
            self._shut_down()
        except Exception:  # noqa: BLE001  the loop is over; those who wait are told why it ended, not how the tidying went
            _log.exception("worker %s did not shut down cleanly", self.name)
        finally:
            self.trouble = trouble
            self._refuse_all(trouble)

    def _work(self) -> None:
        """Do one turn."""
        self._taken.extend(self._take_inputs(min(self._patience(), self._dispatcher.grow())))
        while self._taken:
            self._take(self._taken[0])
            self._taken.popleft()
        now = self._clock()
        self._record_beats(now)
        self._expire(now)
        if self._hold_until is not None and now < self._hold_until:
            return
        self._hold_until = None
        try:
            self._renew(now)
            if self._woken or (self._claim_at is not None and self._claim_at <= now):
                self._claim(now)
            if self._turn:
                self._commit(now)
        except (StoreFull, StoreReadOnly) as error:
            _log.warning("%s", error)
            self._turn.refuse_new(error)
            self._hold_until = now + _FULL_PAUSE
        self._evict()

    def _take_inputs(self, patience_s: float) -> list[Input]:
        """Wait for the first input, then take what else is there."""
        inputs: list[Input] = []
        try:
            inputs.append(self._inputs.get(timeout=patience_s) if patience_s > 0 else self._inputs.get_nowait())
            while len(inputs) < _MOST_INPUTS:
                inputs.append(self._inputs.get_nowait())
        except Empty:
            if patience_s == _IDLE_S:
                self._woken = True
        return inputs

    def _patience(self) -> float:
        """How long nothing has to be done unless something comes in, in seconds."""
        if self._hold_until is None and (self._woken or self._turn):
            return 0.0
        moments = (
            self._claim_at if self._hold_until is None else None,
            self._hold_until,
            self._drain_until,
            self._dispatcher.next_deadline,
        )
        soonest = min((moment for moment in moments if moment is not None), default=None)
        if soonest is None:
            return _IDLE_S
        return min(max((soonest - self._clock()).total_seconds(), 0.0), _IDLE_S)

    def _take(self, taken: Input) -> None:
        match taken:
            case Completion():
                self._completed(taken)
            case Beat():
                self._dispatcher.beaten(taken.attempt)
            case Start():
                self._start(taken)
            case Tell():
                self._tell(taken)
            case Watch():
                self._watches.add(taken)
                if taken.run_id not in self._live:
                    self._watches.look(taken.run_id)
            case Wake():
                self._woken = True
            case Stop():
                self._drain_until = self._clock() + timedelta(seconds=taken.grace_s)

    def _stopped(self) -> bool:
        """Whether everything has been drained, or the time for it is over."""
        if self._drain_until is None:
            return False
        return self._clock() >= self._drain_until or not (self._dispatcher.in_flight or self._turn)

    # What happens to runs.

    def _feed(self, run: LiveRun, event: Event, at: datetime) -> bool:
        """Move a run. Park it when its code cannot take the event; a broken run must not take the others down.

        Returns:
            Whether the event will be in its journal.
        """
        self._turn.dirty[run.run_id] = run
        if run.parked:
            return False
        try:
            step = run.feed(event, at)
        except ReplayError as error:
            run.parked = str(error)
        except BaseException as error:  # noqa: BLE001  user code inside an interpreter may do anything
            _log.exception("run %s broke the interpreter", run.run_id)
            run.parked = _broken(error)
        else:
            for issued in step.withdrawn:
                self._dispatcher.call_off(run, issued.id)
        return not run.parked

    def _start(self, start: Start) -> None:
        """Start a run that is not there yet; the store has the last word on that when it commits."""
        run_id = start.create.run_id
        if run_id in self._turn.starts:
            self._turn.repeated.append(start)
            return
        if run_id in self._live:
            start.done.set_result(self._compared(start.create))
            return
        self._started[start.definition.name] = start.definition
        started = self._signed(start.started, start.definition)
        self._guard(start.definition)
        try:
            run = LiveRun.begin(run_id, start.definition, started, 1, self._clock())
        except BaseException as error:  # noqa: BLE001  user code may do anything; the caller hears of it
            start.done.set_exception(error if isinstance(error, Exception) else RuntimeError(_broken(error)))
            return
        run.seen = 0
        if not run.parked:
            run.consumed.append(0)
        self._turn.starts[run_id] = (start, run)

    def _compared(self, create: Create) -> Why:
        """Tell why a run that is here already cannot be created."""
        row = self.store.run(create.run_id)
        same = row is not None and (row.workflow, row.digest) == (create.workflow, create.digest)
        return "exists" if same else "differs"

    def _completed(self, completion: Completion) -> None:
        """Record what came of an attempt, unless nobody waits for it any more."""
        attempt = completion.attempt
        run = self._live.get(attempt.run_id)
        if run is None or not self._dispatcher.ended(run, attempt):
            return
        self._conclude(run, completion)

    def _conclude(self, run: LiveRun, completion: Completion) -> None:
        """Record what follows from the end of an attempt: the result, the failure, or that another attempt follows."""
        now = self._clock()
        issued = run.interpreter.pending[completion.attempt.command_id]
        for event in verdict(issued, completion, now, self._options.chance):
            self._feed(run, event, now)

    def _expire(self, now: datetime) -> None:
        """Record the attempts that have taken too long as failed."""
        for run, completion in self._dispatcher.overdue(now, self._live):
            self._conclude(run, completion)

    def _record_beats(self, now: datetime) -> None:
        """Record how far attempts are, for those that may come after them."""
        for run, attempt in self._dispatcher.beats(now, self._live):
            if attempt.details != run.interpreter.pending[attempt.command_id].heartbeat:
                self._feed(run, Heartbeat(attempt.command_id, attempt.number, attempt.details), now)

    def _advance(self, run: LiveRun, now: datetime) -> None:
        """Fire the timers of a run that are due, and free the calls whose pause is over."""
        self._turn.dirty[run.run_id] = run
        for _ in range(_MOST_FIRED):
            command_id = run.interpreter.due_timer(now)
            if run.outcome is not None or run.parked or command_id is None:
                break
            self._feed(run, Fired(command_id), now)
        if run.outcome is None and not run.parked:
            run.ready_calls(now)
            self._refuse_calls(run, now)

    def _refuse_calls(self, run: LiveRun, now: datetime) -> None:
        """Fail the calls of a run that must not be attempted any more."""
        for issued in run.calls[:]:
            event = refusal(issued, now)
            if event is not None and issued in run.calls:  # not withdrawn by the failure of another
                run.calls.remove(issued)
                self._feed(run, event, now)

    # Messages.

    def _tell(self, tell: Tell) -> None:
        """Send a message: straight into the journal when the run is here, else into its inbox."""
        run = self._live.get(tell.run_id)
        if run is not None and self._told(run, tell.event):
            self._turn.told.append(tell)
        else:
            self._turn.tells.append(tell)

    def _told(self, run: LiveRun, event: Event) -> bool:
        """Feed a message to a run that is here, after those that came to its inbox before."""
        now = self._clock()
        self._read(run, self.store.inbox(run.run_id), now)
        return run.outcome is None and self._feed(run, event, now)

    def _read(self, run: LiveRun, messages: Iterable[Message], now: datetime) -> None:
        """Take the messages in that were not taken in yet."""
        for message in messages:
            if message.number > run.seen and run.outcome is None and not run.parked:
                run.seen = message.number
                try:
                    event = _decoded(run.run_id, message)
                except JournalCorrupt as error:
                    run.parked = str(error)
                    return
                late = isinstance(event, ChildEnded) and not run.awaits(event)
                if late or self._feed(run, event, now):
                    run.consumed.append(message.number)

    # Claiming and loading.

    def _renew(self, now: datetime) -> None:
        if now >= self._renew_at:
            self.store.renew(self.name, microseconds(now), _LEASE_US)
            self._renew_at = now + _LEASE / 3
            self._watches.look_at_all()

    def _claim(self, now: datetime) -> None:
        """Take the runs that are due, and look after those who watch runs of other workers."""
        if self._drain_until is None:
            known = frozenset(workflows()) | self._started.keys()
            due = self.store.claim(self.name, _MOST_CLAIMS, microseconds(now), _LEASE_US, known)
            self._claim_at = None if due.next_us is None else moment(due.next_us)
            for claim in due.claims:
                self._claimed(claim, now)
        self._woken = False
        self._watches.look_at_foreign()

    def _claimed(self, claim: Claim, now: datetime) -> None:
        row = claim.run
        if row.id in self._turn.starts:  # asked for again just now, and here already: the claim must not be lost
            start, begun = self._turn.starts.pop(row.id)
            begun.interpreter.close()
            start.done.set_result(self._compared(start.create))
        run = self._live.get(row.id)
        if run is not None and run.token != row.token:
            self._forget(run)  # it was lost and has come back: what is in memory is stale
            run = None
        if run is None:
            try:
                run = self._loaded(claim, now)
            except BaseException as error:
                if isinstance(error, StoreError) and not isinstance(error, JournalCorrupt):
                    raise
                unexpected = not isinstance(error, InterpError)
                reason = _broken(error) if unexpected else str(error)
                _log.error("run %s is parked: %s", row.id, reason, exc_info=unexpected)
                self._turn.parked.append(_parked(row, reason, now))
                return
            self._live[row.id] = run
            # Also when nobody is known to be lost: a run that was parked had its attempts under way, too.
            if row.length and row.status is Status.RUNNING and run.calls:
                self._feed(run, WorkerLost(claim.lost or "", self.name, run.definition.code), now)
                run.parked = run.parked or poison(run.interpreter, self._options.poison_after)
        self._read(run, claim.messages, now)
        self._advance(run, now)

    def _loaded(self, claim: Claim, now: datetime) -> LiveRun:
        """Bring a claimed run to life."""
        row = claim.run
        definition = self._started.get(row.workflow) or find_workflow(row.workflow)
        self._guard(definition)
        if row.length:
            return LiveRun.load(row.id, definition, self.store.history(row.id), row.token, now)
        first = claim.messages[0]
        started = self._signed(_decoded(row.id, first), definition)
        run = LiveRun.begin(row.id, definition, started, row.token, now)
        run.seen = first.number
        if not run.parked:
            run.consumed.append(first.number)
        return run

    def _guard(self, definition: WorkflowDefinition) -> None:
        """See what the code of a run does that it must not do."""
        if self._options.guard != "off":
            warn(definition, self._options.guard)
            watch(definition)

    def _signed(self, event: Event, definition: WorkflowDefinition) -> Started:
        """Note on a start which worker and which code took it up."""
        if not isinstance(event, Started):
            raise JournalCorrupt("the inbox of a new run", f"it begins with {type(event).__name__}, not a start")
        return msgspec.structs.replace(event, code=definition.code, worker=self.name)

    # Writing.

    def _commit(self, now: datetime) -> None:
        """Write everything that was collected in one transaction, then let its effects happen."""
        turn = self._turn
        draining = self._drain_until is not None
        refusals = self.store.commit(turn.batch(now, draining=draining), microseconds(now))
        self._turn = Turn()  # only now: when the commit raises, the turn is still whole
        for run in turn.acknowledge(refusals, self.store):
            self._live[run.run_id] = run
        for start in turn.repeated:
            self._start(start)
        fenced = {refusal.run_id for refusal in refusals if refusal.why == "fenced"}
        for tell in turn.told:
            if tell.run_id in fenced:  # the run was not ours any more: its inbox takes the message
                self._turn.tells.append(tell)
            else:
                tell.done.set_result(None)
        calls: list[Attempt] = []
        refused: dict[tuple[str, str], Why] = {
            (_ASKED[refusal.why], refusal.run_id): refusal.why for refusal in refusals if refusal.why in _ASKED
        }
        for run in turn.runs():
            if run.run_id in fenced:
                self._forget(run)
                self._watches.look(run.run_id)
            else:
                calls += self._written(run, dispatch=not draining)
                for definition in run.children():
                    self._started[definition.name] = definition
                for event in run.answers(refused) if self._live.get(run.run_id) is run else ():
                    self._feed(run, event, now)
        self._dispatcher.begin(calls)
        for append in turn.parked:
            self._watches.look(append.run_id)

    def _written(self, run: LiveRun, *, dispatch: bool) -> list[Attempt]:
        """Go on with a run whose records are durable; returns the attempts to begin."""
        issued = run.committed()
        if run.outcome is not None or run.parked:
            self._forget(run)
            self._watches.look(run.run_id)
            return []
        attempts = [self._dispatcher.attempt(run, call) for call in issued] if dispatch else []
        if run.attempts:
            self._idle.pop(run.run_id, None)
        else:
            self._idle[run.run_id] = run
            self._idle.move_to_end(run.run_id)
        due = run.due()
        if due is not None and (self._claim_at is None or due < self._claim_at):
            self._claim_at = due
        return attempts

    # Letting go.

    def _evict(self) -> None:
        """Drop the runs that have been idle the longest; their journals bring them back."""
        while len(self._idle) > self._options.cache:
            run_id, run = self._idle.popitem(last=False)
            if run_id in self._turn.dirty:
                self._idle[run_id] = run
                return
            self._forget(run)

    def _forget(self, run: LiveRun) -> None:
        """Drop a run from memory: nothing is journaled, nothing dispatched."""
        for command_id in list(run.attempts):
            self._dispatcher.call_off(run, command_id)
        run.interpreter.close()
        self._idle.pop(run.run_id, None)
        if self._live.get(run.run_id) is run:
            del self._live[run.run_id]

    def _shut_down(self) -> None:
        for run in list(self._live.values()):
            self._forget(run)
        self._dispatcher.close()
        try:
            self.store.resign(self.name)
        except StoreError as error:
            _log.warning("worker %s could not resign: %s", self.name, error)

    def _refuse_all(self, trouble: BaseException) -> None:
        """Tell everyone who waits that nothing more will come."""
        self._turn.refuse_new(trouble)
        for tell in self._turn.told:
            tell.done.set_exception(trouble)
        self._watches.refuse(trouble)
        for taken in self._taken:
            _refuse(taken, trouble)
        self._refuse_inputs(trouble)

    def _refuse_inputs(self, trouble: BaseException) -> None:
        """Refuse what nobody will take in any more; called from any thread."""
        try:
            while True:
                _refuse(self._inputs.get_nowait(), trouble)
        except Empty:
            pass


def _refuse(taken: Input, trouble: BaseException) -> None:
    """Tell whoever waits for an answer, unless there is one."""
    if not isinstance(taken, (Start, Tell, Watch)) or taken.done.done():
        return
    if taken.done.set_running_or_notify_cancel():
        taken.done.set_exception(trouble)


def _decoded(run_id: str, message: Message) -> Event:
    try:
        return decode_event(message.body)
    except msgspec.MsgspecError as error:
        raise JournalCorrupt(f"message {message.number} of run {run_id!r}", str(error)) from None


def _broken(error: BaseException) -> str:
    """Say what user code did to the interpreter; its `__repr__` may be what is broken."""
    try:
        told = repr(error)
    except Exception:  # noqa: BLE001  see above
        told = type(error).__name__
    return f"the interpreter failed: {told}"


def _parked(row: RunRow, reason: str, now: datetime) -> Append:
    """Return what sets a run aside that could not be loaded."""
    return Append(
        run_id=row.id,
        token=row.token,
        index=row.length,
        records=(),
        status=Status.PARKED,
        due_us=None,
        at_us=microseconds(now),
        reason=reason,
    )
