"""What authors write to run things side by side: `gather`, `race`, `spawn` ... Bad arguments fail right there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Iterable
from datetime import timedelta
from inspect import isgeneratorfunction
from types import GeneratorType
from typing import Any, Literal, TypedDict, TypeVar, Unpack, overload

from interp.commands import Cancel, Command, Gather, Join, Part, Race, Shield, Spawn, Task, Timeout
from interp.constructors import call
from interp.spans import checked_span

__all__ = [
    "cancel",
    "gather",
    "join",
    "map_",
    "parts_of",
    "race",
    "shield",
    "spawn",
    "timeout",
]

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
E = TypeVar("E")


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
    span = checked_span("timeout(delta", delta, TypeError)
    (checked,) = parts_of("timeout", (part,))
    return Timeout(span, checked)


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
