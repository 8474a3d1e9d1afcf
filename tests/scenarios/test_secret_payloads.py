"""The program of examples/scenarios/secret_payloads.py, run as its docstring says."""

import os
import subprocess
import sys
from pathlib import Path

from interp import Encrypted

ROOT = Path(__file__).parents[2]
NAME = "Ada Lovelace"


def told(place: Path, *words: str, key: str = "") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "INTERP_STORE": f"lmdb://{place}/journal", "ACCOUNTS_KEY": key}
    env["COLUMNS"] = "160"
    return subprocess.run(words, cwd=place, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_journal_tells_the_customer_to_nobody_without_the_key(tmp_path: Path) -> None:
    key, new_key = Encrypted.new_key(), Encrypted.new_key()
    opening = (sys.executable, "-m", "examples.scenarios.secret_payloads", "customer-7", NAME, "1815-12-10")
    interp = str(Path(sys.executable).with_name("interp"))
    with_codec = ("--codec", "examples.scenarios.secret_payloads:codec")

    opened = told(tmp_path, *opening, key=key)
    again = told(tmp_path, *opening, key=f"{new_key} {key}")

    assert opened.stdout.startswith(f"account of {NAME}: check-"), opened.stderr
    assert opened.stdout == again.stdout
    assert b"Lovelace" not in (tmp_path / "journal" / "data.mdb").read_bytes()
    shown = told(tmp_path, interp, "show", "customer-7").stdout
    assert "call check_identity(‹encrypted›)  → ‹encrypted›" in shown
    assert NAME not in shown
    assert NAME in told(tmp_path, interp, "show", "customer-7", *with_codec, key=key).stdout
    assert "‹encrypted›" in told(tmp_path, interp, "show", "customer-7", *with_codec, key=new_key).stdout
    assert "set ACCOUNTS_KEY" in told(tmp_path, *opening).stderr
