"""A run's history as a tree, read from the store and kept up to date while the run goes on."""

from __future__ import annotations

from collections.abc import Iterator

from interp.errors import PayloadLocked, UnknownRun
from interp.events import Transition
from interp.outline.tree import Tree, tree_of
from interp.runtime.live import decoded
from interp.sealing import is_sealed
from interp.store import Reader, RunRow

__all__ = ["Follower", "refuse_unsealed", "row_of", "tree_in"]


def row_of(store: Reader, run_id: str) -> RunRow:
    """Return the row of a run.

    Raises:
        UnknownRun: There is no such run.
    """
    row = store.run(run_id)
    if row is None:
        raise UnknownRun(run_id, store.url)
    return row


def refuse_unsealed(store: Reader, run_id: str, what: str) -> None:
    """Refuse to send something in plain to a run whose values go through a codec: it would lie there as it is.

    Args:
        store: The store, behind the codec that was given.
        run_id: The run.
        what: What is to be sent.

    Raises:
        UnknownRun: There is no such run.
        PayloadLocked: The codec is missing, or the key.
    """
    if is_sealed(row_of(store, run_id).digest):
        raise PayloadLocked(f"run {run_id!r}", f"its values went through a codec, and the {what} must, too")


def tree_in(store: Reader, run_id: str) -> Tree:
    """Read the history of a run."""
    return tree_of(decoded(run_id, store.history(run_id)))


class Follower:
    """Reads the records that are new since the last look."""

    def __init__(self, store: Reader, run_id: str) -> None:
        """Follow a run from its beginning."""
        self._store = store
        self._run_id = run_id
        self.row = row_of(store, run_id)
        self.tree = Tree()

    def look(self) -> RunRow:
        """Read on."""
        self.row = row_of(self._store, self._run_id)
        first = next(self._records(0), None)
        if first is None or first.cause != self.tree.started:  # it begins, or it has continued as new
            self.tree = Tree()
        for transition in self._records(self.tree.length):
            if transition.index != self.tree.length:  # it continued as new between two reads; the next look sees it
                break
            self.tree.add(transition)
        return self.row

    def _records(self, start: int) -> Iterator[Transition]:
        return decoded(self._run_id, self._store.history(self._run_id, start))
