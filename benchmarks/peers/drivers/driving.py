"""What every driver shares: its command line, its answers, and signals from another process. Standard library only.

A driver is a program that runs in the environment of one system, and measures one shape in a fresh process:

    python drive_dbos.py SHAPE SIZE PLACE

It prints one JSON object: the numbers by name. A shape that needs a process to be killed in between is driven in two
parts: the first prints `{"ready": true}` when it is to be killed, the second measures.

What a shape is, whatever the system:

    one_run     one workflow of SIZE steps, one after the other, from its start to its result
    many_runs   SIZE workflows of ten steps each, started together, until the last result is there
    gather      one workflow that makes SIZE steps at once, and waits for all
    latency     SIZE workflows of one step, one after the other: from start to result of each
    signal      SIZE times: another process sends a signal to a workflow that waits for it; until its next step runs
    recovery    SIZE workflows of five steps, killed with two steps recorded and the third at work, until all have ended
    replay      one workflow with SIZE recorded steps: how fast it stands again where it stood
    listing     SIZE workflows exist: how long it takes to list them
    memory      an idle worker, and SIZE workflows that wait for a signal
    imports     the library, imported by a fresh interpreter

A step takes a whole number and returns the next one, and every result is checked.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

Numbers = dict[str, float]
Shape = Callable[[int, str], Numbers]

STEPS = 10
"""How many steps each of many runs makes."""

# How long a workflow is left alone before its signal is sent, so that it certainly waits.
_SETTLE_S = 0.15

# Set in the environment of the process that is going to be killed: its third step never ends.
_BLOCKING = "BENCH_BLOCKS"


def main(shapes: Mapping[str, Shape]) -> None:
    """Measure the shape of the command line and print its numbers; ends the process without an orderly shutdown."""
    name, size, place = sys.argv[1:4]
    print(json.dumps(shapes[name](int(size), place)), flush=True)
    os._exit(0)


def wait_to_be_killed() -> None:
    """Tell the runner that everything is in place for the kill, and wait for it."""
    print(json.dumps({"ready": True}), flush=True)
    while True:
        signal.pause()


def is_blocking() -> bool:
    """Whether this process is going to be killed."""
    return os.environ.get(_BLOCKING) == "1"


def per_second(count: int, seconds: float) -> Numbers:
    """Return how many there were in a second."""
    return {"per_s": count / seconds, "seconds": seconds}


def percentiles(seconds: Iterable[float]) -> Numbers:
    """Return the median and the 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return {"p50_ms": statistics.median(ordered) * 1e3, "p99_ms": last * 1e3}


def timed(work: Callable[[], object], wanted: object = None) -> float:
    """Return how many seconds the work takes, and check what it returns."""
    begin = time.perf_counter()
    result = work()
    elapsed = time.perf_counter() - begin
    assert wanted is None or result == wanted, f"{result!r} instead of {wanted!r}"
    return elapsed


def latencies(times: int, work: Callable[[], object]) -> Numbers:
    """Do the same again and again, after a tenth of it to warm up."""
    for _ in range(max(3, times // 10)):
        work()
    return percentiles(timed(work, 1) for _ in range(times))


def signals(times: int, place: str, start: Callable[[str], object], reacted: Callable[[str], float]) -> Numbers:
    """Have another process send signals to workflows that wait, one after the other.

    Args:
        times: How many.
        place: Handed on to the process that sends.
        start: Starts the workflow of this id, which waits for its signal.
        reacted: Returns what the step after the signal returned: the value of `time.monotonic()`, which all processes
            of a machine share.
    """
    sender = _Sender(place)
    seconds = []
    for number in range(times + 3):
        name = f"signalled-{number}"
        start(name)
        time.sleep(_SETTLE_S)
        begin = sender.send(name)
        seconds.append(reacted(name) - begin)
    return percentiles(seconds[3:])


class _Sender:
    """This program in a second process, as one that sends signals."""

    def __init__(self, place: str) -> None:
        command = [sys.executable, sys.argv[0], "send", "1", place]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._read()

    def send(self, name: str) -> float:
        """Send to this run; return when it was begun."""
        assert self._process.stdin is not None
        print(name, file=self._process.stdin, flush=True)
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the process that sends signals has ended")
        return line


def serve(send: Callable[[str], object]) -> Numbers:
    """Be the process that sends signals."""
    print("ready", flush=True)
    for line in sys.stdin:
        begin = time.monotonic()
        send(line.strip())
        print(begin, flush=True)
    os._exit(0)  # nobody reads numbers of this process


def imports(*modules: str) -> Shape:
    """Return the shape that imports these; the runner starts it in a process in which nothing is imported yet."""

    def shape(size: int, place: str) -> Numbers:
        already = len(sys.modules)
        begin = time.perf_counter()
        for module in modules:
            importlib.import_module(module)
        elapsed = time.perf_counter() - begin
        return {"import_ms": elapsed * 1e3, "modules": len(sys.modules) - already, "rss_mib": resident_mib()}

    return shape


def resident_mib(pid: int | str = "self") -> float:
    """Return the memory of a process, with what it maps."""
    return _status(pid, "VmRSS") / 1024


def anonymous_kib(pid: int | str = "self") -> float:
    """Return the memory of a process that is its own: without mapped files, such as pages of a store."""
    return _status(pid, "RssAnon")


def _status(pid: int | str, field: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(field + ":")))


def disk_bytes(directory: str | Path) -> int:
    """Return how many bytes the files of a directory hold: not what was set aside for them, as RocksDB does."""
    total = 0
    for path in Path(directory).rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:  # a server cleans up while we look
            continue
    return total
