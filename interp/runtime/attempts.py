"""One try of an activity: what it is given, what it may know of itself, and how its end is told.

Runs on executor threads and on the event loop; hands its `Completion` to the worker and touches nothing else.
"""

from __future__ import annotations

import inspect
import threading
import traceback
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import attrs
import msgspec

from interp.codec import ANY, encode_payload
from interp.commands import CallOptions
from interp.definitions import ActivityDefinition
from interp.errors import CallTimeout, Cancelled, CodecError, NotDone, NotEncodable, RetryAfter, UsageError
from interp.events import Failure
from interp.failures import Limit, declared_failure, fault, kinds_of, timed_out
from interp.runtime.capture import Line, line_of
from interp.store import Emit
from interp.streams import Emitted, check_topic, encode_emitted

__all__ = [
    "Attempt",
    "Beat",
    "CallInfo",
    "Completion",
    "Deliver",
    "Told",
    "attempt_at_work",
    "current_call",
    "idempotency_key",
    "later",
    "overdue",
    "perform",
    "perform_async",
]

_LAST = datetime.max.replace(tzinfo=UTC)

# Held for the moment in which an attempt begins or is called off, so that it is one or the other. One for all attempts:
# it guards two assignments, and a lock for each would cost more than it.
_beginning = threading.Lock()


def later(moment: datetime, delta: timedelta) -> datetime:
    """Return the moment that comes `delta` later; the last one there is, if that is too far away."""
    try:
        return moment + delta
    except OverflowError:
        return _LAST


def idempotency_key(run_id: str, round: int, command_id: str) -> str:
    """Return what tells a call from all others, in all of its attempts; see `CallInfo.idempotency_key`."""
    return f"{run_id}/{round}:{command_id}" if round else f"{run_id}/{command_id}"


class Attempt(msgspec.Struct, eq=False):
    """One try of a call.

    Attributes:
        run_id: The run.
        round: How many times the run has continued as new.
        command_id: The call.
        number: Which try it is, from 1.
        definition: The activity.
        payload: The arguments, as they are recorded.
        options: How it is called.
        queued: When it was handed out.
        previous: What an earlier attempt told last of how far it was, as JSON; empty for nothing.
        reconcile: Called in place of the activity, to ask what came of one whose worker was lost; None otherwise.
        until: When the whole call must be done; None for no limit.
        cancelled: Whether nobody waits for its result any more.
        begun: When it began to run; None while it is queued.
        ended: Whether it has ended, also when nobody waits for it any more.
        stop: Ends it at once, where that is possible (async activities).
        captures: The lowest level of its log lines that are captured; None for none.
        tell: Takes its heartbeats and items to the worker; None while it is not dispatched.
        beat_at: When it gave its last sign of life; None before the first.
        details: What it told last of how far it is, as JSON; empty for nothing.
        beating: Whether the worker is to look at `details` and has not yet.
        quiet_until: When its next heartbeat may be recorded; None for at once.
    """

    run_id: str
    round: int
    command_id: str
    number: int
    definition: ActivityDefinition
    payload: bytes
    options: CallOptions
    queued: datetime
    previous: bytes = b""
    reconcile: Callable[..., Any] | None = None
    until: datetime | None = None
    cancelled: bool = False
    begun: datetime | None = None
    ended: bool = False
    stop: Callable[[], object] | None = None
    tell: Callable[[Beat | Told], object] | None = None
    beat_at: datetime | None = None
    details: bytes = b""
    beating: bool = False
    quiet_until: datetime | None = None
    captures: int | None = None

    @property
    def fn(self) -> Callable[..., Any]:
        """The function to call."""
        return self.reconcile or self.definition.fn

    @property
    def is_async(self) -> bool:
        """Whether it runs on the event loop."""
        return self.definition.is_async if self.reconcile is None else inspect.iscoroutinefunction(self.reconcile)

    @property
    def deadline(self) -> datetime | None:
        """When it has taken too long; None without a limit, as far as it is known while it is queued."""
        timeout = self.options.timeout
        if timeout is None or self.begun is None:
            return self.until
        end = later(self.begun, timeout)
        return end if self.until is None else min(end, self.until)

    def limit(self, now: datetime) -> tuple[datetime, Limit] | None:
        """Return the limit that it breaks first, and when; None when it has none.

        Args:
            now: The time; while it is queued its own limits count from now.
        """
        options = self.options
        if not (self.until or options.timeout or options.heartbeat or options.start_timeout):
            return None  # nearly always, and asked of each
        return min(self._limits(self.begun or now), default=None)

    def _limits(self, begun: datetime) -> Iterator[tuple[datetime, Limit]]:
        if self.until is not None:
            yield self.until, "deadline"
        if self.begun is None and self.options.start_timeout is not None:
            yield later(self.queued, self.options.start_timeout), "start_timeout"
        if self.options.timeout is not None:
            yield later(begun, self.options.timeout), "timeout"
        if self.options.heartbeat is not None:
            yield later(self.beat_at or begun, self.options.heartbeat), "heartbeat"

    def beat(self, details: bytes) -> None:
        """Give a sign of life; called on the thread of the activity.

        Args:
            details: How far it is, as JSON; empty to leave what was told before.
        """
        self.beat_at = datetime.now(UTC)
        if not details or details == self.details:
            return
        self.details = details
        if not self.beating and self.tell is not None:
            self.beating = True
            self.tell(Beat(self))

    @property
    def is_over(self) -> bool:
        """Whether it does not run any more, or never will."""
        return self.ended or (self.cancelled and self.begun is None)

    def take(self) -> bool:
        """Begin, on the thread where it runs; False when it was called off before."""
        with _beginning:
            if not self.cancelled:
                self.begun = datetime.now(UTC)
            return not self.cancelled

    def withdraw(self) -> bool:
        """Call it off if it has not begun; then it never will. False when it has."""
        with _beginning:
            self.cancelled = self.cancelled or self.begun is None
            return self.begun is None

    def emit(self, topic: str, payload: bytes) -> None:
        """Hand an item to the worker; called on the thread of the activity."""
        if self.tell is not None:
            self.tell(Told(self, Emit(topic, encode_emitted(self._emitted(payload)))))

    def log(self, line: Line) -> None:
        """Hand a log line to the worker, likewise."""
        if self.tell is not None:
            self.tell(Told(self, line_of(self._emitted(b""), line)))

    def _emitted(self, payload: bytes) -> Emitted:
        return Emitted(datetime.now(UTC), self.command_id, self.number, payload, self.round)

    def cancel(self) -> None:
        """Tell the attempt that nobody waits for it any more."""
        with _beginning:
            self.cancelled = True
        if self.stop is not None:
            self.stop()


