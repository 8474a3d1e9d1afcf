"""The pictures of the documentation: `python -m tests.explore.pictures` draws them anew; look at them, then commit."""

from __future__ import annotations

from pathlib import Path

import attrs

from interp.explore.timeline import Timeline
from tests.explore.flows import provision_fleet
from tests.explore.living import end_of, run_of
from tests.explore.recording import CLOUD, World, record

__all__ = ["IMAGES", "PICTURES"]

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def _timeline(machines: int, world: World = CLOUD, *, critical: bool = False) -> Timeline:
    names = [f"web-{number}" for number in range(1, machines + 1)]
    history = record(provision_fleet, "eu-west-1", names, world=world)
    return run_of(history).timeline(critical=critical, now=end_of(history))


PICTURES = {
    "timeline": _timeline(6),
    "timeline-critical": _timeline(6, critical=True),
    "timeline-crowd": _timeline(60, attrs.evolve(CLOUD, slots=12)),
}


def main() -> None:
    for name, picture in PICTURES.items():
        picture.save(IMAGES / f"{name}.svg")


if __name__ == "__main__":
    main()
