"""An activity hangs: it is given up after half a minute and tried again.

Its thread cannot be stopped, and may go on for hours. What it returns then is ignored, so that the run has one result.
A run whose worker dies meanwhile makes another attempt; the half minute begins anew with each attempt.
"""

from __future__ import annotations

import time
from datetime import timedelta

from examples.scenarios import world
from interp import Retry, Workflow, activity, call, current_call, workflow

__all__ = ["TIMEOUT", "fetch_report"]

TIMEOUT = timedelta(seconds=30)


@workflow
def fetch_report(name: str) -> Workflow[str]:
    """Fetch a report from a server that does not always answer."""
    return (yield from call(fetch, name))


@activity(timeout=TIMEOUT, retry=Retry(initial=timedelta(0)))
def fetch(name: str) -> str:
    """Ask the server, in a way that has no timeout of its own."""
    attempt = current_call().attempt
    world.do(f"request {attempt} for {name}")
    while world.happened(f"the server is deaf to request {attempt}") and not world.happened("the server wakes up"):
        time.sleep(0.01)
    world.do(f"answer {attempt}")
    return f"{name}, answered to request {attempt}"
