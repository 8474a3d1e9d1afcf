"""`interp fork` and `interp show --records`, which tells where one can fork."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Told

Interp = Callable[..., Told]


@pytest.fixture
def declined(interp: Interp) -> str:
    """A checkout whose card was declined."""
    assert '"declined"\n' == interp("run", "flows.py:checkout", '{"id": "42", "cents": 9999}', "--id", "d").out
    return "d"


def test_the_records_are_listed_with_their_index(inline: Interp, declined: str) -> None:
    told = inline("show", "d", "--records")

    lines = [re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "T", line) for line in told.out.splitlines()]
    assert [
        """   0  T  checkout began  ⇒  annotate(stage='charging') [1]; charge({'id': '42', 'cents': 9999}) [2]""",
        (
            """   1  T  charge({'id': '42', 'cents': 9999}) [2] failed: flows.CardDeclined: limit"""
            """  ⇒  returned 'declined'"""
        ),
    ] == lines
    records = inline("show", "d", "--records", "--json").json["records"]
    assert [("start", None, ["1", "2"], None), ("err", "2", [], "done")] == [
        (each["cause"], each["id"], each["commands"], each["outcome"]) for each in records
    ]


def test_a_fork_with_another_result_goes_another_way(interp: Interp, declined: str, place: Path) -> None:
    forked = interp("fork", "d", "flows.py", "--at", "2", "--with", "2=by-hand", "--id", "again")

    assert (0, "again\n") == (forked.code, forked.out)
    assert "begins as run 'd' up to record 1" in forked.err
    assert 0 == interp("signal", "again", "approve", "true").code
    order = '{"id": "42", "cents": 9999}'
    waiting = interp("show", "again")
    assert "forked from d at record 1, with results given for 2" in waiting.out
    assert interp("run", "flows.py:checkout", order, "--id", "again").is_error("run id 'again' is taken")

    worker = interp("run", "flows.py:quick", "x", "--id", "other")  # any engine that knows the workflow moves it
    assert 0 == worker.code
    assert '"by-hand"\n' == interp("result", "again").out
    assert ["42"] == (place / "charges").read_text().split()


def test_the_document_of_a_fork(interp: Interp, declined: str) -> None:
    told = interp("fork", "d", "flows.py", "--at", "1", "--id", "again", "--json")

    assert {"run": "again", "forked_from": "d", "at": 1, "given": []} == told.json
    shown = interp("show", "again", "--json").json
    assert [{"run": "d", "records": 1, "given": []}] == shown["forked_from"]


def test_what_does_not_fit_is_refused(interp: Interp, declined: str) -> None:
    assert interp("fork", "d", "flows.py", "--at", "2").is_error("record 1 ends run 'd'")
    assert interp("fork", "d", "flows.py", "--at", "1", "--with", "2").is_error("expected COMMAND=JSON")
    assert interp("fork", "d", "flows.py", "--at", "1", "--with", "2=7").is_error("result of charge (command 2)")
    assert interp("fork", "x", "flows.py", "--at", "1").is_error("there is no run 'x'")
    assert 1 == len(interp("list", "--json").json["runs"])


def test_retry_makes_a_failed_run_go_on_and_says_what_is_made_anew(interp: Interp) -> None:
    assert 1 == interp("run", "flows.py:failing", "--id", "f").code

    told = interp("retry", "f")

    assert (0, "run 'f' goes on\n") == (told.code, told.out)
    assert "It had failed with CallFailed: broken failed after 2 attempts" in told.err
    assert "makes call 1 anew" in told.err
    assert interp("retry", "f").is_error("run 'f' is neither parked nor failed: it is pending")
    assert 1 == interp("run", "flows.py:failing", "--id", "f").code  # it goes on, and fails again
    shown = interp("show", "f")
    assert "retried after  CallFailed: broken failed after 2 attempts" in shown.out
    assert "the run was tried again after CallFailed" in interp("show", "f", "--records").out
    again = interp("retry", "f", "--json").json
    assert ("f", True, "1") == (again["run"], again["released"], again["call"])
    events = interp("show", "f", "--json").json["events"]
    assert ["retried", "retried"] == [event["event"] for event in events if event["event"] == "retried"]
