"""Stubs: what stands in for an activity in a test, in the same words for every tool of the kit.

{charge: "r-1"}                       always returns the value
{charge: CardDeclined("no funds")}    always raises the exception
{charge: lambda order: order.id}      is called with the arguments, and returns or raises
{charge: in_turn("r-1", Declined())}  one after the other; the last one for good
{charge: either("r-1", Declined())}   either of these: an exploration tries all, a property draws one
{charge: TimedOut()}                  takes longer than its timeout
{"charge": ...}                       the same, by name
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs

from interp.commands import Call, Child
from interp.definitions import activity_of
from interp.errors import UsageError
from interp.fibers import Issued
from interp.testing.play import Answer, OutcomeLost, Raised, Returned, TimedOut

__all__ = ["Either", "InTurn", "Stubs", "Target", "answer_of", "answers_of", "by_name", "chosen", "either", "in_turn"]

Target: TypeAlias = Callable[..., Any] | str
"""An activity, or a child's workflow, by its function or by its name."""

Stubs: TypeAlias = Mapping[Target, Any]


@attrs.frozen
class InTurn:
    """Answers that are given one after the other; the last one for good."""

    answers: tuple[Any, ...]


def in_turn(*answers: Any) -> InTurn:
    """Answer the first call with the first, the second with the second ... and all later ones with the last.

    Args:
        *answers: Whatever a stub may be.

    Raises:
        UsageError: None is given.
    """
    if not answers:
        raise UsageError("in_turn(): give at least one answer")
    return InTurn(answers)


@attrs.frozen
class Either:
    """Answers of which any may come; the first is the usual one."""

    answers: tuple[Any, ...]


def either(*answers: Any) -> Either:
    """Answer each call with any of these: `explore` tries all, `executions` draws, other tools take the first.

    Args:
        *answers: Whatever a stub may be.

    Raises:
        UsageError: None is given.
    """
    if not answers:
        raise UsageError("either(): give at least one answer")
    return Either(answers)


def by_name(stubs: Stubs | None) -> dict[str, Any]:
    """Return stubs by the names of what they stand for.

    Raises:
        InvalidDefinition: A function can be neither an activity nor a workflow.
    """
    named: dict[str, Any] = {}
    for target, stub in (stubs or {}).items():
        named[target if isinstance(target, str) else _name_of(target)] = stub
    return named


def _name_of(target: Callable[..., Any]) -> str:
    definition = getattr(target, "__interp_workflow__", None)
    name: str = definition.name if definition is not None else activity_of(target).name
    return name


def chosen(stub: Any, calls: int) -> Any:
    """Return the one of a stub's answers whose turn it is; of `either` the usual one.

    Args:
        stub: What stands in.
        calls: How often it was asked before.
    """
    match stub:
        case InTurn():
            return chosen(stub.answers[min(calls, len(stub.answers) - 1)], calls)
        case Either():
            return chosen(stub.answers[0], calls)
        case _:
            return stub


def answer_of(stub: Any, issued: Issued, calls: int) -> Answer:
    """Say what a stub answers to a call, or to a child.

    Args:
        stub: What stands in.
        issued: The command.
        calls: How many commands the stub has answered before.
    """
    stub = chosen(stub, calls)
    match stub:
        case Returned() | Raised() | TimedOut() | OutcomeLost():
            return stub
        case Exception():
            return Raised(stub)
        case type() if issubclass(stub, Exception):
            return Raised(stub())
        case _ if callable(stub):
            return _called(stub, issued)
        case _:
            return Returned(stub)


def answers_of(stub: Any, issued: Issued, calls: int) -> list[Answer]:
    """List all that a stub may answer to a call, or to a child, the usual one first.

    Args:
        stub: What stands in.
        issued: The command.
        calls: How many commands the stub has answered before.
    """
    match stub:
        case InTurn():
            return answers_of(stub.answers[min(calls, len(stub.answers) - 1)], issued, calls)
        case Either():
            return [answer for each in stub.answers for answer in answers_of(each, issued, calls)]
        case _:
            return [answer_of(stub, issued, calls)]


def _called(stub: Callable[..., Any], issued: Issued) -> Answer:
    """Call a stub with the arguments, as the activity would get them."""
    if issued.definition is not None:
        args, kwargs = issued.definition.arguments.decode(issued.record.payload)
    else:
        assert issued.child is not None and isinstance(issued.command, Child | Call)
        args, kwargs = issued.child.definition.arguments.decode(issued.child.args)
    try:
        value = stub(*args, **kwargs)
    except Exception as error:  # noqa: BLE001  what a stub raises is its answer
        return Raised(error)
    return value if isinstance(value, Returned | Raised | TimedOut | OutcomeLost) else Returned(value)
