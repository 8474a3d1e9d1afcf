"""Signals that came before anybody awaited them: a story says where they were kept, and where they were taken.

The records do not tell: a signal that is awaited and one that is kept look the same. So the history is replayed, and
the run's mailbox looked at after every record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import attrs

from interp.definitions import WorkflowDefinition
from interp.errors import InterpError
from interp.events import Signalled, Started, Transition
from interp.interpreter import Interpreter
from interp.replay import follow, opened
from interp.testing.controlled import controlled
from interp.testing.story import Line, story

__all__ = ["story_with_mailbox"]

_RUN_ID = "run"

# Signals that wait, by name: the records with which they came; None for those of an earlier round.
_Waiting = dict[str, deque[int | None]]


def story_with_mailbox(definition: WorkflowDefinition, history: Sequence[Transition]) -> list[Line]:
    """Tell a history, with remarks on signals that had to wait.

    Args:
        definition: The workflow.
        history: The records of one round.
    """
    lines = story(history)
    if not _has_signals(history):
        return lines
    try:
        remarks = dict(_remarks(definition, history))
    except InterpError:  # it does not replay: the story is told without
        return lines
    index = 0
    for at, line in enumerate(lines):
        index = index if line.index is None else line.index
        mark = remarks.get((index, line.id)) if line.verb in ("signal", "yields") else None
        if mark is not None:
            lines[at] = attrs.evolve(line, mark=mark)
    return lines


def _has_signals(history: Sequence[Transition]) -> bool:
    started = history[0].cause
    return (isinstance(started, Started) and bool(started.mailbox)) or any(
        isinstance(transition.cause, Signalled) for transition in history
    )


def _remarks(definition: WorkflowDefinition, history: Sequence[Transition]) -> Iterator[tuple[tuple[int, str], str]]:
    """Give remarks by record and command; a signal has no command."""
    with controlled():
        interpreter = opened(definition, history[0], _RUN_ID)
        waiting: _Waiting = {name: deque([None] * len(kept)) for name, kept in interpreter.mailbox.items()}
        try:
            for transition in history:
                follow(interpreter, transition)
                if isinstance(transition.cause, Signalled):
                    waiting.setdefault(transition.cause.name, deque()).append(transition.index)
                yield from _taken(interpreter, transition, waiting)
                if isinstance(transition.cause, Signalled) and transition.index in waiting[transition.cause.name]:
                    yield (transition.index, ""), "kept: nobody awaits it yet"
        finally:
            interpreter.close()


def _taken(
    interpreter: Interpreter, transition: Transition, waiting: _Waiting
) -> Iterator[tuple[tuple[int, str], str]]:
    """Give the commands that took what was waiting, and forget that it was."""
    for name, came in waiting.items():
        asked = [command for command in transition.commands if command.kind == "await_signal"]
        takers = [command.id for command in asked if command.target == name]
        while len(came) > len(interpreter.mailbox.get(name, ())):
            index = came.popleft()
            if index != transition.index and takers:
                told = "the earlier round" if index is None else f"record {index}"
                yield (transition.index, takers.pop(0)), f"takes the one kept since {told}"
