"""The run that a view is of, as the views see it: so that `Run` can offer them, and they need not import it."""

from __future__ import annotations

from typing import Protocol

from interp.definitions import WorkflowDefinition
from interp.events import Started, Transition
from interp.outline.tree import Tree
from interp.store import RunRow

__all__ = ["Subject"]


class Subject(Protocol):
    """What views read of a run: `interp.explore.Run`."""

    @property
    def id(self) -> str:
        """The run id."""
        ...

    @property
    def row(self) -> RunRow:
        """As the store lists it."""
        ...

    @property
    def history(self) -> tuple[Transition, ...]:
        """Its records that can be read, in order."""
        ...

    @property
    def store(self) -> str:
        """URL of the store."""
        ...

    @property
    def tree(self) -> Tree:
        """The history as a tree of commands."""
        ...

    @property
    def started(self) -> Started | None:
        """How it began."""
        ...

    @property
    def code(self) -> WorkflowDefinition | str:
        """The workflow as it is now, or why it is not at hand."""
        ...
