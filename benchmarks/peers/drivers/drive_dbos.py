"""Drives DBOS Transact, on SQLite or on PostgreSQL: the place is the URL of the system database."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from pathlib import Path

# DBOS needs SQLite 3.42 or newer. Where the one of this Python is older, the one of a wheel stands in for it.
if sqlite3.sqlite_version_info < (3, 42):
    import pysqlite3
    import pysqlite3.dbapi2

    sys.modules["sqlite3"], sys.modules["sqlite3.dbapi2"] = pysqlite3, pysqlite3.dbapi2

import psycopg
from dbos import DBOS, DBOSClient, SetWorkflowID
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

_inside: list[float] = []


@DBOS.step()
def increment(number: int) -> int:
    return number + 1


@DBOS.step()
def gate(number: int) -> int:
    while is_blocking():
        time.sleep(60)
    return number + 1


@DBOS.step()
def clock() -> float:
    return time.monotonic()


@DBOS.workflow()
def count(steps: int) -> int:
    number = 0
    for _ in range(steps):
        number = increment(number)
    return number


@DBOS.step()
async def increment_async(number: int) -> int:
    return number + 1


@DBOS.workflow()
async def fan(steps: int) -> int:
    results = await asyncio.gather(*[increment_async(number) for number in range(steps)])
    return len(results)


@DBOS.workflow()
def gated() -> int:
    number = 0
    for step in (increment, increment, gate, increment, increment):
        number = step(number)
    return number


@DBOS.workflow()
def long(steps: int) -> int:
    begin = time.perf_counter()
    number = 0
    for _ in range(steps):
        number = increment(number)
    _inside.append(time.perf_counter() - begin)
    return gate(number)


@DBOS.workflow()
def waiting() -> float:
    DBOS.recv("go", timeout_seconds=3600)
    return clock()


def _launch(place: str, **options: float) -> None:
    if place.startswith("sqlite"):
        # A property of the file, which DBOS leaves as it is; writers then sync once for each transaction.
        with sqlite3_of(place) as connection:
            connection.execute("pragma journal_mode=wal")
    DBOS(
        config={
            "name": "bench",
            "system_database_url": place,
            "application_version": "1",
            "log_level": "ERROR",
            **options,
        }
    )
    DBOS.launch()


def sqlite3_of(place: str):
    return sys.modules["sqlite3"].connect(_file(place), timeout=60)


def _file(place: str) -> Path:
    return Path(place.removeprefix("sqlite:///"))


def _start(workflow, *args):
    return DBOS.start_workflow(workflow, *args)


def _execute(place: str, *statements: str):
    """Run SQL beside DBOS; return the first column of the last result."""
    if place.startswith("sqlite"):
        with sqlite3_of(place) as connection:
            for statement in statements:
                row = connection.execute(statement.replace("dbos.", "")).fetchone()
    else:
        with psycopg.connect(place, autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
                row = cursor.fetchone() if cursor.description else None
    return row and row[0]


def _disk(place: str) -> dict[str, int]:
    if place.startswith("sqlite"):
        _execute(place, "pragma wal_checkpoint(truncate)")
        return {"disk": disk_bytes(_file(place).parent)}
    _execute(place, "checkpoint")
    log = int(_execute(place, "select pg_current_wal_lsn() - '0/0'::pg_lsn"))
    return {"disk": int(_execute(place, "select pg_database_size(current_database())")), "log": log}


def one_run(steps: int, place: str) -> Numbers:
    _launch(place)
    _start(count, 3).get_result()
    return per_second(steps, timed(lambda: _start(count, steps).get_result(), steps))


def many_runs(runs: int, place: str) -> Numbers:
    _launch(place)
    _start(count, 3).get_result()
    before = _disk(place)

    def all_of_them() -> set[int]:
        handles = [_start(count, STEPS) for _ in range(runs)]
        return {handle.get_result() for handle in handles}

    seconds = timed(all_of_them, {STEPS})
    after = _disk(place)
    each = {f"{name}_bytes": (after[name] - before[name]) / (runs * STEPS) for name in after}
    return {**per_second(runs * STEPS, seconds), **each}


def gather(steps: int, place: str) -> Numbers:
    _launch(place)

    async def measured() -> float:
        handle = await DBOS.start_workflow_async(fan, 3)
        assert await handle.get_result() == 3
        begin = time.perf_counter()
        handle = await DBOS.start_workflow_async(fan, steps)
        assert await handle.get_result() == steps
        return time.perf_counter() - begin

    return per_second(steps, asyncio.run(measured()))


def latency(times: int, place: str) -> Numbers:
    _launch(place)
    return latencies(times, lambda: _start(count, 1).get_result())


def signal(times: int, place: str) -> Numbers:
    # SQLite cannot notify, so DBOS polls: once a second by default.
    _launch(place, **({"notification_listener_polling_interval_sec": 0.01} if place.startswith("sqlite") else {}))
    handles = {}

    def start(name: str) -> None:
        with SetWorkflowID(name):
            handles[name] = _start(waiting)

    return signals(times, place, start, lambda name: handles[name].get_result())


def send(times: int, place: str) -> Numbers:
    client = DBOSClient(system_database_url=place)
    return serve(lambda name: client.send(name, 1, "go"))


def recovery_setup(runs: int, place: str) -> Numbers:
    _launch(place)
    for number in range(runs):
        with SetWorkflowID(f"run-{number}"):
            _start(gated)
    while _execute(place, "select count(*) from dbos.operation_outputs") < 2 * runs:
        time.sleep(0.05)
    wait_to_be_killed()
    return {}


def recovery(runs: int, place: str) -> Numbers:
    begin = time.perf_counter()
    _launch(place)
    while _execute(place, "select count(*) from dbos.workflow_status where status = 'SUCCESS'") < runs:
        time.sleep(0.02)
    return per_second(runs, time.perf_counter() - begin)


def replay_setup(steps: int, place: str) -> Numbers:
    _launch(place)
    with SetWorkflowID("long"):
        _start(long, steps)
    while _execute(place, "select count(*) from dbos.operation_outputs") < steps:
        time.sleep(0.05)
    wait_to_be_killed()
    return {}


def replay(steps: int, place: str) -> Numbers:
    _launch(place)
    while not _inside:
        time.sleep(0.01)
    return per_second(steps, _inside[0])


def listing_setup(runs: int, place: str) -> Numbers:
    """Copy the row of a run that has ended: starting so many would take an hour."""
    _launch(place)
    with SetWorkflowID("first"):
        _start(count, 1).get_result()
    if place.startswith("sqlite"):
        with sqlite3_of(place) as connection:
            names = [row[1] for row in connection.execute("pragma table_info(workflow_status)")]
    else:
        with psycopg.connect(place) as connection:
            names = [column.name for column in connection.execute("select * from dbos.workflow_status").description]
    others = ", ".join(name for name in names if name != "workflow_uuid")
    numbers = f"with recursive n(i) as (select 2 union all select i + 1 from n where i < {runs})"
    copy = (
        f"insert into dbos.workflow_status (workflow_uuid, {others}) {numbers} "
        f"select 'run-' || i, {others} from dbos.workflow_status, n where workflow_uuid = 'first'"
    )
    if not place.startswith("sqlite"):
        copy = copy.replace(numbers, "").replace(", n where", f", generate_series(2, {runs}) as n(i) where")
    _execute(place, copy)
    return {}


def listing(runs: int, place: str) -> Numbers:
    _launch(place)
    seconds = timed(lambda: len(DBOS.list_workflows(load_input=False, load_output=False)), runs)
    return per_second(runs, seconds)


def memory(runs: int, place: str) -> Numbers:
    _launch(place)
    _start(count, 3).get_result()
    numbers = {"idle_mib": resident_mib()}
    before = anonymous_kib()
    for _ in range(runs):
        _start(waiting)
    time.sleep(3)
    numbers["cached_kib"] = (anonymous_kib() - before) / runs
    begin = time.process_time()
    time.sleep(3)
    return {**numbers, "idle_cpu_percent": (time.process_time() - begin) / 3 * 100}


if __name__ == "__main__":
    main(
        {
            "one_run": one_run,
            "many_runs": many_runs,
            "gather": gather,
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
