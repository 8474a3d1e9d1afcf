"""Whatever is changed in a workflow, replay tells the first place where it shows."""

from __future__ import annotations

from contextlib import closing
from typing import Any, TypeAlias

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from interp.errors import NondeterminismError
from interp.events import Record, Transition
from interp.interpreter import Interpreter, UnexpectedEvent
from tests.core.activities import ACTIVITIES
from tests.core.driving import Driver
from tests.core.programs import RECORDED, Block, Loaded, Node, Program, loaded, programs
from tests.core.test_properties import lived

Difference: TypeAlias = "tuple[int, str | None, Record | None, Record | None]"
"""Record of the history, command id, and what is recorded and yielded there."""


# --- one command is another one ---


def another(draw: Any, node: Node) -> tuple[str, dict[str, Any]]:
    """Draw a command that is not the same."""
    data = node.data
    seconds = (data.get("s") or 0) + 7
    other_fn = st.sampled_from(sorted(ACTIVITIES.keys() - {data.get("fn")}))
    call = {"fn": draw(other_fn), "arg": 1}
    changes: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "call": [
            ("call", call),
            ("call", {"arg": data.get("arg", 0) + 1}),
            ("transact", {}),
            ("sleep", {"s": 1}),
            ("signal", {"name": "a", "s": None}),
        ],
        "transact": [("transact", {"arg": data.get("arg", 0) + 1}), ("call", call), ("sleep", {"s": 1})],
        "sleep": [("sleep", {"s": seconds}), ("sleep_until", {"s": 1}), ("call", call)],
        "sleep_until": [("sleep_until", {"s": seconds}), ("sleep", {"s": 1}), ("call", call)],
        "signal": [
            ("signal", {"name": "another"}),
            ("signal", {"s": 99}),
            ("signal", {"s": None if data.get("s") is not None else 0}),
            ("call", call),
        ],
        "child": [
            ("child", {"arg": data.get("arg", 0) + 1}),
            ("child", {"detached": not data.get("detached", False)}),
            ("call", call),
            ("sleep", {"s": 1}),
        ],
        "send": [("send", {"to": "another"}), ("send", {"name": "another"}), ("send", {"arg": 99}), ("call", call)],
        "emit": [("emit", {"topic": "c"}), ("emit", {"value": data.get("value", 0) + 1}), ("sleep", {"s": 1})],
        "request": [
            ("request", {"name": "another"}),
            ("request", {"s": 99}),
            ("signal", {"name": data.get("name", "a"), "s": data.get("s")}),
            ("call", call),
        ],
        "annotate": [("annotate", {"value": data.get("value", 0) + 1}), ("sleep", {"s": 1}), ("call", call)],
    }
    kind, details = draw(st.sampled_from(changes[node.kind]))
    return kind, {**data, **details}


@given(programs(), st.data())
def test_a_changed_command_is_one_divergence_at_its_record_and_its_line(program: Program, data: st.DataObject) -> None:
    with lived(data, program) as (code, driver):
        recorded = _recorded_nodes(program, code, driver)
        assume(recorded)
        node = data.draw(st.sampled_from(recorded))
        kind, details = another(data.draw, node)

        def change(copy: Program) -> None:
            target = copy.node(node.key)
            target.kind, target.data = kind, details  # type: ignore[assignment]  # the kinds above are kinds

        index, record = next(
            (transition.index, record)
            for transition in driver.history
            for record in transition.commands
            if _is_by(record, node, code)
        )
        edited = loaded(program.changed(change), "edited.py")
        with pytest.raises(NondeterminismError) as caught:
            driver.replay(edited.definition)
        error = caught.value
        assert (index, record.id) == (error.index, error.command_id)
        assert code.where(node.key) == error.recorded_at
        assert edited.where(node.key) == error.yielded_at
        assert error.recorded != error.yielded
        assert edited.alive() == []


def _recorded_nodes(program: Program, code: Loaded, driver: Driver) -> list[Node]:
    """Return the statements whose commands the history holds; those that share a line with others are left out."""
    lines = {record.where for transition in driver.history for record in transition.commands}
    all_lines = list(code.lines.values())
    return [
        node
        for node in program.nodes()
        if node.kind in RECORDED
        and node.key in code.lines
        and code.where(node.key) in lines
        and all_lines.count(code.lines[node.key]) == 1
    ]


def _is_by(record: Record, node: Node, code: Loaded) -> bool:
    return record.where == code.where(node.key)


# --- anything else is changed ---


def _places(body: Block) -> list[tuple[Block, int]]:
    """Return every place in a program where a statement stands."""
    places = []
    for at, node in enumerate(body):
        places.append((body, at))
        for block in node.blocks:
            places.extend(_places(block))
    return places


