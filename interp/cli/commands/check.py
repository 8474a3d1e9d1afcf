"""`interp check`: would the open runs of a store fit the code as it is now?"""

from __future__ import annotations

from typing import Any

import click

from interp.cli.options import Command, common, existing_reader
from interp.cli.output import FAILED, error_document, note, say, write_document
from interp.cli.target import TargetError, import_target
from interp.definitions import workflows
from interp.errors import NondeterminismError, UndecodableHistory
from interp.outline.words import clean, count, reflowed
from interp.runtime.checking import Cause, Checked, Report, Verdict, checks

__all__ = ["command"]


@click.command("check", cls=Command)
@click.argument("modules", metavar="MODULE...", nargs=-1, required=True)
@click.option("--closed", is_flag=True, help="Check runs that have ended, too: whether they would end as they did.")
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow, such as checkout; or checkout@1.")
@click.option("--quiet", "-q", is_flag=True, help="No line for each run: the summary and the causes only.")
@common
def command(
    modules: tuple[str, ...],
    closed: bool,
    workflow: str | None,
    quiet: bool,
    store_url: str | None,
    as_json: bool,
) -> None:
    """Replay the open runs of a store against the code as it is now.

    MODULE is a module or a path/to/file.py, as for `interp worker`. Each run is replayed with the workflows that these
    modules define; nothing is executed, claimed or written, so that it works beside workers and on a copy of the store.
    Of each run it says whether it fits, at which record it diverges, or that its workflow is unknown. Runs that diverge
    at the same pair of lines have one cause, which is told once.

    Exit code 0: all runs fit. 1: some do not, or their workflow is unknown. Made for CI, before a deploy.
    """
    for module in modules:
        import_target(module)
    if all(name.startswith("interp.") for name in workflows()):
        raise TargetError(", ".join(modules), "has no workflow", "Name the modules that define some with @workflow.")
    report = Report()
    documents: list[dict[str, Any]] = []
    with existing_reader(store_url) as store:
        for checked in checks(store, closed=closed, workflow=workflow):
            report.add(checked)
            if as_json:
                documents.append(_document(checked))
            elif not quiet:
                say(_line(checked))
        url = store.url
    if as_json:
        write_document(_summary(report, url, documents))
    else:
        _tell(report, url, closed=closed)
    if not report.fits:
        click.get_current_context().exit(FAILED)


def _line(checked: Checked) -> str:
    """Say in one line what came of a run."""
    name = f"{checked.run.id}  {checked.run.workflow}"
    match checked.error:
        case None:
            tolerated = f", {count(checked.tolerated, 'difference')} tolerated" if checked.tolerated else ""
            return f"{name}  fits  ({count(checked.records, 'record')}{tolerated})"
        case NondeterminismError() as error:
            command = f", command {error.command_id}" if error.command_id else ""
            return f"{name}  diverges at record {error.index}{command}"
        case UndecodableHistory() as error:
            return f"{name}  undecodable at record {error.index}: {error.what}"
        case error if checked.verdict is Verdict.UNKNOWN:
            return f"{name}  unknown workflow"
        case error:
            return f"{name}  broken: {_first_line(error)}"


def _tell(report: Report, url: str, *, closed: bool) -> None:
    """Write the causes, then the summary."""
    for number, cause in enumerate(report.causes, 1):
        more = ", ..." if cause.runs > len(cause.examples) else ""
        ids = ", ".join(cause.examples)
        say(f"\n{number}. {count(cause.runs, 'run')} of {cause.workflow}: {ids}{more}")
        for line in reflowed(clean(_text(cause))).splitlines():
            say(f"   {line}")
    if not report.runs:
        say(f"no {'' if closed else 'open '}runs in {url}")
        return
    told = [f"{report.counts[verdict]:,} {_NOUNS[verdict]}" for verdict in Verdict if report.counts[verdict]]
    blank = "\n" if report.causes else ""
    say(f"{blank}{count(report.runs, 'run')}: {', '.join(told)}")
    if report.tolerated:
        note(f'{count(report.tolerated, "command")} with other arguments than recorded, accepted by compare="names"')


_NOUNS = {
    Verdict.FITS: "fit",
    Verdict.DIVERGES: "diverge",
    Verdict.UNDECODABLE: "undecodable",
    Verdict.UNKNOWN: "of unknown workflows",
    Verdict.BROKEN: "broken",
}


def _text(cause: Cause) -> str:
    if cause.verdict is Verdict.BROKEN:
        return f"{type(cause.error).__name__}: {cause.error}"
    return str(cause.error)


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _document(checked: Checked) -> dict[str, Any]:
    error = checked.error
    index = error.index if isinstance(error, (NondeterminismError, UndecodableHistory)) else None
    return {
        "id": checked.run.id,
        "workflow": checked.run.workflow,
        "status": checked.run.status,
        "verdict": checked.verdict,
        "records": checked.records,
        "tolerated": checked.tolerated,
        "record": index,
    }


def _summary(report: Report, url: str, documents: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "store": url,
        "fits": report.fits,
        "total": report.runs,
        "counts": {verdict.value: number for verdict, number in report.counts.items()},
        "tolerated": report.tolerated,
        "causes": [
            {
                "verdict": cause.verdict,
                "workflow": cause.workflow,
                "runs": cause.runs,
                "examples": cause.examples,
                "error": error_document(cause.error),
            }
            for cause in report.causes
        ],
        "runs": documents,
    }
