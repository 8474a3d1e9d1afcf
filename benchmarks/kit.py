"""What exploring every order costs, and what it saves: fibers that do so many calls, one after the other.

    python benchmarks/kit.py [--rounds 3]

Each line: how many schedules there are, how many states and steps stand for them, and the CPU time of the fastest round
(of the process, so that a busy machine does not count). The last column is what trying the schedules one by one would
take if each cost no more than one of these steps: a lower bound.
"""

from __future__ import annotations

import argparse
import time

from interp import Workflow, activity, call, gather, workflow
from interp.testing import Explored, explore

_GRIDS = ((3, 3), (4, 2), (4, 3), (6, 2))


@activity
def add(number: int) -> int:
    """Be stubbed."""
    raise NotImplementedError


def _fiber(calls: int) -> Workflow[int]:
    total = 0
    for number in range(calls):
        total += yield from call(add, number)
    return total


@workflow
def fibers_of_calls(fibers: int, calls: int) -> Workflow[int]:
    """Run so many fibers with so many calls each."""
    return sum((yield from gather(*[_fiber(calls) for _ in range(fibers)])))


def measure(fibers: int, calls: int) -> tuple[Explored, float]:
    """Explore once; return what was found, and the seconds of CPU time."""
    began = time.process_time()
    found = explore(fibers_of_calls, fibers, calls, activities={add: lambda number: number + 1})
    return found.check(), time.process_time() - began


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured; the fastest counts")
    rounds = parser.parse_args().rounds
    print(f"{'fibers x calls':<16}{'schedules':>12}{'states':>9}{'steps':>9}{'CPU s':>9}{'one by one >':>16}")
    for fibers, calls in _GRIDS:
        measured = [measure(fibers, calls) for _ in range(rounds)]
        found, _ = measured[0]
        seconds = min(spent for _, spent in measured)
        one_by_one = seconds / found.steps * found.schedules
        size = f"{fibers} x {calls}"
        print(
            f"{size:<16}{found.schedules:>12,}{found.states:>9,}{found.steps:>9,}{seconds:>9.2f}{one_by_one:>14,.0f} s"
        )


if __name__ == "__main__":
    main()
