"""Many sleeping runs in one LMDB store: what they cost, and how fast a worker finds the one that is due.

    python benchmarks/sleepers.py [--runs 1000000] [--store DIR]

Each run sleeps for a year. Measured are the memory of the worker, disk per run, the time to start them, the time for
a new process to open the store and be ready, and by how much a light sleeper among all of them is woken too late.
The store is written at durability `process`, which does not change what is measured but spares the disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from interp import Engine, Status, Workflow, now, sleep, workflow

_CHUNK = 5_000
_YEAR = timedelta(days=365)


@workflow
def sleeper(number: int) -> Workflow[int]:
    """Sleep for a year."""
    yield from sleep(_YEAR)
    return number


@workflow
def light_sleeper() -> Workflow[float]:
    """Sleep for a moment, and tell by how many seconds it was woken too late."""
    begin = yield from now()
    yield from sleep(timedelta(seconds=0.1))
    end = yield from now()
    return (end - begin).total_seconds() - 0.1


def resident_mib() -> float:
    """Return the memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def fill(url: str, runs: int) -> dict[str, float]:
    """Start the sleepers; tell how long that takes and what the worker's memory is then."""
    with Engine(url) as engine:
        empty = resident_mib()
        begin = time.perf_counter()
        for first in range(0, runs, _CHUNK):
            numbers = range(first, min(first + _CHUNK, runs))
            engine.start_many(sleeper, [(f"sleeper-{number}", (number,)) for number in numbers])
        elapsed = time.perf_counter() - begin
        print(f"started {runs:,} runs in {elapsed:.1f} s ({runs / elapsed:,.0f}/s)")
        memory = resident_mib()
        print(f"worker's memory {empty:.0f} MiB before, {memory:.0f} MiB with all, mapped pages included")
    return {"started_per_s": runs / elapsed, "rss_mib": memory}


def wake(url: str) -> dict[str, float]:
    """In a new process: open the store, be ready, and wake light sleepers among all the others."""
    begin = time.perf_counter()
    with Engine(url) as engine:
        engine.start(light_sleeper).result()
        ready = time.perf_counter() - begin
        print(f"a new process is ready and has woken its first sleeper after {ready:.3f} s (0.1 s of it slept)")
        late = sorted(engine.start(light_sleeper).result() for _ in range(20))
        print(f"woken too late by {late[10] * 1e3:.2f} ms (median of 20), {late[-1] * 1e3:.2f} ms at most")
        print(f"memory {resident_mib():.0f} MiB, mapped pages included")
        begin = time.perf_counter()
        waiting = sum(row.status is Status.WAITING for row in engine.runs())
        listed = time.perf_counter() - begin
        print(f"listed {waiting:,} waiting runs in {listed:.1f} s")
    return {"ready_s": ready - 0.1, "late_ms": late[10] * 1e3, "listed_s": listed}


def main() -> None:
    """Fill a store, and wake sleepers in it from another process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--store", type=Path, default=Path.cwd(), help="where to make a temporary directory")
    parser.add_argument("--json", action="store_true", help="print the numbers again at the end, for programs")
    parser.add_argument("--wake", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.wake:
        print(json.dumps(wake(options.wake)))
        return
    directory = Path(tempfile.mkdtemp(prefix="interp-sleepers-", dir=options.store)).resolve()
    url = f"lmdb://{directory}/journal?durability=process"
    try:
        numbers = fill(url, options.runs)
        data = directory / "journal" / "data.mdb"
        numbers["disk_bytes"] = data.stat().st_blocks * 512 / options.runs
        print(f"{numbers['disk_bytes']:,.0f} bytes on disk for each run", flush=True)
        waking = subprocess.run(
            [sys.executable, __file__, "--wake", url], check=True, stdout=subprocess.PIPE, text=True
        )
        *words, woken = waking.stdout.splitlines()
        print("\n".join(words))
        if options.json:
            print(json.dumps({**numbers, **json.loads(woken)}))
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
