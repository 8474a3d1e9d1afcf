"""`interp stream`: what a run emits, after it and while it goes on."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.cli.command import PATIENCE_S, Told
from tests.runtime.helpers import eventually

Interp = Callable[..., Told]
Begin = Callable[..., "subprocess.Popen[str]"]

FLOWS = """
from interp import Workflow, activity, await_signal, call, current_call, emit, workflow


@activity
def words(text: str) -> None:
    for word in text.split():
        current_call().emit("words", word)


@workflow
def telling(text: str) -> Workflow[str]:
    yield from emit("stages", {"stage": "begin"})
    yield from call(words, text)
    yield from await_signal("go")
    yield from emit("stages", {"stage": "\\x1b[31mend"})
    return "told"
"""


def told(interp: Interp, begin: Begin, place: Path) -> "subprocess.Popen[str]":
    """Start a run in a process of its own that emits and waits for `go`; return the process."""
    (place / "telling.py").write_text(FLOWS)
    process = begin("run", "telling.py", "one two", "--id", "t")
    eventually(lambda: interp("stream", "t", "words").out.count("\n") == 2)
    return process


def test_stream_prints_items_topics_and_documents_and_follows_to_the_end(
    interp: Interp, inline: Interp, begin: Begin, place: Path
) -> None:
    at_work = told(inline, begin, place)

    assert Told(0, '"one"\n"two"\n', "") == interp("stream", "t", "words")
    assert Told(0, '"two"\n', "") == inline("stream", "t", "words", "--start", "1")
    assert Told(0, "stages\nwords\n", "") == inline("stream", "t")
    assert {"run": "t", "topics": ["stages", "words"]} == inline("stream", "t", "--json").json
    document = inline("stream", "t", "words", "--json").json
    assert ["one", "two"] == [item["value"] for item in document["items"]]
    assert {"number": 1, "command": "2", "attempt": 1, "round": 0} == {
        name: value for name, value in document["items"][1].items() if name not in ("at", "value")
    }

    following = begin("stream", "t", "stages", "--follow", "--json")
    assert following.stdout is not None
    assert {"stage": "begin"} == msgspec.json.decode(following.stdout.readline())["value"]
    assert 0 == interp("signal", "t", "go").code
    assert {"stage": "\x1b[31mend"} == msgspec.json.decode(following.stdout.readline())["value"]
    assert "" == following.stdout.read()
    assert 0 == following.wait(PATIENCE_S)
    assert 0 == at_work.wait(PATIENCE_S)
    assert "\x1b" not in inline("stream", "t", "stages", "--follow").out


def test_stream_says_what_is_not_there(inline: Interp, begin: Begin, place: Path) -> None:
    told(inline, begin, place)

    nothing = inline("stream", "t", "word")
    assert (0, "") == (nothing.code, nothing.out)
    assert "run 't' has no items in stream 'word' from number 0 on; its streams: stages, words" in nothing.err
    assert inline("stream", "nobody").is_error("there is no run 'nobody'")
    assert inline("stream", "nobody", "words").is_error("there is no run 'nobody'")
    assert 2 == inline("stream", "t", "words", "--start", "-1").code