@attrs.frozen(eq=False)
class Beat:
    """An attempt told anew how far it is."""

    attempt: Attempt


@attrs.frozen(eq=False)
class Told:
    """An attempt emitted an item."""

    attempt: Attempt
    emit: Emit


class Completion(msgspec.Struct, frozen=True, eq=False):
    """How an attempt ended: with a result, or with a failure.

    Attributes:
        attempt: The attempt.
        payload: The result as JSON; None when it failed.
        failure: Why it failed.
        declared: Whether the activity declares the exception.
        kinds: Qualified names of the exception's class and of its base classes.
        delay: How long the activity asked to be left alone; None where the policy says.
        not_done: Whether it reconciled, and told that the effect has not happened.
    """

    attempt: Attempt
    payload: bytes | None = None
    failure: Failure | None = None
    declared: bool = False
    kinds: tuple[str, ...] = ()
    delay: timedelta | None = None
    not_done: bool = False


Deliver: TypeAlias = Callable[["Completion | Beat | Told"], None]


@attrs.define
class CallInfo:
    """What an activity may know of the call that it serves; see `current_call`."""

    _attempt: Attempt

    @property
    def run_id(self) -> str:
        """The run that made the call."""
        return self._attempt.run_id

    @property
    def command_id(self) -> str:
        """The call's coordinate in the run."""
        return self._attempt.command_id

    @property
    def idempotency_key(self) -> str:
        """`run id/command id`: the same for every attempt of this call, and for no other call.

        A run that continued as new counts its commands afresh; its round goes before them: `run id/round:command id`.
        """
        return idempotency_key(self._attempt.run_id, self._attempt.round, self._attempt.command_id)

    @property
    def attempt(self) -> int:
        """Which try this is, from 1; more than 1 means that an earlier one may have had its effect."""
        return self._attempt.number

    @property
    def deadline(self) -> datetime | None:
        """When this attempt, or the whole call, has taken too long; None for no limit."""
        return self._attempt.deadline

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more: a long activity looks now and then, and returns."""
        return self._attempt.cancelled

    @property
    def last_heartbeat(self) -> Any:
        """What an earlier attempt told last by `heartbeat`, as plain JSON values; None when none did."""
        return ANY.decode(self._attempt.previous) if self._attempt.previous else None

    def heartbeat(self, details: Any = None) -> None:
        """Give a sign of life, and tell how far the work is; from the activity's own thread or from another one.

        The next attempt finds the details as `last_heartbeat`: the very last ones when this attempt fails, and when
        its worker dies those of at most a few seconds before.

        Args:
            details: Plain JSON values; None leaves what was told before.

        Raises:
            Cancelled: Nobody waits for the result any more: let it pass, and clean up in `finally`.
            NotEncodable: The details are no JSON.
        """
        self._check()
        self._attempt.beat(b"" if details is None else ANY.encode(details))

    def emit(self, topic: str, value: Any = None, *, type: Any = None) -> None:
        """Add an item to a stream of the run, while the activity is at work; from its own thread or from another one.

        Does not wait: the item is written with what the worker writes next, in the order in which they were emitted,
        before the result of the activity. What a crash takes along is lost, and the next attempt emits anew: readers
        tell by `attempt`, in `run.stream(topic).items()`. What is emitted after the attempt has ended is dropped.

        Args:
            topic: Which stream; at most 200 bytes. It need not be there before, and must not begin with `~`.
            value: Plain JSON values, or anything of the given type.
            type: What the value is encoded as; the value's own class by default.

        Raises:
            Cancelled: Nobody waits for the result any more: let it pass, and clean up in `finally`.
            NotEncodable: The value cannot be recorded.
        """
        check_topic("emit", topic)
        payload = encode_payload(value, type, name="value")
        self._check()
        self._attempt.emit(topic, payload)

    def _check(self) -> None:
        if self._attempt.cancelled:
            raise Cancelled(f"nobody waits for attempt {self.attempt} of {self.idempotency_key} any more")


_current: ContextVar[Attempt] = ContextVar("interp_current_call")


def attempt_at_work() -> Attempt | None:
    """Return the attempt that is made here; None outside of activities."""
    return _current.get(None)


def current_call() -> CallInfo:
    """Return what the running activity may know of its call: its idempotency key, attempt, deadline.

    Raises:
        UsageError: Called outside an activity that a workflow called.
    """
    try:
        return CallInfo(_current.get())
    except LookupError:
        raise UsageError("current_call() is for the inside of an activity that a workflow has called") from None


def perform(attempt: Attempt) -> Completion:
    """Run a sync activity on this thread, which has taken it."""
    token = _current.set(attempt)
    definition = attempt.definition
    try:
        args, kwargs = definition.arguments.decode(attempt.payload)
        value = (attempt.reconcile or definition.fn)(*args, **kwargs)
        return _returned(attempt, value)
    except BaseException as error:  # noqa: BLE001  whatever an activity raises is the end of its attempt
        return _raised(attempt, error)
    finally:
        attempt.ended = True
        _current.reset(token)


async def perform_async(attempt: Attempt) -> Completion:
    """Run an async activity in the current task, which has taken it."""
    _current.set(attempt)  # a task has a context of its own
    try:
        args, kwargs = attempt.definition.arguments.decode(attempt.payload)
        value = await attempt.fn(*args, **kwargs)
        return _returned(attempt, value)
    except BaseException as error:  # noqa: BLE001  whatever an activity raises is the end of its attempt
        return _raised(attempt, error)
    finally:
        attempt.ended = True


def _returned(attempt: Attempt, value: Any) -> Completion:
    """Encode a result here, off the worker's thread. One that cannot be recorded would not get better by retrying."""
    try:
        return Completion(attempt, attempt.definition.arguments.encode_result(value))
    except NotEncodable as error:
        told = attrs.evolve(error, path=f"result of {attempt.definition.name}{error.path.removeprefix('$')}")
        return Completion(attempt, failure=fault(told, f"{told}\nIts effects have happened.", retryable=False))


