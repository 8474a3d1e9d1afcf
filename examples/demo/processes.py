"""Child processes: started, killed by SIGKILL, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import attrs

__all__ = ["DemoFailed", "Process", "Processes", "wait_for"]

T = TypeVar("T")

# From here `python -m examples...` finds the examples, wherever the demo itself was started.
_ROOT = Path(__file__).parents[2]

# How often something is looked at that is waited for: often enough to kill within one call to a local server.
_LOOK_EVERY_S = 0.002

# After how long something that is waited for will not happen any more, on the slowest machine.
_PATIENCE_S = 60.0


class DemoFailed(Exception):
    """Something that the demo needs did not happen."""


@attrs.frozen(eq=False)
class Process:
    """A child process.

    Attributes:
        name: What the demo calls it.
        log: The file that takes what it writes.
    """

    name: str
    log: Path
    _popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Its number."""
        return self._popen.pid

    def output(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text(errors="replace")

    def freeze(self) -> None:
        """Stop it where it stands; `thaw` lets it go on, and `kill` works, too."""
        self._popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._popen.send_signal(signal.SIGCONT)

    def kill(self) -> str:
        """Kill it as `kill -9` does: it cannot notice. Returns what it died of."""
        self._popen.send_signal(signal.SIGKILL)
        return self.end()

    def end(self) -> str:
        """Wait for its end, and return what it was: `exit 0`, or the name of a signal."""
        try:
            code = self._popen.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise DemoFailed(f"{self.name} has not ended after {_PATIENCE_S:g} s\n{self.output()}") from None
        return f"exit {code}" if code >= 0 else signal.Signals(-code).name

    def succeed(self) -> None:
        """Wait for its end, and raise when it was not a good one."""
        ended = self.end()
        if ended != "exit 0":
            raise DemoFailed(f"{self.name} has failed ({ended})\n{self.output()}")

    def check_alive(self) -> None:
        """Raise when it has failed, although nobody has killed it."""
        if self._popen.poll() is not None:
            self.succeed()

    def stop(self) -> None:
        """End it, if it has not ended."""
        if self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()


@attrs.define
class Processes:
    """Starts child processes, and ends those that are left when the `with` block does."""

    directory: Path
    _started: list[Process] = attrs.field(factory=list)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """End what still runs."""
        for process in self._started:
            process.stop()

    def python(self, name: str, *arguments: str, env: Mapping[str, str]) -> Process:
        """Start `python -m ...`.

        Args:
            name: What to call it, also in the name of its log.
            *arguments: What comes after `-m`.
            env: Environment variables on top of ours.
        """
        log = self.directory / f"{name.replace(' ', '-')}.log"
        with log.open("wb") as out:
            popen = subprocess.Popen(  # what it writes goes into a file: it survives the process, and no pipe fills up
                [sys.executable, "-u", "-m", *arguments],
                cwd=_ROOT,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        process = Process(name, log, popen)
        self._started.append(process)
        return process


def wait_for(what: str, look: Callable[[], T | None], *needed: Process) -> T:
    """Look again and again until there is something, and return it.

    Args:
        what: What is waited for, for the error.
        look: Returns None as long as it is not there.
        *needed: Processes without which it will never be there.

    Raises:
        DemoFailed: It is not there after a minute, or a process has failed.
    """
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        found = look()
        if found is not None:
            return found
        for process in needed:
            process.check_alive()
        time.sleep(_LOOK_EVERY_S)
    logs = "\n".join(f"--- {process.name}\n{process.output()[-2000:]}" for process in needed)
    raise DemoFailed(f"waited {_PATIENCE_S:g} s in vain for {what}\n{logs}")
