"""How a new run is asked for: the same by an engine, which owns it at once, and by the command line, which does not."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

import attrs

from interp.codec import render_value
from interp.definitions import WorkflowDefinition
from interp.events import Started, encode_event
from interp.runtime.live import decoded
from interp.runtime.sealed import readable
from interp.schedules.specs import aware
from interp.store import Create, Store

__all__ = ["NewRun", "describe_run", "describe_start", "new_run"]


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


def describe_start(started: Started) -> str:
    """Show what is to be started, such as `checkout('42')`."""
    return f"{started.workflow}{_parenthesised(started.args)}"


def describe_run(store: Store, run_id: str) -> str:
    """Show what a run was started as, such as `checkout('42') (completed)`."""
    row = store.run(run_id)
    if row is None:
        return "gone"
    readable(f"run {run_id!r}", row.digest)  # else the same run would look like another one
    first = next(decoded(run_id, store.history(run_id)), None)
    if first is None or not isinstance(first.cause, Started):
        return f"{row.workflow}(...)  ({row.status})"
    started = first.cause
    made = ""
    if started.forked_from:
        made = f", a fork of {started.forked_from[-1].run_id!r}"
    elif started.parent is not None:
        made = f", a child of {started.parent[0]!r}"
    return f"{describe_start(started)}  ({row.status}{made})"


def _parenthesised(args: bytes) -> str:
    text = render_value(args)
    return f"({text[1:-1]})" if text.startswith("[") else f"({text})"
