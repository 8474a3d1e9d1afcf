"""Numbers over many runs, and the views of them."""

import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from xml.etree import ElementTree as ET

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import UsageError
from interp.events import (
    AttemptFailed,
    Failed,
    Failure,
    Record,
    Rejected,
    Resolved,
    Started,
    Transition,
    WorkerLost,
)
from interp.explore import Journal, to_altair, to_plotly
from interp.explore.commands import Past, commands_frame
from interp.explore.concurrency import concurrency_of
from interp.explore.doings import AT_WORK, QUEUED, RETRY, UNKNOWN, doings
from interp.explore.failing import failure_groups, failures_of, shape_of
from interp.explore.latency import latency_of
from interp.explore.path_map import path_map_of
from interp.explore.picture import Picture
from interp.explore.run import read_run
from interp.explore.slowest import slowest_of
from interp.explore.statistics import groups_of, percentile, period, scale_of, share
from interp.explore.view import View
from interp.explore.ways import ways_of
from interp.outline.tree import tree_of
from interp.runtime.stores import open_store
from tests.explore.browser import needed
from tests.explore.flows import provision_fleet
from tests.explore.recording import BEGIN, CLOUD, keep, record

S = timedelta(seconds=1)
REFUSED = Failure("builtins.ConnectionError", "refused by 10.0.0.7")
HOSTILE = "<script>alert(1)</script>\u202e"


def _past(*transitions: tuple[float, Any, Sequence[Record]], run: str = "r", outcome: Any = None) -> Past:
    history = [
        Transition(index, BEGIN + at * S, cause, tuple(commands))
        for index, (at, cause, commands) in enumerate(transitions)
    ]
    if outcome is not None:
        last = history[-1]
        history[-1] = Transition(last.index, last.at, last.cause, last.commands, outcome)
    return Past(run, "wf", history)


def _call(command_id: str, target: str = "shop.charge") -> Record:
    return Record(command_id, "call", target, b'["42"]', "shop.py:9")


START = Started("wf", b"[]", b"")


def _of(*took: float, target: str = "shop.charge", run: str = "r") -> Past:
    """A run with a call of each duration, all yielded and begun at once."""
    calls = [_call(f"1.{number}.1", target) for number in range(len(took))]
    ends = [(seconds, Resolved(call.id, b"1", 1, BEGIN), ()) for seconds, call in zip(took, calls, strict=True)]
    return _past((0, START, calls), *sorted(ends, key=lambda end: end[0]), run=run)


# Numbers.


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=40), st.integers(1, 99))
def test_percentiles_are_those_of_the_standard_library(values: list[float], percent: int) -> None:
    expected = statistics.quantiles(values, n=100, method="inclusive")[percent - 1]

    assert percentile(sorted(values), percent / 100) == pytest.approx(expected, abs=1e-6)


def test_the_percentiles_of_one_value_are_that_value() -> None:
    assert {3.0} == {percentile([3.0], part) for part in (0.0, 0.5, 0.95, 1.0)}


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 µs"),
        (0.00042, "420 µs"),
        (0.0042, "4.2 ms"),
        (0.042, "42 ms"),
        (0.42, "420 ms"),
        (4.2, "4.2 s"),
        (42, "42 s"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (93_600, "1 d 2 h"),
    ],
)
def test_periods_are_written_in_at_most_two_units(seconds: float, expected: str) -> None:
    assert expected == period(seconds)


@pytest.mark.parametrize(
    ("part", "expected"), [(0, "–"), (1, "<1 %"), (5, "1 %"), (250, "50 %"), (499, ">99 %"), (500, "100 %")]
)
def test_a_share_is_never_rounded_to_nothing_or_to_all(part: int, expected: str) -> None:
    assert expected == share(part, 500)


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=50))
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    scale = scale_of(groups_of(commands_frame([_of(*values)]), "target"))

    assert len(values) == sum(scale.bins(values, 72))
    assert all(0 <= scale.place(value) <= 1.000001 for value in values)


