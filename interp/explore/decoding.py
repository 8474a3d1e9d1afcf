"""The records of a run, decoded: what cannot be read or makes no sense is told, and the rest stays readable.

What the views may rely on: every time has a zone and lies where one can calculate with it, and every command id is a
coordinate that is not absurdly deep, and one command's only. A journal that was damaged, or written by something else,
keeps to none of this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import attrs
import msgspec

from interp.errors import JournalCorrupt, PayloadLocked
from interp.events import Record, Transition, decode_transition
from interp.explore.subject import Damage
from interp.outline.words import elide
from interp.runtime.sealed import unreadable
from interp.store import Reader

__all__ = ["read_history"]

# Sums and differences of times, and times in any zone, must stay within what `datetime` can hold.
_YEARS = range(1970, 9000)

# A record that is further ahead was not written for this place.
_GAP = 1000

# After so many refusals in a row it is not the records that are damaged.
_REFUSED = 1000

# Fields of causes that hold times.
_TIMES = ("begun", "retry_at", "first_at", "start_at", "scheduled_at")

# A fiber in a fiber takes two numbers; nobody nests a hundred, and what is nested is drawn by recursion.
_COORDINATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,199}", re.ASCII)


def read_history(reader: Reader, run_id: str) -> tuple[tuple[Transition, ...], tuple[Damage, ...]]:
    """Read the records of a run; nothing in them makes this raise.

    Returns:
        The records that can be read, in order of their indexes, and the others.

    Raises:
        UnknownRun: There is no such run.
        StoreError: The store cannot be read.
    """
    reading = _Reading(run_id)
    for record in _records(reader, run_id):
        reading.take(record)
    return tuple(reading.history), tuple(reading.damage)


def _records(reader: Reader, run_id: str) -> Iterator[bytes | Exception]:
    """Give the records, and in the place of one that the store refuses to give, why."""
    index = refused = 0
    while refused < _REFUSED:
        try:
            for record in reader.history(run_id, index):
                yield record
                index += 1
                refused = 0
        except (JournalCorrupt, PayloadLocked) as error:
            yield error
            index += 1
            refused += 1
        else:
            return


@attrs.define
class _Reading:
    run_id: str
    history: list[Transition] = attrs.field(factory=list[Transition])
    damage: list[Damage] = attrs.field(factory=list[Damage])
    _next: int = 0
    _ids: set[str] = attrs.field(factory=set[str])

    def take(self, record: bytes | Exception) -> None:
        """Take in the next record; what is wrong with it counts for the index that comes next."""
        if isinstance(record, Exception):
            self._lose(_why(record), 0)
            return
        try:
            transition = decode_transition(record)
        except (msgspec.MsgspecError, RecursionError) as error:
            self._lose(_why(unreadable(f"a record of run {self.run_id!r}", record, error)), len(record))
            return
        if not self._next <= transition.index <= self._next + _GAP:
            self._lose(f"it says that it is record {transition.index:,}", len(record))
            return
        while self._next < transition.index:
            self._lose("it is missing", 0)
        ids = [command.id for command in transition.commands if command.kind != "patched"]
        if wrong := _oddity(transition) or self._repeated(ids):
            self._lose(wrong, len(record))
            return
        self._ids.update(ids)
        self.history.append(transition)
        self._next += 1

    def _repeated(self, ids: list[str]) -> str:
        """Say which command there was before; empty for none: an id is one command's only."""
        once = set(ids)
        if len(once) == len(ids) and once.isdisjoint(self._ids):
            return ""
        return "a command in it has the id of another"

    def _lose(self, why: str, size: int) -> None:
        self.damage.append(Damage(self._next, why, size))
        self._next += 1


def _oddity(transition: Transition) -> str:
    """Say what of a record makes no sense; empty for nothing."""
    if not _is_sound(transition.at):
        return f"its time is {transition.at.isoformat()}"
    for name in _TIMES:
        at = getattr(transition.cause, name, None)
        if at is not None and not _is_sound(at):
            return f"{name} in it is {at.isoformat()}"
    for command in transition.commands:
        if not _is_coordinate(command):
            return f"{elide(repr(command.id), 60)} in it is no command id"
    return ""


def _is_sound(at: datetime) -> bool:
    return at.tzinfo is not None and at.year in _YEARS


def _is_coordinate(command: Record) -> bool:
    return command.kind == "patched" or _COORDINATE.fullmatch(command.id) is not None


def _why(error: Exception) -> str:
    return error.reason if isinstance(error, (PayloadLocked, JournalCorrupt)) else str(error)
