"""A command that is made and not yielded: mypy tells, if asked to; pyright does not. Never run: mypy reads it."""

from __future__ import annotations

from datetime import timedelta

from interp import Workflow, activity, call, gather, sleep


@activity
def charge(order: str) -> str:
    raise NotImplementedError


def forgetful(order: str) -> Workflow[None]:
    yield from sleep(timedelta(hours=1))
    sleep(timedelta(hours=1))  # type: ignore[unused-awaitable]
    call(charge, order)  # type: ignore[unused-awaitable]
    gather(call(charge, order))  # type: ignore[unused-awaitable]
