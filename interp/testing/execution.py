"""`Execution`: one life of a workflow that a test let happen, as a value to be asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

import attrs
import msgspec

from interp.codec import render_value
from interp.definitions import WorkflowDefinition, activity_of
from interp.errors import UsageError
from interp.events import (
    Asked,
    Completed,
    Failed,
    Failure,
    Outcome,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
    WasCancelled,
    encode_transition,
)
from interp.testing.mailbox import story_with_mailbox
from interp.testing.story import failure_text, render

__all__ = ["CallMade", "Execution"]


class _Printer(Protocol):
    """What `_repr_pretty_` is given, by IPython and by Hypothesis."""

    def text(self, text: str) -> None: ...


@attrs.frozen
class CallMade:
    """One call, or transact, that an execution made.

    Attributes:
        id: The command id.
        activity: The activity's name.
        args: Its arguments, as plain JSON values in the order of the parameters.
        status: `returned`, `raised`, or `open`: not answered when the execution ended, or cancelled.
        value: What it returned, as a plain JSON value; None unless it returned.
        failure: What it raised, as recorded; None unless it raised.
        index: The record whose transition made it.
        answered: The record that answered it; None while open.
        where: `file:line` of the yield.
    """

    id: str
    activity: str
    args: tuple[Any, ...]
    status: Literal["returned", "raised", "open"]
    value: Any = None
    failure: Failure | None = None
    index: int = 0
    answered: int | None = None
    where: str = ""


@attrs.frozen(eq=False, repr=False)
class Execution:
    """One life of a workflow, from its start to its end, or to where the test left it.

    Attributes:
        definition: The workflow.
        args: Its arguments, as they were given.
        kwargs: Its named arguments.
        rounds: The history of each round; a workflow that never continues as new has one.
    """

    definition: WorkflowDefinition
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    rounds: tuple[tuple[Transition, ...], ...]

    # How it ended.

    @property
    def history(self) -> tuple[Transition, ...]:
        """The records of all rounds, one after the other."""
        return tuple(transition for transitions in self.rounds for transition in transitions)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None where the test left it before."""
        return self.rounds[-1][-1].outcome

    @property
    def completed(self) -> bool:
        """Whether the workflow returned."""
        return isinstance(self.outcome, Completed)

    @property
    def failed(self) -> bool:
        """Whether the workflow raised."""
        return isinstance(self.outcome, Failed)

    @property
    def cancelled(self) -> bool:
        """Whether the workflow was cancelled, and let it pass."""
        return isinstance(self.outcome, WasCancelled)

    @property
    def open(self) -> bool:
        """Whether the test left it before it ended."""
        return self.outcome is None

    @property
    def result(self) -> Any:
        """What the workflow returned.

        Raises:
            UsageError: It did not return; the message tells what it did.
        """
        if not isinstance(self.outcome, Completed):
            raise UsageError(f"the execution has no result: it {self.ending}")
        return self.definition.arguments.result.decode(self.outcome.payload)

    @property
    def failure(self) -> Failure | None:
        """What the workflow raised, as recorded; None unless it failed."""
        return self.outcome.failure if isinstance(self.outcome, Failed) else None

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        match self.outcome:
            case Completed():
                return f"returned {render_value(self.outcome.payload)}"
            case Failed():
                return f"failed with {failure_text(self.outcome.failure)}"
            case WasCancelled():
                return "was cancelled"
            case None:
                return "is still open"
            case _:
                return "continued as new, again and again"

    # What happened.

    def calls(self, activity: Callable[..., Any] | str | None = None) -> list[CallMade]:
        """List the calls that were made, in order.

        Args:
            activity: Those of this activity only, given by its function or name.
        """
        name = activity if activity is None or isinstance(activity, str) else activity_of(activity).name
        made = [call for transitions in self.rounds for call in _calls(transitions)]
        return [call for call in made if name in (None, call.activity)]

    def requests(self, name: str | None = None) -> list[tuple[str, Any]]:
        """List the requests that came in and were not refused, as (name, plain JSON value).

        Args:
            name: Those of this name only.
        """
        found = [transition.cause for transition in self.history if isinstance(transition.cause, Asked)]
        return [
            (cause.name, msgspec.json.decode(cause.payload)) for cause in found if name is None or name == cause.name
        ]

    def signals(self, name: str | None = None) -> list[tuple[str, Any]]:
        """List the signals that came in, as (name, plain JSON value).

        Args:
            name: Those of this name only.
        """
        found = [transition.cause for transition in self.history if isinstance(transition.cause, Signalled)]
        return [
            (cause.name, msgspec.json.decode(cause.payload)) for cause in found if name is None or name == cause.name
        ]

    # How it looks.

    @property
    def journals(self) -> tuple[tuple[bytes, ...], ...]:
        """The records of each round, as a journal holds them."""
        return tuple(tuple(map(encode_transition, transitions)) for transitions in self.rounds)

    @property
    def title(self) -> str:
        """The workflow and its arguments, on one line."""
        started = self.rounds[0][0].cause
        assert isinstance(started, Started)
        return f"{self.definition.name}({self.definition.arguments.render(started.args)})"

    @property
    def story(self) -> str:
        """What happened, line by line."""
        first, *others = [story_with_mailbox(self.definition, transitions) for transitions in self.rounds]
        first[0] = attrs.evolve(first[0], text=self.title)
        told = "\n".join(map(render, [first, *others]))
        return told if self.outcome is not None else f"{told}\n      (still open)"

    def __repr__(self) -> str:
        """Say it on one line; `print(execution.story)` tells everything."""
        return f"<Execution {self.title}: {len(self.history)} records, {self.ending}>"

    def _repr_pretty_(self, printer: _Printer, cycle: bool) -> None:
        printer.text(repr(self) if cycle else f"\n{self.story}")


def _calls(history: tuple[Transition, ...]) -> Iterator[CallMade]:
    """Give the calls of one round, in the order in which they were yielded."""
    answers = {
        transition.cause.id: (transition.index, transition.cause)
        for transition in history
        if isinstance(transition.cause, (Resolved, Rejected))
    }
    for transition in history:
        for record in transition.commands:
            if record.kind in ("call", "transact"):
                args = tuple(msgspec.json.decode(record.payload))
                made = CallMade(record.id, record.target, args, "open", index=transition.index, where=record.where)
                yield _answered(made, *answers.get(record.id, (None, None)))


def _answered(made: CallMade, index: int | None, answer: Resolved | Rejected | None) -> CallMade:
    match answer:
        case Resolved():
            return attrs.evolve(made, status="returned", value=msgspec.json.decode(answer.payload), answered=index)
        case Rejected():
            return attrs.evolve(made, status="raised", failure=answer.failure, answered=index)
        case None:
            return made
