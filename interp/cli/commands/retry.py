"""`interp retry`: release a parked run."""

from __future__ import annotations

import time

import click

from interp.cli.history import row_of
from interp.cli.options import Command, common, existing_store
from interp.cli.output import note, say, write_document
from interp.errors import UsageError

__all__ = ["command"]


@click.command("retry", cls=Command)
@click.argument("run_id", metavar="RUN")
@common
def command(run_id: str, store_url: str | None, as_json: bool) -> None:
    """Release a parked run.

    The next worker that knows its workflow replays it with the code of that moment. Where history and code still
    differ, the run is parked again, and nothing is lost. `interp show RUN` tells why a run is parked.
    """
    with existing_store(store_url) as store:
        row = row_of(store, run_id)
        if not store.unpark(run_id, time.time_ns() // 1000):
            raise UsageError(f"run {run_id!r} is not parked: it is {row.status}")
    if as_json:
        write_document({"run": run_id, "released": True, "reason": row.reason})
        return
    say(f"run {run_id!r} is released")
    note(
        f"The next worker that knows {row.workflow} replays its {row.length:,} records with the code as it is then, and"
        " goes on from there.\nIf they still do not fit, it is parked again; nothing is lost.",
    )
