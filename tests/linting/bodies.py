"""What workflows do and must not do: each line with a mark is found, and no other line is.

A mark `!code` is found by the lint of the file, by the lint of the loaded function, and at run time where the code is one
that is watched. `!code: live guard` names those that find it; `guard312` is the guard from Python 3.12 on, where it is
`sys.monitoring`. Lines without a mark are found by none.
"""

# mypy: ignore-errors
# ... since they are the point

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import io
import logging
import os
import random
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid as uuids
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from os import environ
from pathlib import Path
from random import choice
from time import time as t
from uuid import uuid4

import attrs

import interp
from interp import (
    Cancelled,
    Command,
    Workflow,
    activity,
    await_signal,
    call,
    gather,
    get_logger,
    map_,
    now,
    race,
    sleep,
    spawn,
    workflow,
)
from interp import random as chance
from interp import uuid as new_id
from tests.linting import elsewhere
from tests.linting.elsewhere import Cart, clock, stamp

TICK = timedelta(seconds=1)
DICE = random.Random()
REGIONS = frozenset({"eu", "us"})
CACHE: dict[str, int] = {}
SEEN = []
HERE = Path(__file__)
log = get_logger("bodies")
plain_log = logging.getLogger("bodies.plain")


@activity
def charge(cents: int) -> str:
    return f"{cents} {time.time()} {uuid4()} {open(os.devnull).close()}"  # an activity may do anything


@activity
async def charge_slowly(cents: int) -> str:
    return str(cents)


@activity
def regions() -> set[str]:
    return {"eu"}


def plain_activity(cents: int) -> float:
    return time.time()


async def coroutine() -> None:
    pass


# Clock.


@workflow
def time_time() -> Workflow[float]:
    yield sleep(TICK)
    return time.time()  # !clock


@workflow
def time_alias() -> Workflow[float]:
    yield sleep(TICK)
    return t()  # !clock


@workflow
def clock_of_another_module() -> Workflow[float]:
    yield sleep(TICK)
    return clock() + elsewhere.clock()  # !clock: live guard


@workflow
def clock_in_a_helper_of_another_module() -> Workflow[float]:
    yield sleep(TICK)
    return stamp() + Cart().total()  # the line is in elsewhere.py


@workflow
def datetime_now() -> Workflow[object]:
    yield sleep(TICK)
    return [
        datetime.now(),  # !clock
        dt.datetime.now(dt.UTC),  # !clock
        dt.datetime.today(),  # !clock
        date.today(),  # !clock
        time.monotonic(),  # !clock
        time.perf_counter_ns(),  # !clock
    ]


@workflow
def gmtime_of_now() -> Workflow[object]:
    yield sleep(TICK)
    return time.gmtime()  # !clock: file live guard312


@workflow
def computed_name() -> Workflow[float]:
    yield sleep(TICK)
    return getattr(time, "ti" + "me")()  # !clock: guard


@workflow
def local_alias() -> Workflow[float]:
    read = time.time
    yield sleep(TICK)
    return read()  # !clock


@workflow
def partly() -> Workflow[float]:
    read = partial(time.time)
    yield sleep(TICK)
    return read()  # !clock: guard312


@workflow
def local_import() -> Workflow[float]:
    import time as clock

    yield sleep(TICK)
    return clock.time()  # !clock


@workflow
def in_a_lambda() -> Workflow[list[int]]:
    yield sleep(TICK)
    return sorted([3, 1, 2], key=lambda n: n * time.time())  # !clock


@workflow
def in_a_comprehension() -> Workflow[list[float]]:
    yield sleep(TICK)
    return [n + time.time() for n in range(2)]  # !clock


def one_down() -> float:
    return two_down()


def two_down() -> float:
    return time.time()  # !clock


@workflow
def helpers() -> Workflow[float]:
    yield sleep(TICK)
    return one_down()


def branch() -> Workflow[float]:
    yield sleep(TICK)
    return time.time()  # !clock


@workflow
def branches() -> Workflow[object]:
    return (yield from gather(branch(), branch()))


def part(n: int) -> Workflow[float]:
    yield sleep(TICK)
    return time.time()  # !clock


@workflow
def mapped() -> Workflow[object]:
    return (yield from map_(part, [1, 2]))


@workflow
def inner_function() -> Workflow[float]:
    def read() -> float:
        return time.time()  # !clock

    yield sleep(TICK)
    return read()


class Basket:
    def __init__(self) -> None:
        self.made = time.time()  # !clock: live guard

    def total(self) -> float:
        return time.time()  # !clock: live guard

    @staticmethod
    def fresh() -> float:
        return time.time()  # !clock: live guard


@workflow
def methods(basket: Basket | None = None) -> Workflow[float]:
    yield sleep(TICK)
    return Basket().total() + Basket.fresh()


@dataclass
class Parcel:
    id: object = field(default_factory=uuid4)


@attrs.define
class Crate:
    id: object = attrs.field(factory=uuid4)


