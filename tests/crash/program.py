"""The program that the crash tests kill: runs whose every effect, and every value that they see, leaves a line.

    python -m tests.crash.program URL LOG RESULTS WORKFLOW RUN_ID...

A line is appended to LOG by one `write`, so that it is there or not, whatever happens to the process afterwards.
"""

import itertools
import json
import os
import sys
import threading
import time
import zlib
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from interp import (
    Engine,
    Retry,
    Run,
    Saga,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    current_call,
    gather,
    map_,
    race,
    run_info,
    sleep,
    timeout,
    workflow,
)
from interp.errors import EngineClosed, RunEnded
from interp.runtime import open_store

STAGES = 25
SIGNALS = 9
STEPS = 50
LEGS = 15

_nonces = itertools.count()
_log = -1


def write(*words: object) -> None:
    """Append a line to the log; nothing where there is none, as in a replay by the test."""
    if _log >= 0:
        os.write(_log, " ".join(map(str, words)).encode() + b"\n")


def perform(label: str, longest_ms: int) -> list[str]:
    """Leave the lines of an effect; what it returns tells which execution returned it."""
    info = current_call()
    write("begin", info.run_id, info.command_id, info.attempt, label, os.getpid())
    chance = zlib.crc32(label.encode())
    time.sleep(chance % (longest_ms + 1) / 1_000)
    if chance % 7 == 0 and info.attempt == 1:
        raise OSError("a fault that a retry mends")
    write("end", info.run_id, info.command_id, info.attempt, label, os.getpid())
    return [f"value of {label}", f"{os.getpid()}-{next(_nonces)}"]


@activity(retry=Retry(initial=timedelta(milliseconds=2)))
def effect(label: str) -> list[str]:
    return perform(label, 8)


@activity(retry=Retry(initial=timedelta(milliseconds=2)))
async def quick_effect(label: str) -> list[str]:
    return perform(label, 0)


def seen(run_id: str, label: str, value: list[str]) -> str:
    """Leave a line of what the workflow was given, live or in a replay; returns the part that is always the same."""
    write("seen", run_id, label, value[1])
    return value[0]


@workflow
def killed_long(stages: int) -> Workflow[list[Any]]:
    """More than 200 commands of every kind that waits."""
    run_id = (yield from run_info()).id
    values: list[Any] = []
    for stage in range(stages):
        value = yield from call(effect, f"{stage}-call")
        values.append(seen(run_id, f"{stage}-call", value))
        yield annotate(stage=stage)
        labels = [f"{stage}-gather{n}" for n in range(3)]
        gathered = yield from gather(*[call(effect, label) for label in labels])
        values += [seen(run_id, label, value) for label, value in zip(labels, gathered, strict=True)]
        yield sleep(timedelta(milliseconds=1))
        if stage * SIGNALS // stages > (stage - 1) * SIGNALS // stages:
            values.append((yield from await_signal("number", int)))
        _, won = yield from race(call(quick_effect, f"{stage}-race"), sleep(timedelta(hours=1)))
        values.append(won[0] if won else None)
    return values


@workflow
def killed_in_a_crowd(steps: int) -> Workflow[list[str]]:
    """A chain of calls, short enough that a hundred of them commit together."""
    run_id = (yield from run_info()).id
    values: list[str] = []
    for step in range(steps):
        value = yield from call(quick_effect, f"{step}")
        values.append(seen(run_id, f"{step}", value))
    return values


class SoldOut(Exception):
    """Why a trip is undone."""


@activity(raises=SoldOut)
def book_last(label: str) -> None:
    raise SoldOut(label)


def booking(saga: Saga, run_id: str, legs: int) -> Workflow[None]:
    """Book leg after leg, then much at once, and fail in the end."""
    for leg in range(legs):
        value = yield from timeout(timedelta(hours=1), call(effect, f"{leg}-book"))
        saga.undo(call(effect, seen(run_id, f"{leg}-book", value).removeprefix("value of ") + "-undo"))
    extras = yield from map_(effect, [f"extra{n}" for n in range(legs)], limit=3, return_errors=True)
    assert all(isinstance(value, list) for value in extras)
    yield from call(book_last, "car")


@workflow
def killed_trip(legs: int) -> Workflow[str]:
    """A saga that fails, and is killed while it does and undoes."""
    run_id = (yield from run_info()).id
    try:
        yield from Saga.run(booking, run_id, legs)
    except SoldOut as sold_out:
        return f"no {sold_out}"
    return "unreached"


def tell_forever(runs: list[Run[Any]]) -> None:
    """Send signals that nobody awaits, from within, and leave a line of each that was acknowledged."""
    first = os.getpid() * 1_000_000
    for n in itertools.count(first):
        for run in runs:
            with suppress(RunEnded, EngineClosed):
                run.signal("own", n)
                write("told", run.id, "own", n)
        time.sleep(0.005)


WORKFLOWS = {
    "killed_long": (killed_long, STAGES),
    "killed_in_a_crowd": (killed_in_a_crowd, STEPS),
    "killed_trip": (killed_trip, LEGS),
}


def main() -> None:
    global _log  # noqa: PLW0603  one log per process, opened when it becomes one
    url, log, results, name, *run_ids = sys.argv[1:]
    _log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    function, size = WORKFLOWS[name]
    store = open_store(url)
    commit = store.commit

    def announced(*args: Any) -> Any:
        """Tell the test that a commit begins: the moment to kill."""
        os.write(sys.stdout.fileno(), b"c")
        return commit(*args)

    setattr(store, "commit", announced)  # noqa: B010  an attribute that type checkers take for a method
    with Engine(store, poison_after=None) as engine:  # killed many times on purpose, perhaps before any progress
        runs = engine.start_many(function, [(run_id, (size,)) for run_id in run_ids])
        os.write(sys.stdout.fileno(), b"r")
        threading.Thread(target=tell_forever, args=(runs[:3],), daemon=True).start()
        values = {run.id: run.result() for run in runs}
    store.close()
    own = Path(f"{results}.{os.getpid()}")
    own.write_text(json.dumps(values))
    own.replace(results)  # another process with the same runs may write or be read at this moment


if __name__ == "__main__":
    main()
