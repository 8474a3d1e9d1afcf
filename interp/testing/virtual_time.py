"""Time that passes only when a test lets it pass: for clocks, for `time.sleep`, and for an event loop."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, TypeVarTuple

import time_machine

__all__ = ["VirtualClock", "VirtualLoop"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# What time-machine leaves alone, in seconds and in nanoseconds; `thread_time` and its like measure work, not time.
_STOPWATCHES = ("monotonic", "perf_counter")

_SECOND_US = 1_000_000

# How long an async activity that waits for the network, or for another process, is waited for: real seconds.
_NETWORK_S = 10.0


class VirtualClock:
    """Tells the time of a test, and moves it.

    Attributes:
        now: The time, UTC.
        slept: How long `time.sleep` was asked to sleep so far.
    """

    def __init__(self, now: datetime) -> None:
        """Stand still at a moment.

        Args:
            now: The moment, aware.
        """
        self.now = now.astimezone(UTC)
        self.slept = timedelta(0)
        self._traveller: time_machine.Traveller | None = None

    def __call__(self) -> datetime:
        """Tell the time: what a worker is given as its clock."""
        return self.now

    def move(self, moment: datetime) -> None:
        """Let it be another moment."""
        self.now = moment
        if self._traveller is not None:
            self._traveller.move_to(moment.timestamp())

    @contextmanager
    def held(self) -> Generator[None]:
        """Let all code tell this time, and sleep in it; in other threads `time.sleep` remains what it is."""
        if self._traveller is not None:
            yield
            return
        clocks: Any = vars(time)
        names = [name + unit for name in _STOPWATCHES for unit in ("", "_ns")]
        before = {name: clocks[name] for name in (*names, "sleep")}
        # As a number: given a moment with a zone, time-machine would set TZ.
        with time_machine.travel(self.now.timestamp(), tick=False) as self._traveller:
            for name in names:
                clocks[name] = time.time_ns if name.endswith("_ns") else time.time
            clocks["sleep"] = self._sleeper(before["sleep"])
            try:
                yield
            finally:
                clocks.update(before)
                self._traveller = None

    def _sleeper(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        here = threading.get_ident()

        def sleeping(seconds: float) -> None:
            if threading.get_ident() != here or seconds < 0:
                sleep(seconds)
                return
            self.slept += timedelta(seconds=seconds)
            self.move(self.now + timedelta(seconds=seconds))

        return sleeping


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers are due in virtual time, and which runs only when it is asked to."""

    def __init__(self, clock: VirtualClock) -> None:
        """Begin with nothing to do.

        Args:
            clock: Tells the time; whoever drives the loop moves it.
        """
        self._virtual = clock
        self._began = clock.now
        self._files = selectors.DefaultSelector()
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._serial = itertools.count()
        self.is_busy = False
        super().__init__(self._files)

    def time(self) -> float:
        """Tell the virtual time, in seconds since the loop was made."""
        return ((self._virtual.now - self._began) // timedelta(microseconds=1)) / _SECOND_US

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call a function in the next turn."""
        self.is_busy = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call a function at a virtual time."""
        due_us = round(when * _SECOND_US)
        # In whole microseconds, divided as `time` divides them: so that it is due when the clock shows that moment.
        handle = super().call_at(due_us / _SECOND_US, callback, *args, context=context)
        heapq.heappush(self._timers, (due_us, next(self._serial), handle))
        return handle

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call a function here and now: a test has one thread, so that it does the same each time."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001  for whoever awaits it
            future.set_exception(error)
        return future

    @property
    def next_moment(self) -> datetime | None:
        """When the next timer is due; None for never."""
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        return self._began + timedelta(microseconds=self._timers[0][0])

    def turn(self) -> None:
        """Run what is ready, until nothing is."""
        due_us = (self._virtual.now - self._began) // timedelta(microseconds=1)
        while self._timers and self._timers[0][0] <= due_us:
            heapq.heappop(self._timers)
        while True:
            self.call_soon(self.stop)
            self.is_busy = False
            self.run_forever()
            if not self.is_busy:
                return

    def wait_for_network(self) -> bool:
        """Wait, in real time, if anything waits for a file or a socket; tells whether something came."""
        own = 1  # the loop's own pipe
        return len(self._files.get_map()) > own and bool(self._files.select(_NETWORK_S))
