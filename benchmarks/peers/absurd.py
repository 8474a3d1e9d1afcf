"""Absurd: durable tasks as stored procedures of PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from benchmarks.peers import postgres
from benchmarks.peers.contender import Contender, run_tool

__all__ = ["Absurd"]


class Absurd(Contender):
    """Its Python SDK, with a worker of threads."""

    name = "absurd"
    title = "Absurd"
    packages = ("absurd-sdk==0.5.1", "absurdctl==0.5.1", "psycopg[binary]==3.3.9")
    driver = "drive_absurd.py"
    modules = "absurd_sdk"
    shapes = frozenset({"one_run", "many_runs", "latency", "signal", "recovery", "replay", "memory", "imports"})
    cannot: ClassVar[Mapping[str, str]] = {
        "gather": "a task takes its steps one after the other",
        "listing": "its SDK does not list tasks",
    }
    durability = "PostgreSQL with default settings: each transaction is synced"
    settings = (
        "looks for work each 10 ms instead of each 250; 16 tasks at once in threads; a killed worker's claims run out "
        "before its recovery is measured; its replay reads a dictionary of results and compares nothing"
    )

    def set_up(self) -> None:
        """Start the server, too."""
        super().set_up()
        self._postgres = postgres.start()

    def version(self) -> str:
        """Return what is installed, with the server."""
        return f"{super().version()}, {self._postgres.version}"

    def fresh(self, directory: Path) -> str:
        """Return the URL of a database that holds nothing but its schema."""
        place = self._postgres.fresh_database(self)
        tool = Path(self.python).parent / "absurdctl"
        search = f"{self._postgres.programs}:/usr/bin:/bin"
        run_tool([str(tool), "init"], variables={"ABSURD_DATABASE_URL": place, "PATH": search})
        return place
