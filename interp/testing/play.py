"""One run in virtual time: a test decides what happens next, and with which result.

A `Play` is to the pure interpreter what the worker is, without the world: no store, no threads, no clock. At every
point it says what could happen next (`options`), and `take` lets one of these happen. Whoever chooses makes the tool:
Hypothesis draws, an exhaustive search goes through all, a script follows a list.

Time passes only when somebody takes it: to the moment of the timer that fires, and otherwise by a tick (a second by
default), never past the next timer. Histories go through their recorded form, as they would in a journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import attrs

from interp.asking import asked_type
from interp.codec import encode_payload
from interp.commands import AwaitSignal, Call, CallOptions, Child, Send
from interp.definitions import WorkflowDefinition
from interp.errors import NotEncodable, UsageError
from interp.events import (
    Asked,
    CancelRequested,
    ChildEnded,
    Completed,
    ContinuedAs,
    Delivered,
    Event,
    Failed,
    Fired,
    Outcome,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
    WasCancelled,
    decode_event,
    decode_transition,
    encode_event,
    encode_transition,
)
from interp.failures import declared_failure, fault, outcome_unknown, timed_out
from interp.fibers import Issued
from interp.frames import trace
from interp.interpreter import Interpreter, Step
from interp.runtime.asking import objection

__all__ = [
    "EPOCH",
    "Answer",
    "Answers",
    "Asks",
    "Cancels",
    "ChildEnds",
    "Fires",
    "Option",
    "OutcomeLost",
    "Play",
    "Raised",
    "Returned",
    "Signals",
    "Stored",
    "TimedOut",
]

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When every play begins."""

_SEED = bytes(range(16))

_TICK = timedelta(seconds=1)

# A workflow that continues as new is followed into so many further rounds.
_MOST_ROUNDS = 8


@attrs.frozen
class Returned:
    """A call, or a child, returns."""

    value: Any


@attrs.frozen
class Raised:
    """A call raises: an exception that its activity declares as itself, any other as `CallFailed`. A child fails."""

    error: Exception


@attrs.frozen
class TimedOut:
    """A call takes longer than its timeout, for good."""


@attrs.frozen
class OutcomeLost:
    """The worker is lost during a call that must not be repeated (`on_unknown="fail"`)."""


Answer: TypeAlias = Returned | Raised | TimedOut | OutcomeLost
"""What may come of a call or of a child."""


@attrs.frozen
class Answers:
    """A call ends."""

    id: str


@attrs.frozen
class ChildEnds:
    """A child that is waited for ends."""

    id: str


@attrs.frozen
class Stored:
    """The store has taken what a command asked of it: a message, a detached child."""

    id: str


@attrs.frozen
class Fires:
    """The earliest timer fires."""

    id: str


@attrs.frozen
class Signals:
    """A signal comes in."""

    name: str


@attrs.frozen
class Asks:
    """A request comes in."""

    name: str


@attrs.frozen
class Cancels:
    """Somebody cancels the run."""


Option: TypeAlias = Answers | ChildEnds | Stored | Fires | Signals | Asks | Cancels
"""What may happen next."""


