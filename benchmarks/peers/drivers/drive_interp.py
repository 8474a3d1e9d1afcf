"""Drives interp, on its default store at its default durability."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

from driving import (
    STEPS,
    Numbers,
    anonymous_kib,
    disk_bytes,
    is_blocking,
    latencies,
    main,
    per_second,
    resident_mib,
    serve,
    signals,
    timed,
    wait_to_be_killed,
)

from interp import Engine, RunFilter, Workflow, activity, await_signal, call, gather, workflow
from interp.definitions import workflow_of
from interp.events import decode_transition
from interp.replay import replay as replay_history
from interp.runtime.stores import open_store

_blocked: list[int] = []


@activity
def increment(number: int) -> int:
    """Do the least that a step can do."""
    return number + 1


@activity
async def gate(number: int) -> int:
    """Do the same, unless this process is going to be killed."""
    _blocked.append(number)
    if is_blocking():
        await asyncio.Event().wait()
    return number + 1


@activity
def clock() -> float:
    """Return when this was called."""
    return time.monotonic()


@workflow(name="bench_count")
def count(steps: int) -> Workflow[int]:
    """Take so many steps, one after the other."""
    number = 0
    for _ in range(steps):
        number = yield from call(increment, number)
    return number


@workflow(name="bench_fan")
def fan(steps: int) -> Workflow[int]:
    """Take so many steps at once."""
    results = yield from gather(*[call(increment, number) for number in range(steps)])
    return len(results)


@workflow(name="bench_gated")
def gated() -> Workflow[int]:
    """Take five steps, the third of which may be killed."""
    number = 0
    for step in (increment, increment, gate, increment, increment):
        number = yield from call(step, number)
    return number


@workflow(name="bench_waiting")
def waiting() -> Workflow[float]:
    """Wait for a signal, and tell when the step after it ran."""
    yield from await_signal("go", int)
    return (yield from call(clock))


def _url(place: str) -> str:
    return f"lmdb://{place}/store"


def one_run(steps: int, place: str) -> Numbers:
    """Measure one long run."""
    with Engine(_url(place)) as engine:
        engine.start(count, 3).result()
        return per_second(steps, timed(lambda: engine.start(count, steps).result(), steps))


def many_runs(runs: int, place: str) -> Numbers:
    """Measure many short runs, and what they leave on the disk."""
    with Engine(_url(place)) as engine:
        engine.start(count, 3).result()
        before = disk_bytes(place)

        def all_of_them() -> set[int]:
            handles = engine.start_many(count, [(f"run-{number}", (STEPS,)) for number in range(runs)])
            return {handle.result() for handle in handles}

        seconds = timed(all_of_them, {STEPS})
    return {**per_second(runs * STEPS, seconds), "disk_bytes": (disk_bytes(place) - before) / (runs * STEPS)}


def gather_all(steps: int, place: str) -> Numbers:
    """Measure one run that fans out."""
    with Engine(_url(place)) as engine:
        engine.start(fan, 3).result()
        return per_second(steps, timed(lambda: engine.start(fan, steps).result(), steps))


def latency(times: int, place: str) -> Numbers:
    """Measure runs of one step."""
    with Engine(_url(place)) as engine:
        return latencies(times, lambda: engine.start(count, 1).result())


def signal(times: int, place: str) -> Numbers:
    """Measure signals from another process."""
    with Engine(_url(place)) as engine:
        return signals(
            times, place, lambda name: engine.start(waiting, id=name), lambda name: float(engine.get(name).result())
        )


def send(times: int, place: str) -> Numbers:
    """Be the process that sends them."""
    with Engine(_url(place)) as engine:
        return serve(lambda name: engine.get(name).signal("go", 1))


def recovery_setup(runs: int, place: str) -> Numbers:
    """Bring runs to their third step."""
    with Engine(_url(place)) as engine:
        engine.start_many(gated, [(f"run-{number}", ()) for number in range(runs)])
        while len(_blocked) < runs:
            time.sleep(0.01)
        wait_to_be_killed()
    return {}


def recovery(runs: int, place: str) -> Numbers:
    """Measure from the opening of the store until all runs have ended."""

    begin = time.perf_counter()
    with Engine(_url(place)) as engine:
        results = {engine.get(f"run-{number}").result() for number in range(runs)}
        elapsed = time.perf_counter() - begin
    assert results == {5}, results
    return per_second(runs, elapsed)


def replay_setup(steps: int, place: str) -> Numbers:
    """Write the history; how fast does not matter here, so nothing is synced."""
    with Engine(_url(place) + "?durability=none") as engine:
        assert engine.start(count, 10, id="short").result() == 10
        assert engine.start(count, steps, id="long").result() == steps
    return {}


def replay(steps: int, place: str) -> Numbers:
    """Measure reading a history, decoding it, feeding it to the workflow and comparing every answer."""
    store = open_store(_url(place))

    def again(name: str) -> None:
        history = map(decode_transition, store.history(name))
        replay_history(workflow_of(count), history, run_id=name).interpreter.close()

    again("short")  # to warm up, as the others are
    return per_second(steps, timed(lambda: again("long")))


def listing_setup(runs: int, place: str) -> Numbers:
    """Start the runs that are going to be listed."""
    with Engine(_url(place) + "?durability=process") as engine:
        for first in range(0, runs, 5_000):
            engine.start_many(waiting, [(f"run-{number}", ()) for number in range(first, min(first + 5_000, runs))])
    return {}


def listing(runs: int, place: str) -> Numbers:
    """Measure listing every run of the store."""
    store = open_store(_url(place))
    return per_second(runs, timed(lambda: len(store.runs(RunFilter())), runs))


def memory(runs: int, place: str) -> Numbers:
    """Measure an idle engine, and what a run that waits adds, in memory and evicted."""
    numbers: Numbers = {}
    for kind, cache in (("evicted", 0), ("cached", runs)):
        with Engine(_url(f"{place}/{kind}"), cache=cache) as engine:
            engine.start(count, 3).result()
            numbers.setdefault("idle_mib", resident_mib())
            before = anonymous_kib()
            for first in range(0, runs, 50):  # few at once: what a burst takes for a moment is not what a run needs
                engine.start_many(waiting, [(f"run-{number}", ()) for number in range(first, min(first + 50, runs))])
            engine.start(count, 3).result()  # its turn comes after theirs: all of them wait
            time.sleep(0.5)
            numbers[f"{kind}_kib"] = (anonymous_kib() - before) / runs
            numbers.update(_idle_cpu() if kind == "cached" else {})
    return numbers


def _idle_cpu(seconds: timedelta = timedelta(seconds=3)) -> Numbers:
    begin = time.process_time()
    time.sleep(seconds.total_seconds())
    return {"idle_cpu_percent": (time.process_time() - begin) / seconds.total_seconds() * 100}


if __name__ == "__main__":
    main(
        {
            "one_run": one_run,
            "many_runs": many_runs,
            "gather": gather_all,
            "latency": latency,
            "signal": signal,
            "send": send,
            "recovery_setup": recovery_setup,
            "recovery": recovery,
            "replay_setup": replay_setup,
            "replay": replay,
            "listing_setup": listing_setup,
            "listing": listing,
            "memory": memory,
        }
    )
