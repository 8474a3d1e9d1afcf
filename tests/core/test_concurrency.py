"""The rules of structured concurrency, each by an example."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from interp import (
    CallFailed,
    Cancelled,
    Task,
    TaskCancelled,
    UsageError,
    Workflow,
    activity,
    await_signal,
    call,
    cancel,
    gather,
    join,
    now,
    race,
    sleep,
    spawn,
    workflow,
)
from interp.errors import WorkflowError
from interp.events import Completed, Failed, WasCancelled
from interp.frames import label
from tests.core.driving import Driver, issued, play

SECOND = timedelta(seconds=1)


class Declined(Exception):
    pass


@activity(raises=Declined)
def work(name: str) -> str:
    return name


@activity
def clean(name: str) -> None: ...


def working(name: str, log: list[str] | None = None) -> Workflow[str]:
    """Work, and clean up when cancelled."""
    try:
        return (yield from call(work, name))
    except Cancelled:
        if log is not None:
            log.append(f"{name} cancelled")
        yield from call(clean, name)
        raise


def failure_of(driver: Driver) -> tuple[str, str]:
    outcome = driver.outcome
    assert isinstance(outcome, Failed), outcome
    return outcome.failure.type_name.rpartition(".")[2], outcome.failure.message


def result_of(driver: Driver) -> bytes:
    outcome = driver.outcome
    assert isinstance(outcome, Completed), outcome
    return outcome.payload


# --- gather ---


def test_a_gather_gives_values_in_the_order_of_its_parts() -> None:
    @workflow
    def both() -> Workflow[list[str]]:
        return list((yield from gather(call(work, "a"), working("b"))))

    driver = play(both)
    assert issued(driver.last) == ["1.0.1 call work", "1.1.1 call work"]
    driver.returns("1.1.1", "B")
    driver.returns("1.0.1", "A")
    assert result_of(driver) == b'["A","B"]'


def test_an_empty_gather_gives_an_empty_tuple_at_once_and_takes_an_id() -> None:
    @workflow
    def nothing() -> Workflow[None]:
        assert (yield from gather()) == ()
        yield from call(work, "a")

    driver = play(nothing)
    assert issued(driver.last) == ["2 call work"]
    driver.close()


def test_an_empty_race_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match=r"race\(\) has no parts, so that nobody could win it"):
        _ = race()


def test_a_race_by_position_and_by_name_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match="all parts by position or all by name"):
        _ = race(sleep(SECOND), other=sleep(SECOND))  # type: ignore[call-overload]


def test_a_failure_in_a_gather_cancels_the_siblings_and_waits_for_their_cleanup() -> None:
    log: list[str] = []

    @workflow
    def three() -> Workflow[str]:
        try:
            yield from gather(working("a", log), call(work, "b"), working("c", log))
        except Declined as declined:
            return f"{declined} after {log}"
        return "unreached"

    driver = play(three)
    step = driver.fails("1.1.1", Declined("b"))
    assert [each.id for each in step.withdrawn] == ["1.0.1", "1.2.1"]
    assert issued(step) == ["1.0.2 call clean", "1.2.2 call clean"]
    driver.returns("1.2.2")
    assert driver.outcome is None
    driver.returns("1.0.2")
    assert result_of(driver) == b"\"b after ['a cancelled', 'c cancelled']\""


def test_a_failure_of_cleanup_is_a_note_on_the_failure_that_cancelled() -> None:
    notes: list[str] = []

    @workflow
    def two() -> Workflow[None]:
        try:
            yield from gather(call(work, "a"), working("b"))
        except Declined as declined:
            notes.extend(declined.__notes__)

    driver = play(two)
    driver.fails("1.0.1", Declined("a"))
    driver.fails("1.1.2", OSError("no route"))
    assert result_of(driver) == b"null"
    assert len(notes) == 1
    assert notes[0].startswith("branch 1.1 failed too, while it was cancelled: CallFailed(")


def test_a_part_that_never_began_is_not_run_when_its_gather_fails() -> None:
    begun: list[str] = []

    def failing() -> Workflow[None]:
        raise Declined("at once")
        yield

    def late() -> Workflow[None]:
        begun.append("late")
        yield from call(work, "late")

    @workflow
    def two() -> Workflow[None]:
        yield from gather(failing(), late())

    driver = play(two)
    assert failure_of(driver) == ("Declined", "at once")
    assert begun == []
    assert driver.last.commands == ()


def test_one_generator_as_two_parts_is_refused_at_the_yield() -> None:
    @workflow
    def twice() -> Workflow[str]:
        part = working("a")
        try:
            yield from gather(part, part)
        except UsageError as error:
            return str(error)
        return "unreached"

    assert b"one generator is given as two branches" in result_of(play(twice))


def test_a_generator_that_has_begun_is_refused_at_the_yield() -> None:
    @workflow
    def begun() -> Workflow[str]:
        part = working("a")
        _ = next(part)
        try:
            yield from gather(part)
        except UsageError as error:
            return str(error)
        return "unreached"

    assert b"working has begun already" in result_of(play(begun))


# --- race ---


def test_the_first_to_end_wins_a_race_and_the_losers_are_told() -> None:
    log: list[str] = []

    @workflow
    def two() -> Workflow[Any]:
        return list((yield from race(working("a", log), working("b", log))))

    driver = play(two)
    step = driver.returns("1.1.1", "B")
    assert [each.id for each in step.withdrawn] == ["1.0.1"]
    assert log == ["a cancelled"]
    assert driver.outcome is None
    driver.returns("1.0.2")
    assert result_of(driver) == b'[1,"B"]'


def test_a_race_by_name_gives_the_name_of_the_winner() -> None:
    @workflow
    def named() -> Workflow[str]:
        winner, value = yield from race(answer=call(work, "a"), late=sleep(SECOND))
        return f"{winner} {value}"

    driver = play(named)
    driver.fires()
    assert result_of(driver) == b'"late None"'


def test_a_race_that_is_won_at_once_issues_and_withdraws_the_others_in_one_step() -> None:
    def quick() -> Workflow[str]:
        return "quick"
        yield

    @workflow
    def two() -> Workflow[list[Any]]:
        return list((yield from race(call(work, "a"), quick())))

    driver = play(two)
    assert result_of(driver) == b'[1,"quick"]'
    assert issued(driver.last) == ["1.0.1 call work"]
    assert [each.id for each in driver.last.withdrawn] == ["1.0.1"]


def test_the_first_failure_decides_a_race_too() -> None:
    @workflow
    def two() -> Workflow[None]:
        yield from race(call(work, "a"), sleep(SECOND))

    driver = play(two)
    driver.fails("1.0.1", Declined("no"))
    assert failure_of(driver) == ("Declined", "no")


def test_a_failure_of_a_losers_cleanup_replaces_the_value_of_the_winner() -> None:
    @workflow
    def two() -> Workflow[None]:
        yield from race(working("a"), sleep(SECOND))

    driver = play(two)
    driver.fires()
    driver.fails("1.0.2", OSError("no route"))
    assert failure_of(driver)[0] == "CallFailed"


def test_a_loser_that_swallows_its_cancellation_may_go_on_but_does_not_change_the_result() -> None:
    def stubborn() -> Workflow[str]:
        try:
            return (yield from call(work, "a"))
        except Cancelled:
            return (yield from call(work, "b"))

    @workflow
    def two() -> Workflow[list[Any]]:
        return list((yield from race(stubborn(), sleep(SECOND))))

    driver = play(two)
    driver.fires()
    driver.returns("1.0.2", "late")
    assert result_of(driver) == b"[1,null]"


# --- spawn, join, cancel ---


def test_a_spawned_fiber_runs_beside_the_one_that_spawned_it() -> None:
    @workflow
    def two() -> Workflow[str]:
        task = yield from spawn(working("a"), name="helper")
        assert task == Task("1.0", "helper")
        mine = yield from call(work, "b")
        return mine + (yield from join(task))

    driver = play(two)
    assert issued(driver.last) == ["2 call work", "1.0.1 call work"]
    driver.returns("1.0.1", "A")
    driver.returns("2", "B")
    assert result_of(driver) == b'"BA"'


def test_a_task_joined_twice_gives_the_same_value_twice() -> None:
    @workflow
    def twice() -> Workflow[list[str]]:
        task = yield from spawn(call(work, "a"))
        first = yield from join(task)
        return [first, (yield from join(task))]

    driver = play(twice)
    driver.returns("1.0.1", "A")
    assert result_of(driver) == b'["A","A"]'


def test_a_failed_task_joined_twice_raises_the_same_failure_twice() -> None:
    @workflow
    def twice() -> Workflow[str]:
        task = yield from spawn(call(work, "a"))
        seen = []
        for _ in range(2):
            try:
                yield from join(task)
            except Declined as declined:
                seen.append(str(declined))
        return " ".join(seen)

    driver = play(twice)
    driver.fails("1.0.1", Declined("no"))
    assert result_of(driver) == b'"no no"'


def test_a_run_ends_only_when_its_spawned_fibers_have_ended() -> None:
    @workflow
    def leaving() -> Workflow[str]:
        yield from spawn(call(work, "a"))
        return "left"

    driver = play(leaving)
    assert driver.outcome is None
    driver.returns("1.0.1", "A")
    assert result_of(driver) == b'"left"'


def test_a_spawned_fiber_that_fails_cancels_its_siblings_and_its_parent_which_fails_with_it() -> None:
    log: list[str] = []

    @workflow
    def family() -> Workflow[None]:
        yield from spawn(working("a", log))
        yield from spawn(call(work, "b"))
        try:
            yield from call(work, "c")
        finally:
            log.append("parent cleans up")

    driver = play(family)
    driver.fails("2.0.1", Declined("b"))
    assert log == ["a cancelled", "parent cleans up"]
    assert driver.outcome is None
    driver.returns("1.0.2")
    assert failure_of(driver) == ("Declined", "b")


def test_a_fiber_that_fails_cancels_what_it_spawned_and_waits_for_its_cleanup() -> None:
    log: list[str] = []

    @workflow
    def failing() -> Workflow[None]:
        yield from spawn(working("a", log))
        yield from call(work, "b")

    driver = play(failing)
    driver.fails("2", Declined("b"))
    assert log == ["a cancelled"]
    assert driver.outcome is None
    driver.returns("1.0.2")
    assert failure_of(driver) == ("Declined", "b")


def test_a_parent_cannot_talk_its_way_out_of_the_failure_of_a_spawned_fiber() -> None:
    @workflow
    def deaf() -> Workflow[str]:
        yield from spawn(call(work, "a"))
        try:
            yield from call(work, "b")
        except Cancelled:
            return "all is well"
        return "unreached"

    driver = play(deaf)
    driver.fails("1.0.1", Declined("a"))
    assert failure_of(driver) == ("Declined", "a")


def test_a_failure_that_somebody_joins_is_for_the_joiner_alone() -> None:
    @workflow
    def joining() -> Workflow[str]:
        task = yield from spawn(call(work, "a"))
        try:
            yield from join(task)
        except Declined:
            return "handled"
        return "unreached"

    driver = play(joining)
    driver.fails("1.0.1", Declined("a"))
    assert result_of(driver) == b'"handled"'


def test_a_cancelled_task_cleans_up_and_has_no_value_to_join() -> None:
    log: list[str] = []

    @workflow
    def cancelling() -> Workflow[str]:
        task = yield from spawn(working("a", log))
        yield from sleep(SECOND)
        yield from cancel(task)
        yield from cancel(task)
        try:
            yield from join(task)
        except TaskCancelled as error:
            return str(error)
        return "unreached"

    driver = play(cancelling)
    step = driver.fires()
    assert issued(step) == ["1.0.2 call clean"]
    assert log == ["a cancelled"]
    driver.returns("1.0.2")
    assert result_of(driver) == b'"task 1.0 was cancelled and has no value"'


def test_cancelling_a_task_that_has_ended_changes_nothing() -> None:
    @workflow
    def late() -> Workflow[str]:
        task = yield from spawn(call(work, "a"))
        value = yield from join(task)
        yield from cancel(task)
        return value + (yield from join(task))

    driver = play(late)
    driver.returns("1.0.1", "A")
    assert result_of(driver) == b'"AA"'


def test_a_fiber_that_cancels_itself_is_told_at_its_next_yield() -> None:
    @workflow
    def suicidal() -> Workflow[str]:
        tasks: list[Task[str]] = []

        def member() -> Workflow[str]:
            yield from sleep(SECOND)
            yield from cancel(tasks[0])
            try:
                yield from call(work, "never")
            except Cancelled:
                return "told"
            return "unreached"

        tasks.append((yield from spawn(member())))
        return (yield from join(tasks[0]))

    driver = play(suicidal)
    driver.fires()
    assert result_of(driver) == b'"told"'
    assert driver.last.commands == ()


def test_cancelling_a_fiber_cancels_what_it_spawned_and_gathers_innermost_first() -> None:
    log: list[str] = []

    def outer() -> Workflow[None]:
        yield from spawn(working("spawned", log))
        try:
            yield from gather(working("gathered", log), sleep(SECOND))
        finally:
            log.append("outer")

    @workflow
    def nested() -> Workflow[None]:
        yield from spawn(outer())
        yield from await_signal("go")

    driver = play(nested)
    driver.cancels()
    assert log == ["spawned cancelled", "gathered cancelled"]
    driver.returns("1.0.2.0.2")
    driver.returns("1.0.1.0.2")
    assert log == ["spawned cancelled", "gathered cancelled", "outer"]
    assert driver.outcome == WasCancelled("enough")


def test_a_fiber_that_has_a_result_to_take_gets_it_before_it_is_cancelled() -> None:
    seen: list[object] = []

    def waiting(task: Task[str]) -> Workflow[None]:
        try:
            seen.append((yield from join(task)))
            yield from call(work, "never")
        except Cancelled:
            seen.append("cancelled")
            raise

    @workflow
    def both() -> Workflow[None]:
        task = yield from spawn(call(work, "a"))
        # Both members are resumed by one event; the first to run ends the race.
        yield from race(join(task), waiting(task))

    driver = play(both)
    driver.returns("1.0.1", "A")
    assert seen == ["A", "cancelled"]
    assert result_of(driver) == b"null"


def test_what_is_no_task_is_refused_at_the_yield() -> None:
    @workflow
    def wrong() -> Workflow[str]:
        try:
            yield from join(Task("9.0"))
        except UsageError as error:
            return str(error)
        return "unreached"

    assert b"is not a task that spawn returned in this run" in result_of(play(wrong))


# --- cancelling a run ---


def test_cancelling_a_run_throws_cancelled_at_the_yield_where_it_waits() -> None:
    @workflow
    def waiting() -> Workflow[str]:
        return (yield from working("a"))

    driver = play(waiting)
    step = driver.cancels("too late")
    assert [each.id for each in step.withdrawn] == ["1"]
    assert issued(step) == ["2 call clean"]
    driver.returns("2")
    assert driver.outcome == WasCancelled("too late")


def test_a_second_request_to_cancel_changes_nothing() -> None:
    log: list[str] = []

    @workflow
    def waiting() -> Workflow[str]:
        return (yield from working("a", log))

    driver = play(waiting)
    driver.cancels("first")
    step = driver.cancels("second")
    assert (step.commands, step.withdrawn, step.outcome) == ((), (), None)
    driver.returns("2")
    assert log == ["a cancelled"]
    assert driver.outcome == WasCancelled("first")


def test_a_run_that_swallows_its_cancellation_may_return() -> None:
    @workflow
    def swallowing() -> Workflow[str]:
        try:
            yield from call(work, "a")
        except Cancelled:
            return "as far as it got"
        return "unreached"

    driver = play(swallowing)
    driver.cancels()
    assert result_of(driver) == b'"as far as it got"'


def test_a_failure_of_cleanup_replaces_the_cancellation() -> None:
    @workflow
    def waiting() -> Workflow[str]:
        return (yield from working("a"))

    driver = play(waiting)
    driver.cancels()
    driver.fails("2", OSError("no route"))
    assert failure_of(driver) == ("CallFailed", "clean failed after 3 attempts: builtins.OSError: no route")


def test_except_exception_does_not_catch_a_cancellation() -> None:
    @workflow
    def careless() -> Workflow[None]:
        while True:
            try:
                yield from call(work, "a")
            except Exception:  # noqa: BLE001  what the test is about
                continue

    driver = play(careless)
    driver.fails("1", Declined("no"))
    driver.cancels()
    assert driver.outcome == WasCancelled("enough")


# --- runs that cannot move, or never stop ---


def test_fibers_that_join_each_other_fail_the_run_and_are_named_with_their_lines() -> None:
    @workflow
    def cycle() -> Workflow[None]:
        tasks: list[Task[None]] = []

        def waiting(other: int) -> Workflow[None]:
            yield from sleep(SECOND)
            yield from join(tasks[other])

        tasks.append((yield from spawn(waiting(1))))
        tasks.append((yield from spawn(waiting(0))))
        yield from join(tasks[0])

    driver = play(cycle)
    driver.fires()
    driver.fires()
    kind, message = failure_of(driver)
    line = cycle.__code__.co_firstlineno
    assert kind == "Stalled"
    assert message.splitlines() == [
        "the workflow can never move again; its fibers wait for each other:",
        f"  test_concurrency.py:{line + 10}: cycle() (fiber root) waits for task 1.0",
        f"  test_concurrency.py:{line + 6}: waiting(1) (fiber 1.0) waits for task 2.0",
        f"  test_concurrency.py:{line + 6}: waiting(0) (fiber 2.0) waits for task 1.0",
    ]


def test_a_run_that_returned_but_left_fibers_that_cannot_move_fails() -> None:
    @workflow
    def leaving() -> Workflow[str]:
        tasks: list[Task[None]] = []

        def waiting() -> Workflow[None]:
            yield from join(tasks[0])

        tasks.append((yield from spawn(waiting())))
        return "left"

    kind, message = failure_of(play(leaving))
    assert kind == "Stalled"
    assert "(fiber root) waits for the fibers that it spawned" in message


def busy() -> Workflow[None]:
    while True:
        yield from now()


def busy_and_deaf() -> Workflow[None]:
    while True:
        try:
            yield from now()
        except BaseException:  # noqa: BLE001  what the test is about
            continue


def joining_what_has_ended() -> Workflow[None]:
    task = yield from spawn(nothing())
    while True:
        yield from join(task)


def nothing() -> Workflow[None]:
    return
    yield


def gathering_for_ever() -> Workflow[None]:
    while True:
        yield from gather(nothing(), nothing())


@pytest.mark.parametrize("code", [busy, joining_what_has_ended, gathering_for_ever, busy_and_deaf])
def test_a_run_that_never_stops_running_fails(code: Callable[[], Workflow[None]]) -> None:
    @workflow
    def endless() -> Workflow[None]:
        yield from code()

    kind, message = failure_of(play(endless))
    assert kind == "Stalled"
    assert "test_concurrency.py:" in message


def spawning_for_ever() -> Workflow[None]:
    yield from spawn(spawning_for_ever())


def test_fibers_that_start_each_other_for_ever_are_refused() -> None:
    @workflow
    def endless() -> Workflow[None]:
        yield from spawning_for_ever()

    kind, message = failure_of(play(endless))
    assert kind == "UsageError"
    assert message.startswith("fibers are nested ")


def test_a_long_chain_of_fibers_ends_and_is_cancelled_without_recursion() -> None:
    def link(left: int) -> Workflow[None]:
        if left:
            yield from spawn(link(left - 1))
        else:
            yield from call(work, "last")

    @workflow
    def chain() -> Workflow[None]:
        yield from spawn(link(240))

    driver = play(chain)
    driver.returns(driver.pending[0], "A")
    assert result_of(driver) == b"null"
    driver = play(chain)
    driver.cancels()
    assert driver.outcome == WasCancelled("enough")


def test_an_unhandled_failure_keeps_its_traceback_and_starts_at_the_users_line() -> None:
    @workflow
    def failing() -> Workflow[None]:
        yield from gather(working("a"), raising())

    driver = play(failing)
    driver.returns("1.0.1", "A")
    driver.fires()
    outcome = driver.outcome
    assert isinstance(outcome, Failed)
    lines = outcome.failure.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line.rpartition(" in ")[2] for line in lines[1:-1]] == [
        "test_an_unhandled_failure_keeps_its_traceback_and_starts_at_the_users_line.<locals>.failing",
        "raising",
    ]
    assert lines[-1] == "ValueError: bad"


def raising() -> Workflow[None]:
    yield from sleep(SECOND)
    raise ValueError("bad")


def test_errors_of_the_library_are_workflow_errors() -> None:
    assert issubclass(TaskCancelled, WorkflowError)
    assert not issubclass(CallFailed, WorkflowError)


def test_a_fiber_is_named_without_an_address_so_that_a_replay_names_it_alike() -> None:
    class Keeper:
        def waits(self, _name: str) -> Any:
            yield

    assert "waits('lamp')" == label(Keeper().waits("lamp"))

    def guards(_keeper: Keeper) -> Any:
        yield

    assert "guards()" == label(guards(Keeper()))
