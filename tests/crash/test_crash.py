"""Real processes, really killed: what was recorded stays recorded, and is never done again.

A failure prints its seed; `INTERP_CRASH_SEED=...` starts with it again (the machine still has a say in the moments).
"""

import itertools
import json
import os
import random
import secrets
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest

from interp import Engine
from interp.events import Started
from tests.crash.evidence import Evidence
from tests.crash.program import LEGS, SIGNALS, STAGES, STEPS, killed_in_a_crowd, killed_long

ROOT = Path(__file__).parents[2]

# Nothing takes so long; whoever waits so long has found a bug.
WAIT_S = 120


@attrs.define
class Program:
    """The program under test, from one life to the next."""

    url: str
    log: Path
    results: Path
    workflow: str
    run_ids: list[str]

    def start(self) -> "subprocess.Popen[bytes]":
        """Begin a life; returns when the runs are started and recovery is under way."""
        command = [sys.executable, "-m", "tests.crash.program", self.url, str(self.log), str(self.results)]
        process = subprocess.Popen([*command, self.workflow, *self.run_ids], cwd=ROOT, stdout=subprocess.PIPE)
        await_byte(process, b"r")
        return process

    def finish(self, process: "subprocess.Popen[bytes]") -> dict[str, Any]:
        """Let the program end by itself; returns the results of its runs."""
        process.communicate(timeout=WAIT_S)
        assert 0 == process.returncode
        values: dict[str, Any] = json.loads(self.results.read_text())
        return values


def await_byte(process: "subprocess.Popen[bytes]", wanted: bytes, count: int = 1) -> bool:
    """Wait for a byte that the program writes; False if it ends before."""
    assert process.stdout is not None
    while count:
        byte = process.stdout.read(1)
        if not byte:
            return False
        count -= byte == wanted
    return True


def kill(process: "subprocess.Popen[bytes]") -> bool:
    """Kill a program; False if it had ended by itself."""
    process.kill()
    process.communicate(timeout=WAIT_S)
    return process.returncode != 0


@pytest.fixture
def chance() -> random.Random:
    seed = os.environ.get("INTERP_CRASH_SEED") or secrets.token_hex(4)
    print(f"INTERP_CRASH_SEED={seed}")
    return random.Random(seed)


def program(tmp_path: Path, workflow: str, run_ids: list[str]) -> Program:
    return Program(f"lmdb://{tmp_path}/journal", tmp_path / "log", tmp_path / "results", workflow, run_ids)


def uncrashed_long() -> list[Any]:
    """Return what a run gives that nobody kills."""
    with Engine("memory:") as engine:
        run = engine.start(killed_long, STAGES)
        for n in range(SIGNALS):
            run.signal("number", n)
        assert 200 <= sum(len(transition.commands) for transition in run.history()) or not run.status.ended
        value = run.result()
        assert 200 <= sum(len(transition.commands) for transition in run.history())
    return value


def random_kills(tmp_path: Path, chance: random.Random, *, kills: int, runs: int) -> None:
    """Kill the program at random moments, batch of runs after batch, and let the last batch end."""
    expected = uncrashed_long()
    evidence = Evidence(f"lmdb://{tmp_path}/journal", tmp_path / "log")
    killed = 0
    for batch in itertools.count():
        long = program(tmp_path, "killed_long", [f"batch{batch}-{n}" for n in range(runs)])
        process = long.start()
        command = [sys.executable, "-m", "tests.crash.sender", long.url, str(long.log), str(SIGNALS), *long.run_ids]
        with subprocess.Popen(command, cwd=ROOT) as sender:
            while killed < kills:
                try:
                    process.wait(chance.uniform(0, 0.3))
                    break
                except subprocess.TimeoutExpired:
                    killed += kill(process)
                evidence.take()
                process = long.start()
            results = long.finish(process)
            assert 0 == sender.wait(WAIT_S)
        evidence.take()
        assert dict.fromkeys(long.run_ids, expected) == results
        if killed >= kills:
            return


def test_runs_that_are_killed_at_random_moments_end_as_if_nothing_had_happened(
    tmp_path: Path, chance: random.Random
) -> None:
    random_kills(tmp_path, chance, kills=30, runs=5)


@pytest.mark.soak
def test_runs_survive_a_thousand_kills(tmp_path: Path, chance: random.Random) -> None:
    random_kills(tmp_path, chance, kills=1_000, runs=12)


