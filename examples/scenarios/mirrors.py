"""Three mirrors have the file; the first that delivers it wins, and the others are told to stop.

A mirror that fails is out, and does not decide anything. What a loser delivers after all is ignored. Killed in the
middle, the downloads are begun again; once there is a winner it stays the winner.
"""

from __future__ import annotations

import time

from examples.scenarios import world
from interp import Cancelled, Retry, Workflow, activity, current_call, map_, workflow

__all__ = ["download_first"]


@workflow
def download_first(mirrors: list[str]) -> Workflow[str]:
    """Return what the first mirror delivers."""
    answers = yield from map_(download, mirrors, min_successful=1)
    return next(answer for answer in answers if isinstance(answer, str))


@activity(retry=Retry(attempts=1))
def download(mirror: str) -> str:
    """Load the file, one piece after the other."""
    world.do(f"connect to {mirror}")
    try:
        while not world.happened(f"{mirror} delivers"):
            if world.happened(f"{mirror} breaks"):
                raise ConnectionError(mirror)
            current_call().heartbeat()  # raises Cancelled when nobody waits for this download any more
            time.sleep(0.01)
    except Cancelled:
        world.do(f"hang up on {mirror}")
        raise
    return f"from {mirror}"
