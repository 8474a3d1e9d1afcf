"""Sagas: register how to undo what was done, as it is done; when the rest fails or is cancelled, all is undone.

Pure, and built on the commands alone: nothing here that a workflow could not write itself. It is a function that runs
another one, and not a context manager, because the `__exit__` of a `with` block cannot yield.
"""

from __future__ import annotations

from collections.abc import Callable
from types import GeneratorType
from typing import Any, Concatenate, ParamSpec, TypeVar

from interp.branching import parts_of, shield
from interp.commands import Command, Part, Workflow
from interp.errors import Cancelled, UndoFailed
from interp.frames import label, message

__all__ = ["Saga"]

P = ParamSpec("P")
T = TypeVar("T")


class Saga:
    """What to do to undo what was done so far."""

    def __init__(self) -> None:
        """Begin with nothing to undo."""
        self._steps: list[Part[Any]] = []

    @staticmethod
    def run(body: Callable[Concatenate[Saga, P], Workflow[T]], /, *args: P.args, **kwargs: P.kwargs) -> Workflow[T]:
        """Run a generator function; if it fails or is cancelled, undo what it registered, the last first.

        The undo steps are commands like any other, recorded one by one: after a crash the next one goes on. They are
        shielded: a cancellation that comes meanwhile is delivered when all are done. One that fails does not keep the
        others from being carried out. Dropping a run from memory undoes nothing.

        Args:
            body: Called with a fresh saga, then with the arguments.
            *args: Its arguments.
            **kwargs: Likewise.

        Returns:
            A generator, to be run by `yield from` or as a part; its value is that of the body.

        Raises:
            UndoFailed: An undo step failed; its cause is what the body raised.
            Exception: What the body raised, once all is undone.
        """
        saga = Saga()
        try:
            return (yield from body(saga, *args, **kwargs))
        except (Exception, Cancelled) as error:  # not GeneratorExit, by which a run is dropped
            if saga._steps:
                yield from shield(saga._unwind(error))
            raise

    def undo(self, part: Part[Any], /) -> None:
        """Register a step; nothing runs unless the saga fails or is cancelled.

        Args:
            part: A command, or a generator that has not begun.
        """
        self._steps += parts_of("undo", (part,))

    def _unwind(self, error: BaseException) -> Workflow[None]:
        failures: list[tuple[str, Exception]] = []
        count = len(self._steps)
        while self._steps:
            step = self._steps.pop()
            told = _told(step)
            try:
                yield from step
            except Exception as failed:  # noqa: BLE001  whatever it is, the other steps are to be carried out
                failures.append((told, failed))
        if failures:
            reason = f"{type(error).__name__}: {message(error)}".removesuffix(": ")
            raise UndoFailed(reason, count, tuple(failures)) from error


def _told(step: Part[Any]) -> str:
    """Name a step; before it runs, while a generator still has its arguments."""
    if isinstance(step, Command):
        return step.sketch()
    return label(step) if isinstance(step, GeneratorType) else "a generator"
