"""What the runner needs from a system, and what all have in common: environments of their own, fresh processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

__all__ = ["ROOT", "Contender", "Failed", "Overtime", "Unavailable", "environment", "place_of", "run_tool"]

ROOT = Path(__file__).parents[2]

_PEERS = ROOT / ".peers"
_DRIVERS = Path(__file__).parent / "drivers"

_SET_UP_S = 900


class Unavailable(Exception):
    """The system cannot be set up here; says why. It is reported in the table, not left out."""


class Failed(Exception):
    """A measurement has failed; says how."""


class Overtime(Exception):
    """A measurement took longer than its shape may take."""


class Contender:
    """One system, as it is measured.

    Attributes:
        name: For files and `--only`.
        title: For people.
        packages: What is installed into the environment of the system, with versions.
        driver: The program in `drivers/` that uses it.
        modules: What a program imports to use it, separated by commas.
        shapes: What it can be asked for.
        cannot: What else is measured, and why not for this one.
        durability: What is on the disk when a step counts as done.
        settings: What differs from its defaults, or from the others, and why.
        is_durable: Whether a recorded step survives the end of the process.
        oldest: The oldest Python that it runs on.
        prepared: The shapes for which a part of the driver makes ready, in a process of its own, what is then measured.
        killed: Those of them whose first process is killed.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    packages: ClassVar[tuple[str, ...]] = ()
    driver: ClassVar[str]
    modules: ClassVar[str]
    shapes: ClassVar[frozenset[str]]
    cannot: ClassVar[Mapping[str, str]] = {}
    durability: ClassVar[str]
    settings: ClassVar[str]
    is_durable: ClassVar[bool] = True
    oldest: ClassVar[tuple[int, int]] = (3, 11)
    prepared: ClassVar[frozenset[str]] = frozenset({"recovery", "replay", "listing"})
    killed: ClassVar[frozenset[str]] = frozenset({"recovery", "replay"})

    def __init__(self) -> None:
        self.python = sys.executable

    def set_up(self) -> None:
        """Install what is missing, and start what is shared by all measurements.

        Raises:
            Unavailable: It cannot be had here.
        """
        self.python = environment(self.environment_name, self.packages, self.oldest)

    @property
    def environment_name(self) -> str:
        """The folder of its environment."""
        return self.name

    def version(self) -> str:
        """Return what is installed, in words."""
        return ", ".join(_installed(self.python, self.packages))

    def run(self, shape: str, size: int, directory: Path, limit_s: float) -> dict[str, float]:
        """Measure a shape once, from a fresh start.

        Args:
            shape: One of `shapes`; `drivers/driving.py` says what each is.
            size: How many.
            directory: An empty directory, removed afterwards.
            limit_s: How long all of it may take, in seconds.

        Returns:
            The numbers by name.

        Raises:
            Overtime: It took longer.
            Failed: It did something else than measure.
        """
        until = time.monotonic() + limit_s
        if shape == "imports":
            return self.imports(until)
        place = self.fresh(directory)
        if shape in self.prepared:
            self.drive(f"{shape}_setup", size, place, until, is_killed=shape in self.killed)
        return self.drive(shape, size, place, until)

    def imports(self, until: float) -> dict[str, float]:
        """Measure importing it, with its byte code on the disk."""
        for _ in range(2):
            numbers = self.drive("imports", 0, self.modules, until, driver="drive_imports.py")
        return numbers

    def fresh(self, directory: Path) -> str:
        """Return a place for the data of one measurement, in which nothing is yet."""
        return str(directory)

    def close(self) -> None:
        """Stop what `set_up` has started."""

    def variables(self) -> dict[str, str]:
        """Return environment variables that the driver needs."""
        return {}

    def drive(
        self,
        part: str,
        size: int,
        place: str,
        until: float,
        *,
        is_killed: bool = False,
        driver: str | None = None,
        python: str | None = None,
    ) -> dict[str, float]:
        """Run a part of the driver in a process of its own, and of its own group, until it answers or is ready."""
        command = [python or self.python, str(_DRIVERS / (driver or self.driver)), part, str(size), place]
        variables = {**os.environ, **self.variables(), **({"BENCH_BLOCKS": "1"} if is_killed else {})}
        variables.pop("PYTHONDONTWRITEBYTECODE", None)  # else our tree, which nobody installed, is compiled each time
        log = ROOT / ".peers" / "logs" / f"{self.name}-{part}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=variables, start_new_session=True
            )
            overdue = threading.Event()

            def end() -> None:
                overdue.set()
                _kill_group(process)

            timer = threading.Timer(max(0.0, until - time.monotonic()), end)
            timer.start()
            try:
                answer = _answer(process)
            finally:
                timer.cancel()
                _kill_group(process)
                process.communicate()
                _await_group(process)
        if overdue.is_set():
            raise Overtime
        if answer is None:
            raise Failed(f"{part} of {size}: {_last_words(log)}")
        return answer


