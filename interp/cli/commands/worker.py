"""`interp worker`: move the runs of some modules."""

from __future__ import annotations

import time
from contextlib import suppress

import click

from interp.cli.logs import LEVELS, level_of, log_to_stderr
from interp.cli.options import Command, common, given_codec
from interp.cli.output import note, write_document
from interp.cli.target import TargetError, import_target
from interp.cli.waiting import Stopped, stop_on_signals
from interp.definitions import workflows
from interp.runtime.engine import Engine

__all__ = ["command"]

# How often the command looks whether its worker is well.
_LOOK_S = 0.5


@click.command("worker", cls=Command)
@click.argument("modules", metavar="MODULE...", nargs=-1, required=True)
@click.option(
    "--capture-logs",
    type=click.Choice(LEVELS, case_sensitive=False),
    help="Keep log lines from this level on with their runs: `interp logs` shows them.",
)
@common
def command(modules: tuple[str, ...], capture_logs: str | None, store_url: str | None, as_json: bool) -> None:
    """Move the runs of some modules until it is stopped.

    MODULE is a module or a path/to/file.py. The worker takes over what crashed workers left behind, and moves all runs
    of the workflows that these modules define; other runs stay for others. Any number of workers may share a store.

    Ctrl-C and SIGTERM stop it gracefully: calls at work get 10 s to end. A second one stops it at once; nothing that is
    recorded is lost, and calls that were at work are made again.
    """
    for module in modules:
        import_target(module)
    names = sorted(name for name in workflows() if not name.startswith("interp."))
    if not names:
        raise TargetError(", ".join(modules), "has no workflow", "Name the modules that define some with @workflow.")
    log_to_stderr()
    document = {"workflows": names, "stopped": True}
    engine = Engine(store_url, codec=given_codec(), capture_logs=level_of(capture_logs))
    with suppress(Stopped), stop_on_signals(), engine:
        document |= {"worker": engine.name, "store": engine.store.url}
        if not as_json:
            note(f"worker {engine.name} on {engine.store.url} moves: {', '.join(names)}  (Ctrl-C stops it)")
        _watch(engine, quiet=as_json)
    if as_json:
        write_document(document)
    else:
        note("stopped")


def _watch(engine: Engine, *, quiet: bool) -> None:
    """Wait until the worker fails, or is stopped from outside."""
    try:
        while engine.trouble is None:
            time.sleep(_LOOK_S)
    except Stopped:
        if not quiet:
            note("stopping; calls at work get 10 s to end", dim=True)
        raise
    raise engine.trouble
