"""What a schedule is, and what cannot be one. The classes here are recorded: fields are only ever added."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from itertools import islice, pairwise
from typing import Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, available_timezones

import attrs
from cronsim import CronSim, CronSimError

from interp.errors import UsageError
from interp.schedules.times import Timing, fire_times
from interp.spans import checked_span

__all__ = ["DAY", "Overlap", "Spec", "aware", "checked", "checked_id"]

Overlap: TypeAlias = Literal["skip", "queue", "allow", "cancel"]
"""What becomes of a fire while a run that the schedule started is still at work."""

DAY = timedelta(days=1)

# A run id holds 400 bytes at most, and that of a fire ends in `/2026-03-29T01:00:00.000000Z`.
_LONGEST_ID = 360

# How many fires are looked at to find the shortest time between two: enough for the hours of a working week.
_SAMPLE = 200

_FIELDS = {
    "second": "0-59",
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31, L for the last, LW for the last weekday",
    "month": "1-12 or JAN-DEC",
    "day-of-week": "0-7 or SUN-SAT (0 and 7 are Sunday), with #2 for the second or L for the last of the month",
}
_SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@attrs.frozen
class Spec:
    """What a schedule starts, when, and how.

    Attributes:
        workflow: The name of the workflow.
        args: Its arguments, a JSON array.
        timing: When it fires.
        overlap: What becomes of a fire while a run is still at work.
        catch_up: How late a fire may be made good.
    """

    workflow: str
    args: str
    timing: Timing
    overlap: Overlap = "skip"
    catch_up: timedelta = DAY


def checked(
    workflow: str, args: bytes, timing: Timing, *, overlap: Overlap = "skip", catch_up: timedelta | None = DAY
) -> Spec:
    """Return a specification that makes sense.

    Args:
        workflow: The name of the workflow.
        args: Its arguments, a JSON array.
        timing: When it fires.
        overlap: What becomes of a fire while a run is still at work.
        catch_up: How late a fire may be made good; None for not at all.

    Raises:
        UsageError: It makes none; says what to write instead.
    """
    if overlap not in get_args(Overlap):
        raise UsageError(f"schedule(overlap={overlap!r}): takes {', '.join(map(repr, get_args(Overlap)))}")
    late = _span("catch_up", timedelta(0) if catch_up is None else catch_up)
    if late < timedelta(0):
        raise UsageError(f"schedule(catch_up={catch_up!r}): must not be negative; None makes no missed fire good")
    return Spec(workflow, args.decode(), _checked_timing(timing), overlap, late)


def checked_id(schedule_id: str) -> str:
    """Return the id of a schedule, if the runs that it starts can be named after it.

    Raises:
        UsageError: They cannot.
    """
    if not schedule_id or len(schedule_id.encode(errors="replace")) > _LONGEST_ID:
        shown = repr(schedule_id[:40]) + ("..." if len(schedule_id) > 40 else "")
        raise UsageError(
            f"schedule(id={shown}): it must have 1 to {_LONGEST_ID} bytes, to leave room for the time in the ids of "
            "its runs"
        )
    return schedule_id


def aware(moment: datetime | None, what: str) -> datetime | None:
    """Return a moment in UTC.

    Raises:
        UsageError: It does not say in which time zone it is.
    """
    if moment is None:
        return None
    if not isinstance(moment, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
        raise UsageError(f"{what}={moment!r}): takes a datetime, such as datetime(2027, 1, 31, 9, tzinfo=UTC)")
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise UsageError(
            f"{what}={moment!r}): needs an aware datetime; add tzinfo, such as datetime.UTC or "
            'zoneinfo.ZoneInfo("Europe/Zurich")'
        )
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise UsageError(
            f"{what}={moment!r}): in UTC that is no date; the last is at the end of the year 9999"
        ) from None


def _checked_timing(timing: Timing) -> Timing:
    if (timing.cron is None) == (timing.every is None):
        given = "neither" if timing.cron is None else "both"
        raise UsageError(
            f"schedule(): {given} of cron= and every= given; give one, such as "
            'cron="0 3 * * *" or every=timedelta(minutes=10)'
        )
    timing = attrs.evolve(timing, start=aware(timing.start, "schedule(start"), end=aware(timing.end, "schedule(end"))
    if timing.start is not None and timing.end is not None and timing.end <= timing.start:
        raise UsageError(f"schedule(end={timing.end!s}): must be after start={timing.start!s}")
    if timing.cron is not None:
        timing = _checked_cron(timing, timing.cron)
    elif timing.every is not None:
        _check_every(timing.every, timing)
    _check_jitter(timing)
    return timing


def _span(name: str, value: timedelta) -> timedelta:
    return checked_span(f"schedule({name}", value, UsageError)


def _check_every(every: timedelta, timing: Timing) -> None:
    if _span("every", every) <= timedelta(0):
        raise UsageError(f"schedule(every={every!r}): must be more than nothing")
    if timing.timezone != "UTC":
        raise UsageError(
            f"schedule(every=..., timezone={timing.timezone!r}): a period is counted in UTC and knows no zone; "
            "use cron= for times of the day"
        )


def _checked_cron(timing: Timing, cron: str) -> Timing:
    if not isinstance(cron, str):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
        raise UsageError(f'schedule(cron={cron!r}): takes a text, such as "0 3 * * *"')
    _check_zone(timing.timezone)
    cron = _SHORTHANDS.get(cron.strip().lower(), " ".join(cron.split()))
    try:
        CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise UsageError(_why_bad(cron, str(error))) from None
    timing = attrs.evolve(timing, cron=cron)
    if next(fire_times(attrs.evolve(timing, start=None, end=None), datetime(2026, 1, 1, tzinfo=UTC)), None) is None:
        raise UsageError(f"schedule(cron={cron!r}): no date fits it, so that it would never fire")
    return timing


def _why_bad(cron: str, problem: str) -> str:
    """Say which field of an expression is wrong, and what it takes."""
    parts = cron.split()
    names = list(_FIELDS)[6 - len(parts) :] if len(parts) in (5, 6) else []
    name = problem.removeprefix("Bad ")
    if name not in names:
        return (
            f"schedule(cron={cron!r}): it has {len(parts)} fields; expected 5 (minute, hour, day of the month, month, "
            'day of the week), or 6 with the second before them: "0 3 * * *" is every day at three'
        )
    field = parts[names.index(name)]
    if name == "day-of-month" and _is_valid(f"0 0 {field} * *"):
        return f"schedule(cron={cron!r}): no month that it names has the day {field}, so that it would never fire"
    return f"schedule(cron={cron!r}): the {name.replace('-', ' ')} {field!r} is not valid; it takes {_FIELDS[name]}"


def _is_valid(cron: str) -> bool:
    try:
        CronSim(cron, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError:
        return False
    return True


def _check_zone(name: str) -> None:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError, TypeError):
        known = available_timezones()
        folded: dict[str, str] = {zone.lower(): zone for zone in known}
        wanted = str(name).lower().replace(" ", "_")
        near = [zone for key, zone in sorted(folded.items()) if key.rpartition("/")[2] == wanted]
        near += [folded[key] for key in get_close_matches(wanted, folded) if folded[key] not in near]
        meant = f"; near: {', '.join(near[:4])}" if near else '; expected a name such as "Europe/Zurich"'
        raise UsageError(f"schedule(timezone={name!r}): there is no such time zone{meant}") from None


def _check_jitter(timing: Timing) -> None:
    jitter = _span("jitter", timing.jitter)
    if jitter < timedelta(0):
        raise UsageError(f"schedule(jitter={jitter!r}): must not be negative")
    if jitter:
        shortest = timing.every or _shortest(attrs.evolve(timing, start=None, end=None))
        if jitter >= shortest:
            raise UsageError(
                f"schedule(jitter={jitter!s}): must be shorter than the time between two fires, which is {shortest!s}"
            )


def _shortest(timing: Timing) -> timedelta:
    """Return the shortest time between two fires that a sample finds."""
    found = fire_times(timing, datetime(2026, 1, 1, tzinfo=UTC))
    return min((later - earlier for earlier, later in pairwise(islice(found, _SAMPLE))), default=timedelta.max)
