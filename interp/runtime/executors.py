"""Where activities run: sync ones on threads, async ones on an event loop of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol  # noqa: TID251  # beside a `Later`

from interp._later import Later
from interp.runtime.attempts import Attempt, Deliver, perform, perform_async

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Later("asyncio")

__all__ = ["GROWTH_S", "Executor", "Executors", "LoopExecutor", "ThreadExecutor", "is_spare"]

# Up to how long a call may take of a thread's time for another thread to be a waste: less than its start does.
_QUICK_S = 0.0001

# How long calls may wait without movement until threads are added, in seconds.
GROWTH_S = 0.002


class Executor(Protocol):
    """Where a worker has its activities run; used by the worker's thread alone."""

    def submit(self, attempts: list[Attempt]) -> None:
        """Begin attempts, as soon as there is room; how they end is delivered."""
        ...

    def grow(self) -> bool:
        """Make room when that is needed; tells whether attempts wait."""
        ...

    def abandon(self, attempt: Attempt) -> None:
        """Wait for an attempt no longer, which may never end."""
        ...

    def close(self) -> None:
        """Begin nothing more."""
        ...


class Executors:
    """Sync activities on threads, async ones on an event loop: what a worker uses unless it is told otherwise."""

    def __init__(self, most: int, deliver: Deliver) -> None:
        """Begin with neither threads nor a loop.

        Args:
            most: How many sync activities may run at once.
            deliver: Called with each completion, on the thread where the activity runs.
        """
        self._threads = ThreadExecutor(most, deliver)
        self._loop = LoopExecutor(deliver)
        self.grow = self._threads.grow
        self.abandon = self._threads.abandon

    def submit(self, attempts: list[Attempt]) -> None:
        """Hand attempts to the threads and to the event loop."""
        on_loop = [attempt for attempt in attempts if attempt.is_async]
        if on_loop:
            self._loop.submit(on_loop)
            attempts = [attempt for attempt in attempts if not attempt.is_async]
        if attempts:
            self._threads.submit(attempts)

    def close(self) -> None:
        """Let idle threads end, and cancel what runs on the event loop."""
        self._threads.close()
        self._loop.close()


class _Hand:
    """A thread of a `ThreadExecutor`.

    Attributes:
        is_spare: Whether its activity has ended and it delivers that, with nothing else to do.
        attempt: What it is to run next, handed to it while it was spare.
    """

    __slots__ = ("attempt", "is_spare")

    def __init__(self) -> None:
        self.is_spare = False
        self.attempt: Attempt | None = None


class _Mine(threading.local):
    """The `hand` of this thread; None on one that is none of ours. Looking it up takes longer than other attributes."""

    hand: _Hand | None = None


_mine = _Mine()


def is_spare() -> bool:
    """Whether this thread has run an activity that has ended, and may do something else before it runs the next."""
    hand = _mine.hand
    return hand is not None and hand.is_spare


