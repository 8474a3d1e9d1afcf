"""Fork a run: a new one begins with the first records of another, and goes on live from there.

What the records hold is not executed again. Calls that wait at the cut are made by the new run, with idempotency keys
of its own. Results can be given by hand: one that the records hold is replaced, a call that waits gets one and is not
made.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import msgspec

from interp.codec import ANY
from interp.definitions import WorkflowDefinition, find_workflow
from interp.errors import NondeterminismError, NotDecodable, NotEncodable, RunExists, UnknownRun, UsageError
from interp.events import Origin, Rejected, Resolved, Started, Transition, encode_event, encode_transition
from interp.fibers import Issued
from interp.interpreter import Interpreter
from interp.replay import follow, opened
from interp.runtime.live import decoded, microseconds
from interp.store import Create, Store

__all__ = ["Branch", "branch", "fork"]


@attrs.frozen
class Branch:
    """How a fork begins.

    Attributes:
        records: The records that it takes over.
        given: Results of calls that wait after them, in the order in which the run gets them.
        state: What the workflow has annotated so far: a JSON object, or empty.
    """

    records: tuple[Transition, ...]
    given: tuple[Resolved, ...]
    state: bytes


def fork(
    store: Store,
    run_id: str,
    *,
    at: int,
    results: Mapping[str, Any] | None = None,
    id: str | None = None,
    definition: WorkflowDefinition | None = None,
) -> str:
    """Start a new run from the first records of another; it is durable on return, and the next worker moves it.

    Args:
        store: The store of both.
        run_id: The run to fork; it stays as it is.
        at: How many records are taken over: those with index 0 to `at - 1`.
        results: Results of calls by command id: values as the activities return them, or JSON as `msgspec.Raw`.
        id: The id of the new run; a random one by default. The same fork again under this id is the run that exists.
        definition: The workflow; the one registered under the name by default.

    Returns:
        The id of the new run.

    Raises:
        NondeterminismError: The records do not fit the code as it is now; nothing was created.
        UnknownRun: There is no such run.
        UnknownWorkflow: Its workflow is not registered.
        RunExists: The id is taken by something else.
        UsageError: The run has not so many records, or has ended with them, or a result belongs to no call.
    """
    row = store.run(run_id)
    if row is None:
        raise UnknownRun(run_id, store.url)
    now = datetime.now(UTC)
    new_id = secrets.token_hex(8) if id is None else id
    history = tuple(itertools.islice(decoded(run_id, store.history(run_id)), max(at, 0)))
    if not 0 < at == len(history):
        raise UsageError(f"at={at}: run {run_id!r} has {row.length} records; give how many to take over, 1 or more")
    begun = branch(definition or find_workflow(row.workflow), history, results or {}, (run_id, new_id), now)
    records = [encode_transition(record) for record in begun.records]
    messages = [encode_event(event) for event in begun.given]
    digest = hashlib.blake2b(b"".join([*records, *messages]), digest_size=16).digest()
    create = Create(new_id, row.workflow, digest, b"", records=records, messages=messages, attributes=begun.state)
    try:
        store.create(create, microseconds(now))
    except RunExists as error:
        raise attrs.evolve(error, requested=f"a fork of run {run_id!r} at record {at}") from None
    return new_id


def branch(
    definition: WorkflowDefinition,
    history: Sequence[Transition],
    results: Mapping[str, Any],
    ids: tuple[str, str],
    now: datetime,
) -> Branch:
    """Replay records as those of a new run, with results that are given by hand. Pure.

    A result that the last record holds is not replaced but taken back and given anew, so that the new run may go
    another way from there. One that is followed by other records must lead to the same ones.

    Args:
        definition: The workflow.
        history: The records, from index 0 on.
        results: Results of calls by command id.
        ids: The run that is forked, and the new one.
        now: When the results are given.
    """
    origin, run_id = ids
    kept = _cut(history, results)
    if kept[-1].outcome is not None:
        last = kept[-1].index
        raise UsageError(f"at={len(history)}: record {last} ends run {origin!r}; a fork can take over {last} at most")
    records = _with_origin(kept, Origin(origin, len(kept), tuple(results)))
    interpreter = opened(definition, records[0], run_id)
    try:
        taken = tuple(_followed(interpreter, records, results))
        _check_children(interpreter, origin)
        state = ANY.encode(interpreter.state) if interpreter.state else b""
        answered = {_answered(record) for record in kept}
        again = (_answered(record) for record in history[len(kept) :])
        wanted = dict.fromkeys(each for each in (*again, *results) if each not in answered)
        given = tuple(_given(interpreter, each, results[each], now) for each in wanted)
    except NondeterminismError as error:
        raise _refused(error, origin, [record.index for record in kept if _answered(record) in results]) from None
    finally:
        interpreter.close()
    return Branch(taken, given, state)


def _check_children(interpreter: Interpreter, origin: str) -> None:
    """Refuse a cut at which children are open: they report to the run that started them, and to no other."""
    waiting = [issued.child.run_id for issued in interpreter.pending.values() if issued.child is not None]
    if waiting:
        raise UsageError(
            f"at={interpreter.length}: run {origin!r} waits there for its child {waiting[0]!r}, which would never tell "
            "the fork\n  Take fewer records, so that the fork starts a child of its own, or more, so that it has ended."
        )


def _answered(record: Transition) -> str:
    """Return the call whose answer a record holds, or nothing."""
    return record.cause.id if isinstance(record.cause, (Resolved, Rejected)) else ""


def _cut(history: Sequence[Transition], results: Mapping[str, Any]) -> Sequence[Transition]:
    """Leave out the last records as long as they hold answers that are given anew."""
    length = len(history)
    while _answered(history[length - 1]) in results:
        length -= 1
    return history[:length]


def _with_origin(records: Sequence[Transition], origin: Origin) -> Sequence[Transition]:
    """Note in the first record where the records come from: of a fork of a fork, all the way back."""
    first = records[0]
    if not isinstance(first.cause, Started):
        return records  # damaged, as `opened` will tell
    before = first.cause.forked_from
    chain = tuple(Origin(each.run_id, min(each.length, origin.length), each.given) for each in before)
    # Nobody waits for the fork: the end of a child that was forked must not be taken for the child's.
    started = msgspec.structs.replace(first.cause, forked_from=(*chain, origin), parent=None, tells=None)
    return [msgspec.structs.replace(first, cause=started), *records[1:]]


def _followed(
    interpreter: Interpreter, records: Iterable[Transition], results: Mapping[str, Any]
) -> Iterator[Transition]:
    """Replay the records, with other results in those that hold one that is given."""
    for record in records:
        issued = interpreter.pending.get(_answered(record))
        if issued is not None and issued.id in results:
            cause = Resolved(issued.id, _payload(issued, results[issued.id]), issued.attempt)
            record = msgspec.structs.replace(record, cause=cause)
        follow(interpreter, record)
        yield record


def _given(interpreter: Interpreter, command_id: str, value: Any, now: datetime) -> Resolved:
    """Give a call that waits its result; the new run will get it as its first message."""
    issued = interpreter.pending.get(command_id)
    if issued is None:
        raise UsageError(f"results: no call {command_id!r} is answered by the records taken over, or waits after them")
    event = Resolved(command_id, _payload(issued, value), issued.attempt)
    interpreter.feed(event, now)
    return event


def _payload(issued: Issued, value: Any) -> bytes:
    """Encode a result as its activity declares it."""
    if issued.definition is None:
        kind = issued.record.kind
        raise UsageError(f"results: command {issued.id!r} is no call but {kind}; only calls have results")
    codec = issued.definition.arguments.result
    try:
        return codec.encode(codec.decode(bytes(value)) if isinstance(value, msgspec.Raw) else value)
    except (NotDecodable, NotEncodable) as error:
        path = f"result of {issued.record.target} (command {issued.id}){error.path.removeprefix('$')}"
        raise attrs.evolve(error, path=path) from None


def _refused(error: NondeterminismError, origin: str, replaced: Sequence[int]) -> NondeterminismError:
    """Say that nothing was created, and where to fork if it is a new result that changes what follows."""
    refused = attrs.evolve(error, run_id=origin)
    refused.add_note("The fork was not made.")
    cause = max((index for index in replaced if index <= error.index), default=None)
    if cause is not None:
        refused.add_note(f"A result that was given changes what follows record {cause}: fork at {cause + 1}.")
    return refused
