"""A bug has failed a run after its dear part: fix the code, and let the run go on from there.

The research was paid for, and is in the journal. Then the code asked the answer for a "titel", and the run failed.
With the code below deployed, `interp retry RUN` (or `run.retry()`) takes back the record that failed the run, and
nothing else: the same answer is given to the new code. Where a run went wrong further back, `interp fork` makes a new
run that begins with the records up to there.
"""

from __future__ import annotations

from examples.scenarios import world
from interp import Workflow, activity, call, workflow

__all__ = ["write_article"]


@workflow
def write_article(topic: str) -> Workflow[str]:
    """Research a topic and publish what was found."""
    found = yield from call(research, topic)
    return (yield from call(publish, found["title"]))


@activity
def research(topic: str) -> dict[str, str]:
    """Ask a model that wants to be paid for each answer."""
    return {"title": f"On {topic}", "receipt": world.do(f"pay for research on {topic}")}


@activity
def publish(title: str) -> str:
    """Show it to everybody."""
    world.do(f"publish {title}")
    return title
