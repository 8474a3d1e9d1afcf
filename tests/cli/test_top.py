"""`interp top`, on a terminal with real keys."""

import os
import signal
import sys
import termios
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from interp.cli.board import SORTS, Board, Glance, glance
from interp.cli.keys import Keys
from interp.runtime.live import microseconds
from interp.runtime.stores import open_store
from interp.store import Attended, RunRow, Status
from tests.cli.command import Told
from tests.cli.test_terminal import Terminal, terminal
from tests.explore.flows import provision_fleet
from tests.explore.recording import CLOUD, keep, record

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")

Interp = Callable[..., Told]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def filled(place: Path) -> Path:
    store = open_store("lmdb:.interp")
    history = record(provision_fleet, "eu-west-1", ["web-1"], world=CLOUD)
    keep(store, "done-1", history)
    keep(store, "wait-1", record(provision_fleet, "eu-west-1", ["web-1"], world=CLOUD, until=timedelta(minutes=30)))
    store.close()
    return place


def press(shown: Terminal, keys: bytes) -> None:
    shown.screen = ""
    os.write(shown.descriptor, keys)


def test_keys_select_open_filter_sort_pause_and_quit(filled: Path) -> None:
    with terminal("top", cwd=filled) as shown:
        before = termios.tcgetattr(shown.descriptor)
        shown.read_until("▸ wait-1")
        shown.read_until("signal 'approve'")
        press(shown, b"j")
        shown.read_until("▸ done-1")
        press(shown, b"\x1b[A")
        shown.read_until("▸ wait-1")
        press(shown, b"\r")
        shown.read_until("call create_subnet('eu-west-1')")
        press(shown, b"\x1b")
        shown.read_until("sorted by interest")
        press(shown, b"s")
        shown.read_until("sorted by newest")
        press(shown, b"/done\r")
        shown.read_until("filter 'done'")
        press(shown, b"p")
        shown.read_until("paused")
        press(shown, b"q")

        assert 0 == shown.read_all()
        assert "\x1b[?1049l" in shown.screen  # the screen of before is back
        assert "\x1b[?25h" in shown.screen  # and the cursor
        assert before[3] == termios.tcgetattr(shown.descriptor)[3]  # and lines are echoed as they were


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_the_terminal_as_it_was(filled: Path, number: signal.Signals, code: int) -> None:
    with terminal("top", cwd=filled) as shown:
        shown.read_until("wait-1")
        shown.process.send_signal(number)

        assert code == shown.read_all()
        assert "\x1b[?1049l" in shown.screen
        assert termios.tcgetattr(shown.descriptor)[3] & termios.ECHO


def test_without_a_terminal_there_is_one_snapshot(inline: Interp, filled: Path) -> None:
    told = inline("top")
    document = inline("top", "--json").json

    assert 0 == told.code
    assert "\x1b" not in told.out
    assert "wait-1 provision_fleet waiting" in " ".join(told.out.split())
    assert ["wait-1", "done-1"] == [run["id"] for run in document["runs"]]
    assert ["done-1"] == [run["id"] for run in inline("top", "--json", "--filter", "DONE").json["runs"]]


def row(run_id: str, status: Status, *, length: int = 1, created_s: float = 0) -> RunRow:
    at = microseconds(NOON) + int(created_s * 1e6)
    return RunRow(run_id, "w", b"", status, length, None, None, 0, at, at, b"", "")


def seen(second: float, *rows: RunRow) -> Glance:
    return Glance(NOON + timedelta(seconds=second), {each.id: each for each in rows}, False, None, {})


def test_rates_are_those_of_the_last_seconds() -> None:
    shown = Board("s")
    shown.add(seen(0, row("a", Status.RUNNING, length=10)))

    assert shown.rates() is None

    shown.add(seen(4, row("a", Status.RUNNING, length=30), row("b", Status.RUNNING, length=4, created_s=2)))

    assert (0.25, 6.0) == shown.rates()


def test_what_wants_to_be_looked_at_comes_first() -> None:
    states = [Status.COMPLETED, Status.WAITING, Status.PARKED, Status.FAILED, Status.RUNNING]
    shown = Board("s", deque([seen(0, *(row(state.value, state) for state in states))]))

    assert ["parked", "failed", "running", "waiting", "completed"] == [each.id for each in shown.listed()]
    assert "interest" == SORTS[0]

    shown.move(1)
    shown.move(5)

    assert "completed" == shown.selected


@pytest.mark.parametrize("url", ["memory:", "lmdb:{}/runs"])
def test_a_store_tells_which_workers_it_knows(url: str, tmp_path: Path) -> None:
    store = open_store(url.format(tmp_path))
    keep(store, "r", record(provision_fleet, "eu", ["web-1"], world=CLOUD, until=timedelta(minutes=1)), Status.RUNNING)
    store.renew("w9", microseconds(NOON), 1_000_000)
    assert isinstance(store, Attended)
    alive = {worker.name: worker.is_alive for worker in store.workers(microseconds(NOON))}
    later = {worker.name: worker.is_alive for worker in store.workers(microseconds(NOON) + 2_000_000)}

    assert alive["w9"]
    assert not later["w9"]
    assert glance(store, NOON).workers is not None
    store.close()


def test_keys_have_names() -> None:
    ours, theirs = os.pipe()
    os.write(theirs, b"\x1b[Bx\x1b[1;5Cq\x7f")
    keys = list(Keys(ours).within(1))
    os.close(ours)
    os.close(theirs)

    assert ["down", "x", "q", "backspace"] == keys
