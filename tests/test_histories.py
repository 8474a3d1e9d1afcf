"""Histories as text: what is written is read back, byte for byte, and says clearly when it cannot be."""

from __future__ import annotations

import types
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp import Encrypted, UsageError, events
from interp.events import Resolved, Transition, decode_transition, encode_transition
from interp.histories import ExportedHistory, dump_history, load_history, without_attempts
from interp.replay import replay
from interp.sealing import Ways, open_text, seal_text
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


_JSON = st.sampled_from([b"1", b"null", b'"a"', b'{"a":[1,null]}', b"[[],[null]]"])
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=3),
    int: st.integers(0, 9),
    bool: st.booleans(),
    datetime: st.datetimes(timezones=st.just(UTC)),
    bytes: _JSON,
    type(None): st.none(),
}


def recorded(kind: Any) -> st.SearchStrategy[Any]:
    """Draw any value of a recorded form, by its annotations: what is added to one is drawn from then on."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if get_origin(kind) in (Union, types.UnionType):
        return st.one_of([recorded(each) for each in get_args(kind)])
    if get_origin(kind) is tuple:
        first, *others = get_args(kind)
        if others == [Ellipsis]:
            return st.lists(recorded(first), max_size=2).map(tuple)
        return st.tuples(recorded(first), *map(recorded, others))
    hints = get_type_hints(kind, vars(events))
    drawn = {name: recorded(hints[name]) for name in kind.__struct_fields__}
    for field in msgspec.structs.fields(kind):
        if field.default == b"":
            drawn[field.name] |= st.just(b"")
    if "seed" in drawn:
        drawn["seed"] = st.binary(min_size=16, max_size=16)
    return st.builds(kind, **drawn)


@pytest.mark.parametrize("kind", get_args(events.Event), ids=lambda kind: kind.__name__)
@settings(max_examples=15)
@given(data=st.data())
def test_every_event_is_read_back_from_text_and_from_behind_a_codec(kind: type, data: st.DataObject) -> None:
    outcome = data.draw(st.none() | recorded(events.Outcome))
    commands = data.draw(recorded(tuple[events.Record, ...]))
    at = data.draw(_PLAIN[datetime])
    history = (Transition(0, at, data.draw(recorded(kind)), commands, outcome),)
    exported = ExportedHistory("run", "w", history)
    key = Encrypted(Encrypted.new_key())
    sealing = Ways(key.encode, lambda text: seal_text(text, key.encode))
    opening = Ways(key.decode, lambda text: open_text(text, key.decode))
    record = encode_transition(history[0])

    assert exported == load_history(dump_history(exported), "here")
    assert record == encode_transition(load_history(dump_history(exported), "here").history[0])
    assert history[0] == decode_transition(opening.open(sealing.seal(record)))


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
