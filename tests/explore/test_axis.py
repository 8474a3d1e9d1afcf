"""The time axis: what is folded, where moments are, and what ticks say."""

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.explore.axis import Axis, axis_of, draw_axis, elapsed, idle_of, lasted, roughly

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
Spans = list[tuple[int, int]]


def at(us: float) -> datetime:
    return NOON + timedelta(microseconds=us)


def axis_over(whole: int, busy: Spans, *, left: float = 100, right: float = 900) -> Axis:
    idle = idle_of(NOON, at(whole), [(at(begin), at(end)) for begin, end in busy])
    return axis_of(NOON, at(whole), idle, left=left, right=right)


@st.composite
def lives(draw: st.DrawFn) -> tuple[int, Spans]:
    """A length in microseconds, up to years, and when there was work."""
    whole = draw(st.sampled_from([0, 1, 70, 10**4, 10**7, 10**10, 10**14]))
    moments = st.integers(0, whole)
    busy = draw(st.lists(st.tuples(moments, moments), max_size=6))
    return whole, [(min(span), max(span)) for span in busy]


@given(lives())
def test_later_moments_are_further_right_and_work_is_never_folded(life: tuple[int, Spans]) -> None:
    whole, busy = life
    axis = axis_over(whole, busy)

    moments = sorted({0, whole, *(moment for span in busy for moment in span)})
    places = [axis.x(at(moment)) for moment in moments]
    assert places == sorted(places)
    assert axis.x(at(-5)) == places[0] == 100
    assert pytest.approx(900 if whole else 100) == places[-1] == axis.x(at(whole + 5))
    for gap in axis.idle:
        assert not [span for span in busy if at(span[0]) < gap.end and gap.begin < at(span[1])]
        assert not [moment for moment in moments if gap.begin < at(moment) < gap.end]
        assert axis.x(gap.end) - axis.x(gap.begin) <= 46.1


@given(lives(), st.sampled_from([30.0, 90.0, 300.0]))
def test_ticks_are_apart_in_order_and_never_inside_of_a_fold(life: tuple[int, Spans], room: float) -> None:
    axis = axis_over(*life)
    ticks = axis.ticks(room)

    assert len(ticks) <= 800 / room + 2 + 2 * len(axis.idle)
    assert [tick.x for tick in ticks] == sorted(tick.x for tick in ticks)
    for gap in axis.idle:
        assert not [tick for tick in ticks if axis.x(gap.begin) + 0.1 < tick.x < axis.x(gap.end) - 0.1]
    for one, other in pairwise(ticks):
        is_across = any(one.x <= axis.x(gap.begin) + 0.1 <= other.x for gap in axis.idle)
        assert is_across or other.x - one.x >= room - 0.1


def test_a_long_wait_is_folded_and_what_is_left_is_to_scale() -> None:
    axis = axis_over(100_000, [(0, 1000), (99_000, 100_000)], left=0, right=446)

    assert [(at(1000), at(99_000))] == [(gap.begin, gap.end) for gap in axis.idle]
    assert [0, 200, 246, 446] == [round(axis.x(at(moment))) for moment in (0, 1000, 99_000, 100_000)]


def test_a_short_wait_is_folded_too_once_the_long_one_beside_it_is() -> None:
    axis = axis_over(10**9, [(0, 10), (1010, 1020), (10**9 - 10, 10**9)])

    assert 2 == len(axis.idle)


def test_work_that_ends_before_it_begins_is_a_moment() -> None:
    axis = axis_over(10**9, [(0, 10**6), (9 * 10**8, 5), (10**9 - 10**6, 10**9)])

    assert [(at(10**6), at(9 * 10**8)), (at(9 * 10**8), at(10**9 - 10**6))] == [
        (gap.begin, gap.end) for gap in axis.idle
    ]


def test_what_does_nothing_but_wait_is_not_folded_away() -> None:
    assert () == axis_over(10**9, [(0, 0), (10**9, 10**9)]).idle
    assert () == axis_over(10**9, []).idle


def test_a_run_that_took_no_time_has_one_tick() -> None:
    assert ["0"] == [tick.label for tick in axis_over(0, []).ticks()]


@pytest.mark.parametrize(
    ("whole", "labels"),
    [
        (70, ["0", "10 µs", "20 µs"]),
        (25 * 60 * 10**6, ["0", "5 min", "10 min"]),
        (11 * 3600 * 10**6, ["0", "2 h", "4 h"]),
        (300 * 86400 * 10**6, ["0", "60 d", "120 d"]),
        (40_000 * 86400 * 10**6, ["0", "4745 d", "9490 d"]),
    ],
)
def test_ticks_are_round_in_the_unit_of_the_run(whole: int, labels: list[str]) -> None:
    assert labels == [tick.label for tick in axis_over(whole, [(0, whole)]).ticks()][:3]


def test_times_are_exact_or_not_told() -> None:
    assert ["1 h 30 min", "", "1.5 s", "250 ms"] == [elapsed(us * 1000) for us in (5_400_000, 5_401_000, 1500, 250)]


def test_lengths_are_told_down_to_microseconds() -> None:
    lengths = [timedelta(0), timedelta(microseconds=7), timedelta(milliseconds=310), timedelta(seconds=200)]

    assert ["0 ms", "7 µs", "310 ms", "3 min 20 s"] == [lasted(length) for length in lengths]


def test_rough_lengths_are_never_far_off() -> None:
    hours = [timedelta(hours=number) for number in (1, 36, 71, 24 * 90)]

    assert ["1 h", "36 h", "3 d", "90 d"] == [roughly(length) for length in hours]
    assert ["98 s", "25 min"] == [roughly(timedelta(seconds=number)) for number in (98, 24 * 60 + 31)]


def test_labels_that_would_overlap_are_left_out() -> None:
    axis = axis_over(10**9, [(0, 10), (1010, 1020), (10**9 - 10, 10**9)], left=0, right=300)

    drawn = draw_axis(axis, 30, 90)
    assert "17 min idle" in drawn
    places = [float(found) for found in re.findall(r'<text x="([0-9.]+)"', drawn)]
    assert len(places) == len(set(places))
