"""What a workflow may yield: frozen values. Their lower-case constructors are in `constructors` and `branching`.

A command is data. It does nothing by itself; the interpreter performs it when it is yielded. Two spellings are equal:

    receipt = yield call(charge, order)            # untyped: type checkers see Any
    receipt = yield from call(charge, order)       # typed: the activity's return type

`yield from` works because a command iterates once, over itself (the shape of Twisted's `Deferred.__iter__`). Since
`__await__` is the same function, mypy's `unused-awaitable` reports a command that nobody yields.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from typing import (
    Any,
    ClassVar,
    Generic,
    Literal,
    NoReturn,
    ParamSpec,
    TypeAlias,
    TypeVar,
    TypeVarTuple,
)
from uuid import UUID

import attrs
import msgspec

from interp.asking import Request
from interp.errors import ForgottenYield
from interp.policies import Retry
from interp.spans import checked_span
from interp.tables import Transaction

__all__ = [
    "Annotate",
    "AwaitSignal",
    "Call",
    "CallOptions",
    "Cancel",
    "Child",
    "Command",
    "Compare",
    "ContinueAs",
    "Emit",
    "FireRun",
    "Gather",
    "GetRunInfo",
    "Join",
    "Now",
    "OnParentClose",
    "OnUnknown",
    "Part",
    "Patched",
    "Race",
    "Random",
    "Reply",
    "RequestCancel",
    "RunInfo",
    "Send",
    "Shield",
    "Sleep",
    "SleepUntil",
    "Spawn",
    "Task",
    "Timeout",
    "Transact",
    "Uuid",
    "Workflow",
]

P = ParamSpec("P")
T = TypeVar("T")
Tx = TypeVar("Tx", bound=Transaction)
T_co = TypeVar("T_co", covariant=True)
Ts = TypeVarTuple("Ts")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")

Compare: TypeAlias = Literal["strict", "names"]
"""How replay compares a command with its record: `strict` with its arguments, `names` without."""


class Command(Generic[T_co]):
    """Something that a workflow asks for; `T_co` is what it gets back."""

    __slots__ = ()

    # The codec knows a command by this mark, so that one used as an argument is refused with the cure.
    __interp_command__: ClassVar[bool] = True

    def __iter__(self) -> Generator[Command[Any], Any, T_co]:
        """Yield this command once and return its result: what makes `yield from` typed."""
        result: T_co = yield self
        return result

    __await__ = __iter__

    def __str__(self) -> str:
        """Refuse: a command in a string is a forgotten `yield`. `repr` shows one."""
        raise ForgottenYield(self.sketch(), "", "made into a string instead of being yielded")

    def __bool__(self) -> bool:
        """Refuse: `if patched("x"):` without `yield from` would always be true."""
        raise ForgottenYield(self.sketch(), "", "tested for truth instead of being yielded")

    def __format__(self, spec: str) -> str:
        """Refuse, as `__str__` does."""
        return str(self)

    def sketch(self) -> str:
        """Show how the command was probably written, for messages."""
        return f"{type(self).__name__.lower()}(...)"


Workflow: TypeAlias = Generator[Command[Any], Any, T]
"""What a workflow function that returns a T is annotated with: `def checkout(order: Order) -> Workflow[str]`."""

Part: TypeAlias = Command[T] | Generator[Command[Any], Any, T]
"""What runs as a fiber of its own inside gather, race and spawn: a command or a generator."""


def _span(_: object, field: attrs.Attribute[Any], value: timedelta | None) -> None:
    if value is not None and checked_span(field.name, value, TypeError) <= timedelta(0):
        raise ValueError(f"{field.name}={value!r}: must be more than nothing; leave it out for no limit")


OnUnknown: TypeAlias = Literal["retry", "fail"] | Callable[..., Any]
"""What happens to a call whose worker was lost: attempted again, failed, or a reconcile function is asked."""


def _choice(_: object, field: attrs.Attribute[Any], value: Any) -> None:
    if value is not None and value not in ("retry", "fail") and not callable(value):
        raise ValueError(f'{field.name}={value!r}: must be "retry", "fail" or a function')


@attrs.frozen
class CallOptions:
    """How one call is made; None leaves what the activity declares.

    Options are not part of the call's identity: changed ones hold for attempts from now on.

    Attributes:
        retry: When to try again after a fault.
        timeout: How long one attempt may take (start to close).
        compare: How replay compares the call with its record.
        deadline: How long the whole call may take, with all attempts and pauses (schedule to close).
        heartbeat: How long an attempt may be silent that gives signs of life by `current_call().heartbeat()`.
        on_unknown: What happens to the call when its worker was lost during an attempt.
        start_timeout: How long an attempt may wait until it begins (schedule to start).
    """

    retry: Retry | None = None
    timeout: timedelta | None = attrs.field(default=None, validator=_span)
    compare: Compare | None = None
    deadline: timedelta | None = attrs.field(default=None, validator=_span)
    heartbeat: timedelta | None = attrs.field(default=None, validator=_span)
    on_unknown: OnUnknown | None = attrs.field(default=None, validator=_choice)
    start_timeout: timedelta | None = attrs.field(default=None, validator=_span)

    def over(self, other: CallOptions) -> CallOptions:
        """Return these options, with those of `other` where nothing is said here."""
        if self is _NO_OPTIONS:  # nearly always, and once for each attempt
            return other
        return CallOptions(
            retry=other.retry if self.retry is None else self.retry,
            timeout=other.timeout if self.timeout is None else self.timeout,
            compare=other.compare if self.compare is None else self.compare,
            deadline=other.deadline if self.deadline is None else self.deadline,
            heartbeat=other.heartbeat if self.heartbeat is None else self.heartbeat,
            on_unknown=other.on_unknown if self.on_unknown is None else self.on_unknown,
            start_timeout=other.start_timeout if self.start_timeout is None else self.start_timeout,
        )


_NO_OPTIONS = CallOptions()


class Call(msgspec.Struct, Command[T_co], frozen=True, weakref=True):
    """Run an activity and get its result.

    A struct, not an attrs class as the other commands: one is made for each step, in a sixth of the time (decision 34).
    """

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    with_options: CallOptions = _NO_OPTIONS

    def options(
        self,
        *,
        retry: Retry | None = None,
        timeout: timedelta | None = None,
        compare: Compare | None = None,
        deadline: timedelta | None = None,
        heartbeat: timedelta | None = None,
        on_unknown: OnUnknown | None = None,
        start_timeout: timedelta | None = None,
    ) -> Call[T_co]:
        """Return the same call with other options; those not given stay.

        Args:
            retry: When to try again after a fault.
            timeout: How long one attempt may take.
            compare: `names` accepts other arguments than recorded on replay.
            deadline: How long the whole call may take, with all attempts and pauses.
            heartbeat: How long an attempt may be silent between two heartbeats.
            on_unknown: What happens when the worker was lost during an attempt: `retry`, `fail` or a function to ask.
            start_timeout: How long an attempt may wait until it begins.
        """
        options = CallOptions(retry, timeout, compare, deadline, heartbeat, on_unknown, start_timeout)
        return msgspec.structs.replace(self, with_options=options.over(self.with_options))

    def sketch(self) -> str:
        """Show the call with the name of its function."""
        return f"call({getattr(self.fn, '__name__', self.fn)!s}, ...)"


@attrs.frozen
class Transact(Command[T_co]):
    """Run a function inside the store's transaction and get its result."""

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def sketch(self) -> str:
        """Show the command with the name of its function."""
        return f"transact({getattr(self.fn, '__name__', self.fn)!s}, ...)"


