"""What an exploration found: how the run can end, what does not hold, and how both look to a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, zip_longest
from typing import Any

import attrs

from interp.errors import UsageError
from interp.events import CancelRequested, Outcome, Record, Signalled
from interp.replay import describe
from interp.testing.execution import CallMade, Execution
from interp.testing.mailbox import story_with_mailbox
from interp.testing.play import Play
from interp.testing.schedules import Schedule
from interp.testing.story import render, story

__all__ = ["DoesNotHold", "Ending", "Explored", "Moment", "OrderMatters", "Violation"]


class DoesNotHold(AssertionError):
    """An invariant does not hold, or not everything could be explored."""


class OrderMatters(AssertionError):
    """The same results, in another order, end a workflow differently."""


class Moment:
    """A run at one moment of its life, as an invariant sees it: what has happened so far, but not in which order.

    The order is left out because one moment stands for all the ways that lead to it. What must come before what is
    still easily said, because an invariant is asked at every moment: "when `mail` is called, `pay` has returned".

    Attributes:
        args: The arguments of the workflow.
        kwargs: Its named arguments.
        state: What the workflow has annotated.
        is_stuck: Whether the run waits for what will never come.
    """

    def __init__(self, play: Play, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_stuck: bool) -> None:
        """Look at a run."""
        self.args = args
        self.kwargs = kwargs
        self.state: dict[str, Any] = dict(play.interpreter.state)
        self.is_stuck = is_stuck
        self._play = play
        self._seen: Execution | None = None

    @property
    def _execution(self) -> Execution:
        if self._seen is None:
            self._seen = Execution(self._play.definition, self.args, self.kwargs, self._play.histories)
        return self._seen

    def calls(self, activity: Callable[..., Any] | str | None = None) -> list[CallMade]:
        """List the calls that were made so far, in the order of their ids.

        Args:
            activity: Those of this activity only, given by its function or name.
        """
        return [
            attrs.evolve(made, index=0, answered=None)
            for history in self._execution.rounds
            for made in sorted(
                attrs.evolve(self._execution, rounds=(history,)).calls(activity), key=lambda made: _numbers(made.id)
            )
        ]

    def signals(self, name: str | None = None) -> list[tuple[str, Any]]:
        """List the signals that came so far, as (name, plain JSON value), sorted.

        Args:
            name: Those of this name only.
        """
        return sorted(self._execution.signals(name), key=repr)

    def requests(self, name: str | None = None) -> list[tuple[str, Any]]:
        """List the requests that came so far and were not refused, as (name, plain JSON value), sorted.

        Args:
            name: Those of this name only.
        """
        return sorted(self._execution.requests(name), key=repr)

    @property
    def outcome(self) -> Outcome | None:
        """How the run ended, if it did."""
        return self._play.outcome

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self._play.outcome is not None

    @property
    def completed(self) -> bool:
        """Whether the workflow returned."""
        return self._execution.completed

    @property
    def failed(self) -> bool:
        """Whether the workflow raised."""
        return self._execution.failed

    @property
    def cancelled(self) -> bool:
        """Whether the workflow was cancelled, and let it pass."""
        return self._execution.cancelled

    @property
    def result(self) -> Any:
        """What the workflow returned.

        Raises:
            UsageError: It did not return; the message tells what it did.
        """
        return self._execution.result


def _numbers(command_id: str) -> tuple[int, ...]:
    return tuple(map(int, command_id.split(".")))


@attrs.frozen(repr=False)
class Ending:
    """One way in which the run can end.

    Attributes:
        end: How it ends, to be compared with others.
        execution: The shortest life that ends so.
        schedule: What happened in it.
        is_stuck: Whether the run does not end, but waits for what will never come.
    """

    end: tuple[Any, ...]
    execution: Execution
    schedule: Schedule
    is_stuck: bool

    @property
    def words(self) -> str:
        """How it ends, in words."""
        return "waits for ever" if self.is_stuck else self.execution.ending

    def __repr__(self) -> str:
        return f"<Ending {self.words}, after {len(self.schedule.steps)} steps>"


@attrs.frozen(repr=False)
class Violation:
    """An invariant that does not hold.

    Attributes:
        invariant: Its name.
        message: What it said.
        execution: The shortest life in which it does not hold, up to there.
        schedule: What happened in it; its `repr` is a test.
    """

    invariant: str
    message: str
    execution: Execution
    schedule: Schedule

    @property
    def story(self) -> str:
        """What happened, line by line."""
        return _marked(self.execution, f"here {self.invariant} does not hold")

    def __repr__(self) -> str:
        return f"<Violation of {self.invariant}, after {len(self.schedule.steps)} steps>"


@attrs.frozen(repr=False)
class Explored:
    """What an exploration found.

    Attributes:
        title: The workflow.
        endings: How the run can end, each with the shortest life that ends so; the shortest first.
        violations: The invariants that do not hold, the one with the shortest life first.
        complete: Whether everything was explored; otherwise the bound was reached.
        states: How many states were met.
        steps: How many steps were taken between them.
        schedules: How many different lives the steps stand for.
        depth: When it is incomplete: lives of up to so many steps were all explored. None when it is complete.
        bound: How many steps were allowed.
        unread: States that could not be compared with others, so that they were explored again and again: how many,
            by what stood in the way.
        remembers: Whether endings also differ by what has happened.
    """

    title: str
    endings: tuple[Ending, ...]
    violations: tuple[Violation, ...]
    complete: bool
    states: int
    steps: int
    schedules: int
    depth: int | None
    bound: int
    unread: dict[str, int]
    remembers: bool = False

    @property
    def outcomes(self) -> tuple[str, ...]:
        """How the run can end, in words: `returned 3`, `failed with Declined: no funds`, `waits for ever` ..."""
        return tuple(dict.fromkeys(ending.words for ending in self.endings))

    @property
    def results(self) -> list[Any]:
        """The different values that the workflow can return."""
        found = {ending.end: ending.execution for ending in self.endings if ending.execution.completed}
        return [execution.result for execution in found.values()]

    @property
    def counterexample(self) -> Violation | None:
        """The shortest life in which an invariant does not hold; None when all hold as far as was explored."""
        return self.violations[0] if self.violations else None

    @property
    def summary(self) -> str:
        """What was explored, in one or a few lines."""
        many = "schedule" if self.schedules == 1 else "schedules"
        told = f"{self.states:,} states and {self.steps:,} steps, which stand for {self.schedules:,} {many}"
        if self.complete:
            told = f"everything: {told}"
        else:
            told = (
                f"not everything: {told} or more. All that takes up to {self.depth} steps was explored, until the "
                f"bound of {self.bound:,} steps was reached"
            )
        stood = "".join(
            f"\n  {count:,} states were compared with no other, because of {what} in them"
            for what, count in self.unread.items()
        )
        return f"explored {told}{stood}"

    def check(self) -> Explored:
        """Raise when something does not hold, or when not everything was explored; else return this.

        Raises:
            DoesNotHold: With the story of the shortest life in which an invariant does not hold, and with a test.
        """
        __tracebackhide__ = True
        violation = self.counterexample
        if violation is not None:
            raise DoesNotHold(self._told(violation))
        if not self.complete:
            raise DoesNotHold(f"{self.title}: nothing was found, but {self.summary}.\n{_CURE}")
        return self

    def check_confluent(self) -> Explored:
        """Raise when the same results in another order end the run differently; else return this.

        Raises:
            OrderMatters: With two such orders, side by side.
            UsageError: This exploration did not keep what had happened; call the function `check_confluent`.
        """
        __tracebackhide__ = True
        if not self.remembers:
            raise UsageError("this exploration does not know which results led to which end: use check_confluent(...)")
        for one, other in combinations(self.endings, 2):
            if one.end != other.end and _is_same_world(one.execution, other.execution):
                raise OrderMatters(self._side_by_side(one, other))
        if not self.complete:
            raise DoesNotHold(f"{self.title}: no order was found that matters, but {self.summary}.\n{_CURE}")
        return self

    def __repr__(self) -> str:
        """Say it on one line."""
        held = f", {len(self.violations)} violations" if self.violations else ""
        whole = "" if self.complete else ", incomplete"
        return f"<Explored {self.title}: {len(self.endings)} endings{held}, {self.schedules:,} schedules{whole}>"

    def __str__(self) -> str:
        """Tell what was explored, and how the run can end."""
        lines = [f"{self.title}: {self.summary}", *(f"  {ending!r}" for ending in self.endings)]
        lines += [f"  {violation!r}" for violation in self.violations]
        return "\n".join(lines)

    def _told(self, violation: Violation) -> str:
        said = f"\n{_indented(violation.message)}\n" if violation.message else "\n"
        schedule = _indented(repr(violation.schedule))
        return (
            f"{violation.invariant} does not hold in {self.title}{said}\n{violation.story}\n\n"
            f"This is the shortest way there; {self.summary}. As a test:\n\n{schedule}"
        )

    def _side_by_side(self, one: Ending, other: Ending) -> str:
        columns = _beside(list(_brief(one)), list(_brief(other)))
        schedules = f"{_indented(repr(one.schedule))}\n\n{_indented(repr(other.schedule))}"
        return (
            f"{one.execution.title}: the order of the same results changes the outcome\n\n{columns}\n\n"
            f"{self.summary[0].upper()}{self.summary[1:]}. As tests:\n\n{schedules}"
        )


_CURE = "  Give a larger bound=, fewer answers, or look at the result without check()."


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in text.splitlines())


def _marked(execution: Execution, mark: str) -> str:
    """Tell a life, with a remark at its end."""
    lines = [line for history in execution.rounds for line in story_with_mailbox(execution.definition, history)]
    lines[0] = attrs.evolve(lines[0], text=execution.title)
    lines[-1] = attrs.evolve(lines[-1], mark=f"{lines[-1].mark}; {mark}".removeprefix("; "))
    return render(lines)


# Orders side by side.


def _is_same_world(one: Execution, other: Execution) -> bool:
    """Whether nothing was answered differently in two lives; each may have seen what the other did not."""
    ours, theirs = _answers(one), _answers(other)
    return all(theirs.get(key, answer) == answer for key, answer in ours.items())


def _answers(execution: Execution) -> dict[Any, Any]:
    """Return what the world answered, by what was asked."""
    found: dict[Any, Any] = {}
    for number, history in enumerate(execution.rounds):
        came: dict[str, int] = {}
        issued = {record.id: record for transition in history for record in transition.commands}
        for transition in history:
            match transition.cause:
                case Signalled(name, payload):
                    came[name] = came.get(name, 0) + 1
                    found[name, came[name]] = payload
                case CancelRequested():
                    found["cancelled"] = True
                case cause:
                    command_id = getattr(cause, "id", None)
                    if command_id is not None:
                        record: Record = issued[command_id]
                        found[number, command_id, record.kind, record.target, record.payload] = cause
    return found


def _brief(ending: Ending) -> Iterator[str]:
    """Tell what came, and how it ended."""
    for history in ending.execution.rounds:
        issued = {record.id: record for transition in history for record in transition.commands}
        for line in story(history):
            record = issued.get(line.id)
            if line.verb == "gets" and record is not None:
                asked = describe(record).removeprefix("call ").removeprefix("child ")
                yield f"{asked}{line.text.removeprefix(record.target)}"
            elif line.verb not in ("starts", "yields"):
                yield f"{line.verb} {line.text}"
    if ending.is_stuck:
        yield "waits for ever"


_WIDTH = 48


def _beside(one: list[str], other: list[str]) -> str:
    rows = [(_cut(left), _cut(right)) for left, right in zip_longest(one, other, fillvalue="")]
    width = max(len(left) for left, _ in [("in this order", ""), *rows])
    parting = next((number for number, (left, right) in enumerate(rows) if left != right), None)
    told = [f"    {'in this order':<{width}}   in this order"]
    for number, (left, right) in enumerate(rows):
        mark = "   <-- they part here" if number == parting else ""
        told.append(f"    {left:<{width}}   {right}{mark}".rstrip())
    return "\n".join(told)


def _cut(text: str) -> str:
    return text if len(text) <= _WIDTH else text[: _WIDTH - 3] + "..."
