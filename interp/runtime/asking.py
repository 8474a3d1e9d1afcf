"""Ask a run: send it a request, wait for the answer; and on the other side, what is refused before it is recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import msgspec

from interp.asking import answer_topic, decode_answer
from interp.codec import ANY
from interp.errors import (
    AskFailed,
    AskRefused,
    AskTimeout,
    AskUnanswered,
    JournalCorrupt,
    NotDecodable,
    RunEnded,
)
from interp.events import Asked
from interp.interpreter import Interpreter
from interp.runtime.streams import Tail, recorded
from interp.store import Item, RunRow, Store

__all__ = ["ANSWERED_BEFORE_THE_FORK", "answer", "has_answer", "objection"]

ANSWERED_BEFORE_THE_FORK = "the run that this one was forked from has answered it; ask under another id"
"""Why a fork refuses a request that its history holds."""


# --- whoever asks -----------------------------------------------------------------------------------------------------


def answer(
    asked: Asked,
    tail: Tail,
    *,
    send: Callable[[Asked], object],
    look: Callable[[Tail], tuple[list[Item], RunRow]],
    wait: Callable[[float | None], object],
    timeout: timedelta | None,
) -> bytes:
    """Send a request, unless it is answered already, and return its answer as JSON.

    Args:
        asked: The request.
        tail: The beginning of the stream in which it is answered.
        send: Makes the request durable.
        look: Looks at the stream.
        wait: Waits until somebody wrote, at most so many seconds.
        timeout: How long to wait for the answer; None for ever.

    Raises:
        AskError: There is no such answer.
        RunEnded: The run had ended before.
        RunParked: The run is set aside; the request stays with it.
        UnknownRun: There is no such run.
    """
    end_s = None if timeout is None else time.monotonic() + timeout.total_seconds()
    items, row = look(tail)
    if not items:
        if row.status.ended:
            raise RunEnded(row.id, row.status)
        try:
            send(asked)
        except RunEnded:
            items, _ = look(tail)  # somebody else asked under the same id, and that was the end of the run
            if not items:
                raise
    while not items:
        items, row = look(tail)
        if items:
            break
        if tail.is_over(row):
            raise AskUnanswered(row.id, asked.name, asked.id, row.status)
        left_s = None if end_s is None else end_s - time.monotonic()
        if left_s is not None and left_s <= 0:
            assert timeout is not None
            raise AskTimeout(row.id, asked.name, asked.id, timeout.total_seconds())
        wait(left_s)
    return _value(tail, asked, items[0])


def _value(tail: Tail, asked: Asked, item: Item) -> bytes:
    """Return the value of an answer; the first one counts."""
    try:
        found = decode_answer(recorded(tail.run_id, tail.topic, item).payload)
    except msgspec.MsgspecError as error:
        raise JournalCorrupt(f"the answer to request {asked.id!r} of run {tail.run_id!r}", str(error)) from None
    if found.how == "ok":
        return found.value
    kind = AskFailed if found.how == "error" else AskRefused
    raise kind(tail.run_id, asked.name, asked.id, found.text)


# --- the worker -------------------------------------------------------------------------------------------------------


def has_answer(store: Store, run_id: str, request_id: str) -> bool:
    """Whether a request was answered already, in whatever round of the run."""
    return next(store.stream(run_id, answer_topic(request_id)), None) is not None


def objection(interpreter: Interpreter, asked: Asked) -> str:
    """Say why a request is refused before anything of it is recorded; empty when it is not.

    Runs code of the user, which may do anything but is not recorded: what it raises is the reason.

    Args:
        interpreter: The run that is asked, as it stands.
        asked: The request.
    """
    validator = interpreter.definition.validators.get(asked.name)
    if validator is not None:
        state = ANY.encode(interpreter.state)
        try:
            args, kwargs = validator.arguments.decode(b"[%s,%s]" % (asked.payload, state))
        except NotDecodable as misfit:
            return str(misfit)
        try:
            validator.fn(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001  whatever a validator raises is a refusal, `sys.exit` as well
            return _reason(error)
    return interpreter.misfit(asked)


def _reason(error: BaseException) -> str:
    text = str(error)
    if type(error) in (ValueError, Exception) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
