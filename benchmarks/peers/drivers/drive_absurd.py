"""Drives Absurd, whose engine is stored procedures of PostgreSQL: the place is the URL of the database."""

from __future__ import annotations

import os
import threading
import time

import psycopg
from absurd_sdk import Absurd
from driving import (
    STEPS,
    Numbers,
    anonymous_kib,
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

# A worker polls for work, each 250 ms by default.
_POLL_S = 0.01

# How many tasks of a worker run at once; more made it slower here.
_CONCURRENCY = 16

_KILLED_CLAIM_S = 5
"""How long a killed worker keeps its tasks; time that passes before the measurement begins."""


class Subject:
    """A client that starts tasks, and a worker with connections of its own."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.client = Absurd(place, queue_name="bench")
        self.client.create_queue("bench")
        self.inside: list[float] = []
        self.at_gate = 0

    def work(self, concurrency: int = _CONCURRENCY, claim_s: int = 120) -> None:
        worker = Absurd(self.place, queue_name="bench")
        for task in (self.count, self.gated, self.long, self.waiting):
            worker.register_task(task.__name__)(task)
        options = {"concurrency": concurrency, "claim_timeout": claim_s, "poll_interval": _POLL_S}
        threading.Thread(target=worker.start_worker, kwargs=options, daemon=True).start()

    def start(self, name: str, **params: object) -> str:
        return self.client.spawn(name, params, queue="bench")["task_id"]

    def result(self, task: str):
        """Look often: waiting for a result polls, too, at intervals that grow."""
        while True:
            snapshot = self.client.fetch_task_result(task)
            if snapshot is not None and snapshot.state in ("completed", "failed", "cancelled"):
                assert snapshot.state == "completed", snapshot
                return snapshot.result
            time.sleep(0.002)

    def do(self, name: str, **params: object):
        return self.result(self.start(name, **params))

    def ended(self) -> int:
        with psycopg.connect(self.place) as connection:
            (number,) = connection.execute("select count(*) from absurd.t_bench where state = 'completed'").fetchone()
        return number

    # The tasks.

    def count(self, params, context) -> int:
        number = 0
        for _ in range(params["steps"]):
            number = context.step("increment", lambda number=number: number + 1)
        return number

    def gated(self, params, context) -> int:
        number = 0
        for step in (self._increment, self._increment, self._gate, self._increment, self._increment):
            number = context.step("step", lambda number=number, step=step: step(number))
        return number

    def long(self, params, context) -> int:
        begin = time.perf_counter()
        number = 0
        for _ in range(params["steps"]):
            number = context.step("increment", lambda number=number: number + 1)
        self.inside.append(time.perf_counter() - begin)
        return context.step("gate", lambda: self._gate(number))

    def waiting(self, params, context) -> float:
        context.await_event(params["event"])
        return context.step("clock", time.monotonic)

    def _increment(self, number: int) -> int:
        return number + 1

    def _gate(self, number: int) -> int:
        self.at_gate += 1
        while is_blocking():
            time.sleep(60)
        return number + 1


def _disk(place: str) -> dict[str, int]:
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("checkpoint")
        (disk,) = connection.execute("select pg_database_size(current_database())").fetchone()
        (log,) = connection.execute("select pg_current_wal_lsn() - '0/0'::pg_lsn").fetchone()
    return {"disk": int(disk), "log": int(log)}


def one_run(steps: int, place: str) -> Numbers:
    subject = Subject(place)
    subject.work()
    subject.do("count", steps=3)
    return per_second(steps, timed(lambda: subject.do("count", steps=steps), steps))


def many_runs(runs: int, place: str) -> Numbers:
    subject = Subject(place)
    subject.work()
    subject.do("count", steps=3)
    before = _disk(place)

    def all_of_them() -> None:
        for _ in range(runs):
            subject.start("count", steps=STEPS)
        while subject.ended() < runs + 1:
            time.sleep(0.005)

    seconds = timed(all_of_them)
    after = _disk(place)
    each = {f"{name}_bytes": (after[name] - before[name]) / (runs * STEPS) for name in after}
    return {**per_second(runs * STEPS, seconds), **each}


def latency(times: int, place: str) -> Numbers:
    subject = Subject(place)
    subject.work()
    return latencies(times, lambda: subject.do("count", steps=1))


def signal(times: int, place: str) -> Numbers:
    subject = Subject(place)
    subject.work()
    tasks = {}

    def start(name: str) -> None:
        tasks[name] = subject.start("waiting", event=name)

    return signals(times, place, start, lambda name: subject.result(tasks[name]))


def send(times: int, place: str) -> Numbers:
    client = Absurd(place, queue_name="bench")
    return serve(lambda name: client.emit_event(name, 1))


def recovery_setup(runs: int, place: str) -> Numbers:
    subject = Subject(place)
    for _ in range(runs):
        subject.start("gated")
    subject.work(concurrency=runs, claim_s=_KILLED_CLAIM_S)
    while subject.at_gate < runs:
        time.sleep(0.02)
    # Tasks are taken over when their claim has run out: it is given the time to do so before the measurement.
    wait_to_be_killed()
    return {}


def recovery(runs: int, place: str) -> Numbers:
    time.sleep(_KILLED_CLAIM_S + 1)
    begin = time.perf_counter()
    subject = Subject(place)
    subject.work()
    while subject.ended() < runs:
        time.sleep(0.02)
    return per_second(runs, time.perf_counter() - begin)


def replay_setup(steps: int, place: str) -> Numbers:
    subject = Subject(place)
    subject.start("long", steps=steps)
    subject.work(concurrency=1, claim_s=_KILLED_CLAIM_S)
    while not subject.at_gate:
        time.sleep(0.02)
    wait_to_be_killed()
    return {}


def replay(steps: int, place: str) -> Numbers:
    time.sleep(_KILLED_CLAIM_S + 1)
    subject = Subject(place)
    subject.work()
    while not subject.inside:
        time.sleep(0.01)
    return per_second(steps, subject.inside[0])


def memory(runs: int, place: str) -> Numbers:
    subject = Subject(place)
    subject.work()
    subject.do("count", steps=3)
    numbers = {"idle_mib": resident_mib()}
    before = anonymous_kib()
    for number in range(runs):
        subject.start("waiting", event=f"event-{number}")
    time.sleep(5)
    numbers["evicted_kib"] = (anonymous_kib() - before) / runs
    begin = os.times()
    time.sleep(3)
    end = os.times()
    return {**numbers, "idle_cpu_percent": (end.user + end.system - begin.user - begin.system) / 3 * 100}


if __name__ == "__main__":
    main(
        {
            "one_run": one_run,
            "many_runs": many_runs,
            "latency": latency,
            "signal": signal,
            "send": send,
            "recovery_setup": recovery_setup,
            "recovery": recovery,
            "replay_setup": replay_setup,
            "replay": replay,
            "memory": memory,
        }
    )
