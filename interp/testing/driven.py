"""The production worker without its thread: a test gives it its turns, and lets time jump to what happens next."""

from __future__ import annotations

import contextvars
import heapq
import itertools
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime, timedelta

from interp.commands import AwaitSignal, Call, Child
from interp.definitions import find_workflow
from interp.errors import EngineClosed, UsageError
from interp.fibers import Issued
from interp.runtime.ended import Found
from interp.runtime.live import LiveRun
from interp.runtime.requests import Start, Tell
from interp.runtime.streams import Bell
from interp.runtime.worker import CLOSED, Worker, WorkerOptions
from interp.store import Status, Store
from interp.testing.inline import Inline
from interp.testing.virtual_time import VirtualClock

__all__ = ["DrivenWorker", "NothingHappens"]

# A test that has let so many things happen at once, and still waits, waits for something that goes on for ever.
_MOST_STEPS = 100_000


class NothingHappens(AssertionError):
    """A test waits for something that can never happen; the message tells for what."""

    __interp_story__ = True  # the pytest plugin shows the message alone


class _DrivingBell(Bell):
    """Whoever waits for news of the store lets the next thing happen."""

    def __init__(self, worker: DrivenWorker) -> None:
        super().__init__()
        self._worker = worker

    def wait(self, seen: int, timeout_s: float | None = None) -> None:
        self._worker.let_happen(None if timeout_s is None else timedelta(seconds=timeout_s))
        self.ring()

    async def heard(self, seen: int) -> None:
        self.wait(seen)


