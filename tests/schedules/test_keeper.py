"""Schedules in virtual time: against the cron library over clock changes, and against a model, over any crash."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import attrs
import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from interp.schedules.book import Message, fire_id
from interp.schedules.keeper import PUNCTUAL
from interp.schedules.specs import Overlap, checked
from interp.schedules.times import Timing, delay_of, fire_times
from tests.schedules.simulation import Simulation

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WEEK = timedelta(days=7)


# --- against the cron library -------------------------------------------------------------------

minutes = st.sampled_from(["0", "30", "15,45", "*/10", "59", "5-15/5", "0,20,40", "*"])
hours = st.sampled_from(["*", "*/6", "2", "3", "1,2,3", "0", "23", "1-4", "2-22/5"])
days = st.sampled_from(["* * *", "* * *", "* * 0", "* * 1-5", "29 * *", "*/2 * *", "L * *", "1 * 0"])
crons = st.builds("{} {} {}".format, minutes, hours, days)
# One of each kind: north and south, at midnight, the other way round, never. Not Lord Howe, whose clocks change by half
# an hour: what the library says of that day depends on where it is asked from (docs/how-to/schedules.md).
zones = st.sampled_from(
    [
        "Europe/Zurich",
        "America/New_York",
        "Australia/Sydney",
        "America/Santiago",
        "Europe/Dublin",
        "Asia/Beirut",
        "Asia/Kolkata",
        "UTC",
    ]
)
# Days before the changes of these zones in 2026, and one on which nothing happens.
begins = st.sampled_from(
    [
        datetime(2026, month, day, hour, minute, tzinfo=UTC)
        for month, day in ((3, 7), (3, 28), (4, 4), (9, 5), (10, 3), (10, 24), (10, 31), (7, 1))
        for hour, minute in ((0, 0), (11, 59), (14, 30))
    ]
)
MOST_FIRES = 60


def by_library(cron: str, zone: str, begin: datetime) -> list[datetime]:
    """Ask the library once, from the beginning; a moment that it gives twice is one fire."""
    local = begin.astimezone(UTC if zone == "UTC" else ZoneInfo(zone))
    found = takewhile(lambda moment: moment <= begin + WEEK, (each.astimezone(UTC) for each in CronSim(cron, local)))
    return sorted({moment for moment in found if moment > begin})[:MOST_FIRES]


@given(crons, zones, begins, st.integers(0, 10**6), st.sampled_from([0, 0, 3, 25]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_no_fire_is_lost_or_doubled_whatever_the_zone_and_whenever_the_worker_dies(
    cron: str, zone: str, begin: datetime, seed: int, jitter_s: int, is_down_at_times: bool
) -> None:
    expected = by_library(cron, zone, begin)
    if not expected:
        return
    chance = random.Random(seed)
    jitter = timedelta(seconds=jitter_s)
    timing = Timing(cron=cron, timezone=zone, jitter=jitter)
    spec = checked("report", b"[]", timing, overlap="allow", catch_up=WEEK)
    simulation = Simulation(spec, begin, dies=lambda: chance.random() < 0.05)
    end = expected[-1] + jitter
    simulation.settle()
    while simulation.now < end:
        if is_down_at_times and chance.random() < 0.5:
            simulation.now += timedelta(minutes=chance.randrange(1, 2_000))
        simulation.until(simulation.now + timedelta(minutes=chance.randrange(1, 600)))
    simulation.until(end)

    last = fire_id("nightly", expected[-1])
    made = {run_id: at for run_id, at in simulation.made.items() if run_id <= last}
    assert [fire_id("nightly", moment) for moment in expected] == sorted(made)
    for moment in expected:
        run_id = fire_id("nightly", moment)
        due = moment + delay_of("nightly", moment, jitter)

        assert moment == simulation.arguments_of(run_id).scheduled_at
        assert moment <= due <= moment + jitter
        assert due <= made[run_id] if is_down_at_times else due == made[run_id]
    assert simulation.longest < 500, "the history is bounded"


@given(crons, zones, begins, st.integers(1, 60 * 24 * 6))
def test_the_times_after_any_moment_are_the_rest_of_the_times(
    cron: str, zone: str, begin: datetime, minutes_later: int
) -> None:
    timing = Timing(cron=cron, timezone=zone)
    later = begin + minutes_later * MINUTE
    rest = [moment for moment in by_library(cron, zone, begin) if moment > later]
    found = fire_times(timing, later)

    assert rest == [next(found) for _ in rest]


def test_the_spring_gap_and_the_autumn_fold() -> None:
    def fires(cron: str, day: datetime) -> list[str]:
        found = fire_times(Timing(cron=cron, timezone="Europe/Zurich"), day)
        return [f"{moment:%d %H:%M}" for moment in takewhile(lambda at: at < day + timedelta(hours=30), found)]

    spring, autumn = datetime(2026, 3, 28, 20, tzinfo=UTC), datetime(2026, 10, 24, 20, tzinfo=UTC)

    assert ["29 01:00"] == fires("30 2 * * *", spring)[:1], "02:30 does not exist: it fires at 03:00, summer time"
    assert ["29 01:00", "29 01:30"] == fires("0,30 2,3 * * *", spring)[:2], "two times in the gap are one fire"
    assert ["25 00:30"] == fires("30 2 * * *", autumn)[:1], "02:30 comes twice, and fires the first time only"
    assert ["26 01:30"] == fires("30 2 * * *", datetime(2026, 10, 25, 1, 10, tzinfo=UTC))[:1], "it has fired"
    assert ["25 00:15", "25 00:30", "25 00:45", "25 01:00"] == fires("*/15 2 * * *", autumn)[1:5], "these go on"


# --- against a model ----------------------------------------------------------------------------


@attrs.define
class Model:
    """What a schedule should do, in the fewest words: fires at multiples of a period, in a world without crashes."""

    overlap: Overlap
    every: timedelta
    catch_up: timedelta
    done: datetime
    paused: bool = False
    deleted: bool = False
    started: list[datetime] = attrs.field(factory=list[datetime])
    running: list[datetime] = attrs.field(factory=list[datetime])
    waiting: list[datetime] = attrs.field(factory=list[datetime])
    backfills: list[list[datetime]] = attrs.field(factory=list[list[datetime]])
    asked: set[datetime] = attrs.field(factory=set[datetime])
    skipped: int = 0
    missed: int = 0

    def times(self, after: datetime, until: datetime) -> list[datetime]:
        found = fire_times(Timing(every=self.every), after)
        return list(takewhile(lambda moment: moment <= until, found))

    def passes(self, until: datetime, now: datetime) -> None:
        """Fire up to a moment, at another that may be later."""
        if self.paused or self.deleted:
            return
        for moment in self.times(self.done, until):
            if moment < now - max(self.catch_up, PUNCTUAL):
                self.missed += 1
            else:
                self.offer(moment)
        self.done = max(self.done, until)

    def offer(self, moment: datetime) -> None:
        if self.overlap == "allow" or not (self.running or self.waiting):
            self.start(moment)
        elif self.overlap == "skip":
            self.skipped += 1
        else:
            if self.overlap == "cancel":
                self.skipped += len(self.waiting)
                self.waiting = []
                self.asked.update(self.running)
            self.waiting.append(moment)

    def start(self, moment: datetime) -> None:
        if moment not in self.started:
            self.started.append(moment)
            self.running.append(moment)

    def go_on(self) -> None:
        while self.waiting and (self.overlap == "allow" or not self.running):
            self.start(self.waiting.pop(0))
        while self.backfills and (self.overlap == "allow" or not (self.running or self.waiting)):
            if self.backfills[0]:
                self.start(self.backfills[0].pop(0))
            if not self.backfills[0]:
                self.backfills.pop(0)

    def hears(self, message: Message, now: datetime, ended: datetime | None = None) -> None:
        self.passes(message.at, now)
        match message.do:
            case "ended":
                assert ended is not None
                self.running = [moment for moment in self.running if moment != ended]
            case "pause" if not self.deleted:
                self.paused = True
            case "resume" if self.paused:
                self.paused, self.done = False, max(self.done, message.at)
            case "trigger" if not self.deleted:
                self.offer(message.at)
            case "backfill" if not self.deleted:
                assert message.start is not None and message.end is not None
                least = timedelta(microseconds=1)
                self.backfills.append(self.times(message.start - least, message.end - least))
            case "update":
                assert message.spec is not None and message.spec.timing.every is not None
                if self.deleted or message.spec.timing.every != self.every:
                    self.done = max(self.done, message.at)
                self.deleted, self.every, self.overlap = False, message.spec.timing.every, message.spec.overlap
            case "delete":
                self.deleted, self.paused, self.waiting, self.backfills = True, False, [], []
            case _:
                pass
        self.go_on()


class Schedules(RuleBasedStateMachine):
    """Everything that can be asked of a schedule, in any order, with a worker that comes and goes, and dies."""

    @initialize(
        overlap=st.sampled_from(["skip", "queue", "allow", "cancel"]),
        period_s=st.sampled_from([60, 90]),
        catch_up=st.sampled_from([0, 5, 600]),
        seed=st.integers(0, 1_000),
        dies=st.sampled_from([0.0, 0.0, 0.15]),
    )
    def begin(self, overlap: Overlap, period_s: int, catch_up: int, seed: int, dies: float) -> None:
        self.catch_up = catch_up * MINUTE
        chance = random.Random(seed)
        self.now = EPOCH + timedelta(seconds=7)
        spec = checked(
            "report", b"[]", Timing(every=timedelta(seconds=period_s)), overlap=overlap, catch_up=self.catch_up
        )
        self.simulation = Simulation(spec, self.now, dies=lambda: chance.random() < dies)
        self.model = Model(overlap, timedelta(seconds=period_s), self.catch_up, self.now)
        self.is_up = True
        self.unheard: list[tuple[Message, datetime | None]] = []
        self.simulation.settle()

    def tell(self, message: Message, ended: datetime | None = None) -> None:
        if ended is None:
            self.simulation.tell(message)
        else:
            self.simulation.end(message.run, message.status)
        self.unheard.append((message, ended))
        self.catch()

    def catch(self) -> None:
        """Let the worker do what has come together, if it is there."""
        if self.is_up:
            for message, ended in self.unheard:
                self.model.hears(message, self.now, ended)
            self.unheard = []
            self.model.passes(self.now, self.now)
            self.model.go_on()
            self.simulation.settle()

    @rule(seconds=st.integers(1, 200))
    def time_passes(self, seconds: int) -> None:
        """A step for each second in which something happens, so that the model need not simulate time."""
        end = self.now + timedelta(seconds=seconds)
        if self.is_up and not (self.model.paused or self.model.deleted):
            for moment in self.model.times(self.now, end):
                self.now = self.simulation.now = moment
                self.catch()
        self.now = self.simulation.now = end
        self.catch()

    @rule(hours=st.integers(1, 3))
    @precondition(lambda self: not self.is_up)
    def much_time_passes(self, hours: int) -> None:
        self.now = self.simulation.now = self.now + timedelta(hours=hours)

    @rule()
    def worker_goes_or_comes(self) -> None:
        self.is_up = not self.is_up
        if self.is_up:
            self.simulation.restart()
        self.catch()

    @rule()
    def pause(self) -> None:
        self.tell(Message("pause", self.now, reason="why"))

    @rule()
    def resume(self) -> None:
        self.tell(Message("resume", self.now))

    @rule()
    def trigger(self) -> None:
        self.now = self.simulation.now = self.now + timedelta(microseconds=1)  # no two at one moment
        self.tell(Message("trigger", self.now))

    # Which of them comes first when both wait for a worker is told nowhere.
    @precondition(lambda self: self.is_up)
    @rule(back=st.integers(0, 50), span=st.integers(1, 50))
    def backfill(self, back: int, span: int) -> None:
        start = self.now - (back + span) * MINUTE
        self.tell(Message("backfill", self.now, start=start, end=start + span * MINUTE))

    @precondition(lambda self: self.is_up or not self.model.backfills)
    @rule(
        period_s=st.sampled_from([60, 90]),
        overlap=st.sampled_from(["skip", "queue", "allow", "cancel"]),
        args=st.sampled_from([b"[1]", b"[2]"]),
    )
    def update(self, period_s: int, overlap: Overlap, args: bytes) -> None:
        timing = Timing(every=timedelta(seconds=period_s))
        spec = checked("report", args, timing, overlap=overlap, catch_up=self.catch_up)
        self.tell(Message("update", self.now, spec=spec))

    @rule()
    def delete(self) -> None:
        self.tell(Message("delete", self.now))

    @rule(which=st.integers(0, 3))
    @precondition(lambda self: self.model.running)
    def run_ends(self, which: int) -> None:
        moment = self.model.running[which % len(self.model.running)]
        run_id = fire_id("nightly", moment)
        self.tell(Message("ended", self.now, run=run_id, status="completed"), moment)

    @invariant()
    def does_what_the_model_does(self) -> None:
        if not self.is_up:
            return
        book, counts = self.simulation.book, self.simulation.counts

        assert [fire_id("nightly", moment) for moment in self.model.started] == list(self.simulation.made)
        assert [fire_id("nightly", moment) for moment in self.model.running][-10:] == book.running
        assert self.model.waiting[:10] == [tick.at for tick in book.waiting]
        assert len(self.model.running) == counts["running"]
        assert (self.model.paused, self.model.deleted) == (book.paused, book.deleted)
        assert self.model.skipped == book.skipped
        assert {fire_id("nightly", moment) for moment in self.model.asked} == set(self.simulation.cancelled)
        assert len(self.model.started) == book.fired

    def teardown(self) -> None:
        if hasattr(self, "simulation"):
            self.simulation.check_journal()


Schedules.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestSchedules = Schedules.TestCase


# --- single things ------------------------------------------------------------------------------


def simulated(every: timedelta = MINUTE, **options: object) -> Simulation:
    spec = checked("report", b'["a"]', Timing(every=every), **options)  # type: ignore[arg-type]
    return Simulation(spec, EPOCH)


def test_a_clock_set_back_repeats_no_fire() -> None:
    simulation = simulated(overlap="allow")
    simulation.until(EPOCH + 10 * MINUTE)
    simulation.now = EPOCH + 2 * MINUTE
    simulation.until(EPOCH + 12 * MINUTE)

    assert [fire_id("nightly", EPOCH + number * MINUTE) for number in range(1, 13)] == list(simulation.made)


def test_a_clock_set_back_and_another_period_repeat_no_fire() -> None:
    simulation = simulated(overlap="allow")
    simulation.until(EPOCH + 10 * MINUTE)
    simulation.now = EPOCH + 2 * MINUTE
    spec = checked("report", b"[]", Timing(every=2 * MINUTE), overlap="allow")
    simulation.tell(Message("update", simulation.now, spec=spec))
    simulation.until(EPOCH + 14 * MINUTE)
    last = list(simulation.made)[10:]

    assert 0 == simulation.book.refused
    assert [fire_id("nightly", EPOCH + number * MINUTE) for number in (12, 14)] == last


@pytest.mark.parametrize("overlap", ["skip", "allow"])
def test_a_clock_set_forward_makes_good_what_it_jumped_over_as_after_a_downtime(overlap: Overlap) -> None:
    simulation = simulated(overlap=overlap, catch_up=5 * MINUTE)
    simulation.settle()
    simulation.now = EPOCH + 30 * MINUTE
    simulation.settle()

    assert (1 if overlap == "skip" else 6) == len(simulation.made)
    assert 24 == simulation.book.missed


def test_a_fire_delayed_by_jitter_is_neither_lost_nor_doubled_by_an_update() -> None:
    jitter = timedelta(seconds=59)
    spec = checked("report", b"[1]", Timing(every=MINUTE, jitter=jitter), overlap="allow")
    simulation = Simulation(spec, EPOCH)
    simulation.until(EPOCH + MINUTE)  # its time has come, and its delay is not over
    before = list(simulation.made)
    changed = checked("report", b"[2]", Timing(every=3 * MINUTE, jitter=jitter), overlap="allow")
    simulation.tell(Message("update", simulation.now, spec=changed))
    simulation.until(EPOCH + 4 * MINUTE)

    assert [] == before
    assert [fire_id("nightly", EPOCH + number * MINUTE) for number in (1, 3)] == list(simulation.made)
    assert b"[2]" == simulation.arguments_of(fire_id("nightly", EPOCH + MINUTE)).args


def test_what_was_asked_for_while_no_worker_was_there_is_done_in_its_order() -> None:
    simulation = simulated(overlap="allow")
    simulation.settle()
    simulation.tell(Message("pause", EPOCH + timedelta(seconds=150)))
    simulation.tell(Message("resume", EPOCH + timedelta(seconds=270)))
    simulation.now = EPOCH + timedelta(seconds=330)
    simulation.settle()

    assert [fire_id("nightly", EPOCH + number * MINUTE) for number in (1, 2, 5)] == list(simulation.made)


def test_a_pause_is_kept_in_order_even_after_a_downtime_of_many_plans() -> None:
    simulation = simulated(overlap="allow", every=timedelta(seconds=1))
    simulation.settle()
    simulation.tell(Message("pause", EPOCH + timedelta(seconds=1_000)))
    simulation.now = EPOCH + timedelta(seconds=2_000)
    simulation.settle()

    assert 1_000 == len(simulation.made)
    assert simulation.book.paused
    assert simulation.longest < 500 and simulation.rounds > 5


def test_what_is_no_message_is_passed_over() -> None:
    simulation = simulated()
    simulation.settle()
    simulation.end("nightly/none")
    simulation._inbox.append(simulation._inbox[-1].replace(b"ended", b"dance"))
    simulation.until(EPOCH + MINUTE)

    assert [fire_id("nightly", EPOCH + MINUTE)] == list(simulation.made)


def test_a_schedule_ends_at_its_bound_and_begins_at_the_other() -> None:
    timing = Timing(every=MINUTE, start=EPOCH + timedelta(seconds=90), end=EPOCH + timedelta(seconds=270))
    simulation = Simulation(checked("report", b"[]", timing, overlap="allow"), EPOCH)
    simulation.until(EPOCH + 60 * MINUTE)

    assert [fire_id("nightly", EPOCH + timedelta(seconds=number)) for number in (90, 150, 210)] == list(simulation.made)
