"""Scenario 20: code changes under open runs; careless changes are caught, guarded ones end old and new runs well."""

import subprocess
from pathlib import Path

from examples.scenarios import world
from examples.scenarios.code_change import fulfil
from interp import Status
from tests.cli.command import PATIENCE_S, words_of
from tests.runtime.helpers import WAIT
from tests.scenarios.stage import Stage, Start

ROOT = Path(__file__).parents[2]
BEFORE, CARELESS = "tests.scenarios.before_change:fulfil", "tests.scenarios.careless_change:fulfil"


def check(stage: Stage, code: str) -> "subprocess.CompletedProcess[str]":
    """Check the open runs against code, as before a deploy."""
    command = words_of("check", code, "--store", stage.url)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def test_a_careless_change_is_caught_before_the_deploy(stage: Stage) -> None:
    stage.killed(BEFORE, "7", dies="waiting")

    careless = check(stage, "tests.scenarios.careless_change")
    guarded = check(stage, "examples.scenarios.code_change")

    assert 1 == careless.returncode, careless.stderr
    assert "recorded: call charge_card('7')" in careless.stdout
    assert "yielded:  call screen(order='7')" in careless.stdout
    assert 0 == guarded.returncode, guarded.stdout + guarded.stderr


def test_old_and_new_runs_both_end_also_when_a_careless_deploy_came_between(stage: Stage) -> None:
    stage.killed(BEFORE, "7", dies="waiting")
    assert stage.life(Start(CARELESS, ("7",), signal="packed"), dies=1) is False  # nothing was done: it was parked

    with stage.engine() as engine:
        old = engine.get("run")
        assert Status.PARKED is old.status
        old.retry()
        new = engine.start(fulfil, "8", id="new")
        new.signal("packed")
        for run in (old, new):
            assert run.result(WAIT).startswith("charge-")

    seven = [deed for deed in world.deeds() if " 7" in deed]
    eight = [deed for deed in world.deeds() if " 8" in deed]
    assert ["charge 7", "label 7", "ship 7 by express"] == seven
    assert ["screen 8", "charge 8", "label 8", "ship 8 by express"] == eight
