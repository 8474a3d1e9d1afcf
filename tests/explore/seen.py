"""Runs to look at, from histories that no store holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interp.definitions import WorkflowDefinition
from interp.events import Completed, Failed, Started, Transition, WasCancelled
from interp.explore.run import Run
from interp.store import RunRow, Status
from tests.core.driving import Driver

STATUS: dict[type[Any], Status] = {
    Completed: Status.COMPLETED,
    Failed: Status.FAILED,
    WasCancelled: Status.CANCELLED,
}


def seen(history: Sequence[Transition], run_id: str = "run-1", workflow: WorkflowDefinition | None = None) -> Run:
    """Return a run with a history, as if it had been read."""
    started = history[0].cause
    assert isinstance(started, Started)
    status = STATUS.get(type(history[-1].outcome), Status.WAITING)
    row = RunRow(run_id, started.workflow, b"", status, len(history), None, None, 1, 0, 0, b"", "")
    return Run(row, tuple(history), workflow=workflow)


def driven(driver: Driver) -> Run:
    """Return the run that a driver has driven."""
    return seen(driver.history, driver.run_id, driver.definition)
