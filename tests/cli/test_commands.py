"""The main paths, through the installed command on a real LMDB directory."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli.command import PATIENCE_S, Told

Interp = Callable[..., Told]
Begin = Callable[..., "subprocess.Popen[str]"]

ORDER = '{"id": "42", "cents": 1999}'


def wait_until(inline: Interp, run_id: str, met: Callable[[Any], bool]) -> Any:
    """Look at a run until the document of `show` is as wanted."""
    end_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < end_s:
        shown = inline("show", run_id, "--json")
        if shown.code == 0 and met(shown.json):
            return shown.json
    raise AssertionError(f"run {run_id} does not come to it: {shown}")


def waits_for(target: str) -> Callable[[Any], bool]:
    return lambda document: target in [wait["target"] for wait in document["waits_for"]]


def is_in(status: str) -> Callable[[Any], bool]:
    return lambda document: document["run"]["status"] == status


def test_run_prints_the_result_as_json_and_nothing_else(interp: Interp) -> None:
    assert Told(0, '["a-0","a-1"]\n', "") == interp("run", "flows.py:quick", "a", "2")


def test_run_takes_a_module_too(interp: Interp) -> None:
    assert '["a-0"]\n' == interp("run", "flows:quick", "a").out


def test_a_module_with_one_workflow_needs_no_function(interp: Interp, place: Path) -> None:
    (place / "one.py").write_text("from flows import quick\n")

    assert '["a-0"]\n' == interp("run", "one.py", "a").out


def test_a_file_may_have_the_name_of_a_library(interp: Interp, place: Path) -> None:
    (place / "flows.py").rename(place / "queue.py")

    assert '["a-0"]\n' == interp("run", "queue.py:quick", "a").out


def test_a_file_in_a_package_imports_its_neighbours(interp: Interp, place: Path) -> None:
    package = place / "shop" / "work"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (place / "flows.py").rename(package / "inner.py")
    (package / "outer.py").write_text("from .inner import quick\n")

    assert '["a-0"]\n' == interp("run", "shop/work/outer.py", "a").out


def test_the_same_id_gives_the_recorded_result(interp: Interp) -> None:
    first = interp("run", "flows.py:quick", "a", "--id", "q", "--json")

    assert {"run": "q", "workflow": "quick", "status": "completed", "result": ["a-0"]} == first.json
    assert first == interp("run", "flows.py:quick", "a", "--id", "q", "--json")
    assert 1 == interp("list", "--json").json["total"]


def test_a_run_that_was_killed_goes_on_and_repeats_nothing(
    interp: Interp, inline: Interp, begin: Begin, place: Path
) -> None:
    first = begin("run", "flows.py:checkout", ORDER, "--id", "order-42")
    wait_until(inline, "order-42", waits_for("approve"))
    first.kill()
    first.wait()

    second = begin("run", "flows.py:checkout", ORDER, "--id", "order-42")
    assert Told(0, "signal 'approve' is sent to run 'order-42'\n", "") == interp(
        "signal", "order-42", "approve", "true"
    )

    assert ('"receipt-42"\n', "") == second.communicate(timeout=PATIENCE_S)
    assert "42\n" == (place / "charges").read_text()


def test_show_tells_what_may_have_happened_twice(interp: Interp, begin: Begin, place: Path) -> None:
    first = begin("run", "flows.py:paying", "--id", "p")
    end_s = time.monotonic() + PATIENCE_S
    while not (place / "paid").exists():
        assert time.monotonic() < end_s
    first.kill()
    first.wait()
    interp("run", "flows.py:paying", "--id", "p")

    told = interp("show", "p").out.partition("may have happened twice")[2].split()
    (repeated,) = interp("show", "p", "--json").json["repeated_calls"]

    assert ["1", "pay", "attempt", "1", "key", "p/1"] == told[:6]
    assert ("1", "pay", [1], "p/1") == tuple(repeated[key] for key in ("id", "activity", "attempts", "idempotency_key"))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_stays_and_tells_how_to_resume_it(
    inline: Interp, begin: Begin, number: signal.Signals, code: int
) -> None:
    process = begin("run", "flows.py:checkout", ORDER, "--id", "order 42", "--store", "lmdb:elsewhere")
    end_s = time.monotonic() + PATIENCE_S
    while "approve" not in inline("show", "order 42", "--store", "lmdb:elsewhere").out:
        assert time.monotonic() < end_s
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)

    assert (code, "") == (process.returncode, out)
    resume = f"interp run flows.py:checkout '{ORDER}' --id 'order 42' --store lmdb:elsewhere"
    assert [
        "interrupted; run 'order 42' stays in lmdb:elsewhere, with all that is recorded",
        f"resume it:  {resume}",
    ] == err.splitlines()


def test_an_interrupted_run_tells_machines_too(inline: Interp, begin: Begin) -> None:
    process = begin("run", "flows.py:checkout", ORDER, "--id", "order-42", "--json")
    wait_until(inline, "order-42", waits_for("approve"))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE_S)

    error = msgspec.json.decode(out)["error"]
    assert ("Interrupted", "order-42") == (error["type"], error["run_id"])
    assert error["resume"].endswith("--id order-42 --json")


def test_a_worker_moves_runs_until_it_is_stopped(interp: Interp, inline: Interp, begin: Begin) -> None:
    first = begin("run", "flows.py:checkout", ORDER, "--id", "order-42")
    wait_until(inline, "order-42", waits_for("approve"))
    first.kill()
    first.wait()

    worker = begin("worker", "flows.py")
    waiter = begin("result", "order-42")
    interp("signal", "order-42", "approve", "true")

    assert ('"receipt-42"\n', "") == waiter.communicate(timeout=PATIENCE_S)
    worker.terminate()
    out, err = worker.communicate(timeout=PATIENCE_S)
    assert (0, "") == (worker.returncode, out)
    assert "moves: busy, changing, checkout" in err
    assert ["stopping; calls at work get 10 s to end", "stopped"] == err.splitlines()[1:]


def test_a_worker_leaves_the_runs_of_other_programs_alone(
    interp: Interp, inline: Interp, begin: Begin, place: Path
) -> None:
    (place / "other.py").write_text((place / "flows.py").read_text().replace("def checkout", "def purchase"))
    first = begin("run", "other.py:purchase", ORDER, "--id", "p")
    wait_until(inline, "p", waits_for("approve"))
    first.kill()
    first.wait()
    interp("signal", "p", "approve", "true")

    assert 0 == interp("run", "flows.py:quick", "a").code
    assert "waiting" == interp("show", "p", "--json").json["run"]["status"]


def test_show_needs_no_code(interp: Interp, inline: Interp, begin: Begin, place: Path) -> None:
    process = begin("run", "flows.py:busy", "--id", "b")
    wait_until(inline, "b", lambda document: waits_for("end")(document) and is_in("waiting")(document))
    process.kill()
    process.wait()
    (place / "flows.py").unlink()

    shown = interp("show", "b").out

    assert "b  waiting" == shown.splitlines()[0]
    assert "call echo('beside')  → 'beside'" in shown
    assert "signal 'never'  withdrawn" in shown
    assert "signal 'end'" in shown.partition("waits for")[2]
    line = 1 + Path(__file__).with_name("flows.py").read_text().splitlines().index('    yield from await_signal("end")')
    assert f"flows.py:{line}" in shown.partition("waits for")[2]


def test_show_as_json_has_all_there_is(interp: Interp) -> None:
    interp("run", "flows.py:failing", "--id", "f")

    document = interp("show", "f", "--json").json

    (command,) = document["commands"]
    assert ("1", "call", "broken", [7], "failed", 2) == tuple(
        command[key] for key in ("id", "kind", "target", "arguments", "state", "attempt")
    )
    (attempt,) = command["earlier_attempts"]
    assert "builtins.ConnectionError" == attempt["failure"]["type"]
    assert "failed" == document["outcome"]["status"]
    assert [] == document["waits_for"]


def test_list_shows_how_runs_stand_and_what_they_wait_for(interp: Interp, inline: Interp, begin: Begin) -> None:
    interp("run", "flows.py:quick", "a", "--id", "first")
    begin("run", "flows.py:checkout", ORDER, "--id", "second")
    wait_until(inline, "second", waits_for("approve"))

    header, second, first = interp("list").out.splitlines()

    assert ["run", "workflow", "status", "records", "updated", "waits", "for"] == header.split()
    assert ["second", "checkout", "waiting", "2"] == second.split()[:4]
    assert "signal 'approve', times out in " in second
    assert ["first", "quick", "completed", "2"] == first.split()[:4]
    assert ["first"] == [run["id"] for run in interp("list", "--status", "completed", "--json").json["runs"]]
    assert ["second"] == [run["id"] for run in interp("list", "--workflow", "checkout", "--json").json["runs"]]
    limited = interp("list", "--limit", "1")
    assert "1 of 2 runs; --limit 0 shows all\n" == limited.err
    assert "no such runs in lmdb:.interp\n" == interp("list", "--status", "parked").out


def test_a_cancelled_run_cleans_up_and_tells_the_reason(interp: Interp, inline: Interp, begin: Begin) -> None:
    process = begin("run", "flows.py:cleaning", "--id", "c")
    wait_until(inline, "c", waits_for("never"))

    assert 0 == interp("cancel", "c", "--reason", "too late").code

    assert ("", "run 'c' was cancelled: too late\n") == process.communicate(timeout=PATIENCE_S)
    assert 1 == process.returncode
    shown = interp("show", "c").out
    assert "! cancellation asked for  too late" in shown
    assert "call echo('tidied')  → 'tidied'" in shown
    assert shown.endswith("cancelled: too late\n")


def test_a_diverged_run_is_parked_and_released_by_retry(interp: Interp, inline: Interp, begin: Begin) -> None:
    process = begin("run", "flows.py:changing", "--id", "d")
    wait_until(inline, "d", waits_for("go"))
    process.kill()
    process.wait()
    interp("signal", "d", "go", "1")

    diverged = interp("run", "flows.py:changing", "--id", "d", FLOW_VERSION="new")

    assert diverged.is_error(
        "is parked", "recorded: call echo(value='old')", "yielded:  call echo(value='new')", "flows.py:"
    )
    shown = interp("show", "d").out
    assert "d  parked" == shown.splitlines()[0]
    assert "  recorded: call echo(value='old')" in shown
    assert 1 == interp("result", "d").code

    released = interp("retry", "d")

    assert (0, "run 'd' is released\n") == (released.code, released.out)
    assert "replays its 2 records" in released.err
    assert '"1"\n' == interp("run", "flows.py:changing", "--id", "d").out


def test_a_signal_that_nobody_awaits_is_kept_and_said_to_be(interp: Interp, inline: Interp, begin: Begin) -> None:
    begin("run", "flows.py:checkout", ORDER, "--id", "order-42")
    wait_until(inline, "order-42", waits_for("approve"))

    sent = interp("signal", "order-42", "aprove", "hello")

    assert 0 == sent.code
    assert "The run waits for 'approve' and not for 'aprove'" in sent.err
    document = wait_until(inline, "order-42", lambda document: bool(document["mailbox"]))
    assert [("aprove", "hello")] == [(letter["signal"], letter["payload"]) for letter in document["mailbox"]]
    assert "1 signal not taken\n  'aprove' 'hello'" in interp("show", "order-42").out


@pytest.mark.parametrize(
    ("words", "payload"),
    [((), None), (("-5",), -5), (("1.50",), 1.5), (("word",), "word"), (('{"a": [1]}',), {"a": [1]})],
)
def test_a_payload_is_json_or_a_bare_word(interp: Interp, words: tuple[str, ...], payload: Any) -> None:
    interp("run", "flows.py:quick", "a", "--id", "ended")  # makes the store
    started = subprocess.Popen(
        [sys.executable, "-c", _START_ONLY], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    started.wait()

    assert {"run": "w", "signal": "s", "payload": payload} == interp("signal", "w", "s", *words, "--json").json


_START_ONLY = """
from interp.runtime import open_store
from interp.store import Create
open_store("lmdb:.interp").create(Create("w", "elsewhere", b"", b""), 0)
"""


def test_result_can_look_without_waiting(interp: Interp, inline: Interp, begin: Begin) -> None:
    begin("run", "flows.py:checkout", ORDER, "--id", "order-42")
    wait_until(inline, "order-42", waits_for("approve"))

    assert interp("result", "order-42", "--no-wait").is_error("has not ended: it is waiting", "interp show order-42")
    assert interp("result", "order-42", "--timeout", "200ms").is_error("has not ended within 0.2 s")


def test_long_histories_stay_readable(interp: Interp) -> None:
    interp("run", "flows.py:quick", "a", "300", "--id", "wide")

    shown = interp("show", "wide").out.splitlines()

    assert len(shown) < 20
    assert any("… 297 more branches: 297 commands done" in line for line in shown)
    assert max(map(len, shown)) <= 100
    assert len(interp("show", "wide", "--full").out.splitlines()) > 300
    assert "1.250.1  call echo('a-250')" in interp("show", "wide", "--fiber", "1.250").out
