"""A driver for the interpreter: feeds it events and keeps the history, through the recorded forms."""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import msgspec

from interp.codec import ANY
from interp.commands import Command
from interp.definitions import WorkflowDefinition, workflow_of
from interp.events import (
    Asked,
    AttemptFailed,
    CancelRequested,
    Event,
    Failure,
    Fired,
    Outcome,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
    WorkerLost,
    decode_event,
    decode_transition,
    encode_event,
    encode_transition,
)
from interp.failures import declared_failure, fault
from interp.fibers import Issued, State
from interp.interpreter import Interpreter, Step
from interp.replay import Replayed, replay

__all__ = ["EPOCH", "Driver", "issued", "play", "replayed"]

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SEED = bytes(range(16))

AnyWorkflow = Callable[..., Generator[Command[Any], Any, Any]]


@attrs.define(eq=False)
class Driver:
    """One run: an interpreter, a clock, and the history as it would be journaled.

    Attributes:
        definition: The workflow.
        args: Its arguments.
        run_id: The id of the run.
        now: The time.
        journal: The encoded records.
        mailbox: Signals that came before it started.
    """

    definition: WorkflowDefinition
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = attrs.field(factory=dict)
    run_id: str = "run"
    now: datetime = EPOCH
    journal: list[bytes] = attrs.field(factory=list)
    interpreter: Interpreter = attrs.field(init=False)
    last: Step = attrs.field(init=False)
    mailbox: tuple[tuple[str, bytes], ...] = ()

    def __attrs_post_init__(self) -> None:
        started = Started(
            self.definition.name, self.definition.arguments.encode(self.args, self.kwargs), SEED, mailbox=self.mailbox
        )
        self.begin(started)

    def begin(self, started: Started) -> Step:
        """Start the run; also the next round of one that continued as new."""
        self.journal = []
        self.interpreter = Interpreter(self.definition, started, self.run_id)
        return self._record(started, self.interpreter.start(self.now))

    def feed(self, event: Event, after: timedelta = timedelta(seconds=1)) -> Step:
        """Let something happen, a second later."""
        self.now += after
        event = decode_event(encode_event(event))
        return self._record(event, self.interpreter.feed(event, self.now))

    def _record(self, cause: Event, step: Step) -> Step:
        commands = tuple(issued.record for issued in step.commands)
        index = len(self.journal)
        self.journal.append(encode_transition(Transition(index, self.now, cause, commands, step.outcome)))
        self.last = step
        check(self)
        return step

    # What may happen.

    def returns(self, command_id: str, value: Any = None) -> Step:
        """Let a call return."""
        issued = self.interpreter.pending[command_id]
        assert issued.definition is not None
        return self.feed(Resolved(command_id, issued.definition.arguments.result.encode(value)))

    def fails(self, command_id: str, error: Exception) -> Step:
        """Let a call fail for good, with a declared exception or another."""
        issued = self.interpreter.pending[command_id]
        assert issued.definition is not None
        if isinstance(error, issued.definition.raises):
            return self.feed(Rejected(command_id, declared_failure(error), declared=True))
        return self.feed(Rejected(command_id, fault(error, "remote traceback"), declared=False, attempt=3))

    def rejects(self, command_id: str, failure: Failure) -> Step:
        """Let a call fail with a failure as recorded."""
        return self.feed(Rejected(command_id, failure, declared=False, attempt=2))

    def retries(self, command_id: str) -> Step:
        """Let an attempt fail, to be followed by another."""
        attempt = self.interpreter.pending[command_id].attempt
        failure = Failure("builtins.OSError", "no route")
        return self.feed(AttemptFailed(command_id, attempt, failure, self.now + timedelta(seconds=10)))

    def fires(self) -> Step:
        """Let the earliest timer fire, now or when it is due."""
        due = self.interpreter.next_due
        assert due is not None
        self.now = max(due, self.now)
        command_id = self.interpreter.due_timer(self.now)
        assert command_id is not None
        return self.feed(Fired(command_id), timedelta(0))

    def signals(self, name: str, payload: Any = None) -> Step:
        """Send a signal."""
        return self.feed(Signalled(name, ANY.encode(payload)))

    def asks(self, name: str, payload: Any = None, request_id: str = "") -> Step:
        """Send a request; its id is made of the number of the record, if none is given."""
        return self.feed(Asked(name, ANY.encode(payload), request_id or f"request-{len(self.journal)}"))

    def cancels(self, reason: str = "enough") -> Step:
        """Ask for the run's end."""
        return self.feed(CancelRequested(reason))

    def loses_worker(self) -> Step:
        """Let another worker take over."""
        return self.feed(WorkerLost("old", "new"))

    # What can be seen.

    @property
    def pending(self) -> list[str]:
        """The ids of the commands that wait, in the order in which they were issued."""
        return list(self.interpreter.pending)

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended."""
        return self.interpreter.outcome

    @property
    def history(self) -> list[Transition]:
        """The records, as they are read back from a journal."""
        return [decode_transition(record) for record in self.journal]

    def replay(self, definition: WorkflowDefinition | None = None, length: int | None = None) -> Replayed:
        """Replay the history, or its beginning, with the same code or with other."""
        return replay(definition or self.definition, self.history[:length], run_id=self.run_id)

    def close(self) -> None:
        """Drop the run."""
        self.interpreter.close()


def check(driver: Driver) -> None:
    """Check what holds between any two steps."""
    interpreter = driver.interpreter
    fibers = interpreter.fibers
    if interpreter.outcome is not None:
        assert not interpreter.pending
        assert not fibers
    blocked = {fiber.waits.id for fiber in fibers.values() if isinstance(fiber.waits, Issued)}
    assert set(interpreter.pending) == blocked
    for fiber in fibers.values():
        assert fiber.state in {State.BLOCKED, State.CLOSING}
        assert fiber.parent is None or fibers[fiber.parent.id] is fiber.parent, "a fiber outlived its parent"
    ids = [record.id for transition in driver.history for record in transition.commands]
    assert len(set(ids)) == len(ids), "an id is used twice"
    replies = [
        record.payload for transition in driver.history for record in transition.commands if record.kind == "reply"
    ]
    answered = [msgspec.json.decode(payload)[0] for payload in replies]
    assert len(set(answered)) == len(answered) and interpreter.asked.issuperset(answered), "a request is answered twice"
    assert interpreter.length == len(driver.journal)


def play(workflow: AnyWorkflow, *args: Any, **kwargs: Any) -> Driver:
    """Start a workflow."""
    return Driver(workflow_of(workflow), args, kwargs)


def replayed(driver: Driver, workflow: AnyWorkflow | None = None) -> Replayed:
    """Replay a driver's history, with another workflow if one is given."""
    return driver.replay(None if workflow is None else workflow_of(workflow))


def issued(step: Step) -> list[str]:
    """Show the commands of a step: `id kind target`."""
    return [f"{each.id} {each.record.kind} {each.record.target}".rstrip() for each in step.commands]
