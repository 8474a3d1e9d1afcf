"""Versions of one workflow side by side: who takes which, and how a run moves on to a newer one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from typing import Any

import pytest

from interp import (
    Engine,
    Retry,
    Run,
    RunCancelled,
    RunFailed,
    RunFilter,
    RunParked,
    Status,
    Workflow,
    activity,
    await_signal,
    call,
    child,
    continue_as,
    run_info,
    workflow,
)
from interp import definitions as registry
from interp.commands import Command
from interp.errors import RunExists
from interp.events import Signalled, Started, decode_event
from interp.runtime.checking import check
from tests.runtime.helpers import WAIT, causes, eventually, kinds

AnyWorkflow = Callable[..., Generator[Command[Any], Any, Any]]


@activity
def echo(text: str) -> str:
    return text


def first_of(name: str) -> Callable[[str], Workflow[str]]:
    """Define version 1: it waits, and returns."""

    @workflow(name=name)
    def version_1(order: str) -> Workflow[str]:
        yield from await_signal("go")
        return f"{order} by 1"

    return version_1


def second_of(name: str) -> Callable[[str], Workflow[str | list[str]]]:
    """Define version 2, which does not fit a history of version 1, and may return something else."""

    @workflow(name=name, version=2)
    def version_2(order: str) -> Workflow[str | list[str]]:
        told = yield from call(echo, order)
        yield from await_signal("go")
        return [told, "by 2"]

    return version_2


def waits(run: Run[Any]) -> None:
    eventually(lambda: run.status is Status.WAITING)


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test defines is forgotten after it: the newest version of one is not to be that of the next."""
    monkeypatch.setattr(registry, "_registry", {})


