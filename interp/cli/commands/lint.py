"""`interp lint`: what in the workflows of some modules makes replays differ?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs
import click

from interp.cli.options import Command, reporting
from interp.cli.output import FAILED, note, say, write_document
from interp.cli.target import TargetError, import_target
from interp.errors import UsageError
from interp.linting import Finding, Linted, files_in, lint_file, lint_module
from interp.outline.words import count

__all__ = ["command"]


@click.command("lint", cls=Command)
@click.argument("targets", metavar="[PATH|MODULE]...", nargs=-1)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    help="text for people, json as --json, github for annotations in GitHub Actions.  [default: text]",
)
@reporting
def command(targets: tuple[str, ...], form: str, as_json: bool) -> None:
    """Find what makes workflows replay differently, without running them.

    Looks at workflows and at the functions that they call, not at activities: the clock, random numbers, the
    environment, input and output, threads, the order of sets, commands that are never yielded, state that outlives the
    run. Each finding has its line, why it matters and what to write instead.

    PATH is a file, or a directory with files; without any it is the current directory. Files are read and not
    imported, each for itself. MODULE is imported, so that names are followed into other modules, too.

    What is meant is allowed by a comment on its line: `# interp: allow[code] reason`.

    Exit code 0: nothing was found. 1: something was.
    """
    report = _Report()
    for target in targets or (".",):
        report.read(target)
    if not report.workflows:
        raise TargetError(", ".join(targets or (".",)), "has no workflow", "Name files or modules that define some.")
    if as_json or form == "json":
        write_document(report.document())
    elif form == "github":
        for finding in report.findings:
            click.echo(_annotation(finding))
    else:
        report.tell()
    if report.findings:
        click.get_current_context().exit(FAILED)


@attrs.define
class _Report:
    """What was read, and what was found."""

    workflows: int = 0
    files: int = 0
    findings: list[Finding] = attrs.field(factory=list[Finding])

    def read(self, target: str) -> None:
        """Read one target: a path, or else a module."""
        path = Path(target)
        if path.is_dir():
            for file in files_in(path):
                try:
                    self._add(lint_file(_short(file)))
                except UsageError as unreadable:  # templates, old Python: no workflow can be in there
                    note(f"left out: {unreadable}", dim=True)
        elif path.exists() or target.endswith(".py") or os.sep in target:
            for file in files_in(path):
                self._add(lint_file(_short(file)))
        else:
            self._add(lint_module(import_target(target)))

    def _add(self, linted: Linted) -> None:
        """Count what was read, and keep what was found; a place that two targets lead to is told once."""
        self.files += 1
        self.workflows += len(linted.workflows)
        known = {_place(finding) for finding in self.findings}
        found = (attrs.evolve(finding, file=str(_short(Path(finding.file)))) for finding in linted.findings)
        self.findings += [finding for finding in found if _place(finding) not in known]

    def tell(self) -> None:
        """Write the findings, then the summary."""
        for finding in self.findings:
            say(f"{finding}\n")
        looked_at = f"{count(self.workflows, 'workflow')} in {count(self.files, 'file')}"
        say(f"{count(len(self.findings), 'finding') if self.findings else 'nothing found'}: {looked_at}")
        if self.findings:
            note("what is meant is allowed by a comment on its line: # interp: allow[code] reason", dim=True)

    def document(self) -> dict[str, Any]:
        """Return all of it for machines."""
        found = [{**attrs.asdict(finding), "why": finding.why} for finding in self.findings]
        return {"workflows": self.workflows, "files": self.files, "findings": found}


def _place(finding: Finding) -> tuple[str, int, int, str]:
    return finding.file, finding.line, finding.column, finding.code


def _short(path: Path) -> Path:
    """Return a path as seen from here, where that is shorter."""
    path = path.absolute()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _annotation(finding: Finding) -> str:
    """Return a workflow command of GitHub Actions, which shows the finding on its line of the change.

    Source: GitHub Docs, "Workflow commands for GitHub Actions".
    """
    kind = "error" if finding.certain else "warning"
    title = f"interp: {finding.code}"
    places = f"file={_property(finding.file)},line={finding.line},col={finding.column},title={_property(title)}"
    return f"::{kind} {places}::" + _data(f"{finding.what} ({finding.context})\n{finding.why}\nInstead: {finding.cure}")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
