"""The agent, killed again and again: no model call is paid twice, and a late reader sees the stream from its start."""

import random
import subprocess
import sys
from pathlib import Path

from examples.scenarios.agent import Message, Provider, agent
from interp import Engine, Status
from interp.errors import UnknownRun
from interp.runtime import open_store
from interp.store import Store
from tests.runtime.helpers import WAIT

ROOT = Path(__file__).parents[2]
TOLD = (
    "Let me look for trains and for the weather. It will be sunny. Shall I book the 9:04? "
    "All is arranged. Have a good trip!"
)

PROGRAM = """
import sys
from pathlib import Path
from examples.scenarios.agent import agent
from interp import Engine

url, book = sys.argv[1:]
with Engine(url, poison_after=None) as engine:
    engine.start(agent, Path(book), "How do I get to Lyon?", id="trip").result()
"""


def test_no_model_call_is_paid_twice_and_a_late_reader_sees_it_all(tmp_path: Path) -> None:
    url, book = f"lmdb://{tmp_path}/journal", tmp_path / "charges"
    command = [sys.executable, "-c", PROGRAM, url, str(book)]
    store = open_store(url)
    chance = random.Random(2026)
    for _ in range(5):
        with subprocess.Popen(command, cwd=ROOT) as process:
            wanted = _items(store) + chance.randrange(2, 12)
            while _items(store) < wanted and not _waits(store):
                store.changed(0.1)
            process.kill()
    store.close()

    with Engine(url, poison_after=None) as engine:  # takes over where the killed ones stood, with a human
        run = engine.start(agent, book, "How do I get to Lyon?", id="trip")
        run.signal("approve", True)
        conversation = run.result(WAIT)

        assert ["user", "model", "tool", "tool", "model", "tool", "model"] == [line.role for line in conversation]
        assert Message("tool", "book: found what there is about the 9:04 to Lyon") == conversation[5]
        last: dict[str, list[str]] = {}
        attempts: dict[str, int] = {}
        for item in run.stream("tokens", type=str).items():
            if item.attempt != attempts.get(item.command_id):
                attempts[item.command_id], last[item.command_id] = item.attempt, []
            last[item.command_id].append(item.value)
        assert TOLD == " ".join(word for words in last.values() for word in words)
        assert max(attempts.values()) > 1, "no kill has met the model at work"
        stages = ["turn 2", "turn 5", "waits for approval: the 9:04 to Lyon", "turn 7"]
        assert stages == list(run.stream("stages", type=str))
    charges = Provider(book).charges()
    assert 3 == len(charges) == len(set(charges))


def _items(store: Store) -> int:
    try:
        return sum(1 for _ in store.stream("trip", "tokens"))
    except UnknownRun:
        return 0


def _waits(store: Store) -> bool:
    """Whether it waits for the human: there is nothing more to interrupt."""
    row = store.run("trip")
    return row is not None and row.status is Status.WAITING
