"""The critical path: exact, without gaps, whatever the run."""

import heapq
from collections.abc import Generator
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import activity, await_signal, call, gather, join, race, sleep, spawn, workflow
from interp.commands import Command
from interp.definitions import workflow_of
from interp.events import CancelRequested, Resolved, Started, Transition, WasCancelled
from interp.explore.critical import CriticalPath
from interp.fibers import Issued
from interp.interpreter import Interpreter, Step
from interp.outline.nodes import State
from interp.outline.tree import Tree
from tests.explore.examples import FEW
from tests.explore.flows import provision_fleet
from tests.explore.living import end_of, histories, run_of
from tests.explore.recording import BEGIN, CLOUD, record

Flow = Generator[Command[Any], Any, Any]

SIX = [f"web-{number}" for number in range(1, 7)]


def path_of(history: tuple[Transition, ...], later: float = 0.0) -> CriticalPath:
    return run_of(history).critical_path(now=end_of(history) + timedelta(seconds=later))


# What holds for every run.


@FEW
@given(histories(), st.sampled_from([0.0, 30.0]))
def test_the_path_covers_the_run_without_a_gap(history: tuple[Transition, ...], later: float) -> None:
    path = path_of(history, later)

    assert (path.steps[0].begin, path.steps[-1].end) == (path.begin, path.end) if path.steps else path.begin == path.end
    for one, other in pairwise(path.steps):
        assert one.end == other.begin
    assert all(step.end > step.begin for step in path.steps)
    for shares in (path.shares, path.activities):
        assert not path.steps or pytest.approx(1) == sum(shares.values())
    assert str(path) and path.html()


@FEW
@given(histories())
def test_no_part_of_a_group_that_ended_later_is_skipped(history: tuple[Transition, ...]) -> None:
    run = run_of(history)
    path = path_of(history)

    nodes = [step.node for step in path.steps if step.node is not None]
    for before, after in pairwise(nodes):
        for group, fibers in run.tree.groups.items():
            is_left = before.id.startswith(f"{group}.") and not after.id.startswith(f"{group}.")
            if is_left and len(fibers) > 1 and after.fiber == group.rpartition(".")[0]:
                assert not later_ends(run.tree, group, before.ended)


def later_ends(tree: Tree, group: str, ended: Any) -> list[str]:
    return [
        node.id
        for node in tree.nodes.values()
        if node.id.startswith(f"{group}.")
        and node.state is State.DONE
        and node.ended is not None
        and node.ended > ended
    ]


# Against what must be on it: programs whose calls take known times.

Program: TypeAlias = tuple[str, list["Program"]]

