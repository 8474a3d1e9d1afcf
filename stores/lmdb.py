"""The default store: an LMDB directory on a local disk, shared by any number of processes of one host.

This module is the surface: URLs, and `interp.store.Store` in terms of transactions. Below it, from the outside in:
`_lmdb_env` (when a transaction begins and ends), `_lmdb_files`, `_lmdb_wake` and `_lmdb_workers` (the directory around
it), `_lmdb_change`, `_lmdb_claim` and `_lmdb_tables` (what happens inside it), `_lmdb_rows` (bytes).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import parse_qsl

from interp.errors import RunEnded, RunExists, UnknownRun, UnknownStore, UsageError
from interp.store import (
    Batch,
    Claim,
    Create,
    Due,
    Item,
    Message,
    Post,
    Refusal,
    Release,
    Reopen,
    RunFilter,
    RunRow,
    WorkerRow,
    is_topic,
)
from interp.tables import Transaction
from stores._lmdb_change import Change
from stores._lmdb_claim import ready
from stores._lmdb_env import DURABILITIES, Environment, Options, acquire, release
from stores._lmdb_rows import Worker, encode_entries
from stores._lmdb_tables import View

__all__ = ["LmdbStore", "open"]

# What one read transaction copies out, of records and of items: long ones keep pages from being reused.
_RECORDS = 1000
_RECORD_BYTES = 4 << 20
_ROWS = 1000


def open(url: str) -> LmdbStore:
    """Open `lmdb:relative/dir` or `lmdb:///absolute/dir`, creating it if need be.

    Args:
        url: May end in `?durability=full`, `process` or `none` (default `full`: what was acknowledged survives power
            loss) and in `&map_size=` bytes.

    Raises:
        UnknownStore: The URL cannot be understood, or the directory not be used.
        NotAStore: Something else is there.
        UnknownFormat: It was written by another version.
        JournalCorrupt: It is damaged.
        StoreReadOnly: It cannot be written to.
        StoreFull: There is no room to create it.
    """
    path, options = _parsed(url)
    return LmdbStore(url, acquire(path, url, options))


def _parsed(url: str) -> tuple[Path, Options]:
    scheme, _, rest = url.partition(":")
    path, _, query = rest.partition("?")
    if path.startswith("///"):
        path = path[2:]
    if scheme != "lmdb" or not path or path.startswith("//"):
        raise UnknownStore(url, "expected lmdb:relative/dir or lmdb:///absolute/dir")
    chosen = dict(parse_qsl(query, keep_blank_values=True))
    durability = chosen.pop("durability", "full")
    map_size = chosen.pop("map_size", None)
    if chosen:
        raise UnknownStore(url, f"unknown option {', '.join(chosen)}; known are durability and map_size")
    if durability not in DURABILITIES:
        raise UnknownStore(url, f"unknown durability {durability!r}; known are {', '.join(DURABILITIES)}")
    if map_size is not None and not (map_size.isascii() and map_size.isdigit() and int(map_size) >= 1 << 16):
        raise UnknownStore(url, f"map_size={map_size}: expected a number of bytes, at least 65536")
    return Path(path), Options(durability, None if map_size is None else int(map_size))


class LmdbStore:
    """A handle of an LMDB store; see `interp.store.Store` for what each method promises."""

    def __init__(self, url: str, environment: Environment) -> None:
        self.url = url
        self._environment = environment
        self._closing = threading.Lock()
        self._closed = False
        self._seen = threading.local()

    @property
    def _env(self) -> Environment:
        if self._closed:
            raise UsageError(f"store {self.url} is closed")
        return self._environment

    # --- runs and messages ---

    def create(self, run: Create, now_us: int) -> bool:
        """Create a run."""
        refusals = self.commit(Batch(creates=[run]), now_us)
        if refusals and refusals[0].why == "differs":
            existing = self._env.read(lambda view: view.row(_found(view, run.run_id, self.url)).identity)
            raise RunExists(
                run.run_id,
                existing=f"{existing[0]}, digest {existing[1].hex()}",
                requested=f"{run.workflow}, digest {run.digest.hex()}",
            )
        return not refusals

    def post(self, post: Post, now_us: int) -> None:
        """Append a message to a run's inbox."""
        for refusal in self.commit(Batch(posts=[post]), now_us):
            if refusal.why == "unknown":
                raise UnknownRun(post.run_id, self.url)
            raise RunEnded(
                post.run_id, self._env.read(lambda view: view.row(_found(view, post.run_id, self.url)).status)
            )

    def unpark(self, run_id: str, now_us: int, release: Release | None = None) -> bool:
        """Make a parked run due again."""
        return self._env.write(lambda change: change.unpark(_found(change.view, run_id, self.url), now_us, release))

    def reopen(self, reopen: Reopen, now_us: int) -> bool:
        """Make a failed run go on."""
        return self._env.write(
            lambda change: change.reopen(_found(change.view, reopen.run_id, self.url), reopen, now_us)
        )

    def commit(self, batch: Batch, now_us: int) -> list[Refusal]:
        """Write a batch."""
        encoded = [encode_entries(append.records, append.index, append.at_us) for append in batch.appends]
        return self._env.write(lambda change: change.commit(batch, encoded, now_us), once=bool(batch.transacts))

    def transaction(self, *, write: bool = True) -> AbstractContextManager[Transaction]:
        """Open a transaction on the users' tables."""
        return self._env.transaction(write=write)

    def flush(self) -> None:
        """Return when everything committed is durable."""
        self._env.flush()

    # --- workers ---

    def register(self, worker: str) -> None:
        """Lock a file for the worker: the kernel lets go of it when this process ends.

        Raises:
            UsageError: Another process has a worker of this name.
        """
        env = self._env

        def hold(change: Change) -> None:
            # Inside the transaction, because `forget` removes the row of a worker whose file is not locked yet.
            if not env.workers.hold(change.worker_number(worker)):
                raise UsageError(f"worker={worker!r}: another process has registered a worker of this name")

        env.write(hold)

    def renew(self, worker: str, now_us: int, lease_us: int) -> None:
        """Extend the worker's lease; of a registered worker the lock tells more than any lease."""
        number = self._env.read(lambda view: view.worker_number(worker))
        if number is None or not self._env.workers.holds(number):
            self._env.write(lambda change: change.lease(change.worker_number(worker), now_us + lease_us))

    def resign(self, worker: str) -> None:
        """Remove the worker's lock and lease."""
        env = self._env

        def leave(change: Change) -> None:
            change.wakes = True
            number = change.view.worker_number(worker)
            if number is not None:
                env.workers.drop(number)
                change.lease(number, 0)
                change.forget(number)

        env.write(leave)

    def claim(
        self, worker: str, limit: int, now_us: int, lease_us: int, workflows: Collection[str] | None = None
    ) -> Due:
        """Take due runs that nobody alive owns; a write transaction only if there is one to take."""
        env = self._env

        def look(view: View) -> Due | None:
            number = view.worker_number(worker)
            found = ready(view, number, self._dead(view, number, now_us), now_us, limit, workflows)
            if any(view.row(run).owner != number for run in found.runs):
                return None
            claims = tuple(Claim(view.listed(run), view.messages(run), lost=None) for run in found.runs)
            return Due(claims, found.next_us)

        def take(change: Change) -> Due:
            number = change.worker_number(worker)
            dead = self._dead(change.view, number, now_us)
            found = ready(change.view, number, dead, now_us, limit, workflows)
            claims = tuple(change.take(run, number) for run in found.runs)
            if not env.workers.holds(number):
                change.lease(number, now_us + lease_us)
            for other in dead:
                if change.forget(other):
                    env.workers.drop(other)
            return Due(claims, found.next_us)

        due = env.read(look)
        return env.write(take) if due is None else due

    def _dead(self, view: View, number: int | None, now_us: int) -> list[int]:
        """Return the other workers that are dead: by their lock if they registered, else by their lease."""
        return [other for other, row in view.workers() if other != number and not self._is_alive(other, row, now_us)]

    def _is_alive(self, number: int, row: Worker, now_us: int) -> bool:
        alive = self._env.workers.alive(number)
        return row.lease_until_us > now_us if alive is None else alive

    # --- reading ---

    def workers(self, now_us: int) -> tuple[WorkerRow, ...]:
        """Return the workers: a dead one stays until others have taken its runs."""

        def look(view: View) -> tuple[WorkerRow, ...]:
            known = view.workers()
            return tuple(WorkerRow(row.name, self._is_alive(number, row, now_us), row.owned) for number, row in known)

        return self._env.read(look)

    def run(self, run_id: str) -> RunRow | None:
        """Return the run's row, or None."""

        def look(view: View) -> RunRow | None:
            run = view.find(run_id)
            return None if run is None else view.listed(run)

        return self._env.read(look)

    def runs(self, where: RunFilter) -> list[RunRow]:
        """List runs, the oldest creation first; a long list is put together from several moments."""
        rows: list[RunRow] = []
        after: bytes | None = bytes(8)
        if where.after is not None:
            last = where.after
            after = self._env.read(lambda view: view.find(last))
        while after is not None and (where.limit is None or len(rows) < where.limit):
            found, after = self._env.read(functools.partial(_listed, where, after))
            rows += found
        return rows[: where.limit]

    def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
        """Give the records from index `start` on; no transaction is open between two of them."""
        run = self._env.read(lambda view: _found(view, run_id, self.url))
        return self._records(run, start)

    def _records(self, run: bytes, start: int) -> Iterator[bytes]:
        restarts: int | None = None
        while True:
            seen, records = self._env.read(functools.partial(_chunk, run, start))
            if not records or restarts not in (None, seen):
                return
            restarts = seen
            yield from records
            start += len(records)

    def inbox(self, run_id: str) -> tuple[Message, ...]:
        """Return the messages that wait."""
        return self._env.read(lambda view: view.messages(_found(view, run_id, self.url)))

    def stream(self, run_id: str, topic: str, start: int = 0) -> Iterator[Item]:
        """Give the items of a stream from number `start` on; no transaction is open between two of them."""
        run = self._env.read(lambda view: _found(view, run_id, self.url))
        return self._items(run, topic, start) if is_topic(topic) else iter(())

    def _items(self, run: bytes, topic: str, start: int) -> Iterator[Item]:
        while items := self._env.read(functools.partial(_item_chunk, run, topic, start)):
            yield from items
            start = items[-1].number + 1

    def topics(self, run_id: str) -> tuple[str, ...]:
        """Return the topics of a run's streams that have items."""
        return self._env.read(lambda view: view.topics(_found(view, run_id, self.url)))

    # --- waiting and closing ---

    def changed(self, timeout_s: float) -> bool:
        """Wait until somebody wrote, or the time is up."""
        seen: int = getattr(self._seen, "changes", 0)
        try:
            changes = self._env.wait(seen, timeout_s, lambda: self._closed)
        except UsageError:
            if self._closed:
                return False
            raise
        self._seen.changes = changes
        return changes != seen

    def close(self) -> None:
        """Give back the environment; the last handle of this process closes it."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._environment.interrupt()
                release(self._environment)


def _listed(where: RunFilter, after: bytes, view: View) -> tuple[list[RunRow], bytes | None]:
    return view.runs(where, after, _ROWS)


def _chunk(run: bytes, start: int, view: View) -> tuple[int, list[bytes]]:
    return view.row(run).restarts, view.records(run, start, most=_RECORDS, most_bytes=_RECORD_BYTES)


def _item_chunk(run: bytes, topic: str, start: int, view: View) -> list[Item]:
    return view.items(run, topic, start, most=_RECORDS, most_bytes=_RECORD_BYTES)


def _found(view: View, run_id: str, url: str) -> bytes:
    run = view.find(run_id)
    if run is None:
        raise UnknownRun(run_id, url)
    return run
