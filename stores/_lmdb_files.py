"""The directory of an LMDB store: what may stand in it, how it is made, and what is refused before LMDB maps a page.

LMDB trusts the file that it maps: a page beyond its end kills the process (SIGBUS). Everything that can be known from
outside is therefore checked here first.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import struct
import sys
import tempfile
import uuid
from collections.abc import Generator, Iterable
from pathlib import Path

import lmdb
from lmdb.verify import VerifyError, verify  # pyright: ignore[reportUnknownVariableType]  # it has no types

from interp.errors import (
    JournalCorrupt,
    NotAStore,
    StoreError,
    StoreFailed,
    StoreFull,
    StoreReadOnly,
    UnknownFormat,
    UnknownStore,
)
from stores._lmdb_rows import FORMAT
from stores._lmdb_tables import TABLES, Tables

__all__ = [
    "DATA",
    "LOCK",
    "LOCK_BYTES",
    "WAKE",
    "WORKERS",
    "blame",
    "blamed",
    "check_format",
    "check_length",
    "check_metas",
    "foreign",
    "prepare",
    "remote_filesystem",
]

DATA = "data.mdb"
WAKE = "wake"
WORKERS = "workers"
_NEW = ".new-"
LOCK = "lock.mdb"
_OURS = {DATA, LOCK, WAKE, WORKERS}

# Slots for some 1000 simultaneous read transactions of all processes: LMDB takes as many as the file has room for.
LOCK_BYTES = 1 << 16

# Room for the empty tables; whoever opens the store chooses the size for good.
_FIRST_MAP = 1 << 18

# Where two machines may map one file without seeing each other's writes, or locks do not hold.
_REMOTE = ("9p", "afs", "ceph", "cifs", "gpfs", "lustre", "ncpfs", "nfs", "smb")
_REMOTE_FUSE = ("gcsfuse", "glusterfs", "rclone", "s3fs", "sshfs")

# A meta page of LMDB: 16 bytes of page header, then this number.
_MAGIC = struct.pack("=I", 0xBEEFC0DE)
_MAGIC_AT = 16


def blame(place: str, error: lmdb.Error | OSError) -> StoreError:
    """Translate an error of LMDB or of the system into ours."""
    code = error.code if isinstance(error, lmdb.Error) else error.errno
    if isinstance(error, lmdb.DiskError | lmdb.MapFullError) or code in (errno.ENOSPC, errno.EDQUOT):
        return StoreFull(place, str(error))
    if isinstance(error, lmdb.ReadonlyError) or code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreReadOnly(place, str(error))
    if isinstance(error, lmdb.CorruptedError | lmdb.PageNotFoundError | lmdb.InvalidError | lmdb.NotFoundError):
        return JournalCorrupt(place, str(error))
    return StoreFailed(place, str(error))


@contextlib.contextmanager
def blamed(place: str) -> Generator[None]:
    """Translate what the block raises."""
    try:
        yield
    except (lmdb.Error, OSError) as error:
        raise blame(place, error) from error


def prepare(path: Path, url: str) -> None:
    """Make the directory a store if it is new or empty; otherwise check that LMDB may open what is there.

    Raises:
        NotAStore: Something else is there.
        JournalCorrupt: The data file is damaged.
        StoreReadOnly: It cannot be written.
        StoreFull: There is no room to create it.
        UnknownStore: The directory lies on another machine.
    """
    if path.exists() and not path.is_dir():
        raise NotAStore(str(path), "it is a file, and a store is a directory")
    with blamed(str(path)):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
        _refuse_remote(path, url)
        names = {entry.name for entry in path.iterdir()}
    for place in (path, *(path / name for name in names & _OURS)):
        if not os.access(place, os.R_OK | os.W_OK):
            raise StoreReadOnly(str(place), "this user may not write there, or it is mounted read-only")
    if DATA in names:
        check_metas(path / DATA)
    elif others := foreign(names):
        raise NotAStore(str(path), f"it holds {others}")
    with blamed(str(path)):
        if DATA not in names:
            _create(path)
        _reserve(path / LOCK)


def foreign(names: Iterable[str]) -> str:
    """Name the first entries of a directory that are no part of a store; empty if there are none."""
    found = sorted(name for name in names if name not in _OURS and not name.startswith(_NEW))
    return f"{', '.join(found[:3])}{' ...' if len(found) > 3 else ''}"


def _create(path: Path) -> None:
    """Make the data file aside and link it in when it is complete: nobody ever finds half a store."""
    for name in (WAKE, WORKERS):
        (path / name).mkdir(mode=0o700, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=_NEW, dir=path))
    try:
        env = lmdb.open(str(aside), max_dbs=TABLES, map_size=_FIRST_MAP, mode=0o600, lock=False)
        with env, env.begin(write=True) as txn:
            tables = Tables.open(env, txn, create=True)
            txn.put(b"format", FORMAT.to_bytes(4, "big"), db=tables.meta)
            txn.put(b"uuid", uuid.uuid4().bytes, db=tables.meta)
        try:
            os.link(aside / DATA, path / DATA)
        except FileExistsError:
            return  # another process was faster, and its file is as complete
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    for directory in (path, path.parent):
        _sync(directory)


def _reserve(lock: Path) -> None:
    """Make sure that the lock file lies on the disk as a whole.

    LMDB makes it with holes and writes to it through its map: on a full disk that kills the process (SIGBUS).
    """
    try:
        if lock.stat().st_blocks * 512 >= LOCK_BYTES:
            return
    except FileNotFoundError:
        with tempfile.TemporaryDirectory(prefix=_NEW, dir=lock.parent) as aside:
            new = Path(aside) / LOCK
            new.touch(mode=0o600)
            new.write_bytes(bytes(LOCK_BYTES))
            with contextlib.suppress(FileExistsError):
                os.link(new, lock)
        return
    # Closing the file drops this process's locks on it: it has none, as it is about to open the store.
    if sys.platform == "linux":
        with lock.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, LOCK_BYTES)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_metas(data: Path) -> None:
    """Check what LMDB would believe: the two pages at the head of the file."""
    with blamed(str(data)), data.open("rb") as file:
        head = file.read(2 * 65536)
    # The second page begins at the page size, a power of two that the system chooses.
    metas = [head[at + _MAGIC_AT :].startswith(_MAGIC) for at in (0, *(1 << n for n in range(9, 17)))]
    if metas[0] and any(metas[1:]):
        return
    if len(head) <= _MAGIC_AT:
        raise JournalCorrupt(str(data), f"it has {len(head)} bytes")
    if any(metas):
        raise JournalCorrupt(str(data), "one of its two head pages is missing")
    raise NotAStore(str(data), "it is not an LMDB file")


def check_format(env: lmdb.Environment, txn: lmdb.Transaction[bytes] | None, path: Path) -> None:
    """Check that an environment is a store of a format that we know.

    Args:
        env: The environment.
        txn: The transaction that handles are opened in; None to read only, where each gets one of its own.
        path: The store, for the error.

    Raises:
        NotAStore: It belongs to another program.
        UnknownFormat: It was written by another version.
    """
    try:
        meta = env.open_db(b"meta", txn, create=False)
    except lmdb.NotFoundError:
        raise NotAStore(str(path), "its LMDB data was written by another program") from None
    with contextlib.nullcontext(txn) if txn is not None else env.begin() as reading:
        found, uuid = reading.get(b"format", db=meta), reading.get(b"uuid", db=meta)
    if found is None or uuid is None:
        raise NotAStore(str(path), "its LMDB data was written by another program")
    if int.from_bytes(found, "big") != FORMAT:
        raise UnknownFormat(str(path), int.from_bytes(found, "big"), known=(FORMAT,))


def check_length(env: lmdb.Environment, data: Path) -> None:
    """Refuse a file that ends before its last page; to be called before the first transaction.

    A sound file may be shorter by pages that were allocated and freed in one transaction. Only then the whole file is
    walked, in Python and without mapping it, at some 40 MB/s.

    Raises:
        JournalCorrupt: It was cut off.
    """
    needed = (env.info()["last_pgno"] + 1) * env.stat()["psize"]
    found = data.stat().st_size
    if found >= needed:
        return
    try:
        problems: list[str] = verify(str(data), subdir=False)  # type: ignore[no-untyped-call]  # it has no types
    except VerifyError as error:
        problems = [str(error)]
    if problems:
        raise JournalCorrupt(str(data), f"it has {found} bytes and needs {needed}: {problems[0]}")


def _refuse_remote(path: Path, url: str) -> None:
    mounts = Path("/proc/self/mounts")
    if not mounts.exists():
        return
    if kind := remote_filesystem(path.resolve(), mounts.read_text(errors="surrogateescape")):
        raise UnknownStore(
            url, f"its directory lies on {kind}, where LMDB loses data; use a local disk, or postgresql: for many hosts"
        )


def remote_filesystem(path: Path, mounts: str) -> str | None:
    """Return the type of the file system of `path` if other machines share it; `mounts` is like /proc/self/mounts."""
    best, kind = "", ""
    for line in mounts.splitlines():
        _, escaped, found, *_ = line.split(" ")
        point = escaped.encode(errors="surrogateescape").decode("unicode_escape")
        if path.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, found
    return kind if kind.startswith(_REMOTE) or kind.removeprefix("fuse.").startswith(_REMOTE_FUSE) else None
