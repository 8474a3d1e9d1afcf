"""interp itself, and the limits of disk and Python."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.peers import postgres
from benchmarks.peers.contender import ROOT, Contender, Unavailable

__all__ = ["Interp", "Limits"]


class Interp(Contender):
    """Ours, with every default."""

    name = "interp"
    title = "interp"
    packages = ("interp", "lmdb", "msgspec")
    driver = "drive_interp.py"
    modules = "interp"
    shapes = frozenset(
        {"one_run", "many_runs", "gather", "latency", "signal", "recovery", "replay", "listing", "sleepers"}
        | {"memory", "imports"}
    )
    durability = "LMDB, `full`: a step counts when its record is synced, data and head page; survives power loss"
    settings = "defaults: 64 threads, 1,000 idle runs kept in memory, store in a directory of its own"
    killed = frozenset({"recovery"})

    def set_up(self) -> None:
        """Nothing: it is what runs this."""

    def variables(self) -> dict[str, str]:
        """Measure this tree, wherever it is run from."""
        return {"PYTHONPATH": str(ROOT)}

    def run(self, shape: str, size: int, directory: Path, limit_s: float) -> dict[str, float]:
        """Measure, the sleepers by their own program."""
        if shape == "sleepers":
            return self._sleepers(size, directory, limit_s)
        return super().run(shape, size, directory, limit_s)

    def _sleepers(self, runs: int, directory: Path, limit_s: float) -> dict[str, float]:
        until = time.monotonic() + limit_s
        return self.drive("sleepers", runs, str(directory), until, driver="drive_sleepers.py")


class Limits(Contender):
    """The rulers."""

    name = "limits"
    title = "raw limits"
    driver = "drive_limits.py"
    modules = "lmdb"
    shapes = frozenset({"limits"})
    durability = "each write or commit synced"
    settings = "PostgreSQL: one connection, one prepared insert per commit"

    def set_up(self) -> None:
        """Start PostgreSQL, if there is one."""
        try:
            self._postgres: postgres.PostgreSQL | None = postgres.start()
        except Unavailable as unavailable:
            self._postgres = None
            print(f"no ruler of PostgreSQL: {unavailable}", flush=True)

    def version(self) -> str:
        """Return the servers and kernels that these numbers are of."""
        return f"Linux {os.uname().release}" + (f", {self._postgres.version}" if self._postgres else "")

    def variables(self) -> dict[str, str]:
        """Measure this tree, wherever it is run from."""
        return {"PYTHONPATH": str(ROOT)}

    def run(self, shape: str, size: int, directory: Path, limit_s: float) -> dict[str, float]:
        """Measure all rulers."""
        until = time.monotonic() + limit_s
        numbers = self.drive("limits", size, str(directory), until)
        if self._postgres is not None:
            place, python = f"{self._postgres.url}/limits", self._postgres.python
            self.drive("fresh", 1, place, until, driver="drive_postgres.py", python=python)
            numbers |= self.drive("commit", size, place, until, driver="drive_postgres.py", python=python)
        return numbers
