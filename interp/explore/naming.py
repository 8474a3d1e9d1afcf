"""What the fibers of a run are called: their function and its first argument, as the code knows and no record does."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from interp.definitions import WorkflowDefinition
from interp.events import Transition
from interp.frames import label
from interp.interpreter import Interpreter
from interp.outline.words import elide, one_line
from interp.replay import follow, opened

__all__ = ["fiber_names"]

# A name is a heading.
_WIDTH = 60


def fiber_names(
    definition: WorkflowDefinition, history: Sequence[Transition], run_id: str, wanted: Collection[str]
) -> dict[str, str]:
    """Name fibers by a replay, as far as that gets: code that is gone, changed or broken names none.

    Args:
        definition: The workflow as it is now.
        history: The records.
        run_id: The run.
        wanted: The ids of the fibers.

    Returns:
        Name by id; those that nothing is known of are missing.
    """
    names: dict[str, str] = {}
    left = set(wanted) - {""}
    interpreter: Interpreter | None = None
    try:
        for transition in history:
            if not left:
                break
            if interpreter is None:
                interpreter = opened(definition, transition, run_id)
            follow(interpreter, transition)
            for fiber_id in {record.id.rpartition(".")[0] for record in transition.commands} & left:
                fiber = interpreter.fibers.get(fiber_id)
                if fiber is not None:
                    left.discard(fiber_id)
                    names[fiber_id] = elide(one_line(fiber.name or label(fiber.generator)), _WIDTH)
    except Exception:  # noqa: BLE001  the code is the user's, of another day: names are a help and no more
        return names
    finally:
        if interpreter is not None:
            interpreter.close()
    return {fiber: name for fiber, name in names.items() if name}
