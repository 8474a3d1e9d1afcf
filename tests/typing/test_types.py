"""The files beside this one hold what type checkers must infer, and what they must refuse.

Here mypy reads them; `make types` runs pyright on them, too.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_mypy_infers_and_refuses_what_the_files_here_say() -> None:
    pytest.importorskip("mypy", reason="comes with interp[lint]")
    command = [sys.executable, "-m", "mypy", "tests/typing"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
