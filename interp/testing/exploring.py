"""`explore`: everything that can happen to a workflow, in every order, without doing anything twice.

The search goes breadth first, so that what it finds first is shortest. Generators cannot be copied: a state is reached
again by letting the same happen to a new run. Two states are one when nothing that the run could still look at differs
(`interp.testing.states`); where that cannot be told, they are kept apart. Merging states is what makes the search
short: of n answers that come in any order, n! orders lead through 2^n states.

What can happen: a call or child that waits gets one of its answers; the earliest timer fires; a signal comes, awaited
or early; the run is cancelled; time passes up to the next timer, so that what starts then starts late.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Mapping, Sequence
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

import attrs

from interp.commands import Command
from interp.definitions import WorkflowDefinition, workflow_of
from interp.errors import UsageError
from interp.events import Completed, ContinuedAs, Failed, WasCancelled
from interp.fibers import Issued
from interp.testing.controlled import controlled
from interp.testing.execution import Execution
from interp.testing.explored import Ending, Explored, Moment, Violation
from interp.testing.play import Answer, Answers, Asks, Cancels, ChildEnds, Play, Raised, Returned, Signals
from interp.testing.reading import Unreadable, Values
from interp.testing.schedules import Happening, Passes, Schedule, begin, perform
from interp.testing.states import state_of
from interp.testing.stubs import Either, InTurn, Stubs, answers_of, by_name

__all__ = ["check_confluent", "explore", "search"]

AnyWorkflow: TypeAlias = Callable[..., Generator[Command[Any], Any, Any]]
Invariant: TypeAlias = Callable[[Moment], object]

_BOUND = 20_000

_FAULT = RuntimeError("the test lets the call fail")


def explore(
    workflow: AnyWorkflow,
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    activities: Stubs | None = None,
    signals: Mapping[str, Any] | None = None,
    requests: Mapping[str, Any] | None = None,
    failures: int = 0,
    cancellations: bool = False,
    invariant: Invariant | Sequence[Invariant] = (),
    bound: int = _BOUND,
) -> Explored:
    """Let happen to a workflow all that can happen, in every order that makes a difference.

    Args:
        workflow: A function declared with `@workflow`. It must be deterministic.
        *args: Its arguments.
        kwargs: Its named arguments.
        activities: What calls and children answer, by function or name: stubs (see `interp.testing.stubs`) that must
            answer the same whenever they are asked the same; `either(...)` has each of its answers tried. By default
            all values of the return annotation where it has few (None, bool, literals, enumerations), and the
            exceptions of `raises=`.
        signals: Signals that come at any moment, each once, by name: the payload, `either(...)` of them,
            or `in_turn(...)` for several that come in this order.
        requests: Likewise requests; one comes only where the validator does not refuse it.
        failures: How many calls may fail for an undeclared reason (`CallFailed`), at most; any of them may.
        cancellations: Whether the run may be cancelled at any moment.
        invariant: What must always hold, one or several: called with each `Moment`; it does not hold when it returns
            False or raises AssertionError.
        bound: How many steps are taken at most; the result says when that was not enough.

    Returns:
        What was found; `check()` makes a failing test of it.

    Raises:
        InvalidDefinition: The function is no workflow.
        UsageError: It is not said what a call answers, or the workflow does not do the same again.
        NotEncodable: An argument or answer cannot be recorded as it is declared.
    """
    return search(
        workflow_of(workflow),
        args,
        dict(kwargs or {}),
        World(by_name(activities), dict(signals or {}), cancellations=cancellations, requests=dict(requests or {})),
        failures=failures,
        invariants=(invariant,) if callable(invariant) else tuple(invariant),
        bound=bound,
    )


def check_confluent(
    workflow: AnyWorkflow,
    *args: Any,
    kwargs: Mapping[str, Any] | None = None,
    activities: Stubs | None = None,
    signals: Mapping[str, Any] | None = None,
    requests: Mapping[str, Any] | None = None,
    failures: int = 0,
    bound: int = _BOUND,
) -> Explored:
    """Check that the order in which results come does not matter: the same results, in any order, end the same way.

    Args:
        workflow: As for `explore`, and so are the others.
        *args: Its arguments.
        kwargs: Its named arguments.
        activities: What calls and children answer. Two orders are compared when no command gets different answers in
            them; with `in_turn` the answer to a command depends on the order, and there is nothing to compare.
        signals: Signals that come at any moment.
        requests: Requests that come at any moment.
        failures: How many calls may fail.
        bound: How many steps are taken at most.

    Returns:
        What was found.

    Raises:
        OrderMatters: Two orders of the same results end differently; the message shows both side by side.
        AssertionError: The bound was reached, and no two such orders were found.
        UsageError: As for `explore`.
    """
    found = search(
        workflow_of(workflow),
        args,
        dict(kwargs or {}),
        World(by_name(activities), dict(signals or {}), cancellations=False, requests=dict(requests or {})),
        failures=failures,
        remembers=True,
        bound=bound,
    )
    return found.check_confluent()


@attrs.frozen
class World:
    """What can happen to a run.

    Attributes:
        stubs: What calls and children answer, by name.
        signals: What signals carry, by name.
        cancellations: Whether the run may be cancelled.
        requests: What requests carry, by name.
    """

    stubs: dict[str, Any]
    signals: dict[str, Any]
    cancellations: bool
    requests: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def payloads(self, message: Signals | Asks) -> list[list[Any]]:
        """Return what a signal or request may carry, for each time that it comes."""
        stub = (self.signals if isinstance(message, Signals) else self.requests)[message.name]
        times = stub.answers if isinstance(stub, InTurn) else (stub,)
        return [list(each.answers) if isinstance(each, Either) else [each] for each in times]

    def answers(self, issued: Issued, calls: int) -> list[Answer]:
        """Return what may come of a call or child."""
        name = issued.record.target
        if name in self.stubs:
            return answers_of(self.stubs[name], issued, calls)
        return _usual_answers(issued)


@attrs.frozen
class Past:
    """What has happened already of what happens only so often.

    Attributes:
        signals: How often each signal has come, by name.
        requests: How often each request has come, by name.
        answers: How often each stub has answered that answers in turn, by name.
        failures: How many calls may still fail.
        cancelled: Whether the run was cancelled.
    """

    signals: tuple[tuple[str, int], ...] = ()
    requests: tuple[tuple[str, int], ...] = ()
    answers: tuple[tuple[str, int], ...] = ()
    failures: int = 0
    cancelled: bool = False

    def after(self, world: World, play: Play, step: Happening) -> Past:
        """Return the past when a step has been taken; to be asked before it is."""
        match step:
            case Cancels():
                return attrs.evolve(self, cancelled=True)
            case (Signals() as signal, _):
                return attrs.evolve(self, signals=_counted(self.signals, signal.name))
            case (Asks() as request, _):
                return attrs.evolve(self, requests=_counted(self.requests, request.name))
            case (option, answer):
                name = play.interpreter.pending[option.id].record.target
                fails = isinstance(answer, Raised) and answer.error is _FAULT
                in_turn = isinstance(world.stubs.get(name), InTurn) and not fails
                answers = _counted(self.answers, name) if in_turn else self.answers
                return attrs.evolve(self, answers=answers, failures=self.failures - fails)
            case _:
                return self


def _counted(counts: tuple[tuple[str, int], ...], name: str) -> tuple[tuple[str, int], ...]:
    return tuple(sorted({**dict(counts), name: dict(counts).get(name, 0) + 1}.items()))


@attrs.define(eq=False)
class Node:
    """A state, as the search knows it.

    Attributes:
        parent: The state before it, on the shortest way; None for the first.
        step: What led from there to here.
        record: The last record of the history, by which another run is known to have come to the same place.
        past: What has happened already.
        depth: How many steps lead to it.
        steps: What can happen in it.
        next: The states to which the steps that were taken led.
    """

    parent: Node | None
    step: Happening | None
    record: bytes
    past: Past
    depth: int = 0
    steps: list[Happening] = attrs.field(factory=list[Happening])
    next: list[Node] = attrs.field(factory=list["Node"])

    @property
    def way(self) -> list[Node]:
        """The states from the first one to this one."""
        way: list[Node] = []
        node: Node | None = self
        while node is not None:
            way.append(node)
            node = node.parent
        return way[::-1]


class _LooksAtTime(Exception):
    """The workflow has asked for the time: states may differ in it."""


def search(
    definition: WorkflowDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    world: World,
    *,
    failures: int = 0,
    invariants: tuple[Invariant, ...] = (),
    remembers: bool = False,
    merges: bool = True,
    bound: int = _BOUND,
) -> Explored:
    """Search all states.

    Args:
        definition: The workflow.
        args: Its arguments.
        kwargs: Its named arguments.
        world: What can happen.
        failures: How many calls may fail.
        invariants: What must always hold.
        remembers: Whether runs to which different things have happened differ, even if they cannot know any more.
        merges: Whether equal states are taken for one.
        bound: How many steps are taken at most.
    """
    with controlled():
        for with_time in (False, True):
            found = _Search(definition, args, kwargs, world, invariants, with_time=with_time)
            found.merges = merges
            found.remembers = remembers or bool(invariants)
            try:
                return found.run(Past(failures=failures), bound)
            except _LooksAtTime:
                continue
    raise AssertionError("with the time read nothing more can be missing")


class _Search:
    def __init__(
        self,
        definition: WorkflowDefinition,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        world: World,
        invariants: tuple[Invariant, ...],
        *,
        with_time: bool,
    ) -> None:
        self.definition = definition
        self.args = args
        self.kwargs = kwargs
        self.world = world
        self.invariants = invariants
        self.with_time = with_time
        self.merges = True
        self.remembers = False
        self.values = Values()
        self.known: dict[bytes, Node] = {}
        self.states = 0
        self.taken = 0
        self.unread: Counter[str] = Counter()
        self.endings: dict[Any, Ending] = {}
        self.violations: dict[Invariant, Violation] = {}

    def run(self, past: Past, bound: int) -> Explored:
        play = begin(self.definition, self.args, self.kwargs)
        try:
            first = Node(None, None, _last_record(play), past)
            self._enter(first, play)
        finally:
            play.close()
        waiting = deque([first])
        while waiting and self.taken + len(waiting[0].steps) <= bound:
            node = waiting.popleft()
            for step in node.steps:
                following, is_new = self._take(node, step)
                node.next.append(following)
                if is_new:
                    waiting.append(following)
        return Explored(
            title=self.definition.name,
            endings=tuple(self.endings.values()),
            violations=tuple(self.violations.values()),
            complete=not waiting,
            states=self.states,
            steps=self.taken,
            schedules=_schedules(first),
            depth=waiting[0].depth if waiting else None,
            bound=bound,
            unread=dict(self.unread),
            remembers=self.remembers,
        )

    def _take(self, node: Node, step: Happening) -> tuple[Node, bool]:
        """Take a step, and say where it leads, and whether nobody was there before."""
        self.taken += 1
        play = self._at(node)
        try:
            past = node.past.after(self.world, play, step)
            perform(play, step)
            following = Node(node, step, _last_record(play), past, node.depth + 1)
            state = self._state(play, past)
            if state is not None:
                known = self.known.setdefault(state, following)
                if known is not following:
                    return known, False
            self._enter(following, play)
            return following, True
        finally:
            play.close()

    def _at(self, node: Node) -> Play:
        """Let happen again what led to a state."""
        first, *others = node.way
        play = begin(self.definition, self.args, self.kwargs)
        self._compare(play, first)
        for each in others:
            assert each.step is not None
            perform(play, each.step)
            self._compare(play, each)
        return play

    def _compare(self, play: Play, node: Node) -> None:
        if _last_record(play) != node.record:
            raise UsageError(
                f"{self.definition.name} does not do the same again when the same happens to it: it is not "
                "deterministic, so that its orders cannot be explored\n"
                "  check_determinism(...) finds out why."
            )

    def _state(self, play: Play, past: Past) -> bytes | None:
        if play.has_told_time and not self.with_time:
            raise _LooksAtTime
        if not self.merges:
            return None
        had = (past.signals, past.requests, past.answers, past.failures, past.cancelled)
        what = (had, _deed(play) if self.remembers else ())
        if play.outcome is not None:
            return repr((what, _ending(play), play.interpreter.state)).encode()
        try:
            return state_of(play, self.values, *what, with_time=self.with_time)
        except Unreadable as unread:
            self.unread[unread.what] += 1
            return None

    def _enter(self, node: Node, play: Play) -> None:
        """Look at a state, and list what can happen in it."""
        self.states += 1
        node.steps = self._steps(play, node.past)
        is_stuck = play.outcome is None and not node.steps
        if is_stuck or play.outcome is not None:
            end = _ending(play)
            which = (end, _deed(play) if self.remembers else ())
            if which not in self.endings:
                self.endings[which] = Ending(end, *self._told(node, play), is_stuck=is_stuck)
        if len(self.violations) < len(self.invariants):
            moment = Moment(play, self.args, self.kwargs, is_stuck=is_stuck)
            for invariant in self.invariants:
                if invariant not in self.violations:
                    self._check(invariant, moment, node, play)

    def _check(self, invariant: Invariant, moment: Moment, node: Node, play: Play) -> None:
        try:
            if invariant(moment) is not False:
                return
            told = ""
        except AssertionError as error:
            told = str(error)
        name = getattr(invariant, "__name__", repr(invariant))
        self.violations[invariant] = Violation(name, told, *self._told(node, play))

    def _told(self, node: Node, play: Play) -> tuple[Execution, Schedule]:
        steps = tuple(each.step for each in node.way if each.step is not None)
        execution = Execution(self.definition, self.args, self.kwargs, play.histories)
        return execution, Schedule(self.definition, self.args, self.kwargs, steps)

    def _steps(self, play: Play, past: Past) -> list[Happening]:
        """List what can happen."""
        come, asked = dict(past.signals), dict(past.requests)
        left = {name: len(self.world.payloads(Signals(name))) - come.get(name, 0) for name in self.world.signals}
        askable = {name: len(self.world.payloads(Asks(name))) - asked.get(name, 0) for name in self.world.requests}
        steps: list[Happening] = []
        cancel = self.world.cancellations and not past.cancelled
        for option in play.options(left, askable, cancel=cancel):
            match option:
                case Answers() | ChildEnds():
                    issued = play.interpreter.pending[option.id]
                    steps += [(option, answer) for answer in self._answers(issued, past)]
                case Signals():
                    payloads = self.world.payloads(option)[come.get(option.name, 0)]
                    steps += [(option, payload) for payload in payloads]
                case Asks():
                    payloads = self.world.payloads(option)[asked.get(option.name, 0)]
                    steps += [(option, payload) for payload in payloads if not play.refuses(option.name, payload)]
                case _:
                    steps.append(option)
        due = play.interpreter.next_due
        if due is not None and due > play.now and len(steps) > 1:
            steps.append(Passes())
        return steps

    def _answers(self, issued: Issued, past: Past) -> list[Answer]:
        answers = self.world.answers(issued, dict(past.answers).get(issued.record.target, 0))
        return [*answers, Raised(_FAULT)] if past.failures else answers


def _last_record(play: Play) -> bytes:
    return play.journal[-1]


def _ending(play: Play) -> Any:
    """Say how a run ended, or for what it waits; without tracebacks, which nobody takes for an outcome."""
    match play.outcome:
        case Completed(payload):
            return ("returned", payload)
        case Failed(failure):
            return ("failed", failure.type_name, failure.message, failure.payload)
        case WasCancelled(reason):
            return ("cancelled", reason)
        case ContinuedAs(started):
            return ("continued", started.args)
        case None:
            records = [issued.record for issued in play.interpreter.pending.values()]
            return ("waits", tuple(sorted((record.id, record.kind, record.target) for record in records)))


def _deed(play: Play) -> Any:
    """Return what has happened and what was asked, in no order."""
    done: list[tuple[Any, ...]] = []
    for number, history in enumerate(play.histories):
        for transition in history:
            done.append((number, repr(transition.cause)))
            done += [
                (number, each.id, each.kind, each.target, each.payload, each.where) for each in transition.commands
            ]
    return tuple(sorted(done, key=repr))


def _schedules(first: Node) -> int:
    """Count the ways from the first state to the last ones: how many schedules the search stands for."""
    counts: dict[int, int] = {}
    waiting = [first]
    while waiting:
        node = waiting[-1]
        missing = [each for each in node.next if id(each) not in counts]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        counts[id(node)] = sum(counts[id(each)] for each in node.next) if node.next else 1
    return counts[id(first)]


# What comes when nobody says what.


def _usual_answers(issued: Issued) -> list[Answer]:
    name = issued.record.target
    if issued.definition is None:
        assert issued.child is not None
        return _values(issued.child.definition.arguments.result.type, name)
    errors = [_error(kind, name) for kind in issued.definition.raises]
    return [*_values(issued.definition.arguments.result.type, name), *errors]


def _values(annotation: Any, name: str) -> list[Answer]:
    values = _all_of(annotation)
    if values is None:
        raise UsageError(
            f"{name} may answer anything, and all of it cannot be explored\n"
            f"  Say what comes: activities={{{name!r}: ...}}, with either(...) for several answers."
        )
    return [Returned(value) for value in values]


def _error(kind: type[Exception], name: str) -> Answer:
    try:
        return Raised(kind())
    except TypeError:
        raise UsageError(
            f"{name} declares raises={kind.__name__}, which needs arguments\n"
            f"  Say what comes: activities={{{name!r}: either(..., {kind.__name__}(...))}}."
        ) from None


def _all_of(annotation: Any) -> list[Any] | None:
    """Return all values of a type that has few; None for others."""
    if annotation in (None, NoneType):
        return [None]
    if annotation is bool:
        return [True, False]
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return list(annotation)
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if get_origin(annotation) in (Union, UnionType):
        parts = [_all_of(part) for part in get_args(annotation)]
        return None if None in parts else [value for part in parts for value in part or ()]
    return None
