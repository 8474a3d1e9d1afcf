"""Drives `benchmarks/sleepers.py` as one of the shapes: a million runs that sleep for a year."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from driving import Numbers, main

_PROGRAM = Path(__file__).parents[2] / "sleepers.py"


def sleepers(runs: int, place: str) -> Numbers:
    """Fill a store and wake sleepers in it from a new process."""
    command = [sys.executable, str(_PROGRAM), "--runs", str(runs), "--store", place, "--json"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    numbers: Numbers = json.loads(printed.splitlines()[-1])
    return numbers


if __name__ == "__main__":
    main({"sleepers": sleepers})