def takeover_kills(tmp_path: Path, chance: random.Random, *, kills: int, runs: int) -> None:
    """Let two programs share the runs, and kill one of them again and again under the eyes of the other."""
    expected = uncrashed_long()
    long = program(tmp_path, "killed_long", [f"run{n}" for n in range(runs)])
    evidence = Evidence(long.url, long.log)
    processes = [long.start(), long.start()]
    at_work = 0
    command = [sys.executable, "-m", "tests.crash.sender", long.url, str(long.log), str(SIGNALS), *long.run_ids]
    with subprocess.Popen(command, cwd=ROOT) as sender:
        for _ in range(kills):
            victim = processes.pop(chance.randrange(2))
            with suppress(subprocess.TimeoutExpired):
                victim.wait(chance.uniform(0, 0.3))
            kill(victim)
            at_work += any(not row.status.ended for row in evidence.take().rows.values())
            processes.append(long.start())
        assert 0 == sender.wait(WAIT_S)
    for process in processes:
        assert dict.fromkeys(long.run_ids, expected) == long.finish(process)
    evidence.take()


def test_runs_of_a_killed_process_go_on_in_another_that_lives(tmp_path: Path, chance: random.Random) -> None:
    takeover_kills(tmp_path, chance, kills=8, runs=5)


@pytest.mark.soak
def test_two_processes_survive_hundreds_of_kills(tmp_path: Path, chance: random.Random) -> None:
    for n in range(20):
        (tmp_path / str(n)).mkdir()
        takeover_kills(tmp_path / str(n), chance, kills=20, runs=15)


def group_commit_kills(tmp_path: Path, chance: random.Random, *, kills: int, runs: int) -> None:
    """Kill the program in the middle of commits of many runs; then let it end."""
    crowd = program(tmp_path, "killed_in_a_crowd", [f"run{n}" for n in range(runs)])
    evidence = Evidence(crowd.url, crowd.log)
    killed = 0
    while killed < kills:
        process = crowd.start()
        await_byte(process, b"c", chance.randint(1, 6))
        try:
            process.wait(chance.uniform(0, 0.004))
        except subprocess.TimeoutExpired:
            killed += kill(process)
        unfinished = sum(not row.status.ended for row in evidence.take().rows.values())
        assert unfinished >= 100, "the kill came too late to meet a hundred runs in flight"

    results = crowd.finish(crowd.start())

    last = evidence.take()
    with Engine("memory:") as engine:
        expected = engine.start(killed_in_a_crowd, STEPS).result()
    assert dict.fromkeys(crowd.run_ids, expected) == results
    workers = {
        transition.cause.worker for _, [transition, *_] in last.histories() if isinstance(transition.cause, Started)
    }
    assert workers


def test_a_kill_during_a_group_commit_of_a_hundred_runs_loses_none_of_them(
    tmp_path: Path, chance: random.Random
) -> None:
    group_commit_kills(tmp_path, chance, kills=6, runs=150)


@pytest.mark.soak
def test_group_commits_survive_hundreds_of_kills(tmp_path: Path, chance: random.Random) -> None:
    for n in range(20):
        (tmp_path / str(n)).mkdir()
        group_commit_kills(tmp_path / str(n), chance, kills=15, runs=400)


def saga_kills(tmp_path: Path, chance: random.Random, *, kills: int, runs: int) -> None:
    """Kill the program while trips are booked and undone; then let them end."""
    trips = program(tmp_path, "killed_trip", [f"run{n}" for n in range(runs)])
    evidence = Evidence(trips.url, trips.log)
    in_flight = 0
    for _ in range(kills):
        process = trips.start()
        await_byte(process, b"c", chance.randint(1, 60))
        kill(process)
        in_flight += any(not row.status.ended for row in evidence.take().rows.values())
    assert in_flight, "the kills came too late to meet a run"

    results = trips.finish(trips.start())

    evidence.take()
    assert dict.fromkeys(trips.run_ids, "no car") == results
    lines = [line.split() for line in trips.log.read_text().splitlines()]
    for run_id in trips.run_ids:
        undone = [line[4] for line in lines if line[:2] == ["end", run_id] and line[4].endswith("-undo")]
        # A step whose process died before its record is repeated, which shows twice in a row.
        steps = [label for label, _ in itertools.groupby(undone)]
        assert [f"{leg}-book-undo" for leg in reversed(range(LEGS))] == steps


def test_a_saga_that_is_killed_undoes_all_that_it_did_in_reverse(tmp_path: Path, chance: random.Random) -> None:
    saga_kills(tmp_path, chance, kills=8, runs=3)


@pytest.mark.soak
def test_sagas_survive_hundreds_of_kills(tmp_path: Path, chance: random.Random) -> None:
    for n in range(20):
        (tmp_path / str(n)).mkdir()
        saga_kills(tmp_path / str(n), chance, kills=15, runs=10)