@workflow
def made_by_default() -> Workflow[object]:
    yield sleep(TICK)
    return [
        Parcel(),  # !uuid: guard
        Crate(),  # !uuid: guard
    ]


@workflow
def blocks() -> Workflow[None]:
    time.sleep(0)  # !sleep
    yield sleep(TICK)


# Chance.


@workflow
def random_numbers() -> Workflow[object]:
    yield sleep(TICK)
    return [
        random.random(),  # !random
        random.randint(1, 6),  # !random
        choice("ab"),  # !random
        random.Random().random(),  # !random: file live guard312
        random.SystemRandom().random(),  # !random
        secrets.token_hex(),  # !random
        os.urandom(4),  # !random
    ]


@workflow
def shared_random() -> Workflow[object]:
    yield sleep(TICK)
    return [
        DICE.random(),  # !random
        DICE.randint(1, 6),  # !random
        elsewhere.DICE.random(),  # !random: live
    ]


@workflow
def uuids_made() -> Workflow[object]:
    yield sleep(TICK)
    return [
        uuid4(),  # !uuid
        uuids.uuid1(),  # !uuid
    ]


# Environment.


@workflow
def environment() -> Workflow[object]:
    yield sleep(TICK)
    return [
        os.environ["PATH"],  # !environment
        os.environ.get("PATH"),  # !environment
        environ.get("PATH"),  # !environment
        os.getenv("PATH"),  # !environment
        os.getpid(),  # !environment
        sys.argv,  # !environment: file live
        socket.gethostname(),  # !environment
        Path.cwd(),  # !environment
        datetime.fromtimestamp(0),  # !environment: file live
    ]


# Input and output.


@workflow
def files() -> Workflow[object]:
    yield sleep(TICK)
    open(os.devnull).close()  # !io
    io.open(os.devnull).close()  # !io
    path = Path(os.devnull)
    return [
        Path(os.devnull).read_text(),  # !io
        path.exists(),  # !io
        HERE.is_file(),  # !io
        os.listdir("/"),  # !io
        subprocess.run(["true"], check=True).returncode,  # !io
        socket.socket().close(),  # !io
    ]


@workflow
def lines() -> Workflow[None]:
    print("again")  # !output
    plain_log.info("again")  # !output
    logging.info("again")  # !output
    yield sleep(TICK)


# Concurrency.


@workflow
def threads() -> Workflow[None]:
    yield sleep(TICK)
    lock = threading.Lock()  # !concurrency
    thread = threading.Thread(target=print, args=("",))  # !concurrency
    del lock, thread
    asyncio.new_event_loop().close()  # !concurrency


# Identity.


@workflow
def identities(name: str = "n") -> Workflow[object]:
    yield sleep(TICK)
    return [
        hash(name),  # !identity: file live guard312
        id(name),  # !identity
    ]


# Sets.


@workflow
def sets(names: set[str], more: frozenset[str] = frozenset()) -> Workflow[object]:
    for name in names:  # !set-order
        yield from call(charge, len(name))
    for name in {"a", "b"}:  # !set-order
        yield from call(charge, len(name))
    seen = {name for name in more}
    listed = list(seen)  # !set-order
    first = next(iter(more))  # !set-order
    joined = ",".join(names | more)  # !set-order
    also = [name for name in REGIONS]  # !set-order
    a, b = {"a", "b"}  # !set-order
    some = names.pop()  # !set-order
    yield from gather(*[call(charge, len(name)) for name in names])  # !set-order
    found = yield from call(regions)
    for region in found:  # !set-order
        yield from call(charge, len(region))
    keys = {"a": 1}.keys() - {"b": 2}.keys()
    return [listed, first, joined, also, a, b, some, tuple(keys)]  # !set-order


# Yields.


def helper() -> Workflow[None]:
    yield sleep(TICK)


@workflow
def forgets() -> Workflow[str]:
    call(charge, 1)  # !forgotten-yield
    interp.sleep(TICK)  # !forgotten-yield
    helper()  # !forgotten-yield
    unused = call(charge, 2)  # !forgotten-yield
    yield sleep(TICK)
    return f"{call(charge, 3)}"  # !forgotten-yield


@workflow
def calls_directly() -> Workflow[object]:
    yield sleep(TICK)
    return charge(1)  # !activity-call


@workflow
def awaits_nothing() -> Workflow[object]:
    yield sleep(TICK)
    coroutine().close()  # !coroutine


# Cancellation.


@workflow
def swallows() -> Workflow[None]:
    try:
        yield sleep(TICK)
    except:  # !swallowed
        pass
    try:
        yield sleep(TICK)
    except BaseException:  # !swallowed
        log.info("never cancelled")
    try:
        yield sleep(TICK)
    except (ValueError, GeneratorExit):  # !swallowed
        return
    with suppress(BaseException):  # !swallowed
        yield sleep(TICK)


# State.

counter = 0


@workflow
def changes_globals() -> Workflow[None]:
    global counter
    counter += 1  # !global-state
    CACHE["x"] = 1  # !global-state
    SEEN.append("x")  # !global-state
    yield sleep(TICK)


