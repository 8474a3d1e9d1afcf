"""Calls in flight: begin them where they belong, end those that take too long, call off those nobody waits for."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from interp.fibers import Issued
from interp.runtime.attempts import Attempt, Completion, Deliver, overdue
from interp.runtime.executors import GROWTH_S, Executor, Executors
from interp.runtime.live import LiveRun
from interp.runtime.verdicts import deadline_of, options_of

__all__ = ["Dispatcher"]

# How often the heartbeats of one attempt are recorded at most: what a worker that dies may lose of them, against the
# records of an activity that runs for hours (docs/decisions/0014-heartbeats-are-records.md).
_RECORD_BEATS = timedelta(seconds=5)

# So many limits are watched before those of attempts that are over are looked for.
_FEW = 64


class Dispatcher:
    """The attempts of all runs of one worker; used by the worker's thread alone."""

    def __init__(
        self,
        threads: int,
        deliver: Deliver,
        clock: Callable[[], datetime],
        capture_logs: int | None = None,
        executor: Callable[[int, Deliver], Executor] = Executors,
    ) -> None:
        """Begin with nothing in flight.

        Args:
            threads: How many sync activities may run at once.
            deliver: Called with each completion and heartbeat, on the thread where the activity runs.
            clock: Tells the time, UTC.
            capture_logs: The lowest level of log lines that are captured; None for none.
            executor: Makes what runs the attempts, out of `threads` and `deliver`.
        """
        self._capture_logs = capture_logs
        self.in_flight = 0
        self._clock = clock
        self._executor = executor(threads, deliver)
        self._deliver = deliver
        self._deadlines: list[tuple[datetime, int, Attempt]] = []
        self._room = _FEW
        self._beats: list[tuple[datetime, int, Attempt]] = []
        self._serial = itertools.count()

    def attempt(self, run: LiveRun, issued: Issued, now: datetime) -> Attempt:
        """Make the next attempt of a call; `begin` starts it."""
        definition, options = issued.definition, options_of(issued)
        assert definition is not None
        attempt = Attempt(
            run_id=run.run_id,
            round=run.round,
            command_id=issued.id,
            number=issued.attempt,
            definition=definition,
            payload=issued.record.payload,
            options=options,
            queued=now,
            previous=issued.heartbeat,
            reconcile=options.on_unknown if issued.unknown and callable(options.on_unknown) else None,
            until=None if options.deadline is None else deadline_of(issued),
            tell=self._deliver,
            captures=self._capture_logs,
        )
        limit = attempt.limit(now)
        if limit is not None:
            self._watch(attempt, limit[0])
        run.attempts[issued.id] = attempt
        self.in_flight += 1
        return attempt

    def begin(self, attempts: list[Attempt]) -> None:
        """Have attempts run."""
        if attempts:
            self._executor.submit(attempts)

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
        return GROWTH_S if self._executor.grow() else math.inf

    @property
    def has_moments(self) -> bool:
        """Whether `next_deadline` tells of any: nothing is overdue, or to be recorded, where it does not."""
        return bool(self._deadlines or self._beats)

    @property
    def next_deadline(self) -> datetime | None:
        """When an attempt may have taken too long, or a heartbeat is to be recorded; None for never."""
        if not self.has_moments:
            return None  # nearly always
        return min(heap[0][0] for heap in (self._deadlines, self._beats) if heap)

    def overdue(self, now: datetime, live: dict[str, LiveRun]) -> Iterator[tuple[LiveRun, Completion]]:
        """Give the ends of the attempts that have taken too long, called off already, with their runs."""
        while self._deadlines and self._deadlines[0][0] <= now:
            _, _, attempt = heapq.heappop(self._deadlines)
            run = _awaiting(attempt, live)
            limit = attempt.limit(now)
            if limit is None or attempt.is_over:
                continue
            # It was queued meanwhile, gave a sign of life, or has begun after all.
            if limit[0] > now or (limit[1] == "start_timeout" and not attempt.withdraw()):
                if run is not None or attempt.begun is not None:
                    self._watch(attempt, limit[0])
                continue
            self._executor.abandon(attempt)
            if run is not None:
                self.call_off(run, attempt.command_id)
                yield run, overdue(attempt, limit[1])

    def beaten(self, attempt: Attempt) -> None:
        """Note that an attempt told anew how far it is: to be recorded now, or when that is allowed again."""
        now = self._clock()
        due = now if attempt.quiet_until is None else max(now, attempt.quiet_until)
        heapq.heappush(self._beats, (due, next(self._serial), attempt))

    def beats(self, now: datetime, live: dict[str, LiveRun]) -> Iterator[tuple[LiveRun, Attempt]]:
        """Give the attempts whose heartbeats are to be recorded now, with their runs."""
        while self._beats and self._beats[0][0] <= now:
            _, _, attempt = heapq.heappop(self._beats)
            attempt.beating = False  # before its details are read: what it tells from here on is told again
            run = _awaiting(attempt, live)
            if run is not None:
                attempt.quiet_until = now + _RECORD_BEATS
                yield run, attempt

    def close(self) -> None:
        """Begin nothing more."""
        self._executor.close()

    def forget_ended(self) -> None:
        """Leave out the limits of attempts that are over, so that `next_deadline` tells only of those that are not."""
        self._deadlines = [entry for entry in self._deadlines if not entry[2].is_over]
        heapq.heapify(self._deadlines)

    def _watch(self, attempt: Attempt, moment: datetime) -> None:
        """Look at an attempt at a moment. Most end long before: those are left out whenever the heap has doubled."""
        if len(self._deadlines) >= self._room:
            self.forget_ended()
            self._room = max(_FEW, 2 * len(self._deadlines))
        heapq.heappush(self._deadlines, (moment, next(self._serial), attempt))


def _awaiting(attempt: Attempt, live: dict[str, LiveRun]) -> LiveRun | None:
    """Return the run that waits for an attempt; None when nobody does any more."""
    run = live.get(attempt.run_id)
    if run is None or run.parked or run.attempts.get(attempt.command_id) is not attempt:
        return None
    return run
