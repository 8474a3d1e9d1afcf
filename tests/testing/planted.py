"""Workflows with one bug each, and correct ones that look suspicious. Another process imports this module, too."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from interp import Workflow, activity, call, now, sleep, uuid, workflow
from interp import random as chance

__all__ = ["BUGS", "CORRECT"]


@activity
def fetch(what: str) -> int:
    raise NotImplementedError


@activity
def note(what: str) -> None:
    raise NotImplementedError


@workflow(name="planted_hour")
def hour(name: str) -> Workflow[int]:
    price = yield from call(fetch, name)
    if datetime.now(UTC).hour >= 17:
        yield from call(note, name)
    return price


@workflow(name="planted_stopwatch")
def stopwatch(name: str) -> Workflow[int]:
    begin = time.monotonic()
    price = yield from call(fetch, name)
    if time.monotonic() - begin > 60:
        yield from call(note, name)
    return price


@workflow(name="planted_set")
def unordered(names: list[str]) -> Workflow[None]:
    for name in set(names):
        yield from call(note, name)


@workflow(name="planted_deep_random")
def deep_random(prices: list[int]) -> Workflow[None]:
    if len(prices) > 2 and sum(prices) > 100 and random.randint(0, 1):
        yield from call(note, "lucky")


@workflow(name="planted_uuid")
def fresh_id() -> Workflow[None]:
    yield from call(note, str(uuid4()))


@workflow(name="planted_environment")
def environment() -> Workflow[None]:
    yield from call(note, os.environ.get("HOME", ""))


@workflow(name="planted_zone")
def zone() -> Workflow[None]:
    yield from call(note, time.strftime("%H", time.localtime(0)))


@workflow(name="planted_default")
def kept_in_default(name: str, seen: dict[str, int] = {}) -> Workflow[None]:  # noqa: B006  the planted bug
    price = yield from call(fetch, name)
    seen[name] = price


_total: Counter[str] = Counter()


def _count(name: str) -> None:
    _total[name] += 1


@workflow(name="planted_global")
def kept_in_global(name: str) -> Workflow[None]:
    yield from call(note, name)
    _count(name)


_last = ""


@workflow(name="planted_rebound")
def rebound(name: str) -> Workflow[None]:
    global _last  # noqa: PLW0603  the planted bug
    yield from call(note, name)
    _last = name + "!"


_dropped: list[str] = []


@workflow(name="planted_dropped")
def notices_being_dropped(name: str) -> Workflow[None]:
    try:
        yield from call(note, name)
    except GeneratorExit:
        _dropped.append(name)
        raise


BUGS = {
    hour: "the clock",
    stopwatch: "the clock",
    unordered: "the order of a set",
    deep_random: "random numbers",
    fresh_id: "random numbers",
    environment: "the environment variable HOME",
    zone: "the environment variable TZ",
    kept_in_default: "default argument 'seen' of planted.kept_in_default",
    kept_in_global: "global '_total'",
    rebound: "global '_last'",
    notices_being_dropped: "global '_dropped'",
}


@workflow(name="planted_sorted")
def in_order(names: list[str]) -> Workflow[None]:
    for name in sorted(set(names)):
        yield from call(note, name)


@workflow(name="planted_own_chance")
def own_chance() -> Workflow[None]:
    dice = random.Random(3)
    value = yield from chance()
    key = yield from uuid()
    yield from call(note, f"{dice.random()} {value} {key}")


@workflow(name="planted_own_clock")
def own_clock() -> Workflow[None]:
    begin = yield from now()
    yield sleep(timedelta(hours=1))
    if (yield from now()) - begin > timedelta(minutes=30):
        yield from call(note, begin.isoformat())


_RATES = {"EUR": 1, "CHF": 2}


@workflow(name="planted_reads_global")
def reads_global(name: str) -> Workflow[None]:
    yield from call(note, f"{name} {_RATES.get(name, 0)} {len({name})}")


@workflow(name="planted_local_state")
def local_state(names: list[str]) -> Workflow[None]:
    seen: set[str] = set()
    for name in names:
        if name not in seen:
            seen.add(name)
            yield from call(note, name)


CORRECT = [in_order, own_chance, own_clock, reads_global, local_state]