class ThreadExecutor:
    """Threads that are started when they are needed, up to a limit, and kept.

    Not `concurrent.futures`: its futures cost more than a small activity, it starts a thread for each call while it may
    (the start of 64 threads costs as much as 1,000 small activities), and it waits for its threads at exit, so that one
    activity that hangs would keep the process alive for ever. Here a thread is added when calls wait that the idle ones
    will not have taken soon, and then twice as many each time that nothing has moved for a while. These are daemon
    threads.
    """

    def __init__(self, most: int, deliver: Deliver) -> None:
        """Make an executor without threads.

        Args:
            most: How many activities may run at once.
            deliver: Called, on the thread, with each completion.
        """
        self._most = most
        self._deliver = deliver
        self._queue: SimpleQueue[Attempt | None] = SimpleQueue()
        self._count = 0
        self._running: set[Attempt] = set()
        self._taken = 0  # how many were taken from the queue; counted by all threads without a lock, to see movement
        self._seen = 0
        self._looked = 0.0
        self._paced = 0.0  # when it was asked last how fast calls are taken, and how many had been taken then
        self._taken_then = 0

    def submit(self, attempts: Iterable[Attempt]) -> None:
        """Queue attempts; called from one thread at a time. A spare one of ours takes the first itself."""
        hand = _mine.hand
        # Counted before any of these is taken, which may happen while they are queued.
        idle, waiting = self._count - len(self._running), self._queue.qsize()
        for attempt in attempts:
            if hand is not None and hand.is_spare and hand.attempt is None:
                hand.attempt = attempt
                idle -= 1
            else:
                self._queue.put(attempt)
                waiting += 1
        if waiting > max(0, idle) and self._count < self._most and (idle <= 0 or not self._is_quick()):
            self._add_one()

    def grow(self) -> bool:
        """Add threads when calls wait and nothing moves; tells whether calls wait. Called like `submit`."""
        waiting = self._queue.qsize()
        if waiting == 0 or self._count == self._most:
            return False
        now = time.monotonic()
        if self._taken != self._seen:
            self._seen, self._looked = self._taken, now
        elif now - self._looked >= GROWTH_S:
            self._looked = now
            for _ in range(min(waiting, max(1, self._count), self._most - self._count)):
                self._add_one()
        return True

    def _is_quick(self) -> bool:
        """Whether calls were taken so fast that another thread would be of no help, pauses included.

        That is since it was asked last, or a thread was added.
        """
        now, taken = time.monotonic(), self._taken
        threads_s = (now - self._paced) * self._count
        is_quick = threads_s < (taken - self._taken_then) * _QUICK_S
        self._paced, self._taken_then = now, taken
        return is_quick

    def abandon(self, attempt: Attempt) -> None:
        """Put a thread in the place of the one that is busy with `attempt` and may be so for ever.

        That one ends when its activity does. Whoever takes the attempt out of the set first decides: one operation,
        which needs no lock.
        """
        try:
            self._running.remove(attempt)
        except KeyError:
            return  # it has ended, or does not run here
        self._add()

    def close(self) -> None:
        """Let idle threads end; a busy one ends after its activity."""
        for _ in range(self._count):
            self._queue.put(None)

    def _add_one(self) -> None:
        self._paced, self._taken_then = time.monotonic(), self._taken
        self._count += 1
        self._add()

    def _add(self) -> None:
        threading.Thread(target=self._work, name="interp-activity", daemon=True).start()

    def _work(self) -> None:
        is_ours = True
        _mine.hand = hand = _Hand()
        while is_ours:
            attempt = hand.attempt or self._queue.get()
            if attempt is None:
                return
            hand.attempt = None
            self._taken += 1
            self._running.add(attempt)  # before it begins, so that it can be abandoned as soon as it has
            completion = perform(attempt) if attempt.take() else None
            try:
                self._running.remove(attempt)
            except KeyError:
                is_ours = False  # abandoned: another thread has this one's place
            if completion is not None:
                hand.is_spare = is_ours
                self._deliver(completion)
                hand.is_spare = False
            del attempt, completion  # what they hold must not live until the next one comes


class LoopExecutor:
    """An event loop on a thread of its own, started with the first async activity."""

    def __init__(self, deliver: Deliver) -> None:
        """Make an executor whose loop does not run yet.

        Args:
            deliver: Called, on the loop's thread, with each completion.
        """
        self._deliver = deliver
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def submit(self, attempts: Iterable[Attempt]) -> None:
        """Queue attempts; called from one thread only."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._run, args=(self._loop,), name="interp-loop", daemon=True).start()
        self._loop.call_soon_threadsafe(self._start, list(attempts))

    def close(self) -> None:
        """Cancel what runs and end the loop."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()
        for task in self._tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def _start(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            if attempt.cancelled:
                continue
            task = asyncio.get_running_loop().create_task(self._perform(attempt))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            attempt.stop = _stopper(asyncio.get_running_loop(), task)
            if attempt.cancelled:  # by the worker's thread, just now
                task.cancel()

    async def _perform(self, attempt: Attempt) -> None:
        if attempt.take():
            self._deliver(await perform_async(attempt))


def _stopper(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> Callable[[], None]:
    def stop() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(task.cancel)

    return stop
