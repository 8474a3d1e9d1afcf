"""The program that the crash test of children kills: a run with many children, which send it signals.

    python -m tests.crash.family URL LOG [CHILDREN LIMIT]

Each effect of a child leaves a line in LOG. The result is printed. With CHILDREN and LIMIT it is a large family without
signals, of which LIMIT children are open at a time, and each effect leaves the outcome that it has for its caller.
"""

import os
import sys
import time
from datetime import timedelta

from interp import Engine, Workflow, activity, await_signal, call, child, gather, send, workflow

CHILDREN = 60


@activity
def effect(number: int) -> int:
    log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{number}\n".encode())
    os.close(log)
    time.sleep(number % 5 / 1_000)
    return number


@workflow
def member(number: int, family: str) -> Workflow[int]:
    first = yield from call(effect, number)
    yield from send(family, "done", first)
    return (yield from call(effect, first + CHILDREN))


@workflow
def family() -> Workflow[tuple[list[int], list[int]]]:
    numbers: list[int] = []
    for begin in range(0, CHILDREN, 20):
        numbers += yield from gather(*[child(member, number, "family") for number in range(begin, begin + 20)])
    told: set[int] = set()
    for _ in range(CHILDREN):
        told.add((yield from await_signal("done", int)))
    return numbers, sorted(told)


@activity
def distinct_effect(number: int) -> tuple[int, int]:
    """Leave a line; tell which line it was, so that each making has a result of its own."""
    log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    nonce = int.from_bytes(os.urandom(6), "big")
    os.write(log, f"{number} {nonce}\n".encode())
    os.close(log)
    return number, nonce


@workflow
def distant_member(number: int) -> Workflow[tuple[int, int]]:
    return (yield from call(distinct_effect, number))


@workflow
def large_family(children: int, limit: int) -> Workflow[list[tuple[int, int]]]:
    return list((yield from gather(*[child(distant_member, number) for number in range(children)], limit=limit)))


def main() -> None:
    # Killed on purpose and more often than a run may lose its worker without having got on.
    with Engine(sys.argv[1], poison_after=100) as engine:
        if len(sys.argv) > 3:
            sizes = int(sys.argv[3]), int(sys.argv[4])
            print(engine.start(large_family, *sizes, id="family").result(timedelta(minutes=30)))
            return
        print(engine.start(family, id="family").result(timedelta(seconds=60)))


if __name__ == "__main__":
    main()
