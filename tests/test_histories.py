"""Histories as text: what is written is read back, byte for byte, and says clearly when it cannot be."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import UsageError
from interp.events import Resolved, Transition, encode_transition
from interp.histories import ExportedHistory, dump_history, load_history, without_attempts
from interp.replay import replay
from interp.testing import Execution, executions
from tests.core.happenings import live_through
from tests.core.programs import Program, loaded, programs
from tests.testing.workflows import Order, pay, purchase


@given(programs(), st.data())
def test_a_history_is_read_back_byte_for_byte(program: Program, data: st.DataObject) -> None:
    with closing(loaded(program).start()) as driver:
        live_through(data.draw, driver)
    exported = ExportedHistory("run ä", "random", tuple(driver.history))

    again = load_history(dump_history(exported), "here")

    assert exported == again
    assert driver.journal == [encode_transition(transition) for transition in again.history]


@given(programs(), st.data())
def test_records_of_attempts_can_be_left_out(program: Program, data: st.DataObject) -> None:
    with closing(loaded(program).start()) as driver:
        live_through(data.draw, driver)

    shorter = list(without_attempts(driver.history))

    assert list(range(len(shorter))) == [transition.index for transition in shorter]
    replay(loaded(program).definition, shorter, run_id=driver.run_id).interpreter.close()


@given(
    executions(purchase, (st.builds(Order, st.just("secret"), st.just(7)),), activities={pay: "secret"}, faults=True)
)
def test_a_redacted_history_replays(life: Execution) -> None:
    def redact(value: object) -> object:
        return "***" if isinstance(value, str) else value

    text = dump_history(ExportedHistory("run", "kit_purchase", life.history), redact)

    assert "secret" not in text
    replay(life.definition, load_history(text, "here").history, run_id="run").interpreter.close()


WHOLE = dump_history(ExportedHistory("r", "w", (Transition(0, datetime(2026, 1, 1, tzinfo=UTC), Resolved("1", b"1")),)))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", 'no "interp": "history"'),
        ("{", "its first line is no JSON"),
        ('{"a": 1}', 'no "interp": "history"'),
        ('{"interp": "history", "format": 9}', "its format is 9; this version of interp reads 1"),
        (WHOLE.partition("\n")[0], "it has 0 records, and says that it has 1"),
        (WHOLE.replace('"index":0', '"index":3'), "line 2 holds record 3, not 0"),
        (WHOLE.replace('"is":"ok"', '"is":"nonsense"'), "line 2 is no record"),
        (WHOLE.replace('"id":"1"', '"id":1'), "line 2 is no record"),
        (WHOLE.replace('"id":"1"', '"id":"1","extra":1'), "Resolved has no field extra"),
        (WHOLE[:-10], "line 2 is no record"),
    ],
)
def test_a_broken_file_is_refused_with_the_place(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=r"x\.history\.jsonl: ") as caught:
        load_history(text, "x.history.jsonl")
    assert told in str(caught.value)
