"""`interp report`: what is to be seen of runs, in one file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from interp.cli.filters import Filters, filtering
from interp.cli.options import Command, common, existing_reader
from interp.cli.output import note, write_document
from interp.cli.target import import_target
from interp.errors import UsageError
from interp.explore.finding import Query
from interp.explore.report import Report, report_of_run, report_of_runs
from interp.explore.run import read_run
from interp.explore.runs import Runs, runs_of
from interp.outline.words import count
from interp.store import Reader

__all__ = ["command"]

_DEFAULT = Path("report.html")


@click.command("report", cls=Command)
@click.argument("run_ids", metavar="[RUN]...", nargs=-1)
@filtering(limit=200)
@click.option(
    "--output",
    "-o",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default=_DEFAULT,
    show_default=True,
    help="The file; .txt for plain text.",
)
@click.option(
    "--whole",
    metavar="N",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Of many runs: the page of each of the first N.",
)
@click.option("--code", "modules", metavar="MODULE", multiple=True, help="A module or file with the workflows.")
@common
def command(
    run_ids: tuple[str, ...],
    filters: Filters,
    output: Path,
    whole: int,
    modules: tuple[str, ...],
    store_url: str | None,
    as_json: bool,
) -> None:
    """Write what is to be seen of runs into one file that needs nothing else.

    Of one RUN: its page with what it waits for, the timeline and all commands; the critical path. Of several, or of
    those that the filters choose: the list, what waits, how long calls took, and the first ones whole.

    With --code more can be told: the lines of the source, and the types of signals. The code is read and replayed
    without effects. What must not leave the house: `interp export --redact`, and --store with the file it wrote.
    """
    for module in modules:
        import_target(module)
    with existing_reader(store_url, redacts=True) as reader:
        report, number = _report(reader, run_ids, filters, whole)
        output.parent.mkdir(parents=True, exist_ok=True)
        report.save(output)
    size = output.stat().st_size
    if as_json:
        write_document({"file": str(output), "runs": number, "bytes": size})
    else:
        note(f"{output}: {count(number, 'run')}, {size / 1000:,.0f} kB")


def _report(reader: Reader, run_ids: tuple[str, ...], filters: Filters, whole: int) -> tuple[Report, int]:
    now = datetime.now(UTC)
    if len(run_ids) == 1:
        return report_of_run(read_run(reader, run_ids[0]), now), 1
    if run_ids:
        if filters.is_given:
            raise UsageError("give run ids, or filters, and not both")
        rows = tuple(read_run(reader, run_id).row for run_id in dict.fromkeys(run_ids))
        runs = Runs(rows, Query(), False, reader)
    else:
        runs = runs_of(reader, filters.query(now))
    return report_of_runs(runs, whole=whole, now=now), len(runs)
