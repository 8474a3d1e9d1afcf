"""What a workflow may yield: frozen values, and their lower-case constructors.

A command is data. It does nothing by itself; the interpreter performs it when it is yielded. Two spellings are equal:

    receipt = yield call(charge, order)            # untyped: type checkers see Any
    receipt = yield from call(charge, order)       # typed: the activity's return type

`yield from` works because a command iterates once, over itself (the shape of Twisted's `Deferred.__iter__`). Since
`__await__` is the same function, mypy's `unused-awaitable` reports a command that nobody yields.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable
from datetime import datetime, timedelta
from inspect import isgeneratorfunction
from types import GeneratorType
from typing import (
    Any,
    ClassVar,
    Concatenate,
    Generic,
    Literal,
    NoReturn,
    ParamSpec,
    TypeAlias,
    TypedDict,
    TypeVar,
    TypeVarTuple,
    Unpack,
    overload,
)
from uuid import UUID

import attrs

from interp.asking import Request
from interp.errors import ForgottenYield
from interp.policies import Retry
from interp.streams import check_topic
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
    "annotate",
    "await_signal",
    "call",
    "cancel",
    "child",
    "continue_as",
    "emit",
    "gather",
    "join",
    "map_",
    "now",
    "parts_of",
    "patched",
    "race",
    "random",
    "reply",
    "run_info",
    "send",
    "shield",
    "sleep",
    "sleep_until",
    "spawn",
    "timeout",
    "transact",
    "uuid",
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
    if value is not None and value <= timedelta(0):
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


@attrs.frozen
class Call(Command[T_co]):
    """Run an activity and get its result."""

    fn: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = attrs.field(factory=dict[str, Any])
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
        return attrs.evolve(self, with_options=options.over(self.with_options))

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


@overload
def call(fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> Call[T]: ...
@overload
def call(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Call[T]: ...
def call(fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Call[Any]:
    """Run an activity, with retries by its policy, and get its result.

    The result is recorded once; a replay reads it and does not call again. A crash between the effect and its record
    repeats the attempt: hand `current_call().idempotency_key` to the outside system.

    Args:
        fn: The activity; a plain function is taken as `@activity` without options.
        *args: Its arguments, checked by type checkers against its signature.
        **kwargs: Likewise.

    Raises:
        CallFailed: At the yield: it failed with an exception that it does not declare, in all attempts.
        CallTimeout: At the yield: the last attempt, or the whole call, took too long.
        OutcomeUnknown: At the yield: the worker was lost during an attempt, and `on_unknown=` wants no other.
        Exception: At the yield: what the activity declares in `raises=`, as itself.
        NotEncodable: At the yield: an argument cannot be recorded.
    """
    if not callable(fn):  # for callers without types
        raise TypeError(f"call({fn!r}, ...): takes a function and its arguments, such as call(charge, order)")
    return Call(fn, args, kwargs)


def transact(fn: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> Command[T]:
    """Change the user's own tables in the store, exactly once, and get the function's result.

    `fn(tx, *args, **kwargs)` reads and writes `tx.table(name)`. What it writes, the record of its result and the
    commands that the workflow yields next are committed in one transaction: all of it is durable, or nothing of it. An
    exception takes back what `fn` has written, and is recorded as the outcome in the same commit. It is never retried:
    what is in the store would be no different.

    It runs on the worker's own thread and holds the write lock of the store, so it must be short (no network, no files,
    no waiting), and free of other effects: when a commit fails for lack of room, `fn` is run again in the next one.

    Args:
        fn: A plain function of a `Transaction` and the arguments; exceptions that it declares with
            `@activity(raises=...)` are raised as themselves. Besides, only the option `name=` has a meaning here.
        *args: The arguments after the transaction, checked by type checkers against its signature, and recorded.
        **kwargs: Likewise.

    Raises:
        CallFailed: At the yield: it failed with an exception that it does not declare, or the store has no tables.
        Exception: At the yield: what the function declares in `raises=`, as itself.
        InvalidDefinition: At the yield: the function is async, a generator, or has options that have no meaning here.
        NotEncodable: At the yield: an argument cannot be recorded.
    """
    if not callable(fn):  # for callers without types
        raise TypeError(f"transact({fn!r}, ...): takes a function and its arguments, such as transact(transfer, 7)")
    return Transact(fn, args, kwargs)


def sleep(delta: timedelta) -> Command[None]:
    """Wait. The timer is durable: it goes on while no worker runs.

    Args:
        delta: How long, from the current transition on; zero or less fires at once.
    """
    if not isinstance(delta, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
        raise TypeError(f"sleep({delta!r}): takes a timedelta; write sleep(timedelta(seconds={delta!r}))")
    return Sleep(delta)


def sleep_until(when: datetime) -> Command[None]:
    """Wait until a moment.

    Args:
        when: The moment, aware; one in the past fires at once.
    """
    if not isinstance(when, datetime):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
        raise TypeError(f"sleep_until({when!r}): takes a datetime; for a span of time there is sleep(timedelta(...))")
    if when.tzinfo is None:
        raise ValueError(f"sleep_until({when!r}): needs an aware datetime; add tzinfo, such as datetime.UTC")
    return SleepUntil(when)


@overload
def await_signal(name: str, type: type[T], *, timeout: timedelta | None = None) -> Command[T]: ...
@overload
def await_signal(name: str, type: Any = ..., *, timeout: timedelta | None = None) -> Command[Any]: ...
def await_signal(name: str, type: Any = Any, *, timeout: timedelta | None = None) -> Command[Any]:
    """Wait for a signal. Signals that came before are kept, in order; each is taken once.

    With `Request[...]` as the type it waits for a request (`run.ask`) in place of a signal (`run.signal`). The two do
    not mix: each is kept until one is awaited of its kind and name.

    Args:
        name: Which signal, or request.
        type: What its payload is decoded as; `Request[T]` for requests with a payload of type T.
        timeout: How long to wait; None for ever.

    Raises:
        SignalTimeout: At the yield: none came in time.
        SignalPayloadError: At the yield: the payload does not fit the type.
    """
    _check_name("await_signal", name)
    if not isinstance(timeout, timedelta | None):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
        raise TypeError(
            f"await_signal(timeout={timeout!r}): takes a timedelta; write timeout=timedelta(seconds={timeout!r})"
        )
    return AwaitSignal(name, type, timeout)


def _check_name(what: str, name: object) -> None:
    """Check a name that is recorded."""
    if not isinstance(name, str):
        raise TypeError(f"{what}({name!r}): takes a name, which is a string")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what}({name!r}): the name has a lone surrogate, which cannot be recorded") from None


def parts_of(what: str, parts: tuple[Any, ...]) -> tuple[Part[Any], ...]:
    """Check that each part can run as a fiber.

    Args:
        what: Who takes them, for messages.
        parts: What was given.
    """
    for part in parts:
        if isinstance(part, GeneratorType):
            if part.gi_code.co_name == "<genexpr>":
                raise TypeError(
                    f"{what}(generator expression) is ambiguous: it could be one branch or many. "
                    f"Write {what}(*[call(...) for ... in ...]) to run each as a branch."
                )
        elif not isinstance(part, Command):
            raise TypeError(f"{what}: {part!r} is neither a command nor a generator, and cannot run as a branch")
    return parts


class _Limit(TypedDict, total=False):
    """The options of a gather that leave its failures alone."""

    limit: int | None
    return_errors: Literal[False]


class _Policy(TypedDict, total=False):
    """The options of a gather, of which one says that exceptions stand in places of its result."""

    limit: int | None
    return_errors: bool
    min_successful: int | None
    tolerated_failures: int | None


def _check_policy(
    what: str, parts: int, limit: object, return_errors: object, min_successful: object, tolerated_failures: object
) -> None:
    """Refuse the options of a gather that cannot be meant."""
    if not isinstance(return_errors, bool):
        raise TypeError(f"{what}(return_errors={return_errors!r}): takes True or False")
    numbers = {"limit": limit, "min_successful": min_successful, "tolerated_failures": tolerated_failures}
    given = {name: value for name, value in numbers.items() if value is not None}
    for name, value in given.items():
        least = 0 if name == "tolerated_failures" else 1
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{what}({name}={value!r}): takes a whole number, {least} or more")
        if value < least:
            raise ValueError(f"{what}({name}={value}): takes {least} or more")
    if isinstance(min_successful, int) and min_successful > parts:
        raise ValueError(f"{what}(min_successful={min_successful}): there are only {parts} parts that could succeed")
    policies = [f"{name}=" for name in given if name != "limit"] + ["return_errors=True"] * return_errors
    if len(policies) > 1:
        raise ValueError(f"{what}({', '.join(policies)}): give one of them, each says what becomes of failures")


@overload
def gather(**options: Unpack[_Limit]) -> Command[tuple[()]]: ...
@overload
def gather(a: Part[A], /, **options: Unpack[_Limit]) -> Command[tuple[A]]: ...
@overload
def gather(a: Part[A], b: Part[B], /, **options: Unpack[_Limit]) -> Command[tuple[A, B]]: ...
@overload
def gather(a: Part[A], b: Part[B], c: Part[C], /, **options: Unpack[_Limit]) -> Command[tuple[A, B, C]]: ...
@overload
def gather(
    a: Part[A], b: Part[B], c: Part[C], d: Part[D], /, **options: Unpack[_Limit]
) -> Command[tuple[A, B, C, D]]: ...
@overload
def gather(
    a: Part[A], b: Part[B], c: Part[C], d: Part[D], e: Part[E], /, **options: Unpack[_Limit]
) -> Command[tuple[A, B, C, D, E]]: ...
@overload
def gather(*parts: Part[T], **options: Unpack[_Limit]) -> Command[tuple[T, ...]]: ...
@overload
def gather(a: Part[A], /, **options: Unpack[_Policy]) -> Command[tuple[A | Exception]]: ...
@overload
def gather(a: Part[A], b: Part[B], /, **options: Unpack[_Policy]) -> Command[tuple[A | Exception, B | Exception]]: ...
@overload
def gather(
    a: Part[A], b: Part[B], c: Part[C], /, **options: Unpack[_Policy]
) -> Command[tuple[A | Exception, B | Exception, C | Exception]]: ...
@overload
def gather(
    a: Part[A], b: Part[B], c: Part[C], d: Part[D], /, **options: Unpack[_Policy]
) -> Command[tuple[A | Exception, B | Exception, C | Exception, D | Exception]]: ...
@overload
def gather(
    a: Part[A], b: Part[B], c: Part[C], d: Part[D], e: Part[E], /, **options: Unpack[_Policy]
) -> Command[tuple[A | Exception, B | Exception, C | Exception, D | Exception, E | Exception]]: ...
@overload
def gather(*parts: Part[T], **options: Unpack[_Policy]) -> Command[tuple[T | Exception, ...]]: ...
def gather(
    *parts: Part[Any],
    limit: int | None = None,
    return_errors: bool = False,
    min_successful: int | None = None,
    tolerated_failures: int | None = None,
) -> Command[Any]:
    """Run parts side by side and get the tuple of their values, in the order of the parts.

    When one fails the others are cancelled, their cleanup ends, and the failure is raised. No parts give `()`.

    Three options, of which one may be given, say otherwise; then the tuple holds, in the place of a part that gave no
    value, the exception that it raised, or `TaskCancelled` if it was cancelled or never started.

    Args:
        *parts: Commands, or generators, each of which becomes a fiber.
        limit: How many run at once; the next is started when one has ended, in order. None for all.
        return_errors: No failure cancels or raises anything.
        min_successful: As soon as so many have succeeded the others are cancelled, and that is the result; what they
            raise in cleanup stands in their places.
        tolerated_failures: Up to so many failures are tolerated; one more cancels the others.

    Raises:
        GatherFailed: At the yield: fewer than `min_successful` can succeed, or more than `tolerated_failures` failed.
        ValueError: An option is out of range, or two say what becomes of failures.
        Exception: At the yield: what the first to fail raised, where no option says otherwise.
    """
    _check_policy("gather", len(parts), limit, return_errors, min_successful, tolerated_failures)
    return Gather(parts_of("gather", parts), limit, return_errors, min_successful, tolerated_failures)


@overload
def map_(
    fn: Callable[[A], Generator[Command[Any], Any, T]], items: Iterable[A], /, **options: Unpack[_Limit]
) -> Command[tuple[T, ...]]: ...
@overload
def map_(
    fn: Callable[[A], Coroutine[Any, Any, T]], items: Iterable[A], /, **options: Unpack[_Limit]
) -> Command[tuple[T, ...]]: ...
@overload
def map_(fn: Callable[[A], T], items: Iterable[A], /, **options: Unpack[_Limit]) -> Command[tuple[T, ...]]: ...
@overload
def map_(
    fn: Callable[[A], Generator[Command[Any], Any, T]], items: Iterable[A], /, **options: Unpack[_Policy]
) -> Command[tuple[T | Exception, ...]]: ...
@overload
def map_(
    fn: Callable[[A], Coroutine[Any, Any, T]], items: Iterable[A], /, **options: Unpack[_Policy]
) -> Command[tuple[T | Exception, ...]]: ...
@overload
def map_(
    fn: Callable[[A], T], items: Iterable[A], /, **options: Unpack[_Policy]
) -> Command[tuple[T | Exception, ...]]: ...
def map_(
    fn: Callable[[Any], Any],
    items: Iterable[Any],
    /,
    *,
    limit: int | None = None,
    return_errors: bool = False,
    min_successful: int | None = None,
    tolerated_failures: int | None = None,
) -> Command[Any]:
    """Do the same with every item: a `gather` with one part for each, in their order.

    Args:
        fn: An activity, which is called with each item, or a generator function, which runs as a branch for each.
        items: A finite iterable whose order is the same on every replay; a set is refused.
        limit: As for `gather`.
        return_errors: As for `gather`.
        min_successful: As for `gather`.
        tolerated_failures: As for `gather`.

    Raises:
        GatherFailed: At the yield: as for `gather`.
        ValueError: As for `gather`.
        TypeError: The items have no order, or `fn` is no function.
        Exception: At the yield: as for `gather`.
    """
    if isinstance(items, (set, frozenset)):
        raise TypeError("map_(fn, a set): a set has another order in every process; write map_(fn, sorted(items))")
    given = list(items)
    _check_policy("map_", len(given), limit, return_errors, min_successful, tolerated_failures)
    is_generator = isgeneratorfunction(fn)
    parts: tuple[Part[Any], ...] = tuple(fn(item) if is_generator else call(fn, item) for item in given)
    return Gather(parts, limit, return_errors, min_successful, tolerated_failures)


@overload
def race(a: Part[A], b: Part[B], /) -> Command[tuple[Literal[0], A] | tuple[Literal[1], B]]: ...
@overload
def race(
    a: Part[A], b: Part[B], c: Part[C], /
) -> Command[tuple[Literal[0], A] | tuple[Literal[1], B] | tuple[Literal[2], C]]: ...
@overload
def race(*parts: Part[T]) -> Command[tuple[int, T]]: ...
@overload
def race(**parts: Part[T]) -> Command[tuple[str, T]]: ...
def race(*parts: Part[Any], **named: Part[Any]) -> Command[Any]:
    """Run parts side by side; the first to end decides, and the others are cancelled.

    Args:
        *parts: Commands or generators; the result is `(index, value)`.
        **named: The same with names; the result is `(name, value)`.

    Raises:
        ValueError: No parts: nobody could win. Or both kinds at once.
        Exception: At the yield: what the first to end raised.
    """
    if parts and named:
        raise ValueError("race: give all parts by position or all by name")
    if not parts and not named:
        raise ValueError("race() has no parts, so that nobody could win it; gather() of nothing is ()")
    if named:
        return Race(parts_of("race", tuple(named.values())), tuple(named))
    return Race(parts_of("race", parts))


def timeout(delta: timedelta, part: Part[T], /) -> Command[T]:
    """Run a part and get its value, if it ends in time; otherwise it is cancelled.

    The timer is durable, and recorded as a `sleep` beside the part. The part's cleanup ends before the yield returns;
    what it raises then is a note on the `PartTimeout`.

    Args:
        delta: How long it may take, from the current transition on.
        part: A command or a generator.

    Raises:
        PartTimeout: At the yield: it took longer.
        TaskCancelled: At the yield: it ended by raising `Cancelled` itself.
        Exception: At the yield: what the part raised.
    """
    if not isinstance(delta, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
        raise TypeError(f"timeout({delta!r}, ...): takes a timedelta; write timeout(timedelta(seconds={delta!r}), ...)")
    (checked,) = parts_of("timeout", (part,))
    return Timeout(delta, checked)


def shield(part: Part[T], /) -> Command[T]:
    """Run a part to its end, whatever becomes of the fiber that waits for it.

    When the fiber is cancelled meanwhile, the part goes on; the fiber gets its value, or what it raised, and
    `Cancelled` at its next yield. Whoever waits for the fiber waits for the part too: so does a cancelled run.

    Args:
        part: A command or a generator.

    Raises:
        TaskCancelled: At the yield: it ended by raising `Cancelled` itself.
        Exception: At the yield: what the part raised.
    """
    (checked,) = parts_of("shield", (part,))
    return Shield(checked)


def spawn(part: Part[T], *, name: str = "") -> Command[Task[T]]:
    """Start a fiber beside this one and get a task to join or cancel.

    A run or fiber ends only when the fibers it spawned have ended. A spawned fiber that fails while nobody joins it
    cancels its siblings and the fiber that spawned them, which then fails with the same exception.

    Args:
        part: A generator or a command.
        name: What views call it.
    """
    (checked,) = parts_of("spawn", (part,))
    return Spawn(checked, name)


def join(task: Task[T]) -> Command[T]:
    """Wait for a task and get its value; asking twice gives the same value twice.

    Args:
        task: What `spawn` returned.

    Raises:
        TaskCancelled: At the yield: the task was cancelled.
        Exception: At the yield: what the task raised.
    """
    return Join(task)


def cancel(task: Task[Any]) -> Command[None]:
    """Cancel a task, without waiting for its cleanup; a task that has ended is left alone.

    Args:
        task: What `spawn` returned.
    """
    return Cancel(task)


def now() -> Command[datetime]:
    """Get the time, UTC: that of the record which brought the workflow here, the same on every replay."""
    return Now()


def random() -> Command[float]:
    """Get a random number from [0, 1), the same on every replay."""
    return Random()


def uuid() -> Command[UUID]:
    """Get a random UUID (version 4), the same on every replay."""
    return Uuid()


def run_info() -> Command[RunInfo]:
    """Get facts about the run: its id, its workflow, when it started."""
    return GetRunInfo()


def patched(change_id: str) -> Command[bool]:
    """Tell whether to take changed code: True for new runs, False where an old history passed without it.

    Args:
        change_id: A name for the change, unique within the workflow.
    """
    _check_name("patched", change_id)
    return Patched(change_id)


def annotate(**fields: Any) -> Command[None]:
    """Set fields of the run's state, which can be read from outside without waking the run.

    Args:
        **fields: Plain JSON values; other fields stay as they are.
    """
    return Annotate(fields)


def emit(topic: str, value: Any = None, *, type: Any = None) -> Command[None]:
    """Add an item to a stream of the run, which others read while the run goes on: `run.stream(topic)`.

    The item is written in the transaction that holds the command: exactly once, and never by a replay.

    Args:
        topic: Which stream; at most 200 bytes. It need not be there before, and must not begin with `~`.
        value: Plain JSON values, or anything of the given type.
        type: What the value is encoded as; the value's own class by default.

    Raises:
        NotEncodable: At the yield: the value cannot be recorded.
    """
    check_topic("emit", topic)
    return Emit(topic, value, type)


def reply(
    request: Request[Any], value: Any = None, *, error: str | Exception | None = None, type: Any = None
) -> Command[None]:
    """Answer a request: exactly once, and durable with the record that holds the command.

    Args:
        request: What `await_signal(name, Request[...])` returned.
        value: The answer: plain JSON values, or anything of the given type.
        error: Why there is none, in place of a value: whoever asked gets `AskFailed` with this text.
        type: What the value is encoded as; the value's own class by default.

    Raises:
        UsageError: At the yield: the request was answered before, or this run was never asked it.
        NotEncodable: At the yield: the value cannot be recorded.
    """
    if not isinstance(request, Request):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
        raise TypeError(f'reply({request!r}, ...): takes a Request, as from await_signal("name", Request[...])')
    if error is not None and value is not None:
        raise ValueError("reply(request, value, error=...): give a value or an error, not both")
    if isinstance(error, Exception):
        error = f"{error.__class__.__name__}: {error}"
    return Reply(request, value, error, type)


@overload
def child(
    fn: Callable[[*Ts], Workflow[T]],
    /,
    *args: *Ts,
    id: str | None = None,
    detached: Literal[False] = False,
    on_parent_close: OnParentClose = "cancel",
) -> Command[T]: ...
@overload
def child(
    fn: Callable[[*Ts], Workflow[Any]], /, *args: *Ts, id: str | None = None, detached: Literal[True]
) -> Command[str]: ...
def child(  # type: ignore[misc]  # mypy: `*Ts` is not seen to be within `*args: Any`
    fn: Callable[..., Any],
    /,
    *args: Any,
    id: str | None = None,
    detached: bool = False,
    on_parent_close: OnParentClose = "cancel",
) -> Command[Any]:
    """Run a workflow as a run of its own: with its own journal, cancelled on its own, moved by any worker.

    Args:
        fn: A function declared with `@workflow`.
        *args: Its arguments.
        id: Its run id; by default the id of this run and the command's, such as `order-42/3`.
        detached: Do not wait for it: the result is its run id, as soon as the run is durable.
        on_parent_close: What becomes of it when this fiber is cancelled: `cancel` asks it to cancel as well and does
            not wait for that, `abandon` leaves it alone, `wait` lets it end first and cancels this fiber then.

    Raises:
        ChildFailed: At the yield: its workflow raised.
        ChildCancelled: At the yield: somebody cancelled it.
        RunExists: At the yield: the run id is taken.
        NotEncodable: At the yield: an argument cannot be recorded.
    """
    if on_parent_close not in ("cancel", "abandon", "wait"):
        raise ValueError(f'child(on_parent_close={on_parent_close!r}): takes "cancel", "abandon" or "wait"')
    return Child(fn, args, id, detached, on_parent_close)


def send(run_id: str, name: str, payload: Any = None, *, type: Any = None) -> Command[None]:
    """Send a signal to another run; it is durable, exactly once, when this command is done.

    Args:
        run_id: The run.
        name: Which signal.
        payload: Its value: plain JSON values, or anything of the given type.
        type: What the payload is encoded as; the payload's own class by default.

    Raises:
        UnknownRun: At the yield: there is no such run.
        RunEnded: At the yield: the run has ended.
        NotEncodable: At the yield: the payload cannot be recorded.
    """
    _check_name("send", run_id)
    _check_name("send", name)
    return Send(run_id, name, payload, type)


def continue_as(*args: Any, **kwargs: Any) -> Command[NoReturn]:
    """Start the workflow over with other arguments and a fresh journal, under the same run id.

    Signals that were not taken yet are kept. Allowed only where no other fiber is running. The run goes on in the
    newest version of the workflow that is registered; if that does not take the arguments, it is parked at its start.

    Args:
        *args: Arguments of the workflow, as its present version declares them.
        **kwargs: Likewise.

    `yield continue_as(...)` is enough: nothing after it runs. Type checkers do not see that; where they miss a value at
    the end of a workflow that returns one, write `return (yield from continue_as(...))`.
    """
    return ContinueAs(args, kwargs)
