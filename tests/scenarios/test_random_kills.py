"""Processes killed at random moments, until one comes to the end: the same result and the same deeds as without.

A failure prints its seed; `INTERP_CRASH_SEED=...` starts with it again (the machine still has a say in the moments).
"""

import os
import random
import secrets
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from examples.scenarios import world
from examples.scenarios.booking import book_trip
from examples.scenarios.canvas import chain, chord
from examples.scenarios.dag import nightly_load
from examples.scenarios.fan_out import resize_all
from interp import RunFailed
from tests.scenarios.stage import Stage, Start

STARTS = [
    Start(book_trip, ("ada",)),
    Start(chain, (4,)),
    Start(chord, (["a b c", "", "d", "e f"],)),
    Start(nightly_load, ("shop",)),
    Start(resize_all, ([f"picture-{n}" for n in range(200)],)),
]


# About as long as the shorter of them take.
MOST_S = 0.005


def end(stage: Stage, start: Start) -> Any:
    """Play a run to its end in this process, and tell how it ended."""
    assert not isinstance(start.workflow, str)
    try:
        return stage.played(start.workflow, *start.args)
    except RunFailed as failed:
        return failed.type_name


def survives(stage: Stage, start: Start, calm: Path, monkeypatch: pytest.MonkeyPatch, *, kills: int) -> None:
    """Kill a run at random moments, and compare it with one that nobody kills."""
    seed = os.environ.get("INTERP_CRASH_SEED") or secrets.token_hex(4)
    print(f"INTERP_CRASH_SEED={seed}")
    chance = random.Random(seed)
    world.happen("car sold out")
    stage.poison_after = None  # nobody knows how little a life of chance gets done
    for _ in range(kills):
        stage.life(start, dies=chance.uniform(0, MOST_S))
    ended, deeds = end(stage, start), Counter(world.deeds())

    undisturbed = Stage(calm)
    monkeypatch.setenv("WORLD", str(undisturbed.world))
    world.happen("car sold out")

    assert end(undisturbed, start) == ended
    assert Counter(world.deeds()) == deeds


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.workflow.__name__)
def test_a_run_ends_as_if_nothing_had_happened(
    stage: Stage, start: Start, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    survives(stage, start, tmp_path_factory.mktemp("calm"), monkeypatch, kills=6)


@pytest.mark.soak
@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.workflow.__name__)
def test_a_run_survives_so_many_kills_again_and_again(
    tmp_path: Path, start: Start, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(100):
        stage = Stage(tmp_path / str(n))
        stage.folder.mkdir()
        monkeypatch.setenv("WORLD", str(stage.world))
        survives(stage, start, tmp_path_factory.mktemp("calm"), monkeypatch, kills=8)
        stage.end()
