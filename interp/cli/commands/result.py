"""`interp result`: the result of a run."""

from __future__ import annotations

from datetime import timedelta

import click
import msgspec

from interp.cli.options import SPAN, Command, common, existing_reader
from interp.cli.output import say, write_document
from interp.cli.waiting import wait_for_end
from interp.runtime.ended import value_of

__all__ = ["command"]


@click.command("result", cls=Command)
@click.argument("run_id", metavar="RUN")
@click.option("--wait/--no-wait", default=True, help="Whether to wait for a run that goes on.  [default: wait]")
@click.option("--timeout", type=SPAN, metavar="TIME", help="How long to wait: seconds, or 500ms, 5m, 2h.")
@common
def command(run_id: str, wait: bool, timeout: timedelta | None, store_url: str | None, as_json: bool) -> None:
    """Wait for a run to end and print its result.

    The result goes to stdout as JSON. A run that failed, was cancelled, is parked or has not ended in time gives exit
    code 1 and says so on stderr. No worker is started: the run is moved by the one that is at work.
    """
    with existing_reader(store_url) as store:
        limit = timeout if wait else timedelta(0)
        row, ended = wait_for_end(store, run_id, quiet=as_json or not wait, timeout=limit)
        payload = value_of(row.id, ended, bytes)
    if as_json:
        write_document({"run": row.id, "workflow": row.workflow, "status": row.status, "result": msgspec.Raw(payload)})
    else:
        say(payload.decode())
