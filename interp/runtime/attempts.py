"""One try of an activity: what it is given, what it may know of itself, and how its end is told.

Runs on executor threads and on the event loop; hands its `Completion` to the worker and touches nothing else.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import attrs

from interp.definitions import ActivityDefinition
from interp.errors import CodecError, NotEncodable, UsageError
from interp.events import Failure
from interp.failures import declared_failure, fault

__all__ = ["Attempt", "CallInfo", "Completion", "Deliver", "current_call", "later", "perform", "perform_async"]

_LAST = datetime.max.replace(tzinfo=UTC)


def later(moment: datetime, delta: timedelta) -> datetime:
    """Return the moment that comes `delta` later; the last one there is, if that is too far away."""
    try:
        return moment + delta
    except OverflowError:
        return _LAST


@attrs.define(eq=False)
class Attempt:
    """One try of a call.

    Attributes:
        run_id: The run.
        round: How many times the run has continued as new.
        command_id: The call.
        number: Which try it is, from 1.
        definition: The activity.
        payload: The arguments, as they are recorded.
        timeout: How long it may take once it has begun; zero for no limit.
        cancelled: Whether nobody waits for its result any more.
        begun: When it began to run; None while it is queued.
        stop: Ends it at once, where that is possible (async activities).
    """

    run_id: str
    round: int
    command_id: str
    number: int
    definition: ActivityDefinition
    payload: bytes
    timeout: timedelta = timedelta(0)
    cancelled: bool = False
    begun: datetime | None = None
    stop: Callable[[], object] | None = None

    @property
    def deadline(self) -> datetime | None:
        """When it has taken too long; None while it is queued, and without a limit."""
        return later(self.begun, self.timeout) if self.timeout and self.begun is not None else None

    def cancel(self) -> None:
        """Tell the attempt that nobody waits for it any more."""
        self.cancelled = True
        if self.stop is not None:
            self.stop()


@attrs.frozen(eq=False)
class Completion:
    """How an attempt ended: with a result, or with a failure.

    Attributes:
        attempt: The attempt.
        payload: The result as JSON; None when it failed.
        failure: Why it failed.
        declared: Whether the activity declares the exception.
    """

    attempt: Attempt
    payload: bytes | None = None
    failure: Failure | None = None
    declared: bool = False


Deliver: TypeAlias = Callable[[Completion], None]


@attrs.frozen
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
        attempt = self._attempt
        call = f"{attempt.round}:{attempt.command_id}" if attempt.round else attempt.command_id
        return f"{attempt.run_id}/{call}"

    @property
    def attempt(self) -> int:
        """Which try this is, from 1; more than 1 means that an earlier one may have had its effect."""
        return self._attempt.number

    @property
    def deadline(self) -> datetime | None:
        """When this attempt has taken too long; None for no limit."""
        return self._attempt.deadline

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more: a long activity looks now and then, and returns."""
        return self._attempt.cancelled


_current: ContextVar[CallInfo] = ContextVar("interp_current_call")


def current_call() -> CallInfo:
    """Return what the running activity may know of its call: its idempotency key, attempt, deadline.

    Raises:
        UsageError: Called outside an activity that a workflow called.
    """
    try:
        return _current.get()
    except LookupError:
        raise UsageError("current_call() is for the inside of an activity that a workflow has called") from None


def perform(attempt: Attempt) -> Completion:
    """Run a sync activity on this thread."""
    attempt.begun = datetime.now(UTC)
    token = _current.set(CallInfo(attempt))
    try:
        args, kwargs = attempt.definition.arguments.decode(attempt.payload)
        value = attempt.definition.fn(*args, **kwargs)
        return _returned(attempt, value)
    except BaseException as error:  # noqa: BLE001  whatever an activity raises is the end of its attempt
        return _raised(attempt, error)
    finally:
        _current.reset(token)


async def perform_async(attempt: Attempt) -> Completion:
    """Run an async activity in the current task."""
    attempt.begun = datetime.now(UTC)
    _current.set(CallInfo(attempt))  # a task has a context of its own
    try:
        args, kwargs = attempt.definition.arguments.decode(attempt.payload)
        value = await attempt.definition.fn(*args, **kwargs)
        return _returned(attempt, value)
    except BaseException as error:  # noqa: BLE001  whatever an activity raises is the end of its attempt
        return _raised(attempt, error)


def _returned(attempt: Attempt, value: Any) -> Completion:
    """Encode a result here, off the worker's thread. One that cannot be recorded would not get better by retrying."""
    try:
        return Completion(attempt, attempt.definition.arguments.result.encode(value))
    except NotEncodable as error:
        told = attrs.evolve(error, path=f"result of {attempt.definition.name}{error.path.removeprefix('$')}")
        return Completion(attempt, failure=fault(told, f"{told}\nIts effects have happened.", retryable=False))


def _raised(attempt: Attempt, error: BaseException) -> Completion:
    if isinstance(error, attempt.definition.raises):
        return Completion(attempt, failure=declared_failure(error), declared=True)
    return Completion(attempt, failure=fault(error, _text(error), retryable=not isinstance(error, CodecError)))


def _text(error: BaseException) -> str:
    """Format the traceback, from the user's code on."""
    steps = error.__traceback__
    while steps is not None and steps.tb_frame.f_code.co_filename == __file__:
        steps = steps.tb_next
    text = "".join(traceback.format_exception(type(error), error, steps))
    # A lone surrogate cannot be written as UTF-8.
    return text.encode("utf-8", "backslashreplace").decode()
