"""`interp cancel`: ask a run to cancel."""

from __future__ import annotations

import time

import click

from interp.cli.options import Command, common, existing_store
from interp.cli.output import say, write_document
from interp.events import CancelRequested, encode_event
from interp.store import Post

__all__ = ["command"]


@click.command("cancel", cls=Command)
@click.argument("run_id", metavar="RUN")
@click.option("--reason", default="", metavar="TEXT", help="Why; the history and the run's end tell it.")
@common
def command(run_id: str, reason: str, store_url: str | None, as_json: bool) -> None:
    """Ask a run to cancel.

    The request is durable when the command returns. `Cancelled` is raised where the workflow waits, and its cleanup
    code runs before the run ends. No worker is started: the request is taken in by the one that is at work, or by the
    next one.
    """
    with existing_store(store_url) as store:
        store.post(Post(run_id, encode_event(CancelRequested(reason))), time.time_ns() // 1000)
    if as_json:
        write_document({"run": run_id, "cancel_requested": True, "reason": reason})
    else:
        say(f"run {run_id!r} is asked to cancel; its cleanup runs first")
