"""Feed a history to the code as it is now, compare, and stand at its end.

For every record the interpreter is fed the cause, and what it answers is compared with what the record holds, in both
directions: kind, target, arguments, id, order, count and outcome. The first difference is a `NondeterminismError`.
Where a command stands in the source, and the options of a call, are not compared. Neither is `patched`: its answer
comes from the record, and once no old history needs the guard any more it may simply be deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest

import attrs

from interp.codec import canonical, render_value
from interp.definitions import WorkflowDefinition
from interp.errors import JournalCorrupt, NondeterminismError
from interp.events import (
    Completed,
    ContinuedAs,
    Failed,
    Outcome,
    Record,
    Started,
    Transition,
    WasCancelled,
)
from interp.fibers import Issued
from interp.interpreter import Interpreter, Step, UnexpectedEvent

__all__ = ["Replayed", "describe", "follow", "opened", "replay"]

# The kinds of command that call a function of the user's.
_CALLS = ("call", "transact")

_CHANGED = (
    "The code changed while this run was open. Guard the change with {guard}, or finish old runs first.\n"
    "If it did not change, the workflow is not deterministic: clock, random numbers, the environment\n"
    "and the order of sets belong into activities, or into now(), random() and uuid()."
)


@attrs.frozen(eq=False)
class Replayed:
    """A run that stands at the end of its history.

    Attributes:
        interpreter: The run; whoever asked for the replay closes it.
        tolerated: How many commands had other arguments than recorded, where `names` accepts that.
        last: The last record, or None for an empty history.
    """

    interpreter: Interpreter
    tolerated: int
    last: Transition | None


def replay(definition: WorkflowDefinition, history: Iterable[Transition], *, run_id: str) -> Replayed:
    """Feed a history to a workflow and compare every answer.

    Args:
        definition: The workflow as it is now.
        history: The records, from index 0 on; must not be empty.
        run_id: The id of the run.

    Returns:
        The run at the end of the history.

    Raises:
        NondeterminismError: Code and history differ; nothing of the run is left alive.
        UndecodableHistory: A recorded value does not fit its declared type any more.
        JournalCorrupt: The history has a gap, or does not begin with a start.
    """
    interpreter: Interpreter | None = None
    tolerated = 0
    last = None
    try:
        for last in history:
            if interpreter is None:
                interpreter = opened(definition, last, run_id)
            tolerated += follow(interpreter, last)
        if interpreter is None:
            raise JournalCorrupt(f"the history of run {run_id!r}", "it is empty")
    except BaseException:
        if interpreter is not None:
            interpreter.close()
        raise
    return Replayed(interpreter, tolerated, last)


def opened(definition: WorkflowDefinition, first: Transition, run_id: str) -> Interpreter:
    """Return the run that begins with this record, which it is yet to be fed.

    Raises:
        JournalCorrupt: It is no beginning.
    """
    if first.index != 0 or not isinstance(first.cause, Started):
        found = type(first.cause).__name__
        raise JournalCorrupt(f"the history of run {run_id!r}", f"it begins with {found}, not with a start")
    return Interpreter(definition, first.cause, run_id)


def follow(interpreter: Interpreter, transition: Transition) -> int:
    """Feed the next record to a run and compare its answer; returns how many differences the policy accepts.

    Raises:
        ReplayError: As for `replay`; the run is of no more use.
        JournalCorrupt: It is not the next record.
    """
    if transition.index != interpreter.length:
        raise JournalCorrupt(
            f"the history of run {interpreter.run_id!r}",
            f"record {interpreter.length} is followed by {transition.index}",
        )
    return _compare(interpreter, _fed(interpreter, transition), transition)


def _fed(interpreter: Interpreter, transition: Transition) -> Step:
    patches: tuple[str, ...] = ()
    for command in transition.commands:
        if command.kind == "patched":
            patches += (command.target,)
    if interpreter.outcome is not None:
        raise _outcome_differs(interpreter, transition, "the run goes on", interpreter.outcome)
    if transition.index == 0:
        return interpreter.start(transition.at, patches)
    try:
        return interpreter.feed(transition.cause, transition.at, patches)
    except UnexpectedEvent as unexpected:
        raise NondeterminismError(
            run_id=interpreter.run_id,
            index=transition.index,
            command_id=unexpected.command_id,
            recorded=f"the answer to command {unexpected.command_id}",
            yielded=None,
            recorded_at=None,
            yielded_at=None,
            stack=_stack(interpreter, ""),
            hint=f"The code no longer waits for command {unexpected.command_id} here.\n{_changed('')}",
        ) from None


def _compare(interpreter: Interpreter, step: Step, transition: Transition) -> int:
    """Compare an answer with the record; returns how many differences the policy accepts."""
    recorded, yielded = transition.commands, step.commands
    if len(recorded) == len(yielded) == 1 and recorded[0] == yielded[0].record and transition.outcome is step.outcome:
        return 0  # most records, compared as structs; the line of the yield is a part of them, which may differ
    tolerated = 0
    if len(recorded) != len(yielded) or any(command.kind == "patched" for command in recorded):
        recorded = tuple(command for command in recorded if command.kind != "patched")
        yielded = tuple(issued for issued in yielded if issued.record.kind != "patched")
    for old, new in zip_longest(recorded, yielded):
        if old is None or new is None or not _same(old, new):
            if old is not None and new is not None and new.compare == "names" and _same_name(old, new.record):
                tolerated += 1
                continue
            raise _differs(interpreter, transition, old, new)
    if not _same_outcome(transition.outcome, step.outcome):
        raise _outcome_differs(interpreter, transition, _say(transition.outcome), step.outcome)
    return tolerated


def _same(old: Record, new: Issued) -> bool:
    record = new.record
    return _same_name(old, record) and (
        old.payload == record.payload or canonical(old.payload) == canonical(record.payload)
    )


def _same_name(old: Record, new: Record) -> bool:
    return old.id == new.id and old.kind == new.kind and old.target == new.target


def _same_outcome(old: Outcome | None, new: Outcome | None) -> bool:
    match old, new:
        case (Completed(), Completed()):
            return old.payload == new.payload or canonical(old.payload) == canonical(new.payload)
        case (Failed(), Failed()):
            return old.failure.type_name == new.failure.type_name
        case (ContinuedAs(), ContinuedAs()):
            return canonical(old.started.args) == canonical(new.started.args)
        case _:
            return type(old) is type(new)


# The error. Built only when something differs.


def _differs(
    interpreter: Interpreter, transition: Transition, old: Record | None, new: Issued | None
) -> NondeterminismError:
    fiber_id = new.fiber.id if new is not None else _fiber_of(old)
    if old is not None and new is not None:
        recorded, yielded = _both(old, new)
        renamed = (
            old.kind == new.record.kind
            and old.kind in _CALLS
            and old.id == new.record.id
            and old.payload == new.record.payload
        )
        cure = f'If it was only renamed, keep its old name: @activity(name="{old.target}").\n' if renamed else ""
        hint = cure + _changed(old.target or new.record.target)
    elif old is not None:
        recorded, yielded = describe(old), None
        hint = f"The history holds a command that the code no longer yields.\n{_changed(old.target)}"
    else:
        assert new is not None
        recorded, yielded = None, describe(new.record, new)
        hint = f"The code yields a command that the history does not hold.\n{_changed(new.record.target)}"
    known = new.record if new is not None else old
    assert known is not None
    return NondeterminismError(
        run_id=interpreter.run_id,
        index=transition.index,
        command_id=(old or known).id,
        recorded=recorded,
        yielded=yielded,
        recorded_at=old.where if old is not None else None,
        yielded_at=new.record.where if new is not None else _here(interpreter, fiber_id),
        stack=_stack(interpreter, fiber_id),
        hint=hint,
    )


def _outcome_differs(
    interpreter: Interpreter, transition: Transition, recorded: str, outcome: Outcome | None
) -> NondeterminismError:
    return NondeterminismError(
        run_id=interpreter.run_id,
        index=transition.index,
        command_id=None,
        recorded=recorded,
        yielded=_say(outcome),
        recorded_at=None,
        yielded_at=_here(interpreter, ""),
        stack=_stack(interpreter, ""),
        hint=_changed(""),
    )


def _changed(name: str) -> str:
    return _CHANGED.format(guard=f'patched("{name}")' if name else "patched(...)")


def _fiber_of(record: Record | None) -> str:
    """Return the id of the fiber that yielded a recorded command."""
    return record.id.rpartition(".")[0] if record is not None else ""


def _stack(interpreter: Interpreter, fiber_id: str) -> tuple[tuple[str, int, str], ...]:
    """Say where a fiber stands; if it has ended, where the root does."""
    stack = interpreter.stack(fiber_id) or interpreter.stack()
    return tuple((frame.file, frame.line, frame.function) for frame in stack)


def _here(interpreter: Interpreter, fiber_id: str) -> str | None:
    stack = _stack(interpreter, fiber_id)
    return f"{stack[-1][0].rpartition('/')[2]}:{stack[-1][1]}" if stack else None


def _say(outcome: Outcome | None) -> str:
    match outcome:
        case None:
            return "the run goes on"
        case Completed():
            return f"the run returns {render_value(outcome.payload)}"
        case Failed():
            return f"the run fails with {outcome.failure.type_name}: {outcome.failure.message}"
        case WasCancelled():
            return "the run ends cancelled"
        case ContinuedAs():
            return f"the run continues as {render_value(outcome.started.args)}"


def _both(old: Record, new: Issued) -> tuple[str, str]:
    """Describe two commands so that the difference is seen."""
    same_activity = old.target == new.record.target
    recorded, yielded = describe(old, new if same_activity else None), describe(new.record, new)
    if recorded == yielded and old.payload != new.record.payload:
        recorded, yielded = _contrast(old.payload.decode(), new.record.payload.decode())
        name = f"{old.kind} {old.target}".rstrip()
        recorded, yielded = f"{name}({recorded})", f"{name}({yielded})"
    if old.id != new.record.id:
        recorded, yielded = f"{recorded} as command {old.id}", f"{yielded} as command {new.record.id}"
    return recorded, yielded


def _contrast(old: str, new: str, context: int = 30) -> tuple[str, str]:
    """Show two long texts around the place where they part."""
    same = next((at for at, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start = max(0, same - context)
    return tuple(  # type: ignore[return-value]  # a pair in, a pair out
        ("..." if start else "") + text[start : same + context] + ("..." if len(text) > same + context else "")
        for text in (old, new)
    )


def describe(record: Record, issued: Issued | None = None) -> str:
    """Show a recorded command on one line, such as `call charge_card(order='7')`.

    Args:
        record: The command.
        issued: The same command as the code yields it, if it does: it knows the names of the parameters.
    """
    if record.kind in _CALLS:
        if issued is not None and issued.definition is not None and issued.definition.name == record.target:
            return f"{record.kind} {record.target}({issued.definition.arguments.render(record.payload)})"
        return f"{record.kind} {record.target}({render_value(record.payload)[1:-1]})"
    name = f"{record.kind} {record.target!r}" if record.target else record.kind
    arguments = render_value(record.payload)
    inner = arguments[1:-1] if arguments.startswith("[") else arguments
    match record.kind:
        case "sleep":
            return f"{name} {inner} s"
        case "await_signal" | "await_request":
            return name if inner in ("null", "None") else f"{name} timeout={inner} s"
        case "sleep_until" | "annotate":
            return f"{name} {inner}"
        case "child" | "send":
            return f"{record.kind} {record.target}({inner})"
        case "emit":
            return f"{name} {arguments}"
        case _:
            return name
