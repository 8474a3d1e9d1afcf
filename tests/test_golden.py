"""Journals that earlier versions wrote are replayed by this one, and written by it to the same bytes."""

from pathlib import Path

import pytest

from interp.definitions import workflow_of
from interp.events import decode_transition, encode_transition
from interp.replay import replay
from tests.golden.workflows import golden_order

HISTORIES = sorted((Path(__file__).parent / "golden").glob("*.hex"))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_golden_history_replays(path: Path) -> None:
    history = [decode_transition(bytes.fromhex(line)) for line in path.read_text().splitlines()]

    replayed = replay(workflow_of(golden_order), history, run_id="golden")

    assert replayed.interpreter.outcome is not None
    assert replayed.interpreter.outcome == history[-1].outcome


@pytest.mark.parametrize("path", HISTORIES[-1:], ids=lambda path: path.stem)
def test_the_newest_golden_history_is_written_to_the_same_bytes(path: Path) -> None:
    for line in path.read_text().splitlines():
        assert encode_transition(decode_transition(bytes.fromhex(line))).hex() == line


def test_there_is_a_golden_history() -> None:
    assert HISTORIES