def _answer(process: subprocess.Popen[str]) -> dict[str, float] | None:
    """Return the first line that is an answer: what libraries print is passed over."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("{"):
            answer: dict[str, float] = json.loads(line)
            return answer
    return None


def _kill_group(process: subprocess.Popen[str]) -> None:
    """Kill the process and those it has started, as a power cut would."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _await_group(process: subprocess.Popen[str]) -> None:
    """Wait for the last of them, but not long: where nobody collects orphans they stay, as zombies."""
    for _ in range(100):
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def _last_words(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-3:])[-400:] or "it ended without a word"


def place_of(name: str) -> Path:
    """Return the folder in which a system is installed."""
    return _PEERS / name


def environment(name: str, packages: Iterable[str], oldest: tuple[int, int] = (3, 11)) -> str:
    """Make a virtual environment with these packages, if it is not there yet; return its Python.

    Raises:
        Unavailable: There is no such Python, or the packages cannot be installed.
    """
    place = place_of(name) / "venv"
    python, stamp = place / "bin" / "python", place / "installed"
    wanted = "\n".join(packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {name} ...", flush=True)
        run_tool([_base_python(oldest), "-m", "venv", "--clear", str(place)])
        run_tool([str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages])
        stamp.write_text(wanted)
    return str(python)


def run_tool(command: list[str], *, directory: Path | None = None, variables: Mapping[str, str] | None = None) -> str:
    """Run a program that sets something up; return what it prints.

    Raises:
        Unavailable: It failed, with its last words.
    """
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env={**os.environ, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=_SET_UP_S,
            check=False,
        )
    except FileNotFoundError:
        raise Unavailable(f"there is no {command[0]} here") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{Path(command[0]).name} took longer than {_SET_UP_S} s") from None
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        raise Unavailable(f"{' '.join(map(str, command[:4]))} failed: {' '.join(words[-2:])[-300:]}")
    return done.stdout


def _base_python(oldest: tuple[int, int]) -> str:
    """Return a Python that is new enough: this one, else one that is installed beside it."""
    if sys.version_info >= oldest:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(oldest[1], oldest[1] + 4):
        beside = [str(path) for path in sorted(pyenv.glob(f"3.{minor}.*/bin/python"))]
        for candidate in (shutil.which(f"python3.{minor}"), *beside):
            if candidate and _works(candidate):
                return candidate
    raise Unavailable(f"it needs Python {oldest[0]}.{oldest[1]}, and none is installed beside {sys.version.split()[0]}")


def _works(python: str) -> bool:
    """Whether this Python can make environments: a command of pyenv may be there, and refuse to run."""
    return subprocess.run([python, "-c", "import ensurepip, venv"], capture_output=True, check=False).returncode == 0


def _installed(python: str, packages: Iterable[str]) -> list[str]:
    """Return the packages with the versions that are installed."""
    names = [package.partition("==")[0].partition("[")[0] for package in packages]
    code = "import sys; from importlib.metadata import version; [print(name, version(name)) for name in sys.argv[1:]]"
    return run_tool([python, "-c", code, *names]).splitlines()
