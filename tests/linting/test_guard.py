"""The runtime guard sees what is marked in bodies.py, on that line and with that code, and nothing else."""

import os
import random
import secrets
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from interp import Workflow, sleep, workflow
from interp.definitions import WorkflowDefinition, workflow_of
from interp.testing import Finding, guarded
from interp.testing.controlled import controlled
from interp.testing.play import Answers, Play, Returned
from tests.linting import bodies
from tests.linting.marks import marked

BODIES = Path(bodies.__file__)
ON_312 = "guard312" if sys.version_info >= (3, 12) else ""


def definitions() -> list[WorkflowDefinition]:
    found = (getattr(value, "__interp_workflow__", None) for value in vars(bodies).values())
    return [definition for definition in found if isinstance(definition, WorkflowDefinition)]


def live(definition: WorkflowDefinition) -> None:
    """Let a workflow run to its end, with some results; one that never ends is cancelled."""
    play = Play(definition, getattr(bodies, "ARGS", {}).get(definition.fn.__name__, ()))
    try:
        for _ in range(30):
            options = play.options(cancel=False)
            if not options:
                return
            option = options[0]
            play.take(option, Returned(answer(play, option)) if isinstance(option, Answers) else None)
    finally:
        play.close()


def answer(play: Play, option: Answers) -> Any:
    target = play.interpreter.pending[option.id].record.target
    return {"regions": {"eu"}, "charge": "receipt"}.get(target.rpartition(".")[2], 1)


def seen() -> list[Finding]:
    """Let every workflow live under the guard, and return what it sees."""
    found: list[Finding] = []
    for definition in definitions():
        with guarded() as findings:
            live(definition)
        found += [finding for finding in findings if finding not in found]
    return found


def places(findings: list[Finding], path: Path) -> set[tuple[int, str]]:
    return {(finding.line, finding.code) for finding in findings if finding.file == str(path)}


def test_every_forbidden_call_is_seen_on_its_line_and_nothing_else() -> None:
    findings = seen()

    assert marked(BODIES, "guard", also=ON_312) == places(findings, BODIES)


def test_every_call_is_seen_every_time() -> None:
    assert seen() == seen()


@workflow(name="guard_under_control")
def under_control() -> Workflow[object]:
    yield sleep(timedelta(1))
    return [
        str(each)
        for each in (
            time.time(),
            time.monotonic(),
            time.perf_counter_ns(),
            datetime.now(),  # noqa: DTZ005  the mistake
            random.random(),
            random.randint(1, 2),
            uuid4(),
            os.urandom(3),
            secrets.token_hex(),
        )
    ]


def test_calls_are_seen_also_where_the_kit_holds_the_world_still() -> None:
    with guarded() as findings, controlled():
        live(workflow_of(under_control))

    first = under_control.__code__.co_firstlineno + 6
    assert list(range(first, first + 9)) == [finding.line for finding in findings]
    assert ["clock"] * 4 + ["random"] * 2 + ["uuid"] + ["random"] * 2 == [finding.code for finding in findings]


def test_what_runs_outside_of_workflows_is_not_watched() -> None:
    with guarded() as findings:
        bodies.one_down()
        bodies.charge(1)

    assert [] == findings


def test_the_guard_leaves_the_profiler_of_others_alone() -> None:
    seen: list[str] = []
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, arg: seen.append(event))
    try:
        with guarded():
            live(workflow_of(under_control))
    finally:
        sys.setprofile(before)

    assert {"call", "c_call"} <= set(seen)
