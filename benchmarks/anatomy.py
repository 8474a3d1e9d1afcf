"""Takes a durable step apart: how long the store's commits take, and how long what lies between them.

    python -m benchmarks.anatomy [--rounds 5] [--store DIR]

A chain of 1,000 calls in one run, with syncs and without; runs of one step, from start to result; many runs at once,
and what they leave on the disk; and replay. Beside them a loop of LMDB commits of one put, and bare loops of what
nobody can leave out (`benchmarks.floors`). What lies between two commits is ours: feeding, encoding, dispatching, the
activity. Without syncs it is faster, as no core goes to sleep meanwhile and its caches stay warm.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks import floors
from benchmarks.limits import lmdb_commit, raw_sync
from interp import Engine, Workflow, activity, call, workflow
from interp.definitions import activity_of, workflow_of
from interp.events import decode_transition
from interp.replay import replay
from interp.runtime import executors, worker
from interp.runtime.worker import Worker
from stores._lmdb_env import Environment

_STEPS = 1_000
_RUNS = 200
_RECORDS = 5_000
_SMALL = 32


@activity
def increment(number: int) -> int:
    """Do the least that an activity can do."""
    return number + 1


@workflow(name="anatomy_count")
def count(steps: int) -> Workflow[int]:
    """Take so many steps, one after the other."""
    number = 0
    for _ in range(steps):
        number = yield from call(increment, number)
    return number


@contextmanager
def _commits() -> Iterator[list[tuple[float, float]]]:
    """Note when each commit of LMDB begins and ends."""
    seen: list[tuple[float, float]] = []
    commit = Environment._commit  # pyright: ignore[reportPrivateUsage]  # what is measured

    def timed(*args: Any) -> None:
        begin = time.perf_counter()
        commit(*args)
        seen.append((begin, time.perf_counter()))

    Environment._commit = timed  # type: ignore[method-assign, assignment]  # for as long as it is measured
    try:
        yield seen
    finally:
        Environment._commit = commit  # type: ignore[method-assign]  # as it was


def chain(url: str) -> dict[str, float]:
    """Take a chain of calls apart; microseconds per step."""
    with Engine(url) as engine, _commits() as seen:
        engine.start(count, _STEPS).result()
    steps = seen[len(seen) // 10 : -2]
    between = [later - end for (_, end), (later, _) in itertools.pairwise(steps)]
    return {
        "on the clock": (seen[-1][1] - seen[0][1]) / (len(seen) - 1) * 1e6,
        "commit": statistics.median(end - begin for begin, end in steps) * 1e6,
        "between two commits": statistics.median(between) * 1e6,
    }


def one_step(url: str) -> dict[str, float]:
    """Take runs of one step apart; microseconds."""
    rows: list[tuple[float, ...]] = []
    with Engine(url) as engine, _commits() as seen:
        for _ in range(_RUNS):
            seen.clear()
            begin = time.perf_counter()
            engine.start(count, 1).result()
            end = time.perf_counter()
            if len(seen) == 2:
                (first, first_end), (last, last_end) = seen
                rows.append((first - begin, first_end - first, last - first_end, last_end - last, end - last_end))
    names = ("until its first commit", "first commit", "between", "last commit", "until the result is there")
    return {name: statistics.median(column) * 1e6 for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def at_once(url: str) -> dict[str, float]:
    """Take 200 runs of 10 steps apart; microseconds per step. All threads share one interpreter lock."""
    spent: dict[str, list[float]] = {"turns": [], "activities": []}  # several threads append to them

    def timed(where: Any, name: str, key: str, clock: Callable[[], float]) -> Callable[[], None]:
        plain = getattr(where, name)

        def measured(*args: Any) -> Any:
            begin = clock()
            try:
                return plain(*args)
            finally:
                spent[key].append(clock() - begin)

        setattr(where, name, measured)
        return lambda: setattr(where, name, plain)

    with Engine(url) as engine, _commits() as seen:
        engine.start(count, 3).result()
        undo = [
            timed(Worker, "turn", "turns", time.perf_counter),
            timed(executors, "perform", "activities", time.thread_time),
        ]
        try:
            seen.clear()
            begin, caller = time.perf_counter(), time.thread_time()
            runs = engine.start_many(count, [(f"run-{number}", (10,)) for number in range(_RUNS)])
            assert {run.result() for run in runs} == {10}
            caller, elapsed = time.thread_time() - caller, time.perf_counter() - begin
        finally:
            for each in undo:
                each()
    commits = sum(end - begin for begin, end in seen)
    parts = {
        "on the clock": elapsed,
        "turns, without their commits": sum(spent["turns"]) - commits,
        "commits": commits,
        "activities, processor": sum(spent["activities"]),
        "the caller, processor": caller,
    }
    return {name: seconds / (10 * _RUNS) * 1e6 for name, seconds in parts.items()}


def replaying(url: str) -> dict[str, float]:
    """Take replay apart; microseconds per record."""
    with Engine(url) as engine:
        run = engine.start(count, _RECORDS)
        run.result()
        records = list(engine.store.history(run.id))

    def code() -> None:
        generator = count(_RECORDS)
        sent: int | None = None
        with suppress(StopIteration):
            while True:
                _ = generator.send(sent)
                sent = (sent or 0) + 1

    whole = _best(lambda: replay(workflow_of(count), map(decode_transition, records), run_id=run.id))
    return {
        "in all": whole,
        "decoding its record": _best(lambda: [decode_transition(record) for record in records]),
        "the workflow's own code": _best(code),
        "floor: decode and compare": _best(lambda: floors.replayed(count(_RECORDS), activity_of(increment), records)),
    }


def least_at_once(place: Path) -> float:
    """Return the microseconds per step of a bare loop that does 200 runs of 10 steps."""
    place.mkdir()
    return floors.steps_at_once(place, [count(10) for _ in range(_RUNS)]) / (10 * _RUNS) * 1e6


def least_of_a_chain(place: Path) -> float:
    """Return the microseconds per step of a bare loop that does a chain."""
    place.mkdir()
    return floors.chained(place, count(_STEPS)) / _STEPS * 1e6


def _best(work: Callable[[], object]) -> float:
    times: list[float] = []
    for _ in range(3):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times) / _RECORDS * 1e6


def disk(url: str, place: Path) -> dict[str, float]:
    """Return by how many bytes per step the store grows with 200 runs of 10 steps, and with the same again."""
    with Engine(url) as engine:
        sizes = [_size(place)]
        for again in range(4):
            runs = engine.start_many(count, [(f"{again}-{number}", (10,)) for number in range(_RUNS)])
            assert {run.result() for run in runs} == {10}
            sizes.append(_size(place))
    first, *later = [(after - before) / (10 * _RUNS) for before, after in itertools.pairwise(sizes)]
    return {"the first time, bytes": first, "each time after, bytes": statistics.mean(later)}


def in_small_turns(url: str, place: Path) -> dict[str, float]:
    """Return what 200 runs of 10 steps take per step when no more than 32 ends of calls share a commit."""
    most = worker._MOST_INPUTS  # pyright: ignore[reportPrivateUsage]  # what is tried
    worker._MOST_INPUTS = _SMALL  # for as long as it is measured
    try:
        with Engine(url) as engine:
            engine.start(count, 3).result()
            before, begin = _size(place), time.perf_counter()
            runs = engine.start_many(count, [(f"run-{number}", (10,)) for number in range(_RUNS)])
            assert {run.result() for run in runs} == {10}
            elapsed = time.perf_counter() - begin
    finally:
        worker._MOST_INPUTS = most  # as it was
    steps = 10 * _RUNS
    return {"on the clock": elapsed / steps * 1e6, "disk, bytes": (_size(place) - before) / steps}


def _size(place: Path) -> int:
    return sum(path.lstat().st_size for path in place.rglob("*"))


def main() -> None:
    """Measure in turns, and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", type=Path, default=Path.cwd(), help="where to make temporary directories")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: must be 1 or more")
    if not options.store.is_dir():
        parser.error(
            f"--store {options.store}: there is no such directory; name one on the disk that is to be measured"
        )
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(prefix="interp-anatomy-", dir=options.store) as directory:
            place = Path(directory).resolve()
            parts = {
                "rulers": {
                    "write + fdatasync": raw_sync(place) * 1e6,
                    "LMDB commit": lmdb_commit(place) * 1e6,
                    "waking another thread": floors.waking() * 1e6,
                },
                "a chain, each step": {
                    **chain(f"lmdb://{place}/chain"),
                    "floor: a bare loop": least_of_a_chain(place / "bare"),
                },
                "the same without syncs": chain(f"lmdb://{place}/unsynced?durability=none"),
                "a run of one step": one_step(f"lmdb://{place}/one"),
                "200 x 10, each step": {
                    **at_once(f"lmdb://{place}/at-once"),
                    "floor: a bare loop": least_at_once(place / "floor"),
                },
                "replay, each record": replaying(f"lmdb://{place}/replay?durability=none"),
                f"200 x 10, {_SMALL} at a time": in_small_turns(f"lmdb://{place}/small", place / "small"),
                "200 x 10, disk per step": disk(f"lmdb://{place}/disk", place / "disk"),
            }
            for what, numbers in parts.items():
                for part, us in numbers.items():
                    found.setdefault((what, part), []).append(us)
    print(f"{'':<26}{'':<28}{'us':>8}{'min':>8}{'max':>8}", flush=True)
    for (what, part), values in found.items():
        print(f"{what:<26}{part:<28}{statistics.median(values):>8.1f}{min(values):>8.1f}{max(values):>8.1f}")


if __name__ == "__main__":
    main()
