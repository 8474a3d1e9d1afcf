"""The runtime guard sees what is marked in bodies.py, on that line and with that code, and nothing else."""

import sys
from pathlib import Path
from typing import Any

from interp.definitions import WorkflowDefinition
from interp.testing import Finding, guarded
from interp.testing.play import Answers, Play, Returned
from tests.linting import bodies
from tests.linting.marks import marked

BODIES = Path(bodies.__file__)
ON_312 = "guard312" if sys.version_info >= (3, 12) else ""


def definitions() -> list[WorkflowDefinition]:
    found = (getattr(value, "__interp_workflow__", None) for value in vars(bodies).values())
    return [definition for definition in found if isinstance(definition, WorkflowDefinition)]


def live(definition: WorkflowDefinition) -> None:
    """Let a workflow run to its end, with some results; one that never ends is cancelled."""
    play = Play(definition, getattr(bodies, "ARGS", {}).get(definition.fn.__name__, ()))
    try:
        for _ in range(30):
            options = play.options(cancel=False)
            if not options:
                return
            option = options[0]
            play.take(option, Returned(answer(play, option)) if isinstance(option, Answers) else None)
    finally:
        play.close()


def answer(play: Play, option: Answers) -> Any:
    target = play.interpreter.pending[option.id].record.target
    return {"regions": {"eu"}, "charge": "receipt"}.get(target.rpartition(".")[2], 1)


def seen() -> list[Finding]:
    """Let every workflow live under the guard, and return what it sees."""
    found: list[Finding] = []
    for definition in definitions():
        with guarded() as findings:
            live(definition)
        found += [finding for finding in findings if finding not in found]
    return found


def places(findings: list[Finding], path: Path) -> set[tuple[int, str]]:
    return {(finding.line, finding.code) for finding in findings if finding.file == str(path)}


def test_every_forbidden_call_is_seen_on_its_line_and_nothing_else() -> None:
    findings = seen()

    assert marked(BODIES, "guard", also=ON_312) == places(findings, BODIES)


def test_every_call_is_seen_every_time() -> None:
    assert seen() == seen()
