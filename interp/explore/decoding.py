"""The records of a run, decoded: what cannot be read or makes no sense is told, and the rest stays readable.

What the views may rely on: every time has a zone and lies where one can calculate with it, and every command id is a
coordinate that is not absurdly deep. A journal that was damaged, or written by something else, keeps to none of this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec

from interp.errors import JournalCorrupt, PayloadLocked
from interp.events import Record, Transition, decode_transition
from interp.explore.subject import Damage
from interp.outline.words import count, elide
from interp.runtime.sealed import unreadable
from interp.store import Reader

__all__ = ["read_history"]

# Sums and differences of times, and times in any zone, must stay within what `datetime` can hold.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)

# After so many refusals in a row it is not the records that are damaged.
_REFUSED = 1000

# Fields of causes that hold times.
_TIMES = ("begun", "retry_at", "first_at", "start_at", "scheduled_at")

# A fiber in a fiber takes two numbers; nobody nests a hundred, and what is nested is drawn by recursion.
_COORDINATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,199}", re.ASCII)


def read_history(reader: Reader, run_id: str) -> tuple[tuple[Transition, ...], tuple[Damage, ...]]:
    """Read the records of a run; nothing in them makes this raise.

    Raises:
        UnknownRun: There is no such run.
        StoreError: The store cannot be read.
    """
    reading = _Reading(run_id)
    for index, record in _records(reader, run_id):
        reading.take(index, record)
    return tuple(reading.history), tuple(reading.damage)


def _records(reader: Reader, run_id: str) -> Iterator[tuple[int, bytes | Exception]]:
    """Give the records by their place, and in the place of one that the store refuses to give, why."""
    index = refused = 0
    while refused < _REFUSED:
        try:
            for record in reader.history(run_id, index):
                yield index, record
                index += 1
                refused = 0
        except (JournalCorrupt, PayloadLocked) as error:
            yield index, error
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

    def take(self, place: int, record: bytes | Exception) -> None:
        if isinstance(record, Exception):
            self._next = place + 1
            self.damage.append(Damage(place, _why(record), 0))
            return
        try:
            transition = decode_transition(record)
        except (msgspec.MsgspecError, RecursionError) as error:
            refused = unreadable(f"record {place} of run {self.run_id!r}", record, error)
            self.damage.append(Damage(place, _why(refused), len(record)))
            self._next = place + 1
            return
        self._expect(transition.index)
        self.history.append(self._sound(transition, len(record)))

    def _expect(self, index: int) -> None:
        if index > self._next:
            gap = index - self._next
            missing = f"record {self._next} is" if gap == 1 else f"{gap:,} records up to {index - 1:,} are"
            self.damage.append(Damage(self._next, f"{missing} missing", 0))
        elif index < self._next:
            self.damage.append(Damage(index, f"it stands after record {self._next - 1:,}", 0))
        self._next = index + 1

    def _sound(self, transition: Transition, size: int) -> Transition:
        """Return the record with what cannot be shown replaced or left out, which is told."""
        changes: dict[str, Any] = {}
        why: list[str] = []
        if not _is_sound(transition.at):
            changes["at"] = _within(transition.at)
            why.append(f"its time is {transition.at.isoformat()}")
        times = {name: getattr(transition.cause, name, None) for name in _TIMES}
        wrong = {name: _within(at) for name, at in times.items() if at is not None and not _is_sound(at)}
        if wrong:
            changes["cause"] = msgspec.structs.replace(transition.cause, **wrong)
            why.append(f"its {' and its '.join(wrong)} cannot be: {times[next(iter(wrong))]}")
        sound = tuple(command for command in transition.commands if _is_coordinate(command))
        if len(sound) < len(transition.commands):
            changes["commands"] = sound
            odd = next(command.id for command in transition.commands if not _is_coordinate(command))
            dropped = count(len(transition.commands) - len(sound), "command")
            why.append(f"{dropped} left out: {elide(repr(odd), 60)} is no command id")
        if not changes:
            return transition
        self.damage.append(Damage(transition.index, "; ".join(why), size))
        return msgspec.structs.replace(transition, **changes)


def _is_sound(at: datetime) -> bool:
    return at.tzinfo is not None and _EARLIEST.year <= at.year < _LATEST.year


def _within(at: datetime) -> datetime:
    zoned = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return _EARLIEST if at.year < _EARLIEST.year else _LATEST if at.year >= _LATEST.year else zoned


def _is_coordinate(command: Record) -> bool:
    return command.kind == "patched" or _COORDINATE.fullmatch(command.id) is not None


def _why(error: Exception) -> str:
    return error.reason if isinstance(error, (PayloadLocked, JournalCorrupt)) else str(error)
