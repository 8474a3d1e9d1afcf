"""Spans of time as callers give them: timedeltas, which say their unit themselves."""

from __future__ import annotations

from datetime import timedelta

__all__ = ["checked_span"]


def checked_span(what: str, value: timedelta, error: type[Exception]) -> timedelta:
    """Return a span of time; a number, of which nobody knows the unit, is refused.

    Args:
        what: The call up to the name of the parameter: `result(timeout`; or the name alone.
        value: What was given for it.
        error: The class of the error that refuses it: `UsageError` for those who use an engine; `TypeError` for those
            who write workflows.
    """
    if not isinstance(value, timedelta):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
        number = value if type(value) in (int, float) else 30
        hint = "write" if number is value else "such as"
        closed = ")" if "(" in what else ""
        raise error(f"{what}={value!r}{closed}: takes a timedelta; {hint} timedelta(seconds={number!r})")
    return value
