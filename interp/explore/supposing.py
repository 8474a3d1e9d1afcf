"""A value that somebody supposes a command came to, as the event that would have told so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

import attrs
import msgspec

from interp.codec import ANY, encode_payload
from interp.commands import AwaitSignal
from interp.definitions import activity_of
from interp.errors import CallTimeout, NotDecodable, NotEncodable, OutcomeUnknown, UsageError
from interp.events import ChildEnded, Completed, Event, Failed, Failure, Rejected, Resolved, Signalled
from interp.failures import declared_failure, fault, outcome_unknown, timed_out
from interp.fibers import Issued
from interp.frames import trace

__all__ = ["Known", "by_name", "from_known", "signal_payload", "supposed"]

Known: TypeAlias = Mapping[Callable[..., Any] | str, Any]
"""What activities and children answer of which no record tells, by function or name: a value, an exception (the call
fails with it), or a function that is called with the arguments."""


def by_name(known: Known | None) -> dict[str, Any]:
    """Return what is known by the names that records hold.

    Raises:
        InvalidDefinition: A function is neither an activity nor a workflow, and cannot be one.
    """
    return {key if isinstance(key, str) else _name_of(key): value for key, value in (known or {}).items()}


def _name_of(function: Callable[..., Any]) -> str:
    workflow = getattr(function, "__interp_workflow__", None)
    name: str = workflow.family if workflow is not None else activity_of(function).name
    return name


def from_known(issued: Issued, value: Any, round_: int) -> Event:
    """Return the answer of an activity or child of which something is known; a function is called with its arguments.

    Args:
        issued: The command.
        value: What is known.
        round_: The run's round, which the answers of children tell.

    Raises:
        NotEncodable: The value is not what the activity declares to return.
    """
    if callable(value) and not isinstance(value, type):
        args, kwargs = _arguments(issued)
        try:
            value = value(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  what it raises is what the call fails with
            value = error
    return supposed(issued, value, round_)


def _arguments(issued: Issued) -> tuple[Any, Any]:
    """Return the arguments of a call or child, as its function would get them."""
    if issued.child is not None:
        return issued.child.definition.arguments.decode(issued.child.args)
    assert issued.definition is not None, "only calls and children are looked up"
    return issued.definition.arguments.decode(issued.record.payload)


def supposed(
    issued: Issued, value: Any, round_: int, *, attempt: int | None = None, begun: datetime | None = None
) -> Event:
    """Return the event that answers a command with a value, or with a failure when the value is an exception.

    Args:
        issued: The command: a call, a transact, a child or an await-signal.
        value: As the activity returns it, or as JSON in a `msgspec.Raw`; an exception or a `Failure` to fail with.
        round_: The run's round, which the answers of children tell.
        attempt: Which attempt it was; by default, the one that is being made.
        begun: When that began.

    Raises:
        NotEncodable: The value is not what the activity declares to return.
        UsageError: The command has no result.
    """
    if isinstance(value, type) and issubclass(value, BaseException):
        value = value()
    if isinstance(issued.command, AwaitSignal):
        return Signalled(issued.record.target, signal_payload(value, issued.command.type))
    failure = _failure(issued, value)
    if issued.definition is not None:
        number = attempt or issued.attempt
        if failure is not None:
            return Rejected(issued.id, failure[0], failure[1], number, begun)
        return Resolved(issued.id, _encoded(issued, issued.definition.arguments.result, value), number, begun)
    if issued.child is None:
        kind = issued.record.kind
        raise UsageError(
            f"results: command {issued.id!r} is no call but {kind}; calls, children and awaited signals have results"
        )
    if failure is not None:
        return ChildEnded(issued.id, round_, Failed(failure[0]))
    return ChildEnded(issued.id, round_, Completed(_encoded(issued, issued.child.definition.arguments.result, value)))


def signal_payload(value: Any, annotation: Any = None) -> bytes:
    """Encode what goes with a signal.

    Raises:
        NotEncodable: It cannot be recorded.
        UsageError: It is an exception: signals do not fail.
    """
    if isinstance(value, (BaseException, Failure)):
        raise UsageError(f"results: a signal cannot fail with {type(value).__name__}; give a value")
    if isinstance(value, msgspec.Raw):
        return ANY.encode(ANY.decode(bytes(value)))
    return encode_payload(value, annotation)


def _failure(issued: Issued, value: Any) -> tuple[Failure, bool] | None:
    """Return the failure that a value stands for, and whether the activity declares it."""
    if isinstance(value, Failure):
        return value, False
    if isinstance(value, CallTimeout):
        return timed_out(value.timeout_s, value.limit), False  # type: ignore[arg-type]  # of that class it is one
    if isinstance(value, OutcomeUnknown):
        return outcome_unknown(value.reason), False
    if not isinstance(value, Exception):
        return None
    if issued.definition is not None and isinstance(value, issued.definition.raises):
        return declared_failure(value), True
    return fault(value, trace(value), retryable=False), False


def _encoded(issued: Issued, codec: Any, value: Any) -> bytes:
    """Encode a result as its function declares it."""
    try:
        payload: bytes = codec.encode(codec.decode(bytes(value)) if isinstance(value, msgspec.Raw) else value)
    except (NotDecodable, NotEncodable) as error:
        path = f"result of {issued.record.target} (command {issued.id}){error.path.removeprefix('$')}"
        raise attrs.evolve(error, path=path) from None
    return payload
