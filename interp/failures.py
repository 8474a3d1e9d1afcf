"""Exceptions <-> `Failure` records. Never pickle: a declared exception is rebuilt from JSON, afresh on every replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal, TypeAlias, TypeVar, cast

import attrs

from interp.codec import ANY, codec_for
from interp.errors import ActivityError, CallFailed, CallTimeout, CodecError, NotEncodable, OutcomeUnknown
from interp.events import Failure, Rejected
from interp.frames import brief, message
from interp.policies import name_of_kind

__all__ = ["Limit", "declared_failure", "fault", "kinds_of", "outcome_unknown", "raised", "timed_out"]

E = TypeVar("E", bound=Exception)

_TIMEOUT = name_of_kind(CallTimeout)
_UNKNOWN = name_of_kind(OutcomeUnknown)

Limit: TypeAlias = Literal["timeout", "deadline", "heartbeat", "start_timeout"]
"""What an attempt broke that was not done in time."""

_BROKEN: dict[Limit, str] = {
    "timeout": "took longer than",
    "deadline": "the call was not done within its deadline of",
    "heartbeat": "gave no heartbeat for",
    "start_timeout": "did not begin within",
}


def kinds_of(kind: type[BaseException]) -> tuple[str, ...]:
    """Return the qualified names of a class of exceptions and of all its base classes; what `Retry.covers` takes."""
    return tuple(map(name_of_kind, kind.__mro__))


def fault(error: BaseException, traceback: str, *, retryable: bool = True) -> Failure:
    """Describe an exception that nobody declared.

    Args:
        error: The exception.
        traceback: Its traceback, as text.
        retryable: Whether another attempt could help.
    """
    return Failure(name_of_kind(type(error)), message(error), traceback, retryable=retryable)


def timed_out(timeout_s: float, limit: Limit = "timeout") -> Failure:
    """Describe an attempt that was not done in time.

    Args:
        timeout_s: How long the limit was, in seconds.
        limit: Which limit; past its deadline a call is not tried again.
    """
    payload = ANY.encode(timeout_s if limit == "timeout" else [timeout_s, limit])
    message = f"{_BROKEN[limit]} {timeout_s:g} s"
    return Failure(_TIMEOUT, message, payload=payload, retryable=limit != "deadline")


def outcome_unknown(reason: str) -> Failure:
    """Describe a call of which nobody can say whether it took effect.

    Args:
        reason: Why nothing more is done about it; empty where the author wants it so.
    """
    return Failure(_UNKNOWN, reason, retryable=False)


def declared_failure(error: Exception) -> Failure:
    """Describe an exception that the activity declares in `raises=`, so that `raised` can build it again."""
    kind = type(error)
    if attrs.has(cast("type[Any]", kind)):
        try:
            payload = codec_for(kind).encode(error)
        except CodecError:  # never lost for its luggage: without it, `raised` gives CallFailed
            payload = b"null"
    else:
        payload = ANY.encode([[_plain(arg) for arg in _arguments(error)], dict(_plain_items(vars(error)))])
    return Failure(name_of_kind(kind), message(error), payload=payload, retryable=False)


def raised(rejected: Rejected, activity: str, declared: Iterable[type[Exception]]) -> Exception:
    """Build the exception that a rejected call raises in the workflow: a fresh one every time.

    Args:
        rejected: The record.
        activity: Name of the activity.
        declared: What the activity declares in `raises=` now.
    """
    failure = rejected.failure
    if rejected.declared:
        kind = _find(failure.type_name, declared)
        error = _rebuild(kind, failure) if kind is not None else None
        if error is not None:
            return error
    return _undeclared(failure, activity, rejected.attempt)


def _undeclared(failure: Failure, activity: str, attempts: int) -> ActivityError:
    if failure.type_name == _TIMEOUT:
        told: Any = ANY.decode(failure.payload)
        timeout_s, limit = (told, "timeout") if isinstance(told, (int, float)) else (told[0], told[1])
        return CallTimeout(activity, timeout_s, attempts, limit)
    if failure.type_name == _UNKNOWN:
        return OutcomeUnknown(activity, attempts, failure.message)
    return CallFailed(activity, failure.type_name, failure.message, attempts, failure.traceback)


def _rebuild(kind: type[E], failure: Failure) -> E | None:
    """Build a declared exception without running its `__init__`, which may want other arguments than it keeps."""
    try:
        if attrs.has(cast("type[Any]", kind)):
            return codec_for(kind).decode(failure.payload)
        args, state = ANY.decode(failure.payload)
        error = kind.__new__(kind, *args)
        if isinstance(error, OSError):
            OSError.__init__(error, *args)
        else:
            # Past a __setattr__ of the class, as that of a frozen dataclass.
            BaseException.__setattr__(error, "args", tuple(args))
        vars(error).update(state)
    except (CodecError, TypeError, ValueError):  # made otherwise than it was, or a __new__ that wants something else
        return None
    return error


def _find(type_name: str, kinds: Iterable[type[Exception]]) -> type[Exception] | None:
    """Look for a class by name among the declared ones and their subclasses."""
    local = _local_name(type_name)
    found = [kind for kind in _with_subclasses(kinds) if _local_name(name_of_kind(kind)) == local]
    # Many modules have an `Error`: the same module first. A class that moved is found by its name alone.
    return next((kind for kind in found if name_of_kind(kind) == type_name), found[0] if found else None)


def _with_subclasses(kinds: Iterable[type[E]]) -> Iterator[type[E]]:
    for kind in kinds:
        yield kind
        yield from _with_subclasses(reversed(kind.__subclasses__()))


def _local_name(type_name: str) -> str:
    """Leave out the module: a class may move, and `__main__` is another module when imported."""
    return type_name.rpartition("<locals>.")[2].rpartition(".")[2]


def _arguments(error: Exception) -> tuple[Any, ...]:
    """Return what an exception was made of; an OSError keeps its file names elsewhere, and its state in C."""
    if isinstance(error, OSError):
        reduced = OSError.__reduce__(error)
        return tuple(reduced[1])
    return error.args


def _plain(value: Any) -> Any:
    """Return the value if JSON can hold it, else its `repr`: an exception must never be lost for its luggage."""
    try:
        ANY.encode(value)
    except NotEncodable:
        return brief(value, 1_000)
    return value


def _plain_items(state: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in state.items():
        try:
            ANY.encode(value)
        except NotEncodable:
            continue
        yield key, value
