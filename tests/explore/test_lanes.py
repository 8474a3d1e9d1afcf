"""A run as lanes: what each fiber did when, without overlap, and without losing anything."""

from collections import Counter
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import attrs
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from interp import await_signal, call, gather, race, sleep, spawn, timeout, workflow
from interp.commands import Command
from interp.events import (
    AttemptFailed,
    CancelRequested,
    ContinuedAs,
    Failure,
    Outgrown,
    Record,
    Retried,
    Started,
    Transition,
    WorkerLost,
)
from interp.explore.chart import ATTEMPTS, Chart, Kind, Lane
from interp.explore.lanes import lanes_of
from interp.outline.tree import tree_of
from interp.store import Status
from tests.explore.examples import FEW
from tests.explore.flows import announce, create_subnet, health_check, provision_fleet
from tests.explore.living import end_of, histories, run_of
from tests.explore.recording import CLOUD, World, record

Flow = Generator[Command[Any], Any, Any]

SIX = [f"web-{number}" for number in range(1, 7)]


def chart_of(history: tuple[Transition, ...], later: float = 0.0, status: Status = Status.RUNNING) -> Chart:
    run = run_of(history, status)
    return lanes_of(run.tree, run.history, run.row, end_of(history) + timedelta(seconds=later))


def lanes(chart: Chart) -> dict[str, Lane]:
    return {lane.name: lane for lane in chart.root.every()}


def kinds(lane: Lane) -> list[str]:
    return [segment.kind.name for segment in lane.segments]


# What holds for every run.


@FEW
@given(histories(), st.sampled_from([0.0, 30.0]), st.sampled_from([Status.RUNNING, Status.WAITING]))
def test_nothing_overlaps_in_a_lane(history: tuple[Transition, ...], later: float, status: Status) -> None:
    chart = chart_of(history, later, status)

    for lane in chart.root.every():
        for segment in lane.segments:
            assert chart.begin <= segment.begin <= segment.end <= chart.end
            assert lane.begin <= segment.begin and segment.end <= lane.end
        for one, other in pairwise(lane.segments):
            assert one.end <= other.begin


@FEW
@given(histories())
def test_every_command_is_shown_or_counted_once(history: tuple[Transition, ...]) -> None:
    chart = chart_of(history)

    shown: Counter[str] = Counter()
    for lane in chart.root.every():
        shown.update({segment.node.id for segment in lane.segments if segment.node is not None})
        shown.update(node.id for node in lane.instants)
        shown.update(node.id for node in lane.signals if node.early is not None)
    tree = tree_of(history)
    assert dict.fromkeys(tree.nodes, 1) == shown
    fibers = [fiber for lane in chart.root.every() for fiber in lane.fibers]
    assert sorted({*tree.fibers, ""}) == sorted(fibers)


@FEW
@given(histories())
def test_every_failed_attempt_is_counted(history: tuple[Transition, ...]) -> None:
    chart = chart_of(history)

    answers = [node for node in tree_of(history).nodes.values() if node.record.kind in ("call", "transact")]
    failed = sum(len(node.tries) + (node.failure is not None) for node in answers)
    assert failed == sum(lane.failures for lane in chart.root.every())


@FEW
@given(histories(), st.sampled_from([0.0, 1e7]))
def test_no_fold_hides_work(history: tuple[Transition, ...], later: float) -> None:
    chart = chart_of(history, later)

    for gap in chart.idle():
        for lane in chart.root.every():
            for segment in lane.segments:
                is_silent = segment.is_open and gap.begin >= chart.recorded
                if segment.kind in ATTEMPTS and segment.begin < gap.end and gap.begin < segment.end:
                    assert is_silent and gap.word == "without a record"


# One run, in all its parts.


