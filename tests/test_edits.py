"""What a code change under an open run leads to, row by row of the acceptance table.

Each row records a run with the old code and replays it with the new. *Parked* means that replay raises an error that
names both sides and lines, and that nothing of the run is left alive. *Accepted* means that it goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Any

import attrs
import pytest

import interp
from interp import Retry, Workflow, activity, await_signal, call, child, gather, now, patched, sleep, spawn, workflow
from interp import random as random_number
from interp import uuid as new_uuid
from interp.errors import NondeterminismError
from interp.events import Completed
from interp.replay import Replayed
from tests.core.driving import Driver, issued, play, replayed

AnyWorkflow = Callable[..., Generator[interp.Command[Any], Any, Any]]


@activity
def charge(order: str, retries: int = 0) -> str:
    return f"charged {order}"


@workflow
def checkout_of(order: str) -> Workflow[str]:
    return (yield from call(charge, order))


@activity
def refund(order: str) -> str:
    return f"refunded {order}"


@activity
def mail(order: str) -> None: ...


@workflow
def checkout() -> Workflow[str]:
    receipt = yield from call(charge, "7")
    yield from call(mail, "7")
    return receipt


def recorded(fn: AnyWorkflow) -> Driver:
    """Record a run of `checkout`, or of what looks like it, up to the mail."""
    driver = play(fn)
    driver.returns("1", "r-1")
    return driver


def parked(driver: Driver, edited: AnyWorkflow, *, index: int, command_id: str | None) -> NondeterminismError:
    """Replay with other code, which must be refused."""
    with pytest.raises(NondeterminismError) as caught:
        replayed(driver, edited)
    error = caught.value
    assert (index, command_id) == (error.index, error.command_id)
    assert error.recorded is not None or error.yielded is not None
    assert error.recorded != error.yielded
    assert re.match(r"run 'run' diverged from its history at record \d+.*  \(test_edits.py:\d+", str(error)), str(error)
    driver.close()
    return error


def accepted(driver: Driver, edited: AnyWorkflow) -> Replayed:
    """Replay with other code, which must be fine; the run waits for what it waited for."""
    again = replayed(driver, edited)
    assert driver.pending == list(again.interpreter.pending)
    driver.close()
    return again


def finish(again: Replayed, driver: Driver) -> Driver:
    """Go on live after a replay."""
    driver.interpreter = again.interpreter
    return driver


def line_of(fn: AnyWorkflow, offset: int) -> str:
    """Return the line so far below the decorator."""
    return f"test_edits.py:{fn.__code__.co_firstlineno + offset}"


def test_another_function_at_the_same_place_is_parked() -> None:
    @workflow
    def edited() -> Workflow[str]:
        receipt = yield from call(refund, "7")
        yield from call(mail, "7")
        return receipt

    error = parked(recorded(checkout), edited, index=0, command_id="1")
    assert error.recorded == "call charge('7')"
    assert error.yielded == "call refund(order='7')"
    assert error.recorded_at == line_of(checkout, 2)
    assert error.yielded_at == line_of(edited, 2)


def test_the_same_function_with_another_argument_is_parked() -> None:
    @workflow
    def edited() -> Workflow[str]:
        receipt = yield from call(charge, "7", retries=2)
        yield from call(mail, "7")
        return receipt

    error = parked(recorded(checkout), edited, index=0, command_id="1")
    assert str(error).splitlines()[:3] == [
        f"run 'run' diverged from its history at record 0, command 1  ({line_of(edited, 2)}, in {edited.__qualname__})",
        f"  recorded: call charge(order='7')    recorded at {line_of(checkout, 2)}",
        "  yielded:  call charge(order='7', retries=2)",
    ]
    assert 'Guard the change with patched("charge"), or finish old runs first.' in str(error)
    assert str(error).endswith("\ndocs/reference/errors.md#nondeterminismerror")


def test_another_argument_is_accepted_and_counted_by_the_names_policy_of_a_workflow() -> None:
    @workflow(compare="names")
    def edited() -> Workflow[str]:
        receipt = yield from call(charge, "8")
        yield from call(mail, "7")
        return receipt

    again = accepted(recorded(checkout), edited)
    assert again.tolerated == 1
    again.interpreter.close()


def test_another_argument_is_accepted_and_counted_by_the_names_policy_of_a_call() -> None:
    @workflow
    def edited() -> Workflow[str]:
        receipt = yield from call(charge, "8").options(compare="names")
        yield from call(mail, "7")
        return receipt

    again = accepted(recorded(checkout), edited)
    assert again.tolerated == 1
    again.interpreter.close()


def test_another_function_is_parked_by_the_names_policy_too() -> None:
    @workflow(compare="names")
    def edited() -> Workflow[str]:
        receipt = yield from call(refund, "7")
        yield from call(mail, "7")
        return receipt

    parked(recorded(checkout), edited, index=0, command_id="1")


@pytest.mark.parametrize("draw", [random_number, now, new_uuid], ids=["random", "clock", "uuid"])
def test_an_argument_drawn_from_the_run_is_the_same_on_replay(draw: Callable[[], interp.Command[Any]]) -> None:
    @workflow
    def drawing() -> Workflow[str]:
        value = yield draw()
        return (yield from call(charge, str(value)))

    driver = play(drawing)
    accepted(driver, drawing).interpreter.close()


def test_an_argument_drawn_from_chance_clock_or_uuid_outside_is_parked() -> None:
    outside = iter(["0.25", "0.75"])  # as random.random() would give, live and then replayed

    @workflow
    def drawing() -> Workflow[str]:
        return (yield from call(charge, next(outside)))

    error = parked(play(drawing), drawing, index=0, command_id="1")
    assert (error.recorded, error.yielded) == ("call charge(order='0.25')", "call charge(order='0.75')")
    assert "belong into activities, or into now(), random() and uuid()" in str(error)


def test_a_child_started_with_other_arguments_is_parked() -> None:
    @workflow
    def parent() -> Workflow[str]:
        return (yield from child(checkout_of, "7"))

    @workflow
    def edited() -> Workflow[str]:
        return (yield from child(checkout_of, "8"))

    error = parked(play(parent), edited, index=0, command_id="1")
    assert error.recorded == """child checkout_of(['7'], 'run/1', False)"""
    assert error.yielded == """child checkout_of(['8'], 'run/1', False)"""
    assert error.yielded_at == line_of(edited, 2)


def test_two_swapped_calls_of_one_function_are_parked() -> None:
    @workflow
    def two() -> Workflow[None]:
        yield from call(charge, "1")
        yield from call(charge, "2")

    @workflow
    def edited() -> Workflow[None]:
        yield from call(charge, "2")
        yield from call(charge, "1")

    parked(recorded(two), edited, index=0, command_id="1")


def test_two_swapped_calls_inside_a_gather_are_parked() -> None:
    @workflow
    def two() -> Workflow[None]:
        yield from gather(call(charge, "1"), call(charge, "2"))

    @workflow
    def edited() -> Workflow[None]:
        yield from gather(call(charge, "2"), call(charge, "1"))

    parked(play(two), edited, index=0, command_id="1.0.1")


def test_a_call_of_the_same_function_inserted_before_is_parked() -> None:
    @workflow
    def edited() -> Workflow[str]:
        yield from call(charge, "6")
        receipt = yield from call(charge, "7")
        yield from call(mail, "7")
        return receipt

    parked(recorded(checkout), edited, index=0, command_id="1")


def test_an_equal_call_inserted_before_is_parked_as_soon_as_it_shows() -> None:
    @workflow
    def edited() -> Workflow[str]:
        yield from call(charge, "7")
        receipt = yield from call(charge, "7")
        yield from call(mail, "7")
        return receipt

    parked(recorded(checkout), edited, index=1, command_id="2")


def test_a_call_inserted_before_and_guarded_is_accepted() -> None:
    @workflow
    def edited() -> Workflow[str]:
        if (yield from patched("check")):
            yield from call(charge, "6")
        receipt = yield from call(charge, "7")
        yield from call(mail, "7")
        return receipt

    driver = recorded(checkout)
    finish(accepted(driver, edited), driver).returns("2")
    assert isinstance(driver.outcome, Completed)
    new = play(edited)
    assert issued(new.last) == ["~check patched check", "1 call charge"]
    new.close()


def test_the_last_recorded_call_removed_is_parked() -> None:
    @workflow
    def edited() -> Workflow[str]:
        return (yield from call(charge, "7"))

    error = parked_at_the_end(recorded(checkout), edited)
    assert error.recorded == "call mail('7')"
    assert error.yielded is None
    assert error.recorded_at == line_of(checkout, 3)
    assert str(error).splitlines()[:3] == [
        "run 'run' diverged from its history at record 1, command 2",
        f"  recorded: call mail('7')    recorded at {line_of(checkout, 3)}",
        "  yielded:  nothing here",
    ]
    assert "The history holds a command that the code no longer yields." in str(error)


def parked_at_the_end(driver: Driver, edited: AnyWorkflow) -> NondeterminismError:
    """Replay with code that returns earlier: there is no line where it stands."""
    with pytest.raises(NondeterminismError) as caught:
        replayed(driver, edited)
    driver.close()
    return caught.value


def test_an_extra_command_that_changes_the_last_recorded_transition_is_parked() -> None:
    @workflow
    def edited() -> Workflow[str]:
        receipt = yield from call(charge, "7")
        yield from interp.annotate(receipt=receipt)
        yield from call(mail, "7")
        return receipt

    parked(recorded(checkout), edited, index=1, command_id="2")


def test_an_extra_branch_in_the_last_recorded_gather_is_parked() -> None:
    @workflow
    def two() -> Workflow[None]:
        yield from gather(call(mail, "1"), call(mail, "2"))

    @workflow
    def three() -> Workflow[None]:
        yield from gather(call(mail, "1"), call(mail, "2"), call(mail, "3"))

    error = parked(play(two), three, index=0, command_id="1.2.1")
    assert error.recorded is None
    assert error.yielded == "call mail(order='3')"
    assert "The code yields a command that the history does not hold." in str(error)


def test_an_extra_command_after_the_recorded_end_is_accepted() -> None:
    @workflow
    def edited() -> Workflow[str]:
        receipt = yield from call(charge, "7")
        yield from call(mail, "7")
        yield from call(refund, "7")
        return receipt

    driver = recorded(checkout)
    finish(accepted(driver, edited), driver).returns("2")
    assert issued(driver.last) == ["3 call refund"]
    driver.close()


def test_a_longer_timer_is_parked() -> None:
    @workflow
    def waiting() -> Workflow[None]:
        yield from sleep(timedelta(seconds=30))

    @workflow
    def edited() -> Workflow[None]:
        yield from sleep(timedelta(days=1))

    error = parked(play(waiting), edited, index=0, command_id="1")
    assert (error.recorded, error.yielded) == ("sleep 30.0 s", "sleep 86400.0 s")


def test_a_removed_timer_is_parked() -> None:
    @workflow
    def waiting() -> Workflow[None]:
        yield from sleep(timedelta(seconds=30))
        yield from call(mail, "7")

    @workflow
    def edited() -> Workflow[None]:
        yield from call(mail, "7")

    parked(play(waiting), edited, index=0, command_id="1")


def test_a_call_that_became_a_timer_is_parked() -> None:
    @workflow
    def edited() -> Workflow[None]:
        yield from sleep(timedelta(seconds=30))

    error = parked(recorded(checkout), edited, index=0, command_id="1")
    assert (error.recorded, error.yielded) == ("call charge('7')", "sleep 30.0 s")


def test_awaiting_another_signal_is_parked() -> None:
    @workflow
    def waiting() -> Workflow[None]:
        yield from await_signal("approve", bool)

    @workflow
    def edited() -> Workflow[None]:
        yield from await_signal("approved", bool)

    error = parked(play(waiting), edited, index=0, command_id="1")
    assert (error.recorded, error.yielded) == ("await_signal 'approve'", "await_signal 'approved'")


def test_another_timeout_of_a_signal_is_parked() -> None:
    @workflow
    def waiting() -> Workflow[None]:
        yield from await_signal("approve", bool, timeout=timedelta(days=1))

    @workflow
    def edited() -> Workflow[None]:
        yield from await_signal("approve", bool)

    parked(play(waiting), edited, index=0, command_id="1")


@pytest.mark.parametrize("factor", ["x 1,000", "another type"])
def test_another_result_of_a_finished_run_is_reported(factor: str) -> None:
    @workflow
    def total() -> Workflow[int]:
        receipt = yield from call(charge, "7")
        return len(receipt)

    @workflow
    def edited() -> Workflow[Any]:
        receipt = yield from call(charge, "7")
        return len(receipt) * 1000 if factor == "x 1,000" else str(len(receipt))

    driver = play(total)
    driver.returns("1", "r-1")
    with pytest.raises(NondeterminismError) as caught:
        replayed(driver, edited)
    assert caught.value.index == 1
    assert caught.value.command_id is None
    assert caught.value.recorded == "the run returns 3"
    assert caught.value.yielded == ("the run returns 3000" if factor == "x 1,000" else "the run returns '3'")


def test_a_finished_run_that_now_goes_on_is_reported() -> None:
    @workflow
    def edited() -> Workflow[str]:
        receipt = yield from call(charge, "7")
        yield from call(mail, "7")
        yield from sleep(timedelta(days=1))
        return receipt

    driver = recorded(checkout)
    driver.returns("2")
    error = parked(driver, edited, index=2, command_id="3")
    assert error.yielded == "sleep 86400.0 s"


def test_a_call_that_is_no_longer_awaited_is_parked() -> None:
    @workflow
    def edited() -> Workflow[str]:
        yield from spawn(call(charge, "7"))
        yield from call(mail, "7")
        return "unknown"

    parked(recorded(checkout), edited, index=0, command_id="1")


def test_calls_in_a_row_that_became_a_gather_are_parked() -> None:
    @workflow
    def edited() -> Workflow[str]:
        receipt, _ = yield from gather(call(charge, "7"), call(mail, "7"))
        return receipt

    parked(recorded(checkout), edited, index=0, command_id="1")


def test_tasks_that_are_spawned_in_another_order_are_parked() -> None:
    @workflow
    def spawning() -> Workflow[str]:
        first = yield from spawn(call(charge, "1"))
        second = yield from spawn(call(charge, "2"))
        one = yield from interp.join(first)
        two = yield from interp.join(second)
        return one + two

    @workflow
    def edited() -> Workflow[str]:
        second = yield from spawn(call(charge, "2"))
        first = yield from spawn(call(charge, "1"))
        one = yield from interp.join(first)
        two = yield from interp.join(second)
        return one + two

    parked(play(spawning), edited, index=0, command_id="1.0.1")


def test_awaiting_in_another_order_is_parked_when_it_changes_what_follows() -> None:
    @workflow
    def joining() -> Workflow[None]:
        first = yield from spawn(call(charge, "1"))
        second = yield from spawn(call(charge, "2"))
        yield from interp.join(first)
        yield from call(mail, "first")
        yield from interp.join(second)

    @workflow
    def edited() -> Workflow[None]:
        first = yield from spawn(call(charge, "1"))
        second = yield from spawn(call(charge, "2"))
        yield from interp.join(second)
        yield from call(mail, "first")
        yield from interp.join(first)

    driver = play(joining)
    driver.returns("1.0.1", "r-1")
    parked(driver, edited, index=1, command_id="4")


def test_changed_options_are_accepted_and_hold_for_attempts_from_now_on() -> None:
    @workflow
    def edited() -> Workflow[str]:
        receipt = yield from call(charge, "7").options(retry=Retry(attempts=9))
        yield from call(mail, "7").options(retry=Retry(attempts=9), timeout=timedelta(minutes=2))
        return receipt

    again = accepted(recorded(checkout), edited)
    command = again.interpreter.pending["2"].command
    assert isinstance(command, interp.Call)
    assert command.with_options.retry == Retry(attempts=9)
    assert command.with_options.timeout == timedelta(minutes=2)
    again.interpreter.close()


def test_an_activity_that_moved_to_another_module_is_accepted() -> None:
    def moved(order: str, retries: int = 0) -> str:
        return f"charged {order}"

    moved.__module__ = "payments"
    moved = activity(name="charge")(moved)

    @workflow
    def edited() -> Workflow[str]:
        receipt = yield from call(moved, "7")
        yield from call(mail, "7")
        return receipt

    accepted(recorded(checkout), edited).interpreter.close()


def test_a_changed_variable_comment_or_log_line_is_accepted() -> None:
    lines: list[str] = []

    @workflow
    def edited() -> Workflow[str]:
        # The receipt is called something else here.
        paper = yield from call(charge, "7")
        lines.append(paper)
        yield from call(mail, "7")
        return paper

    accepted(recorded(checkout), edited).interpreter.close()
    assert lines == ["r-1"]


def test_code_appended_after_the_recorded_end_is_accepted() -> None:
    @workflow
    def edited() -> Workflow[str]:
        yield from call(charge, "7")
        yield from call(mail, "7")
        yield from sleep(timedelta(days=1))
        yield from call(refund, "7")
        return "refunded"

    driver = recorded(checkout)
    finish(accepted(driver, edited), driver).returns("2")
    driver.fires()
    driver.returns("4", "x")
    assert driver.outcome == Completed(b'"refunded"')


@attrs.frozen
class Note:
    """An argument that grows."""

    text: str
    title: str = ""


@activity
def keep(note: Note) -> None: ...


def test_long_arguments_are_shown_where_they_part() -> None:
    @workflow
    def keeping() -> Workflow[None]:
        yield from call(keep, Note("x" * 200 + "old"))

    @workflow
    def edited() -> Workflow[None]:
        yield from call(keep, Note("x" * 200 + "new"))

    error = parked(play(keeping), edited, index=0, command_id="1")
    assert error.recorded is not None
    assert error.yielded is not None
    assert re.fullmatch(r"call keep\(\.\.\.x{30}old.*\)", error.recorded)
    assert re.fullmatch(r"call keep\(\.\.\.x{30}new.*\)", error.yielded)
