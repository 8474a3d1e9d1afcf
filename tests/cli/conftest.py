"""A directory with workflows in it, and the installed `interp` command."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from interp.cli.app import app
from tests.cli.command import PATIENCE_S, Told, environment, words_of

FLOWS = Path(__file__).parent / "flows.py"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with flows.py, which is the current one."""
    (tmp_path / "flows.py").write_text(FLOWS.read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def interp(place: Path) -> Callable[..., Told]:
    """Run the installed command to its end."""

    def run(*words: str, **env: str) -> Told:
        done = subprocess.run(
            words_of(*words),
            cwd=place,
            env=environment(**env),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Told(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def inline(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """Run a command in this process: for commands that import no workflows, and ten times as fast."""
    monkeypatch.delenv("INTERP_STORE", raising=False)

    def run(*words: str) -> Told:
        result = CliRunner(env={"COLUMNS": None, "FORCE_COLOR": None}).invoke(app, words, prog_name="interp")
        return Told(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def begin(place: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the installed command and leave it at work; what is still alive at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*words: str, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            words_of(*words),
            cwd=place,
            env=environment(**env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()
