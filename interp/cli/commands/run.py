"""`interp run`: start or resume a run in this process, wait for it, print its result."""

from __future__ import annotations

import logging
import secrets
import shlex
import sys

import attrs
import click
import msgspec

from interp.cli.arguments import encoded_arguments, refuse_options
from interp.cli.history import tree_in
from interp.cli.logs import log_to_stderr
from interp.cli.options import JSON_ARGUMENTS, Command, codec_option, common, given_codec
from interp.cli.output import note, say, write_document
from interp.cli.progress import counts
from interp.cli.target import workflow_in
from interp.cli.waiting import Stopped, stop_on_signals, wait_for_end
from interp.definitions import WorkflowDefinition
from interp.outline.words import span
from interp.runtime.ended import value_of
from interp.runtime.engine import Engine
from interp.runtime.live import moment
from interp.store import RunRow
from interp.versions import explicit

__all__ = ["command"]


@attrs.frozen
class _Errand:
    """What was asked for on the command line."""

    target: str
    arguments: tuple[str, ...]
    run_id: str
    store_url: str | None
    as_json: bool
    codec: str = ""

    @property
    def resume(self) -> str:
        """The command line that goes on with the run."""
        words = ["interp", "run", self.target, *self.arguments, "--id", self.run_id]
        words += ["--store", self.store_url] if self.store_url is not None else []
        words += ["--codec", self.codec] if self.codec else []
        return shlex.join(words + (["--json"] if self.as_json else []))

    @property
    def is_watched(self) -> bool:
        """Whether somebody sees what goes to stderr."""
        return sys.stderr.isatty() and not self.as_json


@click.command("run", cls=Command, context_settings=JSON_ARGUMENTS)
@click.argument("target")
@click.argument("arguments", metavar="[JSON]...", nargs=-1, type=click.UNPROCESSED)
@click.option("--id", "run_id", metavar="ID", help="The run id. The same id goes on with the same run.")
@common
@click.pass_context
def command(
    ctx: click.Context,
    target: str,
    arguments: tuple[str, ...],
    run_id: str | None,
    store_url: str | None,
    as_json: bool,
) -> None:
    """Start a workflow, or go on with it, and print its result.

    TARGET is module:function, path/to/file.py:function, or only the module or file when it has one workflow. Each
    further argument is one JSON value for one parameter. A text that is no JSON, or whose JSON value does not fit, is
    taken as a string where the parameter accepts one: a bare word needs no quotes, and 42 may be an order id.

    The result goes to stdout as JSON. When the same id was started before with the same arguments, the run goes on
    where it stood; one that has ended gives its recorded result. Ctrl-C stops the process, and the run stays.
    """
    refuse_options(arguments)
    definition = workflow_in(target)
    encoded = encoded_arguments(definition, arguments)
    errand = _Errand(target, arguments, run_id or secrets.token_hex(8), store_url, as_json, codec_option())
    log_to_stderr(most=logging.WARNING)
    try:
        with stop_on_signals():
            row, payload = _performed(errand, definition, encoded)
    except Stopped as stopped:
        ctx.exit(stopped.exit_code)
    if as_json:
        write_document({"run": row.id, "workflow": row.workflow, "status": row.status, "result": msgspec.Raw(payload)})
    else:
        say(payload.decode())


def _performed(errand: _Errand, definition: WorkflowDefinition, arguments: bytes) -> tuple[RunRow, bytes]:
    """Run the workflow to its end; returns the run and its result."""
    with Engine(errand.store_url, codec=given_codec()) as engine:
        try:
            before = engine.store.run(errand.run_id)
            run = engine.start_json(explicit(definition.name), arguments, id=errand.run_id)
            if errand.is_watched:
                note(_opening(run.row, engine, before), dim=True)
            row, ended = wait_for_end(engine.store, run.id, quiet=not errand.is_watched, check=lambda: _check(engine))
            if errand.is_watched:
                took = span(moment(row.updated_us) - moment(row.created_us))
                note(f"run {row.id} {row.status}: {counts(tree_in(engine.store, row.id))}, {took}", dim=True)
            return row, value_of(row.id, ended, bytes)
        except Stopped:
            _tell_stopped(errand, engine)
            raise


def _opening(row: RunRow, engine: Engine, before: RunRow | None) -> str:
    place = f"run {row.id} of {row.workflow} in {engine.store.url}"
    if before is None:
        return place
    return f"{place} has ended before" if before.status.ended else f"{place} goes on after record {before.length}"


def _check(engine: Engine) -> None:
    """Raise what has ended the worker, if something did."""
    if engine.trouble is not None:
        raise engine.trouble


def _tell_stopped(errand: _Errand, engine: Engine) -> None:
    """Say that the run stays, and how to go on with it."""
    message = f"interrupted; run {errand.run_id!r} stays in {engine.store.url}, with all that is recorded"
    if errand.as_json:
        error = {"type": "Interrupted", "message": message, "run_id": errand.run_id, "resume": errand.resume}
        write_document({"error": error})
    else:
        note(f"{message}\nresume it:  {errand.resume}")
    if sys.stderr.isatty():
        note("(calls at work get 10 s to end; Ctrl-C again stops at once)", dim=True)
