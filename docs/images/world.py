"""The store that the pictures show: long histories, recorded in no time by the real interpreter.

Made of what tests use: `tests/explore/recording.py` tells how a history that took an hour comes about in a world that
takes none.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib import reload
from pathlib import Path
from typing import Any
from unittest.mock import patch

import attrs

from interp import Engine, RunParked
from interp.events import Transition
from interp.runtime.stores import open_store
from interp.store import Store
from tests.explore import flows, recording
from tests.explore.recording import CLOUD, World, keep, record

__all__ = ["stored"]

_FLEET = ["web-1", "web-2", "web-3", "db-1", "db-2", "cache-1"]
_REGIONS = ["eu-west", "eu-north", "us-east", "ap-south"]

# Somebody says no.
_REFUSED = attrs.evolve(CLOUD, signals=[(timedelta(minutes=45), "approve", b"false")])

# 300 machines, of which 60 can be worked at at once, and a worker that lives.
_CROWDED = attrs.evolve(
    CLOUD,
    slots=60,
    crashes=[],
    answers={"health_check": lambda chance, _: "healthy" if chance.random() < 0.9 else "starting"},
    signals=[(timedelta(hours=2), "approve", b"true")],
)


@contextmanager
def stored(folder: Path) -> Iterator[None]:
    """Make the store `journal` in a folder."""
    store = open_store(f"lmdb://{folder / 'journal'}")
    try:
        _fill(store)
    finally:
        store.close()
    yield


def _fill(store: Store) -> None:
    _park(store, "prov-b511")
    _one(store, "prov-crowd", _CROWDED, 4 * 24 * 60, "ap-south", [f"vm-{number:03}" for number in range(300)])
    day = random.Random(1)
    for number, ago in enumerate(sorted((day.triangular(60, 25 * 60, 400) for _ in range(150)), reverse=True)):
        world = attrs.evolve(CLOUD if number % 7 else _REFUSED, seed=number, crashes=[])
        _one(store, f"prov-{number:04}", world, ago, _REGIONS[number % 4], 2 + number % 5)
    _one(store, "prov-7f3a", CLOUD, 58, "eu-west", _FLEET)
    _one(store, "prov-91c0", _REFUSED, 55, "eu-west", _FLEET)
    _one(store, "prov-a2e8", CLOUD, 31, "us-east", 4, until=31)
    _one(store, "prov-c7d1", attrs.evolve(CLOUD, seed=3), 12, "eu-north", 3, until=12)
    _one(store, "prov-e80a", attrs.evolve(CLOUD, seed=4, crashes=[]), 3, "us-east", 5, until=3)


def _park(store: Store, run_id: str) -> None:
    """Let a real worker find out that a run does not fit today's code."""
    keep(store, run_id, _of_monday())
    logging.getLogger("interp").setLevel(logging.CRITICAL)  # it says so, and so does the picture
    with Engine(store) as engine, suppress(RunParked):
        run = engine.get(run_id)
        run.signal("approve", True)
        run.result()


def _of_monday() -> Sequence[Transition]:
    """Record what the code did before somebody wrote that volumes are attached: today's does not fit it."""
    source = Path(flows.__file__).read_text().replace("    yield from call(attach, vm, volume)\n", "")
    monday: dict[str, Any] = {"__name__": flows.__name__, "__file__": flows.__file__}
    exec(compile(source, flows.__file__, "exec"), monday)
    try:
        with patch.object(recording, "BEGIN", datetime.now(UTC) - timedelta(minutes=25)):
            world = attrs.evolve(CLOUD, seed=4, crashes=[])
            names = ["db-1", "db-2"]
            history = record(monday["provision_fleet"], "eu-west", names, world=world, run_id="prov-b511")
        return history[:7]
    finally:
        reload(flows)


def _one(
    store: Store, run_id: str, world: World, ago: float, region: str, machines: int | list[str], until: float = 10_000
) -> Sequence[Transition]:
    """Keep a run that began some minutes ago."""
    names = _FLEET[:machines] if isinstance(machines, int) else machines
    with patch.object(recording, "BEGIN", datetime.now(UTC) - timedelta(minutes=ago)):
        history = record(
            flows.provision_fleet, region, names, world=world, run_id=run_id, until=timedelta(minutes=until)
        )
    keep(store, run_id, history)
    return history
