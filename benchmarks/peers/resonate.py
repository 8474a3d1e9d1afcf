"""Resonate."""

from __future__ import annotations

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
    durability = "none: its local network keeps everything in memory"
    settings = "defaults"
    is_durable = False
    oldest = (3, 12)
    parts = frozenset()
