"""The notebooks in a real JupyterLab in a real browser: all cells run, all views drawn, in light and in dark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.explore.browser import chromium, complaints
from tests.notebooks.drawn import drawn, faults
from tests.notebooks.lab import Lab, jupyterlab
from tests.notebooks.plain import NOTEBOOKS
from tests.notebooks.stepping import SteppedThrough

pytestmark = pytest.mark.lab

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("notebooks")
    for path in NOTEBOOKS:
        shutil.copy(path, folder)
    (folder / "stepper.ipynb").write_text(json.dumps(stepper_notebook()))
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


def ours(complaints: list[str]) -> list[str]:
    """Leave out what Jupyter's widget manager says about itself when a notebook with a widget is opened."""
    return [each for each in complaints if "/@jupyter-widgets/jupyterlab-manager/" not in each]


def stepper_notebook() -> dict[str, Any]:
    """The beginning of the notebook about time travel, and both forms of the stepper."""
    (path,) = (path for path in NOTEBOOKS if path.stem == "03-time-travel")
    notebook: dict[str, Any] = json.loads(path.read_text())
    codes = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    read = next(number for number, cell in enumerate(codes) if any("run = journal[" in line for line in cell["source"]))
    notebook["cells"] = codes[: read + 1]
    for name, source in (("fixed", "run.step_through(at=1)"), ("live", "live = run.step_through(0, live=True)\nlive")):
        notebook["cells"].append({**codes[0], "id": name, "source": source})
    return notebook


@pytest.fixture(scope="module")
def steppers(lab: Lab, browser: Any) -> Iterator[Any]:
    lab.open(browser, "stepper.ipynb")
    complaints(browser)
    assert [] == lab.run_all(browser)
    yield browser
    assert [] == ours(complaints(browser))


def test_the_stepper_in_its_frame_goes_by_clicks_and_keys(steppers: Any) -> None:
    steppers.switch_to.frame(steppers.find_element("css selector", "iframe.st-frame"))
    try:
        travel(SteppedThrough(steppers))
    finally:
        steppers.switch_to.default_content()


def test_the_live_stepper_asks_the_kernel(steppers: Any) -> None:
    stepper = SteppedThrough(steppers)
    stepper.stands_at(0, "checkout began")
    stepper.click("next")

    travel(stepper)


def travel(stepper: SteppedThrough) -> None:
    """Go through the story of the notebook, from record 1 on."""
    stepper.stands_at(1, "price('cup')")
    stepper.press("ARROW_RIGHT")
    stepper.stands_at(2, "price('pot')", "70")
    stepper.press("ARROW_LEFT")
    stepper.stands_at(1)
    stepper.follow("checkout.total")
    stepper.click("after")
    stepper.stands_at(2, "checkout.total changed")
    stepper.click("after")
    stepper.stands_at(3, "price('lamp')", "60")
    stepper.click("after")
    stepper.stands_at(3, "no later change")
    stepper.click("last")
    stepper.stands_at(5, "charged 60 euros")
    stepper.click_timeline(0.0)
    stepper.stands_at(0, "checkout began")
    stepper.press("END")
    stepper.press("HOME")
    stepper.stands_at(0)
