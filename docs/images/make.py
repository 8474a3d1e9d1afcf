"""Takes the pictures of the documentation anew: `make images`. All of them, or those that are named.

Each is of the real thing: a view in a page of its own, the stepper in a JupyterLab that runs, a command in a terminal.
Look at each before you commit it.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from docs.images.world import stored
from interp.explore import Journal
from interp.explore.view import View
from tests.explore.browser import chromium, needed
from tests.notebooks.lab import jupyterlab
from tests.notebooks.stepping import SteppedThrough

ROOT = Path(__file__).parent.parent.parent

# Of pages, in CSS pixels, and how many pixels each becomes: sharp on good screens, and not large.
_WIDTH = 1180
_SCALE = 1.5

# A picture in a page of text: more would be for another page.
_BYTES = 200_000

_STORE = "lmdb:journal"

VIEWS: dict[str, Callable[[Journal], View]] = {
    "run": lambda journal: journal["prov-7f3a"],
    "timeline": lambda journal: journal["prov-7f3a"].timeline(),
    "crowd": lambda journal: journal["prov-crowd"].timeline(),
    "critical-path": lambda journal: journal["prov-7f3a"].critical_path(),
    "time-travel": lambda journal: journal["prov-7f3a"].at(30),
    "moments": lambda journal: journal["prov-7f3a"].at(30).diff(journal["prov-7f3a"].at(36)),
    "diff": lambda journal: journal["prov-7f3a"].diff(journal["prov-91c0"]),
    "divergence": lambda journal: journal["prov-b511"].divergence() or journal["prov-b511"],
    "blocked": lambda journal: journal.blocked(),
    "latency": lambda journal: journal.runs(since="26h", status="ended", limit=None).latency(),
    "concurrency": lambda journal: journal.runs(since="26h", status="ended", limit=None).concurrency(),
    "path-map": lambda journal: journal.runs(since="26h", status="ended", limit=None).path_map(),
}

COMMANDS = {
    "show": ["show", "prov-a2e8"],
    "top": ["top", "--once"],
}

THEMES = {
    "stepper": "JupyterLab Light",
    "stepper-dark": "JupyterLab Dark",
}

_CELLS = [
    (
        "import tests.explore.flows  # the workflow\nfrom interp.explore import Journal\n\n"
        "run = Journal('lmdb:journal')['prov-7f3a']"
    ),
    "run.step_through(at=30)",
]


def main(names: list[str]) -> None:
    """Take pictures.

    Args:
        names: Which; none for all.
    """
    wanted = names or [*VIEWS, *COMMANDS, *THEMES]
    with _world() as folder:
        with Journal(_STORE) as journal, chromium(width=_WIDTH + 32, scale=_SCALE) as session:
            for name in [name for name in wanted if name in VIEWS]:
                _keep(name, _page(session, VIEWS[name](journal).save(folder / "view.html")))
            for name in [name for name in wanted if name in COMMANDS]:
                _keep(name, _page(session, _terminal(COMMANDS[name], folder / "terminal.html")))
        themes = {name: theme for name, theme in THEMES.items() if name in wanted}
        if themes:
            for name, shot in _in_jupyterlab(themes, folder):
                _keep(name, shot)


@contextmanager
def _world() -> Iterator[Path]:
    """Stand in a directory with the store."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory(prefix="interp-images-") as place:
        os.environ |= {"PYTHONPATH": str(ROOT), "INTERP_STORE": _STORE}
        os.chdir(place)
        try:
            with stored(Path(place)):
                yield Path(place)
        finally:
            os.chdir(before)


def _page(session: Any, page: Path) -> bytes:
    """A page of its own, cut to what is on it."""
    session.get(page.as_uri())
    session.execute_script("document.body.style.cssText = 'margin: 0; padding: 16px; width: max-content;'")
    session.execute_script(
        f"document.body.style.maxWidth = '{_WIDTH}px'; document.body.style.boxSizing = 'border-box';"
    )
    height = session.execute_script("return document.body.getBoundingClientRect().height;")
    session.set_window_size(_WIDTH + 32, int(height) + 200)
    shot: bytes = session.find_element("css selector", "body").screenshot_as_png
    return shot


def _terminal(arguments: list[str], page: Path) -> Path:
    """What a command writes, as a page that looks like a terminal."""
    environment = os.environ | {"COLUMNS": "116", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "interp", *arguments]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    console = Console(record=True, width=118, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(output), soft_wrap=True)
    body = console.export_html(theme=MONOKAI, code_format="{code}", inline_styles=True)
    prompt = f"<span style='color: #7ec699'>$</span> {escape(' '.join(['interp', *arguments]))}\n\n"
    style = "margin: 0; padding: 18px 22px; background: #1b1d23; color: #dfe3ea; border-radius: 10px;"
    font = "font: 13px/1.45 'DejaVu Sans Mono', monospace;"
    page.write_text(f"<!doctype html><meta charset='utf-8'><body><pre style='{style}{font}'>{prompt}{body}</pre>")
    return page


def _in_jupyterlab(themes: dict[str, str], folder: Path) -> Iterator[tuple[str, bytes]]:
    """The stepper in a JupyterLab that runs."""
    blank: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells = [blank | {"id": f"cell-{number}", "source": source} for number, source in enumerate(_CELLS)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "explore.ipynb").write_text(json.dumps(notebook))
    home = folder / "jupyter"
    with jupyterlab(folder, home) as lab, chromium(width=1240, height=1120, scale=_SCALE) as session:
        lab.start(session)
        session.execute_script("jupyterapp.commands.execute('application:toggle-left-area')")
        lab.open(session, "explore.ipynb")
        assert [] == lab.run_all(session)
        launcher = "[...jupyterapp.shell.widgets('main')].filter(widget => !widget.sessionContext)"
        session.execute_script(f"{launcher}.forEach(widget => widget.dispose());")
        for name, theme in themes.items():
            lab.theme(session, theme)
            session.switch_to.frame(session.find_element("css selector", "iframe.st-frame"))
            SteppedThrough(session).stands_at(30, "provision_fleet")
            session.switch_to.default_content()
            time.sleep(1)  # the frame is in the page, and not yet on the screen
            shot: bytes = session.get_screenshot_as_png()
            yield name, shot
    shutil.rmtree(home)


def _keep(name: str, shot: bytes) -> None:
    """Write a picture with as few colours as it needs."""
    image = needed("PIL.Image")
    picture = image.open(io.BytesIO(shot)).convert("RGB")
    path = Path(__file__).parent / f"{name}.png"
    picture.quantize(256, dither=image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.name:24} {picture.width:5} x {picture.height:<5} {size / 1000:6.0f} kB")
    assert size <= _BYTES, f"{path.name} is too large for a page of text"


if __name__ == "__main__":
    main(sys.argv[1:])
