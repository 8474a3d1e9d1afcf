"""Small tools for tests that wait for other threads and processes."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from interp.events import Event
from interp.runtime.handles import Run

# Nothing in these tests takes so long; a test that waits so long has found a bug.
WAIT = timedelta(seconds=30)
WAIT_S = WAIT.total_seconds()


def eventually(what: Callable[[], Any]) -> None:
    """Wait until something has become true that nothing tells of."""
    end = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.002)


def causes(run: Run[Any]) -> list[Event]:
    """Return what happened to a run, in order."""
    return [transition.cause for transition in run.history()]


def kinds(run: Run[Any]) -> list[str]:
    """Return the classes of what happened to a run, in order."""
    return [type(cause).__name__ for cause in causes(run)]
