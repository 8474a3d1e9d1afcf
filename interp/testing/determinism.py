"""`check_determinism`: does a workflow, fed with its own history, do the same again?

Four nets, on every example that Hypothesis draws:

1. the history is replayed at other times, while time passes, with other random numbers and another environment;
2. what the workflow can reach outside of itself is watched: it must not change;
3. two other processes with other hash seeds replay it, for the order of sets;
4. every value passes the codec, as in a journal.

A failure is the shortest life found, told as a story, with the first thing that the replay does differently, and with
what the difference hangs on: each ingredient of the changed world is tried alone.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import attrs
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky

from interp.definitions import workflow_of
from interp.errors import NondeterminismError, ReplayError, UsageError
from interp.events import Transition
from interp.linting import lint
from interp.testing.controlled import SHIFTS, Shift, controlled
from interp.testing.execution import Execution
from interp.testing.outside import Change, Outside
from interp.testing.paths import Paths
from interp.testing.replaying import replay_round
from interp.testing.story import marked, render, story
from interp.testing.strategies import AnyWorkflow, executions
from interp.testing.stubs import Stubs
from interp.testing.twin_protocol import Address, Difference
from interp.testing.twins import Twins, address_of

__all__ = ["NotDeterministic", "check_determinism", "check_replay"]

_RUN_ID = "run"

# Causes that are told in other words than the cures are listed by.
_TWIN = "the order of a set"
_NEW = "something that is new in every replay: the identity of an object, or what moves on with each use"
_LEFT = "what an earlier run has left behind, for instance in a cache"

_PLACE = "the order of a set, or something else that hangs on hash(): it differs from process to process"

_OWN = "Keep it in local variables; what outlives a run belongs into an activity."

_CURES = {
    "the clock": "Ask the workflow's own clock: `yield from now()`.",
    "random numbers": "Draw from the run: `yield from random()`, `yield from uuid()`.",
    "the environment": "Read it in an activity, or pass it as an argument.",
    "the order of a set": "Put it in order before going through it: `for name in sorted(names)`.",
    "state": _OWN,
    _LEFT: _OWN,
    _NEW: "Keep counters out of it; and what is printed or compared needs a `__repr__` of its own, not an address.",
}

# What the lint calls it when it sees the cause in the source.
_CODES = {
    "the clock": ("clock",),
    "random numbers": ("random", "uuid"),
    "the environment": ("environment",),
    "the order of a set": ("set-order", "identity"),
    "state": ("global-state", "mutable-default"),
    _NEW: ("identity", "random", "global-state"),
    _LEFT: ("global-state", "mutable-default"),
}


class NotDeterministic(AssertionError):
    """A workflow does something else when it is fed with its own history; the message tells the story.

    Attributes:
        cause: What it depends on, in words.
        execution: The life that shows it.
        examples: How many lives `check_determinism` had looked at when it met the first that does not replay.
    """

    __interp_story__ = True  # the pytest plugin shows the message alone

    def __init__(self, text: str, cause: str, execution: Execution, examples: int = 1) -> None:
        """Take the story.

        Args:
            text: The story.
            cause: What it depends on, in words.
            execution: The life that shows it.
            examples: How many lives were looked at until then.
        """
        super().__init__(text)
        self.cause = cause
        self.execution = execution
        self.examples = examples


def check_determinism(
    workflow: AnyWorkflow,
    args: st.SearchStrategy[tuple[Any, ...]] | Iterable[Any] | None = None,
    *,
    activities: Stubs | None = None,
    signals: Mapping[str, Any] | None = None,
    requests: Mapping[str, Any] | None = None,
    faults: bool = True,
    cancellations: bool = True,
    max_events: int = 60,
    max_examples: int | None = None,
    twins: bool | None = None,
) -> Paths:
    """Look for a life of a workflow that does not replay; raise with the shortest one found.

        def test_checkout_is_deterministic():
            check_determinism(checkout)

    Args:
        workflow: A function declared with `@workflow`.
        args: As for `executions`.
        activities: As for `executions`.
        signals: As for `executions`.
        requests: As for `executions`.
        faults: As for `executions`, but on.
        cancellations: As for `executions`, but on.
        max_events: As for `executions`.
        max_examples: How many lives are looked at; what Hypothesis' profile says by default.
        twins: Whether two processes with other hash seeds replay each life, too. They import the module of the
            workflow; by default they are used where they can: not for what is defined inside of a function, in a
            notebook or at a prompt.

    Returns:
        The ways through the workflow that the lives took: `print` it to see what they did not reach.

    Raises:
        NotDeterministic: A life was found that does not replay.
        UsageError: A value is to be drawn, and no annotation says of what; or twins are wanted where they cannot be.
        TwinTrouble: Another process could not import the workflow.
    """
    __tracebackhide__ = True
    definition = workflow_of(workflow)
    outside = Outside(definition.fn)
    address = None if twins is False else _address(workflow, needed=twins is True)
    lives = executions(
        workflow,
        args,
        activities=activities,
        signals=signals,
        requests=requests,
        faults=faults,
        cancellations=cancellations,
        max_events=max_events,
    )

    @st.composite
    def afresh(draw: st.DrawFn) -> Execution:
        outside.restore()
        return draw(lives)

    paths = Paths(workflow)
    failed: list[NotDeterministic] = []
    first = 0

    def example(execution: Execution) -> None:
        nonlocal first
        paths.add(execution)
        try:
            _check(execution, outside, address)
        except NotDeterministic as found:
            first = first or paths.executions
            failed.append(found)
            raise

    # Failing examples are kept by the source of the test function; this one is the same for every workflow.
    vars(example)["_hypothesis_internal_add_digest"] = f"{definition.fn.__module__}.{definition.name}".encode()
    try:
        _search(max_examples)(given(afresh())(example))()
    except (NotDeterministic, Flaky):  # flaky: an address, for instance, may be the same again
        if not failed:
            raise
        raise NotDeterministic(str(failed[-1]), failed[-1].cause, failed[-1].execution, first) from None
    finally:
        outside.restore()
    return paths


def _search(max_examples: int | None) -> settings:
    """Return how Hypothesis looks for a life that does not replay."""
    options: dict[str, Any] = {} if max_examples is None else {"max_examples": max_examples}
    return settings(
        verbosity=Verbosity.quiet,  # the exception tells the story; Hypothesis would tell it again
        phases=[phase for phase in Phase if phase is not Phase.explain],
        suppress_health_check=cast("list[HealthCheck]", list(HealthCheck)),
        deadline=None,
        report_multiple_bugs=False,  # they would come as an exception group
        **options,
    )


def check_replay(execution: Execution, *, twins: bool = False) -> None:
    """Check one life: the same that `check_determinism` does with every example.

    Args:
        execution: What `executions` gave.
        twins: As for `check_determinism`.

    Raises:
        NotDeterministic: It does not replay.
    """
    __tracebackhide__ = True
    outside = Outside(execution.definition.fn)
    try:
        _check(execution, outside, _address(execution.definition.fn, needed=True) if twins else None)
    except NotDeterministic as found:
        raise NotDeterministic(str(found), found.cause, found.execution) from None
    finally:
        outside.restore()


_twins = Twins()
atexit.register(_twins.close)


def _address(workflow: AnyWorkflow, *, needed: bool) -> Address | None:
    """Have the other processes import a workflow."""
    definition = workflow_of(workflow)
    address = address_of(definition)
    if address is not None:
        _twins.load(address)
    elif needed:
        raise UsageError(
            f"twins=True: {definition.name} is not defined at the top of a file, where another process could import it"
        )
    return address


def _check(execution: Execution, outside: Outside, address: Address | None) -> None:
    """Check one life."""
    changes = outside.changes()
    if changes:
        raise _changed(execution, changes)
    for round_number, history in enumerate(execution.rounds):
        for shift in SHIFTS:
            difference = _replayed(execution, history, shift)
            outside.restore()
            if difference is not None:
                cause = _cause(execution, history, shift, outside)
                raise _differs(execution, round_number, difference, cause)
        _check_dropping(execution, history, outside)
        if address is not None:
            difference = _twins.replay(address, execution.journals[round_number], _RUN_ID)
            if difference is not None:
                raise _differs(execution, round_number, difference, _NEW if _shows_address(difference) else _TWIN)


def _check_dropping(execution: Execution, history: tuple[Transition, ...], outside: Outside) -> None:
    """Let the run be dropped in the middle, as by a crash or to save memory: nothing may come of that."""
    index = (len(history) - 1) // 2
    difference = _replayed(execution, history[: index + 1], Shift())
    changes = outside.changes()
    outside.restore()
    if changes and difference is None:
        dropped = f"when the worker drops it after record {index}, as at a crash or to save memory"
        raise _changed(execution, changes, dropped)


def _shows_address(difference: Difference) -> bool:
    """Whether both sides tell the address of an object: it is another in each process."""
    return " at 0x" in (difference.recorded or "") and " at 0x" in (difference.yielded or "")


def _replayed(execution: Execution, history: tuple[Transition, ...], shift: Shift) -> Difference | None:
    """Replay a round in a changed world; None when nothing differs."""
    try:
        with controlled(shift) as clock:
            replay_round(execution.definition, history, _RUN_ID, clock=clock, pace=shift.pace)
    except NondeterminismError as error:
        return Difference.of(error)
    except ReplayError as error:
        return Difference(len(history) - 1, None, None, str(error), None)
    return None


def _cause(execution: Execution, history: tuple[Transition, ...], shift: Shift, outside: Outside) -> str:
    """Find out on which ingredient of the changed world a difference hangs."""
    plain = _replayed(execution, history, Shift())
    outside.restore()
    if plain is not None:
        return _NEW
    for name, alone in shift.parts.items():
        difference = _replayed(execution, history, alone)
        outside.restore()
        if difference is not None:
            return name
    again = _replayed(execution, history, shift)
    outside.restore()
    if again is None:  # what the life had left behind is gone now
        return _LEFT
    return "several things at once: " + ", ".join(shift.parts)


def _differs(execution: Execution, round_number: int, difference: Difference, cause: str) -> NotDeterministic:
    lines = marked(story(execution.rounds[round_number]), difference)
    if round_number == 0:
        lines[0] = attrs.evolve(lines[0], text=execution.title)
    text = (
        f"{execution.definition.name} is not deterministic: fed with its own history, it does something else.\n\n"
        f"{render(lines)}\n\n"
        f"It depends on {_PLACE if cause == _TWIN else cause}.\n{_advice(execution, cause)}"
    )
    return NotDeterministic(text, cause, execution)


def _changed(execution: Execution, changes: list[Change], when: str = "") -> NotDeterministic:
    listed = "\n".join(f"  {change}" for change in changes)
    which = f"{when}; later runs and replays see it" if when else "which later runs and replays see"
    text = (
        f"{execution.definition.name} changes state outside of itself, {which}.\n\n"
        f"{execution.story}\n\n{listed}\n{_advice(execution, 'state')}"
    )
    return NotDeterministic(text, "state outside: " + ", ".join(change.what for change in changes), execution)


def _advice(execution: Execution, cause: str) -> str:
    """Say where the cause stands in the source, if reading finds it, and the cure."""
    if cause.startswith("the environment"):
        cause = "the environment"
    seen = [finding for finding in lint(execution.definition.fn) if finding.code in _CODES.get(cause, ())]
    places = dict.fromkeys(f"{Path(each.file).name}:{each.line}: {each.what}" for each in seen)
    cure = _CURES.get(cause, "A workflow may depend on nothing but its arguments and what its commands give it.")
    if seen and {finding.code for finding in seen} == {"identity"}:
        cure = f"Instead: {seen[0].cure}."
    return "\n".join([*(f"  {place}" for place in places), cure])
