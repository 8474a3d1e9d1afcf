"""Resonate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from benchmarks.peers.contender import Contender

__all__ = ["Resonate"]


class Resonate(Contender):
    """On the local network that it brings: its server is not in any package."""

    name = "resonate"
    title = "Resonate, in memory"
    packages = ("resonate-sdk==0.8.1",)
    driver = "drive_resonate.py"
    modules = "resonate.resonate,resonate.context"
    shapes = frozenset({"one_run", "many_runs", "gather", "latency", "imports"})
    cannot: ClassVar[Mapping[str, str]] = {
        "signal": "its local network is reached within its own process only",
        "recovery": "nothing of it survives its process",
        "replay": "nothing of it survives its process",
        "listing": "nothing of it survives its process",
        "memory": "the runs of its local network do not wait for signals",
    }
    durability = "none: its local network keeps everything in memory"
    settings = "defaults"
    is_durable = False
    oldest = (3, 12)
    prepared = frozenset()
