"""Write a line for each attempt of an activity, before it does anything: what was tried, however it ended."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from interp import current_call

__all__ = ["logged"]

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("provision")


def logged(fn: Callable[P, R]) -> Callable[P, R]:
    """Make a function log each of its attempts, with the idempotency key. Goes below `@activity`."""

    @functools.wraps(fn)
    def attempt(*args: P.args, **kwargs: P.kwargs) -> R:
        _log.info("attempt of %s: %s", current_call().idempotency_key, fn.__name__)
        return fn(*args, **kwargs)

    return attempt
