"""Schedules: what happens to a run, one step after the other, as a value that can be pasted into a test.

replay_schedule(
    sell,
    (1,),
    [
        (Answers("1.0.1"), Returned(1)),
        (Answers("1.1.1"), Returned(1)),
    ],
)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import timedelta
from typing import Any, TypeAlias

import attrs

from interp.commands import Command
from interp.definitions import WorkflowDefinition, workflow_of
from interp.errors import UsageError
from interp.testing.controlled import controlled
from interp.testing.execution import Execution
from interp.testing.play import Answer, Answers, Asks, Cancels, ChildEnds, Fires, Option, Play, Signals, Stored

__all__ = ["Happening", "Passes", "Schedule", "begin", "perform", "replay_schedule"]

AnyWorkflow: TypeAlias = Callable[..., Generator[Command[Any], Any, Any]]


@attrs.frozen
class Passes:
    """Time passes, to the moment for which the next timer is set; it does not fire yet."""


Happening: TypeAlias = (
    Passes | Fires | Stored | Cancels | tuple[Answers | ChildEnds, Answer] | tuple[Signals | Asks, Any]
)
"""One step of a schedule."""


@attrs.frozen(repr=False)
class Schedule:
    """What happened to a run.

    Attributes:
        definition: The workflow.
        args: Its arguments.
        kwargs: Its named arguments.
        steps: What happened, in order.
    """

    definition: WorkflowDefinition
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    steps: tuple[Happening, ...]

    def replay(self) -> Execution:
        """Let it happen again."""
        return replay_schedule(self.definition.fn, self.args, self.steps, kwargs=self.kwargs)

    def __repr__(self) -> str:
        """Write it as code for a test."""
        lines = [f"    {self.definition.fn.__name__},", f"    {self.args!r},", "    ["]
        lines += [f"        {_written(step)}," for step in self.steps]
        lines.append("    ],")
        if self.kwargs:
            lines.append(f"    kwargs={self.kwargs!r},")
        return "\n".join(["replay_schedule(", *lines, ")"])


def _written(step: Happening | Option) -> str:
    match step:
        case (option, given):
            return f"({_written(option)}, {given!r})"
        case Answers() | ChildEnds() | Stored() | Fires():
            return f"{type(step).__name__}({step.id!r})"
        case Signals() | Asks():
            return f"{type(step).__name__}({step.name!r})"
        case _:
            return repr(step)


def replay_schedule(
    workflow: AnyWorkflow,
    args: tuple[Any, ...] = (),
    steps: Iterable[Happening] = (),
    *,
    kwargs: Mapping[str, Any] | None = None,
) -> Execution:
    """Let the same happen to a workflow again, in the same order; what `explore` found, as a test.

    Args:
        workflow: A function declared with `@workflow`.
        args: Its arguments.
        steps: What happens: what calls and children answer, signals and requests with payloads, timers, a cancellation.
        kwargs: Its named arguments.

    Returns:
        The execution; it is still open when the steps do not lead to its end.

    Raises:
        InvalidDefinition: The function is no workflow.
        UsageError: A step cannot happen at its place, for instance because the workflow was changed.
    """
    definition = workflow_of(workflow)
    kwargs = dict(kwargs or {})
    with controlled():
        play = begin(definition, args, kwargs)
        try:
            for number, step in enumerate(steps, start=1):
                _check(play, number, step)
                perform(play, step)
            return Execution(definition, args, kwargs, play.histories)
        finally:
            play.close()


def begin(definition: WorkflowDefinition, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Play:
    """Start a run in which time stands still until a timer fires, or `Passes` lets it pass."""
    return Play(definition, args, kwargs, tick=timedelta(0))


def perform(play: Play, step: Happening) -> None:
    """Let one step happen.

    Raises:
        NotEncodable: An answer or payload cannot be recorded as it is declared.
    """
    match step:
        case Passes():
            play.now = play.interpreter.next_due or play.now
        case (Signals() | Asks() as message, payload):
            play.take(message, payload=payload)
        case (option, answer):
            play.take(option, answer)
        case _:
            play.take(step)


def _check(play: Play, number: int, step: Happening) -> None:
    """Refuse a step that cannot happen now."""
    option = step[0] if isinstance(step, tuple) else step
    signals = {option.name: 1} if isinstance(option, Signals) else {}
    requests = {option.name: 1} if isinstance(option, Asks) else {}
    possible = play.options(signals, requests, cancel=True)
    if option in possible or (isinstance(option, Passes) and play.interpreter.next_due is not None):
        return
    told = f"step {number}, {_written(option)}, cannot happen to {play.definition.name} here: "
    if play.outcome is not None:
        raise UsageError(f"{told}the run has ended\n  Leave out the steps from here on, or explore the workflow again.")
    others = ", ".join(map(_written, possible))
    raise UsageError(f"{told}possible are {others}\n  If the workflow was changed, explore it again.")
