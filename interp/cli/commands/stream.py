"""`interp stream`: the items of a stream of a run."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from interp.cli.following import items_of
from interp.cli.history import row_of
from interp.cli.options import Command, common, existing_reader
from interp.cli.output import note, say, write_document, write_line
from interp.runtime.streams import Tail, recorded
from interp.store import Item, Reader
from interp.streams import RESERVED

__all__ = ["command"]


@click.command("stream", cls=Command)
@click.argument("run_id", metavar="RUN")
@click.argument("topic", metavar="[TOPIC]", required=False)
@click.option("--follow", is_flag=True, help="Wait for more items until the run has ended.")
@click.option("--start", type=click.IntRange(min=0), default=0, help="Number of the first item.  [default: 0]")
@common
def command(run_id: str, topic: str | None, follow: bool, start: int, store_url: str | None, as_json: bool) -> None:
    """Print a stream of a run, also while it goes on.

    The value of each item stands on a line of its own, as JSON. Without a TOPIC it lists the topics of the run.

    With --json the items come with their number, time and origin; with --follow each of them is a document on a line
    of its own.

    No worker is started: items come while one is at work on the run.
    """
    with existing_reader(store_url) as store:
        if topic is None:
            _list_topics(store, run_id, as_json=as_json)
            return
        items = items_of(Tail(store, run_id, topic, start), follow=follow)
        if as_json and not follow:
            documents = [_document(run_id, topic, item) for item in items]
            write_document({"run": run_id, "topic": topic, "items": documents})
            return
        is_empty = True
        for item in items:
            is_empty = False
            write_line(_document(run_id, topic, item) if as_json else _value(run_id, topic, item))
        if is_empty and not follow:
            topics = ", ".join(_topics(store, run_id)) or "none"
            note(f"run {run_id!r} has no items in stream {topic!r} from number {start} on; its streams: {topics}")


def _list_topics(store: Reader, run_id: str, *, as_json: bool) -> None:
    row_of(store, run_id)
    topics = _topics(store, run_id)
    if as_json:
        write_document({"run": run_id, "topics": topics})
        return
    for topic in topics:
        say(topic)
    if not topics:
        note(f"run {run_id!r} has no streams yet")


def _topics(store: Reader, run_id: str) -> list[str]:
    return [topic for topic in store.topics(run_id) if not topic.startswith(RESERVED)]


def _value(run_id: str, topic: str, item: Item) -> msgspec.Raw:
    return msgspec.Raw(recorded(run_id, topic, item).payload)


def _document(run_id: str, topic: str, item: Item) -> dict[str, Any]:
    emitted = recorded(run_id, topic, item)
    return {
        "number": item.number,
        "at": emitted.at,
        "command": emitted.command_id,
        "attempt": emitted.attempt,
        "round": emitted.round,
        "value": msgspec.Raw(emitted.payload),
    }
