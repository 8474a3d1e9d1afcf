"""A run and the code as it is now: what it would do today, given the answers that were recorded."""

from __future__ import annotations

import attrs

from interp.definitions import WorkflowDefinition
from interp.errors import UsageError
from interp.explore.continuing import Past, Suppositions, continued
from interp.explore.differing import Difference, difference_of
from interp.explore.divergence import Misfit, divergence_of, whole
from interp.explore.subject import Subject
from interp.outline.tree import tree_of
from interp.outline.words import one_line

__all__ = ["against_code"]


def against_code(run: Subject) -> Difference:
    """Compare a run with what the code as it is now would do.

    From where they part the code goes on by itself: its commands are answered from the history as far as that goes.

    Args:
        run: The run.

    Raises:
        UsageError: The workflow is not at hand, or the run has no records.
    """
    definition = run.code
    history = whole(run.history)
    if not isinstance(definition, WorkflowDefinition):
        raise UsageError(f"run {run.id!r} cannot be compared with its code: {definition}")
    if not history:
        raise UsageError(f"run {run.id!r} cannot be compared with its code: it has no records that can be read")
    titles = (f"{one_line(run.id)} as recorded", "the code as it is now")
    divergence = divergence_of(run)
    today = run
    if divergence is not None and divergence.misfit is Misfit.DIVERGES and divergence.index is not None:
        past = Past(run.id, history, tree_of(history))
        found = continued(definition, past, divergence.index - 1, Suppositions({}, {}, {}))
        today = run.imagined(found.history, found.state)
    return attrs.evolve(difference_of(run, today, titles=titles), divergence=divergence)
