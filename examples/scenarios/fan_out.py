"""A thousand pictures, twenty at a time; those that are broken are listed, the others are done.

Killed in the middle, the run goes on with what is missing: what has been recorded is not done again, and of the twenty
that were under way nobody knows, so that these are.
"""

from __future__ import annotations

import attrs

from examples.scenarios import world
from interp import Workflow, activity, call, map_, workflow

__all__ = ["Broken", "Report", "resize_all"]


class Broken(Exception):
    """A picture that cannot be resized, today or tomorrow."""


@attrs.frozen
class Report:
    """What came of it."""

    resized: int
    broken: list[str]


@workflow
def resize_all(pictures: list[str]) -> Workflow[Report]:
    """Resize all pictures and write one report."""
    results = yield from map_(resize, pictures, limit=20, return_errors=True)
    broken = [picture for picture, result in zip(pictures, results, strict=True) if isinstance(result, Exception)]
    yield from call(write_report, broken)
    return Report(len(pictures) - len(broken), broken)


@activity(raises=Broken)
def resize(picture: str) -> str:
    """Make one picture smaller."""
    if picture.endswith("7"):
        raise Broken(picture)
    return world.do(f"resize {picture}")


@activity
def write_report(broken: list[str]) -> None:
    """Tell somebody."""
    world.do(f"report {len(broken)} broken")
