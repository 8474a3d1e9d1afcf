"""Items of streams over kills: those of a workflow exactly once and in order, those of its activities by attempts."""

import itertools
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec

from interp.cli.following import items_of
from interp.errors import UnknownRun
from interp.runtime import open_store
from interp.runtime.streams import Tail, recorded
from interp.store import Store
from tests.crash.telling import ROUNDS, STEPS, TOKENS

ROOT = Path(__file__).parents[2]
KILLS = 12


def steps() -> list[Any]:
    """What the workflow emits."""
    told: list[Any] = []
    for step in range(0, ROUNDS * STEPS, 2):
        told += [[step, "begins"], [step, "ends"], [step + 1, "ends"]]
    return [*told, "done"]


def values(store: Store, topic: str) -> list[tuple[int, str, int, Any]]:
    """Return round, command, attempt and value of the items of a stream."""
    items = (recorded("told", topic, item) for item in store.stream("told", topic))
    return [(item.round, item.command_id, item.attempt, msgspec.json.decode(item.payload)) for item in items]


def test_no_item_of_a_workflow_is_lost_or_doubled_whatever_is_killed(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/journal"
    store = open_store(url)
    command = [sys.executable, "-m", "tests.crash.telling", url]
    chance = random.Random(2026)
    seen: list[int] = []
    read = threading.Thread(target=_read_along, args=(store, seen))
    for _ in range(KILLS):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            target = _count(store) + chance.randrange(1, 15)
            while _count(store) < min(target, len(steps())) and process.poll() is None:
                store.changed(1)
            if not read.is_alive() and not seen:
                read.start()
            process.kill()
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=True)
    read.join(30)

    assert "done\n" == finished.stdout
    assert steps() == [value for *_, value in values(store, "steps")]
    assert list(range(len(steps()))) == seen, "who reads along over all the kills sees the same"
    attempts = [_check_attempts(values(store, f"tokens {side}"), side) for side in (0, 1)]
    store.close()
    assert max(itertools.chain(*attempts)) > 1, "no kill has met an activity at work"


def _count(store: Store) -> int:
    try:
        return sum(1 for _ in store.stream("told", "steps"))
    except UnknownRun:
        return 0


def _read_along(store: Store, seen: list[int]) -> None:
    seen += [item.number for item in items_of(Tail(store, "told", "steps"), follow=True)]


def _check_attempts(items: list[tuple[int, str, int, Any]], side: int) -> list[int]:
    """Check that the items of each attempt are the first ones of the call, and all of the last attempt's are there."""
    attempts: dict[int, dict[int, list[int]]] = {}
    for _, _, attempt, (step, number) in items:
        attempts.setdefault(step, {}).setdefault(attempt, []).append(number)
    assert set(range(side, ROUNDS * STEPS, 2)) == attempts.keys()
    for of_step in attempts.values():
        for attempt, numbers in of_step.items():
            assert list(range(len(numbers))) == numbers
            assert len(numbers) == TOKENS or attempt < max(of_step)
    return [max(of_step) for of_step in attempts.values()]
