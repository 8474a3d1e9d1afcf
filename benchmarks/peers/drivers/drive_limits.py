"""Measures what the disk and Python allow, with nothing of ours or of a peer's in between."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator
from pathlib import Path

from driving import Numbers, main

sys.path.insert(0, str(Path(__file__).parents[3]))

from benchmarks.limits import lmdb_commit, raw_sync

# About what the result of a step looks like in a journal.
_RECORD = json.dumps({"index": 17, "at": 1767225600000000, "cause": {"id": "17", "result": 18}, "commands": ["18"]})
_LOOPS = 200_000


def limits(times: int, place: str) -> Numbers:
    """Measure all of them."""
    directory = Path(place)
    return {
        "fdatasync_us": raw_sync(directory, times) * 1e6,
        "lmdb_commit_us": lmdb_commit(directory, times) * 1e6,
        "generator_send_us": _sends() * 1e6,
        "json_decode_us": _decodes() * 1e6,
    }


def _sends() -> float:
    """Return the seconds of sending one result to a bare generator, which yields a number."""

    def steps() -> Generator[int, int, None]:
        number = 0
        while True:
            number = yield number

    generator = steps()
    number = next(generator)
    begin = time.perf_counter()
    for _ in range(_LOOPS):
        number = generator.send(number)
    return (time.perf_counter() - begin) / _LOOPS


def _decodes() -> float:
    """Return the seconds of decoding one record with the json of the standard library."""
    begin = time.perf_counter()
    for _ in range(_LOOPS):
        json.loads(_RECORD)
    return (time.perf_counter() - begin) / _LOOPS


if __name__ == "__main__":
    main({"limits": limits})
