"""`interp blocked`: everything that waits, and what would make it go on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import click

from interp.cli.filters import Filters, filtering
from interp.cli.options import Command, common, existing_reader
from interp.cli.output import say, write_document
from interp.cli.target import import_target
from interp.errors import UsageError
from interp.explore.blocked import Blocked, BlockedGroup, blocked_of
from interp.explore.run import read_run
from interp.explore.runs import runs_of
from interp.store import Status

__all__ = ["command"]


@click.command("blocked", cls=Command)
@click.argument("run_ids", metavar="[RUN]...", nargs=-1)
@filtering(limit=1_000)
@click.option("--code", "modules", metavar="MODULE", multiple=True, help="A module or file with the workflows.")
@common
def command(
    run_ids: tuple[str, ...], filters: Filters, modules: tuple[str, ...], store_url: str | None, as_json: bool
) -> None:
    """Tell what waits: on what, since when, at which line, and what makes it go on.

    What is alike in several runs is told once, with their number; what has waited longest comes first. The oldest open
    runs are read, up to --limit.

    With --code the lines of the source are quoted, and the types of signals are known. The code is read and replayed
    without effects.
    """
    for module in modules:
        import_target(module)
    now = datetime.now(UTC)
    if run_ids and filters.is_given:
        raise UsageError("give run ids, or filters, and not both")
    with existing_reader(store_url, redacts=True) as reader:
        if run_ids:
            runs: list[Any] = [read_run(reader, run_id) for run_id in dict.fromkeys(run_ids)]
            blocked = blocked_of(runs, now)
        else:
            query = filters.query(now, newest=False)
            is_open = frozenset(status for status in query.statuses or Status if not status.ended)
            blocked = runs_of(reader, attrs.evolve(query, statuses=is_open)).blocked(now=now)
    if as_json:
        write_document(_document(blocked))
    else:
        for line in str(blocked).splitlines():
            say(line)


def _document(blocked: Blocked) -> dict[str, Any]:
    return {"runs": blocked.runs, "is_cut": blocked.is_cut, "groups": [_group(group) for group in blocked.groups]}


def _group(group: BlockedGroup) -> dict[str, Any]:
    oldest = group.oldest
    return {
        "workflow": oldest.workflow,
        "where": oldest.where,
        "kind": oldest.kind,
        "what": oldest.what if len(group.waits) == 1 else oldest.like,
        "source": oldest.source,
        "detail": oldest.detail,
        "wakes": oldest.wakes,
        "waits": len(group.waits),
        "since": oldest.since,
        "until": group.until,
        "runs": group.runs,
    }
