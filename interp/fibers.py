"""What the interpreter keeps while a run lives: its fibers, the groups that they form, and the commands that wait."""

from __future__ import annotations

from collections import deque
from datetime import datetime
from enum import Enum
from types import GeneratorType
from typing import Any, TypeAlias

import attrs
import msgspec

from interp.commands import Child, Command, Compare
from interp.definitions import ActivityDefinition, WorkflowDefinition
from interp.events import Record
from interp.rules import Ended, Rule, Tally

__all__ = ["ChildRun", "Code", "Fiber", "Group", "Issued", "State", "Waits"]

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


@attrs.frozen(eq=False)
class ChildRun:
    """The run that a `child` command starts.

    Attributes:
        run_id: Its id.
        definition: Its workflow.
        args: Its arguments, as canonical JSON.
    """

    run_id: str
    definition: WorkflowDefinition
    args: bytes


class Issued(msgspec.Struct, eq=False):
    """A command that the workflow yielded and the journal records.

    Attributes:
        id: The command id.
        command: What was yielded.
        record: How the journal holds it.
        compare: How replay compares it.
        fiber: The fiber that yielded it.
        definition: The activity, when it is a call; the function, when it is a transact.
        child: The run that it starts, when it is a child.
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
    child: ChildRun | None = None
    due: datetime | None = None
    attempt: int = 1
    failures: int = 0
    retry_at: datetime | None = None
    at: datetime | None = None
    heartbeat: bytes = b""
    unknown: bool = False

    @property
    def is_shielded(self) -> bool:
        """Whether its answer is awaited even by a fiber that is cancelled."""
        return isinstance(self.command, Child) and self.command.on_parent_close == "wait"

    @property
    def line(self) -> str:
        """`file:line` of the yield."""
        return self.record.where


Waits: TypeAlias = "Issued | Group | Fiber | None"


class Fiber(msgspec.Struct, eq=False):
    """A generator that runs beside others inside one run.

    Attributes:
        id: Its coordinate: empty for the root, else the command that made it and its slot.
        generator: The suspended code.
        parent: The fiber that spawned it, or that waits for its group; None for the root.
        group: The gather, race, timeout or shield that it is a part of.
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
    spawned: dict[str, Fiber] = {}
    joiners: list[Fiber] = []
    cancelled: bool = False
    interrupt: bool = False
    failure: Exception | None = None
    ended: Ended | None = None

    def id_of_next(self) -> str:
        """Return the id of the command that comes next, without counting it."""
        return f"{self.id}.{self.count + 1}" if self.id else str(self.count + 1)

    def next_id(self) -> str:
        """Count a command and return its id."""
        self.count += 1
        return f"{self.id}.{self.count}" if self.id else str(self.count)


class Group(msgspec.Struct, eq=False):
    """The fibers of one gather, race, timeout or shield.

    Attributes:
        owner: The fiber that waits for all of them to end.
        rule: What decides it.
        tally: How its parts have ended so far.
        names: What the parts are called, by slot; may be shorter.
        where: `file:line` of the command that made it.
        waiting: The parts that are not started yet, in slot order.
        members: The fibers that are, by slot.
        active: How many of them have not ended.
        decided: How the group ends, once its rule has said so.
        winner: The slot of the part that decided it.
        cancelled: Whether its owner is cancelled and waits for it to clean up.
    """

    owner: Fiber
    rule: Rule
    tally: Tally
    names: tuple[str, ...]
    where: str
    waiting: deque[Code]
    members: list[Fiber] = []
    active: int = 0
    decided: Ended | None = None
    winner: int | None = None
    cancelled: bool = False
