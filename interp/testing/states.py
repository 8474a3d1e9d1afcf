"""What two runs must have in common so that whatever happens next has the same consequences: `state_of`.

It is everything that the interpreter and the workflow's code can still look at. Of the interpreter's own bookkeeping
what is known to matter to nobody is left out by name, and all else is read: what is added to it one day makes states
differ that could be equal, never the other way round.

Left out are: what was (the records so far, when something was yielded, arguments of calls besides their record), the
order in which commands were yielded (their ids say where they stand in the code), and the time, unless the workflow
has looked at it: then only how long timers still run matters.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs

from interp.commands import Call
from interp.fibers import Fiber, Issued
from interp.interpreter import Interpreter
from interp.scheduler import Scheduler
from interp.testing.play import Play
from interp.testing.reading import READERS, Reader, Unreadable, Values

__all__ = ["state_of"]

_SILENT = frozenset({
    "definition", "run_id",  # the same in all
    "length", "losses", "outcome", "has_told_time",  # what was
    "_started", "_started_at", "_root", "_allowed", "_continued", "_dropped",
    "_at", "_issued", "_withdrawn", "_annotated", "_refusals", "_timer_count",  # about the last step only
    "pending", "timers", "_waiters", "_scheduler", "_patches", "mailbox",  # read by themselves
})  # fmt: skip
_SILENT_OF_SCHEDULER = frozenset({"_perform", "_withdraw", "_ready", "alive", "tasks"})
_SILENT_OF_COMMAND = frozenset({"fn", "args", "kwargs", "parts", "part", "payload"})
_SILENT_OF_ISSUED = frozenset({"id", "command", "record", "fiber", "due", "at"})


def state_of(play: Play, values: Values, *extra: Any, with_time: bool) -> bytes:
    """Return 16 bytes that two runs have in common only when they are in the same state.

    Args:
        play: The run; it has not ended.
        values: One for all runs that are compared.
        *extra: What else belongs to the state.
        with_time: Whether the time belongs to it.

    Raises:
        Unreadable: Something that the run can look at cannot be read.
    """
    while True:
        known = values.modules
        digest = _digest(play, values, extra, with_time=with_time)
        if values.modules == known:  # else what was read before a module was met may lack that it belongs to it
            return digest


def _digest(play: Play, values: Values, extra: tuple[Any, ...], *, with_time: bool) -> bytes:
    reader = Reader(values)
    reader.all(extra)
    if with_time:
        reader.read(play.now)
    reader.read(len(play.rounds))
    try:
        _interpreter(reader, play)
    except RecursionError:
        raise Unreadable("values nested deeper than Python's stack") from None
    return reader.digest()


def _interpreter(reader: Reader, play: Play) -> None:
    run = play.interpreter
    parts = _parts(run)
    scheduler = _parts(parts["_scheduler"])
    waiters: dict[str, list[str]] = {
        name: [waiter for waiter in waiting if waiter in run.pending] for name, waiting in parts["_waiters"].items()
    }
    reader.read(sorted(parts["_patches"]))
    reader.read(sorted((name, tuple(waiting)) for name, waiting in run.mailbox.items() if waiting))
    reader.read(sorted((name, tuple(waiting)) for name, waiting in waiters.items() if waiting))
    reader.read(_timers(run, play))
    for command_id in sorted(run.pending):
        _issued(reader, run.pending[command_id])
    for name in sorted(parts.keys() - _SILENT):
        reader.read(parts[name])
    for name in sorted(scheduler.keys() - _SILENT_OF_SCHEDULER):
        reader.read(scheduler[name])
    fibers: dict[str, Fiber] = {**scheduler["tasks"], **scheduler["alive"]}
    for fiber_id in sorted(fibers):
        reader.read(fibers[fiber_id])


def _parts(value: Interpreter | Scheduler) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _timers(run: Interpreter, play: Play) -> list[tuple[str, timedelta]]:
    """Return the timers in the order in which they fire, with how long they still run."""
    timers = sorted(run.timers)
    return [(command_id, due - play.now) for due, _, command_id in timers if command_id in run.pending]


def _fiber(reader: Reader, fiber: Fiber) -> None:
    if reader.is_new(fiber):
        reader.tag("fiber", fiber.id)
        _fields(reader, fiber, frozenset())


def _waits(reader: Reader, issued: Issued) -> None:
    """Read which command a fiber waits for; the command itself is read among those that are pending."""
    reader.tag("waits", issued.id)


def _issued(reader: Reader, issued: Issued) -> None:
    """Read a command that waits: its record says what was asked, the rest how it goes on."""
    record = issued.record
    reader.tag("command", issued.id, issued.fiber.id, record.kind, record.target, record.payload)
    _fields(reader, issued, _SILENT_OF_ISSUED)
    command = issued.command
    reader.read(type(command))
    if isinstance(command, Call):
        reader.read(command.fn)
    _fields(reader, command, _SILENT_OF_COMMAND)


def _fields(reader: Reader, value: Any, silent: frozenset[str]) -> None:
    names: tuple[str, ...] | None = getattr(value, "__struct_fields__", None)
    if names is None:
        fields: tuple[attrs.Attribute[Any], ...] = value.__attrs_attrs__
        names = tuple(field.name for field in fields)
    for name in names:
        if name not in silent:
            reader.read(getattr(value, name))


READERS[Fiber] = _fiber
READERS[Issued] = _waits
