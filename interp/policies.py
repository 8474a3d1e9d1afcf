"""Retry and backoff: arithmetic on numbers that are passed in. No clock, no random.

The runtime draws the chance and reads the clock; what these classes answer is written to the journal, so a policy may
change between deploys without touching what was decided before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeAlias, cast

import attrs

from interp.spans import checked_span

__all__ = ["Kinds", "Retry", "name_of_kind"]

Kinds: TypeAlias = "type[BaseException] | str | Iterable[type[BaseException] | str]"
"""One or several classes of exceptions: themselves, or by qualified name such as `httpx.HTTPStatusError`."""


def name_of_kind(kind: type[BaseException]) -> str:
    """Return the qualified name of a class of exceptions, as failures are recorded."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _kinds(given: Kinds) -> tuple[str, ...]:
    """Return the qualified names of classes; a name without a module is that of a builtin."""
    if isinstance(given, (str, type)):
        given = (given,)
    if not isinstance(cast("Any", given), Iterable):
        raise TypeError(f"Retry(...): {given!r} is no class of exceptions, and no qualified name of one")
    return tuple(_kind(kind) for kind in given)


def _kind(kind: type[BaseException] | str) -> str:
    if isinstance(kind, str) and all(part.isidentifier() for part in kind.replace("<locals>", "_").split(".")):
        return kind if "." in kind else f"builtins.{kind}"
    if isinstance(kind, type) and issubclass(kind, BaseException):  # pyright: ignore[reportUnnecessaryIsInstance]  no types
        return name_of_kind(kind)
    raise TypeError(f"Retry(...): {kind!r} is no class of exceptions, and no qualified name of one")


def _positive(_: object, field: attrs.Attribute[timedelta], value: timedelta) -> None:
    if checked_span(f"Retry({field.name}", value, TypeError) < timedelta(0):
        raise ValueError(f"Retry({field.name}={value!r}): must not be negative")


def _at_least_one(_: object, field: attrs.Attribute[Any], value: float | None) -> None:
    if value is not None and not (value >= 1 and math.isfinite(value)):  # written so that NaN is refused
        raise ValueError(f"Retry({field.name}={value!r}): must be 1 or more, and finite")


def _fraction(_: object, field: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"Retry({field.name}={value!r}): must be between 0 and 1")


@attrs.frozen
class Retry:
    """How often, and after which pauses, a call that failed is tried again.

    The pause after the n-th failure is `initial * backoff ** (n - 1)`, at most `maximum`, then shortened by a random
    part of up to `jitter` of it, so that callers that failed together do not come back together
    (M. Brooker, "Exponential Backoff And Jitter", 2015).

    Attributes:
        attempts: How many attempts in all, the first included; None for no limit. An attempt that ended with its
            worker is made again and does not count.
        initial: Pause after the first failure.
        backoff: Factor from one pause to the next, 1 or more.
        maximum: Upper bound of a pause.
        jitter: Largest part of a pause that chance may take away, from 0 to 1.
        never: Exceptions after which there is no other attempt: classes, or their qualified names as texts. Subclasses
            count. Goes before `only`.
        only: Exceptions after which there may be another attempt; empty for all.
    """

    attempts: int | None = attrs.field(default=3, validator=_at_least_one)
    initial: timedelta = attrs.field(default=timedelta(seconds=1), validator=_positive)
    backoff: float = attrs.field(default=2.0, validator=_at_least_one)
    maximum: timedelta = attrs.field(default=timedelta(minutes=1), validator=_positive)
    jitter: float = attrs.field(default=0.2, validator=_fraction)
    never: tuple[str, ...] = attrs.field(default=(), converter=_kinds)
    only: tuple[str, ...] = attrs.field(default=(), converter=_kinds)

    def covers(self, kinds: Iterable[str]) -> bool:
        """Tell whether another attempt may follow an exception, as far as its class has a say.

        Args:
            kinds: Qualified names of its class and of all its base classes.
        """
        names = frozenset(kinds)
        return names.isdisjoint(self.never) and (not self.only or not names.isdisjoint(self.only))

    def pause(self, failures: int, chance: float) -> timedelta | None:
        """Tell how long to wait after a failure.

        Args:
            failures: How many attempts have failed so far, from 1.
            chance: A random number from [0, 1).

        Returns:
            The pause, or None when no attempt is left.
        """
        assert failures >= 1, failures
        if self.attempts is not None and failures >= self.attempts:
            return None
        try:
            full = self.initial * self.backoff ** (failures - 1)
        except OverflowError:
            full = self.maximum
        return min(full, self.maximum) * (1 - self.jitter * chance)
