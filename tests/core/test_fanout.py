"""Many branches under a policy, timeouts and shields: each rule by an example."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from types import FrameType
from typing import Any

import pytest

from interp import (
    Cancelled,
    Command,
    Engine,
    GatherFailed,
    InterpError,
    NondeterminismError,
    PartTimeout,
    TaskCancelled,
    UsageError,
    Workflow,
    activity,
    call,
    cancel,
    gather,
    join,
    map_,
    race,
    shield,
    sleep,
    spawn,
    timeout,
    workflow,
)
from interp.events import Completed, Failed, Resolved, Started, WasCancelled
from interp.interpreter import Interpreter
from tests.core.driving import EPOCH, SEED, Driver, issued, play, replayed

SECOND = timedelta(seconds=1)


class Declined(Exception):
    pass


@activity(raises=Declined)
def work(name: str) -> str:
    return name


@activity
def clean(name: str) -> None: ...


def working(name: str) -> Workflow[str]:
    """Work, and clean up when cancelled."""
    try:
        return (yield from call(work, name))
    except Cancelled:
        yield from call(clean, name)
        raise


def told(values: tuple[object, ...]) -> list[str]:
    """Show a result whose places may hold exceptions."""
    return [str(value) if isinstance(value, str) else type(value).__name__ for value in values]


def result_of(driver: Driver) -> bytes:
    outcome = driver.outcome
    assert isinstance(outcome, Completed), outcome
    return outcome.payload


def failure_of(driver: Driver) -> tuple[str, str]:
    outcome = driver.outcome
    assert isinstance(outcome, Failed), outcome
    return outcome.failure.type_name.rpartition(".")[2], outcome.failure.message


# --- limit ---


@workflow
def two_of_four() -> Workflow[list[str]]:
    return list((yield from gather(*[working(name) for name in "abcd"], limit=2)))


def test_a_limited_gather_starts_the_next_part_when_one_ends_and_ids_are_those_of_the_slots() -> None:
    driver = play(two_of_four)
    assert issued(driver.last) == ["1.0.1 call work", "1.1.1 call work"]
    assert issued(driver.returns("1.1.1", "B")) == ["1.2.1 call work"]
    assert issued(driver.returns("1.2.1", "C")) == ["1.3.1 call work"]
    assert issued(driver.returns("1.0.1", "A")) == []
    driver.returns("1.3.1", "D")
    assert result_of(driver) == b'["A","B","C","D"]'


def test_parts_that_end_at_once_make_room_within_the_same_transition() -> None:
    def at_once(n: int) -> Workflow[int]:
        return n
        yield

    @workflow
    def quick() -> Workflow[list[int]]:
        return list((yield from gather(*[at_once(n) for n in range(10)], limit=3)))

    assert result_of(play(quick)) == b"[0,1,2,3,4,5,6,7,8,9]"


def test_a_failure_in_a_limited_gather_never_starts_the_parts_that_wait() -> None:
    driver = play(two_of_four)
    step = driver.fails("1.0.1", Declined("a"))
    assert issued(step) == ["1.1.2 call clean"]
    driver.returns("1.1.2")
    assert failure_of(driver) == ("Declined", "a")


def test_cancelling_a_limited_gather_never_starts_the_parts_that_wait() -> None:
    driver = play(two_of_four)
    assert issued(driver.cancels()) == ["1.0.2 call clean", "1.1.2 call clean"]
    driver.returns("1.0.2")
    driver.returns("1.1.2")
    assert isinstance(driver.outcome, WasCancelled)


def test_a_changed_limit_is_accepted_while_the_history_is_the_same_and_parked_where_it_is_not() -> None:
    @workflow(name="two_of_four")
    def three_of_four() -> Workflow[list[str]]:
        return list((yield from gather(*[working(name) for name in "abcd"], limit=3)))

    def first_then(limit: int) -> Workflow[None]:
        yield from call(work, "first")
        yield from gather(call(work, "a"), call(work, "b"), limit=limit)

    @workflow(name="late")
    def late() -> Workflow[None]:
        yield from first_then(1)

    @workflow(name="late")
    def late_with_more() -> Workflow[None]:
        yield from first_then(2)

    driver = play(two_of_four)
    with pytest.raises(NondeterminismError) as caught:
        replayed(driver, three_of_four)
    assert (caught.value.index, caught.value.command_id, caught.value.recorded) == (0, "1.2.1", None)
    driver.close()

    driver = play(late)
    replayed(driver, late_with_more).interpreter.close()  # the gather is not reached: any limit fits
    driver.close()


def test_options_that_change_nothing_in_the_history_may_be_changed_under_an_open_run() -> None:
    @workflow(name="lenient")
    def strict() -> Workflow[list[str]]:
        return told((yield from gather(call(work, "a"), call(work, "b"))))

    @workflow(name="lenient")
    def lenient() -> Workflow[list[str]]:
        return told((yield from gather(call(work, "a"), call(work, "b"), limit=2, return_errors=True)))

    driver = play(strict)
    driver.returns("1.0.1", "A")
    again = replayed(driver, lenient)
    assert list(again.interpreter.pending) == ["1.1.1"]
    again.interpreter.close()
    driver.fails("1.1.1", Declined("b"))
    with pytest.raises(NondeterminismError, match="the run fails with"):
        replayed(driver, lenient)


# --- what becomes of failures ---


def test_return_errors_puts_failures_in_their_places_and_cancels_nothing() -> None:
    @workflow
    def three() -> Workflow[list[str]]:
        values = yield from gather(working("a"), working("b"), working("c"), return_errors=True)
        assert isinstance(values[1], Declined)
        return told(values)

    driver = play(three)
    step = driver.fails("1.1.1", Declined("b"))
    assert (step.commands, step.withdrawn) == ((), ())
    driver.returns("1.0.1", "A")
    driver.returns("1.2.1", "C")
    assert result_of(driver) == b'["A","Declined","C"]'


def test_a_part_that_cancels_itself_stands_as_task_cancelled() -> None:
    def leaving() -> Workflow[str]:
        raise Cancelled
        yield

    @workflow
    def one() -> Workflow[str]:
        (value,) = yield from gather(leaving(), return_errors=True)
        assert isinstance(value, TaskCancelled)
        return value.task_id

    assert result_of(play(one)) == b'"1.0"'


def test_cancelling_a_gather_that_returns_errors_is_still_a_cancellation() -> None:
    @workflow
    def two() -> Workflow[list[str]]:
        return told((yield from gather(call(work, "a"), call(work, "b"), return_errors=True)))

    driver = play(two)
    driver.fails("1.0.1", Declined("a"))
    driver.cancels()
    assert isinstance(driver.outcome, WasCancelled)


@workflow
def tolerant(tolerated: int) -> Workflow[list[str]]:
    parts = [working(name) for name in "abcd"]
    return told((yield from gather(*parts, tolerated_failures=tolerated)))


def test_tolerated_failures_stand_in_their_places() -> None:
    driver = play(tolerant, 1)
    driver.fails("1.1.1", Declined("b"))
    for slot, name in [(3, "D"), (0, "A"), (2, "C")]:
        driver.returns(f"1.{slot}.1", name)
    assert result_of(driver) == b'["A","Declined","C","D"]'


def test_one_failure_more_than_tolerated_cancels_the_rest_and_raises_when_cleanup_has_ended() -> None:
    driver = play(tolerant, 1)
    driver.returns("1.3.1", "D")
    driver.fails("1.1.1", Declined("b"))
    assert issued(driver.fails("1.0.1", Declined("a"))) == ["1.2.2 call clean"]
    assert driver.outcome is None
    driver.returns("1.2.2")
    name, message = failure_of(driver)
    assert name == "GatherFailed"
    assert message.splitlines() == [
        "3 of 4 parts had to succeed; 2 failed, 1 had succeeded",
        "  part 0: Declined: a",
        "  part 1: Declined: b",
    ]


def test_gather_failed_carries_counts_failures_and_what_cleanup_raised() -> None:
    seen: list[GatherFailed] = []

    @workflow
    def two() -> Workflow[None]:
        try:
            yield from gather(working("a"), working("b"), tolerated_failures=0)
        except GatherFailed as failed:
            seen.append(failed)

    driver = play(two)
    driver.fails("1.0.1", Declined("a"))
    driver.fails("1.1.2", OSError("no route"))
    assert result_of(driver) == b"null"
    (failed,) = seen
    assert (failed.parts, failed.needed, failed.succeeded, list(failed.failures)) == (2, 2, 0, [0])
    assert failed.__cause__ is failed.failures[0]
    assert failed.__notes__[0].startswith("branch 1.1 failed too, while it was cancelled: CallFailed(")


def test_gather_failed_lists_the_first_failures_only_and_survives_a_broken_exception() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ValueError

    failures: dict[int, Exception] = {slot: Declined(f"n{slot}") for slot in range(7)}
    message = str(GatherFailed(9, 9, 2, failures | {0: Broken()}))
    assert message.splitlines()[1:3] == ["  part 0: Broken", "  part 1: Declined: n1"]
    assert message.endswith("part 4: Declined: n4\n  and 2 more")


@workflow
def quorum() -> Workflow[list[str]]:
    parts = [working(name) for name in "abcd"]
    return told((yield from gather(*parts, min_successful=2, limit=3)))


def test_enough_successes_cancel_the_rest_whose_places_tell() -> None:
    driver = play(quorum)
    driver.returns("1.1.1", "B")
    step = driver.returns("1.0.1", "A")
    assert issued(step) == ["1.2.2 call clean", "1.3.2 call clean"]
    driver.returns("1.2.2")
    assert driver.outcome is None
    driver.returns("1.3.2")
    assert result_of(driver) == b'["A","B","TaskCancelled","TaskCancelled"]'


def test_a_part_that_was_never_started_stands_as_task_cancelled() -> None:
    @workflow
    def first() -> Workflow[str]:
        value, other = yield from gather(call(work, "a"), call(work, "b"), min_successful=1, limit=1)
        assert isinstance(other, TaskCancelled)
        return f"{value} {other.task_id}"

    driver = play(first)
    driver.returns("1.0.1", "A")
    assert result_of(driver) == b'"A 1.1"'
    assert [record.id for transition in driver.history for record in transition.commands] == ["1.0.1"]


def test_a_failure_of_cleanup_after_enough_successes_stands_in_its_place() -> None:
    driver = play(quorum)
    driver.returns("1.1.1", "B")
    driver.returns("1.0.1", "A")
    driver.fails("1.3.2", OSError("no route"))
    driver.returns("1.2.2")
    assert result_of(driver) == b'["A","B","TaskCancelled","CallFailed"]'


def test_a_cancelled_part_that_ends_with_a_value_all_the_same_stands_with_it() -> None:
    def stubborn() -> Workflow[str]:
        try:
            return (yield from call(work, "b"))
        except Cancelled:
            return "late"

    @workflow
    def first() -> Workflow[list[str]]:
        return told((yield from gather(call(work, "a"), stubborn(), min_successful=1)))

    driver = play(first)
    driver.returns("1.0.1", "A")
    assert result_of(driver) == b'["A","late"]'


def test_a_quorum_fails_as_soon_as_it_cannot_be_reached() -> None:
    driver = play(quorum)
    driver.fails("1.0.1", Declined("a"))
    driver.fails("1.1.1", Declined("b"))
    assert driver.outcome is None  # c and d would do
    driver.fails("1.3.1", Declined("d"))
    driver.returns("1.2.2")
    name, message = failure_of(driver)
    assert name == "GatherFailed"
    assert message.startswith("2 of 4 parts had to succeed; 3 failed, 0 had succeeded")


REFUSED: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: gather(sleep(SECOND), limit=0), ValueError, r"gather\(limit=0\): takes 1 or more"),
    (lambda: gather(sleep(SECOND), limit=True), TypeError, r"gather\(limit=True\): takes a whole number, 1 or more"),
    (lambda: gather(limit=1.5), TypeError, "takes a whole number"),  # type: ignore[call-overload]
    (lambda: gather(sleep(SECOND), min_successful=0), ValueError, r"min_successful=0\): takes 1 or more"),
    (lambda: gather(sleep(SECOND), min_successful=2), ValueError, "there are only 1 parts that could succeed"),
    (lambda: gather(sleep(SECOND), tolerated_failures=-1), ValueError, r"tolerated_failures=-1\): takes 0 or more"),
    (lambda: gather(sleep(SECOND), return_errors=1), TypeError, "takes True or False"),  # type: ignore[call-overload]
    (
        lambda: gather(sleep(SECOND), return_errors=True, tolerated_failures=1),
        ValueError,
        r"gather\(tolerated_failures=, return_errors=True\): give one of them, each says what becomes of failures",
    ),
    (lambda: gather(sleep(SECOND), min_successful=1, tolerated_failures=0), ValueError, "give one of them"),
    (lambda: map_(work, [], min_successful=1), ValueError, r"map_\(min_successful=1\): there are only 0 parts"),
    (lambda: map_(work, {"a"}), TypeError, r"a set has another order in every process; write map_\(fn, sorted"),
    (lambda: map_(work, frozenset("a")), TypeError, "another order in every process"),
    (lambda: map_("work", ["a"]), TypeError, "takes a function"),  # type: ignore[call-overload]
    (lambda: map_(work, 5), TypeError, "not iterable"),  # type: ignore[call-overload]
    (lambda: timeout(5, sleep(SECOND)), TypeError, r"delta=5\): .* write timedelta\(seconds=5\)"),  # type: ignore[arg-type]
    (lambda: timeout(SECOND, working), TypeError, "neither a command nor a generator"),  # type: ignore[arg-type]
    (lambda: shield(5), TypeError, "shield: 5 is neither a command nor a generator"),  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize(("written", "kind", "text"), REFUSED)
def test_what_cannot_be_meant_is_refused_where_it_is_written(
    written: Callable[[], object], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        written()


# --- map_ ---


def test_map_calls_an_activity_with_each_item_in_order() -> None:
    @workflow
    def each() -> Workflow[list[str]]:
        return list((yield from map_(work, iter(["a", "b"]), limit=1)))

    driver = play(each)
    assert issued(driver.last) == ["1.0.1 call work"]
    driver.returns("1.0.1", "A")
    driver.returns("1.1.1", "B")
    assert result_of(driver) == b'["A","B"]'
    assert gather(call(work, "a"), call(work, "b"), limit=2) == map_(work, "ab", limit=2)


def test_map_runs_a_generator_function_as_a_branch_for_each_item() -> None:
    def twice(times: int, name: str) -> Workflow[list[str]]:
        values: list[str] = []
        for _ in range(times):
            values.append((yield from call(work, name)))  # noqa: PERF401  a comprehension cannot yield
        return values

    @workflow
    def each() -> Workflow[Any]:
        return (yield from map_(partial(twice, 2), ["a", "b"], return_errors=True))

    driver = play(each)
    assert driver.pending == ["1.0.1", "1.1.1"]
    driver.returns("1.0.1", "A")
    driver.fails("1.1.1", Declined("b"))
    assert driver.pending == ["1.0.2"]
    driver.cancels()


def test_map_over_nothing_is_an_empty_tuple_at_once() -> None:
    @workflow
    def none() -> Workflow[int]:
        return len((yield from map_(work, [], limit=5, return_errors=True)))

    assert result_of(play(none)) == b"0"


# --- thousands ---


@workflow
def crowd(size: int, limit: int | None) -> Workflow[int]:
    return len((yield from map_(work, map(str, range(size)), limit=limit, return_errors=True)))


def lines_for(size: int, limit: int | None) -> int:
    """Bring a crowd to its end in the interpreter, and say how many lines of Python that took."""
    definition = play(crowd, 0, None).definition
    started = Started(definition.name, definition.arguments.encode((size, limit), {}), SEED)
    interpreter = Interpreter(definition, started, "run")
    at_most, count = limit or size, 0

    def trace(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        waiting = [each.id for each in interpreter.start(EPOCH).commands]
        most = len(waiting)
        while interpreter.outcome is None:
            step = interpreter.feed(Resolved(waiting.pop(), b'"x"'), EPOCH)
            waiting += [each.id for each in step.commands]
            most = max(most, len(waiting))
    finally:
        sys.settrace(before)
    assert most == at_most
    assert interpreter.outcome == Completed(str(size).encode())
    return count


@pytest.mark.parametrize("limit", [None, 20])
def test_thousands_of_branches_cost_as_much_each_as_hundreds(limit: int | None) -> None:
    # Ten times as many; a hundred times as much if it were quadratic. Counted in lines, which no busy machine changes.
    assert lines_for(3_000, limit) < 11 * lines_for(300, limit)


def test_five_thousand_branches_end_in_a_real_engine() -> None:
    with Engine("memory:") as engine:
        assert engine.start(crowd, 5_000, 100).result(timeout=timedelta(seconds=60)) == 5_000


# --- timeout ---


def timed(part: Command[Any] | Workflow[Any]) -> Workflow[str]:
    try:
        return str((yield from timeout(SECOND, part)))
    except PartTimeout as error:
        return " | ".join([str(error), *getattr(error, "__notes__", ())])


@workflow
def timed_command() -> Workflow[str]:
    return (yield from timed(call(work, "a")))


@workflow
def timed_part() -> Workflow[str]:
    return (yield from timed(working("a")))


def test_a_part_in_time_gives_its_value_and_withdraws_the_timer() -> None:
    driver = play(timed_command)
    assert issued(driver.last) == ["1.0.1 call work", "1.1.1 sleep"]
    step = driver.returns("1.0.1", "A")
    assert [each.id for each in step.withdrawn] == ["1.1.1"]
    assert result_of(driver) == b'"A"'


def test_a_command_over_its_time_is_withdrawn_and_raises() -> None:
    driver = play(timed_command)
    assert [each.id for each in driver.fires().withdrawn] == ["1.0.1"]
    assert result_of(driver) == b'"call(work, ...) took longer than 1 s and was cancelled"'


def test_a_part_timeout_is_a_timeout_and_an_error_of_ours() -> None:
    assert issubclass(PartTimeout, TimeoutError)
    assert issubclass(PartTimeout, InterpError)


def test_a_part_over_its_time_cleans_up_before_the_timeout_is_raised() -> None:
    driver = play(timed_part)
    assert issued(driver.fires()) == ["1.0.2 call clean"]
    assert driver.outcome is None
    driver.returns("1.0.2")
    assert result_of(driver) == b"\"working('a') took longer than 1 s and was cancelled\""


def test_a_failure_of_cleanup_after_a_timeout_is_a_note_on_it() -> None:
    driver = play(timed_part)
    driver.fires()
    driver.fails("1.0.2", OSError("no route"))
    assert b"and was cancelled | branch 1.0 failed too, while it was cancelled: CallFailed(" in result_of(driver)


def test_a_failure_of_a_part_in_time_is_raised_as_itself() -> None:
    driver = play(timed_command)
    driver.fails("1.0.1", Declined("a"))
    assert failure_of(driver) == ("Declined", "a")


def test_cancelling_a_timeout_cancels_part_and_timer() -> None:
    driver = play(timed_part)
    step = driver.cancels()
    assert [each.id for each in step.withdrawn] == ["1.0.1", "1.1.1"]
    driver.returns("1.0.2")
    assert isinstance(driver.outcome, WasCancelled)


def test_a_timeout_beyond_the_last_date_is_refused_before_the_part_begins() -> None:
    @workflow
    def for_ever() -> Workflow[str]:
        try:
            return (yield from timeout(timedelta.max, working("a")))
        except UsageError as error:
            return str(error)

    driver = play(for_ever)
    assert driver.last.commands == ()
    assert b"is no date" in result_of(driver)


def test_another_time_under_an_open_run_parks_it_as_a_sleep_would() -> None:
    @workflow(name="timed_command")
    def longer() -> Workflow[str]:
        return (yield from timeout(2 * SECOND, call(work, "a")))

    driver = play(timed_command)
    with pytest.raises(NondeterminismError) as caught:
        replayed(driver, longer)
    assert (caught.value.command_id, caught.value.recorded, caught.value.yielded) == (
        "1.1.1",
        "sleep 1.0 s",
        "sleep 2.0 s",
    )
    driver.close()


# --- shield ---


@workflow
def shielded() -> Workflow[str]:
    value = yield from shield(working("a"))
    yield from call(work, value)
    return value


def test_a_shield_gives_the_value_of_its_part() -> None:
    driver = play(shielded)
    assert issued(driver.last) == ["1.0.1 call work"]
    assert issued(driver.returns("1.0.1", "A")) == ["2 call work"]
    driver.returns("2", "B")
    assert result_of(driver) == b'"A"'


def test_a_cancelled_run_waits_for_its_shielded_part_and_is_cancelled_at_the_next_yield() -> None:
    driver = play(shielded)
    step = driver.cancels()
    assert (step.commands, step.withdrawn, driver.pending) == ((), (), ["1.0.1"])
    driver.cancels()  # asking again changes nothing
    assert issued(driver.returns("1.0.1", "A")) == []
    assert isinstance(driver.outcome, WasCancelled)


def test_a_fiber_that_has_no_next_yield_after_its_shield_ends_with_its_value() -> None:
    @workflow
    def last() -> Workflow[str]:
        return (yield from shield(call(work, "a")))

    driver = play(last)
    driver.cancels()
    driver.returns("1.0.1", "A")
    assert result_of(driver) == b'"A"'


def test_a_failure_of_a_shielded_part_is_raised_before_the_cancellation() -> None:
    @workflow
    def handling() -> Workflow[str]:
        try:
            return (yield from shield(call(work, "a")))
        except Declined:
            yield from call(clean, "a")
            return "unreached"

    driver = play(handling)
    driver.cancels()
    assert issued(driver.fails("1.0.1", Declined("a"))) == []
    assert isinstance(driver.outcome, WasCancelled)


def test_all_that_a_shielded_part_waits_for_is_shielded_and_what_runs_beside_it_is_not() -> None:
    def inner() -> Workflow[None]:
        yield from gather(working("a"), working("b"))

    @workflow
    def both() -> Workflow[None]:
        task = yield from spawn(working("c"))
        yield from shield(inner())
        yield from join(task)

    driver = play(both)
    assert driver.pending == ["1.0.1", "2.0.1.0.1", "2.0.1.1.1"]
    assert issued(driver.cancels()) == ["1.0.2 call clean"]
    assert driver.pending == ["2.0.1.0.1", "2.0.1.1.1", "1.0.2"]
    driver.returns("2.0.1.0.1", "A")
    driver.returns("2.0.1.1.1", "B")
    driver.returns("1.0.2")
    assert isinstance(driver.outcome, WasCancelled)


def test_a_timeout_and_a_race_wait_for_the_shielded_part_of_the_loser() -> None:
    @workflow
    def bounded() -> Workflow[str]:
        try:
            return (yield from timeout(SECOND, shield(call(work, "a"))))
        except PartTimeout:
            return "too late"

    driver = play(bounded)
    driver.fires()
    assert (driver.outcome, driver.pending) == (None, ["1.0.1.0.1"])
    driver.returns("1.0.1.0.1", "A")
    assert result_of(driver) == b'"too late"'


def test_a_shield_that_was_not_reached_shields_nothing() -> None:
    @workflow
    def late() -> Workflow[None]:
        yield from call(work, "a")
        yield from shield(call(work, "b"))

    driver = play(late)
    driver.cancels()
    assert isinstance(driver.outcome, WasCancelled)


def test_a_task_in_a_shield_can_still_be_cancelled_by_its_name() -> None:
    def inner() -> Workflow[str]:
        task = yield from spawn(call(work, "b"))
        yield from call(work, "a")
        yield from cancel(task)
        return "done"

    @workflow
    def outer() -> Workflow[str]:
        return (yield from shield(inner()))

    driver = play(outer)
    driver.cancels()
    assert [each.id for each in driver.returns("1.0.2", "A").withdrawn] == ["1.0.1.0.1"]
    assert result_of(driver) == b'"done"'


def test_timeouts_and_shields_are_parts_and_can_be_yielded_plainly() -> None:
    @workflow
    def plainly() -> Workflow[list[Any]]:
        one = yield timeout(SECOND, call(work, "a"))
        two = yield shield(call(work, "b"))
        both = yield gather(timeout(SECOND, call(work, "c")), shield(call(work, "d")))
        _, winner = yield race(shield(call(work, "e")), sleep(SECOND))
        return [one, two, *both, winner]

    driver = play(plainly)
    names = iter("ABCDE")
    for command_id in ["1.0.1", "2.0.1", "3.0.1.0.1", "3.1.1.0.1", "4.0.1.0.1"]:
        driver.returns(command_id, next(names))
    assert result_of(driver) == b'["A","B","C","D","E"]'


def test_generators_of_a_dropped_limited_gather_that_never_began_run_nothing() -> None:
    begun: list[int] = []
    counter = itertools.count()

    def counting(items: Iterator[int]) -> Workflow[None]:
        begun.append(next(items))
        yield from call(work, "a")

    @workflow
    def many() -> Workflow[None]:
        yield from gather(*[counting(counter) for _ in range(9)], limit=2)

    play(many).close()
    assert begun == [0, 1]
