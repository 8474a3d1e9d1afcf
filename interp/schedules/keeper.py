"""The workflow `interp.schedule`: it waits for the next fire or message, and starts runs.

What it does is decided by what it was told and by plans, which activities work out and the journal records. So neither
new time zone data nor another version of the cron library can make an old history diverge. The code below is a workflow
like any other: a change of what it yields must be guarded by `patched`. Arguments are not compared (`names`), so that
the recorded classes may get new fields; the ids of its runs follow from recorded plans all the same.

It is one fiber that does one thing at a time. Messages are taken in the order in which they came, and before each the
fires that were due when it was sent: a schedule whose worker was down does afterwards what it would have done.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any

import attrs

from interp.codec import ANY, codec_for
from interp.commands import FireRun, RequestCancel, Workflow
from interp.constructors import annotate, await_signal, call, continue_as, now, run_info
from interp.definitions import activity, by_name, newest_tag, workflow, workflows
from interp.errors import RunEnded, RunExists, SignalPayloadError, SignalTimeout
from interp.interpreter import at_work
from interp.policies import Retry
from interp.schedules.book import CHANNEL, MOST_RECENT, NAME, Backfill, Book, Fire, Message, Plan, Tick, fire_id
from interp.schedules.specs import DAY, Spec
from interp.schedules.times import Timing, delay_of, fire_times

__all__ = ["PUNCTUAL", "plan", "plan_backfill", "schedule"]

_log = logging.getLogger("interp.schedules")

PUNCTUAL = timedelta(seconds=10)
"""A fire that is late by so much at most is on time, whatever `catch_up` says: a worker may be busy, or restarted."""

# A plan holds so many fires at most, and reaches a day ahead at most: new time zone data holds within a day.
_MOST_PLANNED = 32
_AHEAD = DAY

# Fires too old to be made good are counted up to here; nobody needs the number beyond.
_MOST_COUNTED = 1_000

# How many fires may wait for a run to end: the next is skipped.
_MOST_WAITING = 1_000

# How much is done before the history begins anew: fires, messages and wake-ups.
_MOST_STEPS = 100

_LEAST = timedelta(microseconds=1)

# What works out a plan fails only where something is wrong with the computer, such as missing time zone data.
_STUBBORN = Retry(attempts=None)


# On the event loop and not on a thread: fires must not wait until an activity of somebody else gives one back.
@activity(name="interp.schedule.plan", retry=_STUBBORN)
async def plan(schedule_id: str, spec: Spec, after: datetime, at: datetime) -> Plan:
    """Work out the next fires.

    Args:
        schedule_id: The schedule.
        spec: What it is.
        after: Fires up to this time are done.
        at: The time now.
    """
    timing = spec.timing
    floor = max(after, at - _lateness(spec) - timing.jitter)
    missed = sum(1 for _ in islice(takewhile(lambda moment: moment <= floor, fire_times(timing, after)), _MOST_COUNTED))
    if missed:
        more = " or more" if missed == _MOST_COUNTED else ""
        _log.warning("schedule %s has missed %d%s fires: they are older than catch_up", schedule_id, missed, more)
    if newest_tag(spec.workflow) not in workflows():
        _warn_of_unknown(schedule_id, spec.workflow)
    horizon = max(at, floor) + _AHEAD
    coming = fire_times(timing, floor)
    ticks: list[Tick] = []
    for moment in coming:
        if moment > horizon:
            return _planned(ticks, horizon, missed)
        ticks.append(Tick(moment, moment + delay_of(schedule_id, moment, timing.jitter)))
        if len(ticks) == _MOST_PLANNED:
            return _planned(ticks, moment, missed)
    return attrs.evolve(_planned(ticks, horizon, missed), is_over=True)


@functools.lru_cache(maxsize=1_000)  # once for each in a process: plans are many
def _warn_of_unknown(schedule_id: str, name: str) -> None:
    told = "schedule %s starts %s, which is not registered here: its runs stay pending until a worker knows it"
    _log.warning(told, schedule_id, name)


def _planned(ticks: Sequence[Tick], until: datetime, missed: int) -> Plan:
    return Plan(sorted(ticks, key=lambda tick: tick.due), until, missed)


@activity(name="interp.schedule.plan_backfill", retry=_STUBBORN)
async def plan_backfill(timing: Timing, after: datetime, end: datetime) -> Plan:
    """Work out the next fires of a span of the past.

    Args:
        timing: When the schedule fires.
        after: Fires up to this time are done.
        end: Fires from this time on are not part of it.
    """
    found = takewhile(lambda moment: moment < end, fire_times(timing, after))
    ticks = [Tick(moment, moment, "backfill") for moment in islice(found, _MOST_PLANNED)]
    return Plan(ticks, ticks[-1].at if ticks else end, is_over=len(ticks) < _MOST_PLANNED)


@workflow(name=NAME, compare="names")
def schedule(spec: Spec, book: Book) -> Workflow[None]:
    """Fire until cancelled.

    Args:
        spec: What the schedule is.
        book: What it remembers of earlier rounds.
    """
    info = yield from run_info()
    keeper = _Keeper(info.id, spec, book)
    if info.round == 0:
        yield from annotate(spec=_plain(attrs.evolve(spec, args=""), Spec))
    yield from keeper.keep()
    yield from continue_as(keeper.spec, keeper.book)


class _Keeper:
    """One round of a schedule."""

    def __init__(self, schedule_id: str, spec: Spec, book: Book) -> None:
        self.id = schedule_id
        self.spec = spec
        self.book = book
        self._steps = 0
        self._shown: Any = None

    def keep(self) -> Workflow[None]:
        """Fire, and do what is asked, until it is time for a fresh history."""
        book = self.book
        while True:
            if book.taken is None:
                yield from self._go_on()
                yield from self._show()
                if self._is_full:
                    return
                self._steps += 1
                book.taken = yield from self._wait()
            message, at = book.taken, (yield from now())
            then = at if message is None else min(message.at, at)  # the other clock may be ahead
            yield from self._fire_until(then)
            if self._is_full and self._is_due(then):
                return  # with the message in the book, so that it comes after the fires before it
            if message is not None:
                yield from self._take(message, then)
                book.taken = None

    @property
    def _is_full(self) -> bool:
        """Whether the history should begin anew."""
        return self._steps >= _MOST_STEPS

    # What comes next.

    def _wait(self) -> Workflow[Message | None]:
        """Wait for a message, or until there is something to do."""
        at = yield from now()
        wake = self._wake(at)
        timeout = None if wake is None else max(wake - at, timedelta(0))
        try:
            return (yield from await_signal(CHANNEL, Message, timeout=timeout))
        except SignalTimeout:
            return None
        except SignalPayloadError as error:
            _warn("schedule %s was sent something that it does not understand: %s", self.id, error)
            return None

    def _wake(self, at: datetime) -> datetime | None:
        """Say when there is something to do, if nobody asks for anything; None for never."""
        book = self.book
        if book.until is None:
            book.until = at
        if book.backfills and self._is_free():
            return at
        if book.paused or book.deleted:
            return None
        if book.ticks:
            return book.ticks[0].due
        return None if book.is_over else book.until

    def _is_due(self, then: datetime) -> bool:
        """Whether there are fires, or a plan to be made, by a moment."""
        book = self.book
        if book.paused or book.deleted:
            return False
        if book.ticks:
            return book.ticks[0].due <= then
        return not book.is_over and book.until is not None and book.until <= then

    def _fire_until(self, then: datetime) -> Workflow[None]:
        """Do the fires that were due by a moment, as many as there is room for."""
        book = self.book
        while self._is_due(then) and not self._is_full:
            if book.ticks:
                yield from self._fire(book.ticks.pop(0))
            else:
                yield from self._plan()

    def _plan(self) -> Workflow[None]:
        """Work out the next fires; none are left."""
        book = self.book
        assert book.until is not None
        self._steps += 1
        at = yield from now()
        made = yield from call(plan, self.id, attrs.evolve(self.spec, args=""), book.until, at)
        book.ticks, book.until, book.is_over = made.ticks, made.until, made.is_over
        book.missed += made.missed

    def _fire(self, tick: Tick) -> Workflow[None]:
        """Do one fire, unless it is too late for it."""
        book = self.book
        book.last = tick.at if book.last is None else max(book.last, tick.at)
        at = yield from now()
        if tick.due < at - _lateness(self.spec):
            book.missed += 1
            self._tell(tick, at, "missed")
            _warn("schedule %s has missed its fire for %s: it is older than catch_up", self.id, tick.at)
        else:
            yield from self._offer(tick)

    # Starting runs.

    def _offer(self, tick: Tick) -> Workflow[None]:
        """Start a run, or do what is to be done while one is at work."""
        book = self.book
        if self._is_free():
            yield from self._start(tick)
            return
        at = yield from now()
        waits = self.spec.overlap == "cancel" or (self.spec.overlap == "queue" and len(book.waiting) < _MOST_WAITING)
        if not waits:
            book.skipped += 1
            self._tell(tick, at, "skipped")
            return
        if self.spec.overlap == "cancel":
            for replaced in book.waiting:
                book.skipped += 1
                self._tell(replaced, at, "skipped")
            book.waiting = []
        book.waiting.append(tick)
        self._tell(tick, at, "waits")
        if self.spec.overlap == "cancel":
            yield from self._cancel_running()

    def _is_free(self) -> bool:
        """Whether a run may be started now."""
        return self.spec.overlap == "allow" or not (self.book.running or self.book.waiting)

    def _start(self, tick: Tick) -> Workflow[None]:
        """Start the run for a time."""
        book = self.book
        run_id = fire_id(self.id, tick.at)
        self._steps += 1
        try:
            yield from FireRun(
                by_name(self.spec.workflow),
                (self.spec.args.encode(),),
                id=run_id,
                scheduled_at=tick.at,
                tells=CHANNEL,
            )
        except RunExists:
            book.refused += 1
            self._tell(tick, (yield from now()), "exists")
            if tick.how == "time":  # a backfill meets what was fired in time, which is as it should be
                _warn("schedule %s could not start run %s: there is one of that id", self.id, run_id)
            return
        book.running.append(run_id)
        book.fired += 1
        self._tell(tick, (yield from now()), "started")

    def _cancel_running(self) -> Workflow[None]:
        """Ask what is at work to cancel; it tells when it has ended."""
        for run_id in [run_id for run_id in self.book.running if run_id not in self.book.asked]:
            self.book.asked.append(run_id)
            try:
                yield from RequestCancel(run_id, "cancel", f"schedule {self.id!r} fires again")
            except RunEnded:
                continue  # it tells so itself

    def _go_on(self) -> Workflow[None]:
        """Start what waited, and what is to be made good of the past, as far as the runs at work allow it."""
        book = self.book
        while book.waiting and (not book.running or self.spec.overlap == "allow") and not self._is_full:
            yield from self._start(book.waiting.pop(0))
        while book.backfills and self._is_free() and not self._is_full:
            yield from self._make_good(book.backfills[0])
            if self.spec.overlap == "allow":  # else nothing but runs that exist comes before it is not free
                return

    def _make_good(self, backfill: Backfill) -> Workflow[None]:
        """Start runs for some times of a backfill. What is asked for meanwhile, and the next fires, come in between."""
        if not backfill.ticks and not backfill.is_over:
            self._steps += 1
            made = yield from call(plan_backfill, backfill.timing, backfill.after, backfill.end)
            backfill.ticks, backfill.after, backfill.is_over = made.ticks, made.until, made.is_over
        while backfill.ticks and self._is_free() and not self._is_full:
            yield from self._start(backfill.ticks.pop(0))
        if not backfill.ticks and backfill.is_over:
            self.book.backfills.remove(backfill)

    # Messages.

    def _take(self, message: Message, then: datetime) -> Workflow[None]:
        """Do what a message asks for."""
        book = self.book
        match message.do:
            case "ended":
                book.ended(message.run, message.status)
            case "pause" if not book.deleted:
                book.paused, book.reason = True, message.reason
                book.ticks = []
            case "resume" if book.paused:
                book.paused, book.reason = False, ""
                book.restart(then)
            case "trigger" if not book.deleted:
                yield from self._offer(Tick(message.at, message.at, "trigger"))
            case "backfill" if not book.deleted and message.start is not None and message.end is not None:
                book.backfills.append(Backfill(self.spec.timing, message.start - _LEAST, message.end))
            case "update" if message.spec is not None:
                yield from self._update(message.spec, then)
            case "delete":
                book.deleted, book.paused, book.reason = True, False, ""
                book.ticks, book.waiting, book.backfills = [], [], []
            case _:
                pass  # it is deleted, or was not paused
        if message.token:
            book.hear(message.token)

    def _update(self, spec: Spec, then: datetime) -> Workflow[None]:
        """Become what is asked for. Fires whose time had come stay; later ones are planned anew if they may differ."""
        book = self.book
        if book.deleted:
            book.deleted, book.ticks = False, []
            book.restart(then)
        elif spec.timing != self.spec.timing:
            book.restart(then)
        if spec != self.spec:
            self.spec = spec
            yield from annotate(spec=_plain(attrs.evolve(spec, args=""), Spec))

    # What can be seen.

    def _tell(self, tick: Tick, at: datetime, outcome: str) -> None:
        self.book.tell(Fire(tick.at, at, fire_id(self.id, tick.at), outcome, tick.how))

    def _show(self) -> Workflow[None]:
        """Let everyone read how the schedule stands."""
        book = self.book
        short = attrs.evolve(
            book,
            ticks=book.ticks[:1],
            running=book.running[-MOST_RECENT:],
            asked=[],
            waiting=book.waiting[:MOST_RECENT],
            backfills=[],
            taken=None,
        )
        shown = {
            "book": _plain(short, Book),
            "running": len(book.running),
            "waiting": len(book.waiting),
            "backfills": len(book.backfills),
        }
        if shown != self._shown:
            self._shown = shown
            yield from annotate(**shown)


def _lateness(spec: Spec) -> timedelta:
    """How late a fire may be."""
    return max(spec.catch_up, PUNCTUAL)


def _plain(value: Any, kind: type[Any]) -> Any:
    """Return a value as plain JSON, for `annotate`."""
    return ANY.decode(codec_for(kind).encode(value))


def _warn(text: str, *details: object) -> None:
    """Log a warning, unless this was done before and is only replayed."""
    working = at_work()
    if working is None or working.is_first_time:
        _log.warning(text, *details)