def test_calls_are_grouped_and_the_most_work_comes_first() -> None:
    frame = commands_frame([_of(1, 2, 3), _of(10, target="shop.ship"), _of(4, run="other")])
    first, second = groups_of(frame, "target")

    assert ("shop.charge", 4, (1.0, 2.0, 3.0, 4.0), 10.0) == (first.name, first.number, first.took, first.worked)
    assert ("shop.ship", (10.0,)) == (second.name, second.took)
    assert ["r", "other"] == [group.name for group in groups_of(frame, "run")]
    with pytest.raises(UsageError, match="no column 'activity'; there are run, workflow"):
        groups_of(frame, "activity")


def test_what_a_call_did_has_no_gaps_and_ends_with_it() -> None:
    past = _past(
        (0, START, [_call("1")]),
        (3, AttemptFailed("1", 1, REFUSED, BEGIN + 10 * S, BEGIN + S), ()),
        (20, WorkerLost("w1", "w2"), ()),
        (30, Resolved("1", b"null", 3, BEGIN + 26 * S), ()),
    )
    (node,) = tree_of(past.history).nodes.values()
    told = [(doing.what, (doing.begin - BEGIN) / S, (doing.end - BEGIN) / S) for doing in doings(node, BEGIN + 30 * S)]

    assert [
        (QUEUED, 0, 1),
        (AT_WORK, 1, 3),
        (RETRY, 3, 10),
        (UNKNOWN, 10, 20),
        (QUEUED, 20, 26),
        (AT_WORK, 26, 30),
    ] == told


def test_what_is_done_of_a_call_that_goes_on_ends_where_the_history_does() -> None:
    past = _past((0, START, [_call("1.0.1"), _call("1.1.1")]), (7, Resolved("1.1.1", b"1", 1, BEGIN), ()))
    node = tree_of(past.history).nodes["1.0.1"]

    assert [(QUEUED, BEGIN, BEGIN + 7 * S)] == [attrs.astuple(each)[1:] for each in doings(node, BEGIN + 7 * S)]


@pytest.mark.parametrize(
    ("message", "shape"),
    [
        ("refused by 10.0.0.7", "refused by …"),
        ("order 'ab c' has 3 items", "order … has … items"),
        ("web-3 never became healthy", "web-… never became healthy"),
        ("key 0x7f3a and 123e4567-e89b-12d3-a456-426614174000", "key … and …"),
        ("no\nsuch\tthing", "no such thing"),
        ("can't open 'x'", "can't open …"),
        ("", ""),
    ],
)
def test_messages_of_one_kind_have_one_shape(message: str, shape: str) -> None:
    assert shape == shape_of(message)


def test_failures_that_are_alike_are_one_group() -> None:
    other = Failure("builtins.ConnectionError", "refused by 10.0.0.8")
    lost = Failure("shop.NoStock", "no more of 'a'")
    pasts = [
        _past(
            (0, START, [_call("1"), _call("2", "shop.ship")]),
            (1, AttemptFailed("1", 1, REFUSED, BEGIN + 2 * S, BEGIN), ()),
            (3, Rejected("1", other, False, 2, BEGIN + 2 * S), ()),
            (4, Rejected("2", lost, True, 1, BEGIN), ()),
            run="a",
            outcome=Failed(Failure("builtins.RuntimeError", "gave up")),
        ),
        _past((0, START, [_call("1")]), (5, AttemptFailed("1", 1, other, BEGIN + 9 * S, BEGIN), ()), run="b"),
    ]
    ended, refused, stock = failure_groups(pasts)

    assert ("RuntimeError", "", 0, 0, 1) == _counts(ended)
    assert ("ConnectionError", "shop.charge", 3, 1, 0) == _counts(refused)
    assert ("NoStock", "shop.ship", 1, 1, 0) == _counts(stock)
    assert (["a", "b"], BEGIN + 5 * S, "refused by …") == (refused.examples, refused.last, refused.shape)