@pytest.fixture
def retired(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Takes a version out of the program, as a deploy without it does."""
    return lambda tag: monkeypatch.delitem(registry._registry, tag)  # pyright: ignore[reportPrivateUsage]


# --- who takes which --------------------------------------------------------------------------------------------------


def test_new_runs_take_the_newest_and_open_ones_stay_on_theirs(url: str) -> None:
    with Engine(url) as engine:
        _ = engine.start(first_of("kept_open"), "a", id="old")
        waits(engine.get("old"))

    second_of("kept_open")
    with Engine(url) as engine:
        new = engine.start_json("kept_open", b'["b"]', id="new")
        chosen = engine.start_json("kept_open@1", b'["c"]', id="chosen")
        for run in (engine.get("old"), new, chosen):
            run.signal("go")

        assert "a by 1" == engine.get("old").result(WAIT)
        assert ["b", "by 2"] == new.result(WAIT)
        assert "c by 1" == chosen.result(WAIT)
        assert ["kept_open", "kept_open@2", "kept_open"] == [row.workflow for row in engine.runs()]
        assert "kept_open@2" == _started(new).workflow
        assert ["old", "new", "chosen"] == [row.id for row in engine.runs(RunFilter(workflow="kept_open"))]
        assert ["old", "chosen"] == [row.id for row in engine.runs(RunFilter(workflow="kept_open@1"))]
        assert ["new"] == [row.id for row in engine.runs(RunFilter(workflow="kept_open@2"))]


def _started(run: Run[Any]) -> Started:
    started = causes(run)[0]
    assert isinstance(started, Started)
    return started


def test_the_function_of_a_version_means_this_version(url: str) -> None:
    first = first_of("by_function")
    second_of("by_function")
    with Engine(url) as engine:
        run = engine.start(first, "a")
        run.signal("go")

        assert "a by 1" == run.result(WAIT)


def test_the_same_start_again_gives_the_run_of_the_older_version_and_its_result(url: str) -> None:
    with Engine(url) as engine:
        _ = engine.start(first_of("asked_again"), "a", id="one")
    second = second_of("asked_again")
    with Engine(url) as engine:
        run = engine.start(second, "a", id="one")  # from the store
        again = engine.start(second, "a", id="one")  # perhaps in memory
        by_name = engine.start_json("asked_again", b'["a"]', id="one")
        run.signal("go")

        assert ["a by 1"] * 3 == [each.result(WAIT) for each in (run, again, by_name)]
        with pytest.raises(RunExists, match=r"(?s)asked_again\('a'\).*asked_again@2\('b'\)"):
            _ = engine.start(second, "b", id="one")


def test_a_worker_without_a_version_leaves_its_runs_to_others_and_says_so_once(
    url: str, retired: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    with Engine(url) as engine:
        _ = engine.start(first_of("left_alone"), "a", id="old")
        waits(engine.get("old"))
    retired("left_alone")
    second = second_of("left_alone")
    caplog.set_level(logging.WARNING, "interp")

    with Engine(url) as engine:
        run = engine.get("old")
        run.signal("go")
        new = engine.start(second, "b")
        new.signal("go")
        assert ["b", "by 2"] == new.result(WAIT)
        eventually(lambda: caplog.records)
        before, recorded = run.row, kinds(run)

    assert (Status.WAITING, ["Started"]) == (before.status, recorded)
    (line,) = [record.getMessage() for record in caplog.records if "left_alone" in record.getMessage()]
    assert "1 open run of left_alone@1 (old) cannot be moved here; registered: left_alone@2" in line
    assert "`interp list --workflow left_alone@1 --open`" in line

    first_of("left_alone")
    with Engine(url) as engine:
        assert "a by 1" == engine.get("old").result(WAIT)


def test_a_child_that_has_got_a_newer_version_does_not_part_its_parent_from_its_history(url: str) -> None:
    def deploy(part: Callable[[str], Workflow[Any]]) -> Callable[[], Workflow[Any]]:
        @workflow(name="parent_of_versions")
        def parent() -> Workflow[Any]:
            return (yield from child(part, "a"))

        return parent

    with Engine(url) as engine:
        _ = engine.start(deploy(first_of("versioned_part")), id="one")
        eventually(lambda: engine.store.run("one/1") is not None)
        waits(engine.get("one/1"))

    newer = deploy(second_of("versioned_part"))
    with Engine(url) as engine:
        engine.get("one/1").signal("go")
        again = engine.start(newer, id="two")
        eventually(lambda: engine.store.run("two/1") is not None)
        engine.get("two/1").signal("go")

        assert "a by 1" == engine.get("one").result(WAIT)
        assert ["a", "by 2"] == again.result(WAIT)
        rows = {row.id: row.workflow for row in engine.runs()}
        assert ("versioned_part", "versioned_part@2") == (rows["one/1"], rows["two/1"])


def test_a_fork_stays_on_the_version_of_its_records_and_so_does_a_retry(url: str) -> None:
    fails: list[int] = [1]

    @activity
    def once() -> str:
        if fails:
            raise OSError("not yet")
        return "mended"

    @workflow(name="forked_version", version=2)
    def version_2() -> Workflow[str]:
        yield from await_signal("go")
        return (yield from call(once).options(retry=Retry(attempts=1)))

    with Engine(url) as engine:
        run = engine.start(version_2, id="one")
        run.signal("go")
        with pytest.raises(RunFailed):
            run.result(WAIT)

        @workflow(name="forked_version", version=3)
        def version_3() -> Workflow[str]:
            return (yield from call(echo, "by 3"))

        fails.clear()
        run.retry()
        forked = engine.fork("one", at=1, id="two")
        forked.signal("go")

        assert ("mended", "mended") == (run.result(WAIT), forked.result(WAIT))
        assert {"forked_version@2"} == {row.workflow for row in engine.runs()}
        assert check(engine.store, closed=True, workflow="forked_version").fits
        assert "by 3" == engine.start_json("forked_version", b"[]").result(WAIT)


def test_a_cancelled_run_cleans_up_with_the_code_of_its_version(url: str) -> None:
    cleaned: list[tuple[str, int]] = []

    @activity
    def clean(name: str, version: int) -> None:
        cleaned.append((name, version))

    @workflow(name="cancelled_version", version=2)
    def version_2() -> Workflow[None]:
        info = yield from run_info()
        try:
            yield from await_signal("never")
        finally:
            yield from call(clean, info.workflow, info.version)

    with Engine(url) as engine:
        run = engine.start(version_2)
        workflow(name="cancelled_version", version=3)(version_2)
        run.cancel("enough")
        with pytest.raises(RunCancelled, match="enough"):
            run.result(WAIT)

    assert [("cancelled_version", 2)] == cleaned


# --- moving on --------------------------------------------------------------------------------------------------------


def counter_1(name: str) -> Callable[[int], Workflow[str]]:
    @workflow(name=name)
    def counting_1(total: int) -> Workflow[str]:
        total += yield from await_signal("add", int)
        yield from continue_as(total)
        raise AssertionError("unreached")

    return counting_1


def counter_2(name: str, annotation: Any = int) -> AnyWorkflow:
    """Define version 2, which ends; `annotation` is the type of what it continues from."""

    def counting_2(total: Any) -> Workflow[list[Any]]:
        info = yield from run_info()
        yield from call(echo, "version 2 is here")
        extra = yield from await_signal("add", int)
        return [total, extra, info.version, info.round]

    counting_2.__annotations__["total"] = annotation
    return workflow(name=name, version=2)(counting_2)


def test_continue_as_goes_on_in_the_newest_version_and_records_it(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(counter_1("moves_on"), 1, id="one")
        run.signal("add", 2)
        eventually(lambda: _started(run).round == 1)
        assert ("moves_on", "moves_on") == (run.row.workflow, _started(run).workflow), "nothing newer is there yet"

        counter_2("moves_on")
        run.signal("add", 3)
        eventually(lambda: _started(run).round == 2)
        assert ("moves_on@2", "moves_on@2") == (run.row.workflow, _started(run).workflow)

    with Engine(url) as engine:
        engine.get("one").signal("add", 4)

        assert [6, 4, 2, 2] == engine.get("one").result(WAIT)
        assert ["Started", "Resolved", "Signalled"] == kinds(engine.get("one"))
        assert check(engine.store, closed=True).fits


def test_a_handle_of_the_older_version_gives_the_result_of_the_newer(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(counter_1("handled"), 1)
        counter_2("handled")
        run.signal("add", 2)
        run.signal("add", 3)

        assert [3, 3, 2, 1] == run.result(WAIT)  # type: ignore[comparison-overlap]  # the type of version 1


def test_arguments_that_the_newest_version_does_not_take_park_the_run_at_its_new_start_and_lose_nothing(
    url: str,
) -> None:
    with Engine(url) as engine:
        run = engine.start(counter_1("does_not_take"), 1, id="one")
        waits(run)
        counter_2("does_not_take", dict[str, int])
        run.signal("add", 2)
        with pytest.raises(RunParked) as parked:
            run.result(WAIT)
        run.signal("add", 5)

        assert "run 'one' continues as does_not_take@2, which does not take its arguments" in str(parked.value)
        assert "expected" in str(parked.value)
        row = run.row
        assert ("does_not_take@2", 0, True) == (row.workflow, row.length, row.misfit)
        waiting = [decode_event(message.body) for message in engine.store.inbox("one")]
        assert [Started, Signalled] == [type(event) for event in waiting], "the first signal is spent, the second waits"
        assert not check(engine.store).fits

    counter_2("does_not_take")
    with Engine(url) as engine:
        eventually(lambda: engine.get("one").status is not Status.PARKED)
        assert [3, 5, 2, 1] == engine.get("one").result(WAIT)
        assert ["Resolved", "Signalled", "Started"] == sorted(kinds(engine.get("one")))


def test_a_message_that_came_before_the_new_start_is_still_read(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(counter_1("reads_all"), 1, id="one")
        waits(run)
        counter_2("reads_all", dict[str, int])
        for number in (2, 10, 20):
            run.signal("add", number)
        eventually(lambda: run.status is Status.PARKED)
        taken = 2

    counter_2("reads_all")
    with Engine(url) as engine:
        eventually(lambda: engine.get("one").status is not Status.PARKED)
        assert [1 + taken, 10, 2, 1] == engine.get("one").result(WAIT)
