"""What calls did over time: at work, queued, waiting to try again, or nobody knows. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import attrs

from interp.explore.commands import CALLS
from interp.outline.nodes import Node, State

__all__ = ["AT_WORK", "QUEUED", "RETRY", "UNKNOWN", "Doing", "doings"]

AT_WORK, QUEUED, RETRY, UNKNOWN = "at work", "queued", "waits to try again", "worker lost"


@attrs.frozen
class Doing:
    """What a call did for a while.

    Attributes:
        activity: Name of the activity.
        what: `at work`, `queued`, `waits to try again`, `worker lost`.
        begin: From when.
        end: Until when.
    """

    activity: str
    what: str
    begin: datetime
    end: datetime


def doings(node: Node, until: datetime) -> Iterator[Doing]:
    """Give what a call did, in order.

    Args:
        node: The call.
        until: The last moment that is known of its run, for what has not ended.
    """
    if node.record.kind not in CALLS:
        return
    name, ready = node.record.target, node.at
    for attempt in node.tries:
        if attempt.begun is None:
            yield Doing(name, UNKNOWN, ready, attempt.ended)
        else:
            yield Doing(name, QUEUED, ready, attempt.begun)
            yield Doing(name, AT_WORK, attempt.begun, attempt.ended)
        ready = attempt.ended
        if attempt.retry_at is not None:
            retry_at = min(attempt.retry_at, node.ended or until)
            yield Doing(name, RETRY, attempt.ended, retry_at)
            ready = max(retry_at, attempt.ended)
    ended = node.ended or until
    if node.begun is not None:
        yield Doing(name, QUEUED, ready, node.begun)
        yield Doing(name, AT_WORK, node.begun, ended)
    elif node.state is State.WAITS and ended > ready:
        yield Doing(name, QUEUED, ready, ended)  # or at work: that is recorded when it ends
