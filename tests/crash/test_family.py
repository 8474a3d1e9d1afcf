"""A run and its children are killed together, again and again."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from interp import RunFilter
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
