"""The worker: one loop on one thread that owns runs and moves them.

    take what came in -> feed interpreters -> one batch -> commit -> dispatch

The order is the promise. An event is fed, its record is committed, and only then does anything happen in the outside
world because of it: calls are dispatched, and waiting callers are told, after the commit that holds them is durable.
Everything that comes in while a batch is being committed goes into the next one, so that batches grow with the load
by themselves (group commit).
"""

from __future__ import annotations

import heapq
import itertools
import logging
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import TypeAlias

import attrs
import msgspec

from interp.commands import Call
from interp.definitions import WorkflowDefinition, find_workflow, workflows
from interp.errors import (
    EngineClosed,
    InterpError,
    JournalCorrupt,
    ReplayError,
    RunEnded,
    StoreError,
    StoreFull,
    StoreReadOnly,
    UnknownRun,
)
from interp.events import (
    AttemptFailed,
    Event,
    Fired,
    Rejected,
    Resolved,
    Started,
    WorkerLost,
    decode_event,
    encode_event,
)
from interp.failures import timed_out
from interp.fibers import Issued
from interp.policies import Retry
from interp.runtime.attempts import Attempt, Completion
from interp.runtime.executors import LoopExecutor, ThreadExecutor
from interp.runtime.live import LiveRun, microseconds, moment
from interp.runtime.requests import Input, Start, Stop, Tell, Wake, Watch
from interp.store import Append, Batch, Claim, Message, Post, Refusal, RunRow, Status, Store

__all__ = ["Clock", "Worker", "WorkerOptions"]

_log = logging.getLogger("interp")

Clock: TypeAlias = Callable[[], datetime]

# Bounds of one turn: how much is taken in, and how many due runs are claimed, before a commit. More would make the
# first of them wait; fewer would waste syncs.
_MOST_INPUTS = 2_048
_MOST_CLAIMS = 512

# How long to wait before a write that found no room is tried again.
_FULL_PAUSE = timedelta(seconds=0.5)

# How long the worker is trusted without a sign, where the store cannot see it die; it gives one three times as often.
_LEASE = timedelta(seconds=30)
_LEASE_US = _LEASE // timedelta(microseconds=1)

# An idle worker looks at the store so often anyway, in case that a wake-up was lost.
_IDLE_S = 5.0


@attrs.frozen
class WorkerOptions:
    """How a worker works.

    Attributes:
        threads: How many sync activities may run at once.
        cache: How many idle runs are kept in memory; others are replayed from the journal when something happens.
        clock: Tells the time, UTC.
        chance: Gives random numbers from [0, 1), for the jitter of retries.
    """

    threads: int
    cache: int
    clock: Clock
    chance: Callable[[], float] = random.random


