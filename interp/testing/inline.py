"""Activities in a test: stubs or the real ones, one after the other on the test's own thread, in virtual time."""

from __future__ import annotations

import asyncio
import heapq
import inspect
import itertools
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import attrs

from interp.errors import UsageError
from interp.failures import outcome_unknown
from interp.runtime.attempts import Attempt, Completion, Deliver, perform, perform_async
from interp.testing.play import OutcomeLost, Raised, Returned, TimedOut
from interp.testing.stubs import Stubs, by_name, chosen
from interp.testing.virtual_time import VirtualClock, VirtualLoop

__all__ = ["Inline", "Observer"]


class Observer(Protocol):
    """Sees what activities do."""

    def answered(self) -> Counter[str]:
        """Tell how often the stub of each activity was asked in earlier lives."""
        ...

    def begun(self, attempt: Attempt) -> None:
        """See an attempt begin."""
        ...

    def ended(self, completion: Completion) -> None:
        """See it end, before the worker does."""
        ...


class Inline:
    """Runs activities when it is asked to: what a test's worker has in the place of threads.

    An activity that sleeps ends that much later: it runs at once, and its end is delivered when its time has come, so
    that timeouts and other runs are not held up.

    Attributes:
        trouble: What a stub, or the user, has raised to end the test; None for nothing.
    """

    def __init__(self, clock: VirtualClock, stubs: Stubs | None, observer: Observer | None = None) -> None:
        """Begin with nothing to run.

        Args:
            clock: The time.
            stubs: What stands in for activities.
            observer: Sees the attempts; None for nobody.
        """
        for target in stubs or ():
            if hasattr(target, "__interp_workflow__"):
                raise UsageError(
                    f"activities={{{getattr(target, '__name__', target)}: ...}}: that is a workflow, and children run "
                    "for real here\n  Give stubs for the activities that it calls."
                )
        self._clock = clock
        self._stubs = by_name(stubs)
        self._observer = observer
        self._answered: Counter[str] = Counter() if observer is None else observer.answered()
        self._deliver: Deliver = _nowhere
        self._queue: deque[Attempt] = deque()
        self._late: list[tuple[datetime, int, Completion]] = []
        self._serial = itertools.count()
        self._loop: VirtualLoop | None = None
        self._tasks: dict[asyncio.Task[None], Attempt] = {}
        self.trouble: BaseException | None = None

    def employed(self, most: int, deliver: Deliver) -> Inline:
        """Work for a worker: what its options ask for."""
        self._deliver = deliver
        return self

    # What the worker asks for.

    def submit(self, attempts: list[Attempt]) -> None:
        """Take attempts; they run when `work` is called."""
        self._queue += attempts

    def grow(self) -> bool:
        """Say that nothing waits for a thread."""
        return False

    def abandon(self, attempt: Attempt) -> None:
        """Do nothing: nobody is kept busy by an attempt that never ends."""

    def close(self) -> None:
        """Drop what has not begun, and cancel what runs on the event loop."""
        self._queue.clear()
        self._late.clear()
        if self._loop is not None:
            for task in self._tasks:
                task.cancel()
            self._loop.turn()
            self._loop.close()
            self._loop = None

    # What the driver asks for.

    @property
    def next_moment(self) -> datetime | None:
        """When something here is due next; None for never."""
        timer = self._loop.next_moment if self._loop is not None and self._tasks else None
        return min((moment for moment in (self._late[0][0] if self._late else None, timer) if moment), default=None)

    @property
    def unfinished(self) -> list[Attempt]:
        """The attempts that are at work on the event loop."""
        return list(self._tasks.values())

    def work(self) -> bool:
        """Run what can be run now; tells whether there was anything."""
        did = bool(self._queue)
        while self._queue:
            self._begin(self._queue.popleft())
        while self._late and self._late[0][0] <= self._clock.now:
            completion = heapq.heappop(self._late)[2]
            completion.attempt.ended = True
            self._deliver(completion)
            did = True
        if self._loop is not None and self._has_ready(self._loop):
            self._loop.turn()
            did = True
        if self.trouble is not None:
            trouble, self.trouble = self.trouble, None
            raise trouble
        return did

    def wait_for_network(self) -> bool:
        """Wait, in real time, if async activities wait for the network; tells whether something came."""
        if self._loop is None or not self._tasks or not self._loop.wait_for_network():
            return False
        self._loop.turn()
        return True

    def _has_ready(self, loop: VirtualLoop) -> bool:
        return loop.is_busy or (loop.next_moment is not None and loop.next_moment <= self._clock.now)

    def _begin(self, attempt: Attempt) -> None:
        if not attempt.take():  # called off before
            return
        if self._observer is not None:
            self._observer.begun(attempt)
        fn = self._function(attempt)
        if fn is None:
            self._deliver(Completion(attempt, failure=outcome_unknown("")))
            return
        watched = _Watched(fn, self)
        attempt.definition = attrs.evolve(attempt.definition, fn=watched.call, is_async=inspect.iscoroutinefunction(fn))
        if attempt.reconcile is not None:
            attempt.reconcile = watched.call_async if inspect.iscoroutinefunction(fn) else watched.call
        elif inspect.iscoroutinefunction(fn):
            attempt.definition = attrs.evolve(attempt.definition, fn=watched.call_async)
        if attempt.is_async:
            self._begin_async(attempt, watched)
            return
        slept = self._clock.slept
        completion = perform(attempt)
        end = self._clock.now
        self._clock.move(end - (self._clock.slept - slept))
        self._end(watched, completion, end)

    def _function(self, attempt: Attempt) -> Callable[..., Any] | None:
        """Return what an attempt calls; None for nothing, where it is never known what came of it."""
        name = attempt.definition.name
        if name not in self._stubs or attempt.reconcile is not None:
            return attempt.fn
        stub = chosen(self._stubs[name], self._answered[name])
        self._answered[name] += 1
        return None if isinstance(stub, OutcomeLost) else _standing_in(stub)

    def _begin_async(self, attempt: Attempt, watched: _Watched) -> None:
        _check_no_other_loop()
        loop = self._loop = self._loop or VirtualLoop(self._clock)

        async def performing() -> None:
            self._end(watched, await perform_async(attempt), self._clock.now)

        task = loop.create_task(performing())
        self._tasks[task] = attempt
        task.add_done_callback(self._tasks.pop)
        attempt.stop = task.cancel

    def _end(self, watched: _Watched, completion: Completion, end: datetime) -> None:
        """Deliver the end of an attempt when its time has come; one that hangs has none."""
        attempt = completion.attempt
        if self._observer is not None and not watched.hangs:
            self._observer.ended(completion)
        if watched.hangs:
            attempt.ended = False  # its limits count on
            if attempt.limit(self._clock.now) is None:
                self.trouble = UsageError(
                    f"TimedOut(): {attempt.definition.name} has no timeout; declare one, or give an exception"
                )
        elif end > self._clock.now:
            attempt.ended = False  # likewise, until then
            heapq.heappush(self._late, (end, next(self._serial), completion))
        else:
            self._deliver(completion)


