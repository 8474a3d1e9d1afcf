"""What one run waits for: since when, at which line of the source, and what would make it go on.

It is read as everywhere here, and nothing is asked of a worker. What a signal must be is known where the code is
at hand: the history is then replayed in memory, without effects, up to the command that waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import attrs
import msgspec

from interp.commands import AwaitSignal
from interp.definitions import WorkflowDefinition
from interp.explore.quiet import quiet
from interp.explore.sources import Source
from interp.explore.subject import Stored
from interp.frames import brief
from interp.outline.nodes import Node
from interp.outline.words import clean, elide, failure_line, heading, one_line, span
from interp.replay import replay
from interp.runtime.exported import ExportedReader
from interp.runtime.live import microseconds, moment
from interp.runtime.sealed import behind
from interp.runtime.stores import hint
from interp.schedules.book import CHANNEL
from interp.schedules.book import NAME as KEEPER
from interp.store import Attended, Reader, Status

__all__ = ["Wait", "alive_in", "waits_of"]

# How many waits of one run are told one by one: thousands of fibers may wait for the same.
_MOST_WAITS = 200

# Values longer than this are cut.
_VALUE = 80
_REASON = 300

# Longer histories are not replayed to learn the type of a signal.
_REPLAYED = 20_000


@attrs.frozen
class Wait:
    """Something that a run waits for.

    Attributes:
        run_id: The run.
        workflow: Its workflow.
        kind: `signal`, `request`, `timer`, `retry`, `call`, `child`, `send`, `worker` or `parked`.
        what: What it waits for.
        like: The same without what only this run has: what waits alike has the same.
        since: Since when.
        until: When it goes on by itself, or times out; None for never.
        command: The id of the command that waits; empty where the run as a whole does.
        where: `file:line` of the yield; empty where no command waits.
        source: That line, where the code is at hand and the recorded one.
        detail: What else is worth knowing: the type of the signal, why the last attempt failed, how the child stands.
        wakes: What makes it go on: when, who, or by which command line (between backquotes).
    """

    run_id: str
    workflow: str
    kind: str
    what: str
    like: str
    since: datetime
    until: datetime | None = None
    command: str = ""
    where: str = ""
    source: str = ""
    detail: str = ""
    wakes: str = ""


def waits_of(run: Stored, now: datetime, alive: Mapping[str, bool] | None = None) -> list[Wait]:
    """List what a run waits for, in the order in which it began to; empty when it has ended.

    Args:
        run: The run.
        now: The time.
        alive: Which workers are alive, as far as the store knows; None to ask it.
    """
    row = run.row
    if row.status.ended:
        return []
    if row.status is Status.PARKED:
        return [_parked(run)]
    if row.status is Status.PENDING:
        return [_pending(run, now)]
    waiting = list(run.tree.waiting.values())[:_MOST_WAITS]
    if not waiting:
        return [_unattended(run)]
    types = _signal_types(run) if any(node.record.kind == "await_signal" for node in waiting) else {}
    alive = alive_in(run.reader, now) if alive is None else alive
    told = _Told(run, now, Source(run), types, alive)
    return [told.wait(node) for node in waiting]


def alive_in(reader: Reader | None, now: datetime) -> Mapping[str, bool]:
    """Return which workers are alive, by name, as far as a store tells."""
    attended: object = reader  # what a store can besides is not seen from its type
    known = attended.workers(microseconds(now)) if isinstance(attended, Attended) else ()
    return {worker.name: worker.is_alive for worker in known}


def _parked(run: Stored) -> Wait:
    row = run.row
    reason = elide(one_line(row.reason[:_REASON].partition("\n")[0]), _REASON) or "no reason is recorded"
    by_itself = "a deploy that fits it, or " if row.misfit else ""
    return Wait(
        row.id,
        row.workflow,
        "parked",
        f"parked: {reason}",
        f"parked: {reason.replace(repr(row.id), '…').replace(row.id, '…')}",
        moment(row.updated_us),
        wakes=f"{by_itself}{_by(run, 'a retry', 'retry', row.id)}, when the cause is mended",
    )


def _pending(run: Stored, now: datetime) -> Wait:
    row = run.row
    due = None if row.due_us is None else moment(row.due_us)
    name = clean(row.workflow)
    if due is not None and due > now:
        wakes = f"in {span(due - now)}, if a worker has {name!r} then"
    else:
        due = None
        wakes = f"a worker that has {name!r}: {_by(run, 'one', 'worker', 'MODULE')}"
    what = "a worker to take it up"
    return Wait(row.id, row.workflow, "worker", what, what, moment(row.created_us), due, wakes=wakes)


def _unattended(run: Stored) -> Wait:
    """Tell of a run of which no command waits: its worker has not come to it yet, or its records cannot be read."""
    row = run.row
    what = "a worker to go on with it" if not run.damage else "unknown: records of it cannot be read"
    wakes = f"worker {clean(row.owner)}" if row.owner is not None else "whichever worker claims it"
    return Wait(row.id, row.workflow, "worker", what, what, moment(row.updated_us), wakes=wakes)


@attrs.frozen
class _Told:
    """Puts the waits of one run into words."""

    run: Stored
    now: datetime
    source: Source
    types: Mapping[str, str]
    alive: Mapping[str, bool]

    def wait(self, node: Node) -> Wait:
        record = node.record
        match record.kind:
            case "call" | "transact":
                kind, detail, wakes = self._call(node)
            case "await_signal":
                kind, detail, wakes = "signal", self.types.get(node.id, ""), self._signal(node)
            case "await_request":
                kind, detail = "request", ""
                wakes = _by(self.run, "a request", "ask", self.run.id, record.target[:_REASON])
            case "child":
                kind, (detail, wakes) = "child", self._child(node)
            case "send":
                kind, detail, wakes = "send", "", self._worker("delivers it")
            case _:
                kind, detail, wakes = "timer", "", self._time(node.due)
        head, inside = heading(record, _VALUE)
        head = elide(one_line(head), _VALUE)
        what = head if inside is None else f"{head}({elide(one_line(inside), _VALUE)})"
        row, due = self.run.row, node.due
        if kind == "call" and node.tries:
            since = node.tries[-1].retry_at or node.tries[-1].ended
        else:
            since = node.at
        like = {
            "child": f"child {record.target[:_VALUE]}",
            "send": f"send {record.target[:_VALUE]}",
            "timer": "sleep",
        }.get(kind, head)
        return Wait(
            row.id,
            row.workflow,
            kind,
            what,
            elide(one_line(like), 2 * _VALUE),
            since,
            None if kind == "call" else due,
            command=node.id,
            where=elide(clean(record.where[:_VALUE]), _VALUE),
            source=self.source.line(record.where),
            detail=detail,
            wakes=wakes,
        )

    def _call(self, node: Node) -> tuple[str, str, str]:
        failure = next((attempt.failure for attempt in reversed(node.tries) if attempt.failure), None)
        parts = [f"attempt {node.attempt}"] if node.attempt > 1 else []
        if failure is not None:
            parts.append(f"the last failure: {elide(failure_line(failure, _VALUE), _VALUE)}")
        elif node.tries:
            parts.append("a worker was lost")
        detail = "; ".join(parts)
        if node.due is not None and node.due > self.now:
            return "retry", detail, self._time(node.due)
        return "call", detail, self._worker("is at work on it")

    def _signal(self, node: Node) -> str:
        given = {"bool": "true", "str": "TEXT", "int": "NUMBER", "float": "NUMBER", "None": "null"}
        if node.record.target == CHANNEL and self.run.row.workflow == KEEPER:
            told = _by(self.run, "a change of it", "schedule", "show", self.run.id)
            if node.due is None:
                return told
            return f"{'its next time, ' if node.due > self.now else ''}{self._time(node.due)}; {told}"
        value = given.get(self.types.get(node.id, ""), "VALUE")
        command = _by(self.run, "a signal", "signal", self.run.id, node.record.target[:_REASON], value)
        if node.due is None:
            return command
        return f"{command}, or {'its timeout ' if node.due > self.now else ''}{self._time(node.due)}"

    def _child(self, node: Node) -> tuple[str, str]:
        run_id = _child_id(node)
        row = self.run.reader.run(run_id) if self.run.reader is not None and run_id else None
        if row is None:
            is_known = self.run.reader is not None and not _is_exported(self.run)
            return "there is no such run" if is_known else "", "its end"
        told = f"it is {row.status.value}" + (f": {one_line(row.reason.partition(_NEWLINE)[0])}" if row.reason else "")
        return elide(told, _VALUE), f"its end: `{clean(hint('show', run_id, store=self.run.store))}`"

    def _time(self, due: datetime | None) -> str:
        if due is None:
            return "unknown: what was recorded cannot be read"
        if due > self.now:
            return f"in {span(due - self.now)}"
        return f"a worker: its time came {span(self.now - due)} ago"

    def _worker(self, does: str) -> str:
        if _is_exported(self.run):
            return f"a worker {_ELSEWHERE}"
        owner = self.run.row.owner
        if owner is None:
            return "a worker: none has the run"
        match self.alive.get(owner):
            case True:
                return f"worker {clean(owner)}, which is alive, {does}"
            case False:
                return f"another worker: {clean(owner)} is dead"
            case None:
                return f"worker {clean(owner)} {does}"


_NEWLINE = "\n"

# An exported history is a file: who wants the run to go on, or knows whose it is, must go to the store.
_ELSEWHERE = "where its store is"


def _is_exported(run: Stored) -> bool:
    return isinstance(behind(run.reader), ExportedReader)


def _by(run: Stored, what: str, *words: str) -> str:
    """Return the command line that does something to a run; of a run whose store is elsewhere, what is to be done."""
    return f"{what} {_ELSEWHERE}" if _is_exported(run) else f"`{clean(hint(*words, store=run.store))}`"


def _child_id(node: Node) -> str:
    try:
        _, run_id, *_ = msgspec.json.decode(node.record.payload)
    except (msgspec.MsgspecError, ValueError, TypeError):
        return ""
    return run_id if isinstance(run_id, str) else ""


def _signal_types(run: Stored) -> dict[str, str]:
    """Return the types of the signals that are awaited, by command id, as far as the code is at hand and fits."""
    definition = run.code
    if not isinstance(definition, WorkflowDefinition) or run.damage or not 0 < len(run.history) <= _REPLAYED:
        return {}
    try:
        with quiet():
            interpreter = replay(definition, run.history, run_id=run.id).interpreter
    except Exception:  # noqa: BLE001  code that does not fit any more, or raises: the history is told without it
        return {}
    try:
        awaited = [issued for issued in interpreter.pending.values() if isinstance(issued.command, AwaitSignal)]
        return {issued.id: _type_name(cast("AwaitSignal[Any]", issued.command).type) for issued in awaited}
    finally:
        with quiet():  # its cleanup code runs
            interpreter.close()


def _type_name(annotation: Any) -> str:
    if annotation is None:
        return ""
    if annotation is type(None):
        return "None"
    return annotation.__qualname__ if isinstance(annotation, type) else one_line(brief(annotation, 40))
