"""The notebooks in a real JupyterLab in a real browser: all cells run, all views drawn, in light and in dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.explore.browser import chromium, complaints
from tests.notebooks.drawn import drawn, faults
from tests.notebooks.lab import Lab, jupyterlab
from tests.notebooks.plain import NOTEBOOKS

pytestmark = pytest.mark.lab

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("notebooks")
    for path in NOTEBOOKS:
        shutil.copy(path, folder)
    with jupyterlab(folder, tmp_path_factory.mktemp("jupyter")) as lab:
        yield lab


@pytest.fixture(scope="module")
def browser(lab: Lab) -> Iterator[Any]:
    with chromium(width=1500, height=1200) as session:
        lab.start(session)
        yield session


@every_notebook
def test_it_runs_and_every_view_is_drawn_in_light_and_dark(path: Path, lab: Lab, browser: Any) -> None:
    lab.open(browser, path.name)
    complaints(browser)  # JupyterLab's own, while it started

    assert [] == lab.run_all(browser)

    assert (path.stem[:2] == "06") == (not drawn(browser))
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        lab.theme(browser, theme)
        assert [] == faults(browser), theme
    assert [] == complaints(browser)
    lab.shut_down(browser)
