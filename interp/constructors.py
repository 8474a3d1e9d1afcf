"""What authors write to make a command: `call`, `sleep`, `await_signal` ... Bad arguments fail right there."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, Concatenate, Literal, NoReturn, ParamSpec, TypeVar, TypeVarTuple, overload
from uuid import UUID

from interp.asking import Request
from interp.commands import (
    Annotate,
    AwaitSignal,
    Call,
    Child,
    Command,
    ContinueAs,
    Emit,
    GetRunInfo,
    Now,
    OnParentClose,
    Patched,
    Random,
    Reply,
    RunInfo,
    Send,
    Sleep,
    SleepUntil,
    Transact,
    Uuid,
    Workflow,
)
from interp.spans import checked_span
from interp.streams import check_topic
from interp.tables import Transaction

__all__ = [
    "annotate",
    "await_signal",
    "call",
    "child",
    "continue_as",
    "emit",
    "now",
    "patched",
    "random",
    "reply",
    "run_info",
    "send",
    "sleep",
    "sleep_until",
    "transact",
    "uuid",
]

P = ParamSpec("P")
T = TypeVar("T")
Tx = TypeVar("Tx", bound=Transaction)
Ts = TypeVarTuple("Ts")


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
    return Sleep(checked_span("sleep(delta", delta, TypeError))


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
    if timeout is not None:
        checked_span("await_signal(timeout", timeout, TypeError)
    return AwaitSignal(name, type, timeout)


def _check_name(what: str, name: object) -> None:
    """Check a name that is recorded."""
    if not isinstance(name, str):
        raise TypeError(f"{what}({name!r}): takes a name, which is a string")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what}({name!r}): the name has a lone surrogate, which cannot be recorded") from None


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
