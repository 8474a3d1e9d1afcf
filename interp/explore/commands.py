"""Histories as rows: one per command, one per record.

One history is in memory at a time, whatever the number of runs; of a record that cannot be read only the number is
kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import attrs

from interp.events import Failure, Record, Transition
from interp.explore.frames import Frame, Kind
from interp.outline.nodes import Node, State
from interp.outline.tree import tree_of
from interp.outline.words import elide, failure_line, one_line, recorded

__all__ = ["CALLS", "Attempts", "Past", "attempts_of", "commands_frame", "records_frame", "short_name"]

# Characters of arguments, results and failures.
_VALUE = 120


@attrs.frozen
class Past:
    """What can be read of a run's history.

    Attributes:
        run: The run id.
        workflow: Name of its workflow.
        history: The records that can be read.
        damaged: How many cannot.
    """

    run: str
    workflow: str
    history: Sequence[Transition]
    damaged: int = 0


@attrs.frozen
class Attempts:
    """What the attempts of a call come to, in seconds.

    Attributes:
        number: How many there were.
        begun: When the first one began; None when none did, or its worker was lost.
        queued_s: How long the call was ready and no worker had begun an attempt, over all attempts.
        took_s: How long the attempt took that gave the answer; None without an answer.
        worked_s: How long all attempts together took; those of lost workers are unknown, and left out.
        failed: How many failed.
        lost: How many were lost with their workers.
    """

    number: int
    begun: datetime | None
    queued_s: float | None
    took_s: float | None
    worked_s: float | None
    failed: int
    lost: int


def attempts_of(node: Node) -> Attempts:
    """Add the attempts of a command up."""
    ready, begun = node.at, node.begun if not node.tries else node.tries[0].begun
    queued = worked = 0.0
    is_known = False
    failed = lost = 0
    for attempt in node.tries:
        if attempt.failure is None:
            lost += 1
            ready = attempt.ended
            continue
        failed += 1
        if attempt.begun is not None:
            is_known = True
            queued += max((attempt.begun - ready).total_seconds(), 0.0)
            worked += (attempt.ended - attempt.begun).total_seconds()
        ready = attempt.retry_at or attempt.ended
    took = None
    if node.begun is not None and node.ended is not None:
        is_known = True
        took = (node.ended - node.begun).total_seconds()
        queued += max((node.begun - ready).total_seconds(), 0.0)
        worked += took
    # A deadline may pass between two attempts, and a reconcile function answer for a lost one: that is no attempt more.
    is_another = node.state in _ANSWERED and (not node.tries or node.attempt > node.tries[-1].number)
    failed += is_another and node.state is State.FAILED
    number = len(node.tries) + is_another
    return Attempts(number, begun, queued if is_known else None, took, worked if is_known else None, failed, lost)


CALLS = frozenset({"call", "transact"})
"""The kinds of commands that have attempts."""

# Their payload is a list of nothing but arguments.
_PLAIN = CALLS | {"sleep", "sleep_until", "await_signal", "await_request"}

_ANSWERED = frozenset({State.DONE, State.FAILED})


def _command(run: str, workflow: str, node: Node) -> tuple[Any, ...]:
    record, failure = node.record, node.failure
    attempts = attempts_of(node) if record.kind in CALLS else None
    total = None if node.ended is None else (node.ended - node.at).total_seconds()
    return (
        run,
        workflow,
        record.id,
        record.kind,
        record.target or None,
        node.fiber,
        _arguments(record),
        None if node.payload is None else _shown(node.payload),
        None if failure is None else elide(failure_line(failure), _VALUE),
        None if failure is None else short_name(failure),
        node.state.value,
        node.at,
        None if attempts is None else attempts.begun,
        node.ended,
        None if attempts is None else attempts.queued_s,
        None if attempts is None else attempts.took_s,
        None if attempts is None else attempts.worked_s,
        total,
        None if attempts is None else attempts.number,
        None if attempts is None else attempts.failed,
        None if attempts is None else attempts.lost,
        record.where or None,
    )


_COMMAND = {
    "run": Kind.TEXT,
    "workflow": Kind.TEXT,
    "command": Kind.TEXT,
    "kind": Kind.TEXT,
    "target": Kind.TEXT,
    "fiber": Kind.TEXT,
    "arguments": Kind.TEXT,
    "result": Kind.TEXT,
    "failure": Kind.TEXT,
    "failure_type": Kind.TEXT,
    "status": Kind.TEXT,
    "yielded_at": Kind.MOMENT,
    "begun_at": Kind.MOMENT,
    "ended_at": Kind.MOMENT,
    "queued_s": Kind.NUMBER,
    "took_s": Kind.NUMBER,
    "worked_s": Kind.NUMBER,
    "total_s": Kind.NUMBER,
    "attempts": Kind.WHOLE,
    "failed_attempts": Kind.WHOLE,
    "lost_attempts": Kind.WHOLE,
    "where": Kind.TEXT,
}

_RECORD = {
    "run": Kind.TEXT,
    "workflow": Kind.TEXT,
    "index": Kind.WHOLE,
    "at": Kind.MOMENT,
    "cause": Kind.TEXT,
    "command": Kind.TEXT,
    "name": Kind.TEXT,
    "attempt": Kind.WHOLE,
    "value": Kind.TEXT,
    "failure": Kind.TEXT,
    "yielded": Kind.WHOLE,
    "outcome": Kind.TEXT,
}


def _record(run: str, workflow: str, transition: Transition) -> tuple[Any, ...]:
    cause: Any = transition.cause
    failure: Failure | None = getattr(cause, "failure", None)
    payload = next((value for name in ("payload", "args", "details") if (value := getattr(cause, name, None))), None)
    outcome = transition.outcome
    return (
        run,
        workflow,
        transition.index,
        transition.at,
        _worded(type(cause).__name__),
        getattr(cause, "id", None),
        getattr(cause, "name", None) or getattr(cause, "workflow", None) or getattr(cause, "worker", None),
        getattr(cause, "attempt", None),
        None if payload is None else _shown(payload),
        None if failure is None else elide(failure_line(failure), _VALUE),
        len(transition.commands),
        None if outcome is None else _worded(type(outcome).__name__),
    )


@lru_cache(maxsize=64)
def _worded(name: str) -> str:
    """Return the name of an event as words: `attempt failed`."""
    return "".join(f" {char.lower()}" if char.isupper() else char for char in name).strip()


@lru_cache(maxsize=4_096)
def _short(payload: bytes) -> str:
    return recorded(payload, _VALUE)


def _shown(payload: bytes) -> str:
    """Show a recorded value; what is short comes again and again (`null`, `"ok"`, `[1]`)."""
    return _short(payload) if len(payload) < 200 else recorded(payload, _VALUE)


def _arguments(record: Record) -> str:
    shown = _shown(record.payload)
    return shown.removeprefix("[").removesuffix("]") if record.kind in _PLAIN else shown


def short_name(failure: Failure) -> str:
    """Return the name of an exception's class without its module."""
    return elide(one_line(failure.type_name.rpartition("<locals>.")[2].rpartition(".")[2]), _VALUE)


def commands_frame(runs: Iterable[Past]) -> Frame:
    """Return one row per command.

    Args:
        runs: Each is looked at once, and let go of.
    """
    return _frame(
        _COMMAND,
        runs,
        lambda past: (_command(past.run, past.workflow, node) for node in tree_of(past.history).nodes.values()),
        "command",
    )


def records_frame(runs: Iterable[Past]) -> Frame:
    """Return one row per record that can be read.

    Args:
        runs: Each is looked at once, and let go of.
    """
    return _frame(
        _RECORD, runs, lambda past: (_record(past.run, past.workflow, each) for each in past.history), "record"
    )


def _frame(
    kinds: dict[str, Kind], runs: Iterable[Past], rows_of: Callable[[Past], Iterator[tuple[Any, ...]]], noun: str
) -> Frame:
    rows: list[tuple[Any, ...]] = []
    damaged = 0
    for past in runs:
        damaged += past.damaged
        rows += rows_of(past)
    values: Iterable[tuple[Any, ...]] = zip(*rows, strict=True) if rows else ((),) * len(kinds)
    columns = {name: (kind, column) for (name, kind), column in zip(kinds.items(), values, strict=True)}
    return Frame(columns, damaged=damaged, noun=noun)
