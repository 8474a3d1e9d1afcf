"""`engine`: whole runs in virtual time, for tests; the real worker on a store in memory, with stubs for activities."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, TypeVar

import attrs
import msgspec

from interp.codec import ValueCodec
from interp.definitions import WorkflowDefinition
from interp.errors import UsageError
from interp.events import encode_event
from interp.payloads import PayloadCodec
from interp.runtime.engine import Engine
from interp.runtime.guard import GuardMode
from interp.runtime.handles import Run
from interp.runtime.requests import Start
from interp.runtime.stores import opener_of
from interp.runtime.worker import WorkerOptions
from interp.spans import checked_span
from interp.store import Store
from interp.testing.driven import DrivenWorker
from interp.testing.inline import Inline, Observer
from interp.testing.play import EPOCH
from interp.testing.stubs import Stubs
from interp.testing.virtual_time import VirtualClock

__all__ = ["VirtualEngine", "VirtualRun", "engine", "memory_store"]

T = TypeVar("T")


class VirtualRun(Run[T]):
    """A handle on a run in virtual time: who waits for it lets it happen."""

    _worker: DrivenWorker

    def result(self, timeout: timedelta | None = None) -> T:
        """Let things happen until the run has ended, and return what the workflow returned.

        Args:
            timeout: How long to wait, in virtual time; None for ever.

        Raises:
            RunFailed: The workflow raised an exception.
            RunCancelled: The run was cancelled.
            RunParked: The run is set aside until someone acts.
            TimeoutError: The time was up.
            NothingHappens: The run can never end; tells for what it waits.
        """
        if timeout is None:
            return super().result()
        within = checked_span("result(timeout", timeout, UsageError)
        while (ended := self._ended(self._worker.wait_for(self.id, within).result())) is None:
            pass  # somebody has just retried it
        return self._value(ended)

    def ask(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request, and let things happen until the workflow has answered; see `Run.ask`."""
        ask: Callable[..., Any] = super().ask
        with self._worker.telling_time():
            return ask(*args, **kwargs)

    def retry(self) -> None:
        """Make a parked or failed run go on from where it stands; see `Run.retry`."""
        with self._worker.telling_time():
            super().retry()


