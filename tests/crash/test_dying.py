"""Activities that kill their process: what the attempts after them are told."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from interp import Engine
from interp.events import Heartbeat
from tests.crash import dying
from tests.runtime.helpers import WAIT, WAIT_S, causes, kinds

ROOT = Path(__file__).parents[2]


def live_and_die(url: str, workflow: str) -> None:
    """Let a process start or take over the run `one` and be killed by its activity."""
    command = [sys.executable, "-m", "tests.crash.dying", url, workflow, "one", str(os.getpid())]
    assert -signal.SIGKILL == subprocess.run(command, cwd=ROOT, timeout=WAIT_S, check=False).returncode


def test_the_attempt_after_a_killed_one_knows_how_far_that_was(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/journal"
    live_and_die(url, "copy")

    with Engine(url) as engine:
        run = engine.start(dying.copy, os.getpid(), id="one")

        assert [2, {"row": 17}] == run.result(WAIT)
        assert ["Started", "Heartbeat", "WorkerLost", "Resolved"] == kinds(run)
        assert Heartbeat("1", 1, b'{"row":17}') == causes(run)[1]
