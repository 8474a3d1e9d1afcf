"""Temporal: its Replayer alone. The server is not in any package, and durable steps need it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from benchmarks.peers.contender import Contender

__all__ = ["Temporal"]


class Temporal(Contender):
    """The core in Rust, and the Python SDK over it."""

    name = "temporal"
    title = "Temporal (Replayer)"
    packages = ("temporalio==1.35.0",)
    driver = "drive_temporal.py"
    modules = "temporalio.client,temporalio.worker,temporalio.workflow,temporalio.activity"
    shapes = frozenset({"replay", "imports"})
    cannot: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("one_run", "many_runs", "gather", "latency", "signal", "recovery", "listing", "memory"), "its server is needed"
    )
    durability = "nothing is recorded: only replay is measured, which needs no server"
    settings = "histories made here, with the events a server writes; without the sandbox, which makes it faster"
    is_durable = False
    prepared = frozenset()
