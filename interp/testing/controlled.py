"""A world that stands still: the clock and the random numbers that a workflow must not look at, under control.

The first execution of an example must see the same as every later one, or Hypothesis reports flakiness instead of the
bug. What a workflow reads of the clock, of `random` and of the environment is therefore fixed in the first execution,
and changed on purpose in the replays that are compared with it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import attrs
import time_machine

__all__ = ["SHIFTS", "Shift", "controlled"]

_WHEN = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@attrs.frozen
class Shift:
    """How a world differs from that of the first execution.

    Attributes:
        later: How much later it is.
        seed: What `random` is seeded with.
        environ: Variables of the environment that are changed.
    """

    later: timedelta = timedelta(0)
    seed: int = 0
    environ: Mapping[str, str] = attrs.field(factory=dict[str, str])


# Branches on the hour, the day, the month or the year must all be met; a day later alone misses those on the hour.
SHIFTS = (
    Shift(timedelta(hours=5, minutes=17, seconds=3), seed=1),
    Shift(timedelta(days=40, hours=10, minutes=34), seed=2, environ={"TZ": "Pacific/Auckland", "LANG": "tr_TR.UTF-8"}),
    Shift(timedelta(days=1_000), seed=3),
)


@contextmanager
def controlled(shift: Shift | None = None) -> Generator[None]:
    """Hold the clock still, and make `random` begin anew.

    Args:
        shift: How the world differs from the usual one.
    """
    shift = shift or Shift()
    state = random.getstate()
    random.seed(shift.seed)
    before = {name: os.environ.get(name) for name in shift.environ}
    os.environ.update(shift.environ)
    try:
        with time_machine.travel(_WHEN + shift.later, tick=False):
            yield
    finally:
        random.setstate(state)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
