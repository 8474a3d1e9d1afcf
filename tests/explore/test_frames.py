"""Columns, for every data frame library and for none; histories as rows."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import UsageError
from interp.events import (
    AttemptFailed,
    Failure,
    Record,
    Rejected,
    Resolved,
    Started,
    Transition,
    WorkerLost,
    encode_transition,
)
from interp.explore import Frame, Journal, Kind
from interp.explore.commands import Past, commands_frame
from interp.explore.run import read_run
from interp.runtime.stores import open_store
from interp.store import Create
from tests.explore.browser import needed
from tests.explore.flows import provision_fleet
from tests.explore.recording import BEGIN, CLOUD, keep, record

S = timedelta(seconds=1)
DAY = datetime(2026, 11, 3, 9, 0, 0, 123456, tzinfo=UTC)

VALUES: dict[str, tuple[Kind, list[Any]]] = {
    "text": (Kind.TEXT, ["a", None, "ü€😀\0", ""]),
    "whole": (Kind.WHOLE, [2**63 - 1, -(2**63), None, 0]),
    "number": (Kind.NUMBER, [1.5, None, -0.0, 1e300]),
    "truth": (Kind.TRUTH, [True, False, None, True]),
    "moment": (Kind.MOMENT, [DAY, None, DAY + timedelta(days=9000), DAY]),
    "span": (Kind.SPAN, [timedelta(microseconds=1), timedelta(days=3), None, timedelta(0)]),
}


def _columns(frame: Frame) -> dict[str, list[Any]]:
    return {name: list(frame[name]) for name in frame.columns}


def _empty() -> Frame:
    return Frame({name: (kind, []) for name, (kind, _) in VALUES.items()})


# Without any library.


def test_a_frame_is_columns_and_rows() -> None:
    frame = Frame({"n": (Kind.WHOLE, [1, 2]), "t": (Kind.TEXT, ["a", None])})

    assert 2 == len(frame)
    assert ("n", "t") == frame.columns
    assert [1, 2] == list(frame["n"])
    assert 2 == frame["n"][-1]
    assert [{"n": 1, "t": "a"}, {"n": 2, "t": None}] == list(frame)
    assert 0 == len(Frame({}))


def test_a_column_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match="no column 'x'; there are n, t"):
        Frame({"n": (Kind.WHOLE, []), "t": (Kind.TEXT, [])})["x"]


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(UsageError, match="column 'b' has 1 values; the first one has 2"):
        Frame({"a": (Kind.WHOLE, [1, 2]), "b": (Kind.WHOLE, [1])})


def test_a_frame_shows_its_beginning() -> None:
    frame = Frame({"n": (Kind.WHOLE, range(1_000)), "t": (Kind.TEXT, ["<b>" + 500 * "x"] * 1_000)}, noun="call")

    assert str(frame).endswith("… 980 more; 1,000 calls")
    assert 22 == len(str(frame).splitlines())
    assert 20 == frame._repr_html_().count("<tr>") - 1
    assert "<b>" not in frame._repr_html_()
    assert all(len(line) <= 120 for line in str(frame).splitlines())


def test_columns_that_do_not_fit_a_terminal_are_named() -> None:
    frame = Frame({f"column_{each}": (Kind.TEXT, ["x" * 30]) for each in range(9)})

    assert "6 more columns: column_3, column_4, column_5, column_6, column_7, column_8" in str(frame)


@given(st.lists(st.text(st.characters(blacklist_categories=[]), max_size=300), max_size=5))
def test_any_text_is_shown_on_its_line(values: list[str]) -> None:
    frame = Frame({"t": (Kind.TEXT, values)})

    assert len(values) + 2 == len(str(frame).splitlines())
    assert len(values) + 1 == frame._repr_html_().count("<tr>")


def test_without_a_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "polars", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    frame = _empty()

    for make, package in ((frame.to_pandas, "pandas"), (frame.to_polars, "polars"), (frame.to_arrow, "pyarrow")):
        with pytest.raises(UsageError, match=f"pip install {package}"):
            make()
    with pytest.raises(UsageError, match="written by pyarrow or polars, and neither is installed"):
        frame.__arrow_c_stream__()


def test_importing_explore_imports_no_library() -> None:
    program = "import sys, interp.explore; print([n for n in %r if n in sys.modules])"
    names = ("pandas", "polars", "pyarrow", "plotly", "altair", "numpy")
    done = subprocess.run([sys.executable, "-c", program % (names,)], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()


# With them.


@pytest.mark.lab
@pytest.mark.parametrize("frame", [Frame(VALUES), _empty()], ids=["full", "empty"])
def test_polars_has_the_same_values(frame: Frame) -> None:
    polars = needed("polars")

    assert _columns(frame) == frame.to_polars().to_dict(as_series=False)
    assert frame.to_polars().equals(polars.DataFrame(frame))


@pytest.mark.lab
@pytest.mark.parametrize("frame", [Frame(VALUES), _empty()], ids=["full", "empty"])
def test_arrow_has_the_same_values_and_types(frame: Frame) -> None:
    arrow = needed("pyarrow")
    types = ["string", "int64", "double", "bool", "timestamp[us, tz=UTC]", "duration[us]"]

    assert _columns(frame) == frame.to_arrow().to_pydict()
    assert types == [str(kind) for kind in frame.to_arrow().schema.types]
    assert frame.to_arrow().equals(arrow.table(frame))


@pytest.mark.lab
@pytest.mark.parametrize("frame", [Frame(VALUES), _empty()], ids=["full", "empty"])
def test_pandas_has_the_same_values(frame: Frame) -> None:
    pandas = needed("pandas")
    made = frame.to_pandas()

    for name in frame.columns:
        told = [None if pandas.isna(value) else value for value in made[name]]
        assert list(frame[name]) == told, name
    assert ["string", "Int64", "Float64", "boolean", "datetime64[us, UTC]", "timedelta64[us]"] == [
        str(kind) for kind in made.dtypes
    ]
    if hasattr(pandas.DataFrame, "from_arrow"):
        needed("pyarrow")
        assert len(frame) == len(pandas.DataFrame.from_arrow(frame))


@pytest.mark.lab
def test_polars_writes_the_stream_where_pyarrow_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    polars = needed("polars")
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert _columns(Frame(VALUES)) == polars.DataFrame(Frame(VALUES)).to_dict(as_series=False)


# Commands.


@pytest.fixture
def runs(request: pytest.FixtureRequest) -> Iterator[Journal]:
    url = f"memory:{request.node.name}"
    store = open_store(url)
    for seed in range(3):
        history = record(provision_fleet, "eu", ["a", "b", "c"], world=attrs.evolve(CLOUD, seed=seed))
        keep(store, f"prov-{seed}", history)
    with Journal(url) as journal:
        yield journal
    store.close()


def _history(*transitions: tuple[float, Any, tuple[Record, ...]]) -> list[Transition]:
    return [
        Transition(index, BEGIN + at * S, cause, commands) for index, (at, cause, commands) in enumerate(transitions)
    ]


def _row(*transitions: tuple[float, Any, tuple[Record, ...]]) -> dict[str, Any]:
    start = (0.0, Started("wf", b"[]", b""), (Record("1", "call", "shop.charge", b'["42",7]', "shop.py:9"),))
    (row,) = commands_frame([Past("r", "wf", _history(start, *transitions))])
    return row


FAILURE = Failure("builtins.ConnectionError", "refused\nby <b>bank</b>")


def test_a_call_that_answered_at_once() -> None:
    row = _row((5, Resolved("1", b'"ok"', 1, BEGIN + 2 * S), ()))

    assert ("r", "wf", "1", "call", "shop.charge", "", "shop.py:9") == tuple(
        row[name] for name in ("run", "workflow", "command", "kind", "target", "fiber", "where")
    )
    assert ("'42', 7", "'ok'", None, None, "done") == tuple(
        row[name] for name in ("arguments", "result", "failure", "failure_type", "status")
    )
    assert (BEGIN, BEGIN + 2 * S, BEGIN + 5 * S) == (row["yielded_at"], row["begun_at"], row["ended_at"])
    assert (2.0, 3.0, 3.0, 5.0) == (row["queued_s"], row["took_s"], row["worked_s"], row["total_s"])
    assert (1, 0, 0) == (row["attempts"], row["failed_attempts"], row["lost_attempts"])


def test_a_call_that_was_retried_lost_and_answered() -> None:
    row = _row(
        (3, AttemptFailed("1", 1, FAILURE, BEGIN + 10 * S, BEGIN + S), ()),  # queued 1 s, worked 2 s
        (20, WorkerLost("w1", "w2"), ()),  # the second attempt
        (30, Resolved("1", b"null", 3, BEGIN + 26 * S), ()),  # queued 6 s, worked 4 s
    )

    assert (7.0, 4.0, 6.0, 30.0) == (row["queued_s"], row["took_s"], row["worked_s"], row["total_s"])
    assert (3, 1, 1) == (row["attempts"], row["failed_attempts"], row["lost_attempts"])
    assert BEGIN + S == row["begun_at"]


def test_a_call_that_failed_for_good() -> None:
    row = _row(
        (3, AttemptFailed("1", 1, FAILURE, BEGIN + 10 * S, BEGIN + S), ()),
        (12, Rejected("1", FAILURE, False, 2, BEGIN + 10 * S), ()),
    )

    assert ("failed", "ConnectionError: refused by <b>bank</b>", "ConnectionError") == (
        row["status"],
        row["failure"],
        row["failure_type"],
    )
    assert (2, 2, 0) == (row["attempts"], row["failed_attempts"], row["lost_attempts"])


def test_a_deadline_that_passes_between_two_attempts_is_no_attempt() -> None:
    row = _row(
        (3, AttemptFailed("1", 1, FAILURE, BEGIN + 10 * S, BEGIN + S), ()),
        (6, Rejected("1", FAILURE, False, 1), ()),
    )

    assert (1, 1) == (row["attempts"], row["failed_attempts"])


def test_a_call_that_waits() -> None:
    row = _row()

    assert ("waits", None, None, None, None, 0) == tuple(
        row[name] for name in ("status", "ended_at", "took_s", "total_s", "queued_s", "attempts")
    )


def test_large_values_are_cut() -> None:
    row = _row((1, Resolved("1", b'"' + 10_000_000 * b"x" + b'"', 1, BEGIN), ()))

    assert 120 >= len(row["result"])


def test_there_is_a_row_for_each_command_of_all_runs(runs: Journal) -> None:
    frame = runs.commands("provision_fleet")
    nodes = {(run.id, node.id) for run in runs.runs() for node in run.tree.nodes.values()}

    assert len(nodes) == len(frame)
    assert nodes == set(zip(frame["run"], frame["command"], strict=True))
    assert {"prov-2"} == set(runs.commands(limit=1)["run"])
    assert list(runs["prov-1"].commands()) == [row for row in frame if row["run"] == "prov-1"]


def test_there_is_a_row_for_each_record(runs: Journal) -> None:
    run = runs["prov-0"]
    frame = run.records()

    assert list(range(run.row.length)) == list(frame["index"])
    assert ("started", "provision_fleet") == (frame["cause"][0], frame["name"][0])
    assert {"resolved", "attempt failed", "worker lost", "signalled", "fired"} & set(frame["cause"])
    assert sum(run.row.length for run in runs.runs()) == len(runs.runs().records())
    assert "completed" == frame["outcome"][-1]
    assert len(run.tree.nodes) == sum(frame["yielded"])


def test_damaged_records_are_left_out_and_counted() -> None:
    store = open_store("memory:")
    history = record(provision_fleet, "eu", ["a"], world=CLOUD, until=timedelta(minutes=10))
    records = [encode_transition(transition) for transition in history]
    _ = store.create(Create("r", "provision_fleet", b"", b"", records=[*records, b"\xc1junk"]), 1)
    run = read_run(store, "r")

    assert len(records) == len(run.records())
    assert len(run.tree.nodes) == len(run.commands())
    assert (1, 1) == (run.records().damaged, run.commands().damaged)
    assert str(run.commands()).endswith("; 1 damaged record left out")
