"""A run that moves on to a newer version is killed before and after every commit on its way."""

import hashlib
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from interp import RunFilter, Status
from interp.events import Signalled, Started, decode_event, decode_transition, encode_event
from interp.runtime import open_store
from interp.store import Create, Post, Store
from tests.runtime.helpers import WAIT_S

ROOT = Path(__file__).parents[2]

# Version 1 bills once a round; its second round is version 2, which takes the total as TYPE says and ends.
PROGRAM = """
import os, signal, sys
from datetime import timedelta
from interp import Engine, RunParked, activity, await_signal, call, continue_as, workflow
from interp.runtime import open_store

url, ledger, moment, commits = *sys.argv[1:4], int(sys.argv[4])

@activity
def bill(what: str) -> int:
    with open(ledger, "a") as file:
        file.write(what + "\\n")
    return 1

@workflow(name="moving_on")
def version_1(total: int):
    total += yield from await_signal("add", int)
    total += yield from call(bill, "by-1")
    yield from continue_as(total)

@workflow(name="moving_on", version=2)
def version_2(total: TYPE):
    total += yield from call(bill, "by-2")
    return total + (yield from await_signal("add", int))

store = open_store(url)
commit, done = store.commit, 0

def dying(*args):
    global done
    done += 1
    if done == commits and moment == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    refusals = commit(*args)
    if done == commits and moment == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return refusals

store.commit = dying
with Engine(store, grace=timedelta(0), poison_after=None) as engine:
    run = engine.start(version_1, 10, id="one")
    while run.status == "parked" and run.row.misfit and "dict" not in "TYPE":
        pass  # the look around has not come to it yet
    try:
        print(run.result())
    except RunParked:
        print("parked")
"""


def lives(directory: Path, url: str, moment: str, commits: int, kind: str = "int") -> str:
    """Let a process live until it is killed at a commit; returns what it said, or nothing when it was."""
    program = PROGRAM.replace("TYPE", kind)
    (directory / "moving.py").write_text(program)
    command = [sys.executable, str(directory / "moving.py"), url, str(directory / "ledger"), moment, str(commits)]
    done = subprocess.run(command, cwd=ROOT, timeout=WAIT_S, check=False, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.stdout.strip()


def prepare(store: Store) -> None:
    """Create the run, with a signal for each round."""
    digest = hashlib.blake2b(b"[10]", digest_size=16).digest()
    started = Started("moving_on", b"[10]", bytes(16))
    assert store.create(Create("one", "moving_on", digest, encode_event(started)), 1)
    for number in (b"100", b"1000"):
        store.post(Post("one", encode_event(Signalled("add", number))), 1)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_at_every_commit_it_moves_on_once_and_loses_nothing(tmp_path: Path, moment: str) -> None:
    url = f"lmdb://{tmp_path}/journal"
    store = open_store(url)
    prepare(store)
    said = lives(tmp_path, url, moment, 1)
    assert "" == said, "it was killed"
    for commits in (2, 3, 10_000):
        said = said or lives(tmp_path, url, moment, commits)

    assert "1112" == said
    (row,) = store.runs(RunFilter())
    assert ("moving_on@2", Status.COMPLETED) == (row.workflow, row.status)
    started = decode_transition(next(iter(store.history("one")))).cause
    assert isinstance(started, Started) and ("moving_on@2", 1) == (started.workflow, started.round)
    assert {"by-1", "by-2"} == set((tmp_path / "ledger").read_text().split())
    store.close()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_while_it_is_parked_at_its_new_start_it_goes_on_when_the_version_is_mended(
    tmp_path: Path, moment: str
) -> None:
    url = f"lmdb://{tmp_path}/journal"
    store = open_store(url)
    prepare(store)
    said = lives(tmp_path, url, moment, 2, "dict[str, int]")
    assert "" == said, "it was killed"
    for commits in (3, 10_000):
        said = said or lives(tmp_path, url, moment, commits, "dict[str, int]")

    assert "parked" == said
    row = store.run("one")
    assert row is not None and ("moving_on@2", 0, True) == (row.workflow, row.length, row.misfit)
    inbox = [decode_event(message.body) for message in store.inbox("one")]
    assert 1 == sum(isinstance(event, Started) for event in inbox)
    billed = (tmp_path / "ledger").read_text()

    assert "1112" == lives(tmp_path, url, moment, 10_000)
    assert billed + "by-2\n" == (tmp_path / "ledger").read_text(), "what the old round has paid is not paid again"
    store.close()
