"""A program with encrypted values is killed, again and again."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from interp import Encrypted
from tests.crash.sealed import SECRET, STEPS

ROOT = Path(__file__).parents[2]


def test_encrypted_runs_go_on_after_each_kill_and_leave_no_value_on_disk(tmp_path: Path) -> None:
    url, log = f"lmdb://{tmp_path}/journal", tmp_path / "log"
    command = [sys.executable, "-m", "tests.crash.sealed", url, str(log), Encrypted.new_key()]
    chance = random.Random(2026)
    kills = 0
    for _ in range(4):
        target = len(log.read_text().split() if log.exists() else []) + chance.randrange(1, STEPS // 5)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            while len(log.read_text().split() if log.exists() else []) < target and process.poll() is None:
                time.sleep(0.001)
            kills += process.poll() is None
            process.kill()
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=True)

    assert [f"{number} {SECRET}" for number in range(STEPS)] == eval(finished.stdout)
    made = Counter(log.read_text().split())
    assert kills
    assert set(made) == set(map(str, range(STEPS)))
    assert sum(made.values()) <= STEPS + kills
    assert SECRET.encode() not in (tmp_path / "journal" / "data.mdb").read_bytes()