def _counts(group: Any) -> tuple[str, str, int, int, int]:
    return group.type_name, group.activity, group.tries, group.calls, group.runs_failed


# How many at once.


def test_calls_and_runs_at_once_are_counted_exactly() -> None:
    frame = concurrency_of([_of(1, 3), _of(3, 5, run="b")], title="wf").frame
    rows = [((row["at"] - BEGIN) / S, row["layer"], row["calls"]) for row in frame]

    assert [(0.0, "charge", 4), (1.0, "charge", 3), (3.0, "charge", 1), (5.0, "charge", 0)] == rows[:4]
    assert [(0.0, "runs", 2), (3.0, "runs", 1), (5.0, "runs", 0)] == rows[4:]


def test_concurrency_by_status_tells_what_calls_waited_for() -> None:
    past = _past(
        (0, START, [_call("1")]),
        (3, AttemptFailed("1", 1, REFUSED, BEGIN + 10 * S, BEGIN + S), ()),
        (12, Resolved("1", b"1", 2, BEGIN + 10 * S), ()),
    )
    view = concurrency_of([past], title="wf", by="status")

    assert {AT_WORK: 4.0, RETRY: 7.0, QUEUED: 1.0} == {layer.name: layer.seconds for layer in view.layers}
    with pytest.raises(UsageError, match="by='kind': expected 'activity' or 'status'"):
        concurrency_of([past], title="wf", by="kind")  # type: ignore[arg-type]


def test_activities_beyond_the_colours_share_a_layer() -> None:
    view = concurrency_of([_of(number + 1, target=f"a{number}", run=str(number)) for number in range(12)], title="wf")

    assert 9 == len(view.layers)
    assert "other activities" == view.layers[-1].name
    assert sum(range(1, 5)) == view.layers[-1].seconds


# The slowest.


def test_the_slowest_calls_come_first() -> None:
    frame = commands_frame([_of(1, 30, 3), _of(20, run="b")])
    view = slowest_of(frame, 2, runs=2)

    assert [30.0, 20.0] == list(view.frame["total_s"])
    assert str(view).endswith("the slowest 2 of 4 calls in 2 runs")
    with pytest.raises(UsageError, match="by='time': expected 'total_s', 'took_s', 'queued_s', 'worked_s'"):
        slowest_of(frame, 2, runs=2, by="time")


# The views.


@pytest.fixture(scope="module")
def journal() -> Iterator[Journal]:
    store = open_store("memory:statistics")
    for seed in range(6):
        world = attrs.evolve(CLOUD, seed=seed, slots=3 if seed % 2 else 1 << 30)
        until = timedelta(minutes=20) if seed == 5 else None
        keep(store, f"prov-{seed}", record(provision_fleet, "eu", ["a", "b", "c"], world=world, until=until))
    with Journal("memory:statistics") as journal:
        yield journal
    store.close()


VIEWS = ("latency", "concurrency", "slowest", "failures", "path_map")


def _check(view: View) -> None:
    html, text = view._repr_html_(), str(view)
    assert "cannot be" not in html + text
    assert "<script" not in html
    assert "\u202e" not in html + text
    assert all(len(line) <= 120 for line in text.splitlines()), text
    ET.fromstring(view.html().replace("<br>", ""))
    if isinstance(view, Picture):
        svg = ET.fromstring(view.svg())
        assert svg.get("role") == "img"
        assert svg.get("aria-label")
        assert not [element for element in svg.iter() if element.tag.endswith("script")]
    frame: Any = view.frame  # type: ignore[attr-defined]
    assert len(frame) >= 0


@pytest.mark.parametrize("name", VIEWS)
def test_views_show_themselves(name: str, journal: Journal) -> None:
    _check(getattr(journal.runs(), name)())


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_nothing_say_so(name: str, journal: Journal) -> None:
    _check(getattr(journal.runs(status="parked"), name)())


