"""What the tree concludes from records alone, beside what the interpreter knows."""

from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from interp import Command, Request, activity, await_signal, call, gather, race, reply, sleep, spawn, workflow
from interp.definitions import workflow_of
from interp.events import (
    Asked,
    CancelRequested,
    Event,
    Failure,
    Fired,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
    WorkerLost,
)
from interp.fibers import Issued
from interp.interpreter import Interpreter, Step
from interp.outline.rows import Limits, rows_of
from interp.outline.tree import Tree

Program: TypeAlias = tuple[str, list["Program"]]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

PROGRAMS: st.SearchStrategy[Program] = st.recursive(
    st.sampled_from([("call", []), ("sleep", []), ("signal", []), ("request", [])]),
    lambda programs: st.tuples(
        st.sampled_from(["sequence", "gather", "race", "spawn"]), st.lists(programs, min_size=1, max_size=4)
    ),
    max_leaves=12,
)


@activity
def work() -> int:
    raise AssertionError("the interpreter calls nothing")


def perform(program: Program) -> Generator[Command[Any], Any, None]:
    kind, parts = program
    match kind:
        case "call":
            yield call(work)
        case "sleep":
            yield sleep(timedelta(seconds=1))
        case "signal":
            yield await_signal("go")
        case "request":
            request = yield await_signal("go", Request)
            yield reply(request, 1)
        case "sequence":
            for part in parts:
                yield from perform(part)
        case "gather":
            yield gather(*map(perform, parts))
        case "race":
            yield race(*map(perform, parts))
        case _:
            yield spawn(perform(parts[0]))
            for part in parts[1:]:
                yield from perform(part)


def answer(issued: Issued, fails: bool) -> Event:
    match issued.record.kind:
        case "call" if fails:
            return Rejected(issued.id, Failure("builtins.ValueError", "no"), declared=False)
        case "call":
            return Resolved(issued.id, b"1")
        case "sleep":
            return Fired(issued.id)
        case "await_request":
            return Asked("go", b"null", f"for {issued.id}")
        case _:
            return Signalled("go", b"null")


@given(program=PROGRAMS, data=st.data())
def test_nothing_that_waits_is_told_to_be_over(program: Program, data: st.DataObject) -> None:
    @workflow(name="random program")
    def random_program() -> Generator[Command[Any], Any, None]:
        yield from perform(program)

    started = Started("random program", b"[]", b"s" * 16)
    interpreter = Interpreter(workflow_of(random_program), started, "run")
    tree = Tree()

    def told(event: Event, step: Step) -> None:
        at = NOON + timedelta(seconds=tree.length)
        records = tuple(issued.record for issued in step.commands)
        tree.add(Transition(tree.length, at, event, records, step.outcome))
        assert set(interpreter.pending) <= set(tree.waiting)
        assert (interpreter.outcome is None) == (tree.outcome is None)
        shown = [row.id for row in rows_of(tree, at, Limits.none())]
        assert set(tree.nodes) <= set(shown)
        if tree.outcome is not None:
            assert {} == tree.waiting

    told(started, interpreter.start(NOON))
    while interpreter.outcome is None:
        pick = data.draw(st.integers(0, len(interpreter.pending) + 1))
        if pick < len(interpreter.pending):
            event = answer(list(interpreter.pending.values())[pick], data.draw(st.booleans()))
        else:
            event = CancelRequested("enough") if pick == len(interpreter.pending) else WorkerLost("a", "b")
        told(event, interpreter.feed(event, NOON + timedelta(seconds=tree.length)))