PROGRAMS: st.SearchStrategy[Program] = st.recursive(
    st.just(("call", [])),
    lambda programs: st.tuples(
        st.sampled_from(["sequence", "gather", "race", "join", "limited"]), st.lists(programs, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


@activity
def work(number: int) -> int:
    raise AssertionError("the interpreter calls nothing")


def perform(program: Program, numbers: list[int]) -> Flow:
    """Make a program's generator; its calls take numbers from a list, in the order in which they are written."""
    kind, parts = program
    if kind == "call":
        number = numbers.pop(0)
        return one_call(number)
    return several(kind, [perform(part, numbers) for part in parts])


def one_call(number: int) -> Flow:
    yield from call(work, number)


def several(kind: str, parts: list[Flow]) -> Flow:
    match kind:
        case "sequence":
            for part in parts:
                yield from part
        case "gather":
            yield from gather(*parts)
        case "limited":
            yield from gather(*parts, limit=1)
        case "race":
            yield from race(*parts)
        case _:
            tasks: list[Any] = []
            for part in parts:
                task = yield from spawn(part)
                tasks.append(task)
            for task in tasks:
                yield from join(task)


@workflow
def timed(program: Any) -> Flow:
    yield from perform(program, list(range(100)))


def expected(program: Program, numbers: list[int]) -> tuple[int, list[int]]:
    """Return how long a program takes, and which calls decide that. They take powers of two: no two sums are equal."""
    kind, parts = program
    if kind == "call":
        number = numbers.pop(0)
        return 2**number, [number]
    told = [expected(part, numbers) for part in parts]
    match kind:
        case "sequence" | "limited":
            return sum(length for length, _ in told), [number for _, path in told for number in path]
        case "race":
            return min(told)
        case _:
            return max(told)


def simulate(program: Program) -> tuple[Transition, ...]:
    """Let a program run on as many workers as it likes."""
    definition = workflow_of(timed)
    started = Started(definition.name, definition.arguments.encode((program,), {}), bytes(16))
    interpreter = Interpreter(definition, started, "run")
    history: list[Transition] = []
    ends: list[tuple[int, int, Issued]] = []

    def note(step: Step, seconds: int, cause: Any) -> None:
        at = BEGIN + timedelta(seconds=seconds)
        history.append(Transition(len(history), at, cause, tuple(each.record for each in step.commands), step.outcome))
        for issued in step.commands:
            number = int(issued.record.payload.strip(b"[]"))
            heapq.heappush(ends, (seconds + 2**number, number, issued))

    note(interpreter.start(BEGIN), 0, started)
    while interpreter.outcome is None:
        seconds, _, issued = heapq.heappop(ends)
        if interpreter.awaits(issued.id):
            event = Resolved(issued.id, b"1")
            note(interpreter.feed(event, BEGIN + timedelta(seconds=seconds)), seconds, event)
    return tuple(history)


@given(PROGRAMS)
def test_the_path_is_the_chain_that_takes_the_time(program: Program) -> None:
    length, numbers = expected(program, list(range(100)))
    path = path_of(simulate(program))

    assert timedelta(seconds=length) == path.end - path.begin
    assert numbers == [int(step.node.record.payload.strip(b"[]")) for step in path.steps if step.node is not None]


# One run.


def test_the_path_of_the_cloud_is_its_slowest_machine_and_the_wait_for_a_person() -> None:
    path = path_of(record(provision_fleet, "eu-west-1", SIX, world=CLOUD))

    steps = [(step.node.id, step.why.value) for step in path.steps if step.node is not None]
    assert [("2", "ran"), ("4.0.1", "retried"), ("4.0.1", "ran"), ("4.0.2", "lost"), ("4.0.2", "ran")] == steps[:5]
    assert [("6", "ran"), ("7.0.1", "waited"), ("8", "ran")] == steps[-3:]
    assert ["waited", "ran", "retried", "lost"] == list(path.shares)
    assert "critical path of prov-7f3a: 46 min 21 s, decided by 14 commands" in path.text()
    assert "53 %  24 min 31 s  waited   7.0.1    signal 'approve'" in path.text()


@workflow
def waiting() -> Flow:
    yield from gather(sleep(timedelta(days=2)), await_signal("go"))


def test_the_path_of_a_run_that_goes_on_ends_with_what_it_waits_for() -> None:
    path = path_of(record(waiting, until=timedelta(hours=1)), later=3600)

    assert path.is_open
    assert ["signal 'go'"] == [step.command for step in path.steps]
    assert "1 h so far" in path.text()


def test_a_cancellation_ends_the_command_that_was_waited_for() -> None:
    history = record(waiting, until=timedelta(hours=1))
    at = BEGIN + timedelta(minutes=9)
    cancelled = Transition(1, at, CancelRequested("enough"), (), WasCancelled("enough"))
    path = path_of((*history[:1], cancelled))

    assert [("waited", timedelta(minutes=9))] == [(step.why.value, step.took) for step in path.steps]


def test_a_history_with_holes_has_a_path_that_says_so() -> None:
    history = record(provision_fleet, "eu-west-1", SIX, world=CLOUD)
    path = path_of((history[0], *history[3:]))

    assert "nothing that can be read" in path.text()
    assert (path.begin, path.end) == (path.steps[0].begin, path.steps[-1].end)


@workflow
def looping(number: int) -> Flow:
    for seconds in range(number):
        yield sleep(timedelta(seconds=seconds + 1))


def test_a_long_path_shows_its_long_steps_and_counts_the_others() -> None:
    path = path_of(record(looping, 400))

    assert 400 == len(path.steps)
    assert len(path.text().splitlines()) < 60
    assert "… 376 shorter steps" in path.text()
    assert pytest.approx(1) == sum(map(path.share, path.steps))
