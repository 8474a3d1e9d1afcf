"""What an exhibit of the zoo is, and how each tool of the kit hunts a bug."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

import attrs
import hypothesis.core
from hypothesis import HealthCheck, Phase, given, settings

from interp.definitions import workflow_of
from interp.errors import NondeterminismError
from interp.events import Transition
from interp.histories import ExportedHistory, dump_history, load_history
from interp.replay import replay
from interp.testing import (
    Execution,
    Moment,
    NotDeterministic,
    check_confluent,
    check_determinism,
    executions,
    explore,
    guarded,
    lint,
    replay_schedule,
)
from interp.testing import Finding as LintFinding

__all__ = [
    "Bug",
    "Correct",
    "Explores",
    "Finding",
    "Golden",
    "Holds",
    "Hunt",
    "Lints",
    "Orders",
    "Replays",
    "Watches",
]

AnyWorkflow = Callable[..., Generator[Any, Any, Any]]

settings.register_profile(
    "zoo",  # measured: every hunt starts from nothing but its seed
    database=None,
    deadline=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)


@attrs.frozen
class Finding:
    """A bug that was found.

    Attributes:
        text: What the tool says.
        size: Records of the counterexample; lines of source for lint.
        examples: Lives that were looked at until then; None where a tool needs no luck.
        searched: What was done instead of drawing lives.
    """

    text: str
    size: int
    examples: int | None = None
    searched: str = ""


class Hunt(Protocol):
    """One way to find a bug."""

    @property
    def tool(self) -> str:
        """The tool, as the table names it."""
        ...

    def find(self, flow: AnyWorkflow, seed: int, most: int) -> Finding | None:
        """Look for the bug.

        Args:
            flow: The workflow.
            seed: Where random draws start.
            most: How many lives are looked at.
        """
        ...


@contextmanager
def _starting_at(start: int) -> Generator[None]:
    """Have Hypothesis draw from a seed, as `pytest --hypothesis-seed` does, and keep nothing."""
    before = settings.get_current_profile_name()
    settings.load_profile("zoo")
    forced: Any = vars(hypothesis.core)
    forced["global_force_seed"] = start
    try:
        yield
    finally:
        forced["global_force_seed"] = None
        settings.load_profile(before)


@attrs.frozen
class Replays:
    """`check_determinism` finds it, and names the cause."""

    cause: str
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    tool: str = "check_determinism"

    def find(self, flow: AnyWorkflow, seed: int, most: int) -> Finding | None:
        try:
            with _starting_at(seed):
                check_determinism(flow, max_examples=most, **self.options)
        except NotDeterministic as error:
            found = error
        else:
            return None
        assert self.cause in found.cause, found
        return Finding(str(found), len(found.execution.history), examples=found.examples)


@attrs.frozen
class Holds:
    """A property over `executions` finds it."""

    prop: Callable[[Execution], object]
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    tool: str = "executions"

    def find(self, flow: AnyWorkflow, seed: int, most: int) -> Finding | None:
        failed: list[Execution] = []
        lives = 0

        def prop(execution: Execution) -> None:
            nonlocal lives
            lives += not failed
            try:
                self.prop(execution)
            except AssertionError:
                failed.append(execution)
                raise

        with _starting_at(seed):
            search = settings(max_examples=most)
            try:
                search(given(executions(flow, **self.options))(prop))()
            except AssertionError as error:
                return Finding(_told(self.prop, error, failed[-1]), len(failed[-1].history), examples=lives)
        return None


def _told(prop: Callable[..., object], error: AssertionError, life: Execution) -> str:
    """Tell a failing property as pytest does, without the lines of the traceback."""
    said = str(error).split("\nassert ")[0].strip()
    return f"{prop.__name__} does not hold{f': {said}' if said else ''}\n\n{life.story}"


@attrs.frozen
class Explores:
    """`explore` finds it, going through every order."""

    invariant: Callable[[Moment], object]
    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    tool: str = "explore"

    def find(self, flow: AnyWorkflow, seed: int, most: int) -> Finding | None:
        explored = explore(flow, *self.args, invariant=self.invariant, **self.options)
        violation = explored.counterexample
        if violation is None:
            return None
        size = len(violation.execution.history)
        return Finding(_raised(explored.check), size, searched=f"every order, {explored.steps} steps")


def _raised(check: Callable[[], object]) -> str:
    """Return what a failing check says."""
    try:
        check()
    except AssertionError as error:
        return str(error)
    return ""


@attrs.frozen
class Orders:
    """`check_confluent` finds it: the same results in another order end otherwise."""

    args: tuple[Any, ...] = ()
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    tool: str = "check_confluent"

    def find(self, flow: AnyWorkflow, seed: int, most: int) -> Finding | None:
        told = _raised(lambda: check_confluent(flow, *self.args, **self.options))
        if not told:
            return None
        schedule = told.partition("replay_schedule(")[2].partition("],")[0].partition("[\n")[2]
        steps = re.search(r"([\d,]+) steps", told)
        assert steps is not None, told
        return Finding(told, len(schedule.strip().splitlines()) + 1, searched=f"every order, {steps[1]} steps")


@attrs.frozen
class Lints:
    """`lint` finds it by reading."""

    code: str
    tool: str = "lint"

    def find(self, flow: AnyWorkflow, seed: int, most: int) -> Finding | None:
        found = [finding for finding in lint(flow) if finding.code == self.code]
        told = "\n".join(map(_without_folder, found))
        return Finding(told, len(found), searched="reads the source") if found else None


@attrs.frozen
class Watches:
    """`guarded` sees it while lives are lived."""

    code: str
    tool: str = "guarded"

    def find(self, flow: AnyWorkflow, seed: int, most: int) -> Finding | None:
        def watched(execution: Execution) -> None:
            assert all(finding.code != self.code for finding in seen)

        with guarded() as seen, _starting_at(seed):
            search = settings(max_examples=most, phases=[Phase.generate])
            try:
                search(given(executions(flow))(watched))()
            except AssertionError:
                found = [finding for finding in seen if finding.code == self.code]
                return Finding("\n".join(map(_without_folder, found)), len(found), searched="watches a life")
        return None


def _without_folder(finding: LintFinding) -> str:
    return str(attrs.evolve(finding, file=finding.file.rpartition("/")[2]))


@attrs.frozen
class Golden:
    """A history of the code as it was finds it.

    Attributes:
        old: The code as it was.
        args: Its arguments.
        steps: What happened to the run that was recorded.
    """

    old: AnyWorkflow
    args: tuple[Any, ...]
    steps: tuple[Any, ...]
    tool: str = "golden history"

    @property
    def history(self) -> tuple[Transition, ...]:
        """The history, from its text as it would be committed."""
        life = replay_schedule(self.old, self.args, self.steps)
        text = dump_history(ExportedHistory("order-7", life.definition.name, life.history))
        return load_history(text, "order-7.history.jsonl").history

    def find(self, flow: AnyWorkflow, seed: int, most: int) -> Finding | None:
        history = self.history
        try:
            replay(workflow_of(flow), history, run_id="order-7").interpreter.close()
        except NondeterminismError as found:
            return Finding(str(found), len(history), searched="replays one history")
        return None


@attrs.frozen
class Bug:
    """A workflow with a bug.

    Attributes:
        flow: The workflow; its docstring says what is wrong, and what happens in production.
        hunts: How it is found.
    """

    flow: AnyWorkflow
    hunts: tuple[Hunt, ...]

    @classmethod
    def of(cls, flow: AnyWorkflow, *hunts: Hunt) -> Bug:
        """Pair a workflow with the ways to find its bug."""
        return cls(flow, hunts)

    @property
    def name(self) -> str:
        """Its name."""
        return flow_name(self.flow)

    @property
    def title(self) -> str:
        """What is wrong, in a line."""
        return title(self.flow)


@attrs.frozen
class Correct:
    """A correct workflow that looks suspicious.

    Attributes:
        flow: The workflow; its docstring says why it is fine.
        holds: What is true of every life.
        options: What comes, as for `executions`.
        explored: Arguments with which it is explored, too; None where that is endless.
        stubs: What calls answer when it is explored.
        signals: What signals carry when it is explored.
    """

    flow: AnyWorkflow
    holds: Callable[[Execution], object] | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    explored: tuple[Any, ...] | None = None
    stubs: Mapping[Any, Any] = attrs.field(factory=dict[Any, Any])
    signals: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def name(self) -> str:
        """Its name."""
        return flow_name(self.flow)

    @property
    def title(self) -> str:
        """Why it is fine, in a line."""
        return title(self.flow)


def flow_name(flow: AnyWorkflow) -> str:
    """Return the name of a workflow."""
    return workflow_of(flow).name


def title(flow: AnyWorkflow) -> str:
    """Return the first line of a workflow's docstring."""
    assert flow.__doc__, f"{flow!r} does not say what is wrong"
    return flow.__doc__.strip().splitlines()[0].rstrip(".")