class DrivenWorker(Worker):
    """A worker that moves when somebody waits for it, all on one thread.

    One thing happens after the other: what is due at a moment first, then time jumps to the next moment at which
    something is due. The order is the same each time.
    """

    def __init__(self, store: Store, name: str, options: WorkerOptions, clock: VirtualClock, performer: Inline) -> None:
        """Begin.

        Args:
            store: The store.
            name: The worker's name.
            options: How it works; its clock and executor are the next two.
            clock: The time.
            performer: Runs the activities.
        """
        super().__init__(store, name, options)
        self.bell: Bell = _DrivingBell(self)
        self.clock = clock
        self._performer = performer
        self._acts: list[tuple[datetime, int, Callable[[], object]]] = []
        self._serial = itertools.count()
        self._owner = threading.get_ident()
        self._context = contextvars.copy_context()  # what a worker sets for its thread must not stay with the test's
        self._context.run(self.begin)

    # What handles ask for.

    def put(self, request: Start | Tell) -> None:
        """Hand a request in, and let happen what answers it."""
        self._check_owner()
        super().put(request)
        with self.clock.held():
            while not request.done.done:
                self._give_turn()

    def watch(self, run_id: str) -> Future[Found]:
        """Let things happen until a run has ended."""
        self._check_owner()
        return self._awaited(run_id, None)

    def wait_for(self, run_id: str, within: timedelta) -> Future[Found]:
        """Let things happen until a run has ended.

        Raises:
            TimeoutError: It has not ended within so much virtual time.
            NothingHappens: It never will.
        """
        return self._awaited(run_id, within)

    def _check_owner(self) -> None:
        if threading.get_ident() != self._owner:
            raise UsageError("a test's engine works on the thread that made it, and cannot be asked by another one")

    def _awaited(self, run_id: str, within: timedelta | None) -> Future[Found]:
        done = super().watch(run_id)
        until = None if within is None else self.clock.now + within
        with self.clock.held():
            for _ in range(_MOST_STEPS):
                if done.done():
                    return done
                if not self._step(until):
                    if until is None:
                        raise NothingHappens(self._why_stuck(run_id))
                    self.clock.move(until)
                    assert within is not None
                    raise TimeoutError(f"run {run_id!r} has not ended within {within.total_seconds():g} s")
            raise NothingHappens(self._why_endless(run_id))

    def stop(self, grace_s: float) -> None:
        """End at once: what has not happened yet never will."""
        if self.trouble is None:
            with self.clock.held():
                self._context.run(self.end, EngineClosed(CLOSED))

    # What a test asks for.

    def at(self, moment: datetime, act: Callable[[], object]) -> None:
        """Do something when its time has come."""
        heapq.heappush(self._acts, (moment, next(self._serial), act))

    def advance(self, moment: datetime) -> None:
        """Let everything happen that happens up to a moment, that included."""
        with self.clock.held():
            self._exhaust(moment)
            self.clock.move(max(self.clock.now, moment))

    def run_until_idle(self) -> None:
        """Let everything happen, until nothing will ever happen any more."""
        with self.clock.held():
            self._exhaust(None)

    def let_happen(self, within: timedelta | None) -> None:
        """Let the next thing happen; if there is none within so much time, let that pass.

        Raises:
            NothingHappens: There will never be any.
        """
        until = None if within is None else self.clock.now + within
        with self.clock.held():
            if self._step(until):
                return
            if until is None:
                raise NothingHappens(f"nothing can happen any more\n{self._open_runs()}")
            self.clock.move(until)

    @contextmanager
    def telling_time(self) -> Generator[None]:
        """Let all code tell the virtual time."""
        with self.clock.held():
            yield

    def _exhaust(self, until: datetime | None) -> None:
        for _ in range(_MOST_STEPS):
            if not self._step(until):
                return
        raise NothingHappens(
            f"after {_MOST_STEPS:,} steps, at {self.clock.now:%Y-%m-%d %H:%M:%S} of virtual time, there is still more "
            "to come\n  A run may go on for ever, such as a schedule: use `engine.advance(...)`, in smaller parts."
        )

    def _step(self, until: datetime | None) -> bool:
        """Let the next thing happen; False when there is none, or none up to a moment."""
        if self.has_work or self._inbox:
            self._give_turn()
            return True
        if self._performer.work():
            return True
        soonest = self._soonest()
        if self._performer.unfinished and self._performer.wait_for_network():
            return True
        if soonest is None or (until is not None and soonest > until):
            return False
        self.clock.move(max(self.clock.now, soonest))
        if self._acts and self._acts[0][0] <= self.clock.now:
            heapq.heappop(self._acts)[2]()
        elif not self._performer.work():
            self._give_turn()
        return True

    def _give_turn(self) -> None:
        self._context.run(self.turn)
        if self.store.changed(0.0):  # it has written something that it may have to take up itself, such as a child
            self.wake()

    def _soonest(self) -> datetime | None:
        """When something is due next; None for never."""
        self._dispatcher.forget_ended()
        moments = (self._acts[0][0] if self._acts else None, self._performer.next_moment, self.next_moment)
        return min((moment for moment in moments if moment is not None), default=None)

    # What is told when nothing happens.

    def _why_stuck(self, run_id: str) -> str:
        reasons = self._waits(run_id)
        if len(reasons) == 1:
            return f"run {run_id!r} can never end: it {reasons[0]}"
        return "\n".join([f"run {run_id!r} can never end:", *(f"  it {reason}" for reason in reasons)])

    def _why_endless(self, run_id: str) -> str:
        row = self.store.run(run_id)
        length = 0 if row is None else row.length
        return (
            f"run {run_id!r} has not ended after {_MOST_STEPS:,} steps, at {self.clock.now:%Y-%m-%d %H:%M:%S} of "
            f"virtual time; its history has {length:,} records\n"
            "  If it goes on for ever, let time pass by `engine.advance(...)`, or cancel it: "
            "`engine.at(timedelta(days=1), run.cancel)`."
        )

    def _open_runs(self) -> str:
        told = [f"  run {run_id!r} {reason}" for run_id in self._live for reason in self._waits(run_id)]
        return "\n".join(told) or "  No run is open."

    def _waits(self, run_id: str) -> list[str]:
        run = self._live.get(run_id)
        if run is None:
            row = self.store.run(run_id)
            if row is None:
                return ["does not exist"]
            if row.status is not Status.WAITING:
                return [f"is {row.status}, and no worker here knows its workflow {row.workflow!r}"]
            run = LiveRun.load(
                run_id, find_workflow(row.workflow), self.store.history(run_id), row.token, self.clock.now
            )
            run.interpreter.close()
        found = [self._waits_for(issued) for issued in run.interpreter.pending.values()]
        return [reason for reason in found if reason] or ["waits for nothing that the journal knows of"]

    def _waits_for(self, issued: Issued) -> str:
        place = f" at {issued.line}" if issued.line else ""
        match issued.command:
            case AwaitSignal():
                kind = issued.record.kind.removeprefix("await_")  # a signal, or a request
                return f"waits for {kind} {issued.command.name!r}{place}, which nobody sends"
            case Child() if issued.child is not None:
                child = issued.child.run_id
                return f"waits for its child, run {child!r}{place}, which {self._waits(child)[0]}"
            case Call():
                return f"waits for {issued.record.target}(){place}, which never returns: what it awaits does not come"
            case _:
                return ""
