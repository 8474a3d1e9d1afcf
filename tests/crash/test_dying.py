"""Activities that kill their process: what the attempts after them are told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from interp import Engine, RunParked, Status
from interp.events import Heartbeat
from tests.crash import dying
from tests.runtime.helpers import WAIT, WAIT_S, causes, kinds

ROOT = Path(__file__).parents[2]


def live_and_die(url: str, workflow: str, *args: str) -> None:
    """Let a process start or take over the run `one` and be killed by its activity."""
    command = [sys.executable, "-m", "tests.crash.dying", url, workflow, "one", str(os.getpid()), *args]
    assert -signal.SIGKILL == subprocess.run(command, cwd=ROOT, timeout=WAIT_S, check=False).returncode


def test_the_attempt_after_a_killed_one_knows_how_far_that_was(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/journal"
    live_and_die(url, "copy")

    with Engine(url) as engine:
        run = engine.start(dying.copy, os.getpid(), id="one")

        assert [2, {"row": 17}] == run.result(WAIT)
        assert ["Started", "Heartbeat", "WorkerLost", "Resolved"] == kinds(run)
        assert Heartbeat("1", 1, b'{"row":17}') == causes(run)[1]


@pytest.mark.parametrize(
    ("on_unknown", "expected", "paid", "events"),
    [
        ("retry", "paid again", 2, ["Resolved"]),
        (
            "fail",
            "pay_and_die: its worker was lost, and whether attempt 1 took effect is unknown",
            1,
            ["Rejected"],
        ),
        ("ask", "found", 1, ["Reconciled", "Resolved"]),
    ],
)
def test_what_happens_after_a_kill_between_effect_and_record_is_what_the_author_chose(
    tmp_path: Path, on_unknown: str, expected: str, paid: int, events: list[str]
) -> None:
    url, ledger = f"lmdb://{tmp_path}/journal", tmp_path / "ledger"
    live_and_die(url, "pay", str(ledger), on_unknown)

    with Engine(url) as engine:
        run = engine.start(dying.pay, os.getpid(), str(ledger), on_unknown, id="one")

        assert expected == run.result(WAIT)
        assert ["one/1"] * paid == ledger.read_text().splitlines()
        assert ["Started", "WorkerLost", *events] == kinds(run)


def test_a_run_that_kills_its_worker_every_time_is_parked_and_may_be_released(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/journal"
    for _ in range(4):
        live_and_die(url, "poisoned")

    with Engine(url, poison_after=4) as engine:
        run = engine.get("one")
        with pytest.raises(RunParked) as parked:
            run.result(WAIT)

        assert "lost 4 times in a row" in str(parked.value)
        assert "swallow (command 1, dying.py:" in str(parked.value)
        assert ["Started", *["WorkerLost"] * 4] == kinds(run)
        assert Status.PARKED is run.status

        engine.store.unpark("one", 0)

        assert "digested" == run.result(WAIT)
