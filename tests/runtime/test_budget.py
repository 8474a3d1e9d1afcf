"""Long histories are told in the log and in the history: once, then at each doubling, and not again after a restart."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from interp import (
    Engine,
    HistoryBudget,
    Run,
    RunCancelled,
    Status,
    Workflow,
    activity,
    await_signal,
    call,
    continue_as,
    workflow,
)
from interp.codec import ANY
from interp.definitions import workflow_of
from interp.events import Outgrown
from interp.replay import replay
from interp.runtime import open_store
from interp.runtime.worker import Worker, WorkerOptions
from interp.store import Store
from tests.runtime.helpers import WAIT, WAIT_S, causes, eventually, kinds

ROOT = Path(__file__).parents[2]
FOUR = HistoryBudget(records=4, replay=None)


@activity
def count(n: int) -> int:
    return n + 1


@workflow
def budgeted(steps: int) -> Workflow[int]:
    n = 0
    for _ in range(steps):
        n = yield from call(count, n)
    yield from await_signal("go")
    return n


def told(run: Run[Any]) -> list[int]:
    """Return the numbers of records that were told."""
    return [cause.records for cause in causes(run) if isinstance(cause, Outgrown)]


def warnings(caplog: pytest.LogCaptureFixture, run_id: str) -> list[str]:
    return [line for line in caplog.messages if line.startswith(f"run {run_id} of ") and "has a history" in line]


def test_a_long_history_is_told_at_the_budget_and_at_each_doubling(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with Engine(url, history_budget=FOUR) as engine:
        run = engine.start(budgeted, 20, id="long-1")
        run.signal("go")

        assert 20 == run.result(WAIT)
        assert [4, 8, 16] == told(run)
        assert ["4", "8", "16"] == [line.split()[8] for line in warnings(caplog, "long-1")]
        assert "continue_as(...)" in warnings(caplog, "long-1")[0]
        assert "docs/how-to/long-lives.md" in warnings(caplog, "long-1")[0]
        assert 20 == len([kind for kind in kinds(run) if kind == "Resolved"])
        replayed = replay(workflow_of(budgeted), run.history(), run_id=run.id)
        assert 16 == replayed.interpreter.told_records


def test_it_is_not_told_again_after_a_restart_or_an_eviction(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with Engine(url, history_budget=FOUR, cache=0) as engine:
        run = engine.start(budgeted, 5, id="long-2")
        eventually(lambda: run.status is Status.WAITING)
        assert [4] == told(run)
        caplog.clear()
    for _ in range(2):
        with Engine(url, history_budget=FOUR, cache=0) as engine:
            run = engine.get("long-2")
            before = run.row.length
            run.signal("other")
            while run.row.length == before:
                pass

    with Engine(url, history_budget=FOUR) as engine:
        run = engine.get("long-2")
        assert [4, 8] == told(run)
        assert 1 == len(warnings(caplog, "long-2"))


def test_a_history_of_before_is_told_once_it_grows(url: str) -> None:
    with Engine(url, history_budget=HistoryBudget(records=None)) as engine:
        run = engine.start(budgeted, 10, id="long-3")
        eventually(lambda: run.status is Status.WAITING)
        assert [] == told(run)

    with Engine(url, history_budget=FOUR) as engine:
        run = engine.get("long-3")
        run.signal("other")
        run.signal("go")
        assert 10 == run.result(WAIT)
        assert [12] == told(run), "its length then, not each mark that it has passed"


def test_a_fresh_journal_begins_with_a_fresh_budget(url: str, caplog: pytest.LogCaptureFixture) -> None:
    @workflow(name="budgeted_rounds")
    def rounds(left: int) -> Workflow[str]:
        for n in range(2):
            yield from call(count, n)
        if left:
            yield from continue_as(left - 1)
        return "done"

    with Engine(url, history_budget=FOUR) as engine:
        run = engine.start(rounds, 10, id="long-4")

        assert "done" == run.result(WAIT)
        assert ["Started", "Resolved", "Resolved"] == kinds(run)
        assert [] == warnings(caplog, "long-4")


def test_a_cancelled_run_is_told_and_cancelled_all_the_same(url: str) -> None:
    with Engine(url, history_budget=FOUR) as engine:
        run = engine.start(budgeted, 2, id="long-5")
        eventually(lambda: run.status is Status.WAITING)
        run.signal("other")
        eventually(lambda: told(run))
        run.cancel("enough")
        with pytest.raises(RunCancelled, match="enough"):
            run.result(WAIT)

        assert ["Started", "Resolved", "Resolved", "Signalled", "Outgrown", "CancelRequested"] == kinds(run)


def now() -> datetime:
    return datetime.now(UTC)


def move_on(store: Store, name: str, replay_s: float) -> None:
    """Let a worker take a signal to `long-6` in, whose replay takes so long by its stopwatch."""
    readings = itertools.chain([0.0], itertools.repeat(replay_s))
    worker = Worker(store, name, WorkerOptions(2, 10, now, stopwatch=lambda: next(readings)))
    thread = threading.Thread(target=worker.run)
    thread.start()
    Run("long-6", worker, ANY, "budgeted").signal("other")
    worker.wake()
    eventually(lambda: not store.inbox("long-6"))
    worker.stop(0)
    thread.join(WAIT_S)


def test_a_slow_replay_is_told_with_its_time_and_again_when_it_takes_twice_as_long(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store(url)
    with Engine(store) as engine:
        run: Run[Any] = engine.start(budgeted, 2, id="long-6")
        eventually(lambda: run.status is Status.WAITING)
    for n, seconds in enumerate((1.0, 1.5, 2.5, 4.9, 5.0)):
        move_on(store, f"worker-{n}", seconds)

    run = Run("long-6", Worker(store, "reader", WorkerOptions(1, 1, now)), ANY, "budgeted")
    slow = [cause.replay_us for cause in causes(run) if isinstance(cause, Outgrown)]
    assert [1_500_000, 4_900_000] == slow
    assert "whose replay took 1.5 s" in warnings(caplog, "long-6")[0]
    store.close()


PROGRAM = """
import os, signal, sys
from datetime import timedelta
from interp import Engine, HistoryBudget
from interp.runtime import open_store
from tests.runtime.test_budget import budgeted

store = open_store(sys.argv[1])
commit, commits = store.commit, 0

def dying(*args):
    global commits
    commits += 1
    refusals = commit(*args)
    if commits == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return refusals

store.commit = dying
with Engine(store, history_budget=HistoryBudget(records=4)) as engine:
    run = engine.start(budgeted, 20, id="one")
    run.signal("go")
    print(run.result())
"""


def test_a_worker_killed_at_any_commit_leaves_each_doubling_told_once(lmdb_url: str) -> None:
    for commits in (3, 5, 8, 10_000):
        command = [sys.executable, "-c", PROGRAM, lmdb_url, str(commits)]
        done = subprocess.run(command, cwd=ROOT, timeout=WAIT_S, check=False, capture_output=True, text=True)
        if done.returncode == 0:
            break
        assert -signal.SIGKILL == done.returncode, done.stderr

    assert "20\n" == done.stdout
    with Engine(lmdb_url, history_budget=FOUR) as engine:
        marks = told(engine.get("one"))
        assert len(engine.get("one").history()) < 2 * marks[-1] + 2
    assert 4 == marks[0]
    assert all(after >= 2 * before for before, after in itertools.pairwise(marks))
