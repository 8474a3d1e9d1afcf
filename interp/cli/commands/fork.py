"""`interp fork`: start a new run from the first records of another."""

from __future__ import annotations

import click
import msgspec

from interp.cli.arguments import encoded_value
from interp.cli.options import Command, common, existing_store
from interp.cli.output import note, say, write_document
from interp.cli.target import import_target
from interp.errors import UsageError
from interp.runtime.forking import fork
from interp.runtime.stores import hint

__all__ = ["command"]


@click.command("fork", cls=Command)
@click.argument("run_id", metavar="RUN")
@click.argument("modules", metavar="MODULE...", nargs=-1, required=True)
@click.option("--at", type=int, required=True, metavar="K", help="Take over the records 0 to K-1.")
@click.option("--id", "new_id", metavar="NEW", help="The id of the new run; a random one by default.")
@click.option(
    "--with",
    "given",
    multiple=True,
    metavar="COMMAND=JSON",
    help="Give a call this result, by its number, such as 3 or 2.0.1; may be given several times.",
)
@common
def command(
    run_id: str,
    modules: tuple[str, ...],
    at: int,
    new_id: str | None,
    given: tuple[str, ...],
    store_url: str | None,
    as_json: bool,
) -> None:
    """Start a new run from the first records of another.

    `interp show RUN --records` lists the records. The new run takes over those from 0 to K-1 and goes on live from
    there: what they hold is not executed again, and calls that wait after them are made by the new run, with
    idempotency keys of its own. RUN stays as it is, whether it goes on or has ended.

    MODULE defines the workflow, as for `interp worker`: the records must fit its code as it is now, or nothing is
    created. No worker is started: the new run is moved by one that is at work, or by the next one.
    """
    results = dict(map(_result, given))
    for module in modules:
        import_target(module)
    with existing_store(store_url) as store:
        forked = fork(store, run_id, at=at, results=results, id=new_id)
        url = store.url
    if as_json:
        write_document({"run": forked, "forked_from": run_id, "at": at, "given": list(results)})
        return
    say(forked)
    note(
        f"run {forked!r} begins as run {run_id!r} up to record {at - 1}, and goes on when a worker takes it up\n"
        f"`{hint('show', forked, store=url)}` shows it.",
        dim=True,
    )


def _result(text: str) -> tuple[str, msgspec.Raw]:
    command_id, equals, value = text.partition("=")
    if not command_id or not equals:
        raise UsageError(f"--with {text}: expected COMMAND=JSON, such as --with 3='\"declined\"'")
    return command_id, msgspec.Raw(encoded_value(value))
