"""examples/scenarios/reset.py with the bug, imported only by processes that play the past."""

from examples.scenarios import world
from interp import Workflow, activity, call, workflow


@workflow
def write_article(topic: str) -> Workflow[str]:
    found = yield from call(research, topic)
    return (yield from call(publish, found["titel"]))


@activity
def research(topic: str) -> dict[str, str]:
    return {"title": f"On {topic}", "receipt": world.do(f"pay for research on {topic}")}


@activity
def publish(title: str) -> str:
    world.do(f"publish {title}")
    return title
