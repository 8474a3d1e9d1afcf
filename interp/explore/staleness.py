"""Whether the source that is at hand is the one that a run was recorded with."""

from __future__ import annotations

import hashlib
import inspect
import linecache
from collections.abc import Sequence

from interp.definitions import WorkflowDefinition
from interp.events import Started, Transition, WorkerLost

__all__ = ["Staleness", "recorded_code"]


def recorded_code(history: Sequence[Transition]) -> str:
    """Return the fingerprint of the workflow as the worker had it that wrote last; empty when that is unknown."""
    causes = (transition.cause for transition in reversed(history))
    codes = (cause.code for cause in causes if isinstance(cause, (Started, WorkerLost)))
    return next(filter(None, codes), "")


class Staleness:
    """Tells whether the source is what a run was recorded with."""

    def __init__(self, definition: WorkflowDefinition, history: Sequence[Transition]) -> None:
        """Look at the source as it is now.

        Args:
            definition: The workflow as it is here.
            history: The records of the run.
        """
        self._definition = definition
        self._edited = _on_disk(definition) not in ("", definition.code)
        self._recorded = [
            (transition.index, transition.cause.code)
            for transition in history
            if isinstance(transition.cause, (Started, WorkerLost)) and transition.cause.code
        ]

    def at(self, index: int) -> str:
        """Say what makes the source doubtful at a record; empty for nothing."""
        name, code = self._definition.name, self._definition.code
        since, recorded = next(((since, code) for since, code in reversed(self._recorded) if since <= index), (0, ""))
        if recorded and recorded != code:
            return (
                f"The source of {name} is not what record {since} was written with (fingerprint {code}, recorded "
                f"{recorded}): the history fits so far, but lines and variables may differ."
            )
        if self._edited:
            return f"The file of {name} was edited after it was imported: the lines shown may not be those that run."
        return ""


def _on_disk(definition: WorkflowDefinition) -> str:
    """Return the fingerprint of the source as it is in the file now, as `WorkflowDefinition.code` makes it."""
    try:
        linecache.checkcache(definition.fn.__code__.co_filename)
        source = inspect.getsource(definition.fn).encode()
    except (OSError, TypeError, IndexError, SyntaxError):
        return ""
    return hashlib.blake2b(source, digest_size=6).hexdigest()
