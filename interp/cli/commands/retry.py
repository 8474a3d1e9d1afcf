"""`interp retry`: make a parked or failed run go on."""

from __future__ import annotations

import click

from interp.cli.history import row_of
from interp.cli.options import Command, common, existing_store
from interp.cli.output import note, say, write_document
from interp.events import Retried
from interp.outline.words import failure_line
from interp.runtime.retrying import retry
from interp.store import RunRow

__all__ = ["command"]


@click.command("retry", cls=Command)
@click.argument("run_id", metavar="RUN")
@common
def command(run_id: str, store_url: str | None, as_json: bool) -> None:
    """Make a parked or failed run go on from where it stands.

    A parked run is released: the next worker that knows its workflow replays it with the code of that moment. Where
    history and code still differ, it is parked again, and nothing is lost. `interp show RUN` tells why it is parked.

    A failed run keeps all of its results; only the record that ended it is taken back. If a call had failed for good,
    that call is made anew, with all of its attempts. Otherwise the workflow itself had raised: what had happened
    happens again, to the code as it is then. Completed and cancelled runs are refused; see `interp fork`.
    """
    with existing_store(store_url) as store:
        row = row_of(store, run_id)
        retried = retry(store, run_id)
    if as_json:
        write_document({"run": run_id, "released": True, "reason": _reason(row, retried), "call": _call(retried)})
        return
    if retried is None:
        say(f"run {run_id!r} is released")
        note(
            f"The next worker that knows {row.workflow} replays its {row.length:,} records with the code as it is then,"
            " and goes on from there.\nIf they still do not fit, it is parked again; nothing is lost."
        )
    else:
        say(f"run {run_id!r} goes on")
        note(f"It had failed with {_reason(row, retried)}\n{_next(row, retried)}")


def _reason(row: RunRow, retried: Retried | None) -> str:
    return row.reason if retried is None else failure_line(retried.failure)


def _call(retried: Retried | None) -> str | None:
    return None if retried is None or retried.rejected is None else retried.rejected.id


def _next(row: RunRow, retried: Retried) -> str:
    call = _call(retried)
    if call is not None:
        return f"The next worker that knows {row.workflow} makes call {call} anew; other results stay."
    return f"The next worker that knows {row.workflow} lets what came last happen again, to the code as it is then."
