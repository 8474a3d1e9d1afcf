"""Drives Resonate on the local network that it brings: everything within one process, nothing on the disk."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine

from driving import STEPS, Numbers, main, per_second, percentiles
from resonate.context import Context
from resonate.resonate import Resonate

logging.disable(logging.CRITICAL)


async def increment(ctx: Context, number: int) -> int:
    return number + 1


async def count(ctx: Context, steps: int) -> int:
    number = 0
    for _ in range(steps):
        number = await ctx.run(increment, number)
    return number


async def fan(ctx: Context, steps: int) -> int:
    futures = [ctx.run(increment, number) for number in range(steps)]
    return len([await future for future in futures])


async def _subject() -> Resonate:
    resonate = Resonate()
    for function in (increment, count, fan):
        resonate.register(function)
    assert await resonate.run("warm-up", count, 3).result() == 3
    return resonate


async def _timed(work: Coroutine[object, object, object], wanted: object) -> float:
    begin = time.perf_counter()
    result = await work
    elapsed = time.perf_counter() - begin
    assert result == wanted, result
    return elapsed


def one_run(steps: int, place: str) -> Numbers:
    async def measured() -> float:
        resonate = await _subject()
        return await _timed(resonate.run("long", count, steps).result(), steps)

    return per_second(steps, asyncio.run(measured()))


def many_runs(runs: int, place: str) -> Numbers:
    async def measured() -> float:
        resonate = await _subject()

        async def all_of_them() -> set[int]:
            handles = [resonate.run(f"run-{number}", count, STEPS) for number in range(runs)]
            return {await handle.result() for handle in handles}

        return await _timed(all_of_them(), {STEPS})

    return per_second(runs * STEPS, asyncio.run(measured()))


def gather(steps: int, place: str) -> Numbers:
    async def measured() -> float:
        resonate = await _subject()
        return await _timed(resonate.run("wide", fan, steps).result(), steps)

    return per_second(steps, asyncio.run(measured()))


def latency(times: int, place: str) -> Numbers:
    async def measured() -> list[float]:
        resonate = await _subject()
        return [await _timed(resonate.run(f"run-{number}", count, 1).result(), 1) for number in range(times)]

    return percentiles(asyncio.run(measured()))


if __name__ == "__main__":
    main({"one_run": one_run, "many_runs": many_runs, "gather": gather, "latency": latency})
