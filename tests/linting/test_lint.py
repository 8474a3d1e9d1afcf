"""The lint finds what is marked in bodies.py, on that line and with that code, and nothing else."""

from pathlib import Path

from interp.linting import Finding, lint
from tests.linting import bodies, elsewhere
from tests.linting.marks import marked

BODIES = Path(bodies.__file__)
ELSEWHERE = Path(elsewhere.__file__)


def places(findings: list[Finding], path: Path) -> set[tuple[int, str]]:
    return {(finding.line, finding.code) for finding in findings if finding.file == str(path)}


def test_a_file_is_read_without_being_imported() -> None:
    findings = lint(BODIES)

    assert marked(BODIES, "file") == places(findings, BODIES)
    assert {str(BODIES)} == {finding.file for finding in findings}


def test_what_is_loaded_is_read_with_the_names_of_run_time() -> None:
    findings = lint(bodies)

    assert marked(BODIES, "live") == places(findings, BODIES)