@attrs.define(eq=False)
class _Watched:
    """A function that stands in for an activity, or the activity itself.

    Attributes:
        fn: The function.
        owner: Hears of what must end the test.
        hangs: Whether it answered that it never ends.
    """

    fn: Callable[..., Any]
    owner: Inline
    hangs: bool = False

    def call(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._answer(self.fn(*args, **kwargs))
        except BaseException as error:
            self._notice(error)
            raise

    async def call_async(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return self._answer(await self.fn(*args, **kwargs))
        except BaseException as error:
            self._notice(error)
            raise

    def _answer(self, value: Any) -> Any:
        match value:
            case Returned():
                return value.value
            case Raised():
                raise value.error
            case TimedOut():
                self.hangs = True
                return None
            case _:
                return value

    def _notice(self, error: BaseException) -> None:
        """Let a claim that does not hold end the test: as the failure of a call it would only be tried again."""
        is_end = isinstance(error, AssertionError) or not isinstance(error, Exception)
        if is_end and not isinstance(error, (GeneratorExit, asyncio.CancelledError)):
            self.owner.trouble = self.owner.trouble or error


def _standing_in(stub: Any) -> Callable[..., Any]:
    """Return a function that answers as a stub says."""
    match stub:
        case Returned() | Raised() | TimedOut():
            return lambda *args, **kwargs: stub
        case Exception():
            return lambda *args, **kwargs: Raised(stub)
        case type() if issubclass(stub, Exception):
            return lambda *args, **kwargs: Raised(stub())
        case _ if callable(stub):
            found: Callable[..., Any] = stub
            return found
        case _:
            return lambda *args, **kwargs: Returned(stub)


def _check_no_other_loop() -> None:
    """Refuse to run an event loop inside another one, in words that tell what to do."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(
        "async activities run on an event loop of the test's engine, which cannot run inside another one\n"
        "  Make the test a plain function (`def`, not `async def`), and use `run.result()`."
    )


def _nowhere(delivered: object) -> None:
    raise AssertionError("no worker has employed this executor")
