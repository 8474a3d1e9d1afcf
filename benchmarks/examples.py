"""Examples per second of the testing kit: `executions`, and `check_determinism` without and with twin processes.

    python benchmarks/examples.py [--rounds 5] [--examples 300] [--profile check|twins|executions]

Two workflows: two calls one after the other, and a gather of three fibers of three calls. The ruler is Hypothesis
alone, drawing an integer; measured in turns, so that a busy machine is busy for all. With `--profile` one shape is run
under cProfile instead.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# Twins import this module by its name.
sys.path.insert(0, str(Path(__file__).parent.parent))

from interp import Workflow, activity, call, gather, workflow
from interp.testing import check_determinism, executions

settings.register_profile(
    "bench", database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@activity
def look_up(what: str) -> int:
    """Answer with a number."""
    raise NotImplementedError


@workflow(name="bench_two_calls")
def two_calls(what: str) -> Workflow[int]:
    """Call twice, one after the other."""
    first = yield from call(look_up, what)
    second = yield from call(look_up, f"{what} {first}")
    return first + second


@workflow(name="bench_three_by_three")
def three_by_three(what: str) -> Workflow[int]:
    """Three fibers of three calls."""

    def fiber(number: int) -> Workflow[int]:
        total = 0
        for step in range(3):
            total += yield from call(look_up, f"{what} {number} {step}")
        return total

    return sum((yield from gather(*[fiber(number) for number in range(3)])))


Flow = Callable[..., Any]


def draws(flow: Flow, examples: int) -> None:
    """Let Hypothesis draw an integer, and do nothing with it."""
    _given(st.integers(), examples)


def lives(flow: Flow, examples: int) -> None:
    """Generate lives, and ask nothing about them."""
    _given(executions(flow, faults=True, cancellations=True), examples)


def _given(strategy: st.SearchStrategy[Any], examples: int) -> None:
    @settings(max_examples=examples)
    @given(strategy)
    def nothing(value: object) -> None:
        """The least that a test can do."""

    nothing()


def without_twins(flow: Flow, examples: int) -> None:
    """Check lives within this process."""
    check_determinism(flow, max_examples=examples, twins=False)


def with_twins(flow: Flow, examples: int) -> None:
    """Check lives with two further processes."""
    check_determinism(flow, max_examples=examples, twins=True)


SHAPES: dict[str, tuple[Callable[[Flow, int], None], Flow]] = {
    "Hypothesis alone": (draws, two_calls),
    "executions, two calls": (lives, two_calls),
    "executions, 3 x 3": (lives, three_by_three),
    "check, two calls": (without_twins, two_calls),
    "check, 3 x 3": (without_twins, three_by_three),
    "check with twins, two calls": (with_twins, two_calls),
    "check with twins, 3 x 3": (with_twins, three_by_three),
}
_PROFILED = {"executions": "executions, two calls", "check": "check, two calls", "twins": "check with twins, two calls"}


def main() -> None:
    """Measure in turns, and print medians and spreads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--profile", choices=list(_PROFILED), help="show where the time goes instead")
    options = parser.parse_args()
    settings.load_profile("bench")
    with_twins(two_calls, 3)  # the processes are started, and Hypothesis is warm
    with_twins(three_by_three, 3)
    if options.profile:
        check, flow = SHAPES[_PROFILED[options.profile]]
        profile = cProfile.Profile()
        profile.runcall(check, flow, options.examples)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(70)
        return
    times: dict[str, list[float]] = {name: [] for name in SHAPES}
    for _ in range(options.rounds):
        for name, (check, flow) in SHAPES.items():
            begin = time.perf_counter()
            check(flow, options.examples)
            times[name].append((time.perf_counter() - begin) / options.examples)
    report(times)


def report(times: dict[str, list[float]]) -> None:
    """Print the table."""
    print(f"{'shape':<30}{'examples/s':>12}{'worst':>9}{'best':>9}")
    for name, seconds in times.items():
        print(f"{name:<30}{1 / statistics.median(seconds):>12,.0f}{1 / max(seconds):>9,.0f}{1 / min(seconds):>9,.0f}")


if __name__ == "__main__":
    main()
