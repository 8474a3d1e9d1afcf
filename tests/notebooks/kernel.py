"""Runs a notebook from top to bottom, as `jupyter execute` does, and finds out what it left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.explore.browser import needed

__all__ = ["LIMIT_S", "executed"]

# For the whole notebook, on a busy machine; alone each takes less than a quarter of it.
LIMIT_S = 100

# A process that a kernel started has this in its environment, whoever is its parent by now.
_MARK = "INTERP_TEST_OF_NOTEBOOK"


def executed(path: Path, settings: Path) -> tuple[Any, list[str]]:
    """Run all cells.

    Args:
        path: The notebook.
        settings: An empty directory for what Jupyter and IPython keep: none of the user's settings hold here.

    Returns:
        The notebook with its outputs, and the command lines of the processes that are still there after it.
    """
    notebook = needed("nbformat").read(path, as_version=4)
    mark = uuid4().hex
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INTERP_")}
    environment |= {_MARK: mark, "IPYTHONDIR": str(settings), "JUPYTER_RUNTIME_DIR": str(settings)}
    client = needed("nbclient").NotebookClient(
        notebook, timeout=LIMIT_S, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    )
    client.execute(env=environment)
    return notebook, _left_behind(mark)


def _left_behind(mark: str) -> list[str]:
    deadline = time.monotonic() + 5
    while (found := _marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)  # the kernel's own end
    return found


def _marked(mark: str) -> list[str]:
    """Command lines of the processes that carry a mark; none where there is no /proc."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{_MARK}={mark}".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it ended, or belongs to somebody else
            continue
    return found
