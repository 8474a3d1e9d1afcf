"""Retry and backoff are arithmetic: properties for every policy, and the refusal of those that make no sense."""

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import Retry
from interp.failures import kinds_of

_SPANS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=9_999))
_CLASSES = st.sampled_from(
    [Exception, ArithmeticError, ZeroDivisionError, OSError, ConnectionError, TimeoutError, LookupError, KeyError]
)
_SETS = st.lists(_CLASSES, max_size=3).map(tuple)


@st.composite
def retries(draw: st.DrawFn) -> Retry:
    return Retry(
        attempts=draw(st.none() | st.integers(1, 2_000)),
        initial=draw(_SPANS),
        backoff=draw(st.floats(1, allow_infinity=False, allow_nan=False)),
        maximum=draw(_SPANS),
        jitter=draw(st.floats(0, 1)),
    )


@given(retries(), st.integers(1, 3_000), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_never_longer_than_the_maximum_and_ends_with_the_attempts(
    retry: Retry, failures: int, chance: float
) -> None:
    pause = retry.pause(failures, chance)

    assert (pause is None) == (retry.attempts is not None and failures >= retry.attempts)
    assert pause is None or timedelta(0) <= pause <= retry.maximum


@given(_SETS, _SETS, _CLASSES)
def test_classes_are_covered_as_isinstance_would_say(
    never: tuple[type[Exception], ...], only: tuple[type[Exception], ...], kind: type[Exception]
) -> None:
    covered = Retry(never=never, only=only).covers(kinds_of(kind))

    assert (not issubclass(kind, never) and (not only or issubclass(kind, only))) == covered


def test_classes_may_be_given_by_name_and_one_without_a_tuple() -> None:
    by_class = Retry(never=ZeroDivisionError, only=(OSError, ValueError))

    assert by_class == Retry(never="ZeroDivisionError", only=("builtins.OSError", "ValueError"))
    assert not by_class.covers(kinds_of(ZeroDivisionError))
    assert Retry(only="lib.mod.Outer.Flaky").covers(["lib.mod.Outer.Flaky", "builtins.Exception"])


@pytest.mark.parametrize("kind", [3, int, "two words", "", ("ok.Name", None)])
def test_what_is_no_class_of_exceptions_is_refused(kind: Any) -> None:
    with pytest.raises(TypeError, match="no class of exceptions"):
        Retry(never=kind)


@pytest.mark.parametrize("field", ["attempts", "backoff", "jitter"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1])
def test_numbers_that_are_none_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=field):
        Retry(**{field: value})
