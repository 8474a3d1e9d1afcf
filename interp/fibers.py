"""What the interpreter keeps while a run lives: its fibers, the groups that they form, and the commands that wait."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from types import GeneratorType
from typing import Any, TypeAlias

import attrs

from interp.commands import Command, Compare
from interp.definitions import ActivityDefinition
from interp.events import Record

__all__ = ["CANCELLED", "Code", "Ended", "Fiber", "Group", "Issued", "State", "Waits"]

Code: TypeAlias = "GeneratorType[Command[Any], Any, Any]"  # quoted: not subscriptable before 3.12
"""The code of a fiber: a real generator, whose frames can be read."""


class State(Enum):
    """Where a fiber stands."""

    NEW = "new"  # scheduled, no code has run
    READY = "ready"  # scheduled with a value or an exception
    RUNNING = "running"
    BLOCKED = "blocked"  # on what `Fiber.waits` says
    CLOSING = "closing"  # its code has ended; it waits for the fibers that it spawned
    ENDED = "ended"


@attrs.define(eq=False)
class Issued:
    """A command that the workflow yielded and the journal records.

    Attributes:
        id: The command id.
        command: What was yielded.
        record: How the journal holds it.
        compare: How replay compares it.
        fiber: The fiber that yielded it.
        definition: The activity, when it is a call.
        due: When its timer fires (sleep, sleep_until, await_signal with a timeout).
        attempt: Which attempt of the call is to be made, or is being made, from 1.
        failures: How many attempts have failed.
        retry_at: Not to be attempted before this moment.
        at: When it was yielded; None where nobody waits for its answer.
        heartbeat: What an attempt told last of how far it is, as JSON; empty for nothing.
        unknown: Whether it is unknown what came of an attempt, because its worker was lost.
    """

    id: str
    command: Command[Any]
    record: Record
    compare: Compare
    fiber: Fiber
    definition: ActivityDefinition | None = None
    due: datetime | None = None
    attempt: int = 1
    failures: int = 0
    retry_at: datetime | None = None
    at: datetime | None = None
    heartbeat: bytes = b""
    unknown: bool = False

    @property
    def line(self) -> str:
        """`file:line` of the yield."""
        return self.record.where


class _Cancelled(Enum):
    CANCELLED = "cancelled"


CANCELLED = _Cancelled.CANCELLED
"""How a fiber ended that let its cancellation pass."""


@attrs.frozen(eq=False)
class Ended:
    """How a fiber ended: with a value, with an error, or cancelled (then the error is CANCELLED)."""

    value: Any = None
    error: Exception | _Cancelled | None = None


Waits: TypeAlias = "Issued | Group | Fiber | None"


@attrs.define(eq=False)
class Fiber:
    """A generator that runs beside others inside one run.

    Attributes:
        id: Its coordinate: empty for the root, else the command that made it and its slot.
        generator: The suspended code.
        parent: The fiber that spawned it, or that waits for its group; None for the root.
        group: The gather or race that it is a part of.
        slot: Its place in the group.
        name: What the author named it.
        where: `file:line` of the command that made it.
        count: How many commands it has yielded.
        state: Where it stands.
        waits: What it is blocked on: a command, a group, or (join) a fiber.
        spawned: Fibers that it spawned and that have not ended, by id.
        joiners: Fibers that wait for it.
        cancelled: Whether it was asked to end.
        interrupt: Whether `Cancelled` is still to be thrown, at its next yield.
        failure: The failure of a fiber it spawned, which it fails with when it ends.
        ended: How it ended.
    """

    id: str
    generator: Code
    parent: Fiber | None = None
    group: Group | None = None
    slot: int = 0
    name: str = ""
    where: str = ""
    count: int = 0
    state: State = State.NEW
    waits: Waits = None
    spawned: dict[str, Fiber] = attrs.field(factory=dict[str, "Fiber"])
    joiners: list[Fiber] = attrs.field(factory=list["Fiber"])
    cancelled: bool = False
    interrupt: bool = False
    failure: Exception | None = None
    ended: Ended | None = None

    def next_id(self) -> str:
        """Count a command and return its id."""
        self.count += 1
        return f"{self.id}.{self.count}" if self.id else str(self.count)


@attrs.define(eq=False)
class Group:
    """The fibers of one gather or race.

    Attributes:
        owner: The fiber that waits for all of them to end.
        is_race: Whether the first one to end decides.
        names: The parts' names, for a race by name.
        members: The fibers, by slot.
        active: How many of them have not ended.
        decided: How the group ends: set by the winner of a race, or by the first failure of a gather.
        winner: The slot of the winner.
        cancelled: Whether its owner is cancelled and waits for it to clean up.
    """

    owner: Fiber
    is_race: bool
    names: tuple[str, ...] | None
    members: list[Fiber] = attrs.field(factory=list[Fiber])
    active: int = 0
    decided: Ended | None = None
    winner: int | None = None
    cancelled: bool = False
