"""Opening a store's directory to read it: nothing is made and nothing is written, so a copy or a backup will do too.

Beside a live store LMDB's lock file keeps the pages that a reader looks at from being used again. Where that file is
missing or cannot be written to (a backup, a read-only mount) a reader looks without it, and compares afterwards whether
what it saw can have been overwritten meanwhile. See docs/decisions/0033.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import lmdb

from interp.errors import NotAStore, StoreFailed, UnknownStore
from stores._lmdb_files import DATA, LOCK, LOCK_BYTES, blamed, check_format, check_metas, foreign
from stores._lmdb_tables import Tables

__all__ = ["check_readable", "file_at", "may_lock", "tables_to_read", "unlocked"]

T = TypeVar("T")

# A writer uses a page again two commits after the one that gave it up (mdb.c: a page freed by transaction n is taken
# by n + 2 at the soonest, and n is later than what the reader sees). So one commit more than was seen does no harm.
_HARMLESS = 1

# How often a question is asked again that commits have overtaken.
_TRIES = 64


def check_readable(path: Path, url: str) -> None:
    """Check that there is a store's data file that LMDB may open.

    Raises:
        UnknownStore: There is nothing, or this user may not read it.
        NotAStore: Something else is there.
        JournalCorrupt: The data file is damaged.
    """
    if not path.exists():
        raise UnknownStore(url, "there is no such directory")
    if not path.is_dir():
        raise NotAStore(str(path), "it is a file, and a store is a directory")
    for place, needed in ((path, os.R_OK | os.X_OK), (path / DATA, os.R_OK)):
        if place.exists() and not os.access(place, needed):
            raise UnknownStore(url, f"this user may not read {place}")
    with blamed(str(path)):
        if not (path / DATA).exists():
            others = foreign(entry.name for entry in path.iterdir())
            raise NotAStore(str(path), f"it holds {others}" if others else f"it has no file {DATA}")
    check_metas(path / DATA)


def file_at(path: Path) -> tuple[int, int] | None:
    """Return which data file lies in a directory now; None for none, when one that is open can be read still."""
    try:
        found = (path / DATA).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def may_lock(path: Path) -> bool:
    """Whether LMDB's lock file is there and can be used; it is not made, and never opened here."""
    lock = path / LOCK
    with contextlib.suppress(OSError):
        found = lock.stat()
        # LMDB writes to the file through its map: a hole in it on a full disk would kill the process (SIGBUS).
        whole = found.st_blocks * 512 >= found.st_size or _room(path) >= LOCK_BYTES
        return lock.is_file() and whole and os.access(lock, os.R_OK | os.W_OK)
    return False


def _room(path: Path) -> int:
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize


def tables_to_read(env: lmdb.Environment, path: Path) -> Tables:
    """Check that the environment is a store of a format that we know, and open its tables; younger ones may be missing.

    Raises:
        NotAStore: It belongs to another program.
        UnknownFormat: It was written by another version.
        lmdb.Error: It is damaged.
    """
    check_format(env, None, path)
    return Tables.open_to_read(env)


def unlocked(env: lmdb.Environment, ask: Callable[[lmdb.Transaction[bytes]], T], place: str) -> T:
    """Ask a question without LMDB's locks, again when a writer may have overwritten what it looked at.

    Whatever it raises counts only if nothing was overwritten: pages that are used for something else read as damage.

    Args:
        env: The environment, opened with `lock=False`.
        ask: The question.
        place: The store, for the error.

    Raises:
        StoreFailed: Commits came too fast.
    """
    for _ in range(_TRIES):
        with env.begin() as txn:
            seen = txn.id()
            try:
                answer = ask(txn)
            except Exception:
                if _newest(env) - seen <= _HARMLESS:
                    raise
                continue
        if _newest(env) - seen <= _HARMLESS:
            return answer
    raise StoreFailed(place, _TOO_FAST)


def _newest(env: lmdb.Environment) -> int:
    with env.begin() as txn:
        return txn.id()


_TOO_FAST = (
    f"it is being written to, and its file {LOCK} cannot be used from here, which would keep what is read in place. "
    "Give this user the right to write that file, or read a copy"
)
