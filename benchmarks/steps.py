"""Durable steps per second, beside what the disk allows, measured in turns within one run.

    python benchmarks/steps.py [--rounds 5] [--store DIR]

A step is one call of an activity that does nothing, with its result recorded at `full` durability. Two shapes: one run
of 1,000 steps (each must wait for the one before: latency), and 200 runs of 10 steps (they share commits: throughput).
The second also with its values encrypted, and both with transacts, each of which adds one to a counter of its run in a
table of the user's, instead of calls. The rulers are a loop of `write + fdatasync` of 4 KiB on the same file
system, and one of LMDB transactions of one put.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# Run as a program, this finds its neighbours, too.
sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.limits import lmdb_commit, raw_sync
from interp import (
    Encrypted,
    Engine,
    PayloadCodec,
    Transaction,
    Workflow,
    activity,
    call,
    run_info,
    transact,
    workflow,
)


@activity
def increment(number: int) -> int:
    """Do the least that an activity can do."""
    return number + 1


@workflow
def count(steps: int) -> Workflow[int]:
    """Call `increment` so many times, one after the other."""
    number = 0
    for _ in range(steps):
        number = yield from call(increment, number)
    return number


def add_one(tx: Transaction, name: str) -> int:
    """Do the least that changes something in a table."""
    table, key = tx.table("counters"), name.encode()
    total = int(table.get(key) or b"0") + 1
    table.put(key, str(total).encode())
    return total


@workflow
def count_in_table(steps: int) -> Workflow[int]:
    """Add one so many times, one after the other."""
    name = (yield from run_info()).id
    total = 0
    for _ in range(steps):
        total = yield from transact(add_one, name)
    return total


def steps(
    directory: Path,
    runs: int,
    length: int,
    codec: PayloadCodec | None = None,
    counting: Callable[[int], Workflow[int]] = count,
) -> float:
    """Return the seconds from the start of the first run to the result of the last, per step."""
    with Engine(f"lmdb://{directory}/{runs}x{length}", codec=codec) as engine:
        engine.start(counting, 3, id="warm-up").result()
        wanted = [(f"run-{number}", (length,)) for number in range(runs)]
        begin = time.perf_counter()
        handles = engine.start_many(counting, wanted)
        results = [handle.result() for handle in handles]
        elapsed = time.perf_counter() - begin
    assert results == [length] * runs, results
    return elapsed / (runs * length)


def main() -> None:
    """Measure in turns, and print medians, spreads and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", type=Path, default=Path.cwd(), help="where to make a temporary directory")
    options = parser.parse_args()
    shapes: dict[str, Callable[[Path], float]] = {
        "write + fdatasync": raw_sync,
        "LMDB commit": lmdb_commit,
        "1 run x 1,000": lambda directory: steps(directory, 1, 1_000),
        "200 runs x 10": lambda directory: steps(directory, 200, 10),
        "200 x 10, encrypted": lambda directory: steps(directory, 200, 10, Encrypted(Encrypted.new_key())),
        "1 x 1,000 transacts": lambda directory: steps(directory, 1, 1_000, counting=count_in_table),
        "200 x 10 transacts": lambda directory: steps(directory, 200, 10, counting=count_in_table),
    }
    times: dict[str, list[float]] = {name: [] for name in shapes}
    for _ in range(options.rounds):
        for name, measure in shapes.items():
            directory = Path(tempfile.mkdtemp(prefix="interp-bench-", dir=options.store)).resolve()
            try:
                times[name].append(measure(directory))
            finally:
                shutil.rmtree(directory)
    report(times)


def report(times: dict[str, list[float]]) -> None:
    """Print the table."""
    print(f"{'shape':<20}{'us each':>10}{'min':>9}{'max':>9}{'per second':>12}{'in syncs':>10}{'in commits':>12}")
    sync, commit = (statistics.median(times[name]) for name in ("write + fdatasync", "LMDB commit"))
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(
            f"{name:<20}{middle * 1e6:>10.1f}{min(seconds) * 1e6:>9.1f}{max(seconds) * 1e6:>9.1f}"
            f"{1 / middle:>12,.0f}{middle / sync:>10.2f}{middle / commit:>12.2f}"
        )


if __name__ == "__main__":
    main()
