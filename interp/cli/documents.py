"""What --json writes: runs and histories as plain values. docs/reference/cli.md tells the shapes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from interp.events import (
    CancelRequested,
    Completed,
    ContinuedAs,
    Failed,
    Failure,
    Outcome,
    Outgrown,
    Retried,
    Transition,
    WasCancelled,
    WorkerLost,
)
from interp.outline.nodes import Happening, Node, Try
from interp.outline.tree import Tree
from interp.runtime.attempts import idempotency_key
from interp.runtime.live import moment
from interp.runtime.repeated import RepeatedCall
from interp.store import RunRow

__all__ = ["history_document", "record_documents", "repeated_documents", "run_document", "wait_documents"]


def run_document(row: RunRow) -> dict[str, Any]:
    """Describe a run as the store lists it."""
    return {
        "id": row.id,
        "workflow": row.workflow,
        "status": row.status.value,
        "records": row.length,
        "created": moment(row.created_us),
        "updated": moment(row.updated_us),
        "due": None if row.due_us is None else moment(row.due_us),
        "worker": row.owner,
        "state": msgspec.Raw(row.attributes or b"{}"),
        "reason": row.reason,
    }


def wait_documents(tree: Tree) -> list[dict[str, Any]]:
    """Describe what a run waits for."""
    if tree.outcome is not None:
        return []
    return [
        {
            "id": node.id,
            "kind": node.record.kind,
            "target": node.record.target,
            "where": node.record.where,
            "since": node.at,
            "due": node.due,
        }
        for node in tree.waiting.values()
    ]


def history_document(tree: Tree) -> dict[str, Any]:
    """Describe a history: the commands in the order in which they were yielded, and what happened around them."""
    started = tree.started
    return {
        "arguments": None if started is None else msgspec.Raw(started.args),
        "round": tree.round,
        "started": tree.at,
        "forked_from": []
        if started is None
        else [{"run": each.run_id, "records": each.length, "given": each.given} for each in started.forked_from],
        "commands": [_command(node) for node in tree.nodes.values()],
        "failures": [] if started is None else [_failure(failure) for failure in started.failures],
        "events": [_happening(happening) for happening in tree.happenings],
        "mailbox": [
            {
                "request" if letter.request_id else "signal": letter.name,
                "payload": msgspec.Raw(letter.payload),
                "at": letter.at,
                **({"id": letter.request_id} if letter.request_id else {}),
            }
            for letter in tree.mailbox
        ],
        "waits_for": wait_documents(tree),
        "outcome": None if tree.outcome is None else _outcome(tree.outcome),
    }


def repeated_documents(run_id: str, round: int, calls: Iterable[RepeatedCall]) -> list[dict[str, Any]]:
    """Describe the calls that may have happened twice."""
    return [
        {
            "id": call.id,
            "activity": call.activity,
            "where": call.where,
            "attempts": call.attempts,
            "idempotency_key": idempotency_key(run_id, round, call.id),
        }
        for call in calls
    ]


def _happening(happening: Happening) -> dict[str, Any]:
    event, at = happening.event, happening.at
    match event:
        case WorkerLost():
            return {"event": "worker_lost", "at": at, "worker": event.worker, "successor": event.successor}
        case CancelRequested():
            return {"event": "cancel_requested", "at": at, "reason": event.reason}
        case Retried():
            call = None if event.rejected is None else event.rejected.id
            return {"event": "retried", "at": at, "failure": _failure(event.failure), "call": call}
        case Outgrown():
            replay_s = event.replay_us / 1e6 if event.replay_us else None
            return {"event": "long_history", "at": at, "records": event.records, "replay_s": replay_s}


def _command(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": node.record.kind,
        "target": node.record.target,
        "arguments": msgspec.Raw(node.record.payload),
        "where": node.record.where,
        "at": node.at,
        "state": node.state.value,
        "ended": node.ended,
        "result": None if node.payload is None else msgspec.Raw(node.payload),
        "failure": None if node.failure is None else _failure(node.failure),
        "attempt": node.attempt,
        "earlier_attempts": [_try(attempt) for attempt in node.tries],
    }


def _try(attempt: Try) -> dict[str, Any]:
    return {
        "attempt": attempt.number,
        "begun": attempt.begun,
        "ended": attempt.ended,
        "failure": None if attempt.failure is None else _failure(attempt.failure),
        "retry_at": attempt.retry_at,
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {"type": failure.type_name, "message": failure.message, "traceback": failure.traceback}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    match outcome:
        case Completed():
            return {"status": "completed", "result": msgspec.Raw(outcome.payload)}
        case Failed():
            return {"status": "failed", "failure": _failure(outcome.failure)}
        case WasCancelled():
            return {"status": "cancelled", "reason": outcome.reason}
        case ContinuedAs():
            return {"status": "continued", "arguments": msgspec.Raw(outcome.started.args)}


def record_documents(history: Iterable[Transition]) -> list[dict[str, Any]]:
    """Describe each record for machines."""
    return [
        {
            "index": record.index,
            "at": record.at,
            "cause": record.cause.__struct_config__.tag,
            "id": getattr(record.cause, "id", None) or None,
            "commands": [command.id for command in record.commands],
            "outcome": None if record.outcome is None else record.outcome.__struct_config__.tag,
        }
        for record in history
    ]
