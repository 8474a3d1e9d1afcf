"""A job that kills its worker every time, because it needs more memory than there is.

After five lost workers in a row, without any progress of the run in between, it is parked with the reason, and the
sixth worker lives. Runs that get on meanwhile are taken over each time; one whose long call was lost along with the job
five times is parked, too, because nobody can tell which of them was to blame. When the cause is mended, `interp retry`
releases both.
"""

from __future__ import annotations

import os
import signal

from examples.scenarios import world
from interp import Workflow, activity, call, workflow

__all__ = ["make_thumbnail"]


@workflow
def make_thumbnail(video: str) -> Workflow[str]:
    """Make a picture of a video."""
    return (yield from call(decode, video))


@activity
def decode(video: str) -> str:
    """Call a library that cannot take every video."""
    world.do(f"decode {video}")
    if "8k" in video and not world.happened("the decoder is mended"):
        os.kill(os.getpid(), signal.SIGKILL)  # what the kernel does when there is no memory left
    return f"{video}.png"
