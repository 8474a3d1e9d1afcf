"""What a person sees, through a pseudo-terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import pytest

from tests.cli.command import PATIENCE_S, environment, words_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


@attrs.define
class Terminal:
    """A command on a terminal of 100 columns; `screen` is all that it wrote so far."""

    process: "subprocess.Popen[bytes]"
    descriptor: int
    screen: str = ""

    def read_until(self, text: str) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while text not in self.plain:
            assert time.monotonic() < end_s, (text, self.screen)
            self._read(0.1)

    def read_all(self) -> int:
        code = self.process.wait(timeout=PATIENCE_S)
        while self._read(0.1):
            pass
        return code

    @property
    def plain(self) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.screen)

    def _read(self, patience_s: float) -> bool:
        if not select.select([self.descriptor], [], [], patience_s)[0]:
            return False
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # Linux: the other side is closed
            return False
        self.screen += data.decode(errors="replace")
        return bool(data)


@contextmanager
def terminal(*words: str, cwd: Path, **env: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        words_of(*words),
        cwd=cwd,
        env=environment(TERM="xterm-256color", COLUMNS="100", **env),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_progress_tells_what_the_run_waits_for(place: Path) -> None:
    with terminal("run", "flows.py:checkout", '{"id": "42", "cents": 1}', "--id", "o", cwd=place) as shown:
        shown.read_until("run o of checkout in lmdb:.interp")
        shown.read_until("o waiting  1 call done")
        shown.read_until("signal 'approve'")
        shown.read_until("times out in 2 d 23 h")
        shown.read_until("flows.py:")
        with terminal("signal", "o", "approve", "true", cwd=place) as sent:
            assert 0 == sent.read_all()

        assert 0 == shown.read_all()

    assert '"receipt-42"' == shown.plain.splitlines()[-1]
    assert "run o completed: 1 call done, " in shown.plain


def test_ctrl_c_takes_the_progress_away_and_tells_how_to_go_on(place: Path) -> None:
    with terminal("run", "flows.py:checkout", '{"id": "42", "cents": 1}', "--id", "o", cwd=place) as shown:
        shown.read_until("signal 'approve'")
        shown.process.send_signal(signal.SIGINT)

        assert 130 == shown.read_all()

    assert "\x1b[?25h" in shown.screen  # the cursor is back
    assert "resume it:  interp run flows.py:checkout" in shown.plain


def test_colours_are_for_terminals_that_want_them(place: Path) -> None:
    with terminal("run", "flows.py:quick", "a", "--id", "q", cwd=place) as shown:
        assert 0 == shown.read_all()
    with terminal("show", "q", cwd=place) as shown:
        assert 0 == shown.read_all()
    assert "\x1b[32m✓" in shown.screen
    with terminal("show", "q", cwd=place, NO_COLOR="1") as shown:
        assert 0 == shown.read_all()
    assert "\x1b[3" not in shown.screen


def test_the_first_line_of_an_error_is_red(place: Path) -> None:
    with terminal("show", "q", "--store", "lmdb:typo", cwd=place) as shown:
        assert 1 == shown.read_all()

    assert shown.screen.startswith("\x1b[31m\x1b[1mcannot open store")
