"""Hypothesis strategies that let a workflow live: `executions`.

Every choice is drawn: which call ends next, with which result or failure, when a signal comes, when a timer fires
before a slow call ends, whether and when the run is cancelled. The first option at each point is the plain one (the
oldest call ends, and returns), so that examples shrink towards the life in which nothing happens out of order.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, TypeAlias, TypeGuard, TypeVar, get_type_hints

import attrs
from hypothesis import reject
from hypothesis import strategies as st
from hypothesis.errors import ResolutionFailed

from interp.commands import Call, Command
from interp.definitions import WorkflowDefinition, workflow_of
from interp.errors import NotEncodable, UsageError
from interp.fibers import Issued
from interp.testing.controlled import controlled
from interp.testing.execution import Execution
from interp.testing.play import (
    Answer,
    Answers,
    Asks,
    Cancels,
    ChildEnds,
    Option,
    OutcomeLost,
    Play,
    Raised,
    Returned,
    Signals,
    TimedOut,
)
from interp.testing.stubs import Stubs, answer_of, answers_of, by_name

__all__ = ["World", "arguments_of", "executions", "is_strategy"]

T = TypeVar("T")
Draw: TypeAlias = Callable[[st.SearchStrategy[T]], T]
# By the id of an activity's function, beside the function itself: so the id is not given to another one.
_Usual: TypeAlias = dict[int, tuple[Callable[..., Any], st.SearchStrategy[Answer]]]
AnyWorkflow: TypeAlias = Callable[..., Generator[Command[Any], Any, Any]]

# How often each signal comes at most: enough for two rounds that await two, and one too many.
_MOST_SIGNALS = 5

# How much more often things go well than wrong.
_USUALLY = 6

# Drawn along with what is unusual: whatever takes fewer draws is the simpler example to Hypothesis, and a call that
# returns something takes one or two.
_IDLE = st.tuples(st.booleans(), st.booleans())

# A workflow that loops for ever is left after so many events.
_MOST_EVENTS = 60


def executions(
    workflow: AnyWorkflow,
    args: st.SearchStrategy[tuple[Any, ...]] | Iterable[Any] | None = None,
    *,
    activities: Stubs | None = None,
    signals: Mapping[str, Any] | None = None,
    requests: Mapping[str, Any] | None = None,
    faults: bool = False,
    cancellations: bool = False,
    max_events: int = _MOST_EVENTS,
) -> st.SearchStrategy[Execution]:
    """Generate lives of a workflow, driven through the interpreter: nothing but the workflow's own code runs.

    Args:
        workflow: A function declared with `@workflow`.
        args: Its arguments: a strategy of tuples, or a tuple of values and strategies; drawn from the annotations of
            its parameters by default.
        activities: What calls and children answer, by function or name: a strategy, or a stub (see
            `interp.testing.stubs`). By default results are drawn from the return annotation, and the exceptions of
            `raises=` happen now and then.
        signals: Signals that may come at any moment, each up to five times, by name: a strategy for the payload or
            a value. By default the signals that the workflow awaits, drawn from the awaited type.
        requests: Likewise the requests that may come. What the validator refuses does not happen.
        faults: Whether calls may also fail for another reason than a declared one (`CallFailed`), time out where they
            have a timeout, or have an unknown outcome where they are declared `on_unknown="fail"`.
        cancellations: Whether the run may be cancelled at any moment.
        max_events: How many events happen at most; the execution is then left open.

    Returns:
        A strategy of `Execution`.

    Raises:
        InvalidDefinition: The function is no workflow.
        UsageError: A result is to be drawn, and the activity's return annotation does not say of what; raised when the
            first example is drawn.
    """
    definition = workflow_of(workflow)
    drawn = arguments_of(definition, args)
    named = by_name(activities)
    payloads, questions = _strategies(signals), _strategies(requests)

    usual: _Usual = {}

    @st.composite
    def lives(draw: st.DrawFn) -> Execution:
        world = World(
            draw,
            named,
            Post(draw, payloads),
            Post(draw, questions, "requests"),
            faults=faults,
            cancellations=cancellations,
            usual=usual,
        )
        return world.live(definition, draw(drawn), max_events)

    return lives()


@attrs.define(eq=False)
class Post:
    """The signals, or the requests, that may come to one run.

    Attributes:
        draw: Draws from a strategy.
        payloads: Strategies for what they carry, by name; None for what the workflow awaits.
        parameter: Where a test says what they carry.
    """

    draw: Draw[Any]
    payloads: Mapping[str, st.SearchStrategy[Any]] | None
    parameter: str = "signals"
    _left: dict[str, int] = attrs.field(factory=dict[str, int])
    _types: dict[str, Any] = attrs.field(factory=dict[str, Any])

    def left(self, awaited: Mapping[str, Any]) -> Mapping[str, int]:
        """Say which may come, and how often still.

        Args:
            awaited: What the workflow waits for now, with the types.
        """
        self._types.update(awaited)
        for name in self._types if self.payloads is None else self.payloads:
            self._left.setdefault(name, _MOST_SIGNALS)
        return self._left

    def payload(self, name: str) -> Any:
        """Let one come, and draw what it carries."""
        self._left[name] -= 1
        if self.payloads is not None:
            return self.draw(self.payloads[name])
        awaited, what = self._types[name], self.parameter.removesuffix("s")
        return None if awaited is Any else self.draw(_of_type(awaited, f"{what} {name!r}", self.parameter))


@attrs.define(eq=False)
class World:
    """Everything that happens to one run, drawn by Hypothesis.

    Attributes:
        draw: Draws from a strategy.
        stubs: What calls and children answer, by name.
        signals: The signals that may come.
        requests: The requests that may come.
        faults: Whether calls may fail for undeclared reasons.
        cancellations: Whether the run may be cancelled.
        usual: What calls and children answer if nobody says otherwise, kept from life to life: a strategy that is made
            anew for each draw costs Hypothesis more than the draw.
    """

    draw: Draw[Any]
    stubs: Mapping[str, Any]
    signals: Post
    requests: Post
    faults: bool
    cancellations: bool
    usual: _Usual = attrs.field(factory=dict[int, tuple[Callable[..., Any], st.SearchStrategy[Answer]]])
    _answered: dict[str, int] = attrs.field(factory=dict[str, int])
    _cancelled: bool = False

    def live(self, definition: WorkflowDefinition, args: tuple[Any, ...], max_events: int) -> Execution:
        """Let a run live until it ends, waits for what never comes, or enough has happened."""
        with controlled():
            try:
                play = Play(definition, args)
            except NotEncodable:
                reject()
            try:
                for _ in range(max_events):
                    if not self.happen(play):
                        break
                return Execution(definition, args, {}, play.histories)
            finally:
                play.close()

    def happen(self, play: Play) -> bool:
        """Let one thing happen; False when nothing can."""
        signals, requests = self.signals.left(play.awaited), self.requests.left(play.requested)
        options = play.options(signals, requests, cancel=self.cancellations and not self._cancelled)
        if not options:
            return False
        option = options[0] if len(options) == 1 else self._one_of(_weighted(options))
        try:
            match option:
                case Answers() | ChildEnds():
                    play.take(option, self.answer(play.interpreter.pending[option.id]))
                case Signals():
                    play.take(option, payload=self.signals.payload(option.name))
                case Asks():
                    play.take(option, payload=self.requests.payload(option.name))
                case Cancels():
                    self.draw(_IDLE)
                    self._cancelled = True
                    play.take(option)
                case _:
                    play.take(option)
        except NotEncodable:  # drawn from an annotation that promises more than JSON can hold, such as nan
            reject()
        return True

    def answer(self, issued: Issued) -> Answer:
        """Draw what comes of a call or of a child."""
        name = issued.record.target
        count = self._answered.get(name, 0)
        self._answered[name] = count + 1
        stub = self.stubs.get(name, self)
        if stub is self:
            answer: Answer = self.draw(self._usual_answers(issued))
        elif is_strategy(stub):
            answer = answer_of(self.draw(stub), issued, count)
        else:
            answers = answers_of(stub, issued, count)
            return answers[0] if len(answers) == 1 else self.draw(st.sampled_from(answers))
        return self._one_of(_faults(issued, answer)) if self.faults else answer

    def _one_of(self, values: list[T]) -> T:
        """Draw from a list; unlike `sampled_from`, Hypothesis keeps strategies of integers."""
        index: int = self.draw(st.integers(0, len(values) - 1))
        return values[index]

    def _usual_answers(self, issued: Issued) -> st.SearchStrategy[Answer]:
        definition = issued.definition if issued.child is None else issued.child.definition
        assert definition is not None
        if id(definition.fn) not in self.usual:
            self.usual[id(definition.fn)] = (definition.fn, _usual_answers(issued))
        return self.usual[id(definition.fn)][1]


def _weighted(options: list[Option]) -> list[Option]:
    """Repeat the options that let a run get on: where every other life is cancelled early, few see the end."""
    return [option for option in options for _ in range(1 if isinstance(option, Cancels) else _USUALLY)]


def _usual_answers(issued: Issued) -> st.SearchStrategy[Answer]:
    """Return what a call answers if nobody says otherwise: a value of its type, or a declared exception."""
    name = issued.record.target
    if issued.definition is None:
        assert issued.child is not None
        return _results(issued.child.definition.arguments.result.type, name)
    results = _results(issued.definition.arguments.result.type, name)
    errors = [_errors(kind) for kind in issued.definition.raises]
    return st.one_of(results, results, *errors) if errors else results


def _results(annotation: Any, name: str) -> st.SearchStrategy[Answer]:
    return _of_type(annotation, name, "activities").map(Returned)


def _of_type(annotation: Any, name: str, parameter: str) -> st.SearchStrategy[Any]:
    if annotation is Any:
        raise UsageError(
            f"{name} does not say of what type its value is, so that none can be drawn\n"
            f"  Annotate it, or say what comes: {parameter}={{{name!r}: ...}}."
        )
    return st.none() if annotation is None else st.from_type(annotation)


def _errors(kind: type[Exception]) -> st.SearchStrategy[Answer]:
    """Return exceptions of a declared class."""
    try:
        drawn = st.from_type(kind)
        drawn.validate()
    except ResolutionFailed:
        drawn = st.builds(kind)
    return st.tuples(_IDLE, drawn).map(lambda pair: Raised(pair[1]))


_FAULT = RuntimeError("the test lets the call fail")


def _faults(issued: Issued, answer: Answer) -> list[Answer]:
    """Return an answer, and what may go wrong with it."""
    possible: list[Answer] = [answer] * _USUALLY
    if isinstance(issued.command, Call) and issued.definition is not None:
        options = issued.command.with_options.over(issued.definition.options)
        possible.append(Raised(_FAULT))
        possible += [TimedOut()] * (options.timeout is not None)
        possible += [OutcomeLost()] * (options.on_unknown == "fail")
    else:
        possible.append(Raised(_FAULT))
    return possible


def is_strategy(value: object) -> TypeGuard[st.SearchStrategy[Any]]:
    """Whether values are to be drawn from it."""
    return isinstance(value, st.SearchStrategy)


def _strategies(payloads: Mapping[str, Any] | None) -> Mapping[str, st.SearchStrategy[Any]] | None:
    return None if payloads is None else {name: _strategy(payload) for name, payload in payloads.items()}


def _strategy(payload: Any) -> st.SearchStrategy[Any]:
    return payload if is_strategy(payload) else st.just(payload)


def arguments_of(
    definition: WorkflowDefinition, args: st.SearchStrategy[tuple[Any, ...]] | Iterable[Any] | None
) -> st.SearchStrategy[tuple[Any, ...]]:
    """Return a strategy for a workflow's arguments.

    Args:
        definition: The workflow.
        args: As for `executions`.

    Raises:
        UsageError: A parameter without a default has no annotation to draw from.
    """
    if isinstance(args, st.SearchStrategy):
        return args
    if args is not None:
        return st.tuples(*map(_strategy, args))
    hints = get_type_hints(definition.fn, include_extras=True)
    drawn: list[st.SearchStrategy[Any]] = []
    for name, parameter in definition.arguments.signature.parameters.items():
        if parameter.default is not parameter.empty or parameter.kind not in (
            parameter.POSITIONAL_ONLY,
            parameter.POSITIONAL_OR_KEYWORD,
        ):
            break
        if name not in hints:
            raise UsageError(
                f"parameter {name} of {definition.name} has no annotation, so that no argument can be drawn\n"
                "  Annotate it, or give args=(...): values or strategies."
            )
        drawn.append(st.from_type(hints[name]))
    return st.tuples(*drawn)