@pytest.mark.parametrize("name", VIEWS)
def test_hostile_names_are_text(name: str) -> None:
    hostile = Failure(HOSTILE, HOSTILE * 1000)
    past = _past(
        (0, Started(HOSTILE, b"[]", b""), [Record("1", "call", HOSTILE, b"not json \xff", HOSTILE)]),
        (1, AttemptFailed("1", 1, hostile, BEGIN + 2 * S, BEGIN), ()),
        (3, Rejected("1", hostile, False, 2, BEGIN + 2 * S), [Record("2", "annotate", "", b"[", HOSTILE)]),
        run=HOSTILE,
        outcome=Failed(hostile),
    )
    frame = commands_frame([past])
    views: dict[str, Callable[[], View]] = {
        "latency": lambda: latency_of(frame, runs=1, title=HOSTILE),
        "concurrency": lambda: concurrency_of([past], title=HOSTILE),
        "slowest": lambda: slowest_of(frame, 5, runs=1),
        "failures": lambda: failures_of([past], 1),
        "path_map": lambda: path_map_of(ways_of([past]), HOSTILE),
    }

    _check(views[name]())


def test_the_latency_table_is_that_of_the_commands(journal: Journal) -> None:
    runs = journal.runs()
    view = runs.latency()
    rows = {row["target"]: row for row in view.frame}
    calls = [row for row in runs.commands() if row["target"] == "create_vm" and row["status"] == "done"]
    took = sorted(row["took_s"] for row in calls)

    assert len(took) == len(
        [row for row in runs.commands() if row["target"] == "create_vm" and row["status"] == "done"]
    )
    assert percentile(took, 0.5) == rows["create_vm"]["p50_s"]
    assert max(took) == rows["create_vm"]["max_s"]
    assert 1.0 == pytest.approx(sum(row["share"] for row in view.frame))
    assert "create_vm" in str(view)


@pytest.mark.lab
def test_pictures_are_saved(journal: Journal, tmp_path: Any) -> None:
    needed("resvg_py")
    view = journal.runs().latency()

    assert view.save(tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in view.save(tmp_path / "a.svg").read_text()


def test_moments_far_apart_fold_the_time_between() -> None:
    far = 300 * 86_400
    late = _past((far, START, [_call("1")]), (far + 5, Resolved("1", b"1", 1, BEGIN + far * S), ()), run="late")
    view = concurrency_of([_of(5), late], title="wf")

    assert ">300 d idle<" in view.svg()
    assert "idle time folded" in str(view)


# Other people's pictures.


@pytest.mark.lab
@pytest.mark.parametrize("many", [False, True])
def test_plotly_figures_are_built_and_written(many: bool, journal: Journal) -> None:
    needed("plotly")
    figure = to_plotly(journal.runs() if many else journal["prov-0"])

    assert "create_vm" in figure.to_html(include_plotlyjs=False)
    assert figure.data


@pytest.mark.lab
@pytest.mark.parametrize("many", [False, True])
def test_altair_charts_are_built_and_drawn(many: bool, journal: Journal) -> None:
    needed("altair")
    convert = needed("vl_convert")

    assert "create_vm" in convert.vegalite_to_svg(to_altair(journal.runs() if many else journal["prov-0"]).to_json())


@pytest.mark.lab
def test_plotly_takes_no_tags_from_a_journal() -> None:
    needed("plotly")
    store = open_store("memory:")
    keep(store, HOSTILE, _of(5, target="m.<b>x</b>").history)
    figure = to_plotly(read_run(store, HOSTILE))

    assert "<b>" not in figure.to_json().replace("\\u003c", "<")


def test_without_the_packages_the_error_says_what_to_install(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("plotly", "plotly.graph_objects", "altair"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(UsageError, match="made by plotly, which is not installed here: pip install plotly"):
        to_plotly(journal["prov-0"])
    with pytest.raises(UsageError, match="pip install altair"):
        to_altair(journal["prov-0"])