def test_attempts_retries_and_a_crash_are_told_apart() -> None:
    chart = chart_of(record(provision_fleet, "eu-west-1", SIX, world=CLOUD))

    assert ["RAN", "BRANCHES", "RAN", "BRANCHES", "RAN"] == kinds(chart.root)
    assert ["FAILED", "RETRY", "FAILED", "RETRY", "RAN", "LOST", "DOWN", "RAN", "RAN", "RAN"] == kinds(
        lanes(chart)["web-1"]
    )[:10]
    lost = lanes(chart)["web-1"].segments[5]
    (crash,) = chart.notes
    assert (lost.end, lanes(chart)["web-1"].segments[6].end) == (crash.begin, crash.end)
    assert "w1 lost · w2 replayed 16 records" == crash.text
    assert 3 == lanes(chart)["web-1"].failures
    assert [*SIX, "signal 'approve'", "sleep 1 d"] == list(lanes(chart))[1:]
    assert ["7.0.1"] == [node.id for node in lanes(chart)["signal 'approve'"].signals]


def test_waiting_for_a_worker_is_told_from_waiting_to_try_again() -> None:
    world = World(took={"announce": (10, 10)}, slots=1)
    chart = chart_of(record(broadcast, ["a", "b"], world=world))

    assert ["RAN"] == kinds(lanes(chart)["a"])
    assert ["QUEUED", "RAN"] == kinds(lanes(chart)["b"])


def test_what_goes_on_is_open_and_reaches_the_present() -> None:
    history = record(provision_fleet, "eu-west-1", SIX, world=CLOUD, until=timedelta(minutes=12))
    chart = chart_of(history, 60)

    web = lanes(chart)["web-1"]
    assert chart.is_open and web.is_open and chart.root.is_open
    assert not lanes(chart)["web-4"].is_open
    assert (Kind.RAN, True, chart.end) == (web.segments[-1].kind, web.segments[-1].is_open, web.segments[-1].end)
    assert Kind.QUEUED is lanes(chart_of(history, 60, Status.WAITING))["web-1"].segments[-1].kind


def test_calls_at_work_are_not_folded_unless_nothing_was_heard_for_long() -> None:
    history = record(provision_fleet, "eu-west-1", SIX, world=CLOUD, until=timedelta(minutes=12))

    assert "without a record" not in [gap.word for gap in chart_of(history, 300).idle()]
    assert "without a record" == chart_of(history, 86400).idle()[-1].word
    assert "idle" == chart_of(history, 86400, Status.WAITING).idle()[-1].word


def test_the_pause_of_one_call_is_not_called_idle_while_another_may_be_at_work() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    at = [begin + timedelta(seconds=seconds) for seconds in (0, 4, 13)]
    calls = tuple(Record(f"1.{part}.1", "call", "anything", b"[0]", "program.py:1") for part in (0, 1))
    failed = AttemptFailed("1.1.1", 1, Failure("builtins.OSError", "no route", "", b"", True), at[2])
    chart = chart_of(
        (
            Transition(0, at[0], Started("program", b"[]", bytes(16)), calls),
            Transition(1, at[1], failed, ()),
        ),
        86400,
    )

    assert [(at[1], at[2]), (at[2], chart.end)] == [(gap.begin, gap.end) for gap in chart.idle() if gap.begin >= at[1]]
    assert {"without a record"} == {gap.word for gap in chart.idle() if gap.begin >= at[1]}


def test_a_fold_says_whether_nobody_was_there() -> None:
    world = attrs.evolve(CLOUD, crashes=[timedelta(minutes=1)], signals=[])
    history = record(provision_fleet, "eu-west-1", ["web-1"], world=world, until=timedelta(minutes=3))

    assert ["down"] == [gap.word for gap in chart_of(history).idle()]


def test_a_run_that_is_parked_ends_with_its_last_record() -> None:
    history = record(provision_fleet, "eu-west-1", SIX, world=CLOUD, until=timedelta(minutes=12))
    row = msgspec.structs.replace(run_of(history).row, status=Status.PARKED, reason="it\ndiverged")
    chart = lanes_of(tree_of(history), history, row, end_of(history) + timedelta(days=1))

    assert (False, end_of(history)) == (chart.is_open, chart.end)
    assert ["✗ parked: it diverged"] == [f"{note.mark} {note.text}" for note in chart.notes][1:]


