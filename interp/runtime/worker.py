"""The worker: one loop that owns runs and moves them.

    take what came in -> feed interpreters -> one batch -> commit -> dispatch

One such round is a turn, and one thread at a time gives it: the worker's own, or that of an activity which has just
ended while nothing else was in flight (`_turn_here`).

The order is the promise. An event is fed, its record is committed, and only then does anything happen in the outside
world because of it: calls are dispatched, and waiting callers are told, after the commit that holds them is durable.
Everything that comes in while a batch is being committed goes into the next one, so that batches grow with the load
by themselves (group commit).
"""

from __future__ import annotations

import logging
import math
import random
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextvars import Context, copy_context
from datetime import datetime, timedelta
from typing import TypeAlias

import attrs
import msgspec

from interp.asking import Answer
from interp.budget import HistoryBudget
from interp.definitions import WorkflowDefinition, find_workflow, workflows
from interp.errors import (
    EngineClosed,
    InterpError,
    JournalCorrupt,
    PayloadLocked,
    ReplayError,
    StoreError,
    StoreFull,
    StoreReadOnly,
    TryAgain,
    UsageError,
)
from interp.events import Asked, ChildEnded, Event, Fired, Heartbeat, Outgrown, Started, WorkerLost
from interp.runtime.asking import ANSWERED_BEFORE_THE_FORK, has_answer, objection
from interp.runtime.attempts import Attempt, Beat, Completion, Deliver, Told, later
from interp.runtime.capture import Capture, capturing
from interp.runtime.claims import left_append, message_event, parked_append, start_among
from interp.runtime.dispatcher import Dispatcher
from interp.runtime.ended import Found, ended_here
from interp.runtime.executors import Executor, Executors, is_spare
from interp.runtime.guard import GuardMode, enter, watch
from interp.runtime.inbox import Inbox
from interp.runtime.live import LiveRun, microseconds, moment
from interp.runtime.requests import Input, Look, Nudge, Start, Stop, Tell, Wake
from interp.runtime.streams import Bell
from interp.runtime.transacting import ADVICE, LONG_S, Holding, Performance, Stage, broken, refused
from interp.runtime.turn import Turn
from interp.runtime.verdicts import poison, refusal, verdict
from interp.runtime.vetting import warn
from interp.runtime.watches import Watches
from interp.store import GOING_ON, Batch, Claim, Create, Message, Refusal, RunRow, Status, Store, Transactional, Why
from interp.tables import is_open_here

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

# When a worker looks again at a run whose values it cannot read, if no other has taken it by then.
_LOCKED_PAUSE = timedelta(seconds=30)

# How long to wait before a write that found no room is tried again.
_FULL_PAUSE = timedelta(seconds=0.5)

# How long the worker is trusted without a sign, where the store cannot see it die; it gives one three times as often.
_LEASE = timedelta(seconds=30)
_LEASE_US = _LEASE // timedelta(microseconds=1)

# Which kind of command hears of a refusal. `exists` is no refusal: a child that was made before is the same child.
_ASKED: dict[Why, str] = {"differs": "child", "unknown": "send", "ended": "send"}

