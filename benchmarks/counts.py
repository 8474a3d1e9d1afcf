"""Counts per step that do not depend on the machine: what `tests/test_counts.py` keeps from growing.

    python -m benchmarks.counts                     the counts, and their bounds
    python -m benchmarks.counts --profile "1 x 200" which functions are called, and how often per step

The real worker on a real LMDB store, at full durability; but turned by hand, on one thread, with a clock that stands
still, and with activities that run at once where a thread would take them. So the same things happen in the same order
each time, however busy the machine is: threads and time would let batches, and with them all counts, vary.

Time is not measured here. A count that grows is a question, not a verdict: when the answer is that it was worth it,
raise the bound in the same commit.
"""

from __future__ import annotations

import argparse
import contextvars
import gc
import json
import math
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import CodeType, FrameType

import attrs
import lmdb

from interp import Status, Workflow, activity, call, workflow
from interp.definitions import workflow_of
from interp.errors import EngineClosed
from interp.runtime.attempts import Attempt, Deliver, perform
from interp.runtime.creating import NewRun, new_run
from interp.runtime.receipt import Receipt
from interp.runtime.requests import Start
from interp.runtime.stores import open_store
from interp.runtime.worker import Worker, WorkerOptions

__all__ = ["AT", "SHAPES", "AtOnce", "Counts", "advice", "bounds", "measure", "steps", "turned"]

AT = datetime(2026, 1, 1, tzinfo=UTC)

SHAPES: dict[str, tuple[int, int]] = {"1 x 200": (1, 200), "20 x 10": (20, 10)}
"""How many runs of how many steps each."""


@attrs.frozen
class Counts:
    """What one step costs, on average over all steps of a shape.

    Attributes:
        commits: Transactions that were committed: at full durability LMDB syncs twice for each, data and head page.
        flushes: Syncs that were asked for besides.
        record_bytes: What the journal's records take.
        pages: Pages by which the store grew.
        calls: Calls of Python functions, resumed generators included, as `sys.setprofile` tells them.
        builtins: Calls of functions in C.
    """

    commits: float
    flushes: float
    record_bytes: float
    pages: float
    calls: float
    builtins: float


# A tenth above what was measured, or one page. A count that is well below its bound is a reason to lower that.
_EVERYWHERE: dict[str, dict[str, float]] = {
    "1 x 200": {"commits": 1.12, "flushes": 0, "record_bytes": 80, "pages": 0.025},
    "20 x 10": {"commits": 0.072, "flushes": 0, "record_bytes": 84, "pages": 0.06},
}
# What is a call differs between versions of Python: from 3.12 on comprehensions are none.
_CALLS: dict[tuple[int, int], dict[str, dict[str, float]]] = {
    (3, 11): {"1 x 200": {"calls": 110, "builtins": 89}, "20 x 10": {"calls": 79, "builtins": 73}},
    (3, 12): {"1 x 200": {"calls": 107, "builtins": 89}, "20 x 10": {"calls": 79, "builtins": 73}},
    (3, 13): {"1 x 200": {"calls": 107, "builtins": 89}, "20 x 10": {"calls": 79, "builtins": 73}},
}


@activity
def increment(number: int) -> int:
    """Do the least that an activity can do."""
    return number + 1


@workflow(name="counted_steps")
def steps(length: int) -> Workflow[int]:
    """Take so many steps, one after the other."""
    number = 0
    for _ in range(length):
        number = yield from call(increment, number)
    return number


class AtOnce:
    """Runs activities at once, on the worker's thread; the worker hears of it in its next turn."""

    def __init__(self, _: int, deliver: Deliver) -> None:
        self._deliver = deliver

    def submit(self, attempts: list[Attempt]) -> None:
        """Run them; what they deliver waits for the next turn."""
        for attempt in attempts:
            if attempt.take():
                self._deliver(perform(attempt))

    def grow(self) -> bool:
        """Nothing waits, so that no room is needed."""
        return False

    def abandon(self, attempt: Attempt) -> None:
        """Nothing: it has ended before anybody could."""

    def close(self) -> None:
        """Nothing waits."""


def measure(shape: str, tell: Callable[[FrameType, str], None] | None = None) -> Counts:
    """Count what a shape costs per step, after it was run once to fill caches.

    Args:
        shape: One of `SHAPES`.
        tell: Sees each event of the profiler, too.
    """
    runs, length = SHAPES[shape]
    with tempfile.TemporaryDirectory(prefix="interp-counts-") as directory:
        path = f"{directory}/store"
        _run(path, "warm-up", runs, length, Counter(), None)
        commits, pages = _written(path)
        seen: Counter[str] = Counter()
        _run(path, "counted", runs, length, seen, tell)
        commits_after, pages_after = _written(path)
    per_step = 1 / (runs * length)
    return Counts(
        commits=(commits_after - commits) * per_step,
        flushes=seen["flush"] * per_step,
        record_bytes=seen["bytes"] * per_step,
        pages=(pages_after - pages) * per_step,
        calls=seen["call"] * per_step,
        builtins=seen["c_call"] * per_step,
    )


