"""What the disk allows: the rulers beside which durable steps are measured."""

from __future__ import annotations

import os
import time
from pathlib import Path

import lmdb

__all__ = ["lmdb_commit", "raw_sync"]


def raw_sync(directory: Path, times: int = 300) -> float:
    """Return the seconds of one `write + fdatasync` of 4 KiB."""
    block = b"x" * 4096
    file = os.open(directory / "raw", os.O_CREAT | os.O_WRONLY)
    os.pwrite(file, block, 0)
    os.fsync(file)
    begin = time.perf_counter()
    for _ in range(times):
        os.pwrite(file, block, 0)
        os.fdatasync(file)
    elapsed = time.perf_counter() - begin
    os.close(file)
    return elapsed / times


def lmdb_commit(directory: Path, times: int = 300) -> float:
    """Return the seconds of one LMDB transaction of one put, with full sync."""
    with lmdb.open(str(directory / "ruler"), map_size=1 << 30) as env:
        begin = time.perf_counter()
        for number in range(times):
            with env.begin(write=True) as txn:
                txn.put(number.to_bytes(8, "big"), b"x" * 120)
        return (time.perf_counter() - begin) / times
