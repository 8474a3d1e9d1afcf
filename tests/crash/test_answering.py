"""Requests over kills: each is answered exactly once, whoever is killed and however often it is asked again."""

import json
import random
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

from interp.asking import answer_topic
from interp.codec import ANY
from interp.errors import AskRefused, AskTimeout, UnknownRun
from interp.events import Asked, encode_event
from interp.runtime import open_store
from interp.runtime.asking import answer
from interp.runtime.live import decoded
from interp.runtime.streams import Tail
from interp.store import Post, Store

ROOT = Path(__file__).parents[2]
# The last one is not refused: its answer is the end of the run.
QUESTIONS = 49
KILLS = 8


def ask(store: Store, number: int, timeout: timedelta) -> object:
    """Ask from outside, as the command line does: without a worker."""
    asked = Asked("question", str(number).encode(), f"question {number}")
    found = answer(
        asked,
        Tail(store, "oracle", answer_topic(asked.id)),
        send=lambda asked: store.post(Post("oracle", encode_event(asked)), time.time_ns() // 1000),
        look=Tail.look,
        wait=lambda left_s: store.changed(1 if left_s is None else left_s),
        timeout=timeout,
    )
    return ANY.decode(found)


def test_each_request_is_answered_exactly_once_whatever_is_killed(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/journal"
    store = open_store(url)
    accepted = [number for number in range(QUESTIONS) if number % 5 != 4]
    command = [sys.executable, "-m", "tests.crash.answering", url, str(len(accepted))]
    answers: list[object] = []
    asking = threading.Thread(target=_ask_all, args=(store, answers))
    asking.start()
    chance = random.Random(2026)
    for _ in range(KILLS):
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
            target = len(answers) + chance.randrange(1, 8)
            while len(answers) < min(target, QUESTIONS) and process.poll() is None:
                store.changed(1)
            process.kill()
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90, check=True)
    asking.join(30)

    order = {number: place for place, number in enumerate(accepted, start=1)}
    expected = [
        [2 * number, order[number]] if number in order else _refusal(number, order) for number in range(QUESTIONS)
    ]
    assert expected == answers
    assert accepted == json.loads(finished.stdout)
    assert [1] * QUESTIONS == [
        sum(1 for _ in store.stream("oracle", answer_topic(f"question {number}"))) for number in range(QUESTIONS)
    ]
    history = list(decoded("oracle", store.history("oracle")))
    assert accepted == [int(each.cause.payload) for each in history if isinstance(each.cause, Asked)]
    store.close()


def _refusal(number: int, order: dict[int, int]) -> str:
    return f"not {number}, of which {sum(1 for each in order if each < number)} were answered"


def _ask_all(store: Store, answers: list[object]) -> None:
    """Ask one after the other; again under the same id when nobody has answered in a moment."""
    for number in range(QUESTIONS):
        while len(answers) == number:
            try:
                answers.append(ask(store, number, timedelta(milliseconds=50)))
            except AskRefused as refused:
                answers.append(refused.reason)
            except (AskTimeout, UnknownRun):
                time.sleep(0.01)  # the worker is dead, or has not begun
