"""The default store: an LMDB directory on a local disk, shared by any number of processes of one host.

This module is the surface: URLs, and `interp.store.Store` in terms of transactions. Below it, from the outside in:
`_lmdb_reader` (what can be asked), `_lmdb_env` (when a transaction begins and ends), `_lmdb_reading` (looking on and
leaving no trace), `_lmdb_files`, `_lmdb_wake` and `_lmdb_workers` (the directory around it), `_lmdb_change`,
`_lmdb_claim` and `_lmdb_tables` (what happens inside it), `_lmdb_rows` (bytes).
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import parse_qsl

import attrs

from interp.errors import RunEnded, RunExists, UnknownRun, UnknownStore, UsageError
from interp.store import (
    Batch,
    Claim,
    Create,
    Due,
    Post,
    Refusal,
    Release,
    Reopen,
)
from interp.tables import Transaction
from stores._lmdb_change import Change
from stores._lmdb_claim import ready
from stores._lmdb_env import DURABILITIES, Changes, Options, acquire
from stores._lmdb_reader import LmdbReader, key_of
from stores._lmdb_rows import encode_records
from stores._lmdb_tables import View

__all__ = ["LmdbReader", "LmdbStore", "open", "open_reader"]


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


def open_reader(url: str) -> LmdbReader:
    """Open a store to read it: nothing is made or written, and nobody is held up.

    The directory may be a copy or a backup that holds a file `data.mdb` only, and may be mounted read-only.

    Args:
        url: As for `open`.

    Raises:
        UnknownStore: The URL cannot be understood, nothing is there, or this user may not read it.
        NotAStore: Something else is there.
        UnknownFormat: It was written by another version.
        JournalCorrupt: It is damaged.
    """
    path, options = _parsed(url)
    return LmdbReader(url, acquire(path, url, attrs.evolve(options, read_only=True)))


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


class LmdbStore(LmdbReader):
    """A handle of an LMDB store; see `interp.store.Store` for what each method promises."""

    _read_only = False

    # --- runs and messages ---

    def create(self, run: Create, now_us: int) -> bool:
        """Create a run."""
        refusals = self.commit(Batch(creates=[run]), now_us)
        if refusals and refusals[0].why == "differs":
            existing = self._env.read(lambda view: view.row(key_of(view, run.run_id, self.url)).identity)
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
                post.run_id, self._env.read(lambda view: view.row(key_of(view, post.run_id, self.url)).status)
            )

    def unpark(self, run_id: str, now_us: int, release: Release | None = None) -> bool:
        """Make a parked run due again."""
        return self._env.write(lambda change: change.unpark(key_of(change.view, run_id, self.url), now_us, release))

    def reopen(self, reopen: Reopen, now_us: int) -> bool:
        """Make a failed run go on."""
        return self._env.write(
            lambda change: change.reopen(key_of(change.view, reopen.run_id, self.url), reopen, now_us)
        )

    def commit(self, batch: Batch, now_us: int) -> list[Refusal]:
        """Write a batch."""
        encoded: list[list[bytes]] = []
        for append in batch.appends:
            encoded.append(encode_records(append.records, append.index, append.at_us))  # noqa: PERF401  a comprehension is a call
        return self._env.write(
            lambda change: change.commit(batch, encoded, now_us), once=bool(batch.transacts), by=batch.by
        )

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

    # --- waiting ---

    def changed(self, timeout_s: float, but: str = "") -> bool:
        """Wait until somebody wrote, or the time is up."""
        seen: Changes = vars(self._seen).get(but, (0, 0))
        try:
            is_news, now = self._env.wait(seen, timeout_s, lambda: self._closed, but)
        except UsageError:
            if self._closed:
                return False
            raise
        vars(self._seen)[but] = now
        return is_news
