"""The workflows that Restate's server calls, as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import restate
from driving import is_blocking
from restate import Workflow, WorkflowContext, WorkflowSharedContext
from restate.exceptions import RetryableError

counting = Workflow("Count")
fanning = Workflow("Fan")
gated = Workflow("Gated")
replaying = Workflow("Replaying")
waiting = Workflow("Waiting")

_attempts: dict[str, int] = {}


def _increment(number: int):
    async def increment() -> int:
        return number + 1

    return increment


def _gate(number: int):
    async def gate() -> int:
        if is_blocking():
            await asyncio.Event().wait()
        return number + 1

    return gate


async def _clock() -> float:
    return time.monotonic()


@counting.main("run")
async def count(ctx: WorkflowContext, steps: int) -> int:
    number = 0
    for _ in range(steps):
        number = await ctx.run_typed("increment", _increment(number))
    return number


@fanning.main("run")
async def fan(ctx: WorkflowContext, steps: int) -> int:
    futures = [ctx.run_typed("increment", _increment(number)) for number in range(steps)]
    await restate.gather(*futures)
    return len(futures)


@gated.main("run")
async def take_five(ctx: WorkflowContext, _: int) -> int:
    number = 0
    for step in (_increment, _increment, _gate, _increment, _increment):
        number = await ctx.run_typed("step", step(number))
    return number


@replaying.main("run")
async def replay(ctx: WorkflowContext, steps: int) -> float:
    """Fail once behind all steps; return how long the second attempt took to be there again, in seconds."""
    attempt = _attempts[ctx.key()] = _attempts.get(ctx.key(), 0) + 1
    begin = time.perf_counter()
    number = 0
    for _ in range(steps):
        number = await ctx.run_typed("increment", _increment(number))
    elapsed = time.perf_counter() - begin
    if attempt == 1:
        raise RetryableError("again", retry_after=timedelta(milliseconds=1))
    return elapsed


@waiting.main("run")
async def wait(ctx: WorkflowContext, _: int) -> float:
    await ctx.promise("go", type_hint=int).value()
    return await ctx.run_typed("clock", _clock)


@waiting.handler("go")
async def go(ctx: WorkflowSharedContext, payload: int) -> None:
    await ctx.promise("go", type_hint=int).resolve(payload)


app = restate.app([counting, fanning, gated, replaying, waiting])