def _raised(attempt: Attempt, error: BaseException) -> Completion:
    if isinstance(error, attempt.definition.raises):
        return Completion(attempt, failure=declared_failure(error), declared=True)
    if attempt.reconcile is not None and isinstance(error, NotDone):
        return Completion(attempt, not_done=True)
    delay = error.delay if isinstance(error, RetryAfter) else None
    if delay is not None and error.__cause__ is not None:
        error = error.__cause__  # what went wrong; the delay says all that the wrapping does
    failure = fault(error, _text(error), retryable=delay is not None or not isinstance(error, CodecError))
    return Completion(attempt, failure=failure, kinds=kinds_of(type(error)), delay=delay)


def overdue(attempt: Attempt, limit: Limit) -> Completion:
    """Return how an attempt ends that breaks a limit."""
    options = attempt.options
    span: timedelta | None = getattr(options, limit)
    assert span is not None
    limit_s = span.total_seconds()
    return Completion(attempt, failure=timed_out(limit_s, limit), kinds=kinds_of(CallTimeout))


def _text(error: BaseException) -> str:
    """Format the traceback, from the user's code on."""
    steps = error.__traceback__
    while steps is not None and steps.tb_frame.f_code.co_filename == __file__:
        steps = steps.tb_next
    text = "".join(traceback.format_exception(type(error), error, steps))
    # A lone surrogate cannot be written as UTF-8.
    return text.encode("utf-8", "backslashreplace").decode()
