"""The LMDB environment of a store directory: one per process, shared by all its handles.

Here and nowhere else a transaction begins and ends, the map grows, a fork is survived, and errors of LMDB become ours.
What happens inside a transaction is handed in as a function of a `View` or a `Change`. See docs/decisions/0011.
"""

from __future__ import annotations

import errno
import os
import random
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, TypeVar

import attrs
import lmdb

from interp.errors import (
    StoreError,
    StoreFailed,
    StoreFull,
    TryAgain,
    UnknownStore,
    UsageError,
)
from interp.tables import Transaction
from stores._lmdb_cells import LmdbCells
from stores._lmdb_change import Change
from stores._lmdb_files import DATA, WAKE, WORKERS, blame, check_format, check_length, prepare
from stores._lmdb_gate import Gate
from stores._lmdb_reading import check_readable, file_at, may_lock, tables_to_read, unlocked
from stores._lmdb_standing import Standing
from stores._lmdb_tables import CHANGES, TABLES, Tables, View
from stores._lmdb_wake import Doorbell
from stores._lmdb_workers import WorkerLocks

__all__ = ["DURABILITIES", "Changes", "Environment", "Options", "acquire", "release"]

T = TypeVar("T")

Changes: TypeAlias = tuple[int, int]
"""How many changes a store has seen that others may wait for, and how many ends of processes this one has."""

# Reserving address space costs nothing; a machine that does not give that much gets less, and growth.
_MAP_SIZES = (1 << 40, 1 << 36, 1 << 32, 1 << 28)

# lmdb.h: opening can fail while another process opens or closes the same environment.
_OPEN_TRIES = 6
_OPEN_PAUSE_S = 0.01

# More doublings than an address space has: a bound for loops that end much sooner.
_TRIES = 64

# A disk with less is full: a page, and what the file system needs to note where it lies.
_NO_ROOM = 1 << 16

# How long a wait lasts at most before it looks by itself: with a bell for safety, without one for lack of better.
_LOOK_S = 1.0
_POLL_S = 0.01

# Run ids whose keys are kept in memory, some 150 bytes each.
_KNOWN = 100_000

# Changes of a worker that its own listener need not hear of: older ones it hears of after all.
_OWN = 1_000

# What each level asks of LMDB, see docs/decisions/0012.
_SYNC = {
    "full": {"sync": True, "metasync": True},
    "process": {"sync": True, "metasync": False},
    "none": {"sync": False, "metasync": False},
}
DURABILITIES = tuple(_SYNC)


@attrs.frozen
class Options:
    """What a URL may choose.

    Attributes:
        durability: `full`, `process` or `none`.
        map_size: Bytes to begin with; None for as much as the machine gives.
        read_only: Whether to make and write nothing.
    """

    durability: str = "full"
    map_size: int | None = None
    read_only: bool = False


class _TablesCame(Exception):
    """A table that was missing when the environment was opened for reading is there now."""


