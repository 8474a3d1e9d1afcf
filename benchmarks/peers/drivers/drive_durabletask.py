"""Drives durabletask: its worker and client, on the server in memory that it brings for tests."""

from __future__ import annotations

import json
import logging
import time

import durabletask.internal.helpers as events
from driving import (
    STEPS,
    Numbers,
    anonymous_kib,
    latencies,
    main,
    per_second,
    resident_mib,
    serve,
    signals,
    timed,
)
from durabletask import task, worker
from durabletask.client import TaskHubGrpcClient
from durabletask.serialization import JsonDataConverter
from durabletask.testing import create_test_backend
from durabletask.worker import ConcurrencyOptions, TaskHubGrpcWorker

logging.disable(logging.CRITICAL)


def increment(ctx, number: int) -> int:
    return number + 1


def clock(ctx, _: int) -> float:
    return time.monotonic()


def count(ctx: task.OrchestrationContext, steps: int):
    number = 0
    for _ in range(steps):
        number = yield ctx.call_activity(increment, input=number)
    return number


def fan(ctx: task.OrchestrationContext, steps: int):
    results = yield task.when_all([ctx.call_activity(increment, input=number) for number in range(steps)])
    return len(results)


def waiting(ctx: task.OrchestrationContext, _: int):
    yield ctx.wait_for_external_event("go")
    return (yield ctx.call_activity(clock, input=0))


class Subject:
    def __init__(self, place: str) -> None:
        # Another port than the default, so that a server of the developer's is left alone.
        self.address = f"127.0.0.1:{_port(place)}"
        self.backend = create_test_backend(port=_port(place), max_history_size=10_000_000)
        options = ConcurrencyOptions(
            maximum_concurrent_activity_work_items=64,
            maximum_concurrent_orchestration_work_items=64,
            maximum_thread_pool_workers=16,
        )
        employed = TaskHubGrpcWorker(host_address=self.address, concurrency_options=options)
        for orchestrator in (count, fan, waiting):
            employed.add_orchestrator(orchestrator)
        for activity in (increment, clock):
            employed.add_activity(activity)
        employed.start()
        self.client = TaskHubGrpcClient(host_address=self.address)
        assert self.do(count, 3) == 3

    def start(self, orchestrator, size: int, name: str | None = None) -> str:
        return self.client.schedule_new_orchestration(orchestrator, input=size, instance_id=name)

    def result(self, name: str):
        state = self.client.wait_for_orchestration_completion(name, timeout=900)
        assert state is not None and state.runtime_status.name == "COMPLETED", state
        return json.loads(state.serialized_output)

    def do(self, orchestrator, size: int):
        return self.result(self.start(orchestrator, size))


def _port(place: str) -> int:
    return int(place.rpartition(":")[2])


def one_run(steps: int, place: str) -> Numbers:
    subject = Subject(place)
    return per_second(steps, timed(lambda: subject.do(count, steps), steps))


def many_runs(runs: int, place: str) -> Numbers:
    subject = Subject(place)

    def all_of_them() -> set[int]:
        return {subject.result(name) for name in [subject.start(count, STEPS) for _ in range(runs)]}

    return per_second(runs * STEPS, timed(all_of_them, {STEPS}))


def gather(steps: int, place: str) -> Numbers:
    subject = Subject(place)
    return per_second(steps, timed(lambda: subject.do(fan, steps), steps))


def latency(times: int, place: str) -> Numbers:
    subject = Subject(place)
    return latencies(times, lambda: subject.do(count, 1))


def signal(times: int, place: str) -> Numbers:
    subject = Subject(place)
    return signals(times, place, lambda name: subject.start(waiting, 0, name), subject.result)


def send(times: int, place: str) -> Numbers:
    client = TaskHubGrpcClient(host_address=f"127.0.0.1:{_port(place)}")
    return serve(lambda name: client.raise_orchestration_event(name, "go", data=1))


def replay(steps: int, place: str) -> Numbers:
    """Measure its executor alone, over a history that is made here."""
    _replayed(10)
    return per_second(steps, _replayed(steps))


def _replayed(steps: int) -> float:
    registry = worker._Registry()
    name = registry.add_orchestrator(count)
    registry.add_activity(increment)
    history = [
        events.new_orchestrator_started_event(),
        events.new_execution_started_event(name, "run", encoded_input=json.dumps(steps)),
    ]
    for number in range(steps):
        history.append(events.new_task_scheduled_event(number + 1, "increment"))
        history.append(events.new_orchestrator_started_event())
        history.append(events.new_task_completed_event(number + 1, json.dumps(number + 1)))
    executor = worker._OrchestrationExecutor(registry, logging.getLogger("bench"), data_converter=JsonDataConverter())
    begin = time.perf_counter()
    result = executor.execute("run", history[:-1], history[-1:])
    elapsed = time.perf_counter() - begin
    assert result.actions[0].completeOrchestration.result.value == str(steps), result
    return elapsed


def memory(runs: int, place: str) -> Numbers:
    subject = Subject(place)
    numbers = {"idle_mib": resident_mib()}
    before = anonymous_kib()
    for number in range(runs):
        subject.start(waiting, 0, f"waiting-{number}")
    time.sleep(3)
    return {**numbers, "cached_kib": (anonymous_kib() - before) / runs}


if __name__ == "__main__":
    main(
        {
            "one_run": one_run,
            "many_runs": many_runs,
            "gather": gather,
            "latency": latency,
            "signal": signal,
            "send": send,
            "replay": replay,
            "memory": memory,
        }
    )
