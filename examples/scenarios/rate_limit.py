"""An API allows three requests in any second, and many runs want to use it.

All requests go through one run, the gate, which has three lanes: a lane makes a request, then rests for a second. A
lane makes one request in any second, so that together they never make more than three, wherever the second begins.

That holds over restarts, because the rests are journaled timers. A request whose worker died may have been made: the
gate does not repeat it at once, as a call usually is, but rests first (`on_unknown="fail"`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import attrs

from examples.scenarios import world
from interp import (
    ActivityError,
    Retry,
    Workflow,
    activity,
    await_signal,
    call,
    continue_as,
    gather,
    run_info,
    send,
    sleep,
    workflow,
)
from interp.errors import RunEnded, UnknownRun

__all__ = ["Question", "ask", "gate"]

QUESTIONS_PER_ROUND = 1_000


@attrs.frozen
class Question:
    """What a run wants to know."""

    run_id: str
    text: str


@workflow
def gate(limit: int, window: timedelta) -> Workflow[None]:
    """Let through `limit` requests in any `window`, for ever."""
    budget = iter(range(QUESTIONS_PER_ROUND))
    yield from gather(*[lane(budget, window) for _ in range(limit)])
    yield from continue_as(limit, window)


def lane(budget: Iterator[int], window: timedelta) -> Workflow[None]:
    """Answer one question after the other, and rest after each request, whatever came of it."""
    for _ in budget:
        question = yield from await_signal("ask", Question)
        answer = None
        while answer is None:
            try:
                answer = yield from call(request, question.text)
            except ActivityError:
                yield from sleep(window)
        with suppress(RunEnded, UnknownRun):  # somebody has cancelled the run that asked
            yield from send(question.run_id, "answer", answer)
        yield from sleep(window)


@activity(retry=Retry(attempts=1), on_unknown="fail")
def request(text: str) -> str:
    """Make one request."""
    world.do(f"request {text}")
    return text.upper()


@workflow
def ask(text: str) -> Workflow[str]:
    """Ask something, when it is our turn."""
    info = yield from run_info()
    yield from send("gate", "ask", Question(info.id, text))
    return (yield from await_signal("answer", str))
