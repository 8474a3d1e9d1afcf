"""Single lines of the source that records point at, where they are at hand and those of the code that was recorded."""

from __future__ import annotations

import linecache
from collections.abc import Sequence

from interp.definitions import WorkflowDefinition
from interp.events import Started, Transition, WorkerLost
from interp.explore.excerpts import full_name, place_of
from interp.explore.subject import Subject
from interp.outline.words import clean

__all__ = ["Source"]


class Source:
    """The source of a run's workflow, and of what it delegates to."""

    def __init__(self, run: Subject) -> None:
        """Find out whether it is at hand, and what was recorded."""
        definition = run.code
        self._own = ""
        if isinstance(definition, WorkflowDefinition) and _recorded_code(run.history) == definition.code:
            self._own = definition.fn.__code__.co_filename
        self._files: dict[str, str] = {}

    def line(self, where: str) -> str:
        """Return the line that a record points at, cleaned and without its indentation.

        Args:
            where: `file:line`, as recorded. The name of the file has no directory: it is found among the modules that
                are imported, and is not quoted where two have the same.

        Returns:
            The line; empty where it is not at hand, or the workflow has changed since: another line would stand there.
        """
        place = place_of(where)
        if place is None or not self._own:
            return ""
        name, number = place
        if name not in self._files:
            self._files[name] = full_name(name, [self._own])
        return clean(linecache.getline(self._files[name], number).strip()) if self._files[name] else ""


def _recorded_code(history: Sequence[Transition]) -> str:
    """Return the fingerprint of the workflow as the worker had it that wrote last; empty when that is unknown."""
    causes = (transition.cause for transition in reversed(history))
    codes = (cause.code for cause in causes if isinstance(cause, (Started, WorkerLost)))
    return next(filter(None, codes), "")
