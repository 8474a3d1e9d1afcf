"""A run and its children are killed together, again and again."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from interp import RunFilter, Status
from interp.events import ChildEnded, Resolved, decode_transition
from interp.runtime import open_store
from tests.crash.family import CHILDREN

ROOT = Path(__file__).parents[2]


def lines(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def test_no_child_is_lost_or_made_twice_and_no_signal_either(tmp_path: Path) -> None:
    url, log = f"lmdb://{tmp_path}/journal", tmp_path / "log"
    command = [sys.executable, "-m", "tests.crash.family", url, str(log)]
    chance = random.Random(2026)
    kills = 0
    while kills < 6:
        target = len(lines(log)) + chance.randrange(1, 20)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            while len(lines(log)) < min(target, 2 * CHILDREN) and process.poll() is None:
                pass
            process.kill()
        kills += 1
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=True)

    numbers = list(range(CHILDREN))
    assert eval(finished.stdout) == ([number + CHILDREN for number in numbers], numbers)
    store = open_store(url)
    runs = [row.id for row in store.runs(RunFilter())]
    store.close()
    assert len(runs) == 1 + CHILDREN and len(set(runs)) == len(runs)
    made = Counter(lines(log))
    assert set(made) == {str(number) for number in range(2 * CHILDREN)}
    assert sum(made.values()) <= 2 * CHILDREN + (kills + 1) * 64, "only what was in flight at a kill is made again"


def large_family_survives(tmp_path: Path, *, children: int, limit: int, kills: int) -> None:
    url, log = f"lmdb://{tmp_path}/journal", tmp_path / "log"
    command = [sys.executable, "-m", "tests.crash.family", url, str(log), str(children), str(limit)]
    chance = random.Random(2026)
    killed = 0
    for _ in range(kills):
        target = min(log.stat().st_size if log.exists() else 0, children * 20)
        target += chance.randrange(1, max(children * 20 // kills, 2))  # in bytes, about 20 for an effect
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            while (log.stat().st_size if log.exists() else 0) < target and process.poll() is None:
                time.sleep(0.001)
            killed += process.poll() is None
            process.kill()
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3_600, check=True)

    result = eval(finished.stdout)
    effects = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    assert killed
    assert list(range(children)) == [number for number, _ in result]
    assert set(result) <= set(effects), "a result is that of a real effect"
    assert children <= len(effects) <= children + (killed + 1) * limit, "only what was in flight is made again"
    store = open_store(url)
    rows = store.runs(RunFilter())
    ended = [decode_transition(record).cause for record in store.history("family")]
    answers = Counter(event.id for event in ended if isinstance(event, ChildEnded))
    recorded = [
        sum(isinstance(decode_transition(record).cause, Resolved) for record in store.history(row.id))
        for row in rows
        if row.id != "family"
    ]
    store.close()
    assert {Status.COMPLETED} == {row.status for row in rows}
    assert [1] * children == recorded, "each child has one effect on record"
    assert [1] * children == list(answers.values()), "the parent has heard of each once"


def test_a_family_of_which_few_are_open_at_a_time_survives(tmp_path: Path) -> None:
    large_family_survives(tmp_path, children=150, limit=20, kills=3)


@pytest.mark.soak
def test_ten_thousand_children_survive(tmp_path: Path) -> None:
    large_family_survives(tmp_path, children=10_000, limit=100, kills=8)
