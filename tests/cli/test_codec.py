"""The command line beside values that went through a codec."""

import logging
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from interp import Encrypted, Engine, Request, Workflow, await_signal, emit, get_logger, reply, workflow
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
    assert "→ ‹encrypted›" in interp("show", "q", "--records").out


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


TELLING = """
from interp import Workflow, await_signal, workflow


@workflow(name="telling_sealed")
def telling(secret: str) -> Workflow[str]:
    return (yield from await_signal("never", str))
"""


@workflow
def telling_sealed(secret: str) -> Workflow[str]:
    get_logger().error("begins with %s", secret)
    yield from emit("items", secret)
    request = yield from await_signal("question", Request[str])
    yield from reply(request, secret)
    return (yield from await_signal("never", str))


def test_streams_lines_answers_and_schedules_say_that_a_key_is_missing(
    interp: Interp, inline: Interp, keys: Path
) -> None:
    (keys / "telling.py").write_text(TELLING)
    codec = Encrypted(KEY)
    with Engine(f"lmdb:{keys}/.interp", codec=codec, capture_logs=logging.ERROR) as engine:
        run = engine.start_json("telling_sealed", b'["4242-SECRET"]', id="t")
        assert "4242-SECRET" == run.ask("question", "why", id="one")
        engine.schedule(telling_sealed, "4242-SECRET", id="s", every=timedelta(days=1))

    for words in (
        ("stream", "t", "items"),
        ("stream", "t", "items", "--json"),
        ("logs", "t"),
        ("ask", "t", "question", "why", "--id", "one"),
        ("schedule", "list"),
        ("schedule", "show", "s"),
        ("schedule", "pause", "s"),
    ):
        told = inline(*words)
        assert (1, True) == (
            told.code,
            "went through a codec" in told.err + told.out or "no codec" in told.err + told.out,
        )
        assert "damaged" not in told.err + told.out, words
    assert "the request must, too" in inline("ask", "t", "another", "SECRET").err
    assert 1 == len(inline("stream", "t").out.splitlines())
    again = interp("start", "telling.py", "4242-SECRET", "--id", "t")
    assert again.is_error("run 't' cannot be read: no codec was given")

    with_key = ("--codec", "keyring:orders")
    assert '"4242-SECRET"\n' == interp("stream", "t", "items", *with_key).out
    assert "begins with 4242-SECRET" in interp("logs", "t", *with_key).out
    assert '"4242-SECRET"\n' == interp("ask", "t", "question", "why", "--id", "one", *with_key).out
    assert "telling_sealed" in interp("schedule", "list", *with_key).out


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
