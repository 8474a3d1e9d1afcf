"""Download a video, make it smaller, upload it: three calls that need the same disk.

All calls of a run are made by the worker that owns it, so that they find each other's files. When that worker dies
another one takes the run over, at once on the same host, and does not find the file: then it starts over, with its own.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from examples.scenarios import world
from interp import Workflow, activity, call, workflow

__all__ = ["shrink_video"]


@workflow
def shrink_video(video: str) -> Workflow[str]:
    """Shrink a video, on whatever disk it takes."""
    while True:
        path = yield from call(download, video)
        try:
            small = yield from call(shrink, path)
            return (yield from call(upload, small))
        except FileNotFoundError:  # another worker has taken over, whose disk does not have it
            continue


@activity
def download(video: str) -> str:
    """Fetch the video to the disk of this worker."""
    path = scratch() / video
    path.write_text("frame " * 10)
    world.do(f"download {video} to {path.parent.name}")
    return str(path)


@activity(raises=FileNotFoundError)
def shrink(path: str) -> str:
    """Make it smaller, on the same disk."""
    frames = local(path).read_text().split()
    world.do(f"shrink in {Path(path).parent.name}")
    small = Path(path).with_suffix(".small")
    small.write_text(" ".join(frames[::2]))
    return str(small)


@activity(raises=FileNotFoundError)
def upload(path: str) -> str:
    """Send it away."""
    frames = local(path).read_text().split()
    world.do(f"upload {len(frames)} frames from {Path(path).parent.name}")
    return f"{len(frames)} frames"


def scratch() -> Path:
    """Return the directory on the disk of this worker."""
    return Path(os.environ.get("SCRATCH") or tempfile.gettempdir())


def local(path: str) -> Path:
    """Refuse what lies on another worker's disk."""
    if Path(path).parent != scratch():
        raise FileNotFoundError(path)
    return Path(path)
