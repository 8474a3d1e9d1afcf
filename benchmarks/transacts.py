"""Transacts per second, beside calls and beside what LMDB allows, measured in turns within one run.

    python benchmarks/transacts.py [--rounds 5] [--store DIR]

A transact adds one to a counter of its run in a table of the user's, at `full` durability. Two shapes: one run of 500
(each must wait for the one before: latency), and 200 runs of 10 (they share commits: throughput). Beside them stand
the same two shapes of calls of an activity that does nothing, and a loop of LMDB transactions of one put.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lmdb

from interp import Engine, Transaction, Workflow, activity, call, transact, workflow

_COMMITS = 300


def add_one(tx: Transaction, name: str) -> int:
    """Do the least that changes something."""
    table, key = tx.table("counters"), name.encode()
    total = int(table.get(key) or b"0") + 1
    table.put(key, str(total).encode())
    return total


@workflow
def count_in_table(name: str, steps: int) -> Workflow[int]:
    """Add one so many times, one after the other."""
    total = 0
    for _ in range(steps):
        total = yield from transact(add_one, name)
    return total


@activity
def one_more(number: int) -> int:
    """Do the least that an activity can do."""
    return number + 1


@workflow
def count_by_calls(name: str, steps: int) -> Workflow[int]:
    """Call `one_more` so many times, one after the other."""
    total = 0
    for _ in range(steps):
        total = yield from call(one_more, total)
    return total


def lmdb_commit(directory: Path) -> float:
    """Return the seconds of one LMDB transaction of one put, with full sync."""
    with lmdb.open(str(directory / "ruler"), map_size=1 << 30) as env:
        begin = time.perf_counter()
        for number in range(_COMMITS):
            with env.begin(write=True) as txn:
                txn.put(number.to_bytes(8, "big"), b"x" * 120)
        return (time.perf_counter() - begin) / _COMMITS


def steps(directory: Path, counting: Callable[[str, int], Workflow[int]], runs: int, length: int) -> float:
    """Return the seconds from the start of the first run to the result of the last, per step."""
    with Engine(f"lmdb://{directory}/journal") as engine:
        engine.start(counting, "warm-up", 3, id="warm-up").result()
        wanted = [(f"run-{number}", (f"run-{number}", length)) for number in range(runs)]
        begin = time.perf_counter()
        handles = engine.start_many(counting, wanted)
        results = [handle.result() for handle in handles]
        elapsed = time.perf_counter() - begin
    assert results == [length] * runs, results
    return elapsed / (runs * length)


def main() -> None:
    """Measure in turns, and print medians and spreads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", type=Path, default=Path.cwd(), help="where to make a temporary directory")
    options = parser.parse_args()
    shapes: dict[str, Callable[[Path], float]] = {
        "LMDB commit": lmdb_commit,
        "transact, 1 x 500": lambda directory: steps(directory, count_in_table, 1, 500),
        "call, 1 x 500": lambda directory: steps(directory, count_by_calls, 1, 500),
        "transact, 200 x 10": lambda directory: steps(directory, count_in_table, 200, 10),
        "call, 200 x 10": lambda directory: steps(directory, count_by_calls, 200, 10),
    }
    times: dict[str, list[float]] = {name: [] for name in shapes}
    for _ in range(options.rounds):
        for name, measure in shapes.items():
            directory = Path(tempfile.mkdtemp(prefix="interp-bench-", dir=options.store)).resolve()
            try:
                times[name].append(measure(directory))
            finally:
                shutil.rmtree(directory)
    print(f"{'shape':<22}{'us each':>10}{'min':>9}{'max':>9}{'per second':>12}")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(
            f"{name:<22}{middle * 1e6:>10.1f}{min(seconds) * 1e6:>9.1f}{max(seconds) * 1e6:>9.1f}{1 / middle:>12,.0f}"
        )


if __name__ == "__main__":
    main()
