"""Replay of a history in a world that has changed, and what that shows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import time_machine

from interp.definitions import WorkflowDefinition
from interp.events import Transition
from interp.interpreter import Interpreter
from interp.replay import follow, opened

__all__ = ["replay_round"]


def replay_round(
    definition: WorkflowDefinition,
    history: Iterable[Transition],
    run_id: str,
    *,
    clock: time_machine.Traveller | None = None,
    pace: timedelta = timedelta(0),
) -> None:
    """Replay a history, and drop the run at its end.

    Args:
        definition: The workflow.
        history: The records of one round.
        run_id: The id of the run.
        clock: What moves the clock.
        pace: By how much it moves with every record.

    Raises:
        ReplayError: The replay differs from the history.
    """
    interpreter: Interpreter | None = None
    try:
        for transition in history:
            if interpreter is None:
                interpreter = opened(definition, transition, run_id)
            follow(interpreter, transition)
            if clock is not None and pace:
                clock.shift(pace)
    finally:
        if interpreter is not None:
            interpreter.close()
