"""Random runs for the tests of pictures: any program, and whatever may happen to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hypothesis import strategies as st

from interp.events import Transition
from interp.explore.run import Run
from interp.runtime.live import microseconds
from interp.store import RunRow, Status
from tests.core.happenings import live_through
from tests.core.programs import loaded, programs

__all__ = ["end_of", "histories", "run_of"]


@st.composite
def histories(draw: st.DrawFn) -> tuple[Transition, ...]:
    """The history of a random program, which may have ended."""
    driver = loaded(draw(programs())).start()
    try:
        return tuple(live_through(draw, driver).history)
    finally:
        driver.close()


def run_of(history: Sequence[Transition], status: Status = Status.RUNNING, run_id: str = "prov-7f3a") -> Run:
    """A run with such a history, as if it had been read."""
    first, last = (microseconds(history[place].at) for place in (0, -1)) if history else (0, 0)
    if history and history[-1].outcome is not None:
        status = Status.COMPLETED
    row = RunRow(run_id, "lib.flow", b"", status, len(history), None, None, 0, first, last, b"", "")
    return Run(row, tuple(history))


def end_of(history: Sequence[Transition]) -> datetime:
    """When the last record was written."""
    return max(transition.at for transition in history)
