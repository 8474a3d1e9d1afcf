"""`interp show`: the history of one run."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from interp.cli.documents import history_document, record_documents, repeated_documents, run_document
from interp.cli.history import row_of
from interp.cli.options import Command, common, existing_reader
from interp.cli.output import say, write_document
from interp.cli.views import console
from interp.errors import UsageError
from interp.outline.records import record_lines
from interp.outline.rows import Limits
from interp.outline.tree import Tree, tree_of
from interp.runtime.live import decoded
from interp.runtime.repeated import repeated_calls
from interp.terminal import RunPage, show_page

__all__ = ["command"]


@click.command("show", cls=Command)
@click.argument("run_id", metavar="RUN")
@click.option("--full", is_flag=True, help="Show all branches and commands, whole values, and tracebacks of calls.")
@click.option("--records", "as_records", is_flag=True, help="List the records as they are kept, with their index.")
@click.option("--fiber", metavar="ID", default="", help="Show this branch or group alone, such as 2.0 or 2.")
@common
def command(run_id: str, full: bool, as_records: bool, fiber: str, store_url: str | None, as_json: bool) -> None:
    """Show the history of a run as a tree.

    What it did and what came of it, when and how long, at which line; the attempts that failed; what it waits for, and
    how it ended. Long values are cut, and finished branches that are alike are counted instead of shown.

    The number of a command is its coordinate: 2.0.1 is the first command of branch 0 of what command 2 started (gather,
    race or spawn).

    The workflow's code is not needed: all is read from the records.
    """
    with existing_reader(store_url, redacts=True) as store:
        row = row_of(store, run_id)
        history = tuple(decoded(run_id, store.history(run_id)))
        tree = tree_of(history)
        url = store.url
    _check_fiber(tree, fiber, run_id)
    repeated = repeated_calls(history)
    if as_json:
        records = {"records": record_documents(history)} if as_records else {}
        twice = repeated_documents(run_id, tree.round, repeated)
        write_document({"run": run_document(row), **history_document(tree), "repeated_calls": twice, **records})
        return
    if as_records:
        for line in record_lines(history, None):
            say(line)
        return
    limits = Limits.none() if full else Limits()
    page = RunPage(row, url, tree, datetime.now(UTC), limits, is_whole=full, fiber=fiber, repeated=repeated)
    show_page(console(), page)


def _check_fiber(tree: Tree, fiber: str, run_id: str) -> None:
    if fiber and not (fiber in tree.fibers or fiber in tree.groups or fiber in tree.nodes):
        groups = ", ".join(list(tree.groups)[:8]) or "none"
        raise UsageError(f"run {run_id!r} has no branch {fiber!r}; what has started branches: {groups}")
