"""Schedules and `start_at` with real engines and stores."""

from __future__ import annotations

import itertools
import logging
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, get_args

import pytest

from interp import (
    Engine,
    Run,
    RunCancelled,
    RunFilter,
    RunInfo,
    Schedule,
    ScheduleInfo,
    Status,
    UsageError,
    Workflow,
    await_signal,
    child,
    continue_as,
    now,
    run_info,
    workflow,
)
from interp.errors import InvalidDefinition, RunExists, UnknownSchedule
from interp.runtime import open_store
from interp.schedules.specs import Overlap
from interp.store import Post
from tests.runtime.helpers import WAIT, eventually, kinds

FAST = timedelta(milliseconds=20)
NEVER = timedelta(days=20_000)
NAIVE = datetime(2027, 1, 1)  # noqa: DTZ001
SOON = timedelta(milliseconds=50)


@workflow
def scheduled_report(name: str) -> Workflow[tuple[str, datetime | None]]:
    info = yield from run_info()
    return name, info.scheduled_at


@workflow
def scheduled_wait() -> Workflow[str]:
    return (yield from await_signal("go", str))


@workflow
def told_time() -> Workflow[tuple[datetime, RunInfo]]:
    return (yield from now()), (yield from run_info())


def fired(schedule: Schedule, at_least: int) -> ScheduleInfo:
    eventually(lambda: schedule.describe().fired >= at_least)
    return schedule.describe()


# --- start_at -----------------------------------------------------------------------------------


def test_a_run_begins_at_its_time_and_sees_that_time(url: str) -> None:
    with Engine(url) as engine:
        begin = datetime.now(UTC) + SOON
        run = engine.start(told_time, id="later", start_at=begin)
        status = run.status
        seen, info = run.result(WAIT)

    assert Status.WAITING == status
    assert begin <= seen
    assert info.started_at <= begin


def test_a_run_that_waits_for_its_time_keeps_signals_and_is_taken_up_by_another_engine(url: str) -> None:
    keeper = open_store(url)  # what is in memory stays while somebody has it open
    with Engine(url) as engine:
        run = engine.start(scheduled_wait, id="later", start_at=datetime.now(UTC) + 4 * SOON)
        run.signal("go", "kept")
    with Engine(url) as engine:
        again: Run[Any] = engine.get("later")

        assert "kept" == again.result(WAIT)
        assert ["Started", "Signalled", "Fired"] == kinds(again)
    keeper.close()


