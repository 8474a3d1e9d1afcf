"""Waiting for a run to end, by looking at the store; and stopping when the system asks for it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

import attrs

from interp.cli.history import row_of
from interp.cli.output import INTERRUPTED, TERMINATED, note
from interp.cli.progress import progress
from interp.errors import RunError
from interp.runtime.ended import Ended, ended_of
from interp.runtime.stores import hint
from interp.store import Reader, RunRow, Status

__all__ = ["StillRunning", "Stopped", "stop_on_signals", "wait_for_end"]

# The store rings when the run ends; the look in between is for the progress, and for a worker that has given up.
_LOOK_S = 0.1


@attrs.frozen(eq=False)
class StillRunning(RunError):
    """The run has not ended yet.

    Attributes:
        run_id: The run.
        status: Where it stands.
        store: URL of its store.
        waited_s: How long it was waited for, in seconds.
    """

    run_id: str
    status: str
    store: str
    waited_s: float

    def __str__(self) -> str:
        """Name the run, where it stands, and how to see more."""
        waited = f" within {self.waited_s:g} s" if self.waited_s else ""
        return (
            f"run {self.run_id!r} has not ended{waited}: it is {self.status}\n"
            f"`{hint('show', self.run_id, store=self.store)}` tells what it waits for."
        )


class Stopped(BaseException):
    """The system asked the command to stop: Ctrl-C, or SIGTERM."""

    def __init__(self, number: int) -> None:
        """Remember which signal it was."""
        super().__init__(number)
        self.exit_code = INTERRUPTED if number == signal.SIGINT else TERMINATED


@contextmanager
def stop_on_signals() -> Generator[None]:
    """Raise `Stopped` on Ctrl-C and SIGTERM. The second one ends the process at once: what is recorded is safe."""
    seen = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        if seen:
            note("stopped at once")
            os._exit(Stopped(number).exit_code)
        seen = True
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait_for_end(
    store: Reader,
    run_id: str,
    *,
    quiet: bool,
    timeout: timedelta | None = None,
    check: Callable[[], object] = lambda: None,
) -> tuple[RunRow, Ended]:
    """Wait until a run has ended or is parked; returns its row, and how it ended.

    Args:
        store: Its store.
        run_id: The run.
        quiet: Whether no progress is shown.
        timeout: How long to wait; None for ever.
        check: Called now and then; what it raises ends the waiting.

    Raises:
        UnknownRun: There is no such run.
        StillRunning: The time was up.
        JournalCorrupt: Its last record cannot be read, or is not that of an end.
        PayloadLocked: It went through a codec that was not given.
    """
    end_s = None if timeout is None else time.monotonic() + timeout.total_seconds()
    with progress(store, run_id, quiet=quiet) as drawn:
        while True:
            row = row_of(store, run_id)
            is_over = row.status.ended or row.status is Status.PARKED
            if is_over and (ended := ended_of(row, store)) is not None:
                return row, ended
            left_s = _LOOK_S if end_s is None else min(_LOOK_S, end_s - time.monotonic())
            if timeout is not None and left_s <= 0:
                raise StillRunning(run_id, row.status, store.url, timeout.total_seconds())
            check()
            if drawn is not None:
                drawn.update()
            store.changed(left_s)