@attrs.define(eq=False)
class _Turn:
    """What one turn of the loop collects for its commit."""

    starts: list[tuple[Start, LiveRun | None]] = attrs.field(factory=list)
    tells: list[Tell] = attrs.field(factory=list)
    told: list[Future[None]] = attrs.field(factory=list)
    dirty: dict[str, LiveRun] = attrs.field(factory=dict)
    parked: list[Append] = attrs.field(factory=list)

    def __bool__(self) -> bool:
        return bool(self.starts or self.tells or self.dirty or self.parked)


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
        self._threads = ThreadExecutor(options.threads, self._inputs.put)
        self._loop = LoopExecutor(self._inputs.put)
        self._live: dict[str, LiveRun] = {}
        self._idle: OrderedDict[str, LiveRun] = OrderedDict()
        self._turn = _Turn()
        self._watches: dict[str, list[Future[RunRow]]] = {}
        self._deadlines: list[tuple[datetime, int, Attempt]] = []
        self._serial = itertools.count()
        self._in_flight = 0
        self._woken = True
        self._claim_at: datetime | None = None
        self._renew_at = self._clock()
        self._hold_until: datetime | None = None
        self._drain_until: datetime | None = None
        self._known: frozenset[str] = frozenset()

    # Called from other threads.

    def put(self, request: Start | Tell | Watch) -> None:
        """Hand a request in."""
        self._inputs.put(request)
        if self.trouble is not None:  # the loop has ended, perhaps without seeing the request
            self._refuse_all(self.trouble)

    def wake(self) -> None:
        """Make the worker look at the store."""
        self._inputs.put(Wake())

    def stop(self, grace_s: float) -> None:
        """Ask the worker to stop; attempts in flight get `grace_s` seconds to end."""
        self._inputs.put(Stop(grace_s))

    # The loop.

    def run(self) -> None:
        """Work until stopped. Whatever ends the loop is told to everyone who waits."""
        trouble: BaseException = EngineClosed("it was closed")
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
        for taken in self._take_inputs(self._patience()):
            self._take(taken)
        now = self._clock()
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
            self._deadlines[0][0] if self._deadlines else None,
        )
        soonest = min((moment for moment in moments if moment is not None), default=None)
        if soonest is None:
            return _IDLE_S
        return min(max((soonest - self._clock()).total_seconds(), 0.0), _IDLE_S)

    def _take(self, taken: Input) -> None:
        match taken:
            case Completion():
                self._completed(taken)
            case Start():
                self._start(taken)
            case Tell():
                self._tell(taken)
            case Watch():
                self._watches.setdefault(taken.run_id, []).append(taken.done)
                if taken.run_id not in self._live:
                    self._look(taken.run_id)
            case Wake():
                self._woken = True
            case Stop():
                self._drain_until = self._clock() + timedelta(seconds=taken.grace_s)

    def _stopped(self) -> bool:
        """Whether everything has been drained, or the time for it is over."""
        if self._drain_until is None:
            return False
        return self._clock() >= self._drain_until or not (self._in_flight or self._turn)

    # What happens to runs.

    def _feed(self, run: LiveRun, event: Event, at: datetime) -> None:
        """Move a run. Park it when its code cannot take the event; a broken run must not take the others down."""
        self._turn.dirty[run.run_id] = run
        try:
            step = run.feed(event, at)
        except ReplayError as error:
            run.parked = str(error)
        except Exception as error:  # noqa: BLE001  user code inside an interpreter may do anything
            _log.exception("run %s broke the interpreter", run.run_id)
            run.parked = f"the interpreter failed: {error!r}"
        else:
            for issued in step.withdrawn:
                self._call_off(run, issued.id)

    def _start(self, start: Start) -> None:
        """Start a run that is not there yet; the store has the last word on that when it commits."""
        run = None
        run_id = start.create.run_id
        if run_id not in self._live and all(run_id != other.create.run_id for other, _ in self._turn.starts):
            started = self._signed(start.started, start.definition)
            try:
                run = LiveRun.begin(run_id, start.definition, started, 1, self._clock())
            except InterpError as error:
                start.done.set_exception(error)
                return
            run.consumed.append(0)
            run.seen = 0
        self._turn.starts.append((start, run))

    def _completed(self, completion: Completion) -> None:
        """Record what came of an attempt, unless nobody waits for it any more."""
        attempt = completion.attempt
        run = self._live.get(attempt.run_id)
        if run is None or run.attempts.get(attempt.command_id) is not attempt:
            return
        del run.attempts[attempt.command_id]
        self._in_flight -= 1
        if completion.payload is not None:
            event = Resolved(attempt.command_id, completion.payload, attempt.number, attempt.begun)
            self._feed(run, event, self._clock())
        else:
            self._failed(run, completion)

    def _failed(self, run: LiveRun, completion: Completion) -> None:
        """Record a failure, and whether another attempt follows."""
        attempt, failure = completion.attempt, completion.failure
        assert failure is not None
        now = self._clock()
        issued = run.interpreter.pending[attempt.command_id]
        pause = None
        if failure.retryable:
            retry = _retry(issued)
            pause = retry.pause(issued.failures + 1, self._options.chance())
        event: Event
        if pause is not None:
            event = AttemptFailed(issued.id, attempt.number, failure, now + pause, attempt.begun)
        else:
            event = Rejected(issued.id, failure, completion.declared, attempt.number, attempt.begun)
        self._feed(run, event, now)

    def _expire(self, now: datetime) -> None:
        """End the attempts that have taken too long; what they still deliver is ignored."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, attempt = heapq.heappop(self._deadlines)
            run = self._live.get(attempt.run_id)
            if run is None or run.attempts.get(attempt.command_id) is not attempt:
                continue
            deadline = attempt.deadline
            if deadline is None or deadline > now:  # it was queued meanwhile: its time begins when it does
                self._limit(attempt, deadline or now + attempt.timeout)
                continue
            self._call_off(run, attempt.command_id)
            if not attempt.definition.is_async:
                self._threads.abandon()
            self._failed(run, Completion(attempt, failure=timed_out(attempt.timeout.total_seconds())))

    def _limit(self, attempt: Attempt, deadline: datetime) -> None:
        heapq.heappush(self._deadlines, (deadline, next(self._serial), attempt))

    def _call_off(self, run: LiveRun, command_id: str) -> None:
        """Tell an attempt that nobody waits for it any more."""
        attempt = run.attempts.pop(command_id, None)
        if attempt is not None:
            self._in_flight -= 1
            attempt.cancel()

    def _advance(self, run: LiveRun, now: datetime) -> None:
        """Fire the timers of a run that are due, and free the calls whose pause is over."""
        self._turn.dirty[run.run_id] = run
        while run.outcome is None and not run.parked:
            command_id = run.interpreter.due_timer(now)
            if command_id is None:
                run.ready_calls(now)
                return
            self._feed(run, Fired(command_id), now)

    # Messages.

    def _tell(self, tell: Tell) -> None:
        """Send a message: straight into the journal when the run is here, else into its inbox."""
        run = self._live.get(tell.run_id)
        if run is None or run.outcome is not None or run.parked:
            self._turn.tells.append(tell)
        else:
            self._feed(run, tell.event, self._clock())
            self._turn.told.append(tell.done)

    def _read(self, run: LiveRun, messages: Iterable[Message], now: datetime) -> None:
        """Take the messages in that were not taken in yet."""
        for message in messages:
            if message.number > run.seen and run.outcome is None and not run.parked:
                run.seen = message.number
                run.consumed.append(message.number)
                self._feed(run, _decoded(run.run_id, message), now)

    # Claiming and loading.

    def _renew(self, now: datetime) -> None:
        if now >= self._renew_at:
            self.store.renew(self.name, microseconds(now), _LEASE_US)
            self._renew_at = now + _LEASE / 3

    def _claim(self, now: datetime) -> None:
        """Take the runs that are due, and look after those who watch runs of other workers."""
        registered = workflows()
        if len(registered) != len(self._known):
            self._known = frozenset(registered)
        if self._drain_until is None:
            due = self.store.claim(self.name, _MOST_CLAIMS, microseconds(now), _LEASE_US, self._known)
            self._claim_at = None if due.next_us is None else moment(due.next_us)
            for claim in due.claims:
                self._claimed(claim, now)
        self._woken = False
        for run_id in [run_id for run_id in self._watches if run_id not in self._live]:
            self._look(run_id)

    def _claimed(self, claim: Claim, now: datetime) -> None:
        row = claim.run
        run = self._live.get(row.id)
        if run is not None and run.token != row.token:
            self._forget(run)  # it was lost and has come back: what is in memory is stale
            run = None
        if run is None:
            try:
                run = self._loaded(claim, now)
            except Exception as error:  # noqa: BLE001  a broken run must not take the others down
                unexpected = not isinstance(error, InterpError)
                _log.error("run %s is parked: %s", row.id, error, exc_info=unexpected)
                self._turn.parked.append(_parked(row, str(error) or repr(error), now))
                return
            self._live[row.id] = run
            if claim.lost and row.status is Status.RUNNING and run.calls:
                self._feed(run, WorkerLost(claim.lost, self.name, run.definition.code), now)
        self._read(run, claim.messages, now)
        self._advance(run, now)

    def _loaded(self, claim: Claim, now: datetime) -> LiveRun:
        """Bring a claimed run to life."""
        row = claim.run
        definition = find_workflow(row.workflow)
        if row.length:
            return LiveRun.load(row.id, definition, self.store.history(row.id), row.token, now)
        first = claim.messages[0]
        started = self._signed(_decoded(row.id, first), definition)
        run = LiveRun.begin(row.id, definition, started, row.token, now)
        run.seen = first.number
        run.consumed.append(first.number)
        return run

    def _signed(self, event: Event, definition: WorkflowDefinition) -> Started:
        """Note on a start which worker and which code took it up."""
        if not isinstance(event, Started):
            raise JournalCorrupt("the inbox of a new run", f"it begins with {type(event).__name__}, not a start")
        return msgspec.structs.replace(event, code=definition.code, worker=self.name)

    # Writing.

    def _commit(self, now: datetime) -> None:
        """Write everything that was collected in one transaction, then let its effects happen."""
        turn, self._turn = self._turn, _Turn()
        draining = self._drain_until is not None
        begun = [run for _, run in turn.starts if run is not None]
        appends = [run.append(now, draining=draining) for run in itertools.chain(begun, turn.dirty.values())]
        batch = Batch(
            creates=[start.create for start, run in turn.starts],
            posts=[Post(tell.run_id, encode_event(tell.event)) for tell in turn.tells],
            appends=appends + turn.parked,
        )
        try:
            refusals = self.store.commit(batch, microseconds(now))
        except BaseException as error:
            self._not_written(turn, error)
            raise
        calls: list[Attempt] = []
        fenced = {refusal.run_id for refusal in refusals if refusal.why == "fenced"}
        self._acknowledge(turn, refusals)
        for run in itertools.chain(begun, turn.dirty.values()):
            if run.run_id in fenced:
                self._forget(run)
            else:
                calls += self._written(run, dispatch=not draining)
        self._dispatch(calls)
        for append in turn.parked:
            self._look(append.run_id)

    def _not_written(self, turn: _Turn, error: BaseException) -> None:
        """Refuse what is new; keep what has happened, for the next try."""
        for start, run in turn.starts:
            start.done.set_exception(error)
            if run is not None:
                run.interpreter.close()
        for tell in turn.tells:
            tell.done.set_exception(error)
        self._turn.dirty = turn.dirty
        self._turn.told = turn.told
        self._turn.parked = turn.parked

    def _acknowledge(self, turn: _Turn, refusals: list[Refusal]) -> None:
        """Tell those who asked for something that it is durable, or why it is not."""
        why = {refusal.run_id: refusal.why for refusal in refusals if refusal.why in ("exists", "differs")}
        for start, run in turn.starts:
            refused = why.get(start.create.run_id)
            if run is not None and refused is None:
                self._live[run.run_id] = run
            start.done.set_result(refused if run is not None or refused is not None else "exists")
        gone = {refusal.run_id: refusal.why for refusal in refusals if refusal.why in ("unknown", "ended")}
        for tell in turn.tells:
            if tell.run_id not in gone:
                tell.done.set_result(None)
            elif gone[tell.run_id] == "unknown":
                tell.done.set_exception(UnknownRun(tell.run_id, self.store.url))
            else:
                row = self.store.run(tell.run_id)
                tell.done.set_exception(RunEnded(tell.run_id, row.status if row else "gone"))
        for done in turn.told:
            done.set_result(None)

    def _written(self, run: LiveRun, *, dispatch: bool) -> list[Attempt]:
        """Go on with a run whose records are durable; returns the attempts to begin."""
        issued = run.committed()
        if run.outcome is not None or run.parked:
            self._forget(run)
            self._look(run.run_id)
            return []
        attempts = [self._attempt(run, call) for call in issued] if dispatch else []
        if run.attempts:
            self._idle.pop(run.run_id, None)
        else:
            self._idle[run.run_id] = run
            self._idle.move_to_end(run.run_id)
        due = run.due()
        if due is not None and (self._claim_at is None or due < self._claim_at):
            self._claim_at = due
        return attempts

    def _attempt(self, run: LiveRun, issued: Issued) -> Attempt:
        definition = issued.definition
        assert definition is not None
        attempt = Attempt(run.run_id, issued.id, issued.attempt, definition, issued.record.payload)
        timeout = _timeout(issued)
        if timeout is not None:
            attempt.timeout = timeout
            self._limit(attempt, self._clock() + timeout)
        run.attempts[issued.id] = attempt
        self._in_flight += 1
        return attempt

    def _dispatch(self, attempts: list[Attempt]) -> None:
        on_threads = [attempt for attempt in attempts if not attempt.definition.is_async]
        if on_threads:
            self._threads.submit(on_threads)
        if len(on_threads) < len(attempts):
            self._loop.submit(attempt for attempt in attempts if attempt.definition.is_async)

    # Letting go.

    def _look(self, run_id: str) -> None:
        """Tell those who watch a run that is not here, if it has ended or is parked."""
        if run_id not in self._watches:
            return
        row = self.store.run(run_id)
        if row is None:
            for done in self._watches.pop(run_id):
                done.set_exception(UnknownRun(run_id, self.store.url))
        elif row.status.ended or row.status is Status.PARKED:
            for done in self._watches.pop(run_id):
                done.set_result(row)

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
            self._call_off(run, command_id)
        run.interpreter.close()
        self._idle.pop(run.run_id, None)
        if self._live.get(run.run_id) is run:
            del self._live[run.run_id]

    def _shut_down(self) -> None:
        for run in list(self._live.values()):
            self._forget(run)
        self._threads.close()
        self._loop.close()
        try:
            self.store.resign(self.name)
        except StoreError as error:
            _log.warning("worker %s could not resign: %s", self.name, error)

    def _refuse_all(self, trouble: BaseException) -> None:
        """Tell everyone who waits that nothing more will come."""
        turn, self._turn = self._turn, _Turn()
        self._not_written(turn, trouble)
        self._turn.told = []
        watches, self._watches = self._watches, {}
        for told in turn.told:
            told.set_exception(trouble)
        for watch in itertools.chain(*watches.values()):
            watch.set_exception(trouble)
        try:
            while True:
                taken = self._inputs.get_nowait()
                if isinstance(taken, (Start, Tell, Watch)):
                    taken.done.set_exception(trouble)
        except Empty:
            pass


def _retry(issued: Issued) -> Retry:
    call = issued.command
    assert isinstance(call, Call) and issued.definition is not None
    return call.with_options.retry or issued.definition.retry


def _timeout(issued: Issued) -> timedelta | None:
    call = issued.command
    assert isinstance(call, Call) and issued.definition is not None
    return call.with_options.timeout or issued.definition.timeout


def _decoded(run_id: str, message: Message) -> Event:
    try:
        return decode_event(message.body)
    except msgspec.MsgspecError as error:
        raise JournalCorrupt(f"message {message.number} of run {run_id!r}", str(error)) from None


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