class Environment:
    """The environment of one directory; `acquire` gives it out."""

    def __init__(self, path: Path, url: str, options: Options) -> None:
        self.path = path
        self.options = options
        self.readers = 0
        self.writers = 0
        self.workers = WorkerLocks(path / WORKERS)
        self.url = url
        self._known: dict[str, bytes] = {}
        self._standing = Standing()
        self._failed: str | None = None
        self._closed = False
        self._lmdb: lmdb.Environment | None = None
        self._locks = True
        self._file: tuple[int, int] | None = None
        self._begin_alone()
        try:
            self._open()
        except BaseException:
            self._bell.close()
            raise

    def _begin_alone(self) -> None:
        """Set up what does not survive a fork."""
        self._gate = Gate()
        self._opening = threading.Lock()
        self._engaged: set[int] = set()  # the threads on which a user's transaction is open
        self._rung = threading.Condition(threading.Lock())
        self._rings = 0
        self._deaths = 0
        self._waiting: list[str] = []
        self._own: defaultdict[str, deque[int]] = defaultdict(lambda: deque(maxlen=_OWN))
        self._bell = Doorbell(self.path / WAKE, self._on_ring, self._on_death)

    # --- opening and closing ---

    def _open(self) -> None:
        if self.options.read_only:
            check_readable(self.path, self.url)
        else:
            prepare(self.path, self.url)
            for directory in (self.path / WAKE, self.path / WORKERS):
                directory.mkdir(mode=0o700, exist_ok=True)
        for last in (False,) * (_OPEN_TRIES - 1) + (True,):
            try:
                self._lmdb, self._tables = self._opened()
            except lmdb.LockError as error:
                if last:
                    raise UnknownStore(self.url, _CROWDED) from error
            except lmdb.Error as error:
                if last:
                    raise blame(str(self.path), error) from error
            else:
                return
            time.sleep(random.uniform(0, 2 * _OPEN_PAUSE_S))

    def _opened(self) -> tuple[lmdb.Environment, Tables]:
        self._locks = not self.options.read_only or may_lock(self.path)
        self._file = file_at(self.path)
        env = self._mapped()
        try:
            check_length(env, self.path / DATA)
            env.reader_check()
            if self.options.read_only:
                return env, tables_to_read(env, self.path)
            # A write transaction, though nothing is written: handles opened in a reading one end with it.
            with env.begin(write=True) as txn:
                check_format(env, txn, self.path)
                return env, Tables.open(env, txn, create=False)
        except BaseException:
            env.close()
            raise

    def _mapped(self) -> lmdb.Environment:
        """Open the environment with the largest map that the machine gives."""
        sizes = _MAP_SIZES if self.options.map_size is None else (self.options.map_size,)
        flags = _SYNC[self.options.durability]
        for size in sizes:
            try:
                return lmdb.open(
                    str(self.path),
                    map_size=size,
                    max_dbs=TABLES,
                    mode=0o600,
                    create=False,
                    readonly=self.options.read_only,
                    lock=self._locks,
                    **flags,
                )
            except lmdb.MemoryError:
                if size == sizes[-1]:
                    raise
        raise AssertionError("there is no size to try")

    def reopen(self, path: Path, url: str, options: Options) -> None:
        """Close the directory and open it in another way, while those who read it stay: their next question waits.

        Raises:
            StoreError: It cannot be opened in that way, and is open in the old way again at the next question.
        """
        with self._gate.alone():
            before = self.path, self.url, self.options
            self._leave(path, url, options)
            if not options.read_only:
                try:
                    self._open()
                except BaseException:
                    self._leave(*before)
                    raise

    def _leave(self, path: Path, url: str, options: Options) -> None:
        """Close what is open; the next question opens it as told."""
        self._bell.close()
        self.workers.close()
        if self._lmdb is not None:
            self._lmdb.close()
            self._lmdb = None
        self._failed = None
        self._known.clear()
        self._standing.forget()
        self.path, self.url, self.options = path, url, options
        self.workers = WorkerLocks(path / WORKERS)
        self._bell = Doorbell(path / WAKE, self._on_ring, self._on_death)

    def close(self) -> None:
        """Let go of everything; workers registered here count as dead."""
        self._closed = True
        self._bell.close()
        self.workers.close()
        with self._gate.alone():
            if self._lmdb is not None:
                self._lmdb.close()
                self._lmdb = None

    def bar(self) -> None:
        """Let no transaction be open while the process forks."""
        self._gate.bar()

    def unbar(self) -> None:
        """Go on in the parent."""
        self._gate.unbar()

    def abandon(self) -> None:
        """Begin anew in a forked child: the inherited environment is its parent's. It is opened at its next use."""
        if self._lmdb is not None:
            self._lmdb.close()
            self._lmdb = None
        self.workers.abandon()
        self._bell.abandon()
        self._standing.forget()
        self._begin_alone()

    def _live(self) -> lmdb.Environment:
        if self._closed:
            raise UsageError(f"store {self.url} is closed")
        if self._lmdb is None:
            with self._opening:
                if self._lmdb is None:
                    self._open()
        assert self._lmdb is not None
        return self._lmdb

    # --- transactions ---

    def read(self, question: Callable[[View], T]) -> T:
        """Answer a question within one read transaction, which should be short: pages are not reused meanwhile."""
        self._check_free()
        if self.options.read_only:
            self._keep_up()
        for _ in range(_TRIES):
            try:
                with self._gate:
                    return self._answered(self._live(), question)
            except lmdb.MapResizedError:
                self._adopt()
            except _TablesCame:
                self._look_again()
            except lmdb.ReadersFullError:
                if not self._live().reader_check():
                    raise StoreFull(str(self.path), "all slots for reading transactions are taken") from None
            except lmdb.Error as error:
                raise blame(str(self.path), error) from error
        raise StoreFailed(str(self.path), "other processes keep changing the size of its map")

    def _keep_up(self) -> None:
        """Open the directory anew where another file lies in it now, or a writer came, who brings a file of locks."""
        found = file_at(self.path)
        if found is not None and (found != self._file or (not self._locks and may_lock(self.path))):
            self._look_again()

    def _look_again(self) -> None:
        with self._gate.alone():
            if self._lmdb is not None:
                self._lmdb.close()
                self._lmdb = None

    def _answered(self, env: lmdb.Environment, question: Callable[[View], T]) -> T:
        def ask(txn: lmdb.Transaction[bytes]) -> T:
            if self._tables.have_come(txn):
                raise _TablesCame
            return question(View(txn, self._tables))

        if not self._locks:
            return unlocked(env, ask, str(self.path))
        with env.begin() as txn:
            return ask(txn)

    def key_of(self, run_id: str) -> bytes | None:
        """Return the key of a run that was written here lately, or None; the run keeps it."""
        return self._known.get(run_id)

    def write(self, work: Callable[[Change], T], *, once: bool = False, by: str = "") -> T:
        """Do work within one write transaction; committed when this returns, and nothing of it when this raises.

        Args:
            work: What to do; done again when the map had to grow.
            once: Raise `TryAgain` instead of doing it again.
            by: The worker whose batch it is; empty for nobody.
        """
        self._check_free()
        for _ in range(_TRIES):
            if self._failed is not None:
                raise StoreFailed(str(self.path), self._failed)
            try:
                with self._gate:
                    return self._written(self._live(), work, by)
            except lmdb.MapResizedError:
                self._adopt()
            except lmdb.MapFullError:
                self._grow()
                if once:
                    raise TryAgain(str(self.path), _GREW) from None
        raise StoreFailed(str(self.path), "its map cannot grow")

    @contextmanager
    def transaction(self, *, write: bool) -> Generator[Transaction]:
        """Open a transaction on the users' tables, on this thread."""
        self._check_free()
        try:
            with self._gate:
                yield from self._opened_for_user(write=write)
        except lmdb.MapFullError:
            self._grow()
            raise TryAgain(str(self.path), _GREW) from None

    def _opened_for_user(self, *, write: bool) -> Generator[Transaction]:
        env = self._live()
        txn = self._begun(env) if write else env.begin()
        cells = LmdbCells(txn, self._tables.user)
        transaction = Transaction(cells, write=write)
        self._engaged.add(threading.get_ident())
        try:
            yield transaction
            if cells.trouble is not None:
                raise cells.trouble
        except BaseException as error:
            txn.abort()
            if isinstance(error, lmdb.Error) and not isinstance(error, lmdb.MapFullError):
                raise blame(str(self.path), error) from error
            raise
        finally:
            transaction.close()
            self._engaged.discard(threading.get_ident())
        if write:
            self._commit(env, txn)
        else:
            txn.abort()

    def _check_free(self) -> None:
        """Refuse what would wait for itself: LMDB lets one thread write, and a resize waits for all transactions."""
        if threading.get_ident() in self._engaged:
            raise UsageError(
                f"store {self.url}: this thread has a transaction open on it, and can use nothing else of it now\n"
                "  Do it before or after the transaction."
            )

    def _written(self, env: lmdb.Environment, work: Callable[[Change], T], by: str) -> T:
        txn = self._begun(env)
        number = txn.id()
        standing = self._standing.take(number)
        change = Change(txn, self._tables, self._known, standing, lambda: env.begin(write=True, parent=txn))
        self._engaged.add(threading.get_ident())
        try:
            answer = work(change)
            change.finish()
        except BaseException as error:
            txn.abort()
            if isinstance(error, lmdb.Error) and not isinstance(error, lmdb.MapFullError):
                raise blame(str(self.path), error) from error
            raise
        finally:
            self._engaged.discard(threading.get_ident())
        if by and change.news:
            self._own[by].append(change.news)  # before anybody can see it, so that it is never taken for another's
        try:
            self._commit(env, txn)
        except BaseException:
            if by and change.news:
                self._own[by].remove(change.news)  # the next one to write has this number
            raise
        if change.appended:
            self._standing.leave(number, standing, change.stood)
        self._learn(change, by)
        return answer

    def _begun(self, env: lmdb.Environment) -> lmdb.Transaction[bytes]:
        """Begin to write."""
        # Readers that died would keep pages from being reused; LMDB looks for them only when told.
        env.reader_check()
        try:
            return env.begin(write=True)
        except (lmdb.MapResizedError, lmdb.MapFullError):
            raise
        except lmdb.Error as error:
            raise self._fail(error) if isinstance(error, lmdb.PanicError) else blame(str(self.path), error) from error

    def _commit(self, env: lmdb.Environment, txn: lmdb.Transaction[bytes]) -> None:
        try:
            txn.commit()
        except lmdb.MapFullError:
            raise
        except lmdb.Error as error:
            refused = blame(str(self.path), error)
            if error.code == errno.EIO and self._room() < _NO_ROOM:
                # LMDB says so of a write that went through in part, which is what the last pages of a disk do.
                refused = StoreFull(str(self.path), str(error))
            if isinstance(refused, StoreFailed):
                raise self._fail(error) from error
            try:
                # After a failed write of its head page LMDB refuses everything: then the outcome is unknown.
                env.begin(write=True).abort()
            except lmdb.Error:
                raise self._fail(error) from error
            raise refused from error

    def _room(self) -> int:
        """Return the bytes that are free on the disk."""
        disk = os.statvfs(self.path)
        return disk.f_bavail * disk.f_frsize

    def _fail(self, error: lmdb.Error) -> StoreError:
        self._failed = str(error)
        return StoreFailed(str(self.path), self._failed)

    def _learn(self, change: Change, by: str) -> None:
        if len(self._known) > _KNOWN:
            self._known.clear()
        if change.found:
            self._known.update(change.found)
        if change.wakes:
            self._on_ring(by)
            self._bell.ring()

    def flush(self) -> None:
        """Make everything committed durable, whatever the level."""
        self._check_free()
        try:
            with self._gate:
                self._live().sync(True)
        except lmdb.Error as error:
            raise self._fail(error) from error

    def _adopt(self) -> None:
        """Take over the size of the map that another process has set."""
        with self._gate.alone():
            self._live().set_mapsize(0)

    def _grow(self) -> None:
        """Double the map, unless another process did so already."""
        with self._gate.alone():
            env = self._live()
            size = env.info()["map_size"]
            try:
                env.set_mapsize(0)
                if env.info()["map_size"] <= size:
                    env.set_mapsize(2 * size)
            except lmdb.Error as error:
                raise StoreFull(str(self.path), f"its map of {size} bytes cannot grow: {error}") from error

    # --- waiting ---

    def wait(
        self, seen: Changes, timeout_s: float, given_up: Callable[[], bool], but: str = ""
    ) -> tuple[bool, Changes]:
        """Wait until there are other changes than `seen`, the time is up or it is given up.

        What the worker `but` has written here does not count, and does not wake.

        Returns:
            Whether there are others, and what is seen now.
        """
        end_s = time.monotonic() + timeout_s
        while True:
            rings = self._rings  # before the look: what is written after it rings again
            now = (self.read(lambda view: view.counter(CHANGES)), self._deaths)
            is_news = now[1] != seen[1] or now[0] - seen[0] != self._of(but, seen[0], now[0])
            left_s = end_s - time.monotonic()
            if is_news or left_s <= 0 or given_up():
                return is_news, now
            look_s = _LOOK_S if self._bell.listen() else _POLL_S
            with self._rung:
                if self._rings == rings and not given_up():
                    self._waiting.append(but)
                    self._rung.wait(min(left_s, look_s))
                    self._waiting.remove(but)

    def _of(self, worker: str, after: int, until: int) -> int:
        """Count the changes with numbers behind `after`, up to `until`, that a worker has written here."""
        return sum(after < number <= until for number in tuple(self._own[worker])) if worker else 0

    def interrupt(self) -> None:
        """Make those who wait look whether they should give up."""
        with self._rung:
            self._rung.notify_all()

    def _on_ring(self, by: str = "") -> None:
        with self._rung:
            self._rings += 1
            # A thread that wakes up takes the interpreter from the one that goes on: nobody is woken for nothing.
            if not by or any(but != by for but in self._waiting):
                self._rung.notify_all()

    def _on_death(self) -> None:
        # Counted as a change of this process's own: nothing was written, and yet there is something to claim.
        self._deaths += 1


