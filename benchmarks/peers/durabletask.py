"""durabletask: generators, as ours, with a server behind them."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from benchmarks.peers.contender import Contender

__all__ = ["DurableTask"]


class DurableTask(Contender):
    """On the server in memory that it brings for tests: the real ones are not in any package."""

    name = "durabletask"
    title = "durabletask, in memory"
    packages = ("durabletask==1.12.0",)
    driver = "drive_durabletask.py"
    modules = "durabletask.client,durabletask.task,durabletask.worker"
    shapes = frozenset({"one_run", "many_runs", "gather", "latency", "signal", "replay", "memory", "imports"})
    cannot: ClassVar[Mapping[str, str]] = {
        "recovery": "nothing of it survives its process",
        "listing": "nothing of it survives its process",
    }
    durability = "none: its server for tests keeps everything in memory"
    settings = "64 work items at once, 16 threads; replay is that of its executor alone, over a history made here"
    is_durable = False
    prepared = frozenset()

    def fresh(self, directory: Path) -> str:
        """Return an address at which nobody listens."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return f"127.0.0.1:{probe.getsockname()[1]}"