def edit(draw: Any, program: Program) -> None:
    """Draw an edit of any kind, and make it."""
    body, at = draw(st.sampled_from(_places(program.body)))
    node = body[at]
    key = 1 + max(each.key for each in program.nodes())
    inserted = draw(
        st.sampled_from(
            [
                Node("call", {"fn": "number", "arg": 77}, key=key),
                Node("sleep", {"s": 77}, key=key),
                Node("now", key=key),
                Node("uuid", key=key),
                Node("annotate", {"value": 77}, key=key),
                Node("patched", {"id": "new"}, [[Node("call", {"fn": "number", "arg": 77}, key=key + 1)], []], key=key),
                Node("raise", {"error": "ValueError('new')"}, key=key),
            ]
        )
    )
    edits = ["insert", "append", "remove", "swap", "wrap", "drop the yield"]
    if node.kind in {"gather", "race"} and node.blocks:
        edits += ["race <-> gather", "one after another", "reverse"] * 2
    if node.kind in {"sub", "spawn"}:
        edits += ["sub <-> spawn"] * 3
    if node.kind in {"gather", "map"}:
        edits += ["limit"] * 3
    if node.kind in {"shield", "sub"}:
        edits += ["sub <-> shield"] * 2
    match draw(st.sampled_from(edits)):
        case "insert":
            body.insert(at, inserted)
        case "append":
            body.append(inserted)
        case "remove":
            del body[at]
        case "swap":
            other = draw(st.integers(0, len(body) - 1))
            body[at], body[other] = body[other], body[at]
        case "wrap":
            body[at] = Node("sub", {}, [[node]], key=key)
        case "drop the yield":
            node.data["dropped"] = True
        case "race <-> gather":
            node.kind = "gather" if node.kind == "race" else "race"
            node.data["named"] = False
        case "one after another":
            body[at : at + 1] = [Node("sub", {}, [block], key=key + slot) for slot, block in enumerate(node.blocks)]
        case "reverse":
            node.blocks.reverse()
        case "limit":
            node.data["limit"] = draw(st.sampled_from([None, 1, 2, 3]))
        case "sub <-> shield":
            node.kind = "sub" if node.kind == "shield" else "shield"
        case _:
            node.kind = "sub" if node.kind == "spawn" else "spawn"


@given(programs(), st.data())
def test_any_edit_is_reported_where_it_first_shows_and_accepted_if_it_never_does(
    program: Program, data: st.DataObject
) -> None:
    with lived(data, program) as (_, driver):
        edited = program.changed(lambda copy: edit(data.draw, copy))
        expected = first_difference(loaded(edited), driver)
        code = loaded(edited)
        if expected is None:
            driver.replay(code.definition).interpreter.close()
            return
        with pytest.raises(NondeterminismError) as caught:
            driver.replay(code.definition)
        error = caught.value
        index, command_id, recorded, yielded = expected
        assert (index, command_id) == (error.index, error.command_id)
        assert (recorded.where if recorded else None) == error.recorded_at
        if yielded is not None:
            assert yielded.where == error.yielded_at
        assert code.alive() == []


def first_difference(code: Loaded, driver: Driver) -> Difference | None:
    """Find where an edited workflow answers otherwise: what replay has to find, found in a simpler way."""
    history = driver.history
    started = history[0].cause
    interpreter = Interpreter(code.definition, started, driver.run_id)  # type: ignore[arg-type]  # it is a Started
    with closing(interpreter):
        for transition in history:
            if interpreter.outcome is not None:
                return transition.index, None, None, None
            patches = [record.target for record in transition.commands if record.kind == "patched"]
            try:
                if transition.index == 0:
                    step = interpreter.start(transition.at, patches)
                else:
                    step = interpreter.feed(transition.cause, transition.at, patches)
            except UnexpectedEvent as unexpected:
                return transition.index, unexpected.command_id, None, None
            difference = _difference(transition, [issued.record for issued in step.commands])
            if difference is not None:
                return difference
            if _outcome(transition.outcome) != _outcome(step.outcome):
                return transition.index, None, None, None
    return None


def _difference(transition: Transition, yielded: list[Record]) -> Difference | None:
    old = [record for record in transition.commands if record.kind != "patched"]
    new = [record for record in yielded if record.kind != "patched"]
    for at in range(max(len(old), len(new))):
        before, after = (side[at] if at < len(side) else None for side in (old, new))
        if before is None or after is None or _identity(before) != _identity(after):
            shown = before or after
            assert shown is not None
            return transition.index, shown.id, before, after
    return None


def _identity(record: Record) -> tuple[str, str, str, bytes]:
    return record.id, record.kind, record.target, record.payload


def _outcome(outcome: Any) -> object:
    """Say how a run ended: messages of failures may change."""
    if hasattr(outcome, "failure"):
        return type(outcome), outcome.failure.type_name
    return type(outcome), getattr(outcome, "payload", None)
