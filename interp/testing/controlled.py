"""A world that stands still: the clock and the random numbers that a workflow must not look at, under control.

The first execution of an example must see the same as every later one, or Hypothesis reports flakiness instead of the
bug. What a workflow reads of the clock, of random numbers and of the environment is therefore fixed in the first
execution, and changed on purpose in the replays that are compared with it.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import time_machine

__all__ = ["SHIFTS", "Shift", "controlled"]

_WHEN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)

# What time-machine leaves alone: stopwatches stand still and jump with the clock.
_STOPWATCHES: dict[str, Callable[[], float]] = {
    "monotonic": lambda: time.time(),  # noqa: PLW0108  looked up at the call: it is replaced meanwhile
    "monotonic_ns": lambda: time.time_ns(),  # noqa: PLW0108  as above
    "perf_counter": lambda: time.time(),  # noqa: PLW0108  as above
    "perf_counter_ns": lambda: time.time_ns(),  # noqa: PLW0108  as above
}


@attrs.frozen
class Shift:
    """How a world differs from that of the first execution.

    Attributes:
        later: How much later it is.
        pace: By how much it gets later with every record.
        seed: What random numbers are derived from.
        environ: Variables of the environment that are changed.
    """

    later: timedelta = timedelta(0)
    pace: timedelta = timedelta(0)
    seed: int = 0
    environ: Mapping[str, str] = attrs.field(factory=dict[str, str])

    @property
    def parts(self) -> dict[str, Shift]:
        """This shift taken apart: what is different, by name."""
        found: dict[str, Shift] = {}
        if self.later or self.pace:
            found["the clock"] = Shift(self.later, self.pace)
        if self.seed:
            found["random numbers"] = Shift(seed=self.seed)
        for name, value in self.environ.items():
            found[f"the environment variable {name}"] = Shift(environ={name: value})
        return found


# Branches on the hour, the day, the month and the year must all be met; a day later alone misses those on the hour.
# In two of them time passes with every record, or code that measures how long something took would go unnoticed; the
# first of these begins half an hour before the clocks of its zone go back.
SHIFTS = (
    Shift(timedelta(hours=5, minutes=17, seconds=3), seed=1),
    Shift(
        timedelta(days=93, hours=1, minutes=30),
        timedelta(minutes=7),
        seed=2,
        environ={"TZ": "NZST-12NZDT,M9.5.0,M4.1.0/3"},
    ),
    Shift(timedelta(days=1_000), timedelta(days=33), seed=3, environ={"LANG": "tr_TR.UTF-8", "HOME": "/nowhere"}),
)


@contextmanager
def controlled(shift: Shift | None = None) -> Generator[time_machine.Traveller]:
    """Hold the clock still, and make random numbers begin anew.

    Args:
        shift: How the world differs from the usual one.

    Returns:
        What moves the clock.
    """
    shift = shift or Shift()
    state = random.getstate()
    random.seed(shift.seed)
    entropy = random.Random(-1 - shift.seed).randbytes
    module: Any = vars(random)  # where secrets, uuid and SystemRandom get their bytes from
    urandom, system = os.urandom, module["_urandom"]
    os.urandom = module["_urandom"] = entropy
    clocks: Any = vars(time)
    stopwatches = {name: getattr(time, name) for name in _STOPWATCHES}
    before: dict[str, str | None] = {name: os.environ.get(name) for name in shift.environ}
    _set_environ(shift.environ)
    try:
        # As a number: given a moment with a zone, time-machine would set TZ.
        with time_machine.travel((_WHEN + shift.later).timestamp(), tick=False) as traveller:
            clocks.update(_STOPWATCHES)
            yield traveller
    finally:
        clocks.update(stopwatches)
        os.urandom, module["_urandom"] = urandom, system
        random.setstate(state)
        _set_environ(before)


def _set_environ(values: Mapping[str, str | None]) -> None:
    """Set variables of the environment; None removes one."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    if "TZ" in values and hasattr(time, "tzset"):  # the C library keeps the zone that it has read
        time.tzset()