class Play:
    """One run, up to the point to which it was taken."""

    def __init__(
        self,
        definition: WorkflowDefinition,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        run_id: str = "run",
        at: datetime = EPOCH,
        tick: timedelta = _TICK,
    ) -> None:
        """Start a run.

        Args:
            definition: The workflow.
            args: Its arguments.
            kwargs: Its named arguments.
            run_id: The id of the run.
            at: When it starts.
            tick: How much time passes with each event that is no timer's.

        Raises:
            NotEncodable: An argument cannot be recorded.
        """
        self.definition = definition
        self.run_id = run_id
        self.now = at
        self.tick = tick
        self.rounds: list[list[bytes]] = []
        self._asks: dict[str, int] = {}
        self._told_time_before = False
        started = Started(definition.name, definition.arguments.encode(args, kwargs or {}), _SEED)
        self._begin(started)

    def _begin(self, started: Started) -> None:
        self.rounds.append([])
        self.interpreter = Interpreter(self.definition, started, self.run_id)
        self._record(started, self.interpreter.start(self.now))

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended, if it did."""
        return self.interpreter.outcome

    @property
    def has_told_time(self) -> bool:
        """Whether the workflow has asked what time it is."""
        return self._told_time_before or self.interpreter.has_told_time

    @property
    def journal(self) -> list[bytes]:
        """The records of the present round."""
        return self.rounds[-1]

    @property
    def histories(self) -> tuple[tuple[Transition, ...], ...]:
        """The records of every round, as they are read back from a journal."""
        return tuple(tuple(map(decode_transition, journal)) for journal in self.rounds)

    @property
    def awaited(self) -> dict[str, Any]:
        """The signals that the workflow waits for now, with the types of their payloads."""
        return {
            issued.command.name: issued.command.type
            for issued in self.interpreter.pending.values()
            if isinstance(issued.command, AwaitSignal) and asked_type(issued.command.type) is None
        }

    @property
    def requested(self) -> dict[str, Any]:
        """The requests that the workflow waits for now, with the types of their payloads."""
        return {
            issued.command.name: asked_type(issued.command.type)
            for issued in self.interpreter.pending.values()
            if isinstance(issued.command, AwaitSignal) and asked_type(issued.command.type) is not None
        }

    def options(
        self,
        signals: Mapping[str, int] | None = None,
        requests: Mapping[str, int] | None = None,
        *,
        cancel: bool = False,
    ) -> list[Option]:
        """Say what may happen next; first what is the most usual. Empty when the run has ended, or waits for nothing.

        Args:
            signals: Names of signals that may come, and how often still.
            requests: The same of requests.
            cancel: Whether the run may be cancelled.
        """
        if self.outcome is not None:
            return []
        found: list[Option] = []
        awaited, requested = self.awaited, self.requested
        for issued in self.interpreter.pending.values():
            if issued.definition is not None:
                found.append(Answers(issued.id))
            elif issued.child is not None and not _is_detached(issued):
                found.append(ChildEnds(issued.id))
            elif issued.child is not None or isinstance(issued.command, Send):
                found.append(Stored(issued.id))
        possible = [name for name, left in (signals or {}).items() if left > 0]
        askable = [name for name, left in (requests or {}).items() if left > 0]
        found += [Signals(name) for name in possible if name in awaited]
        found += [Asks(name) for name in askable if name in requested]
        due = self.interpreter.next_due
        timer = None if due is None else self.interpreter.due_timer(due)
        if timer is not None:
            found.append(Fires(timer))
        found += [Signals(name) for name in possible if name not in awaited]
        found += [Asks(name) for name in askable if name not in requested]
        if cancel:
            found.append(Cancels())
        return found

    def take(self, option: Option, answer: Answer | None = None, *, payload: Any = None) -> Step:
        """Let something happen.

        Args:
            option: One of `options()`.
            answer: What comes of a call or child.
            payload: What a signal or request carries. A request that is refused, by the validator or since it does not
                fit, leaves no record, and nothing happens.

        Raises:
            NotEncodable: The value cannot be recorded as it is declared.
            UsageError: The answer makes no sense for the command.
        """
        match option:
            case Answers():
                event = self._call_event(self.interpreter.pending[option.id], answer or Returned(None))
            case ChildEnds():
                event = self._child_event(self.interpreter.pending[option.id], answer or Returned(None))
            case Stored():
                event = Delivered(option.id)
            case Signals():
                event = Signalled(option.name, encode_payload(payload, self._sent_as(option.name)))
            case Asks():
                asked = self._asked(option.name, payload)
                if objection(self.interpreter, asked):
                    return Step((), (), None, annotated=False, has_items=False)
                self._asks[option.name] = self._asks.get(option.name, 0) + 1
                event = asked
            case Cancels():
                event = CancelRequested("the test cancels it")
            case Fires():
                self.now = max(self.now, self.interpreter.next_due or self.now)
                return self.feed(Fired(option.id))
        self._let_time_pass()
        return self.feed(event)

    def refuses(self, name: str, payload: Any) -> bool:
        """Tell whether a request would be refused now."""
        return bool(objection(self.interpreter, self._asked(name, payload)))

    def _asked(self, name: str, payload: Any) -> Asked:
        # Numbered by its name, so that it is the same request in whatever order others come.
        request_id = f"{name}-{self._asks.get(name, 0) + 1}"
        kind = self.requested.get(name)
        return Asked(name, encode_payload(payload, None if kind is Any else kind), request_id)

    def feed(self, event: Event) -> Step:
        """Let an event happen, now."""
        event = decode_event(encode_event(event))
        return self._record(event, self.interpreter.feed(event, self.now))

    def close(self) -> None:
        """Drop the run."""
        self.interpreter.close()

    def _record(self, cause: Event, step: Step) -> Step:
        commands = tuple(issued.record for issued in step.commands)
        transition = Transition(len(self.journal), self.now, cause, commands, step.outcome)
        self.journal.append(encode_transition(transition))
        if isinstance(step.outcome, ContinuedAs) and len(self.rounds) <= _MOST_ROUNDS:
            self._told_time_before = self.has_told_time
            self._begin(step.outcome.started)
        return step

    def _sent_as(self, name: str) -> Any:
        """Return the type of a payload; without one, as from most senders, its own class decides."""
        awaited = self.awaited.get(name)
        return None if awaited is Any else awaited

    def _let_time_pass(self) -> None:
        due = self.interpreter.next_due
        later = self.now + self.tick
        self.now = later if due is None else max(self.now, min(later, due))

    def _call_event(self, issued: Issued, answer: Answer) -> Event:
        definition = issued.definition
        assert definition is not None
        match answer:
            case Returned():
                try:
                    return Resolved(issued.id, definition.arguments.result.encode(answer.value))
                except NotEncodable as error:
                    raise attrs.evolve(error, path=f"result of {definition.name}{error.path[1:]}") from None
            case Raised() if isinstance(answer.error, definition.raises):
                return Rejected(issued.id, declared_failure(answer.error), declared=True)
            case Raised():
                return Rejected(issued.id, fault(answer.error, trace(answer.error)), declared=False)
            case TimedOut():
                timeout = self._options(issued, "TimedOut()").timeout
                if timeout is None:
                    raise UsageError(f"TimedOut(): {definition.name} has no timeout; declare one, or use Raised(...)")
                return Rejected(issued.id, timed_out(timeout.total_seconds()), declared=False)
            case OutcomeLost():
                self._options(issued, "OutcomeLost()")
                return Rejected(issued.id, outcome_unknown(""), declared=False)

    def _options(self, issued: Issued, answer: str) -> CallOptions:
        """Return the options of a call; a transact has none, it happens or does not."""
        definition, command = issued.definition, issued.command
        assert definition is not None
        if not isinstance(command, Call):
            raise UsageError(f"{answer}: {definition.name} is a transact, which returns or raises")
        return command.with_options.over(definition.options)

    def _child_event(self, issued: Issued, answer: Answer) -> Event:
        child = issued.child
        assert child is not None
        ended: Completed | Failed | WasCancelled
        match answer:
            case Returned():
                ended = Completed(child.definition.arguments.result.encode(answer.value))
            case Raised():
                ended = Failed(fault(answer.error, trace(answer.error), retryable=False))
            case _:
                ended = WasCancelled("the test cancels the child")
        return ChildEnded(issued.id, len(self.rounds) - 1, ended)


def _is_detached(issued: Issued) -> bool:
    return isinstance(issued.command, Child) and issued.command.detached
