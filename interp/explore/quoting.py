"""Lines of the source that records point at, where it is at hand and is the code that was recorded."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Sequence

from interp.definitions import WorkflowDefinition
from interp.events import Started, Transition, WorkerLost
from interp.explore.subject import Subject
from interp.outline.words import clean

__all__ = ["Source"]


class Source:
    """The source of a run's workflow, and of what it delegates to."""

    def __init__(self, run: Subject) -> None:
        """Find out whether it is at hand, and what was recorded."""
        definition = run.code
        is_known = isinstance(definition, WorkflowDefinition) and _recorded_code(run.history) == definition.code
        self._own = definition.fn.__code__.co_filename if is_known else ""
        self._files: dict[str, str] = {_short(self._own): self._own} if is_known else {}

    def line(self, where: str) -> str:
        """Return the line that a record points at, cleaned and without its indentation.

        Args:
            where: `file:line`, as recorded. The name of the file has no directory: it is found among the modules that
                are imported, and is not quoted where two have the same.

        Returns:
            The line; empty where it is not at hand, or the workflow has changed since: another line would stand there.
        """
        name, _, number = where.rpartition(":")
        if not self._own or not name or not number.isascii() or not number.isdigit():
            return ""
        if name not in self._files:
            self._files[name] = _file(name)
        file = self._files[name]
        return clean(linecache.getline(file, int(number)).strip()) if file else ""


def _recorded_code(history: Sequence[Transition]) -> str:
    """Return the fingerprint of the workflow as the worker had it that wrote last; empty when that is unknown."""
    causes = (transition.cause for transition in reversed(history))
    codes = (cause.code for cause in causes if isinstance(cause, (Started, WorkerLost)))
    return next(filter(None, codes), "")


def _file(name: str) -> str:
    """Find a source file of a module that is imported by the last part of its name; empty where there are two."""
    files = {file for module in list(sys.modules.values()) if (file := _file_of(module)) and _short(file) == name}
    return files.pop() if len(files) == 1 else ""


def _file_of(module: object) -> str:
    file = getattr(module, "__dict__", {}).get("__file__")  # some modules make what is asked of them
    return file if isinstance(file, str) else ""


def _short(filename: str) -> str:
    return filename.replace("\\", "/").rpartition("/")[2]
