"""Somebody must approve, is reminded every day, and has three days.

A decision that comes before the workflow waits for it counts. Killed at any moment, and however long nobody runs it,
the run goes on with the reminders and the deadline that it had: no reminder is sent twice, and the days go on counting.
"""

from __future__ import annotations

from datetime import timedelta

import attrs

from examples.scenarios import world
from interp import PartTimeout, SignalTimeout, Workflow, activity, await_signal, call, timeout, workflow

__all__ = ["Decision", "approval"]

REMIND_EVERY = timedelta(days=1)
DEADLINE = timedelta(days=3)


@attrs.frozen
class Decision:
    """What somebody decided."""

    approved: bool
    by: str


@workflow
def approval(request: str) -> Workflow[str]:
    """Ask for a decision; no answer is a no."""
    yield from call(mail, f"please decide on {request}")
    try:
        decision = yield from timeout(DEADLINE, reminded(request))
    except PartTimeout:
        yield from call(mail, f"nobody decided on {request}")
        return "expired"
    return f"{'approved' if decision.approved else 'refused'} by {decision.by}"


def reminded(request: str) -> Workflow[Decision]:
    """Wait for the decision, and remind whoever should make it."""
    while True:
        try:
            return (yield from await_signal("decide", Decision, timeout=REMIND_EVERY))
        except SignalTimeout:
            yield from call(mail, f"still waiting for {request}")


@activity
def mail(text: str) -> None:
    """Send a mail."""
    world.do(f"mail: {text}")
