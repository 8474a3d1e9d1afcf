"""The determinism check: it finds what is planted and names the cause, and leaves correct workflows in peace."""

from __future__ import annotations

import importlib
import itertools
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from interp import UsageError, Workflow, call, workflow
from interp.testing import Execution, NotDeterministic, check_determinism, check_replay, executions
from interp.testing.outside import Outside
from tests.testing import planted
from tests.testing.planted import BUGS, CORRECT, fetch, note
from tests.testing.workflows import countdown, endless, parent, purchase, trip
from tests.zoo import keeps_state

AnyWorkflow = Callable[..., Any]


def name_of(found: object) -> str | None:
    return getattr(found, "__name__", None)


def found_in(flow: AnyWorkflow, **options: Any) -> NotDeterministic:
    with pytest.raises(NotDeterministic) as caught:
        check_determinism(flow, **options)
    return caught.value


@pytest.mark.parametrize(("flow", "cause"), BUGS.items(), ids=name_of)
def test_a_planted_bug_is_found_and_its_cause_named(flow: AnyWorkflow, cause: str) -> None:
    assert cause in found_in(flow, max_examples=500).cause


@pytest.mark.parametrize("flow", CORRECT, ids=name_of)
def test_a_correct_workflow_passes(flow: AnyWorkflow) -> None:
    check_determinism(flow, max_examples=30)


@pytest.mark.parametrize("flow", [trip, purchase, parent, endless], ids=name_of)
def test_workflows_of_every_shape_pass(flow: AnyWorkflow) -> None:
    check_determinism(flow, max_examples=20, max_events=10)


def test_a_workflow_of_many_rounds_passes() -> None:
    check_determinism(countdown, (3,), max_examples=5)


def test_the_story_marks_what_the_replay_does_instead() -> None:
    told = str(found_in(planted.unordered)).splitlines()

    assert "planted_set is not deterministic: fed with its own history, it does something else." == told[0]
    marked = [line for line in told if "<-- the replay: call note(what=" in line]
    assert 1 == len(marked)
    assert marked[0].lstrip().startswith("yields  1  call note(")
    assert "for name in sorted(names)" in told[-1]


def test_the_story_ends_where_the_replay_parts() -> None:
    told = str(found_in(planted.stopwatch))

    assert "returns     0" in told
    assert "<-- the replay: call note(what='')" in told


def test_the_counterexample_is_small() -> None:
    assert "planted_deep_random(prices=[0, 0, 101])" in str(found_in(planted.deep_random, max_examples=1_000))


def test_what_a_workflow_changed_is_put_back() -> None:
    found_in(planted.kept_in_default)
    found_in(planted.kept_in_global)
    found_in(planted.rebound)

    assert planted.kept_in_default.__defaults__ == ({},)
    assert not planted._total  # pyright: ignore[reportPrivateUsage]  what it must not change
    assert planted._last == ""  # pyright: ignore[reportPrivateUsage]


def test_counters_generators_and_caches_are_put_back() -> None:
    state = keeps_state._dice.getstate()  # pyright: ignore[reportPrivateUsage]

    for flow in (keeps_state.raffle, keeps_state.numbered_invoice, keeps_state.delivery_tour):
        found_in(flow)

    assert state == keeps_state._dice.getstate()  # pyright: ignore[reportPrivateUsage]
    assert "count(1)" == repr(keeps_state._numbers)  # pyright: ignore[reportPrivateUsage]
    assert 0 == keeps_state._route.cache_info().currsize  # pyright: ignore[reportPrivateUsage]


def test_the_failure_names_the_line_and_holds_the_life() -> None:
    found = found_in(planted.hour)

    assert re.search(r"\n  planted.py:\d+: datetime.now\(\)\n", str(found))
    assert "planted_hour" == found.execution.definition.name
    assert 1 == found.examples


def test_state_is_watched_where_a_workflow_can_reach_it() -> None:
    assert "global '_total' of tests.testing.planted" in Outside(planted.kept_in_global).watched
    assert all("BUGS" not in what for what in Outside(planted.kept_in_global).watched)


_only_once = itertools.chain(["once"], itertools.repeat("again"))


@workflow(name="planted_flaky")
def flaky() -> Workflow[None]:
    yield from call(note, next(_only_once))


def test_what_differs_only_once_is_told_as_it_was_seen() -> None:
    told = str(found_in(flaky, twins=False))

    assert re.search(r"call note\('once'\) .*<-- the replay: call note\(what='again'\)", told)


def test_state_in_a_closure_is_found() -> None:
    count = 0

    @workflow(name="planted_closure")
    def counting() -> Workflow[None]:
        nonlocal count
        count += 1
        yield from call(note, "")

    assert "'count', in the closure of" in found_in(counting).cause
    assert 0 == count


def test_a_workflow_inside_of_a_function_cannot_have_twins() -> None:
    @workflow(name="planted_inside")
    def inside() -> Workflow[int]:
        return (yield from call(fetch, ""))

    check_determinism(inside, max_examples=5)
    with pytest.raises(UsageError, match="planted_inside is not defined at the top of a file"):
        check_determinism(inside, twins=True)


@given(executions(planted.in_order))
def test_one_life_can_be_checked_alone(execution: Execution) -> None:
    check_replay(execution)


SCRIPT = """
from interp import Workflow, activity, call, workflow
from interp.testing import NotDeterministic, check_determinism

@activity
def note(what: str) -> None: ...

@workflow
def scripted(names: list[str]) -> Workflow[None]:
    for name in set(names):
        yield from call(note, name)

if __name__ == "__main__":
    try:
        check_determinism(scripted)
    except NotDeterministic as found:
        print(found.cause)
"""


def test_a_script_finds_its_own_workflow_in_other_processes(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)

    assert ("the order of a set\n", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_a_module_that_was_edited_is_imported_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "edited_flow.py"
    source = SCRIPT.partition("if __name__")[0]
    module.write_text(source.replace("set(names)", "sorted(set(names))"))

    check_determinism(importlib.import_module("edited_flow").scripted, max_examples=5)
    module.write_text(source)
    del sys.modules["edited_flow"]

    assert "the order of a set" == found_in(importlib.import_module("edited_flow").scripted).cause