class VirtualEngine(Engine):
    """An `Engine` in virtual time, on one thread; made by `engine`.

    It has what `Engine` has. Things happen while somebody waits: in `run.result()`, `run.ask()` and the streams of a
    run, and in `advance` and `run_until_idle`. `start`, `signal` and `cancel` return when what they did is recorded.
    """

    _worker: DrivenWorker

    def __init__(
        self,
        activities: Stubs | None = None,
        *,
        at: datetime = EPOCH,
        seed: int = 0,
        codec: PayloadCodec | None = None,
        cache: int = 1_000,
        guard: GuardMode = "error",
        store: Store | None = None,
        name: str = "test",
        observer: Observer | None = None,
    ) -> None:
        """Begin; see `engine`.

        Args:
            activities: Stubs.
            at: When time begins.
            seed: What chance is derived from.
            codec: What is done to values.
            cache: How many idle runs are kept in memory.
            guard: What becomes of forbidden calls.
            store: Another store than a fresh one in memory.
            name: The worker's, which is recorded with each run.
            observer: Sees the attempts of activities.
        """
        if at.tzinfo is None:
            raise UsageError(f"engine(at={at!r}): it does not say in which time zone it is; add tzinfo=UTC")
        self._seeded = random.Random(seed)
        self._clock = VirtualClock(at)
        self._performer = Inline(self._clock, activities, observer)
        self._worker_name = name
        super().__init__(memory_store() if store is None else store, codec=codec, cache=cache, guard=guard)

    def _employ(self, options: WorkerOptions) -> DrivenWorker:
        self.name = self._worker_name  # the same each time
        ported = attrs.evolve(
            options,
            clock=self._clock,
            chance=self._seeded.random,
            stopwatch=lambda: 0.0,
            executor=self._performer.employed,
        )
        return DrivenWorker(self.store, self.name, ported, self._clock, self._performer)

    @property
    def now(self) -> datetime:
        """The virtual time, UTC."""
        return self._clock.now

    def at(self, when: timedelta | datetime, act: Callable[..., object], *args: Any, **kwargs: Any) -> None:
        """Do something at a virtual time, when that has come: `engine.at(timedelta(hours=2), run.signal, "approve")`.

        Args:
            when: A moment, aware, or how long from now.
            act: What to do; what it raises is raised by whoever lets time pass.
            *args: Its arguments.
            **kwargs: Its named arguments.

        Raises:
            UsageError: The moment is past, or does not say in which time zone it is.
        """
        if isinstance(when, datetime) and when.tzinfo is None:
            raise UsageError(f"engine.at({when!r}): it does not say in which time zone it is; add tzinfo=UTC")
        moment = when if isinstance(when, datetime) else self.now + checked_span("engine.at(when", when, UsageError)
        if moment < self.now:
            raise UsageError(f"engine.at({when}): that is past; it is {self.now} of virtual time")
        self._worker.at(moment, partial(act, *args, **kwargs))

    def advance(self, delta: timedelta) -> None:
        """Let time pass, and everything happen that happens meanwhile; a span of zero, what is due now.

        Args:
            delta: How long, not negative.

        Raises:
            UsageError: It is negative.
            NothingHappens: There is more to come at once than in any test.
        """
        if checked_span("engine.advance(delta", delta, UsageError) < timedelta(0):
            raise UsageError(f"engine.advance({delta}): time does not go back")
        self._worker.advance(self.now + delta)

    def run_until_idle(self) -> None:
        """Let everything happen, however long it takes, until every run has ended or waits for somebody.

        Raises:
            NothingHappens: A run goes on for ever, such as a schedule.
        """
        self._worker.run_until_idle()

    def _new(
        self, definition: WorkflowDefinition, args: bytes, run_id: str | None, start_at: datetime | None = None
    ) -> Start:
        """Prepare a start whose random numbers, and id, are the same each time."""
        run_id = f"run-{self._seeded.getrandbits(32):08x}" if run_id is None else run_id
        start = super()._new(definition, args, run_id, start_at)
        start.started = msgspec.structs.replace(start.started, seed=self._seeded.randbytes(16))
        start.create = msgspec.structs.replace(start.create, start=encode_event(start.started))
        return start

    def _handle(self, run_id: str, result: ValueCodec[Any], workflow: str) -> VirtualRun[Any]:
        return VirtualRun(run_id, self._worker, result, workflow)


@cache
def _opener() -> Callable[[str], Store]:
    return opener_of("memory:")


def memory_store() -> Store:
    """Open a fresh store in memory, without looking through all packages for what opens one each time."""
    return _opener()("memory:")


def engine(
    activities: Stubs | None = None,
    *,
    at: datetime = EPOCH,
    seed: int = 0,
    codec: PayloadCodec | None = None,
    cache: int = 1_000,
    guard: GuardMode = "error",
) -> VirtualEngine:
    """Open an engine for tests: no service, no threads, no waiting; sleeps, pauses and timeouts take no time.

        with interp.testing.engine(activities={charge: "r-1", mail: TimedOut()}) as engine:
            run = engine.start(checkout, order, id="order-42")
            engine.at(timedelta(hours=2), run.signal, "approve", True)
            assert run.result() == "r-1"

    It is the production worker on a store in memory. Whenever nothing is left to do, the clock jumps to where the next
    thing happens; while things happen, all code sees the virtual time: `datetime.now`, `time.time`, `time.sleep`,
    `asyncio.sleep`. The same test does the same in the same order each time.

    Args:
        activities: What stands in for activities, by function or by name; see the stubs in `interp.testing`. Each
            attempt of a call is answered anew. Without a stub the real activity runs, on this thread.
        at: The virtual time at which it begins, aware.
        seed: What ids, the jitter of retries, and the random numbers of workflows are derived from.
        codec: As for `Engine`.
        cache: As for `Engine`; 0 replays each run at each of its steps.
        guard: As for `Engine`; by default a workflow that does what it must not do fails.
    """
    return VirtualEngine(activities, at=at, seed=seed, codec=codec, cache=cache, guard=guard)