def test_a_run_that_waits_for_its_time_can_be_cancelled_before_anything_of_it_runs(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(scheduled_wait, id="later", start_at=datetime.now(UTC) + NEVER)
        run.cancel("not any more")

        with pytest.raises(RunCancelled, match="not any more"):
            run.result(WAIT)


def test_a_time_that_is_past_is_now(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(told_time, start_at=datetime(2000, 1, 1, tzinfo=UTC))
        run.result(WAIT)

        assert ["Started"] == kinds(run)


def test_the_first_time_holds_when_the_same_run_is_started_again(url: str) -> None:
    with Engine(url) as engine:
        _ = engine.start(scheduled_wait, id="later", start_at=datetime.now(UTC) + NEVER)
        again = engine.start(scheduled_wait, id="later", start_at=datetime.now(UTC))

        assert 1 == len(again.history())


def test_many_runs_begin_at_one_time_and_can_be_evicted_meanwhile(url: str) -> None:
    with Engine(url, cache=2) as engine:
        begin = datetime.now(UTC) + 4 * SOON
        runs = engine.start_many(scheduled_report, [(f"r-{n}", (str(n),)) for n in range(20)], start_at=begin)

        assert [(str(n), None) for n in range(20)] == [run.result(WAIT) for run in runs]


def test_a_run_that_waits_for_its_time_can_be_forked(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(scheduled_wait, id="later", start_at=datetime.now(UTC) + NEVER)
        fork = engine.fork("later", at=1, id="fork")
        eventually(lambda: fork.status is Status.WAITING)

        assert run.history()[0].commands == fork.history()[0].commands


def test_a_naive_time_is_refused_with_the_cure() -> None:
    with Engine("memory:") as engine, pytest.raises(UsageError, match=r"needs an aware datetime; add tzinfo"):
        _ = engine.start(scheduled_wait, start_at=NAIVE)


# --- schedules ----------------------------------------------------------------------------------


def test_a_schedule_starts_runs_that_know_their_times(url: str) -> None:
    with Engine(url) as engine:
        schedule = engine.schedule(scheduled_report, "a", id="s", every=FAST, overlap="allow")
        fired(schedule, 3)
        schedule.delete()
        runs = [run for run in engine.runs() if run.workflow == "scheduled_report"]
        results = [engine.get(run.id).result(WAIT) for run in runs]

    times = [scheduled for _, scheduled in results]
    assert [f"s/{time:%Y-%m-%dT%H:%M:%S.%f}Z".replace(".000000", "") for time in times] == [run.id for run in runs]
    assert {FAST} == {later - earlier for earlier, later in itertools.pairwise(times)}


def test_the_same_call_changes_nothing_and_another_one_changes_the_schedule_in_place(url: str) -> None:
    with Engine(url) as engine:
        schedule = engine.schedule(scheduled_report, "a", id="s", every=NEVER)
        before = schedule.describe()
        _ = engine.schedule(scheduled_report, "a", id="s", every=NEVER)
        same = schedule.describe()
        _ = engine.schedule(scheduled_report, "b", id="s", cron="0 3 * * *", timezone="Europe/Zurich", overlap="queue")
        after = schedule.describe()
        result = engine.get(schedule.trigger()).result(WAIT)

    assert before == same
    assert (None, "0 3 * * *", "Europe/Zurich", "queue") == (after.every, after.cron, after.timezone, after.overlap)
    assert "b" == result[0]


def test_a_paused_schedule_does_not_fire_but_can_be_triggered(url: str) -> None:
    with Engine(url) as engine:
        schedule = engine.schedule(scheduled_report, "a", id="s", every=FAST)
        fired(schedule, 1)
        schedule.pause("month end")
        eventually(lambda: not schedule.describe().running)
        paused = schedule.describe()
        run_id = schedule.trigger()
        engine.get(run_id).result(WAIT)
        coming = schedule.next_fires()
        schedule.resume()
        resumed = fired(schedule, paused.fired + 3)

    assert (True, "month end", None, []) == (paused.paused, paused.reason, paused.next_fire, coming)
    assert not resumed.paused and resumed.next_fire is not None


def test_a_fire_waits_or_is_skipped_or_cancels_while_a_run_is_at_work(url: str) -> None:
    with Engine(url) as engine:
        for overlap in get_args(Overlap):
            schedule = engine.schedule(scheduled_wait, id=overlap, every=NEVER, overlap=overlap)
            first, second = schedule.trigger(), schedule.trigger()
            expected = {first: "started", second: OUTCOMES[overlap]}
            told = {fire.run_id: fire.outcome for fire in schedule.describe().recent}

            # The first one may have been cancelled by now, and the second have had its turn.
            assert told == expected or (overlap == "cancel" and {first, second} == set(told))
            if overlap == "queue":
                engine.get(first).signal("go", "done")
            if overlap in ENDS_OF_FIRST:
                eventually(partial(_is_running, schedule, second))
                assert ENDS_OF_FIRST[overlap] is engine.get(first).status


OUTCOMES = {"skip": "skipped", "queue": "waits", "allow": "started", "cancel": "waits"}
ENDS_OF_FIRST = {"queue": Status.COMPLETED, "cancel": Status.CANCELLED}


def _is_running(schedule: Schedule, run_id: str) -> bool:
    return run_id in schedule.describe().running


def test_a_backfill_makes_good_what_has_no_run_and_leaves_the_rest(url: str) -> None:
    minute = timedelta(minutes=1)
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    with Engine(url) as engine:
        schedule = engine.schedule(scheduled_report, "a", id="s", cron="* * * * *")
        first = schedule.backfill(end - 3 * minute, end - minute)
        eventually(lambda: schedule.describe().fired >= 2)
        second = schedule.backfill(end - 4 * minute, end)
        eventually(lambda: schedule.describe().fired >= 4)
        schedule.delete()
        made = [run.id for run in engine.runs(RunFilter(workflow="scheduled_report"))]

    assert (2, 4) == (first, second)
    assert [f"s/{end - back * minute:%Y-%m-%dT%H:%M:%S}Z" for back in (3, 2, 4, 1)] == made[:4]


def test_a_deleted_schedule_is_gone_and_its_id_is_free(url: str) -> None:
    with Engine(url) as engine:
        schedule = engine.schedule(scheduled_report, "a", id="s", every=FAST)
        fired(schedule, 1)
        schedule.delete()
        there = engine.schedules()
        with pytest.raises(UnknownSchedule, match="there is no schedule 's'"):
            engine.get_schedule("s")
        with pytest.raises(UnknownSchedule):
            schedule.trigger()
        count = schedule.describe().fired
        again = engine.schedule(scheduled_report, "b", id="s", every=FAST)
        fired(again, count + 2)
        found = [each.id for each in engine.schedules()]

    assert ([], ["s"]) == (there, found)


def test_an_id_that_a_run_has_is_refused(url: str) -> None:
    with Engine(url) as engine:
        _ = engine.start(scheduled_report, "a", id="s")
        with pytest.raises(RunExists):
            engine.schedule(scheduled_report, "a", id="s", every=FAST)
        with pytest.raises(UnknownSchedule):
            engine.get_schedule("s")


def test_a_schedule_whose_run_was_cancelled_says_so(url: str) -> None:
    with Engine(url) as engine:
        schedule = engine.schedule(scheduled_report, "a", id="s", every=NEVER)
        engine.get("s").cancel()
        eventually(lambda: engine.get("s").status is Status.CANCELLED)
        told = schedule.describe().troubles
        with pytest.raises(UsageError, match="its run was cancelled"):
            engine.schedule(scheduled_report, "a", id="s", every=NEVER)

    assert ("its run has ended (cancelled): it will never fire again",) == told


def test_a_schedule_fires_the_newest_version_that_its_worker_knows(url: str, caplog: pytest.LogCaptureFixture) -> None:
    tag = f"scheduled_versions_{url.partition(':')[0]}"

    @workflow(name=tag)
    def version_1(name: str) -> Workflow[int]:
        return (yield from run_info()).version

    with Engine(url) as engine:
        schedule = engine.schedule(version_1, "a", id="s", start=datetime.now(UTC) + NEVER, every=NEVER)
        assert 1 == engine.get(_triggered(schedule, 1)).result(WAIT)

        workflow(name=tag, version=2)(version_1)
        run = engine.get(_triggered(schedule, 2))
        assert 2 == run.result(WAIT)
        assert f"{tag}@2" == run.row.workflow
    with Engine(url, cache=0) as engine:  # replayed, by code that knows another version still
        workflow(name=tag, version=3)(version_1)
        schedule = engine.get_schedule("s")
        assert 3 == engine.get(_triggered(schedule, 3)).result(WAIT)
        assert [] == [row.id for row in engine.runs(RunFilter(frozenset({Status.PARKED})))]
    assert "not registered" not in caplog.text


def _triggered(schedule: Schedule, count: int) -> str:
    """Trigger a schedule, and wait until it has fired so often; returns the run."""
    run_id = schedule.trigger()
    fired(schedule, count)
    eventually(lambda: not schedule.describe().running)
    return run_id


def test_a_taken_run_id_is_told_and_the_schedule_goes_on(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with Engine(url) as engine, caplog.at_level(logging.WARNING):
        at = datetime.now(UTC).replace(microsecond=0)
        taken = [f"s/{at + timedelta(seconds=ahead):%Y-%m-%dT%H:%M:%S}Z" for ahead in (1, 2)]
        for run_id in taken:
            _ = engine.start(scheduled_wait, id=run_id)
        schedule = engine.schedule(scheduled_report, "a", id="s", every=timedelta(seconds=0.5))
        eventually(lambda: schedule.describe().refused and schedule.describe().fired)
        told = schedule.describe()

    assert told.troubles and "there is one of that id" in told.troubles[0]
    assert any("could not start run" in line for line in caplog.messages)


def test_a_parked_run_is_told_since_it_holds_the_others_up() -> None:
    with Engine("memory:") as engine:
        schedule = engine.schedule(scheduled_wait, id="s", every=NEVER)
        run_id = schedule.trigger()
        engine.store.post(Post(run_id, b"no event"), 0)
        eventually(lambda: engine.get(run_id).status is Status.PARKED)
        told = schedule.describe().troubles

    assert (f"run {run_id} is parked, and counts as at work until somebody acts",) == told


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"cron": "0 25 * * *"}, r"the hour '25' is not valid; it takes 0-23"),
        ({"cron": "* * * * MOX"}, r"the day of week 'MOX' is not valid"),
        ({"cron": "0 3 * *"}, r"it has 4 fields; expected 5"),
        ({"cron": "0 0 30 2 *"}, r"no month that it names has the day 30"),
        ({"cron": "0 3 * * *", "timezone": "zurich"}, r"no such time zone; near: Europe/Zurich"),
        ({"cron": "0 3 * * *", "timezone": "Mars/Olympus"}, r"no such time zone"),
        ({}, r"neither of cron= and every="),
        ({"cron": "0 3 * * *", "every": FAST}, r"both of cron= and every="),
        ({"every": timedelta(0)}, r"must be more than nothing"),
        ({"every": 5}, r"write timedelta\(seconds=5\)"),
        ({"every": FAST, "timezone": "Europe/Zurich"}, r"knows no zone"),
        ({"every": FAST, "jitter": FAST}, r"must be shorter than the time between two fires"),
        ({"cron": "*/5 * * * *", "jitter": timedelta(minutes=6)}, r"which is 0:05:00"),
        ({"every": FAST, "jitter": -FAST}, r"must not be negative"),
        ({"every": FAST, "catch_up": -FAST}, r"must not be negative"),
        ({"every": FAST, "overlap": "both"}, r"takes 'skip', 'queue', 'allow', 'cancel'"),
        ({"every": FAST, "start": NAIVE}, r"schedule\(start=.*\): needs an aware datetime"),
        (
            {"every": FAST, "start": datetime(2027, 1, 1, tzinfo=UTC), "end": datetime(2026, 1, 1, tzinfo=UTC)},
            r"must be after start",
        ),
        ({"every": FAST, "id": "x" * 400}, r"to leave room for the time"),
        ({"every": FAST, "id": ""}, r"1 to 360 bytes"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_cure(options: dict[str, Any], told: str) -> None:
    with Engine("memory:") as engine:
        with pytest.raises(UsageError, match=told):
            engine.schedule(scheduled_report, "a", **{"id": "s", **options})

        assert [] == engine.runs()


def test_a_backfill_of_no_past_is_refused() -> None:
    at = datetime.now(UTC)
    with Engine("memory:") as engine:
        schedule = engine.schedule(scheduled_report, "a", id="s", every=timedelta(milliseconds=500))
        for start, end, told in (
            (at, at, "the end must be after the start"),
            (at, at + SOON + WAIT, "lies in the future"),
            (at.replace(tzinfo=None), at, "needs an aware datetime"),
            (at - timedelta(days=1), at, "more than 100,000 times in this span"),
        ):
            with pytest.raises(UsageError, match=told):
                schedule.backfill(start, end)


def test_a_workflow_that_is_not_known_by_its_name_cannot_be_scheduled() -> None:
    with Engine("memory:") as engine, pytest.raises(InvalidDefinition):
        engine.schedule(eventually, id="s", every=FAST)  # type: ignore[arg-type]


@pytest.mark.parametrize("shorthand", ["@daily", "@hourly", "@weekly", "@monthly", "@yearly"])
def test_the_shorthands_of_cron_are_known(shorthand: str) -> None:
    with Engine("memory:") as engine:
        schedule = engine.schedule(scheduled_report, "a", id="s", cron=shorthand)

        assert 5 == len(schedule.next_fires())


# --- children and continue_as -------------------------------------------------------------------


@workflow
def restarting_parent(round: int) -> Workflow[str]:
    if round == 0:
        yield from child(scheduled_wait, id="detached", detached=True)
        yield from continue_as(1)
    return (yield from await_signal("end", str))


def test_a_detached_child_outlives_a_continue_as_of_its_parent_and_the_end_of_it(url: str) -> None:
    with Engine(url) as engine:
        parent = engine.start(restarting_parent, 0, id="parent")
        parent.signal("end", "over")
        parent.result(WAIT)
        detached: Run[Any] = engine.get("detached")
        detached.signal("go", "still here")

        assert "still here" == detached.result(WAIT)
