"""The AWS durable execution SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from benchmarks.peers.contender import Contender

__all__ = ["Aws"]


class Aws(Contender):
    """On the local runner that it brings for tests: the service itself is in the cloud."""

    name = "aws"
    title = "AWS durable SDK, in memory"
    packages = ("aws-durable-execution-sdk-python==3.0.0", "aws-durable-execution-sdk-python-testing==1.4.0")
    driver = "drive_aws.py"
    modules = "aws_durable_execution_sdk_python"
    shapes = frozenset({"one_run", "many_runs", "gather", "latency", "replay", "imports"})
    cannot: ClassVar[Mapping[str, str]] = {
        "signal": "its local runner takes callbacks within its own process only",
        "recovery": "nothing of it survives its process",
        "listing": "nothing of it survives its process",
        "memory": "the runs of its local runner do not wait for signals",
    }
    durability = "none: its local runner keeps everything in memory"
    settings = "looks for results each 10 ms instead of each second; sleeps are skipped"
    is_durable = False
    prepared = frozenset()
