"""`interp export`: the history of a run as a text file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import click

from interp.cli.history import row_of
from interp.cli.options import Command, common, existing_reader
from interp.cli.output import note, write_document
from interp.cli.target import TargetError, import_target
from interp.definitions import find_workflow
from interp.errors import NondeterminismError
from interp.events import Transition
from interp.histories import ExportedHistory, Redact, dump_history, without_attempts
from interp.outline.words import count
from interp.replay import replay
from interp.runtime.live import decoded

__all__ = ["command"]


@click.command("export", cls=Command)
@click.argument("run_id", metavar="RUN")
@click.option(
    "--output", "-o", metavar="FILE", type=click.Path(path_type=Path), help="Write here, not to the terminal."
)
@click.option(
    "--redact",
    metavar="MODULE:FUNCTION",
    help="Called with every string and number in values; what it returns stands in the file. The same must always "
    "stand for the same.",
)
@click.option(
    "--minimize",
    metavar="MODULE",
    help="Cut off what comes after the record that does not fit the code of this module; leave out failed attempts.",
)
@common
def command(
    run_id: str, output: Path | None, redact: str | None, minimize: str | None, store_url: str | None, as_json: bool
) -> None:
    """Write the history of a run as text: one line of JSON for each record.

    Committed as tests/histories/NAME.history.jsonl, the file is a test: pytest replays it against the code, as soon as
    interp's plugin knows the module of the workflow (`interp_modules` in pytest's configuration).
    """
    with existing_reader(store_url) as store:
        row = row_of(store, run_id)
        history: Iterable[Transition] = tuple(decoded(run_id, store.history(run_id)))
    if minimize is not None:
        import_target(minimize)
        history = _minimized(row.workflow, tuple(history), run_id)
    exported = ExportedHistory(run_id, row.workflow, tuple(history))
    text = dump_history(exported, None if redact is None else _function(redact))
    if output is None:
        click.echo(text, nl=False)
        return
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    if as_json:
        write_document({"file": str(output), "run": run_id, "workflow": row.workflow, "records": len(exported.history)})
    else:
        note(f"{output}: {count(len(exported.history), 'record')} of {row.workflow}")


def _minimized(workflow: str, history: tuple[Transition, ...], run_id: str) -> Iterable[Transition]:
    """Return what of a history is needed to show that it does not fit; all of it when it fits."""
    shorter = tuple(without_attempts(history))
    index = _diverges_at(workflow, shorter, run_id)
    if index is None:
        note(f"run {run_id} fits the code; nothing is cut off")
        return history
    return shorter[: index + 1]


def _diverges_at(workflow: str, history: tuple[Transition, ...], run_id: str) -> int | None:
    try:
        replay(find_workflow(workflow), history, run_id=run_id).interpreter.close()
    except NondeterminismError as error:
        return error.index
    return None


def _function(target: str) -> Redact:
    """Import what redacts."""
    place, _, name = target.rpartition(":")
    if not place:
        raise TargetError(target, "names no function", "Write module:function.")
    module = import_target(place)
    found: Any = getattr(module, name, None)
    if not callable(found):
        raise TargetError(target, f"is no function: {place} has no callable {name!r}")
    return cast("Redact", found)
