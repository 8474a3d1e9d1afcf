"""A graph of steps: extract, then validate and convert side by side, then publish, which is skipped on bad data.

The graph is the code: what depends on something stands below it, and results are passed as values. Killed anywhere, no
step runs again whose result is recorded.
"""

from __future__ import annotations

from examples.scenarios import world
from interp import Workflow, activity, call, gather, workflow

__all__ = ["nightly_load"]


@workflow
def nightly_load(source: str) -> Workflow[str]:
    """Load a source into the warehouse."""
    raw = yield from call(extract, source)
    is_valid, table = yield from gather(call(validate, raw), call(convert, raw))
    if not is_valid:
        return "skipped"
    return (yield from call(publish, table))


@activity
def extract(source: str) -> str:
    """Fetch the data."""
    return world.do(f"extract {source}")


@activity
def validate(raw: str) -> bool:
    """Tell whether the data is good."""
    world.do(f"validate {raw}")
    return not world.happened("the data is bad")


@activity
def convert(raw: str) -> str:
    """Make a table of it."""
    return world.do(f"convert {raw}")


@activity
def publish(table: str) -> str:
    """Show it."""
    return world.do(f"publish {table}")
