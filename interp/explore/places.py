"""Which record of a run is meant: by its index, a time, a command, or what happened there."""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import date, datetime, time, timedelta
from typing import Protocol, TypeAlias

from interp.errors import UsageError
from interp.events import AttemptFailed, Failed, Rejected, Transition
from interp.explore.subject import Stored
from interp.outline.words import count, stamp

__all__ = ["Lived", "Where", "failures", "index_of", "length_of", "record_of"]

Where: TypeAlias = int | datetime | str
"""A record index (negative from the end), a moment, or text: a time, a command id, or `failure`."""


class Lived(Stored, Protocol):
    """What time travel needs of a run."""

    def refresh(self) -> Lived: ...  # noqa: D102  the run, read again


_COMMAND = re.compile(r"\d+(\.\d+)*|~.+", re.DOTALL)


def index_of(run: Lived, where: Where) -> int:
    """Return the index of the record that is meant.

    Args:
        run: The run.
        where: As for `Run.at`.

    Raises:
        UsageError: There is no such record.
    """
    if not run.history and not run.damage:
        raise UsageError(f"run {run.id!r} has no records yet: it has not begun")
    known = isinstance(where, int | datetime | str)  # pyright: ignore[reportUnnecessaryIsInstance]  nobody checks notebooks
    if isinstance(where, bool) or not known:
        raise UsageError(f"at({where!r}): give a record's index, a datetime, a time such as '14:03:11' or a command id")
    if isinstance(where, int):
        return _counted(run, where)
    if isinstance(where, datetime):
        return _at_time(run, where if where.tzinfo is not None else where.astimezone())
    text = where.strip()
    if text == "failure":
        return _failure(run)
    if _COMMAND.fullmatch(text):
        return _yielded(run, text)
    return _at_time(run, _read(run, text))


def length_of(run: Lived) -> int:
    """Return how many records a run has, readable or not."""
    return len(run.history) + len(run.damage)


def record_of(run: Lived, index: int) -> Transition | None:
    """Return a record by its index; None when it cannot be read."""
    place = bisect_left(run.history, index, key=lambda transition: transition.index)
    found = run.history[place] if place < len(run.history) else None
    return found if found is not None and found.index == index else None


def _counted(run: Lived, index: int) -> int:
    length = length_of(run)
    if not -length <= index < length:
        raise UsageError(f"run {run.id!r} has {count(length, 'record')}, 0 to {length - 1}: there is no record {index}")
    return index % length


def _at_time(run: Lived, moment: datetime) -> int:
    """Return the last record that was written by then."""
    found = None
    for transition in run.history:
        if transition.at > moment:
            break
        found = transition
    if found is None:
        begun = f"began at {stamp(run.history[0].at, None)}" if run.history else "has no record that can be read"
        raise UsageError(f"run {run.id!r} {begun}: there is nothing at {stamp(moment, None)}")
    return found.index


def _read(run: Lived, text: str) -> datetime:
    """Read a time, in this computer's zone where it has none of its own; `14:03` means all of that minute."""
    rest = _unit(text)
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is not None else moment.astimezone()) + rest
    except (ValueError, OverflowError):
        pass
    try:
        of_day = time.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"at({text!r}): not a time such as '14:03:11' or '2026-11-03 14:03', not a command id such as '2.0.1', "
            "and not 'failure'"
        ) from None
    begun = run.history[0].at.astimezone() if run.history else datetime.now().astimezone()
    moment = _on(begun.date(), of_day) + rest
    # The run may begin in the evening and go on over midnight.
    return moment if moment >= begun else _on(begun.date() + timedelta(days=1), of_day) + rest


def _unit(text: str) -> timedelta:
    """Return how much of a day a written time stands for, less its first moment."""
    clock = re.sub(r"(Z|[+-]\d\d:?\d\d)$", "", text)
    if "." in clock:
        return timedelta(0)
    written = {0: timedelta(days=1), 1: timedelta(minutes=1)}.get(clock.count(":"), timedelta(seconds=1))
    return written - timedelta(microseconds=1)


def _on(day: date, of_day: time) -> datetime:
    moment = datetime.combine(day, of_day)
    return moment if moment.tzinfo is not None else moment.astimezone()


def _yielded(run: Lived, command_id: str) -> int:
    for transition in run.history:
        if any(command.id == command_id for command in transition.commands):
            return transition.index
    known = [command.id for transition in run.history for command in transition.commands]
    told = f"its commands are {known[0]} to {known[-1]}" if known else "it has none"
    raise UsageError(f"run {run.id!r} has no command {command_id!r}; {told}. For a record by its number give an int")


def failures(run: Lived) -> list[int]:
    """Return the records in which something failed: an attempt, a call, the run."""
    return [transition.index for transition in run.history if _is_failure(transition)]


def _is_failure(transition: Transition) -> bool:
    return isinstance(transition.outcome, Failed) or isinstance(transition.cause, (AttemptFailed, Rejected))


def _failure(run: Lived) -> int:
    by_weight = (
        [each.index for each in run.history if isinstance(each.outcome, Failed)],
        [each.index for each in run.history if isinstance(each.cause, Rejected)],
        [each.index for each in run.history if isinstance(each.cause, AttemptFailed)],
    )
    for found in by_weight:
        if found:
            return found[-1]
    raise UsageError(f"nothing has failed in run {run.id!r}")
