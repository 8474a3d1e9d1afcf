"""Drives the AWS durable execution SDK on the local runner that it brings for tests."""

from __future__ import annotations

import json
import logging
import time

from aws_durable_execution_sdk_python import DurableContext, StepContext, durable_execution, durable_step
from aws_durable_execution_sdk_python.config import Duration
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestRunner
from driving import STEPS, Numbers, latencies, main, per_second, timed

logging.disable(logging.CRITICAL)

_inside: list[float] = []


@durable_step
def increment(step: StepContext, number: int) -> int:
    return number + 1


@durable_execution
def count(event, ctx: DurableContext) -> int:
    number = 0
    for _ in range(event["steps"]):
        number = ctx.step(increment(number))
    return number


@durable_execution
def fan(event, ctx: DurableContext) -> int:
    batch = ctx.map(
        list(range(event["steps"])), lambda child, number, index, all_of_them: child.step(increment(number))
    )
    return len(batch.get_results())


@durable_execution
def interrupted(event, ctx: DurableContext) -> int:
    """Sleep behind all steps: the function is called again then, and stands again where it stood."""
    begin = time.perf_counter()
    number = 0
    for _ in range(event["steps"]):
        number = ctx.step(increment(number))
    _inside.append(time.perf_counter() - begin)
    ctx.wait(Duration.from_seconds(1))
    return number


def _runner(handler) -> DurableFunctionTestRunner:
    return DurableFunctionTestRunner(handler, poll_interval=0.01, execution_timeout=900)


def _do(runner: DurableFunctionTestRunner, steps: int, name: str = "run") -> int:
    result = runner.run(input=json.dumps({"steps": steps}), execution_name=name, timeout=900)
    assert result.result is not None, result
    return int(result.result)


def one_run(steps: int, place: str) -> Numbers:
    runner = _runner(count)
    _do(runner, 3, "warm-up")
    return per_second(steps, timed(lambda: _do(runner, steps), steps))


def many_runs(runs: int, place: str) -> Numbers:
    runner = _runner(count)
    _do(runner, 3, "warm-up")

    def all_of_them() -> set[int]:
        event = json.dumps({"steps": STEPS})
        started = [runner.run_async(input=event, execution_name=f"run-{number}", timeout=900) for number in range(runs)]
        return {int(runner.wait_for_result(arn, timeout=900).result) for arn in started}

    return per_second(runs * STEPS, timed(all_of_them, {STEPS}))


def gather(steps: int, place: str) -> Numbers:
    runner = _runner(fan)
    _do(runner, 3, "warm-up")
    return per_second(steps, timed(lambda: _do(runner, steps), steps))


def latency(times: int, place: str) -> Numbers:
    runner = _runner(count)
    names = iter(range(10_000_000))
    return latencies(times, lambda: _do(runner, 1, f"run-{next(names)}"))


def replay(steps: int, place: str) -> Numbers:
    assert _do(_runner(interrupted), steps) == steps
    return per_second(steps, _inside[1])


if __name__ == "__main__":
    main({"one_run": one_run, "many_runs": many_runs, "gather": gather, "latency": latency, "replay": replay})
