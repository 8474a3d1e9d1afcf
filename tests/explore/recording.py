"""Histories of long runs, made in no time: the real interpreter, and a made-up world that takes hours.

What a history holds (commands, ids, lines) comes from the interpreter, so that it replays; when things happen, which
attempts fail and when a worker dies is chosen by the caller.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

from interp.commands import Call
from interp.definitions import WorkflowDefinition, workflow_of
from interp.events import (
    AttemptFailed,
    Event,
    Failure,
    Fired,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
    WorkerLost,
    encode_transition,
)
from interp.fibers import Issued
from interp.interpreter import Interpreter, Step
from interp.runtime.live import microseconds
from interp.store import Append, Batch, Create, Status, Store

BEGIN = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)


@attrs.frozen
class World:
    """What a run meets.

    Attributes:
        took: How long an attempt of an activity takes, by its short name: seconds at least and at most.
        answers: What an activity returns: a function of the attempt's chance and the decoded arguments.
        faults: Share of attempts that fail, by short name; the last attempt of a call never does.
        signals: When a signal comes, its name and its JSON.
        crashes: When a worker dies; another takes over 45 seconds later.
        slots: How many calls run at once.
        seed: Of all chance.
    """

    took: Mapping[str, tuple[float, float]] = attrs.field(factory=dict[str, tuple[float, float]])
    answers: Mapping[str, Callable[[random.Random, Sequence[Any]], Any]] = attrs.field(factory=dict[str, Any])
    faults: Mapping[str, float] = attrs.field(factory=dict[str, float])
    signals: Sequence[tuple[timedelta, str, bytes]] = ()
    crashes: Sequence[timedelta] = ()
    slots: int = 1 << 30
    seed: int = 7


@attrs.define
class _Recording:
    """One run on its way through a world."""

    definition: WorkflowDefinition
    world: World
    run_id: str
    history: list[Transition] = attrs.field(factory=list[Transition])
    _happenings: list[tuple[datetime, int, str, Any]] = attrs.field(factory=list[Any])
    _queue: deque[Issued] = attrs.field(factory=deque[Issued])
    _at_work: dict[str, datetime] = attrs.field(factory=dict[str, datetime])
    _life: int = 0
    _number: int = 0

    def record(self, args: Sequence[Any], until: datetime | None) -> tuple[Transition, ...]:
        chance = random.Random(self.world.seed)
        payload = self.definition.arguments.encode(tuple(args), {})
        started = Started(self.definition.name, payload, bytes(16), self.definition.code, "w1")
        interpreter = Interpreter(self.definition, started, self.run_id)
        try:
            self._note(interpreter.start(BEGIN), BEGIN, started)
            for after, name, signal in self.world.signals:
                self._plan(BEGIN + after, "event", Signalled(name, signal))
            for after in self.world.crashes:
                self._plan(BEGIN + after, "crash", None)
            self._fill(interpreter, BEGIN, chance)
            while self._happenings and interpreter.outcome is None:
                at, _, kind, what = heapq.heappop(self._happenings)
                if until is not None and at > until:
                    break
                self._happen(interpreter, at, kind, what, chance)
            return tuple(self.history)
        finally:
            interpreter.close()

    def _happen(self, interpreter: Interpreter, at: datetime, kind: str, what: Any, chance: random.Random) -> None:
        if kind == "crash":
            self._life += 1
            self._queue.clear()
            self._at_work.clear()
            self._plan(at + timedelta(seconds=45), "event", WorkerLost("w1", f"w{self._life + 1}"))
            return
        if kind == "attempt":
            life, event = what
            if life != self._life or not interpreter.awaits(event.id):
                return
            del self._at_work[event.id]
            self._note(interpreter.feed(event, at), at, event)
            if isinstance(event, AttemptFailed):
                self._plan(event.retry_at, "again", (life, event.id))
        elif kind == "again":
            life, command_id = what
            if life == self._life and interpreter.awaits(command_id):
                self._queue.append(interpreter.pending[command_id])
        elif isinstance(what, Fired):
            if not interpreter.awaits(what.id):
                return
            self._note(interpreter.feed(what, at), at, what)
        else:
            self._note(interpreter.feed(what, at), at, what)
            if isinstance(what, WorkerLost):
                pending = interpreter.pending.values()
                self._queue.extend(issued for issued in pending if isinstance(issued.command, Call))
        self._fill(interpreter, at, chance)

    def _note(self, step: Step, at: datetime, cause: Event) -> None:
        commands = tuple(issued.record for issued in step.commands)
        self.history.append(Transition(len(self.history), at, cause, commands, step.outcome))
        for issued in step.commands:
            if issued.due is not None:
                self._plan(issued.due, "event", Fired(issued.id))
            elif isinstance(issued.command, Call):
                self._queue.append(issued)

    def _fill(self, interpreter: Interpreter, at: datetime, chance: random.Random) -> None:
        """Begin as many attempts as there are slots."""
        while self._queue and len(self._at_work) < self.world.slots:
            issued = self._queue.popleft()
            if interpreter.awaits(issued.id):
                self._at_work[issued.id] = at
                self._attempt(issued, at, chance)

    def _attempt(self, issued: Issued, at: datetime, chance: random.Random) -> None:
        assert issued.definition is not None
        name = issued.record.target.rpartition(".")[2]
        end = at + timedelta(seconds=chance.uniform(*self.world.took.get(name, (1, 2))))
        event: Event
        if chance.random() < self.world.faults.get(name, 0.0):
            refused = Failure("builtins.ConnectionError", f"{name}: the provider is busy", _TRACEBACK.format(name=name))
            if issued.attempt < 9:
                event = AttemptFailed(issued.id, issued.attempt, refused, end + timedelta(seconds=20), at)
            else:
                event = Rejected(issued.id, refused, declared=False, attempt=issued.attempt, begun=at)
        else:
            args, _ = issued.definition.arguments.decode(issued.record.payload)
            chosen = self.world.answers.get(name)
            answer = issued.definition.fn(*args) if chosen is None else chosen(chance, args)
            payload = issued.definition.arguments.result.encode(answer)
            event = Resolved(issued.id, payload, issued.attempt, at)
        self._plan(end, "attempt", (self._life, event))

    def _plan(self, at: datetime, kind: str, what: Any) -> None:
        self._number += 1
        heapq.heappush(self._happenings, (at, self._number, kind, what))


_TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "cloud.py", line 31, in {name}\n'
    "ConnectionError: {name}: the provider is busy"
)


def record(
    workflow: Any, *args: Any, world: World | None = None, run_id: str = "prov-7f3a", until: timedelta | None = None
) -> tuple[Transition, ...]:
    """Let a run meet a world; until it ends, or only so long."""
    recording = _Recording(workflow_of(workflow), world or World(), run_id)
    return recording.record(args, None if until is None else BEGIN + until)


def keep(store: Store, run_id: str, history: Sequence[Transition], status: Status | None = None) -> None:
    """Write a history into a store as a run of its own, with the times that it tells."""
    first, last = history[0], history[-1]
    assert isinstance(first.cause, Started)
    ends = {"done": Status.COMPLETED, "fail": Status.FAILED, "gone": Status.CANCELLED}
    if status is None:
        status = Status.WAITING if last.outcome is None else ends[str(last.outcome.__struct_config__.tag)]
    begun, ended = microseconds(first.at), microseconds(last.at)
    store.create(Create(run_id, first.cause.workflow, run_id.encode(), b"", worker="w1"), begun)
    records = [encode_transition(transition) for transition in history]
    due = None if status.ended or status is Status.PARKED else 2**62
    append = Append(run_id, 1, 0, records, status, due, ended, release=True)
    refused = store.commit(Batch(appends=[append]), ended)
    assert not refused, refused


CLOUD = World(
    took={
        "create_subnet": (30, 60),
        "create_volume": (60, 150),
        "create_vm": (240, 520),
        "attach": (10, 30),
        "health_check": (3, 9),
        "announce": (1, 1.2),
        "register_dns": (70, 95),
        "rollback": (60, 60),
    },
    faults={"create_volume": 0.25, "create_vm": 0.1, "attach": 0.02},
    answers={"health_check": lambda chance, _: "healthy" if chance.random() < 0.6 else "starting"},
    signals=[(timedelta(minutes=45), "approve", b"true")],
    crashes=[timedelta(minutes=8, seconds=40)],
)
"""The world of the pictures: a cloud that is slow and fails at times, and a worker that is killed in the middle."""
