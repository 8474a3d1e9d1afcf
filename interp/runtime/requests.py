"""What other threads hand to the worker, besides completions."""

from __future__ import annotations

from typing import TypeAlias

import attrs

from interp.definitions import WorkflowDefinition
from interp.events import Asked, CancelRequested, Signalled, Started
from interp.runtime.attempts import Beat, Completion, Told
from interp.runtime.receipt import Receipt
from interp.store import Create, Why

__all__ = ["Input", "Look", "Nudge", "Start", "Stop", "Tell", "Wake"]


@attrs.define(eq=False)
class Start:
    """Create a run and own it. `done` gets None when the run is new, else why it was refused."""

    create: Create
    definition: WorkflowDefinition
    started: Started
    done: Receipt[Why | None]


@attrs.define(eq=False)
class Tell:
    """Send a message to a run. `done` gets None when the message is durable."""

    run_id: str
    event: Signalled | Asked | CancelRequested
    done: Receipt[None]


@attrs.frozen
class Look:
    """Somebody waits for a run that is not in the worker's memory: it may have ended, or be another one's."""

    run_id: str


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


Input: TypeAlias = Completion | Beat | Told | Start | Tell | Look | Wake | Stop | Nudge
