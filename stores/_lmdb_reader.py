"""What can be read of an LMDB store, in short transactions: none is open between two calls, or between two records."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator

from interp.errors import UnknownRun, UsageError
from interp.store import Item, Message, RunFilter, RunRow, WorkerRow, is_topic
from stores._lmdb_env import Environment, release
from stores._lmdb_rows import Worker
from stores._lmdb_tables import View

__all__ = ["LmdbReader", "key_of"]

# What one read transaction copies out, of records and of items: long ones keep pages from being reused.
_RECORDS = 1000
_RECORD_BYTES = 4 << 20
_ROWS = 1000

# How many rows one transaction looks at in search of those.
_LOOKED_AT = 5000

# Keys of runs that come before and after those of all runs.
_FIRST = bytes(8)
_LAST = b"\xff" * 8

# How often a reader looks whether something was written: it leaves no bell in the directory that could be rung.
_LOOK_S = 0.05


class LmdbReader:
    """A handle of an LMDB store that only reads; see `interp.store.Reader` for what each method promises."""

    # Whether the environment can be shared with those that hold it open for reading only.
    _read_only = True

    def __init__(self, url: str, environment: Environment) -> None:
        self.url = url
        self._environment = environment
        self._closing = threading.Lock()
        self._closed = False
        self._seen = threading.local()
        self._stopped = threading.Event()

    @property
    def _env(self) -> Environment:
        if self._closed:
            raise UsageError(f"store {self.url} is closed")
        return self._environment

    def run(self, run_id: str) -> RunRow | None:
        """Return the run's row, or None."""

        def look(view: View) -> RunRow | None:
            run = view.find(run_id)
            return None if run is None else view.listed(run)

        return self._env.read(look)

    def runs(self, where: RunFilter) -> list[RunRow]:
        """List runs, the oldest creation first, or the newest; a long list is put together from several moments."""
        rows: list[RunRow] = []
        after: bytes | None = _LAST if where.newest else _FIRST
        if where.after is not None:
            last = where.after
            after = self._env.read(lambda view: view.find(last))
        while after is not None and (where.limit is None or len(rows) < where.limit):
            wanted = _ROWS if where.limit is None else where.limit - len(rows)
            found, after = self._env.read(functools.partial(_listed, where, after, wanted))
            rows += found
        return rows

    def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
        """Give the records from index `start` on; no transaction is open between two of them."""
        env = self._env
        run = env.key_of(run_id) or env.read(lambda view: key_of(view, run_id, self.url))
        return self._records(run, start)

    def _records(self, run: bytes, start: int) -> Iterator[bytes]:
        restarts: int | None = None
        while True:
            seen, records, start = self._env.read(functools.partial(_chunk, run, start))
            if not records or restarts not in (None, seen):
                return
            restarts = seen
            yield from records

    def inbox(self, run_id: str) -> tuple[Message, ...]:
        """Return the messages that wait."""
        return self._env.read(lambda view: view.messages(key_of(view, run_id, self.url)))

    def stream(self, run_id: str, topic: str, start: int = 0) -> Iterator[Item]:
        """Give the items of a stream from number `start` on; no transaction is open between two of them."""
        run = self._env.read(lambda view: key_of(view, run_id, self.url))
        return self._items(run, topic, start) if is_topic(topic) else iter(())

    def _items(self, run: bytes, topic: str, start: int) -> Iterator[Item]:
        while items := self._env.read(functools.partial(_item_chunk, run, topic, start)):
            yield from items
            start = items[-1].number + 1

    def topics(self, run_id: str) -> tuple[str, ...]:
        """Return the topics of a run's streams that have items."""
        return self._env.read(lambda view: view.topics(key_of(view, run_id, self.url)))

    def workers(self, now_us: int) -> tuple[WorkerRow, ...]:
        """Return the workers: a dead one stays until others have taken its runs."""
        known = self._env.read(lambda view: view.workers())
        return tuple(WorkerRow(row.name, self._is_alive(number, row, now_us), row.owned) for number, row in known)

    def _is_alive(self, number: int, row: Worker, now_us: int) -> bool:
        """Tell whether a worker is alive: by its lock if it registered, else by its lease."""
        alive = self._env.workers.alive(number)
        return row.lease_until_us > now_us if alive is None else alive

    def changed(self, timeout_s: float) -> bool:
        """Wait until anything at all was written, or the time is up."""
        seen: int | None = getattr(self._seen, "commit", None)
        end_s = time.monotonic() + timeout_s
        while not self._closed:
            try:
                commit = self._env.read(lambda view: view.txn.id())
            except UsageError:
                if self._closed:  # meanwhile
                    return False
                raise
            left_s = end_s - time.monotonic()
            if commit != seen or left_s <= 0:
                self._seen.commit = commit
                return commit != seen
            self._stopped.wait(min(left_s, _LOOK_S))
        return False

    def close(self) -> None:
        """Give back the environment."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._stopped.set()
                self._environment.interrupt()
                release(self._environment, read_only=self._read_only)


def _listed(where: RunFilter, after: bytes, wanted: int, view: View) -> tuple[list[RunRow], bytes | None]:
    return view.runs(where, after, wanted=min(wanted, _ROWS), most=_LOOKED_AT)


def _chunk(run: bytes, start: int, view: View) -> tuple[int, list[bytes], int]:
    return view.row(run).restarts, *view.records(run, start, most=_RECORDS, most_bytes=_RECORD_BYTES)


def _item_chunk(run: bytes, topic: str, start: int, view: View) -> list[Item]:
    return view.items(run, topic, start, most=_RECORDS, most_bytes=_RECORD_BYTES)


def key_of(view: View, run_id: str, url: str) -> bytes:
    """Return the key of a run.

    Raises:
        UnknownRun: There is none.
    """
    run = view.find(run_id)
    if run is None:
        raise UnknownRun(run_id, url)
    return run
