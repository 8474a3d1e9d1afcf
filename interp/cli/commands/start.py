"""`interp start`: start a run, now or later, and leave it to a worker."""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from typing import Any

import attrs
import click

from interp.cli.arguments import encoded_arguments, refuse_options
from interp.cli.options import JSON_ARGUMENTS, MOMENT, Command, any_store, common
from interp.cli.output import note, say, write_document
from interp.cli.target import workflow_in
from interp.errors import RunExists
from interp.outline.words import stamp
from interp.runtime.creating import NewRun, describe_run, describe_start, new_run
from interp.runtime.stores import hint
from interp.runtime.vetting import vet
from interp.store import Store

__all__ = ["command"]


@click.command("start", cls=Command, context_settings=JSON_ARGUMENTS)
@click.argument("target")
@click.argument("arguments", metavar="[JSON]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--id", "run_id", metavar="ID", help="The run id; a random one by default.")
@click.option("--at", "start_at", type=MOMENT, metavar="TIME", help="When the workflow begins; at once by default.")
@common
def command(
    target: str,
    arguments: tuple[str, ...],
    run_id: str | None,
    start_at: datetime | None,
    store_url: str | None,
    as_json: bool,
) -> None:
    """Start a workflow now or later, and leave it to a worker.

    TARGET and the arguments are those of `interp run`. The run is durable when the command returns. No worker is
    started: the run is moved by the one that is at work, or by the next one (`interp worker`).

    TIME is ISO 8601 with an offset, such as 2027-01-31T09:00+01:00 or 2027-01-31T08:00Z. A run that waits for its time
    can be cancelled, and keeps the signals that are sent to it. The same id and arguments again change nothing.
    """
    refuse_options(arguments)
    definition = workflow_in(target)
    encoded = encoded_arguments(definition, arguments)
    vet(definition, "warn")
    new = new_run(definition, encoded, run_id or secrets.token_hex(8), start_at=start_at, worker=None)
    with any_store(store_url) as store:
        is_new = _created(store, new)
        url = store.url
    begins: Any = new.started.start_at
    if as_json:
        document = {"run": new.create.run_id, "workflow": definition.name, "start_at": begins, "is_new": is_new}
        write_document(document)
        return
    when = f"; it begins {stamp(begins, None)}" if begins is not None else ""
    say(f"run {new.create.run_id} of {definition.name} is started{when}" if is_new else f"run {run_id} exists already")
    note(f"It is moved by a worker: {hint('worker', target.partition(':')[0], store=url)}", dim=True)


def _created(store: Store, new: NewRun) -> bool:
    """Create the run; tells whether it is new."""
    try:
        return store.create(new.create, time.time_ns() // 1000)
    except RunExists as error:
        requested = describe_start(new.started)
        raise attrs.evolve(error, existing=describe_run(store, error.run_id), requested=requested) from None
