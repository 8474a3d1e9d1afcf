"""Runs that are set aside: history and code disagree, or user code broke what runs it. Nothing else is harmed."""

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import attrs
import pytest

from interp import (
    Engine,
    Run,
    RunFailed,
    RunParked,
    Status,
    Workflow,
    activity,
    await_signal,
    call,
    gather,
    join,
    sleep,
    spawn,
    workflow,
)
from interp.events import Signalled, Started, WorkerLost, decode_event, encode_event
from interp.store import Create, Post
from tests.runtime.helpers import WAIT, WAIT_S, causes, eventually, kinds


@activity
def fine(n: int) -> int:
    return n


@workflow
def unharmed(n: int) -> Workflow[int]:
    return (yield from call(fine, n))


def first_deploy() -> Callable[[], Workflow[str]]:
    @workflow(name="deployed")
    def deployed() -> Workflow[str]:
        n = yield from call(fine, 1)
        word = yield from await_signal("go", str)
        return f"{n}{word}"

    return deployed


def second_deploy() -> None:
    @workflow(name="deployed")
    def deployed() -> Workflow[str]:
        yield from call(fine, 2)
        word = yield from await_signal("go", str)
        return f"2{word}"


def parked(run: Run[Any]) -> str:
    """Wait until a run is parked; returns its reason."""
    eventually(lambda: run.status is Status.PARKED)
    return run.row.reason


def inbox(engine: Engine, run_id: str) -> tuple[Any, ...]:
    """Return what waits in the inbox of a run, decoded."""
    return tuple(decode_event(message.body) for message in engine.store.inbox(run_id))


# --- deploys ----------------------------------------------------------------------------------------------------------


