"""A process that is killed in the middle of a transact leaves nothing of it, and the lock to others."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from interp import Engine, RunParked, Status
from interp.events import Resolved, Started, WorkerLost
from tests.crash.dying_inside import killed_inside

ROOT = Path(__file__).parents[2]
WAIT_S = 60


def die(url: str) -> None:
    command = [sys.executable, "-m", "tests.crash.dying_inside", url, "run", str(os.getpid())]

    assert -signal.SIGKILL == subprocess.run(command, cwd=ROOT, timeout=WAIT_S, check=False).returncode


def test_what_a_killed_process_wrote_is_gone_and_the_next_worker_does_it_once(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/journal"
    die(url)
    with Engine(url) as engine:
        run = engine.start(killed_inside, os.getpid(), id="run")

        assert 1 == run.result()
        assert [Started, WorkerLost, Resolved] == [type(record.cause) for record in run.history()]
        assert () == run.repeated_calls()
        with engine.transaction(write=False) as tx:
            assert b"1" == tx.table("sums").get(b"a")


def test_a_transact_that_kills_one_worker_after_the_other_is_parked(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/journal"
    die(url)
    die(url)
    with Engine(url, poison_after=2) as engine:
        run = engine.get("run")
        with pytest.raises(RunParked, match=r"add_and_die \(command 1, dying_inside.py"):
            run.result()
        run.retry()

        assert 1 == run.result()
        assert run.status is Status.COMPLETED
