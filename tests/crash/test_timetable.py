"""A process with a fast schedule is killed again and again: each fire has one run, and none is left out."""

import itertools
import random
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import pytest

from interp import Engine, RunFilter, Status
from tests.crash.timetable import EVERY
from tests.runtime.helpers import eventually

ROOT = Path(__file__).parents[2]
KILLS = 4


def lines(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def test_each_fire_has_exactly_one_run_over_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, log = f"lmdb://{tmp_path}/journal", tmp_path / "log"
    command = [sys.executable, "-m", "tests.crash.timetable", url, str(log)]
    chance = random.Random(2026)
    for _ in range(KILLS):
        target = len(set(lines(log))) + chance.randrange(2, 12)
        with subprocess.Popen(command, cwd=ROOT) as process:
            while len(set(lines(log))) < target and process.poll() is None:
                time.sleep(0.002)
            process.kill()
    # The program defines the workflow; here it is imported, which registers it, and its activity looks for the log.
    monkeypatch.setattr(sys, "argv", [*command[2:3], url, str(log)])
    with Engine(url) as engine:
        schedule = engine.get_schedule("fast")
        schedule.pause()
        eventually(lambda: schedule.describe().paused)
        runs = engine.runs(RunFilter(workflow="timetabled"))
        eventually(lambda: all(engine.get(run.id).status is Status.COMPLETED for run in runs))
        info = schedule.describe()

    times = sorted(datetime.fromisoformat(run.id.removeprefix("fast/")) for run in runs)
    assert {EVERY} == {later - earlier for earlier, later in itertools.pairwise(times)}, "none is left out"
    assert len(times) == len(set(times)) == info.fired, "and none is there twice"
    assert {run.id for run in runs} == set(lines(log)), "and all have had their effect"
    assert 0 == info.missed == info.skipped == info.refused
