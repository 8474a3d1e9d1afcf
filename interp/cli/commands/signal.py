"""`interp signal`: send a signal to a run."""

from __future__ import annotations

import time

import click
import msgspec

from interp.cli.arguments import encoded_value, refuse_options
from interp.cli.history import refuse_unsealed, tree_in
from interp.cli.options import JSON_ARGUMENTS, Command, common, existing_store
from interp.cli.output import note, say, write_document
from interp.events import Signalled, encode_event
from interp.outline.tree import Tree
from interp.store import Post

__all__ = ["command"]


@click.command("signal", cls=Command, context_settings=JSON_ARGUMENTS)
@click.argument("run_id", metavar="RUN")
@click.argument("name")
@click.argument("payload", metavar="[JSON]", required=False, type=click.UNPROCESSED)
@common
def command(run_id: str, name: str, payload: str | None, store_url: str | None, as_json: bool) -> None:
    """Send a signal to a run.

    The payload is one JSON value, null when it is left out; a text that is no JSON is taken as a string. The signal is
    durable when the command returns, and kept until the workflow awaits it. No worker is started: the signal is taken
    in by the one that is at work, or by the next one.
    """
    refuse_options((payload,) if payload is not None else ())
    encoded = encoded_value(payload)
    with existing_store(store_url) as store:
        refuse_unsealed(store, run_id, "signal")
        store.post(Post(run_id, encode_event(Signalled(name, encoded))), time.time_ns() // 1000)
        tree = tree_in(store, run_id)
    awaited = _awaited(tree, "await_signal")
    if as_json:
        write_document({"run": run_id, "signal": name, "payload": msgspec.Raw(encoded)})
        return
    say(f"signal {name!r} is sent to run {run_id!r}")
    if name in _awaited(tree, "await_request") and name not in awaited:
        note(f"The run waits for a request {name!r}, which a signal is not: `interp ask` sends one.")
    elif awaited and name not in awaited:
        names = ", ".join(map(repr, awaited))
        note(f"The run waits for {names} and not for {name!r}, which is kept until the workflow awaits it.")


def _awaited(tree: Tree, kind: str) -> list[str]:
    """Return the names of the signals, or requests, that a run waits for."""
    return list(dict.fromkeys(node.record.target for node in tree.waiting.values() if node.record.kind == kind))
