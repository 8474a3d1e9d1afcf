"""DBOS Transact for Python."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peers import postgres
from benchmarks.peers.contender import Contender

__all__ = ["DbosPostgreSQL", "DbosSQLite"]


class _Dbos(Contender):
    packages = ("dbos==3.4.0", "pysqlite3-binary==0.5.4.post2")
    driver = "drive_dbos.py"
    modules = "dbos"
    shapes = frozenset(
        {"one_run", "many_runs", "gather", "latency", "signal", "recovery", "replay", "listing", "memory", "imports"}
    )

    @property
    def environment_name(self) -> str:
        """Both kinds share one environment."""
        return "dbos"


class DbosSQLite(_Dbos):
    """On a file."""

    name = "dbos-sqlite"
    title = "DBOS, SQLite"
    durability = "SQLite, WAL, synchronous=FULL: each transaction is synced"
    settings = (
        "journal mode WAL, which is faster than the default; workflows started in threads, which is faster than its "
        "queues; looks for messages each 10 ms instead of each second where signals are measured; the rows that are "
        "listed are copies of one row"
    )

    def fresh(self, directory: Path) -> str:
        """Return the URL of a file that does not exist."""
        return f"sqlite:///{directory / 'dbos.sqlite'}"


class DbosPostgreSQL(_Dbos):
    """On a server."""

    name = "dbos-postgres"
    title = "DBOS, PostgreSQL"
    durability = "PostgreSQL with default settings: each transaction is synced"
    settings = (
        "defaults, in a database of its own; workflows started in threads; the rows that are listed are copies of one"
    )

    def set_up(self) -> None:
        """Start the server, too."""
        super().set_up()
        self._postgres = postgres.start()

    def version(self) -> str:
        """Return what is installed, with the server."""
        return f"{super().version()}, {self._postgres.version}"

    def fresh(self, directory: Path) -> str:
        """Return the URL of an empty database."""
        return self._postgres.fresh_database(self)
