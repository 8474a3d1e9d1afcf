"""How a new run is asked for: the same by an engine, which owns it at once, and by the command line, which does not."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

import attrs

from interp.definitions import WorkflowDefinition
from interp.events import Started, encode_event
from interp.schedules.specs import aware
from interp.store import Create

__all__ = ["NewRun", "new_run"]


@attrs.frozen
class NewRun:
    """A run to be created.

    Attributes:
        create: What the store is asked for.
        started: How it starts.
    """

    create: Create
    started: Started


def new_run(
    definition: WorkflowDefinition, args: bytes, run_id: str, *, start_at: datetime | None, worker: str | None
) -> NewRun:
    """Prepare a run; nothing has happened yet.

    Args:
        definition: Its workflow.
        args: Its arguments, encoded.
        run_id: Its id.
        start_at: When its workflow begins; None for at once.
        worker: Its owner from birth, or None.

    Raises:
        UsageError: The id cannot be one, or `start_at` does not say in which time zone it is.
    """
    started = Started(definition.name, args, secrets.token_bytes(16), start_at=aware(start_at, "start(start_at"))
    # The time is no part of what the run is: a program that comes by again may have counted it from its own now.
    digest = hashlib.blake2b(args, digest_size=16).digest()
    return NewRun(Create(run_id, definition.name, digest, encode_event(started), worker), started)
