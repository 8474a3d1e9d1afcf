"""The run that a view is of, as the views see it: so that `Run` can offer them, and they need not import it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import attrs

from interp.definitions import WorkflowDefinition
from interp.events import Started, Transition
from interp.outline.tree import Tree
from interp.store import Message, Reader, RunRow

__all__ = ["Damage", "Stored", "Subject"]


@attrs.frozen
class Damage:
    """A record that cannot be read, or not as it is.

    Attributes:
        index: Its position in the history, from 0.
        why: What is wrong with it.
        size: How many bytes it has; 0 when there is none.
    """

    index: int
    why: str
    size: int


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
    def fiber_names(self) -> Mapping[str, str]:
        """What its fibers are called, by id; the root has no name."""
        ...

    @property
    def started(self) -> Started | None:
        """How it began."""
        ...

    @property
    def code(self) -> WorkflowDefinition | str:
        """The workflow as it is now, or why the history cannot be replayed."""
        ...

    @property
    def definition(self) -> WorkflowDefinition | str:
        """The workflow as it is now, or why it is not at hand."""
        ...

    def imagined(self, history: Sequence[Transition], state: Mapping[str, Any]) -> Self:
        """Return this run with another history, one that no store holds."""
        ...


class Stored(Subject, Protocol):
    """The same with what is around its history in the store."""

    @property
    def damage(self) -> tuple[Damage, ...]:
        """The records that cannot be read."""
        ...

    @property
    def messages(self) -> tuple[Message, ...]:
        """What waits in its inbox."""
        ...

    @property
    def reader(self) -> Reader | None:
        """The store that it was read from; None for a history by itself."""
        ...
