"""A real JupyterLab on this machine, with settings of its own and nothing that asks the network."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import attrs

from tests.explore.browser import needed

__all__ = ["Lab", "jupyterlab"]

_SETTINGS = {
    "apputils-extension/notification.jupyterlab-settings": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    # All cells are in the page, wherever it was scrolled to.
    "notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "none"},
}


@attrs.frozen
class Lab:
    """A JupyterLab that runs.

    Attributes:
        url: Its address, with the slash at the end.
        folder: What it shows; notebooks are copied there.
        token: What lets a browser in.
    """

    url: str
    folder: Path
    token: str

    def start(self, session: Any) -> None:
        """Load the page."""
        session.get(f"{self.url}lab?reset&token={self.token}")
        _wait(session, "return !!window.jupyterapp && jupyterapp.shell.isAttached;")
        _call(session, "jupyterapp.restored")

    def open(self, session: Any, name: str) -> None:
        """Show a notebook, and nothing else, and wait for its kernel."""
        session.execute_script(
            "[...jupyterapp.shell.widgets('main')].forEach(widget => {"
            "if (widget.context) widget.context.model.dirty = false; widget.dispose(); });"
        )
        _call(session, "jupyterapp.commands.execute('docmanager:open', {path: given})", name)
        _wait(
            session,
            f"const context = {_PANEL}?.sessionContext;"
            "return !!context && context.isReady && context.session?.kernel?.status === 'idle';",
        )

    def theme(self, session: Any, name: str) -> None:
        """Change the theme: `JupyterLab Light` or `JupyterLab Dark`."""
        _wait(session, _NO_SPLASH)
        _call(session, "jupyterapp.commands.execute('apputils:change-theme', {theme: given})", name)
        light = str("Dark" not in name).lower()
        _wait(session, "return document.body.dataset.jpThemeLight === arguments[0];", light)
        _wait(session, _NO_SPLASH)

    def run_all(self, session: Any) -> list[str]:
        """Run all cells, wait for them, and return the errors that they ended with."""
        _call(session, "jupyterapp.commands.execute('notebook:run-all-cells')")
        errors: list[str] = session.execute_script(f"""
            const cells = {_PANEL}.content.widgets.filter(cell => cell.model.type === 'code');
            return cells.flatMap((cell, number) => cell.model.outputs.toJSON()
                .filter(output => output.output_type === 'error')
                .map(output => `cell ${{number + 1}}: ${{output.ename}}: ${{output.evalue}}`)
                .concat(cell.model.executionCount === null ? [`cell ${{number + 1}} was not run`] : []));
        """)
        return errors

    def shut_down(self, session: Any) -> None:
        """End the kernel of the notebook that is shown."""
        _call(session, f"{_PANEL}.sessionContext.shutdown()")


# The notebook that is shown. JupyterLab's own `currentWidget` is unset where no window has the focus.
_PANEL = "[...jupyterapp.shell.widgets('main')].find(widget => widget.sessionContext)"


# A change of theme shows the splash screen. JupyterLab takes it out of the page 200 ms after it is done with it,
# without a look at whether it is in it: of two changes in that time, the second one's removal is a console's error.
_NO_SPLASH = "return !document.getElementById('jupyterlab-splash');"


def _call(session: Any, promise: str, given: str = "") -> None:
    """Wait for a promise of JavaScript."""
    refused = session.execute_async_script(
        f"const [given, done] = arguments; ({promise}).then(() => done(null), error => done(String(error)));", given
    )
    assert refused is None, f"{promise}: {refused}"


def _wait(session: Any, script: str, *args: Any, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not session.execute_script(script, *args):
        assert time.monotonic() < deadline, f"JupyterLab never came so far: {script}"
        time.sleep(0.1)


@contextmanager
def jupyterlab(folder: Path, home: Path) -> Iterator[Lab]:
    """Start a JupyterLab.

    Args:
        folder: The directory that it shows.
        home: An empty directory for everything that it keeps.
    """
    needed("jupyterlab")
    for name, values in _SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    port, token = _free_port(), os.urandom(16).hex()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("INTERP_")}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        environment[name] = str(home / name.lower())
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--expose-app-in-browser"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}"),
        *(f"--LabApp.user_settings_dir={home / 'settings'}", f"--LabApp.workspaces_dir={home / 'workspaces'}"),
        *("--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
        *("--LabApp.extension_manager=readonly", f"--ServerApp.root_dir={folder}"),
    ]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}/"
            _answers(f"{url}api/status?token={token}", server, home / "log")
            yield Lab(url, folder, token)
        finally:
            server.terminate()  # it ends its kernels, too
            server.wait(30)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _answers(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
