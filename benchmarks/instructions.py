"""Machine instructions per step, counted by valgrind: the same number each time, however busy the machine is.

    python -m benchmarks.instructions [--runs 200] [--steps 10]

Where `benchmarks.counts` tells how many functions a step calls, this tells what they cost: also a lookup that is slow
in C, or an object that is made on the way. The same worker, turned by hand on one thread, runs the shape once and three
times; the difference leaves out what Python does to begin. Syncs are no instructions.

The number depends on how this Python was built: compare it with that of another commit, not of another machine.
"""

from __future__ import annotations

import argparse
import contextvars
import os
import re
import shutil
import subprocess
import sys
import tempfile

from benchmarks.counts import AT, AtOnce, steps, turned
from interp.definitions import workflow_of
from interp.errors import EngineClosed
from interp.runtime.creating import new_run
from interp.runtime.stores import open_store
from interp.runtime.worker import Worker, WorkerOptions

__all__ = ["per_step"]

# valgrind has no room for the address space that the store takes by default.
_MAP_BYTES = 1 << 28


def per_step(runs: int, length: int) -> float:
    """Return the instructions per step of so many runs at once, of so many steps each.

    Raises:
        SystemExit: There is no valgrind, or it cannot run this Python.
    """
    once, thrice = (_counted(runs, length, times) for times in (1, 3))
    return (thrice - once) / (2 * runs * length)


def _counted(runs: int, length: int, times: int) -> int:
    """Run the shape so many times in a process of its own; returns the instructions of all of it."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("valgrind is not installed; it is in the packages of most systems (apt install valgrind)")
    program = [sys.executable, "-m", "benchmarks.instructions", "--runs", str(runs), "--steps", str(length)]
    done = subprocess.run(
        [valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null", *program, "--times", str(times)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    told = re.search(r"refs:\s*([\d,]+)", done.stderr)
    if done.returncode or told is None:
        raise SystemExit(f"valgrind could not run {' '.join(program)}:\n{done.stderr[-2_000:]}")
    return int(told[1].replace(",", ""))


def _work(runs: int, length: int, times: int) -> None:
    """Run the shape so many times, with a worker that is turned by hand."""
    definition = workflow_of(steps)
    with tempfile.TemporaryDirectory(prefix="interp-instructions-") as directory:
        store = open_store(f"lmdb://{directory}/store?map_size={_MAP_BYTES}")
        worker = Worker(store, "counted", WorkerOptions(64, 1_000, lambda: AT, executor=AtOnce))
        contextvars.copy_context().run(worker.begin)
        for again in range(times):
            ids = [f"{again}-{number}" for number in range(runs)]
            news = (new_run(definition, b"[%d]" % length, run_id, start_at=None, worker="counted") for run_id in ids)
            turned(worker, news, length)
        worker.end(EngineClosed("counted"))
        store.close()


def main() -> None:
    """Count, or be what is counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="how many runs at once")
    parser.add_argument("--steps", type=int, default=10, help="how many steps each")
    parser.add_argument("--times", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.runs, options.steps) < 1:
        parser.error("--runs and --steps: must be 1 or more")
    if options.times:
        _work(options.runs, options.steps, options.times)
        return
    print(f"{options.runs} x {options.steps}: {per_step(options.runs, options.steps):,.0f} instructions per step")


if __name__ == "__main__":
    main()