def test_what_happens_to_the_run_is_noted() -> None:
    history = list(record(provision_fleet, "eu-west-1", SIX, world=CLOUD, until=timedelta(minutes=5)))
    failure = Failure("builtins.OSError", "no route")
    for event in (WorkerLost("", "w9"), CancelRequested("enough"), Retried(failure), Outgrown(900)):
        history.append(Transition(len(history), history[-1].at + timedelta(seconds=1), event))
    start: Any = history[0].cause
    history.append(Transition(len(history), end_of(history), CancelRequested(), (), ContinuedAs(start)))

    assert [
        "▲ taken up again · w9 replayed 10 records",
        "■ cancellation asked for: enough",
        "↻ retried after OSError: no route",
        "≡ long history: 900 records; continue_as(...) begins a fresh one",
        "■ cancellation asked for",
        "→ continued as round 1",
    ] == [f"{note.mark} {note.text}" for note in chart_of(tuple(history)).notes]


def test_a_note_quotes_only_the_beginning_of_a_long_text() -> None:
    history = list(record(provision_fleet, "eu-west-1", SIX, world=CLOUD, until=timedelta(minutes=5)))
    huge = "no route " * 100_000
    for event in (WorkerLost(huge, huge), CancelRequested(huge), Retried(Failure(huge, huge))):
        history.append(Transition(len(history), history[-1].at + timedelta(seconds=1), event))
    notes = chart_of(tuple(history)).notes

    assert [True, True, True] == ["no route no route" in note.text for note in notes]
    assert all(len(note.text) < 1_000 for note in notes)


# How fibers are named, and which share a lane.


@workflow
def broadcast(to: list[str]) -> Flow:
    yield from gather(*[call(announce, whom, "hello") for whom in to])


@workflow
def rounds(number: int) -> Flow:
    for _ in range(number):
        yield from race(timeout(timedelta(seconds=9), call(health_check, "vm")), await_signal("stop"))


def keep_alive(name: str) -> Flow:
    yield from call(create_subnet, "eu")
    yield from call(health_check, name)


@workflow
def spawning() -> Flow:
    for name in ("red", "blue"):
        yield from spawn(keep_alive(name))
    yield sleep(timedelta(seconds=30))


@workflow
def mixed() -> Flow:
    yield from gather(call(announce, "a", "x"), call(announce, "b", "x"), call(health_check, "vm"), sleep(timedelta(1)))


@workflow
def alike() -> Flow:
    yield from gather(*[call(health_check, "vm") for _ in range(2)])


def test_fibers_are_named_by_the_first_argument_that_sets_them_apart() -> None:
    assert ["ann", "bob"] == list(lanes(chart_of(record(broadcast, ["ann", "bob"]))))[1:]
    assert ["red", "blue"] == list(lanes(chart_of(record(spawning))))[1:]


def test_fibers_that_begin_differently_are_named_by_how_they_begin() -> None:
    names = ["announce a", "announce b", "health_check", "sleep 1 d"]

    assert names == list(lanes(chart_of(record(mixed))))[1:]


def test_fibers_that_are_all_the_same_have_their_ids() -> None:
    assert ["health_check 1.0", "health_check 1.1"] == list(lanes(chart_of(record(alike))))[1:]


def test_a_loop_has_as_many_lanes_as_it_has_fibers_at_once() -> None:
    chart = chart_of(record(rounds, 50))

    assert ["rounds", "health_check", "health_check", "sleep 9 s", "signal 'stop'"] == [
        lane.name for lane in chart.root.every()
    ]
    assert 50 == len(lanes(chart)["sleep 9 s"].fibers)
