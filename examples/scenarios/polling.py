"""A job runs somewhere else, and does not tell when it is done: three ways to wait for it.

- Every moment: one activity that looks again and again, and gives signs of life meanwhile.
- Now and then: an activity that asks to be called again later. No thread waits, and the journal holds one short record
  for each look.
- On a schedule: the workflow sleeps between two looks, and may do something else each time.

Killed while waiting, all three go on waiting. The job is not submitted again.
"""

from __future__ import annotations

import time
from datetime import timedelta

from examples.scenarios import world
from interp import Retry, RetryAfter, Workflow, activity, annotate, call, current_call, sleep, workflow

__all__ = ["await_often", "await_on_schedule", "await_seldom"]


@workflow
def await_often(job: str) -> Workflow[str]:
    """Look every moment."""
    yield from call(submit, job)
    return (yield from call(watch, job))


@activity(heartbeat=timedelta(seconds=30))
def watch(job: str) -> str:
    """Look until the job is done; the attempt after this one knows how often it was looked."""
    looks: int = current_call().last_heartbeat or 0
    while not world.happened(f"{job} done"):
        looks += 1
        current_call().heartbeat(looks)
        time.sleep(0.02)
    return f"{job} done"


@workflow
def await_seldom(job: str) -> Workflow[str]:
    """Look every ten minutes, a day at most."""
    yield from call(submit, job)
    return (yield from call(look, job).options(deadline=timedelta(days=1)))


@activity(retry=Retry(attempts=None))
def look(job: str) -> str:
    """Look once, and say when to look again."""
    world.do(f"look {current_call().attempt} at {job}")
    if not world.happened(f"{job} done"):
        raise RetryAfter(timedelta(minutes=10))
    return f"{job} done"


@workflow
def await_on_schedule(job: str) -> Workflow[int]:
    """Look every hour, and tell how often it was."""
    yield from call(submit, job)
    looks = 1
    while not (yield from call(is_done, job)):
        yield from annotate(looks=looks)
        yield from sleep(timedelta(hours=1))
        looks += 1
    return looks


@activity
def submit(job: str) -> str:
    """Start the job."""
    return world.do(f"submit {job}")


@activity
def is_done(job: str) -> bool:
    """Look once."""
    return world.happened(f"{job} done")
