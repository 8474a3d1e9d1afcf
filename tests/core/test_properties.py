"""What holds for every workflow and every order of events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interp.commands import Child
from interp.events import ChildEnded, Completed, Delivered
from interp.interpreter import Interpreter
from interp.runtime.repeated import repeated_calls
from tests.core.activities import Item
from tests.core.driving import EPOCH, Driver
from tests.core.happenings import live_through
from tests.core.programs import Loaded, Program, loaded, orderly_programs, programs


@contextmanager
def lived(data: st.DataObject, program: Program) -> Iterator[tuple[Loaded, Driver]]:
    """Let a run live for a while; what is left of it is dropped here, and not when Python gets to it."""
    code = loaded(program)
    driver = code.start()
    try:
        live_through(data.draw, driver)
        yield code, driver
    finally:
        driver.close()


@given(programs(), st.data())
def test_replay_of_every_prefix_gives_the_same_commands_and_goes_on_in_the_same_way(
    program: Program, data: st.DataObject
) -> None:
    with lived(data, program) as (code, driver):
        history = driver.history
        for length in range(1, len(history) + 1):
            again = loaded(program)
            with closing(driver.replay(again.definition, length).interpreter) as interpreter:
                for transition in history[length:]:
                    step = interpreter.feed(transition.cause, transition.at)
                    assert transition.commands == tuple(issued.record for issued in step.commands)
                    assert transition.outcome == step.outcome
                assert code.log == again.log
                assert standing(driver.interpreter) == standing(interpreter)


def standing(interpreter: Interpreter) -> object:
    """Say where a run stands."""
    commands = [
        (each.id, each.due, each.attempt, each.failures, each.retry_at, each.at, each.heartbeat, each.unknown)
        for each in interpreter.pending.values()
    ]
    fibers = [(fiber.id, fiber.state, fiber.count, fiber.cancelled) for fiber in interpreter.fibers.values()]
    return (
        commands,
        fibers,
        interpreter.state,
        interpreter.mailbox,
        interpreter.next_due,
        interpreter.length,
        interpreter.losses,
        interpreter.told_records,
        interpreter.told_replay,
    )


@given(programs(), st.data())
def test_the_history_alone_tells_every_call_that_waits_with_an_unknown_outcome(
    program: Program, data: st.DataObject
) -> None:
    with lived(data, program) as (_, driver):
        listed = {call.id: call for call in repeated_calls(driver.history)}
        for issued in driver.interpreter.pending.values():
            if issued.definition is not None:
                assert issued.unknown == (issued.id in listed)
                assert not (issued.unknown and issued.record.kind == "transact")
                assert not issued.unknown or max(listed[issued.id].attempts) < issued.attempt


@given(programs(), st.data())
def test_live_and_replayed_runs_see_equal_values(program: Program, data: st.DataObject) -> None:
    with lived(data, program) as (code, driver):
        again = loaded(program)
        with closing(driver.replay(again.definition).interpreter) as interpreter:
            assert code.log == again.log
            assert driver.outcome == interpreter.outcome


@given(orderly_programs(), st.data())
def test_ids_do_not_depend_on_the_order_in_which_results_arrive(program: Program, data: st.DataObject) -> None:
    with closing(loaded(program).start()) as one, closing(loaded(program).start()) as other:
        assert finished(data, one) == finished(data, other)


def finished(data: st.DataObject, driver: Driver) -> dict[str, tuple[str, str, bytes, str]]:
    """Bring an orderly run to its end, in any order, with results that depend on the command alone."""
    while driver.outcome is None:
        pending = driver.interpreter.pending.values()
        due = driver.interpreter.due_timer(driver.interpreter.next_due) if driver.interpreter.next_due else None
        chosen = data.draw(st.sampled_from([each for each in pending if each.due is None or each.id == due]))
        if chosen.record.kind in ("call", "transact"):
            driver.returns(chosen.id, _RESULTS[chosen.record.target])
        elif chosen.record.kind == "await_signal":
            driver.signals(chosen.record.target, 1)
        elif chosen.record.kind == "await_request":
            driver.asks(chosen.record.target, 1, f"for {chosen.id}")
        elif isinstance(chosen.command, Child) and not chosen.command.detached:
            driver.feed(ChildEnded(chosen.id, 0, Completed(b"1")))
        elif chosen.record.kind in ("child", "send"):
            driver.feed(Delivered(chosen.id))
        else:
            driver.fires()
    assert isinstance(driver.outcome, Completed)
    return {
        record.id: (record.kind, record.target, record.payload, record.where.partition(":")[2])
        for transition in driver.history
        for record in transition.commands
        if record.kind != "patched"  # belongs to whoever asks first
    }


_RESULTS: dict[str, Any] = {
    "number": 1,
    "deposit": 1,
    "money": Decimal("1.50"),
    "moment": EPOCH,
    "item": Item("book", 100),
    "items": [Item("book", 100)],
    "either": "text",
    "anything": {"a": [1, None]},
}


@given(programs(), st.data())
def test_no_fiber_outlives_its_parent_and_nothing_is_alive_after_the_end(program: Program, data: st.DataObject) -> None:
    with lived(data, program) as (code, driver):
        assert code.trespassers == []
        if driver.outcome is not None:
            assert code.alive() == []
            assert driver.pending == []
            assert all(token.depth == 0 for token in code.tokens)


@given(programs(), st.data())
def test_a_fiber_sees_cancelled_at_most_once(program: Program, data: st.DataObject) -> None:
    with lived(data, program) as (code, _):
        for token in code.tokens:
            assert len(token.cancellations) <= 1


@given(programs(), st.data())
def test_dropping_a_run_journals_nothing_and_leaves_no_generator_alive(program: Program, data: st.DataObject) -> None:
    with lived(data, program) as (code, driver):
        journal, pending, log = list(driver.journal), driver.pending, len(code.log)
        root = driver.interpreter.fibers.get("")
        driver.close()
        assert (journal, pending) == (driver.journal, driver.pending)
        assert code.alive() == []
        assert root is None or root.generator.gi_frame is None
        assert not any(name == "Cancelled" for _, name, *_ in code.log[log:])
