"""What other threads hand to the worker, besides completions."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TypeAlias

import attrs

from interp.definitions import WorkflowDefinition
from interp.events import Asked, CancelRequested, Signalled, Started
from interp.runtime.attempts import Beat, Completion, Told
from interp.store import Create, RunRow, Why

__all__ = ["Input", "Nudge", "Start", "Stop", "Tell", "Wake", "Watch"]


@attrs.define(eq=False)
class Start:
    """Create a run and own it. `done` gets None when the run is new, else why it was refused."""

    create: Create
    definition: WorkflowDefinition
    started: Started
    done: Future[Why | None]


@attrs.define(eq=False)
class Tell:
    """Send a message to a run. `done` gets None when the message is durable."""

    run_id: str
    event: Signalled | Asked | CancelRequested
    done: Future[None]


@attrs.define(eq=False)
class Watch:
    """Wait for a run. `done` gets its row when it has ended or is parked."""

    run_id: str
    done: Future[RunRow]


@attrs.frozen
class Wake:
    """Somebody else wrote to the store."""


@attrs.frozen
class Stop:
    """Take nothing new; let what is in flight end until the grace is over."""

    grace_s: float


@attrs.frozen
class Nudge:
    """A turn was given on another thread: there may be something to do sooner than it seemed."""


Input: TypeAlias = Completion | Beat | Told | Start | Tell | Watch | Wake | Stop | Nudge
