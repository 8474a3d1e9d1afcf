"""Workflows are vetted before they start: what the lint is certain of is refused, of the rest people are warned.

Certain is a command that is made and never yielded: no correct program does so. Runs that exist already are never
refused anything; of them, too, people are warned.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from interp.definitions import WorkflowDefinition
from interp.errors import ForbiddenInWorkflow, ForgottenYield
from interp.linting import Finding, lint_workflow
from interp.runtime.guard import GuardMode, say

__all__ = ["vet", "warn"]

_log = logging.getLogger("interp")

_findings: WeakKeyDictionary[Callable[..., Any], list[Finding]] = WeakKeyDictionary()
_warned: WeakSet[Callable[..., Any]] = WeakSet()


def vet(definition: WorkflowDefinition, mode: GuardMode) -> None:
    """Vet a workflow that is to be started; each is read once in a process.

    Raises:
        ForgottenYield: A command is made and never yielded.
        ForbiddenInWorkflow: The mode is `error`, and something else was found.
    """
    findings = _read(definition)
    for finding in findings:
        if finding.certain:
            what, _, problem = finding.what.rpartition(" was ")
            where = f"{finding.file.replace(chr(92), '/').rpartition('/')[2]}:{finding.line}"
            raise ForgottenYield(what, where, problem)
    if findings and mode == "error":
        raise ForbiddenInWorkflow(definition.name, tuple(map(str, findings)))
    warn(definition, mode)


def warn(definition: WorkflowDefinition, mode: GuardMode) -> None:
    """Log what was found in a workflow, once in the life of the process."""
    if mode == "off" or definition.fn in _warned:
        return
    _warned.add(definition.fn)
    for finding in _read(definition):
        say(finding)


def _read(definition: WorkflowDefinition) -> list[Finding]:
    found = _findings.get(definition.fn)
    if found is None:
        try:
            found = lint_workflow(definition)
        except Exception:  # noqa: BLE001  source may be anything; what cannot be read must not keep a run from starting
            _log.warning("workflow %s could not be linted", definition.name, exc_info=True)
            found = []
        _findings[definition.fn] = found
    return found
