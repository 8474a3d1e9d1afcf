"""The inventory: a row per resource, in an SQLite file at `$INVENTORY`."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

import attrs

from examples.provision.attempts import logged
from examples.provision.plan import Kind, Resource
from interp import activity, current_call

__all__ = ["Row", "rows", "write_down"]

_SCHEMA = "CREATE TABLE IF NOT EXISTS resources (key TEXT PRIMARY KEY, kind TEXT, name TEXT, id TEXT)"
_UPSERT = "INSERT INTO resources VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET id = excluded.id"


@attrs.frozen
class Row:
    """A resource as the inventory has it."""

    kind: Kind
    name: str
    id: str


@activity
@logged
def write_down(resource: Resource, resource_id: str) -> None:
    """Put a resource into the inventory."""
    # The idempotency key is the primary key: a second attempt meets the row of the first, and overwrites it with the
    # same values. With a key of the database's own making it would add a second row.
    row = (current_call().idempotency_key, resource.kind, resource.name, resource_id)
    with closing(_open()) as database, database:
        database.execute(_UPSERT, row)


def rows() -> list[Row]:
    """Return the whole inventory."""
    with closing(_open()) as database:
        found = database.execute("SELECT kind, name, id FROM resources").fetchall()
    return [Row(Kind(kind), name, resource_id) for kind, name, resource_id in found]


def _open() -> sqlite3.Connection:
    """Open the file. Several threads write at once: each waits for its turn."""
    database = sqlite3.connect(os.environ["INVENTORY"], timeout=30)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute(_SCHEMA)
    return database
