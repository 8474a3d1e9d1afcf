"""Turn a large file into a report: files pass between activities by name, so that the journal stays small.

    python -m examples.scenarios.large_files measurements.csv

Contents are kept in a directory (it might as well be S3) under the hash of what is in them. A name never changes its
meaning, an activity that is made again writes the same file again, and a replay finds what it found before.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import interp
from interp import Workflow, activity, call, workflow

__all__ = ["Blob", "kept", "sort_lines", "sorted_file", "summarize", "take_in"]

Blob = str
"""The name of a file: the hash of its content."""


def kept(blob: Blob) -> Path:
    """Return where a file is kept."""
    return Path(os.environ.get("BLOBS", "blobs")) / blob


def _keep(parts: Iterable[bytes]) -> Blob:
    """Write a file as it comes, with no more than a part of it in memory, and name it by its content at the end."""
    digest = hashlib.sha256()
    kept("").mkdir(exist_ok=True, parents=True)
    beside = kept(f"writing-{os.getpid()}-{os.urandom(4).hex()}")
    with beside.open("wb") as file:
        for part in parts:
            digest.update(part)
            file.write(part)
        file.flush()
        os.fsync(file.fileno())  # the record of the result will be durable, so the file must be, too
    beside.replace(kept(digest.hexdigest()))  # whole or not at all, whenever the machine stops
    return digest.hexdigest()


@activity
def take_in(path: str) -> Blob:
    """Keep a copy of the file as it is now."""
    with Path(path).open("rb") as file:
        return _keep(iter(lambda: file.read(1 << 20), b""))


@activity
def sort_lines(blob: Blob) -> Blob:
    """Sort the lines of a file."""
    with kept(blob).open("rb") as file:
        return _keep(sorted(file))


@activity
def summarize(blob: Blob) -> dict[str, int]:
    """Count lines and bytes: a small result, which the journal may hold."""
    with kept(blob).open("rb") as file:
        sizes = [len(line) for line in file]
    return {"lines": len(sizes), "bytes": sum(sizes)}


@workflow
def sorted_file(path: str) -> Workflow[dict[str, int]]:
    """Take a file in, sort it, and sum it up."""
    taken = yield from call(take_in, path)
    ordered = yield from call(sort_lines, taken)
    return (yield from call(summarize, ordered))


def main() -> None:
    """Report on the file that the command line names."""
    print(interp.run(sorted_file, sys.argv[1]))


if __name__ == "__main__":
    main()
