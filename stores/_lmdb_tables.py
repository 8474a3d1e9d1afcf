"""The tables of an LMDB store and what can be read from them within one transaction.

A `View` lives as long as its transaction: `_lmdb_env` hands it to a function that returns plain values and keeps
nothing of the view. Changes are in `_lmdb_change`.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from typing import Any

import attrs
import lmdb

from interp.errors import JournalCorrupt
from interp.store import Item, Message, RunFilter, RunRow, Status
from stores._lmdb_rows import (
    NO_PARKING,
    Parking,
    Row,
    Worker,
    decode_due,
    decode_item,
    decode_record,
    due_key,
    inbox_key,
    item_key,
    number_of,
    number_within,
    record_key,
    record_time,
    running_key,
    status_key,
    stream_key,
    topic_of,
    worker_key,
)

__all__ = ["CHANGES", "TABLES", "Table", "Tables", "View"]

# Names in `meta`.
CHANGES = b"changes"

Table = lmdb._Database  # pyright: ignore[reportPrivateUsage]  # the stubs give handles no public name

# LMDB wants the number when it opens an environment; the later tables (archive, blob, feed ...) find room.
TABLES = 16

# Tables that stores may lack: they came after the first ones, and are empty until something is put into them.
_YOUNGER = frozenset({"parked", "user", "streams"})


@attrs.frozen
class Tables:
    """The handles of the databases in the environment.

    Attributes:
        meta: Name -> bytes: format, uuid, counters.
        ids: Run id -> run key, a number given out in the order of creation.
        runs: Run key -> row.
        journal: Run key, index -> record.
        inbox: Run key, number -> message.
        due: Owner, due time, run key -> nothing.
        running: Owner, run key -> nothing: what must be taken over at once when the owner dies.
        workers: Number -> worker.
        parked: Run key -> how it was parked, and whose code has released it.
        user: Name of a user's table, NUL, key -> value.
        by_status: Status -> run keys.
        streams: Run key, topic, number -> item.
        missing: Names of the younger ones that the store lacks, as long as nobody has opened it for writing.
    """

    meta: Table
    ids: Table
    runs: Table
    journal: Table
    inbox: Table
    due: Table
    running: Table
    workers: Table
    parked: Table
    user: Table
    by_status: Table
    streams: Table
    missing: frozenset[str] = frozenset()

    @classmethod
    def open(cls, env: lmdb.Environment, txn: lmdb.Transaction[bytes], *, create: bool) -> Tables:
        """Open all databases, or create them; the younger ones are created where a store was made without them.

        Raises:
            lmdb.NotFoundError: One of the others is missing.
        """

        def table(name: str, *, many: bool = False, create: bool = create) -> Table:
            return env.open_db(name.encode(), txn, create=create, dupsort=many, dupfixed=many)

        tables: dict[str, Any] = {name: table(name, create=create or name in _YOUNGER) for name in _PLAIN}
        return cls(**tables, by_status=table("by_status", many=True))

    @classmethod
    def open_to_read(cls, env: lmdb.Environment) -> Tables:
        """Open the databases of an environment that is read only.

        Raises:
            lmdb.NotFoundError: One that no store lacks is missing.
        """
        # The database of names stands for one that is missing: no run key begins like a name, so nothing is found.
        names = env.open_db(None)
        tables: dict[str, Any] = {}
        missing: set[str] = set()
        for name in _PLAIN:
            try:
                tables[name] = env.open_db(name.encode(), create=False)
            except lmdb.NotFoundError:
                if name not in _YOUNGER:
                    raise
                missing.add(name)
                tables[name] = names
        by_status = env.open_db(b"by_status", create=False, dupsort=True, dupfixed=True)
        return cls(**tables, by_status=by_status, missing=frozenset(missing))

    def have_come(self, txn: lmdb.Transaction[bytes]) -> bool:
        """Whether there is a table now that was missing."""
        return any(txn.get(name.encode()) is not None for name in self.missing)


_PLAIN = tuple(field.name for field in attrs.fields(Tables) if field.name not in ("by_status", "missing"))


class View:
    """What one transaction sees."""

    def __init__(self, txn: lmdb.Transaction[bytes], tables: Tables) -> None:
        self.txn = txn
        self.tables = tables

    def counter(self, name: bytes) -> int:
        """Return a number kept in `meta`, 0 at first."""
        return number_of(self.txn.get(name, b"", db=self.tables.meta))

    def find(self, run_id: str) -> bytes | None:
        """Return the run's key, or None."""
        name = run_id.encode(errors="replace")
        # An id that no run can have (`interp.store.RUN_ID_BYTES`) may be too long for a key.
        return self.txn.get(name, db=self.tables.ids) if 0 < len(name) < 500 else None

    def row(self, run: bytes) -> Row:
        """Return the row of a run that exists."""
        value = self.txn.get(run, b"", db=self.tables.runs)
        return Row.decode(run, value)

    def listed(self, run: bytes) -> RunRow:
        """Return the row of a run that exists, in the form of the protocol."""
        with self.txn.cursor(self.tables.journal) as journal:
            return self._listed(run, self.row(run), journal)

    def _listed(self, run: bytes, row: Row, journal: lmdb.Cursor[bytes]) -> RunRow:
        length, updated_us = _end(run, journal) or (0, row.began_us)
        parking = self.parking(run) if row.status is Status.PARKED else NO_PARKING
        return row.listed(length=length, updated_us=updated_us, owner=self.worker_name(row.owner), parking=parking)

    def parking(self, run: bytes) -> Parking:
        """Return how a run was parked, and whose code has released it."""
        return Parking.decode(self.txn.get(run, b"", db=self.tables.parked))

    def end(self, run: bytes) -> tuple[int, int] | None:
        """Return the length of a run's journal and the time of its last record; None when it is empty."""
        with self.txn.cursor(self.tables.journal) as journal:
            return _end(run, journal)

    def records(self, run: bytes, start: int, *, most: int, most_bytes: int) -> tuple[list[bytes], int]:
        """Return records from index `start` on, as many as fit: at least one if there is one.

        Returns:
            The records up to one that is damaged, and the index to go on from.

        Raises:
            JournalCorrupt: The first of them is damaged.
        """
        found: list[bytes] = []
        size = 0
        for key, value in itertools.islice(self._under(self.tables.journal, run, record_key(run, start)), most):
            try:
                found.append(decode_record(key, value)[1])
            except JournalCorrupt:
                if found:  # whoever reads has these first
                    break
                raise
            start = number_within(key) + 1
            size += len(value)
            if size >= most_bytes:
                break
        return found, start

    def messages(self, run: bytes) -> tuple[Message, ...]:
        """Return the messages in a run's inbox, in order."""
        return tuple(
            Message(number_within(key), value) for key, value in self._under(self.tables.inbox, run, inbox_key(run, 0))
        )

    def items(self, run: bytes, topic: str, start: int, *, most: int, most_bytes: int) -> list[Item]:
        """Return items of a stream from number `start` on, as many as fit: at least one if there is one."""
        found: list[Item] = []
        size = 0
        stream = stream_key(run, topic)
        for key, value in itertools.islice(self._under(self.tables.streams, stream, item_key(stream, start)), most):
            found.append(Item(number_of(key[-8:]), decode_item(key, value)))
            size += len(value)
            if size >= most_bytes:
                break
        return found

    def next_item(self, stream: bytes) -> int:
        """Return the number that the next item of a stream gets."""
        with self.txn.cursor(self.tables.streams) as cursor:
            found = cursor.prev() if cursor.set_range(stream[:-1] + b"\1") else cursor.last()
            return number_of(cursor.key()[-8:]) + 1 if found and cursor.key().startswith(stream) else 0

    def topics(self, run: bytes) -> tuple[str, ...]:
        """Return the topics of a run's streams: one look for each, however many items there are."""
        topics: list[str] = []
        with self.txn.cursor(self.tables.streams) as cursor:
            found = cursor.set_range(run)
            while found and cursor.key().startswith(run):
                topics.append(topic_of(cursor.key()))
                found = cursor.set_range(stream_key(run, topics[-1])[:-1] + b"\1")
        return tuple(topics)

    def runs(self, where: RunFilter, after: bytes, *, wanted: int, most: int) -> tuple[list[RunRow], bytes | None]:
        """List runs beyond the key `after`, in the order asked for.

        Args:
            where: Which.
            after: The key; that of no run to begin at an end.
            wanted: How many to list at most.
            most: How many to look at at most.

        Returns:
            What was found, and the key to go on from; None when there are no more.
        """
        rows: list[RunRow] = []
        with self.txn.cursor(self.tables.journal) as journal:
            for looked, run in enumerate(self._run_keys(where, after), 1):
                row = self.row(run)
                workflow = "" if where.workflow is None else row.workflow  # unpacked only for those who ask for it
                if where.fits(row.status, workflow, row.created_us):
                    rows.append(self._listed(run, row, journal))
                if looked == most or len(rows) == wanted:
                    return rows, run
        return rows, None

    def _run_keys(self, where: RunFilter, after: bytes) -> Iterator[bytes]:
        """Give the keys of runs beyond `after`, by their status if that is asked for."""
        of_status = self._newest_of_status if where.newest else self._oldest_of_status
        if where.statuses is not None:
            return heapq.merge(*(of_status(status, after) for status in where.statuses), reverse=where.newest)
        return self._newest(after) if where.newest else self._oldest(after)

    def _oldest(self, after: bytes) -> Iterator[bytes]:
        with self.txn.cursor(self.tables.runs) as cursor:
            if cursor.set_range(_next(after)):
                yield from cursor.iternext(keys=True, values=False)

    def _newest(self, before: bytes) -> Iterator[bytes]:
        with self.txn.cursor(self.tables.runs) as cursor:
            if cursor.prev() if cursor.set_range(before) else cursor.last():
                yield from cursor.iterprev(keys=True, values=False)

    def _oldest_of_status(self, status: Status, after: bytes) -> Iterator[bytes]:
        with self.txn.cursor(self.tables.by_status) as cursor:
            if cursor.set_range_dup(status_key(status), _next(after)):
                yield from cursor.iternext_dup()

    def _newest_of_status(self, status: Status, before: bytes) -> Iterator[bytes]:
        with self.txn.cursor(self.tables.by_status) as cursor:
            key = status_key(status)
            if cursor.set_range_dup(key, before):
                found = cursor.prev_dup()
            else:
                found = cursor.set_key(key) and cursor.last_dup()
            if found:
                yield from cursor.iterprev_dup()

    def workers(self) -> list[tuple[int, Worker]]:
        """Return all workers by number."""
        with self.txn.cursor(self.tables.workers) as cursor:
            return [(number_of(key), Worker.decode(value)) for key, value in cursor]

    def worker(self, number: int) -> Worker | None:
        """Return a worker, or None."""
        value = self.txn.get(worker_key(number), db=self.tables.workers)
        return None if value is None else Worker.decode(value)

    def worker_name(self, number: int) -> str | None:
        """Return the name of an owner; None for nobody."""
        worker = self.worker(number)
        return worker.name if worker else None

    def worker_number(self, name: str) -> int | None:
        """Return a worker's number, or None. There are few workers: a name is found by looking at each."""
        return next((number for number, worker in self.workers() if worker.name == name), None)

    def at_work(self, owner: int) -> Iterator[bytes]:
        """Give the runs that must be taken over at once when the owner dies, oldest first."""
        prefix = worker_key(owner)
        for key, _ in self._under(self.tables.running, prefix, running_key(owner, b"")):
            yield key[len(prefix) :]

    def due(self, owner: int) -> Iterator[tuple[int, bytes]]:
        """Give due time and key of an owner's runs, the longest due first."""
        for key, _ in self._under(self.tables.due, worker_key(owner), due_key(owner, 0, b"")):
            yield decode_due(key)

    def _under(self, table: Table, prefix: bytes, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        with self.txn.cursor(table) as cursor:
            if cursor.set_range(start):  # else iterating would begin at the first key of the whole table
                for key, value in cursor:
                    if not key.startswith(prefix):
                        return
                    yield key, value


def _end(run: bytes, journal: lmdb.Cursor[bytes]) -> tuple[int, int] | None:
    found = journal.prev() if journal.set_range(_after(run)) else journal.last()
    if not found or not journal.key().startswith(run):
        return None
    return number_within(journal.key()) + 1, record_time(journal.value())


def _next(run: bytes) -> bytes:
    return (number_of(run) + 1).to_bytes(8, "big")


def _after(run: bytes) -> bytes:
    return record_key(_next(run), 0)
