"""When a schedule fires: moments in UTC, from a cron expression in a time zone or from a period.

Called only where the answer is recorded (the activities of `keeper`) or shown, never by a workflow: what a cron
expression means depends on the library and on the time zone data of the day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import attrs
from cronsim import CronSim

__all__ = ["Timing", "delay_of", "fire_times"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST = timedelta(microseconds=1)


@attrs.frozen
class Timing:
    """When a schedule fires; exactly one of `cron` and `every` is given.

    Attributes:
        cron: Five fields, or six with seconds first.
        every: The period; counted from `start`, else from 1970 in UTC.
        timezone: In which the cron expression is read.
        jitter: By how much a fire is delayed at most.
        start: Nothing fires before this moment.
        end: Nothing fires from this moment on.
    """

    cron: str | None = None
    every: timedelta | None = None
    timezone: str = "UTC"
    jitter: timedelta = timedelta(0)
    start: datetime | None = None
    end: datetime | None = None


def fire_times(timing: Timing, after: datetime) -> Iterator[datetime]:
    """Give the moments at which a schedule fires, without jitter: UTC, ascending, each once.

    Args:
        timing: When it fires.
        after: Only moments later than this one.
    """
    if timing.start is not None:
        after = max(after, timing.start - _LEAST)
    found = _periodic(timing, timing.every, after) if timing.every is not None else _cron(timing, after)
    end = timing.end
    return found if end is None else takewhile(lambda moment: moment < end, found)


def delay_of(schedule_id: str, moment: datetime, jitter: timedelta) -> timedelta:
    """Return by how much a fire is delayed, from nothing to `jitter`: the same whenever and wherever one asks."""
    if not jitter:
        return timedelta(0)
    told = hashlib.blake2b(f"{schedule_id}/{moment.isoformat()}".encode(), digest_size=8).digest()
    return jitter * (int.from_bytes(told, "big") / (1 << 64))


def _periodic(timing: Timing, every: timedelta, after: datetime) -> Iterator[datetime]:
    anchor = timing.start or _EPOCH
    count = (after - anchor) // every + 1
    while True:
        try:
            yield anchor + count * every
        except OverflowError:  # past the year 9999
            return
        count += 1


def _cron(timing: Timing, after: datetime) -> Iterator[datetime]:
    """Give what the library gives, but nothing of the past.

    It counts fixed times of the day without a zone: asked from within the second of two equal hours in autumn, it gives
    what was in the first.
    """
    assert timing.cron is not None
    zone = UTC if timing.timezone == "UTC" else ZoneInfo(timing.timezone)  # the library knows UTC itself as simple
    last = after
    for local in CronSim(timing.cron, after.astimezone(zone)):
        moment = local.astimezone(UTC)
        if moment > last:
            last = moment
            yield moment
