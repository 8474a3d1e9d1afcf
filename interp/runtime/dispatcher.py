"""Calls in flight: begin them where they belong, end those that take too long, call off those nobody waits for."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from datetime import datetime

from interp.commands import Call, CallOptions
from interp.fibers import Issued
from interp.runtime.attempts import Attempt, Deliver, later
from interp.runtime.executors import GROWTH_S, LoopExecutor, ThreadExecutor
from interp.runtime.live import LiveRun

__all__ = ["Dispatcher", "options_of"]


class Dispatcher:
    """The attempts of all runs of one worker; used by the worker's thread alone."""

    def __init__(self, threads: int, deliver: Deliver, clock: Callable[[], datetime]) -> None:
        """Begin with nothing in flight.

        Args:
            threads: How many sync activities may run at once.
            deliver: Called with each completion, on the thread where the activity ran.
            clock: Tells the time, UTC.
        """
        self.in_flight = 0
        self._clock = clock
        self._threads = ThreadExecutor(threads, deliver)
        self._loop = LoopExecutor(deliver)
        self._deadlines: list[tuple[datetime, int, Attempt]] = []
        self._serial = itertools.count()

    def attempt(self, run: LiveRun, issued: Issued) -> Attempt:
        """Make the next attempt of a call; `begin` starts it."""
        definition = issued.definition
        assert definition is not None
        attempt = Attempt(run.run_id, run.round, issued.id, issued.attempt, definition, issued.record.payload)
        timeout = options_of(issued).timeout or definition.timeout
        if timeout is not None:
            attempt.timeout = timeout
            self._limit(attempt, later(self._clock(), timeout))
        run.attempts[issued.id] = attempt
        self.in_flight += 1
        return attempt

    def begin(self, attempts: list[Attempt]) -> None:
        """Hand attempts to the threads and to the event loop."""
        on_threads = [attempt for attempt in attempts if not attempt.definition.is_async]
        if on_threads:
            self._threads.submit(on_threads)
        if len(on_threads) < len(attempts):
            self._loop.submit(attempt for attempt in attempts if attempt.definition.is_async)

    def ended(self, run: LiveRun, attempt: Attempt) -> bool:
        """Note that an attempt has ended; tells whether its run still waits for it."""
        if run.parked or run.attempts.get(attempt.command_id) is not attempt:
            return False
        del run.attempts[attempt.command_id]
        self.in_flight -= 1
        return True

    def call_off(self, run: LiveRun, command_id: str) -> None:
        """Tell an attempt that nobody waits for it any more; what it still delivers is ignored."""
        attempt = run.attempts.pop(command_id, None)
        if attempt is not None:
            self.in_flight -= 1
            attempt.cancel()

    def grow(self) -> float:
        """Add threads when they are needed; returns in how many seconds to ask again, if nothing else happens."""
        return GROWTH_S if self._threads.grow() else math.inf

    @property
    def next_deadline(self) -> datetime | None:
        """When an attempt may have taken too long; None when none has a limit."""
        return self._deadlines[0][0] if self._deadlines else None

    def overdue(self, now: datetime, live: dict[str, LiveRun]) -> Iterator[tuple[LiveRun, Attempt]]:
        """Give the attempts that have taken too long, called off already, with their runs."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, attempt = heapq.heappop(self._deadlines)
            run = live.get(attempt.run_id)
            awaited = run is not None and not run.parked and run.attempts.get(attempt.command_id) is attempt
            deadline = attempt.deadline
            if deadline is None or deadline > now:  # it was queued meanwhile: its time begins when it does
                if awaited or deadline is not None:
                    self._limit(attempt, deadline or later(now, attempt.timeout))
                continue
            self._threads.abandon(attempt)
            if run is not None and awaited:
                self.call_off(run, attempt.command_id)
                yield run, attempt

    def close(self) -> None:
        """Let idle threads end, and cancel what runs on the event loop."""
        self._threads.close()
        self._loop.close()

    def _limit(self, attempt: Attempt, deadline: datetime) -> None:
        heapq.heappush(self._deadlines, (deadline, next(self._serial), attempt))


def options_of(issued: Issued) -> CallOptions:
    """Return the options that a call was made with."""
    call = issued.command
    assert isinstance(call, Call)
    return call.with_options
