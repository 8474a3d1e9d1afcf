"""`interp check`, as it is used in CI: before a deploy, on the live store or on a copy."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import PATIENCE_S, Told, environment

Interp = Callable[..., Told]


STARTER = """
import time
import flows
from interp import Engine

with Engine() as engine:
    runs = [engine.start(flows.changing, id=run_id) for run_id in ("c-1", "c-2")]
    engine.start(flows.quick, "ann", id="q").result()
    while min(len(run.history()) for run in runs) < 2:
        time.sleep(0.01)
"""


@pytest.fixture
def waiting(place: Path) -> None:
    """Two runs whose first command depends on the environment, and one that has ended."""
    subprocess.run([sys.executable, "-c", STARTER], cwd=place, env=environment(), timeout=PATIENCE_S, check=True)


def digest(directory: Path) -> str:
    return hashlib.sha256((directory / "data.mdb").read_bytes()).hexdigest()


def test_all_fit(interp: Interp, waiting: None) -> None:
    told = interp("check", "flows.py", "--closed")

    assert (0, "") == (told.code, told.err)
    assert ["c-1  changing  fits  (2 records)", "q  quick  fits  (2 records)"] == told.out.splitlines()[::2][:2]
    assert "3 runs: 3 fit" == told.out.splitlines()[-1]


def test_a_changed_workflow_is_told_once_with_both_lines_and_ends_with_1(interp: Interp, waiting: None) -> None:
    told = interp("check", "flows.py", FLOW_VERSION="new")

    assert 1 == told.code
    lines = told.out.splitlines()
    assert [f"{run_id}  changing  diverges at record 0, command 1" for run_id in ("c-1", "c-2")] == lines[:2]
    assert "1. 2 runs of changing: c-1, c-2" == lines[3]
    assert 1 == told.out.count("recorded: call echo(value='old')")
    assert 1 == told.out.count("yielded:  call echo(value='new')")
    assert "2 runs: 2 diverge" == lines[-1]


def test_quiet_leaves_the_lines_of_single_runs_out(interp: Interp, waiting: None) -> None:
    assert "2 runs: 2 fit\n" == interp("check", "flows.py", "-q").out


def test_a_module_without_the_workflow_makes_its_runs_unknown(interp: Interp, waiting: None, place: Path) -> None:
    source = "from datetime import timedelta\nimport interp\n\n@interp.workflow\ndef other():\n    yield interp.now()\n"
    (place / "other.py").write_text(source)

    told = interp("check", "other.py")

    assert 1 == told.code
    assert "c-1  changing  unknown workflow" in told.out
    assert "no workflow is registered as 'changing' (known: other)" in told.out
    assert 0 == interp("check", "other.py", "--workflow", "other").code


def test_the_document_tells_each_run_and_each_cause(interp: Interp, waiting: None) -> None:
    told = interp("check", "flows.py", "--json", FLOW_VERSION="new")

    assert 1 == told.code
    assert not told.json["fits"]
    assert 2 == told.json["counts"]["diverges"]
    assert ["c-1", "c-2"] == told.json["causes"][0]["examples"]
    assert "call echo(value='old')" == told.json["causes"][0]["error"]["recorded"]
    assert [("c-1", "diverges", 0), ("c-2", "diverges", 0)] == [
        (run["id"], run["verdict"], run["record"]) for run in told.json["runs"]
    ]


def test_nothing_is_written_and_a_copy_does_as_well(interp: Interp, waiting: None, place: Path) -> None:
    before = digest(place / ".interp")
    assert 1 == interp("check", "flows.py", FLOW_VERSION="new").code
    assert before == digest(place / ".interp")

    (place / "copy").mkdir()
    shutil.copy(place / ".interp" / "data.mdb", place / "copy")
    assert "2 runs: 2 fit\n" == interp("check", "flows.py", "-q", "--store", "lmdb:copy").out


def test_a_store_without_runs_fits(interp: Interp, waiting: None) -> None:
    told = interp("check", "flows.py", "--workflow", "many")

    assert (0, "no open runs in lmdb:.interp\n") == (told.code, told.out)


def test_a_store_that_is_not_there_is_an_error(interp: Interp) -> None:
    assert interp("check", "flows.py", "--store", "lmdb:nowhere").is_error("there is no such directory")


SCHEDULED = """
from interp import Workflow, sleep, workflow
from datetime import timedelta

@workflow
def hourly() -> Workflow[None]:
    yield from sleep(timedelta(0))
"""

SCHEDULER = """
import time
from datetime import timedelta
import scheduled
from interp import Engine

with Engine() as engine:
    engine.schedule(scheduled.hourly, id="hours", every=timedelta(hours=1))
    while not any(row.length > 1 for row in engine.runs()):
        time.sleep(0.01)
"""


def test_schedules_are_checked_though_the_module_needs_no_engine(interp: Interp, place: Path) -> None:
    (place / "scheduled.py").write_text(SCHEDULED)
    subprocess.run([sys.executable, "-c", SCHEDULER], cwd=place, env=environment(), timeout=PATIENCE_S, check=True)

    told = interp("check", "scheduled.py")

    assert (0, "1 run: 1 fit") == (told.code, told.out.splitlines()[-1])
    assert "interp.schedule  fits" in told.out


def test_a_module_without_workflows_is_refused(interp: Interp, place: Path) -> None:
    (place / "empty.py").write_text("x = 1\n")

    assert interp("check", "empty.py").is_error("empty.py has no workflow", "@workflow")