# How long the thread of an activity waits for another one's turn to end, before it leaves its completion to that one.
_PATIENT_S = 0.005

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
        budget: How long a history may grow before it is told.
        stopwatch: Tells seconds that have passed since some moment: what replays are measured with.
        capture_logs: The lowest level of log lines that are kept with their run; None for none.
        guard: What happens when a workflow does what it must not do.
        executor: Makes what runs the activities, out of the number of threads and what takes their ends.
    """

    threads: int
    cache: int
    clock: Clock
    poison_after: int | None = None
    chance: Callable[[], float] = random.random
    budget: HistoryBudget = attrs.field(factory=HistoryBudget)
    stopwatch: Callable[[], float] = time.perf_counter
    capture_logs: int | None = None
    guard: GuardMode = "warn"
    executor: Callable[[int, Deliver], Executor] = Executors


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
        self.ready = threading.Event()  # the store knows that it lives, or it has ended
        self.bell = Bell()
        self._options = options
        self._clock = options.clock
        self._inbox: Inbox[Input] = Inbox()
        self._taken: deque[Input] = deque()
        self._dispatcher = Dispatcher(
            options.threads, self._deliver, options.clock, options.capture_logs, options.executor
        )
        self._long = sys.maxsize if options.budget.records is None else options.budget.records
        self._capture = None if options.capture_logs is None else Capture(options.capture_logs)
        self._live: dict[str, LiveRun] = {}
        self._idle: OrderedDict[str, LiveRun] = OrderedDict()
        self._turn = Turn()
        self._watches = Watches(store, name)
        self._woken = True
        self._claim_at: datetime | None = None
        self._renew_at = self._clock()
        self._hold_until: datetime | None = None
        self._drain_until: datetime | None = None
        self._thread: int | None = None  # which gives a turn just now
        self._turning = threading.Lock()
        self._planned: datetime | None = None
        self._lost: BaseException | None = None
        self._workplace: Context | None = None
        self._stage: Stage | None = None
        self._warned: Holding | None = None
        # What was started here by its function is meant, where the name alone would not say.
        self._started: dict[str, WorkflowDefinition] = {}

    # Called from other threads.

    def put(self, request: Start | Tell) -> None:
        """Hand a request in.

        Raises:
            UsageError: By a workflow, which runs on the very thread that would have to answer it.
        """
        self._check_caller()
        self._inbox.put(request)
        if self.trouble is not None:  # the loop has ended, perhaps without seeing the request
            self._refuse_inputs(self.trouble)

    def watch(self, run_id: str) -> Future[Found]:
        """Wait for a run; returns what is told when it has ended or is parked.

        The caller is entered on its own thread. Whoever ends a run that is in memory looks for it afterwards; only of
        others the worker is asked. That asking, and the wake-up for it, was a tenth of the time of a run of one step.

        Raises:
            UsageError: As for `put`.
        """
        self._check_caller()
        watch = self._watches.add(run_id)
        if run_id not in self._live:
            self._inbox.put(Look(run_id))
        if self.trouble is not None:
            self._watches.refuse(self.trouble)
        return watch

    def ended(self, run_id: str) -> Found | None:
        """Tell of a run that has ended or is parked; None for any other, and when this worker has ended.

        One that is in memory has not ended, as far as this worker knows, and `watch` hears of it. Of those that have
        completed here lately the end is known; others are looked up in the store, on the caller's thread: the way to
        the worker's and back takes ten times as long (160 us against 15).

        Raises:
            UsageError: As for `put`.
        """
        self._check_caller()
        if self.trouble is not None or run_id in self._live:
            return None
        completed = self._watches.completed(run_id)
        if completed is not None:
            return completed
        try:
            row = self.store.run(run_id)
        except UsageError:
            if self.trouble is None:
                raise
            return None  # the store was closed in this moment
        return row if row is not None and (row.status.ended or row.status is Status.PARKED) else None

    def _check_caller(self) -> None:
        """Refuse those whom an answer could never reach."""
        if threading.get_ident() == self._thread:
            raise UsageError(
                "a workflow cannot ask its own engine for anything: it would wait for itself\n"
                "  Do it in an activity: `yield from call(...)`."
            )
        if is_open_here():
            raise UsageError(
                "inside a transaction an engine cannot be asked for anything: it would wait for the transaction's end\n"
                "  Do it before or after the transaction."
            )

    def wake(self) -> None:
        """Make the worker look at the store."""
        self._inbox.put(Wake())

    def warn(self) -> None:
        """Tell of a function that holds the write lock right now, once; what hangs would never be told about else."""
        holding = None if self._stage is None else self._stage.holding
        if holding is not None and holding is not self._warned and holding.lasted_s > LONG_S:
            self._warned = holding
            _log.warning("%s holds the write lock of %s for %.0f ms already\n%s", *self._cost(holding))

    def _cost(self, holding: Holding) -> tuple[object, ...]:
        return holding.told, self.store.url, holding.lasted_s * 1_000, ADVICE

    def stop(self, grace_s: float) -> None:
        """Ask the worker to stop; attempts in flight get `grace_s` seconds to end."""
        self._inbox.put(Stop(grace_s))

    # The loop.

    def run(self) -> None:
        """Work until stopped. Whatever ends the loop is told to everyone who waits."""
        trouble: BaseException = EngineClosed(CLOSED)
        patience_s: float | None = 0.0
        try:
            self.begin()
            while patience_s is not None:
                is_called = self._inbox.wait(patience_s)
                with self._turning:
                    self._woken = self._woken or (patience_s == _IDLE_S and not is_called)
                    patience_s = self._turn_and_plan()
                self.ready.set()
        except BaseException as error:  # noqa: BLE001  handed to all who wait
            trouble = error
            _log.critical("worker %s stops: %s", self.name, error, exc_info=not isinstance(error, StoreError))
        self.end(trouble)

    # What `run` is made of, for whoever gives the turns himself: a test in virtual time.

    def begin(self) -> None:
        """Make ready for the first turn, on the worker's own thread."""
        capturing.set(self._capture)  # for this thread alone
        enter(self._options.guard)
        self._workplace = copy_context()
        self.store.register(self.name)

    def end(self, trouble: BaseException) -> None:
        """Drop everything after the last turn, and tell those who wait why nothing more will come."""
        self._turning.acquire()  # for good
        try:
            self._shut_down()
        except Exception:  # noqa: BLE001  the loop is over; those who wait are told why it ended, not how the tidying went
            _log.exception("worker %s did not shut down cleanly", self.name)
        finally:
            self.trouble = trouble
            self.ready.set()
            self._refuse_all(trouble)

    def turn(self, *more: Input) -> None:
        """Do one turn: take what came in, move the runs, commit, and let happen what follows.

        Args:
            *more: What came in just now, on this thread.
        """
        self._thread = threading.get_ident()
        try:
            self._taken += self._inbox.take(_MOST_INPUTS)
            self._taken += more
            self._move(self._clock())
        finally:
            self._thread = None

    def _turn_and_plan(self) -> float | None:
        """Do a turn; returns for how many seconds to wait for the next one if nothing comes in, None for ever."""
        if self._lost is not None:
            raise self._lost
        self.turn()
        self._planned = self.next_moment
        return None if self._stopped() else min(self._patience(), self._dispatcher.grow())

    def _deliver(self, told: Completion | Beat | Told) -> None:
        """Take what an attempt tells; called on its thread."""
        is_alone = isinstance(told, Completion) and self._dispatcher.in_flight == 1 and is_spare()
        if not (is_alone and self._turn_here(told)):
            self._inbox.put(told)

    def _turn_here(self, completion: Input) -> bool:
        """Do a turn on the thread of an activity that has ended, when nothing else is in flight.

        So a chain of calls stays on one thread, and the worker's own sleeps on. Handing over between two threads and
        back costs four wake-ups by the kernel. With more in flight the worker's thread takes many ends at once.

        Returns:
            Whether the turn was done; not if somebody else is at it for long.
        """
        if not self._turning.acquire(timeout=_PATIENT_S):
            return False
        try:
            if self._lost is not None or self._workplace is None:
                return False
            self._workplace.run(self.turn, completion)
            is_due = self.next_moment != self._planned or self.has_work or self._drain_until is not None
            if is_due or self._dispatcher.grow() is not math.inf:
                self._inbox.put(Nudge())
        except BaseException as error:  # noqa: BLE001  the worker's own thread raises it
            self._lost = error
            self._inbox.put(Nudge())
        finally:
            self._turning.release()
        return True

    def _move(self, now: datetime) -> None:
        while self._taken:
            self._take(self._taken[0], now)
            self._taken.popleft()
        if self._dispatcher.has_moments:
            self._record_beats(now)
            self._expire(now)
        if self._hold_until is not None and now < self._hold_until:
            return
        self._hold_until = None
        try:
            if now >= self._renew_at:
                self._renew(now)
            if self._woken or (self._claim_at is not None and self._claim_at <= now):
                self._claim(now)
            if self._turn:
                self._commit(now)
        except TryAgain as error:
            _log.info("%s", error)
        except (StoreFull, StoreReadOnly) as error:
            _log.warning("%s", error)
            self._turn.refuse_new(error)
            self._hold_until = now + _FULL_PAUSE
        self._evict()

    def _patience(self) -> float:
        """How long nothing has to be done unless something comes in, in seconds."""
        if self.has_work:
            return 0.0
        soonest = self.next_moment
        if soonest is None:
            return _IDLE_S
        return min(max((soonest - self._clock()).total_seconds(), 0.0), _IDLE_S)

    @property
    def has_work(self) -> bool:
        """Whether there is something to do now, even if nothing has come in."""
        return self._hold_until is None and (self._woken or bool(self._turn))

    @property
    def next_moment(self) -> datetime | None:
        """When there will be something to do, even if nothing comes in; None for never."""
        soonest = self._dispatcher.next_deadline
        for other in (self._claim_at if self._hold_until is None else self._hold_until, self._drain_until):
            if other is not None and (soonest is None or other < soonest):
                soonest = other
        return soonest

    def _take(self, taken: Input, now: datetime) -> None:
        match taken:
            case Completion():
                self._completed(taken, now)
            case Beat():
                self._dispatcher.beaten(taken.attempt)
            case Told():
                self._emitted(taken)
            case Start():
                self._start(taken, now)
            case Tell():
                self._tell(taken, now)
            case Look():
                self._watches.look(taken.run_id)
            case Wake():
                self._woken = True
            case Nudge():
                pass
            case Stop():
                self._drain_until = now + timedelta(seconds=taken.grace_s)

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
            run.parked = broken(error)
        else:
            for issued in step.withdrawn:
                self._dispatcher.call_off(run, issued.id)
            if run.misfit:
                _log.error("run %s is parked: %s", run.run_id, run.parked)
            if run.interpreter.length >= self._long:
                self._check_length(run, at)
        if self._capture is not None:
            self._keep_lines(run)
        return not run.parked or run.took_in

    def _check_length(self, run: LiveRun, at: datetime) -> None:
        if self._options.budget.has_outgrown(run.interpreter.length, run.interpreter.told_records):
            self._tell_growth(run, timedelta(0), at)

    def _tell_growth(self, run: LiveRun, replay: timedelta, at: datetime) -> None:
        """Log and record that a history is long, or its replay slow."""
        if run.outcome is not None or run.parked:
            return
        records = run.interpreter.length
        took = f", whose replay took {replay.total_seconds():.1f} s" if replay else ""
        _log.warning(
            "run %s of %s has a history of %s records%s: it is replayed whole whenever the run comes back to memory\n"
            "Let the workflow begin a fresh one now and then: `yield continue_as(...)`, docs/how-to/long-lives.md",
            run.run_id,
            run.definition.name,
            f"{records:,}",
            took,
        )
        self._feed(run, Outgrown(records, replay // timedelta(microseconds=1)), at)

    def _keep_lines(self, run: LiveRun) -> None:
        """Write what the workflow has just logged with the record of its step."""
        if self._capture is not None:
            run.emits += self._capture.taken(run.run_id, run.round)

    def _start(self, start: Start, now: datetime) -> None:
        """Start a run that is not there yet; the store has the last word on that when it commits."""
        run_id = start.create.run_id
        if run_id in self._turn.starts:
            self._turn.repeated.append(start)
            return
        if run_id in self._live:
            start.done.set_result(self._compared(start.create))
            return
        if self._started.get(start.definition.name) is not start.definition:
            self._guard(start.definition)
            self._started[start.definition.name] = start.definition
        started = self._signed(start.started, start.definition)
        try:
            run = LiveRun.begin(run_id, start.definition, started, 1, now)
        except BaseException as error:  # noqa: BLE001  user code may do anything; the caller hears of it
            start.done.set_exception(error if isinstance(error, Exception) else RuntimeError(broken(error)))
            return
        run.begun_by = 0
        if run.took_in:
            run.consumed.append(0)
        self._keep_lines(run)
        self._turn.starts[run_id] = (start, run)

    def _compared(self, create: Create) -> Why:
        """Tell why a run that is here already cannot be created."""
        row = self.store.run(create.run_id)
        return "exists" if row is not None and create.is_same(row.workflow, row.digest) else "differs"

    def _completed(self, completion: Completion, now: datetime) -> None:
        """Record what came of an attempt, unless nobody waits for it any more."""
        attempt = completion.attempt
        run = self._live.get(attempt.run_id)
        if run is None or not self._dispatcher.ended(run, attempt):
            return
        self._conclude(run, completion, now)

    def _emitted(self, told: Told) -> None:
        """Take an item of an attempt, unless nobody waits for that any more."""
        attempt = told.attempt
        run = self._live.get(attempt.run_id)
        if run is not None and not run.parked and run.attempts.get(attempt.command_id) is attempt:
            run.told.append(told.emit)
            self._turn.telling[run.run_id] = run

    def _conclude(self, run: LiveRun, completion: Completion, now: datetime) -> None:
        """Record what follows from the end of an attempt: the result, the failure, or that another attempt follows."""
        issued = run.interpreter.pending[completion.attempt.command_id]
        for event in verdict(issued, completion, now, self._options.chance):
            self._feed(run, event, now)

    def _expire(self, now: datetime) -> None:
        """Record the attempts that have taken too long as failed."""
        for run, completion in self._dispatcher.overdue(now, self._live):
            self._conclude(run, completion, now)

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

    def _tell(self, tell: Tell, now: datetime) -> None:
        """Send a message: straight into the journal when the run is here, else into its inbox."""
        run = self._live.get(tell.run_id)
        if run is not None and self._told(run, tell.event, now):
            self._turn.told.append(tell)
        else:
            self._turn.tells.append(tell)

    def _told(self, run: LiveRun, event: Event, now: datetime) -> bool:
        """Feed a message to a run that is here, after those that came to its inbox before."""
        try:
            self._read(run, self.store.inbox(run.run_id), now)
        except PayloadLocked:
            return False  # so that it keeps its place behind those that cannot be read here
        if run.outcome is not None or run.parked:
            return False
        return self._is_settled(run, event, now) or self._feed(run, event, now)

    def _is_settled(self, run: LiveRun, event: Event, now: datetime) -> bool:
        """Whether a message needs no record: nobody waits for it any more, or it is refused, or came before."""
        if isinstance(event, ChildEnded):
            return not run.awaits(event)
        if not isinstance(event, Asked) or event.again:
            return False
        self._turn.dirty[run.run_id] = run
        is_answered = run.has_answered(event.id) or has_answer(self.store, run.run_id, event.id)
        if is_answered or run.interpreter.owes(event.id):
            return True
        # Taken over by a fork together with its reply, which is an item of the other run's streams.
        before = event.id in run.interpreter.asked
        reason = ANSWERED_BEFORE_THE_FORK if before else objection(run.interpreter, event)
        if reason:
            run.answer(event.id, Answer.refusal(reason), now)
        return bool(reason)

    def _read(self, run: LiveRun, messages: Iterable[Message], now: datetime) -> None:
        """Take the messages in that were not taken in yet."""
        for message in messages:
            is_new = message.number > run.seen and message.number != run.begun_by
            if is_new and run.outcome is None and not run.parked:
                try:
                    event = message_event(run.run_id, message)
                except JournalCorrupt as error:
                    run.parked = str(error)
                    return
                run.seen = message.number
                if self._is_settled(run, event, now) or self._feed(run, event, now):
                    run.consumed.append(message.number)

    # Claiming and loading.

    def _renew(self, now: datetime) -> None:
        """Give a sign of life."""
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
                try:
                    self._claimed(claim, now)
                except PayloadLocked as error:
                    self._leave(claim.run, error, now)
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
            begun_s = self._options.stopwatch()
            try:
                run = self._loaded(claim, now)
            except BaseException as error:
                if isinstance(error, StoreError) and not isinstance(error, JournalCorrupt):
                    raise
                unexpected = not isinstance(error, InterpError)
                reason = broken(error) if unexpected else str(error)
                _log.error("run %s is parked: %s", row.id, reason, exc_info=unexpected)
                self._turn.parked.append(parked_append(row, reason, now, misfit=isinstance(error, ReplayError)))
                return
            replay = timedelta(seconds=self._options.stopwatch() - begun_s)
            self._live[row.id] = run
            # Also when nobody is known to be lost: a run that was parked had its attempts under way, too.
            if row.length and row.status is Status.RUNNING and run.calls:
                self._feed(run, WorkerLost(claim.lost or "", self.name, run.definition.code), now)
                run.parked = run.parked or poison(run.interpreter, self._options.poison_after)
            if row.length and self._options.budget.is_too_slow(replay, run.interpreter.told_replay):
                self._tell_growth(run, replay, now)
        self._read(run, claim.messages, now)
        self._advance(run, now)

    def _leave(self, row: RunRow, error: PayloadLocked, now: datetime) -> None:
        """Leave a run whose values cannot be read here to workers that have the key; nothing of it changes."""
        _log.error("run %s is left to other workers: %s", row.id, error)
        run = self._live.get(row.id)
        if run is not None:
            self._turn.dirty.pop(row.id, None)
            self._turn.tells += [tell for tell in self._turn.told if tell.run_id == row.id]
            self._turn.told = [tell for tell in self._turn.told if tell.run_id != row.id]
            self._forget(run)
        self._turn.parked.append(left_append(row, later(now, _LOCKED_PAUSE)))

    def _loaded(self, claim: Claim, now: datetime) -> LiveRun:
        """Bring a claimed run to life."""
        row = claim.run
        definition = self._started.get(row.workflow) or find_workflow(row.workflow)
        self._guard(definition)
        if row.length:
            return LiveRun.load(row.id, definition, self.store.history(row.id), row.token, now)
        number, started = start_among(claim)
        run = LiveRun.begin(row.id, definition, self._signed(started, definition), row.token, now)
        run.begun_by = number
        if run.took_in:
            run.consumed.append(number)
        self._keep_lines(run)
        return run

    def _guard(self, definition: WorkflowDefinition) -> None:
        """See what the code of a run does that it must not do."""
        if self._options.guard != "off":
            warn(definition, self._options.guard)
            watch(definition)

    def _signed(self, event: Started, definition: WorkflowDefinition) -> Started:
        """Note on a start which worker and which code took it up."""
        return msgspec.structs.replace(event, code=definition.code, worker=self.name)

    # Writing.

    def _commit(self, now: datetime) -> None:
        """Write everything that was collected in one transaction, then let its effects happen."""
        turn = self._turn
        draining = self._drain_until is not None
        refusals = self._store_turn(turn, now, draining=draining)
        now = self._clock()  # transacts moved their runs meanwhile: no record may be older than the one before it
        self._turn.ready |= turn.ready  # what was left for the next commit
        for run in turn.acknowledge(refusals, self.store):
            self._live[run.run_id] = run
        for start in turn.repeated:
            self._start(start, now)
        fenced = {refusal.run_id for refusal in refusals if refusal.why == "fenced"} if refusals else ()
        for tell in turn.told:
            if tell.run_id in fenced:  # the run was not ours any more: its inbox takes the message
                self._turn.tells.append(tell)
            else:
                tell.done.set_result(None)
        refused = _by_what_was_asked(refusals) if refusals else {}
        calls: list[Attempt] = []
        for run in turn.runs():
            if run.run_id in fenced:
                self._forget(run)
                self._watches.look(run.run_id)
            else:
                calls += self._written(run, now, dispatch=not draining)
                if run.asked:
                    self._answer(run, refused, now)
        for run in turn.performed:  # fed by nobody here
            if self._live.get(run.run_id) is run:
                self._check_length(run, now)
        self._dispatcher.begin(calls)
        for run in turn.telling.values():
            run.told = []
            if run.run_id in fenced and run.run_id not in turn.dirty:
                self._forget(run)
        for append in turn.parked:
            self._watches.look(append.run_id)

    def _store_turn(self, turn: Turn, now: datetime, *, draining: bool) -> list[Refusal]:
        """Commit a turn, with the transacts that are ready performed in it; the turn stays whole when that raises."""
        performances = self._performances(turn, now, draining=draining) if turn.ready else []
        now_us = microseconds(now)
        transacts = [performance.entry() for performance in performances]
        batch = turn.batch(now_us, self.name, transacts, draining=draining)
        try:
            refusals = self.store.commit(batch, now_us)
        except (StoreFull, StoreReadOnly, TryAgain):
            for performance in performances:
                performance.undo()
                if performance.run.parked:
                    turn.dirty[performance.run.run_id] = performance.run
            raise
        self._turn = Turn()
        self._heed(batch)
        fenced = {refusal.run_id for refusal in refusals if refusal.why == "fenced"} if performances else ()
        for performance in performances:
            run = performance.run
            if performance.is_over or run.run_id in fenced:
                for issued in performance.settle():
                    self._dispatcher.call_off(run, issued.id)
                turn.dirty[run.run_id] = run
                turn.performed.append(run)
                del turn.ready[run.run_id]
        return refusals

    def _heed(self, batch: Batch) -> None:
        """Do what others do who hear of a batch: the store does not tell its own worker."""
        is_heard = bool(batch.transacts or batch.emissions)  # by readers of streams, or of the ends of runs
        is_due = bool(batch.transacts or batch.posts)
        for append in batch.appends:
            if append.emits or append.restart or append.status not in GOING_ON:
                is_heard = True
            if append.creates or append.posts or append.release:
                is_due = True
        if is_heard:
            self.bell.ring()
        self._woken = self._woken or is_due

    def _performances(self, turn: Turn, now: datetime, *, draining: bool) -> list[Performance]:
        """Prepare the transacts that are ready, for this commit."""
        self._refuse_transacts(turn, now)
        self._stage = stage = Stage(self.store, self._clock, self._capture, draining=draining)
        turn.ready = {run_id: run for run_id, run in turn.ready.items() if run.can_perform}
        return [Performance(run, stage) for run in turn.ready.values()]

    def _refuse_transacts(self, turn: Turn, now: datetime) -> None:
        """Fail the transacts that the store cannot perform, whose author meant another one."""
        if not isinstance(self.store, Transactional):
            for run in turn.ready.values():
                for issued in run.transacts[:]:
                    if issued in run.transacts:  # not withdrawn by the failure of another
                        run.transacts.remove(issued)
                        self._feed(run, refused(issued, self.store), now)

    def _answer(self, run: LiveRun, refused: Mapping[tuple[str, str], Why], now: datetime) -> None:
        """Tell a run what came of what it asked of the store."""
        for definition in run.children():
            self._started[definition.name] = definition
        for event in run.answers(refused) if self._live.get(run.run_id) is run else ():
            self._feed(run, event, now)

    def _written(self, run: LiveRun, now: datetime, *, dispatch: bool) -> list[Attempt]:
        """Go on with a run whose records are durable; returns the attempts to begin."""
        issued = run.committed()
        if run.interpreter.outcome is not None or run.parked:
            self._forget(run)
            self._watches.tell(run.run_id, ended_here(run))
            return []
        attempts: list[Attempt] = []
        if dispatch:
            for call in issued:
                attempts.append(self._dispatcher.attempt(run, call, now))  # noqa: PERF401  a comprehension is a call
        run.left = run.left or (bool(issued) and not dispatch)
        if run.transacts and dispatch:
            self._turn.ready[run.run_id] = run
        if run.attempts or run.transacts:
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
        if self._turn.ready.get(run.run_id) is run:
            del self._turn.ready[run.run_id]
        if self._live.get(run.run_id) is run:
            del self._live[run.run_id]
        if self._turn.telling.get(run.run_id) is run:  # the run has come back in this turn: its owner is another one
            del self._turn.telling[run.run_id]

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
        for taken in self._inbox.take(sys.maxsize):
            _refuse(taken, trouble)


def _by_what_was_asked(refusals: Iterable[Refusal]) -> dict[tuple[str, str], Why]:
    """Return why something was refused, by the kind of the command that asked for it and the run that it asked."""
    return {(_ASKED[refusal.why], refusal.run_id): refusal.why for refusal in refusals if refusal.why in _ASKED}


def _refuse(taken: Input, trouble: BaseException) -> None:
    """Tell whoever waits for an answer, unless there is one."""
    if isinstance(taken, (Start, Tell)) and not taken.done.done:
        taken.done.set_exception(trouble)