@attrs.frozen
class Sleep(Command[None]):
    """Wait for a span of time."""

    delta: timedelta


@attrs.frozen
class SleepUntil(Command[None]):
    """Wait for a moment."""

    when: datetime


@attrs.frozen
class AwaitSignal(Command[T_co]):
    """Wait for a signal and get its payload."""

    name: str
    type: Any
    timeout: timedelta | None = None


@attrs.frozen
class Gather(Command[T_co]):
    """Run parts side by side and get all their values.

    The options are not part of its identity: they are not recorded, only what follows from them is.
    """

    parts: tuple[Part[Any], ...]
    limit: int | None = None
    return_errors: bool = False
    min_successful: int | None = None
    tolerated_failures: int | None = None


@attrs.frozen
class Race(Command[T_co]):
    """Run parts side by side and get the first one's value; the others are cancelled."""

    parts: tuple[Part[Any], ...]
    names: tuple[str, ...] | None = None


@attrs.frozen
class Timeout(Command[T_co]):
    """Run a part, for so long at most."""

    delta: timedelta
    part: Part[T_co]


@attrs.frozen
class Shield(Command[T_co]):
    """Run a part that the cancellation of whoever waits for it does not reach."""

    part: Part[T_co]


@attrs.frozen
class Task(Generic[T_co]):
    """A spawned fiber, to be joined or cancelled.

    Attributes:
        id: The id of the fiber.
        name: What it was named, or empty.
    """

    id: str
    name: str = ""


