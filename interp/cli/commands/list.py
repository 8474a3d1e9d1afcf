"""`interp list`: which runs there are."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from interp.cli.documents import run_document, wait_documents
from interp.cli.history import tree_in
from interp.cli.options import Command, common, existing_reader
from interp.cli.output import note, say, write_document
from interp.cli.views import console, show_runs
from interp.outline.answers import wait_line
from interp.outline.tree import Tree
from interp.outline.words import count, elide, one_line
from interp.store import Reader, RunFilter, RunRow, Status

__all__ = ["command"]


@click.command("list", cls=Command)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in Status]),
    help="Only runs with this status; may be given several times.",
)
@click.option("--open", "is_open", is_flag=True, help="Only runs that have not ended, parked ones included.")
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow, such as checkout; or checkout@1.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="At most so many; 0 for all.")
@common
def command(
    statuses: tuple[str, ...],
    is_open: bool,
    workflow: str | None,
    limit: int,
    store_url: str | None,
    as_json: bool,
) -> None:
    """List runs, the newest first.

    The table tells how each run stands, and the first thing that it waits for; of a parked run, why it is parked.
    """
    chosen = frozenset(map(Status, statuses)) if statuses else frozenset(Status)
    if is_open:
        chosen = frozenset(status for status in chosen if not status.ended)
    is_filtered = bool(statuses or workflow or is_open)
    where = RunFilter(chosen if statuses or is_open else None, workflow, newest=True)
    with existing_reader(store_url, redacts=True) as store:
        found = store.runs(where)
        runs = [(row, _tree(store, row)) for row in (found[:limit] if limit else found)]
        url = store.url
    now = datetime.now(UTC)
    if as_json:
        documents = [{**run_document(row), "waits_for": wait_documents(tree) if tree else []} for row, tree in runs]
        write_document({"store": url, "total": len(found), "runs": documents})
    elif runs:
        show_runs(console(), [(row, _waits(row, tree, now)) for row, tree in runs], now)
        if len(found) > len(runs):
            note(f"{len(runs):,} of {count(len(found), 'run')}; --limit 0 shows all", dim=True)
    else:
        say(f"no such runs in {url}" if is_filtered else f"no runs in {url}")


def _tree(store: Reader, row: RunRow) -> Tree | None:
    """Read the history of a run that goes on: only of those there is something to tell."""
    return None if row.status.ended or not row.length else tree_in(store, row.id)


def _waits(row: RunRow, tree: Tree | None, now: datetime) -> str:
    """Say shortly what a run waits for."""
    if row.status is Status.PARKED:
        return one_line(row.reason.partition("\n")[0])
    if tree is None or tree.outcome is not None or not tree.waiting:
        return "a worker" if row.status is Status.PENDING else ""
    first, *others = tree.waiting.values()
    what, until = wait_line(first, now)
    more = f"  +{len(others)}" if others else ""
    return f"{elide(what, 40)}{', ' if until else ''}{until}{more}"
