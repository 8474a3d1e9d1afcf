"""`interp export` and the pytest plugin: a run of today is a test of tomorrow's code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import Request, Retry
from interp._hypothesis import register
from interp.testing import NotDeterministic

register()  # what Hypothesis does by itself where interp is installed; twice does no harm

FLOW = """
from interp import RetryAfter, Retry, Workflow, activity, call, current_call, workflow
from datetime import timedelta

@activity
def charge(order: str) -> str:
    if current_call().attempt < 2:
        raise RetryAfter(timedelta(0))
    return f"r-{order}"

@activity
def mail(text: str) -> None: ...

@workflow
def plugin_checkout(order: str) -> Workflow[str]:
    receipt = yield from call(charge, order)
    yield from call(mail, receipt)
    return receipt

def redact(value):
    return value.replace("42", "00") if isinstance(value, str) else value
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A project with a workflow, and a run of it in a store."""
    (tmp_path / "plugged.py").write_text(FLOW)
    (tmp_path / "pytest.ini").write_text("[pytest]\ninterp_modules = plugged\npythonpath = .\n")
    assert "" == run(tmp_path, "-m", "interp", "run", "plugged.py", '"42"', "--id", "order").stderr
    return tmp_path


def run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "INTERP_STORE": "lmdb:journal", "COLUMNS": "120"}
    environ.pop("HYPOTHESIS_PROFILE", None)
    environ.pop("CI", None)  # pytest would tell failures twice
    return subprocess.run(
        [sys.executable, *words], cwd=place, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def export(place: Path, *words: str) -> Path:
    file = place / "histories" / "order.history.jsonl"
    done = run(place, "-m", "interp", "export", "order", "-o", str(file), *words)
    assert 0 == done.returncode, done.stderr
    return file


def replay(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return run(place, "-m", "pytest", "-p", "interp.pytest_plugin", "-p", "no:cacheprovider", *words)


def edit(place: Path, old: str, new: str) -> None:
    file = place / "plugged.py"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


def test_an_exported_run_is_a_test_that_passes_until_the_code_no_longer_fits(place: Path) -> None:
    export(place)
    assert "1 passed" in replay(place).stdout

    edit(place, "yield from call(mail, receipt)", "yield from call(mail, receipt + '!')")

    failed = replay(place)
    assert 1 == failed.returncode
    assert "order.history.jsonl does not fit the code any more" in failed.stdout
    marked = [line for line in failed.stdout.splitlines() if "<-- the replay: call mail(text='r-42!')" in line]
    assert 1 == len(marked)
    assert "yields  2  call mail('r-42')" in marked[0]
    assert "site-packages" not in failed.stdout


def test_what_is_redacted_does_not_reach_the_file_and_still_replays(place: Path) -> None:
    file = export(place, "--redact", "plugged.py:redact")

    assert '"42"' not in file.read_text()
    assert "r-42" not in file.read_text()
    assert "1 passed" in replay(place).stdout


def test_a_failing_run_is_cut_to_what_shows_it(place: Path) -> None:
    edit(place, "call(charge, order)", "call(charge, order + '?')")

    file = export(place, "--minimize", "plugged.py")

    assert 2 == len(file.read_text().splitlines())
    assert "1 failed" in replay(place).stdout


def test_a_fitting_run_is_exported_whole(place: Path) -> None:
    assert len(export(place, "--minimize", "plugged.py").read_text().splitlines()) >= 4


def test_a_workflow_that_nobody_imported_is_named_with_the_cure(place: Path) -> None:
    export(place)

    failed = replay(place, "-o", "interp_modules=")

    assert "interp_modules = [...]" in failed.stdout
    assert "plugin_checkout" in failed.stdout


def test_a_broken_file_is_a_clear_failure(place: Path) -> None:
    (place / "x.history.jsonl").write_text("{}\n")

    assert "x.history.jsonl: it is no exported history" in replay(place).stdout


def test_histories_can_be_left_alone(place: Path) -> None:
    export(place)

    assert "no tests ran" in replay(place, "--interp-histories=ignore").stdout


def test_a_failure_of_the_kit_prints_its_story_alone(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "from tests.testing.planted import hour\n"
        "from interp.testing import check_determinism\n"
        "def test_it():\n"
        "    check_determinism(hour)\n"
    )
    failed = run(
        tmp_path, "-m", "pytest", "-p", "interp.pytest_plugin", "-o", f"pythonpath={Path(__file__).parents[1]}", "-q"
    )

    assert "\nplanted_hour is not deterministic" in failed.stdout
    assert "determinism.py" not in failed.stdout
    assert NotDeterministic.__interp_story__


def test_the_fixtures_give_a_store_and_an_engine_in_virtual_time(place: Path) -> None:
    (place / "test_fixtures.py").write_text(
        "from datetime import datetime, timedelta\n"
        "from interp import Engine, Workflow, sleep, workflow\n"
        "@workflow\n"
        "def plugin_patient() -> Workflow[str]:\n"
        "    yield from sleep(timedelta(days=1000))\n"
        "    return 'rested'\n"
        "def test_virtual(interp_engine):\n"
        "    assert interp_engine.start(plugin_patient).result() == 'rested'\n"
        "def test_store(interp_store):\n"
        "    assert interp_store.startswith('lmdb:')\n"
        "    with Engine(interp_store) as engine:\n"
        "        assert [] == engine.runs()\n"
    )

    assert "2 passed" in replay(place, "test_fixtures.py").stdout


@pytest.mark.parametrize(("profile", "examples"), [("quick", 20), ("deep", 2_000)])
def test_a_profile_says_how_many_examples_are_looked_at(place: Path, profile: str, examples: int) -> None:
    (place / "test_profile.py").write_text(
        f"from hypothesis import settings\ndef test_it():\n    assert {examples} == settings().max_examples\n"
    )

    assert "1 passed" in replay(place, "test_profile.py", f"--interp-profile={profile}").stdout


@given(st.from_type(Retry), st.from_type(Request[int]))
def test_hypothesis_draws_our_types(retry: Retry, request: Request[int]) -> None:
    assert retry.pause(1, 0.5) is None or retry.attempts != 1
    assert type(request.payload) is int


def test_the_plugin_does_not_bring_hypothesis() -> None:
    script = "import interp.pytest_plugin, sys; sys.exit('hypothesis' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode
