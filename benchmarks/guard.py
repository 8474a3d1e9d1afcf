"""What it costs to watch workflows, measured in turns within one run.

    python benchmarks/guard.py [--rounds 7]

A step is one call of an activity, between which the workflow calls five functions. Each is measured without the guard,
as workers have it (call sites that are clean are switched off), and as tests have it (every call is looked at): in the
pure interpreter, and with a whole engine on a store in memory. Times are those of the processor, so that other programs
do not count. Workers cannot watch before Python 3.12. The lint is that of one workflow with one helper.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import FunctionType

from interp import Engine, Workflow, activity, call, workflow
from interp.definitions import WorkflowDefinition, workflow_of
from interp.events import Resolved, Started
from interp.interpreter import Interpreter
from interp.linting import linter
from interp.runtime.guard import GuardMode, collecting, is_available, watch

_STEPS = 2_000
_RUNS = 200
_LENGTH = 10
_AT = datetime(2026, 1, 1, tzinfo=UTC)

_numbers = itertools.count()


@activity
def increment(number: int) -> int:
    """Do the least that an activity can do."""
    return number + 1


def total(parts: list[int]) -> int:
    """Be a function of the same project."""
    return sum(parts)


def count(steps: int) -> Workflow[int]:
    """Call `increment` so many times, and a few functions between."""
    number = 0
    for _ in range(steps):
        parts = sorted([number, 0])
        if len(parts) == max(2, 1):
            number = yield from call(increment, total(parts))
    return number


def fresh() -> WorkflowDefinition:
    """Return the workflow with code of its own, which nobody watches yet."""
    name = f"count_{next(_numbers)}"
    fn = FunctionType(count.__code__.replace(co_name=name), {**globals(), "total": _copy(total)}, name)
    fn.__annotations__ = dict(count.__annotations__)
    fn.__qualname__ = name
    return workflow_of(workflow(fn))


def _copy(fn: FunctionType | Callable[..., int]) -> FunctionType:
    return FunctionType(fn.__code__.replace(), globals(), fn.__name__)


def interpreted(definition: WorkflowDefinition) -> float:
    """Return the seconds of one step in the pure interpreter."""
    interpreter = Interpreter(definition, Started(definition.name, str([_STEPS]).encode(), bytes(16)), "run")
    interpreter.start(_AT)
    begin = time.thread_time()
    for number in range(1, _STEPS + 1):
        interpreter.feed(Resolved(str(number), str(number).encode()), _AT + timedelta(seconds=number))
    elapsed = time.thread_time() - begin
    assert interpreter.outcome is not None
    return elapsed / _STEPS


def watched(definition: WorkflowDefinition) -> float:
    """Return the seconds of one step as a worker has it."""
    is_available()
    watch(definition)
    return interpreted(definition)


def tested(definition: WorkflowDefinition) -> float:
    """Return the seconds of one step as tests have it."""
    with collecting() as findings:
        elapsed = interpreted(definition)
    assert not findings, findings
    return elapsed


def engine(definition: WorkflowDefinition, guard: GuardMode) -> float:
    """Return the seconds of one step of a whole engine, all threads together."""
    with Engine(f"memory:bench-{next(_numbers)}", guard=guard) as engine:
        engine.start(definition.fn, 2, id="warm-up").result()
        begin = time.process_time()
        handles = engine.start_many(definition.fn, [(f"run-{number}", (_LENGTH,)) for number in range(_RUNS)])
        for handle in handles:
            handle.result()
        return (time.process_time() - begin) / (_RUNS * _LENGTH)


def linted(_: WorkflowDefinition) -> float:
    """Return the seconds of reading one workflow with one helper."""
    linter.forget()
    begin = time.thread_time()
    assert not linter.lint_workflow(_SOURCE)
    return time.thread_time() - begin


_SOURCE = workflow_of(workflow(count))


def main() -> None:
    """Measure in turns, and print medians, spreads and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    shapes: dict[str, Callable[[WorkflowDefinition], float]] = {
        "interpreter, off": interpreted,
        "interpreter, worker": watched,
        "interpreter, tests": tested,
        "engine, off": lambda definition: engine(definition, "off"),
        "engine, warn": lambda definition: engine(definition, "warn"),
        "lint": linted,
    }
    times: dict[str, list[float]] = {name: [] for name in shapes}
    for _ in range(options.rounds):
        for name, measure in shapes.items():
            times[name].append(measure(fresh()))
    print(f"{'shape':<22}{'us each':>10}{'min':>9}{'max':>9}{'to off':>9}")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        off = statistics.median(times.get(name.partition(",")[0] + ", off", seconds))
        print(
            f"{name:<22}{middle * 1e6:>10.2f}{min(seconds) * 1e6:>9.2f}{max(seconds) * 1e6:>9.2f}{middle / off:>9.2f}"
        )


if __name__ == "__main__":
    main()
