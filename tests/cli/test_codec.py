"""The command line beside values that went through a codec."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from interp import Encrypted
from tests.cli.command import PATIENCE_S, Told
from tests.cli.test_commands import Begin, wait_until, waits_for

Interp = Callable[..., Told]

KEY = Encrypted.new_key()


@pytest.fixture
def keys(place: Path) -> Path:
    """keyring.py beside the workflows: `orders` is the codec, `other` has another key."""
    (place / "keyring.py").write_text(
        f"from interp import Encrypted\norders = Encrypted({KEY!r})\nother = Encrypted(Encrypted.new_key())\nnone = 7\n"
    )
    return place


def test_values_show_with_the_key_and_not_without(interp: Interp, keys: Path) -> None:
    ran = interp("run", "flows.py:quick", "4242-SECRET", "--id", "q", "--codec", "keyring:orders")
    again = interp("run", "flows.py:quick", "4242-SECRET", "--id", "q", INTERP_CODEC="keyring:orders")

    assert '["4242-SECRET-0"]\n' == ran.out == again.out
    assert b"SECRET" not in (keys / ".interp" / "data.mdb").read_bytes()
    assert "echo('4242-SECRET-0')" in interp("show", "q", "--codec", "keyring:orders").out
    for words in ((), ("--codec", "keyring:other")):
        shown = interp("show", "q", *words).out
        assert "quick(‹encrypted›)" in shown
        assert "call echo(‹encrypted›)  → ‹encrypted›" in shown
        assert "completed: ‹encrypted›" in shown
    assert "‹encrypted›" == interp("show", "q", "--json").json["outcome"]["result"]
    assert "q" in interp("list").out
    assert "returned ‹encrypted›" in interp("show", "q", "--records").out


def test_what_needs_the_values_says_so_and_changes_nothing(interp: Interp, keys: Path) -> None:
    interp("run", "flows.py:quick", "a", "--id", "q", "--codec", "keyring:orders")
    interp("run", "flows.py:failing", "--id", "f", "--codec", "keyring:orders")

    fork, check = ("fork", "q", "flows.py", "--at", "1"), ("check", "flows.py", "--closed")
    for words in (("result", "q"), ("retry", "f"), fork, check):
        told = interp(*words)
        assert 1 == told.code, words
        assert "no codec was given" in told.err, words
    assert "the signal must, too" in interp("signal", "q", "go", "SECRET").err
    assert 0 == interp("check", "flows.py", "--closed", "--codec", "keyring:orders").code
    assert '["a-0"]\n' == interp("result", "q", "--codec", "keyring:orders").out


@pytest.mark.parametrize(
    ("codec", "problem"),
    [
        ("keyring", "keyring names no codec"),
        ("keyring:none", "keyring:none is no codec"),
        ("keyring:missing", "keyring:missing is no codec"),
        ("nowhere:codec", "nowhere is no module that Python can find"),
    ],
)
def test_what_is_no_codec_is_refused(interp: Interp, keys: Path, codec: str, problem: str) -> None:
    told = interp("run", "flows.py:quick", "a", "--codec", codec)

    assert (1, problem) == (told.code, told.err.splitlines()[0])
    assert not (keys / ".interp").exists()


def test_an_interrupted_run_tells_the_codec_in_the_command_that_resumes_it(
    inline: Interp, begin: Begin, keys: Path
) -> None:
    process = begin("run", "flows.py:busy", "--id", "b", "--codec", "keyring:orders")
    wait_until(inline, "b", waits_for("end"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)

    assert err.splitlines()[-1].endswith("--id b --codec keyring:orders")