@attrs.frozen
class Spawn(Command[Task[T]]):
    """Start a fiber beside this one."""

    part: Part[T]
    name: str = ""


@attrs.frozen
class Join(Command[T_co]):
    """Wait for a spawned fiber and get its value."""

    task: Task[T_co]


@attrs.frozen
class Cancel(Command[None]):
    """Cancel a spawned fiber."""

    task: Task[Any]


@attrs.frozen
class Now(Command[datetime]):
    """The time of the current transition."""


@attrs.frozen
class Random(Command[float]):
    """A random number that is the same on every replay."""


@attrs.frozen
class Uuid(Command[UUID]):
    """A random UUID that is the same on every replay."""


@attrs.frozen
class RunInfo:
    """What a workflow can know of its run.

    Attributes:
        id: The run id.
        workflow: Name of the workflow.
        started_at: When the run started, in its first round; of one with `start_at`, when it was made.
        round: How many times it has continued as new, from 0.
        version: Which version of the workflow this is, from 1.
        scheduled_at: The time for which a schedule started the run, UTC; None when none did.
    """

    id: str
    workflow: str
    started_at: datetime
    round: int = 0
    version: int = 1
    scheduled_at: datetime | None = None


@attrs.frozen
class GetRunInfo(Command[RunInfo]):
    """Facts about the run."""


@attrs.frozen
class Patched(Command[bool]):
    """Whether the changed code is to be taken."""

    change_id: str


@attrs.frozen
class Annotate(Command[None]):
    """Set fields of the run's state."""

    fields: dict[str, Any]


@attrs.frozen
class Emit(Command[None]):
    """Add an item to a stream of the run."""

    topic: str
    value: Any = None
    type: Any = None


@attrs.frozen
class Reply(Command[None]):
    """Answer a request."""

    request: Request[Any]
    value: Any = None
    error: str | None = None
    type: Any = None


OnParentClose: TypeAlias = Literal["cancel", "abandon", "wait"]
"""What becomes of a child when the fiber that waits for it is cancelled."""


@attrs.frozen
class Child(Command[T_co]):
    """Run a workflow as a run of its own, and get its result or, detached, its run id."""

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    id: str | None = None
    detached: bool = False
    on_parent_close: OnParentClose = "cancel"

    def sketch(self) -> str:
        """Show the command with the name of the workflow."""
        return f"child({getattr(self.fn, '__name__', self.fn)!s}, ...)"


@attrs.frozen
class Send(Command[None]):
    """Send a signal to another run."""

    run_id: str
    name: str
    payload: Any = None
    type: Any = None


@attrs.frozen
class FireRun(Child[str]):
    """Start a run for a schedule: a detached child that tells by a signal how it ended.

    Attributes:
        scheduled_at: The time for which it is started.
        tells: The name of the signal. It outlives `continue_as`, as the answer to a command would not.
    """

    detached: bool = attrs.field(default=True, init=False)
    scheduled_at: datetime | None = None
    tells: str = ""


@attrs.frozen
class RequestCancel(Send):
    """Ask another run to cancel: a message as a signal is, and recorded as one. The payload is the reason."""


@attrs.frozen
class ContinueAs(Command[NoReturn]):
    """Start over with a fresh journal."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
