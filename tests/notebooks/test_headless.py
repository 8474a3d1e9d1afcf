"""Every notebook runs from top to bottom, and what it shows can be sent to somebody as one file."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.explore.browser import chromium, complaints, needed
from tests.notebooks.drawn import drawn, faults
from tests.notebooks.kernel import executed
from tests.notebooks.plain import NOTEBOOKS
from tests.notebooks.stepping import SteppedThrough

pytestmark = [
    pytest.mark.lab,
    # Jupyter's own libraries warn about each other: not ours to mend.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"),
]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


@pytest.fixture(scope="module")
def outcome(settings: Path) -> Any:
    """Runs a notebook once for all tests: the notebook, what it left behind, and the seconds that it took."""

    @functools.cache
    def run(path: Path) -> tuple[Any, list[str], float]:
        begin = time.monotonic()
        notebook, left_behind = executed(path, settings)
        return notebook, left_behind, time.monotonic() - begin

    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as session:
        yield session


@every_notebook
def test_it_runs_from_top_to_bottom_and_leaves_no_process_behind(path: Path, outcome: Any) -> None:
    notebook, left_behind, seconds = outcome(path)  # a cell that raises fails here, and says which

    assert [] == left_behind
    counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    print(f"{path.name}: {seconds:.1f} s")


@every_notebook
def test_nothing_is_written_to_standard_error(path: Path, outcome: Any) -> None:
    # A warning there is a red box in the notebook, which readers take for a mistake.
    notebook, _, _ = outcome(path)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]

    assert [] == [output.text for output in outputs if output.get("name") == "stderr"]


@every_notebook
def test_its_export_shows_everything_offline(path: Path, outcome: Any, browser: Any, tmp_path: Path) -> None:
    file = exported(outcome(path)[0], tmp_path)
    views = file.read_text().count('class="interp')

    browser.get(file.as_uri())

    assert [] == faults(browser)
    assert views <= len(drawn(browser))
    assert [] == complaints(browser)


def test_the_stepper_works_in_an_export(outcome: Any, browser: Any, tmp_path: Path) -> None:
    (path,) = (path for path in NOTEBOOKS if path.stem == "03-time-travel")
    browser.get(exported(outcome(path)[0], tmp_path).as_uri())
    browser.switch_to.frame(browser.find_element("css selector", "iframe.st-frame"))
    stepper = SteppedThrough(browser)

    stepper.stands_at(0, "checkout began")
    stepper.click("next")
    stepper.stands_at(1, "price('cup')")
    stepper.press("END")
    stepper.stands_at(5, "charged 60 euros")

    browser.switch_to.default_content()
    assert [] == complaints(browser)


def exported(notebook: Any, folder: Path) -> Path:
    """Export a notebook as HTML, as File > Save and Export does."""
    exporter = needed("nbconvert").HTMLExporter(mathjax_url="", require_js_url="")
    page, _ = exporter.from_notebook_node(notebook)
    file = folder / "exported.html"
    file.write_text(page)
    return file
