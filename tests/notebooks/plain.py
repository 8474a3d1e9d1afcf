"""Notebooks as they are kept in git: without what running them left behind, and written one way.

After you changed a notebook in JupyterLab:  python -m tests.notebooks.plain
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["NOTEBOOKS", "plain"]

NOTEBOOKS = sorted((Path(__file__).parent.parent.parent / "notebooks").glob("*.ipynb"))

_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def plain(written: str) -> str:
    """Take outputs, counts and metadata out of a notebook.

    Args:
        written: The file, as any tool wrote it.
    """
    notebook = json.loads(written)
    cells = [_cell(cell, f"cell-{number:02}") for number, cell in enumerate(notebook["cells"], 1)]
    kept = {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _cell(cell: dict[str, Any], cell_id: str) -> dict[str, Any]:
    source = "".join(cell["source"]).rstrip()
    kept = {
        "cell_type": cell["cell_type"],
        "id": cell_id,
        "metadata": {},
        "source": source.splitlines(keepends=True),
    }
    return kept | ({"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {})


if __name__ == "__main__":
    for path in NOTEBOOKS:
        path.write_text(plain(path.read_text()))
