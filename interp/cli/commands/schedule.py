"""`interp schedule`: look at schedules and talk to them."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import attrs
import click
from rich.table import Table

from interp.cli.options import MOMENT, Command, common, existing_store
from interp.cli.output import note, say, write_document
from interp.cli.views import console, print_table
from interp.events import Signalled, encode_event
from interp.outline.words import clean, count, span, stamp
from interp.runtime.schedules import Schedule, ScheduleInfo, find_schedules
from interp.store import Post, Store

__all__ = ["command"]

# How many of the next fires are shown.
_NEXT = 5


@click.group("schedule")
def command() -> None:
    """Look at schedules and talk to them.

    A schedule is made by a program: engine.schedule(workflow, ..., id="nightly", cron="0 3 * * *"). What is asked for
    here is durable when the command returns. No worker is started: it is done by the one that is at work, or by the
    next one.
    """


@command.command("list", cls=Command)
@common
def list_(store_url: str | None, as_json: bool) -> None:
    """List schedules: when they fire, how they stand, when they fire next."""
    with existing_store(store_url) as store:
        found = [_handle(store, row.id).describe() for row in find_schedules(store)]
        documents = [_document(store, info) for info in found] if as_json else []
        url = store.url
    if as_json:
        write_document({"store": url, "schedules": documents})
    elif found:
        _show_all(found)
    else:
        say(f"no schedules in {url}")


@command.command("show", cls=Command)
@click.argument("schedule_id", metavar="SCHEDULE")
@common
def show(schedule_id: str, store_url: str | None, as_json: bool) -> None:
    """Show a schedule: what it starts, its next fires, what came of the last ones, and what is wrong."""
    with _schedule(store_url, schedule_id) as (store, schedule):
        info = schedule.describe()
        document = _document(store, info) if as_json else None
        coming = schedule.next_fires(_NEXT)
    if document is not None:
        write_document(document)
    else:
        _show_one(info, coming)


@command.command("pause", cls=Command)
@click.argument("schedule_id", metavar="SCHEDULE")
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who look.")
@common
def pause(schedule_id: str, reason: str, store_url: str | None, as_json: bool) -> None:
    """Stop firing. What comes due meanwhile is not made good; runs at work go on."""
    with _schedule(store_url, schedule_id) as (_, schedule):
        schedule.pause(reason)
    _told(schedule_id, "pause", f"schedule {schedule_id!r} is asked to pause", as_json=as_json)


@command.command("resume", cls=Command)
@click.argument("schedule_id", metavar="SCHEDULE")
@common
def resume(schedule_id: str, store_url: str | None, as_json: bool) -> None:
    """Go on firing, from now on."""
    with _schedule(store_url, schedule_id) as (_, schedule):
        schedule.resume()
    _told(schedule_id, "resume", f"schedule {schedule_id!r} is asked to go on", as_json=as_json)


@command.command("trigger", cls=Command)
@click.argument("schedule_id", metavar="SCHEDULE")
@common
def trigger(schedule_id: str, store_url: str | None, as_json: bool) -> None:
    """Fire now, also when paused. The overlap policy holds: while a run is at work, it may be skipped or wait."""
    with _schedule(store_url, schedule_id) as (_, schedule):
        run_id = schedule.trigger()
    _told(
        schedule_id, "trigger", f"schedule {schedule_id!r} is asked to start run {run_id}", as_json=as_json, run=run_id
    )


@command.command("backfill", cls=Command)
@click.argument("schedule_id", metavar="SCHEDULE")
@click.option("--from", "start", required=True, type=MOMENT, metavar="TIME", help="The first moment of the span.")
@click.option("--to", "end", required=True, type=MOMENT, metavar="TIME", help="Its end, itself not part of it.")
@common
def backfill(schedule_id: str, start: datetime, end: datetime, store_url: str | None, as_json: bool) -> None:
    """Fire for each time of a span of the past that has no run yet, the oldest first.

    TIME is ISO 8601 with an offset, such as 2027-01-31T08:00Z. The runs are made one after the other, unless the
    schedule allows several at once.
    """
    with _schedule(store_url, schedule_id) as (_, schedule):
        times = schedule.backfill(start, end)
    told = f"schedule {schedule_id!r} is asked for {count(times, 'fire')} of the past; those that have a run stay"
    _told(schedule_id, "backfill", told, as_json=as_json, times=times)


@command.command("delete", cls=Command)
@click.argument("schedule_id", metavar="SCHEDULE")
@common
def delete(schedule_id: str, store_url: str | None, as_json: bool) -> None:
    """Fire no more, and forget what waits. Runs at work go on; the id can be used again."""
    with _schedule(store_url, schedule_id) as (_, schedule):
        schedule.delete()
    _told(schedule_id, "delete", f"schedule {schedule_id!r} is asked to fire no more", as_json=as_json)


@contextmanager
def _schedule(store_url: str | None, schedule_id: str) -> Generator[tuple[Store, Schedule]]:
    with existing_store(store_url) as store:
        handle = _handle(store, schedule_id)
        handle.check()
        yield store, handle


def _handle(store: Store, schedule_id: str) -> Schedule:
    """Return a handle that leaves messages in the store and waits for nobody."""

    def post(run_id: str, event: Signalled) -> None:
        store.post(Post(run_id, encode_event(event)), time.time_ns() // 1000)

    return Schedule(schedule_id, store, post, wait_s=0)


def _told(schedule_id: str, asked: str, text: str, *, as_json: bool, **more: Any) -> None:
    if as_json:
        write_document({"schedule": schedule_id, "asked": asked, **more})
    else:
        say(text)


def _document(store: Store, info: ScheduleInfo) -> dict[str, Any]:
    document: dict[str, Any] = attrs.asdict(info)
    del document["deleted"], document["next_fire"]
    document["next_fires"] = _handle(store, info.id).next_fires(_NEXT)
    for name in ("every", "catch_up", "jitter"):
        document[name] = None if document[name] is None else document[name].total_seconds()
    return document


# --- for people ---------------------------------------------------------------------------------


def _show_all(found: Iterable[ScheduleInfo]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("schedule", no_wrap=True, overflow="fold")
    for name in ("workflow", "when", "next fire", "last", "fired"):
        table.add_column(name, no_wrap=True, justify="right" if name == "fired" else "left")
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    for info in found:
        after = "paused" if info.paused else "never" if info.next_fire is None else _stamp(info.next_fire)
        last = info.recent[-1].outcome if info.recent else ""
        remark = info.reason if info.paused else info.troubles[0] if info.troubles else ""
        cells = (info.id, info.workflow, _when(info), after, last, f"{info.fired:,}", remark)
        table.add_row(*(clean(cell) for cell in cells))
    print_table(console(), table)


def _show_one(info: ScheduleInfo, coming: Iterable[datetime]) -> None:
    say(f"schedule {info.id} starts {info.workflow}: {_when(info)}")
    overlaps = {
        "skip": "a fire is skipped while a run is at work",
        "queue": "a fire waits while a run is at work",
        "allow": "runs may be at work side by side",
        "cancel": "a fire cancels the run that is at work",
    }
    late = f"late fires are made good for {span(info.catch_up)}" if info.catch_up else "late fires are not made good"
    say(f"  {overlaps[info.overlap]}; {late}" + (f"; delayed by up to {span(info.jitter)}" if info.jitter else ""))
    for name, bound in (("begins", info.start), ("ends", info.end)):
        if bound is not None:
            say(f"  {name} at {_stamp(bound)}")
    told = [f"{info.fired:,} fired", f"{info.skipped:,} skipped", f"{info.missed:,} missed"]
    say("  " + ", ".join([*told, f"{info.refused:,} refused"] if info.refused else told))
    if info.paused:
        say(f"paused{': ' if info.reason else ''}{info.reason}")
    for moment in coming:
        say(f"next   {_stamp(moment)}")
    for fire in reversed(info.recent):
        how = "" if fire.how == "time" else f"  ({fire.how})"
        say(f"fire   {_stamp(fire.scheduled_at)}  {fire.outcome}{how}  {fire.run_id}")
    if info.waiting:
        say(f"{count(info.waiting, 'fire')} {'waits' if info.waiting == 1 else 'wait'} for a run to end")
    for trouble in info.troubles:
        note(f"! {trouble}")


def _when(info: ScheduleInfo) -> str:
    if info.every is not None:
        return f"every {span(info.every)}"
    return f"{info.cron}  {info.timezone}"


def _stamp(moment: datetime) -> str:
    """Return a moment in local time, with milliseconds where it has some."""
    fraction = f".{moment.microsecond // 1000:03}" if moment.microsecond else ""
    return stamp(moment, None) + fraction