def _run(
    path: str,
    name: str,
    runs: int,
    length: int,
    seen: Counter[str],
    tell: Callable[[FrameType, str], None] | None,
) -> None:
    """Open the store, run a shape to its end by turns of the worker, and close it."""
    store = open_store(f"lmdb://{path}")
    worker = Worker(store, name, WorkerOptions(64, 1_000, lambda: AT, executor=AtOnce))
    ids = [f"{name}-{number}" for number in range(runs)]
    news = [new_run(workflow_of(steps), b"[%d]" % length, run_id, start_at=None, worker=name) for run_id in ids]
    flush = store.flush

    def flushed() -> None:
        seen["flush"] += 1
        flush()

    store.flush = flushed  # type: ignore[method-assign]
    # A worker sets what belongs to its thread: that must not stay with this one.
    contextvars.copy_context().run(worker.begin)
    with _profiled(seen, tell):
        turned(worker, news, length)
    worker.end(EngineClosed("counted"))
    for run_id in ids:
        row = store.run(run_id)
        assert row is not None and row.status is Status.COMPLETED, row
        seen["bytes"] += sum(map(len, store.history(run_id)))
    store.close()


def turned(worker: Worker, news: Iterable[NewRun], length: int) -> None:
    """Start runs of so many steps, and turn their worker by hand until they have ended."""
    definition = workflow_of(steps)
    for new in news:
        worker.put(Start(new.create, definition, new.started, Receipt()))
    # Each turn takes what the one before has caused: two more than there are steps begin and end the runs.
    for _ in range(length + 2):
        worker.turn()


@contextmanager
def _profiled(seen: Counter[str], tell: Callable[[FrameType, str], None] | None) -> Iterator[None]:
    """Count calls on this thread, with the garbage collector at rest: what it finds depends on what ran before."""

    def profile(frame: FrameType, event: str, argument: object) -> None:
        seen[event] += 1
        if tell is not None:
            tell(frame, event)

    gc.collect()
    gc.disable()
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(before)
        gc.enable()


def _written(path: str) -> tuple[int, int]:
    """Return how many transactions a store has seen, and how many pages it uses; nobody has it open."""
    with lmdb.open(path, readonly=True, lock=False) as env:
        info = env.info()
        return info["last_txnid"], info["last_pgno"]


def bounds(shape: str) -> dict[str, float]:
    """Return what may be at most, by count; calls only for versions of Python that were measured."""
    most = dict(_EVERYWHERE[shape])
    return {**most, **_CALLS.get(sys.version_info[:2], {}).get(shape, {})}


def advice(shape: str, count: str, found: float, most: float) -> str:
    """Say what grew, and how to look."""
    looks = {
        "commits": "A step waits for a sync more often: see what worker and store commit, and when.",
        "flushes": "Somebody flushes besides the commits.",
        "record_bytes": "Records say more than before: see interp/events.py and what the codec makes of values.",
        "pages": "The store keeps more, or in more places: see the tables in stores/_lmdb_rows.py.",
    }
    look = looks.get(count, f"What is called, and how often:  python -m benchmarks.counts --profile '{shape}'")
    return (
        f"{shape} steps: {count} per step grew to {found:.4g}, and may be {most:.4g}.\n{look}\n"
        f"If it is worth it, raise the bound in benchmarks/counts.py in the commit that needs it, and say why."
    )


def profile(shape: str) -> Iterable[tuple[float, str]]:
    """Yield the functions that a shape calls, with the calls per step, the most called first."""
    called: Counter[CodeType] = Counter()

    def tell(frame: FrameType, event: str) -> None:
        if event == "call":
            called[frame.f_code] += 1

    measure(shape, tell)
    runs, length = SHAPES[shape]
    for code, count in called.most_common():
        yield count / (runs * length), f"{code.co_qualname}  {code.co_filename}:{code.co_firstlineno}"


def main() -> None:
    """Print the counts, or a profile of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", choices=list(SHAPES), help="the functions that are called, and how often per step")
    parser.add_argument("--json", action="store_true", help="the counts of all shapes, for programs")
    options = parser.parse_args()
    if options.json:
        print(json.dumps({shape: attrs.asdict(measure(shape)) for shape in SHAPES}))
        return
    if options.profile:
        for calls, where in profile(options.profile):
            print(f"{calls:>10.3f}  {where}")
        return
    print(f"{'per step':<12}{'count':<14}{'found':>10}{'at most':>10}")
    for shape in SHAPES:
        most = bounds(shape)
        for count, found in attrs.asdict(measure(shape)).items():
            print(f"{shape:<12}{count:<14}{found:>10.4g}{most.get(count, math.nan):>10.4g}")


if __name__ == "__main__":
    main()