def test_a_run_whose_code_changed_is_parked_untouched_and_goes_on_after_the_fix(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(first_deploy(), id="one")
        eventually(lambda: "Resolved" in kinds(run))
        before = run.history()

    second_deploy()
    with Engine(url) as engine:
        run = engine.get("one")
        run.signal("go", "!")
        with pytest.raises(RunParked) as told:
            run.result(WAIT)
        text = str(told.value)
        assert "run 'one' diverged from its history at record 0, command 1" in text
        assert "recorded: call fine(n=1)" in text
        assert "yielded:  call fine(n=2)" in text
        assert "test_parked.py:" in text
        assert before == run.history()
        assert (Signalled("go", b'"!"'),) == inbox(engine, "one")
        assert 3 == engine.start(unharmed, 3).result(WAIT)

    first_deploy()
    with Engine(url) as engine:
        run = engine.get("one")
        eventually(lambda: run.status is not Status.PARKED)
        assert "1!" == run.result(WAIT)
        assert before == run.history()[: len(before)]


def test_a_parked_run_keeps_signals_and_cancellations_until_it_goes_on(url: str) -> None:
    with Engine(url) as engine:
        _ = engine.start(first_deploy(), id="one")
    second_deploy()
    with Engine(url) as engine:
        run = engine.get("one")
        run.signal("other", 1)
        parked(run)
        run.signal("go", "?")
        assert Status.PARKED is run.status
    first_deploy()
    with Engine(url) as engine:
        run = engine.get("one")
        eventually(lambda: run.status is not Status.PARKED)
        assert "1?" == run.result(WAIT)
        assert ["Started", "Resolved", "Signalled", "Signalled"] == kinds(run)


def test_an_attempt_that_was_under_way_when_the_run_was_parked_is_counted(url: str) -> None:
    attempts: list[int] = []
    begun, release = threading.Event(), threading.Event()

    @activity
    def work() -> int:
        attempts.append(1)
        begun.set()
        release.wait(WAIT_S if len(attempts) == 1 else 0)
        return len(attempts)

    def deploy(extra: int) -> Callable[[], Workflow[int]]:
        @workflow(name="deployed")
        def deployed() -> Workflow[int]:
            n, *_ = yield from gather(call(work), call(fine, extra))
            return n

        return deployed

    with Engine(url, grace=timedelta(0)) as engine:
        run = engine.start(deploy(1), id="one")
        begun.wait(WAIT_S)
        eventually(lambda: "Resolved" in kinds(run))
    deploy(2)
    with Engine(url) as engine:
        parked(engine.get("one"))
    deploy(1)
    with Engine(url) as engine:
        run = engine.get("one")
        eventually(lambda: run.status is not Status.PARKED)
        assert 2 == run.result(WAIT)
        release.set()
        assert ["Started", "Resolved", "WorkerLost", "Resolved"] == kinds(run)
        last = causes(run)[-1]
        assert 2 == getattr(last, "attempt", None)


def test_runs_of_unknown_workflows_are_left_alone(url: str) -> None:
    with Engine(url) as engine:
        engine.store.create(Create("theirs", "a workflow of another program", b"digest", b"opaque"), 0)
        before = engine.store.run("theirs")
        assert 3 == engine.start(unharmed, 3).result(WAIT)

        engine.get("theirs").signal("go", 1)

        assert 4 == engine.start(unharmed, 4).result(WAIT)
        row = engine.store.run("theirs")
        assert row is not None and before is not None
        assert (Status.PENDING, None, 0) == (row.status, row.owner, row.length)
        assert 2 == len(engine.store.inbox("theirs"))


def test_runs_of_a_workflow_that_is_registered_later_are_taken_up_then(url: str) -> None:
    name = f"registered later, in {url}"
    with Engine(url) as engine:
        started = encode_event(Started(name, b"[7]", bytes(16)))
        engine.store.create(Create("early", name, b"digest", started), 0)
        assert 3 == engine.start(unharmed, 3).result(WAIT)
        assert Status.PENDING is engine.get("early").status

        @workflow(name=name)
        def registered_later(n: int) -> Workflow[int]:
            return (yield from call(fine, n))

        assert 3 == engine.start(unharmed, 3).result(WAIT)
        assert 7 == engine.get("early").result(WAIT)


# --- hostile data -----------------------------------------------------------------------------------------------------


def test_a_message_that_is_none_parks_its_run_and_nothing_else(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(first_deploy(), id="one")
        other = engine.start(first_deploy(), id="other")
        engine.store.post(Post("one", b"\xc1 not a message"), 0)

        assert "message 1 of run 'one' is damaged" in parked(run)
        other.signal("go", "!")
        assert "1!" == other.result(WAIT)
        assert b"\xc1 not a message" == engine.store.inbox("one")[0].body


def test_a_start_that_is_none_parks_its_run_and_nothing_else(url: str) -> None:
    with Engine(url) as engine:
        engine.store.create(Create("one", "unharmed", b"digest", b"\xc1 not a start"), 0)

        assert "the inbox of a new run" in parked(engine.get("one")) or "message 0" in parked(engine.get("one"))
        assert 3 == engine.start(unharmed, 3).result(WAIT)


# --- hostile workflows ------------------------------------------------------------------------------------------------


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr for you")


class HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")

    __repr__ = __str__


def deep(n: int) -> Workflow[None]:
    yield from deep(n + 1)


def yields_hostile_value() -> Workflow[None]:
    yield Hostile()  # type: ignore[misc]  # the mistake


def returns_hostile_value() -> Workflow[Any]:
    yield sleep(timedelta(0))
    return Hostile()


def raises_hostile_error() -> Workflow[None]:
    yield sleep(timedelta(0))
    raise HostileError


def raises_system_exit() -> Workflow[None]:
    yield sleep(timedelta(0))
    sys.exit("bye")


def raises_keyboard_interrupt() -> Workflow[None]:
    yield sleep(timedelta(0))
    raise KeyboardInterrupt


def raises_generator_exit() -> Workflow[None]:
    yield sleep(timedelta(0))
    raise GeneratorExit


def stalls_with_hostile_argument() -> Workflow[None]:
    def waits_for(_hostile: Hostile, tasks: list[Any]) -> Workflow[None]:
        yield from join(tasks[0])

    tasks: list[Any] = []
    tasks.append((yield from spawn(waits_for(Hostile(), tasks))))


def recurses() -> Workflow[None]:
    yield sleep(timedelta(0))
    yield from deep(0)


def awaits_beyond_time() -> Workflow[None]:
    yield sleep(timedelta(0))
    yield from await_signal("x", timeout=timedelta.max)


def calls_with_endless_argument() -> Workflow[None]:
    endless: list[Any] = []
    endless.append(endless)
    yield from call(takes_anything, endless)


def surrogates_in_a_failure() -> Workflow[None]:
    yield sleep(timedelta(0))
    raise ValueError("\ud800")


@activity
def takes_anything(value: Any) -> None: ...


@attrs.frozen
class Mean:
    """Its `__eq__`, `__hash__` and attributes do harm."""

    n: int

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparing")

    __hash__ = None  # type: ignore[assignment]  # meant


def yields_unhashable() -> Workflow[None]:
    yield Mean(1)  # type: ignore[misc]  # the mistake


HOSTILE = [
    yields_hostile_value,
    returns_hostile_value,
    raises_hostile_error,
    raises_system_exit,
    raises_keyboard_interrupt,
    raises_generator_exit,
    stalls_with_hostile_argument,
    recurses,
    awaits_beyond_time,
    calls_with_endless_argument,
    surrogates_in_a_failure,
    yields_unhashable,
]


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.parametrize("late", [False, True])
def test_a_hostile_workflow_harms_itself_alone(url: str, body: Callable[[], Workflow[Any]], late: bool) -> None:
    @workflow(name="hostile")
    def hostile() -> Workflow[Any]:
        if late:
            yield from await_signal("go")
        return (yield from body())

    with Engine(url) as engine:
        neighbour = engine.start(first_deploy(), id="neighbour")
        run = engine.start(hostile, id="hostile")
        if late:
            run.signal("go")
        with pytest.raises((RunFailed, RunParked)):
            run.result(WAIT)
        assert engine.trouble is None
        neighbour.signal("go", "!")
        assert "1!" == neighbour.result(WAIT)
        assert 3 == engine.start(unharmed, 3).result(WAIT)


def test_what_was_acknowledged_before_a_run_broke_is_not_lost(url: str) -> None:
    mended = threading.Event()

    class Breaking:
        """Breaks whoever looks at it, until it is mended."""

        def __repr__(self) -> str:
            if mended.is_set():
                return "<fine>"
            raise KeyboardInterrupt

    @workflow
    def breaking() -> Workflow[str]:
        word = yield from await_signal("go", str)
        with suppress(TypeError):
            yield Breaking()  # type: ignore[misc]  # the mistake
        return word

    with Engine(url) as engine:
        run = engine.start(breaking, id="one")
        run.signal("go", "kept")
        parked(run)
        assert (Signalled("go", b'"kept"'),) == inbox(engine, "one")
        assert ["Started"] == kinds(run)

        mended.set()
        assert engine.store.unpark("one", 0)
        assert "kept" == run.result(WAIT)


def test_nothing_is_fed_to_a_run_after_it_broke(url: str) -> None:
    mended = threading.Event()
    arrived = threading.Barrier(8)

    class Breaking:
        """Breaks whoever looks at it, until it is mended."""

        def __repr__(self) -> str:
            if mended.is_set():
                return "<fine>"
            raise KeyboardInterrupt("broken")

    @activity
    def arrive(n: int) -> int:
        if not mended.is_set():
            arrived.wait(WAIT_S)
        return n

    def branch(n: int) -> Workflow[int]:
        n = yield from call(arrive, n)
        with suppress(TypeError):
            yield Breaking()  # type: ignore[misc]  # the mistake
        return (yield from call(fine, n))

    @workflow
    def breaking() -> Workflow[list[int]]:
        return list((yield from gather(*[branch(n) for n in range(8)])))

    with Engine(url) as engine:
        run = engine.start(breaking, id="one")
        assert "broken" in parked(run)
        assert ["Started"] == kinds(run)

        mended.set()
        assert engine.store.unpark("one", 0)
        assert list(range(8)) == run.result(WAIT)


def test_a_run_that_breaks_when_it_starts_is_refused_and_leaves_nothing(url: str) -> None:
    class Breaking:
        def __repr__(self) -> str:
            raise KeyboardInterrupt("broken")

    @workflow
    def breaking() -> Workflow[None]:
        yield Breaking()  # type: ignore[misc]  # the mistake

    with Engine(url) as engine:
        with pytest.raises(RuntimeError, match="the interpreter failed: KeyboardInterrupt"):
            _ = engine.start(breaking, id="one")

        assert [] == engine.runs()
        assert 3 == engine.start(unharmed, 3).result(WAIT)


def test_an_unexpected_event_in_the_inbox_parks_the_run(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(first_deploy(), id="one")
        eventually(lambda: "Resolved" in kinds(run))
        engine.store.post(Post("one", encode_event(WorkerLost("someone"))), 0)
        run.signal("go", "!")
        assert "1!" == run.result(WAIT)
        assert ["Started", "Resolved", "WorkerLost", "Signalled"] == kinds(run)
