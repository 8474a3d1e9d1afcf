"""What holds for the notebooks as files. That they run is shown by test_headless.py and test_jupyterlab.py."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.plain import NOTEBOOKS, plain

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[str]:
    found: list[dict[str, Any]] = json.loads(path.read_text())["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def test_there_are_six_in_order() -> None:
    assert ["01", "02", "03", "04", "05", "06"] == [path.name[:2] for path in NOTEBOOKS]


@every_notebook
def test_outputs_are_stripped(path: Path) -> None:
    assert path.read_text() == plain(path.read_text()), "make it so:  python -m tests.notebooks.plain"


@every_notebook
def test_nothing_of_a_run_is_kept(path: Path) -> None:
    notebook = json.loads(path.read_text())
    notebook["cells"][1] |= {"cell_type": "code", "execution_count": 3, "outputs": [{"output_type": "stream"}]}
    notebook["cells"][1] |= {"metadata": {"scrolled": True}, "id": "0b5f2e"}
    notebook["metadata"]["widgets"] = {"state": {}}

    stripped = plain(json.dumps(notebook))

    kept = json.loads(stripped)["cells"][1]
    assert (kept["execution_count"], kept["outputs"], kept["metadata"], kept["id"]) == (None, [], {}, "cell-02")
    assert "widgets" not in stripped


@every_notebook
def test_it_begins_with_a_title_and_ends_with_where_to_go(path: Path) -> None:
    first, *_, last = cells(path, "markdown")

    assert first.startswith("# ")
    assert last.startswith("## Read on\n")


@every_notebook
def test_links_lead_to_files_that_are_there(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", "\n".join(cells(path, "markdown")))

    assert links
    assert [] == [link for link in links if "://" not in link and not (path.parent / link).exists()]


@every_notebook
def test_cells_are_short(path: Path) -> None:
    # What is longer than a screen is not read; but for a program that is written into a file, one story by itself.
    def most(cell: str) -> int:
        return 70 if cell.startswith("%%writefile") else 30

    assert [] == [cell for cell in cells(path, "code") if len(cell.splitlines()) > most(cell)]


@every_notebook
def test_code_cells_are_python(path: Path) -> None:
    for cell in cells(path, "code"):
        ast.parse(re.sub(r"^%.*$", "", cell, flags=re.MULTILINE), str(path))
