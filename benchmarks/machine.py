"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers.contender import ROOT

__all__ = ["machine"]


def machine() -> dict[str, Any]:
    """Describe the machine and the software in between."""
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "file_system": _file_system(),
        "python": _python(),
        "commit": _commit(),
        "load": round(os.getloadavg()[0], 2),
    }


def _python() -> str:
    """Return which Python it is, and where it is from: two builds of one version differ by a sixth of their speed."""
    return f"{platform.python_implementation()} {platform.python_version()} of {sys.base_prefix}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system() -> str:
    """Return the type of the file system that the stores are on."""
    found = subprocess.run(["stat", "-f", "-c", "%T", str(ROOT)], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _commit() -> str:
    found = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"
