"""How long it takes to look: a large store, long runs, many runs, and a worker that is looked at while it works.

    python benchmarks/explore.py [--runs 100000] [--rounds 7] [--store DIR]

All in one process, from `Journal(...)` on, so without imports. Times are the median of the rounds. How much a look
slows a worker down is a ratio: a worker in a process of its own counts steps as fast as it can, and windows in which
nobody looks alternate with windows in which somebody does.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lmdb

from interp import Engine, Workflow, activity, call, gather, workflow
from interp.definitions import workflow_of
from interp.events import Resolved, Started, Transition, encode_transition
from interp.explore import Journal, Run
from interp.interpreter import Interpreter
from interp.runtime.live import microseconds
from interp.runtime.stores import open_store
from interp.store import Append, Batch, Create, Status

_CHUNK = 1_000
_WINDOW_S = 1.0
_BEGIN = datetime(2026, 11, 3, 9, tzinfo=UTC)


@activity
def increment(number: int) -> int:
    """Do the least that an activity can do."""
    return number + 1


@workflow
def counted(steps: int) -> Workflow[int]:
    """Call `increment` so many times, one after the other."""
    number = 0
    for _ in range(steps):
        number = yield from call(increment, number)
    return number


@workflow
def counted_in_fibers(fibers: int, steps: int) -> Workflow[list[int]]:
    """Do so in so many fibers at once."""
    return list((yield from gather(*[_fiber(steps) for _ in range(fibers)])))


def _fiber(steps: int) -> Workflow[int]:
    number = 0
    for _ in range(steps):
        number = yield from call(increment, number)
    return number


def history(flow: Callable[..., Workflow[object]], *args: int, run_id: str) -> list[Transition]:
    """Write the history of a run whose calls are answered one after the other, a second each."""
    definition = workflow_of(flow)
    started = Started(definition.name, definition.arguments.encode(args, {}), bytes(16))
    interpreter = Interpreter(definition, started, run_id)
    step = interpreter.start(_BEGIN)
    records = tuple(issued.record for issued in step.commands)
    written = [Transition(0, _BEGIN, started, records, step.outcome)]
    waiting = [issued.id for issued in step.commands]
    for command_id in waiting:  # it grows
        at = _BEGIN + timedelta(seconds=len(written))
        cause = Resolved(command_id, b"1", 1, at - timedelta(seconds=0.5))
        step = interpreter.feed(cause, at)
        records = tuple(issued.record for issued in step.commands)
        written.append(Transition(len(written), at, cause, records, step.outcome))
        waiting += [issued.id for issued in step.commands]
    return written


def keep(url: str, run_id: str, flow: Callable[..., Workflow[object]], records: list[Transition], copies: int) -> None:
    """Write a history into a store, as so many runs."""
    store = open_store(url)
    encoded = [encode_transition(each) for each in records]
    status = Status.COMPLETED if records[-1].outcome else Status.RUNNING
    name = workflow_of(flow).name
    first, last = microseconds(records[0].at), microseconds(records[-1].at)
    for begin in range(0, copies, _CHUNK):
        ids = [run_id if copies == 1 else f"{run_id}-{number}" for number in range(begin, min(begin + _CHUNK, copies))]
        creates = [Create(each, name, b"", b"", worker="bench") for each in ids]
        appends = [Append(each, 1, 0, encoded, status, None, last, release=True) for each in ids]
        refused = store.commit(Batch(creates=creates, appends=appends), first)
        assert not refused, refused
    store.close()


def timed(work: Callable[[], object], rounds: int) -> float:
    """Return the median of the seconds that it takes."""
    taken: list[float] = []
    for _ in range(rounds):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def tell(what: str, seconds: float, more: str = "") -> None:
    """Print one line."""
    print(f"{what:<58}{seconds * 1e3:>10,.1f} ms  {more}", flush=True)


def measure_list(url: str, runs: int, rounds: int) -> None:
    """Open a store of many runs and list the newest."""

    def look() -> str:
        with Journal(url) as journal:
            return journal.runs(limit=50).html()

    tell(f"open a store of {runs:,} runs, list the newest 50, as HTML", timed(look, rounds))
    with Journal(url) as journal:
        tell("  of it: list", timed(lambda: journal.runs(limit=50), rounds))
        commands = journal.commands(limit=1_000)
        tell(
            "commands of 1,000 runs as a frame",
            timed(lambda: journal.commands(limit=1_000), rounds),
            f"{len(commands):,} rows",
        )


def measure_run(url: str, run_id: str, what: str, rounds: int) -> None:
    """Show a long run, and stand at its records."""
    with Journal(url) as journal:
        run = journal[run_id]
        size = len(run.html())
        told = f"{len(run.history):,} records"

        def show() -> str:
            return journal[run_id].html()

        tell(f"{what}: read", timed(lambda: journal[run_id], rounds), told)
        tell(f"{what}: read and shown as HTML", timed(show, rounds), f"{size / 1e3:,.0f} kB")
        size = len(run.timeline().html())
        tell(f"{what}: its timeline", timed(lambda: run.timeline().html(), rounds), f"{size / 1e3:,.0f} kB")
        last = len(run.history) - 1
        for index in (0, last // 2, last):
            taken: list[float] = []
            for _ in range(rounds):
                fresh = journal[run_id]
                begin = time.perf_counter()
                fresh.at(index).html()
                taken.append(time.perf_counter() - begin)
            tell(f"{what}: stand at record {index:,}", statistics.median(taken))


def work(url: str) -> None:
    """Count steps for ever, in 100 runs at once, and say how many when asked."""
    with Engine(url) as engine:
        handles = engine.start_many(counted, [(f"busy-{number}", (1_000_000,)) for number in range(100)])
        assert handles
        print("at work", flush=True)
        for _ in sys.stdin:
            print(_transactions(url), flush=True)


def _transactions(url: str) -> int:
    """Return how many records the runs have: what the worker has done."""
    store = open_store(url)
    try:
        rows = [store.run(f"busy-{number}") for number in range(100)]
        return sum(row.length for row in rows if row is not None)
    finally:
        store.close()


def read_run(journal: Journal) -> Run:
    """Read one of the runs that are at work."""
    return journal["busy-1"]


def measure_beside(directory: Path, rounds: int) -> None:
    """Look at a store whose worker is at full load, in every other window."""
    url = f"lmdb://{directory}/busy"
    command = [sys.executable, __file__, "--work", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdout.readline()
        time.sleep(_WINDOW_S)

        def done() -> int:
            assert worker.stdin is not None
            assert worker.stdout is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
            return int(worker.stdout.readline())

        def read() -> None:
            journal.runs(limit=50)
            read_run(journal)

        def draw() -> None:
            journal.runs(limit=50).html()
            read_run(journal).html()

        looks = {"read once a second": read, "drawn once a second": draw, "read without a pause": read}
        speeds: dict[str, list[float]] = {name: [] for name in ("alone", *looks)}
        with Journal(url) as journal:
            for number in range(4 * rounds):
                order = [*speeds.items()]
                for how, found in order if number % 2 else reversed(order):
                    begin, before = time.perf_counter(), done()
                    end = begin + _WINDOW_S
                    if how in looks:
                        looks[how]()
                    while how == "read without a pause" and time.perf_counter() < end:
                        read()
                    time.sleep(max(end - time.perf_counter(), 0))
                    found.append((done() - before) / (time.perf_counter() - begin))
        worker.kill()
    for how, found in speeds.items():
        ratios = [each / alone for each, alone in zip(found, speeds["alone"], strict=True)]
        slower = f"{1 - statistics.median(ratios):>7.1%} slower" if how != "alone" else ""
        print(f"a worker at full load, {how:<22}{statistics.median(found):>10,.0f} steps/s {slower}", flush=True)


def main() -> None:
    """Make the stores, and look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--store", type=Path, default=None, help="where to make a temporary directory")
    parser.add_argument("--work", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work is not None:
        work(options.work)
        return
    directory = Path(tempfile.mkdtemp(prefix="interp-bench-", dir=options.store)).resolve()
    print(f"LMDB {'.'.join(map(str, lmdb.version()))}, Python {sys.version.split()[0]}")
    try:
        many, long = f"lmdb://{directory}/many?durability=none", f"lmdb://{directory}/long?durability=none"
        keep(many, "run", counted, history(counted, 3, run_id="run"), options.runs)
        measure_list(many, options.runs, options.rounds)
        keep(long, "long", counted, history(counted, 10_000, run_id="long"), 1)
        measure_run(long, "long", "10,000 commands", options.rounds)
        keep(long, "wide", counted_in_fibers, history(counted_in_fibers, 3_000, 3, run_id="wide"), 1)
        measure_run(long, "wide", "3,000 fibers", options.rounds)
        measure_beside(directory, options.rounds)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
