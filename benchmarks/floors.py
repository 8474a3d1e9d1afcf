"""The least that durable steps take in Python: bare loops of what no library like this one can leave out.

They take the happy path and nothing else: no state machine, no retries, no signals, no errors, no other process, and
nothing to look at. They use the library's own encodings, so that they write the same records. What lies between them
and `benchmarks.anatomy` is what a library costs; what lies below them is out of reach for anything in Python that
decodes, compares, writes and syncs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import lmdb

from interp import Call, Workflow
from interp.definitions import ActivityDefinition, activity_of
from interp.events import Completed, Record, Resolved, Started, Transition, decode_transition, encode_transition

__all__ = ["chained", "replayed", "steps_at_once", "waking"]

_WAKINGS = 1_000


def replayed(code: Workflow[Any], definition: ActivityDefinition, records: Iterable[bytes]) -> None:
    """Replay a chain of calls of one activity: decode each record, send its result, compare the arguments asked next.

    Args:
        code: The workflow, which has not begun.
        definition: The activity.
        records: What was recorded of it.
    """
    arguments = definition.arguments
    for data in records:
        record = decode_transition(data)
        if record.outcome is not None:
            return
        cause = record.cause
        sent = arguments.decode_result(cause.payload) if isinstance(cause, Resolved) else None
        asked: Any = code.send(sent)
        assert arguments.encode(asked.args, asked.kwargs) == record.commands[0].payload, "the code has changed"


def chained(directory: Path, code: Workflow[Any]) -> float:
    """Run one chain of calls, with its activities, on this thread; each step waits for the commit of the one before.

    Args:
        directory: Where to put an environment of LMDB.
        code: The workflow, which has not begun.

    Returns:
        The seconds from the first step to the result.
    """
    index, result, definition = 0, b"", None
    with lmdb.open(str(directory), map_size=1 << 30, max_dbs=1) as env:
        journal = env.open_db(b"journal")  # a store has more than one table
        begin = time.perf_counter()
        while True:
            data, call = _step(code, index, result, definition, datetime.now(UTC))
            with env.begin(write=True) as txn:
                txn.put(index.to_bytes(8, "big"), data, db=journal)
            if call is None:
                return time.perf_counter() - begin
            definition, result = _acted(*call)
            index += 1


def _acted(command: Call[Any], payload: bytes) -> tuple[ActivityDefinition, bytes]:
    """Run the activity of a call; returns it, and its result."""
    definition = activity_of(command.fn)
    args, kwargs = definition.arguments.decode(payload)
    return definition, definition.arguments.encode_result(definition.fn(*args, **kwargs))


def steps_at_once(directory: Path, codes: Sequence[Workflow[Any]]) -> float:
    """Run chains of calls side by side, their activities on one other thread; what all ask for shares a commit.

    Args:
        directory: Where to put an environment of LMDB.
        codes: The workflows, which have not begun.

    Returns:
        The seconds from the first step to the last result.
    """
    asked: SimpleQueue[tuple[int, Call[Any], bytes] | None] = SimpleQueue()
    ended: SimpleQueue[tuple[int, bytes, ActivityDefinition]] = SimpleQueue()

    def act() -> None:
        while (call := asked.get()) is not None:
            run, command, payload = call
            definition, result = _acted(command, payload)
            ended.put((run, result, definition))

    threading.Thread(target=act, daemon=True).start()
    lengths = [0] * len(codes)
    with lmdb.open(str(directory), map_size=1 << 30) as env:
        begin = time.perf_counter()
        moves: list[tuple[int, bytes, ActivityDefinition | None]] = [(run, b"", None) for run in range(len(codes))]
        while moves:
            now, calls = datetime.now(UTC), []
            with env.begin(write=True) as txn:
                for run, result, definition in moves:
                    data, call = _step(codes[run], lengths[run], result, definition, now)
                    txn.put(run.to_bytes(8, "big") + lengths[run].to_bytes(4, "big"), data)
                    lengths[run] += 1
                    if call is not None:
                        calls.append((run, *call))
            for each in calls:
                asked.put(each)
            moves = [ended.get() for _ in calls]
        asked.put(None)
        return time.perf_counter() - begin


def _step(
    code: Workflow[Any], index: int, result: bytes, definition: ActivityDefinition | None, now: datetime
) -> tuple[bytes, tuple[Call[Any], bytes] | None]:
    """Move a workflow by one result; returns its record, and the call that it makes."""
    cause = Resolved(str(index), result, 1, now) if index else Started("floor", b"[]", b"")
    try:
        command: Any = code.send(None if definition is None else definition.arguments.decode_result(result))
    except StopIteration:
        return encode_transition(Transition(index, now, cause, (), Completed(result))), None
    called = activity_of(command.fn)
    payload = called.arguments.encode(command.args, command.kwargs)
    record = Record(str(index + 1), "call", called.name, payload, "floors.py:1")
    return encode_transition(Transition(index, now, cause, (record,))), (command, payload)


def waking() -> float:
    """Return the seconds that it takes to wake another thread: two of them wake each other in turns."""
    ours, theirs = threading.Lock(), threading.Lock()
    ours.acquire()
    theirs.acquire()

    def answer() -> None:
        for _ in range(_WAKINGS):
            theirs.acquire()
            ours.release()

    thread = threading.Thread(target=answer)
    thread.start()
    begin = time.perf_counter()
    for _ in range(_WAKINGS):
        theirs.release()
        ours.acquire()
    elapsed = time.perf_counter() - begin
    thread.join()
    return elapsed / (2 * _WAKINGS)
