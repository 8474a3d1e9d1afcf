"""Restate: a server in Rust, and services that it calls."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from benchmarks.peers.contender import Contender, Unavailable, place_of, run_tool

__all__ = ["Restate"]

_SERVER = "1.7.12"


class Restate(Contender):
    """The real server, and its Python SDK under hypercorn."""

    name = "restate"
    title = "Restate"
    packages = ("restate-sdk==1.3.0", "hypercorn==0.18.0")
    driver = "drive_restate.py"
    modules = "restate"
    shapes = frozenset(
        {"one_run", "many_runs", "gather", "latency", "signal", "recovery", "replay", "memory", "imports"}
    )
    cannot: ClassVar[Mapping[str, str]] = {"listing": "making so many runs takes too long, and rows cannot be copied"}
    durability = "one node with default settings: its log in RocksDB is synced before a step counts"
    settings = (
        "the server from npm, one hypercorn worker with the settings that the SDK documents, telemetry off; memory is "
        "that of server and service; the import is that of the SDK alone"
    )
    # Replay is measured within one process: the workflow fails behind its last step, and is tried again.
    prepared = frozenset({"recovery"})
    killed = frozenset({"recovery"})

    def set_up(self) -> None:
        """Install the server, too."""
        machine = {"x86_64": "linux-x64", "aarch64": "linux-arm64"}.get(platform.machine())
        if platform.system() != "Linux" or machine is None:
            raise Unavailable(f"measured on Linux only, not on {platform.system()} {platform.machine()}")
        super().set_up()
        place = place_of(self.name)
        self._server = place / "node_modules" / "@restatedev" / f"restate-server-{machine}" / "bin" / "restate-server"
        if not self._server.exists():
            print("installing the server of restate ...", flush=True)
            package = f"@restatedev/restate-server@{_SERVER}"
            run_tool(["npm", "install", "--no-save", "--ignore-scripts", "--prefix", str(place), package])
        if not self._server.exists():
            raise Unavailable(f"npm installed no {self._server.relative_to(place)}")

    def version(self) -> str:
        """Return what is installed, with the server."""
        return f"{run_tool([str(self._server), '--version']).split('(')[0].strip()}, {super().version()}"

    def variables(self) -> dict[str, str]:
        """Say where the server is, and where the service finds what it imports."""
        return {"RESTATE_SERVER": str(self._server), "PYTHONPATH": str(Path(__file__).parent / "drivers")}