@workflow
def changes_a_default(seen: list[str] = [], known: dict[str, int] = {}) -> Workflow[None]:
    seen.append("x")  # !mutable-default
    known["x"] = 1  # !mutable-default
    yield sleep(TICK)


@workflow
def changes_a_default_elsewhere() -> Workflow[int]:
    yield sleep(TICK)
    return elsewhere.tally()  # the line is in elsewhere.py


# What is meant.


@workflow
def allowed() -> Workflow[object]:
    yield sleep(TICK)
    begun = time.perf_counter()  # interp: allow[clock] only logged
    return [begun, uuid4(), os.getpid()]  # interp: allow[uuid, environment] a label for people


# Correct code that looks suspicious.


@workflow
def seeded(seed: int = 3) -> Workflow[object]:
    rng = random.Random(seed)
    yield sleep(TICK)
    return [rng.random(), rng.choice("ab"), random.Random(3).shuffle([1, 2])]


@workflow
def fixed_times() -> Workflow[object]:
    moment = yield from now()
    yield sleep(TICK)
    return [
        time.gmtime(0),
        time.strftime("%Y", time.gmtime(0)),
        datetime(2020, 1, 1, tzinfo=UTC),
        date.fromisoformat("2020-01-01"),
        datetime.fromtimestamp(0, UTC),
        moment + timedelta(days=1),
        moment.timestamp(),
    ]


@workflow
def sorted_sets(names: set[str]) -> Workflow[object]:
    total = 0
    short = set()
    for name in sorted(names):
        yield from call(charge, len(name))
    for name in names:
        if len(name) < 3:
            short.add(name)
            total += 1
            total -= len(name)
    return [
        sorted(list(names)),
        len(names),
        max(names, default=""),
        any(name == "x" for name in names),
        sum(len(name) for name in names),
        {name.upper() for name in names},
        sorted(name.upper() for name in short),
        "x" in names,
        Counter(names),
        [name for name in ("a", "b")],
        total,
    ]


@workflow
def our_own_commands() -> Workflow[object]:
    log.info("written once")
    one = yield from chance()
    other = yield from new_id()
    pending = call(charge, 1)
    parts = [call(charge, cents) for cents in (1, 2)]
    task = yield from spawn(helper())
    kept = helper()
    first = race(call(charge, 1), sleep(TICK))
    yield from kept
    return [one, other, (yield from pending), (yield from gather(*parts)), task, (yield from first)]


@workflow
def passes_functions() -> Workflow[object]:
    def local(cents: int) -> float:
        return time.time()

    @activity
    def inner(cents: int) -> float:
        return time.time()

    return (yield from gather(call(plain_activity, 1), call(local, 2), call(inner, 3), call(os.getpid)))


@workflow
def local_state() -> Workflow[int]:
    count = 0
    inbox = deque()
    found = []
    cache = {}

    def count_up() -> None:
        nonlocal count
        count += 1
        cache["x"] = count

    def listen() -> Workflow[None]:
        nonlocal count
        count += 1
        found.append(count)
        yield sleep(TICK)

    count_up()
    inbox.append(1)
    inbox.popleft()
    yield from gather(listen(), listen())
    return count + len(found)


@workflow
def cleans_up() -> Workflow[str]:
    try:
        yield sleep(TICK)
    except Cancelled:
        yield from call(charge, 0)
        raise
    except (OSError, asyncio.CancelledError, subprocess.CalledProcessError):
        return "failed"
    except BaseException:
        log.info("goes on")
        raise
    try:
        return str(1 / 1)
    except:
        return "no yield inside"
    finally:
        yield sleep(TICK)


@workflow
def shadows(time: float, hash: str, open: bool = False) -> Workflow[object]:
    def random(of: list[int]) -> int:
        return of[0]

    yield sleep(TICK)
    return [time, hash, open, random([1]), hashlib.sha256(hash.encode()).hexdigest(), hash.encode().hex()]


@workflow
def pure_paths(path: Path = HERE) -> Workflow[object]:
    yield sleep(TICK)
    return [path.name, path.with_suffix(".txt"), HERE.parent / "x", Path("a") / "b", os.path.join("a", "b")]


@workflow
def numbers_hash() -> Workflow[object]:
    yield sleep(TICK)
    return [uuids.uuid5(uuids.NAMESPACE_URL, "x"), uuids.UUID(int=1), round(1.5), sum([1, 2])]


@workflow
def none_default(seen: list[str] | None = None, names: tuple[str, ...] = ()) -> Workflow[int]:
    seen = seen if seen is not None else []
    seen.append("x")
    fresh: set[str] = set()
    fresh.add("x")
    yield sleep(TICK)
    return len(seen) + len(CACHE) + len(fresh)


ARGS = {
    "sets": ({"ab"}, frozenset({"c"})),
    "sorted_sets": ({"ab"},),
    "shadows": (1.0, "h"),
}