_GREW = "its map was full, and has been made larger"

_CROWDED = (
    "a process with the same id has it open. Do two containers share it? "
    "Processes of one store must see each other: share the PID namespace, or run one container"
)

_environments: list[Environment] = []
_registry = threading.Lock()


def acquire(path: Path, url: str, options: Options) -> Environment:
    """Return this process's environment of a directory, opened if need be; give it back by `release`.

    LMDB allows one per process: a second one would drop the locks of the first when it is closed. So who only reads
    shares what is open for writing, and what is open for reading is opened anew for who comes to write.
    """
    with _registry:
        path = path.resolve()
        env = _found(path)
        if env is None:
            env = Environment(path, url, options)
            _environments.append(env)
        elif not options.read_only and not env.writers:
            env.reopen(path, url, options)
        elif not options.read_only and env.options != options:
            raise UnknownStore(url, f"this process has it open with other options: {env.options}")
        if options.read_only:
            env.readers += 1
        else:
            env.writers += 1
        return env


def _found(path: Path) -> Environment | None:
    """Find the environment of a directory, which may be mounted in two places."""
    for env in _environments:
        if env.path == path or _is_same(env.path / DATA, path / DATA):
            return env
    return None


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def release(env: Environment, *, read_only: bool = False) -> None:
    """Give an environment back; the last one closes it, and the last one that could write leaves it to the readers."""
    with _registry:
        if read_only:
            env.readers -= 1
        else:
            env.writers -= 1
        if not env.readers and not env.writers:
            _environments.remove(env)
            env.close()
        elif not env.writers and not env.options.read_only:
            env.reopen(env.path, env.url, Options(map_size=env.options.map_size, read_only=True))


def _before_fork() -> None:
    _registry.acquire()
    for env in _environments:
        env.bar()


def _after_fork_in_parent() -> None:
    for env in _environments:
        env.unbar()
    _registry.release()


def _after_fork_in_child() -> None:
    for env in _environments:
        env.abandon()
    _registry.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
