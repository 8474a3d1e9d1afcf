"""Runs that start runs, and runs that send each other signals."""

import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from interp import (
    Cancelled,
    ChildCancelled,
    ChildFailed,
    Engine,
    RunCancelled,
    Status,
    UsageError,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    child,
    continue_as,
    gather,
    race,
    run_info,
    send,
    sleep,
    workflow,
)
from interp.errors import RunEnded, RunExists, UnknownRun
from interp.events import ChildEnded, Delivered
from tests.runtime.helpers import WAIT, causes, eventually

NEVER = timedelta(days=365)


@activity
def double(number: int) -> int:
    return 2 * number


@workflow
def doubling(number: int) -> Workflow[int]:
    return (yield from call(double, number))


@workflow
def failing(number: int) -> Workflow[int]:
    yield from call(double, number)
    raise ValueError(f"no {number}")


@workflow(name="waiting child")
def waiting() -> Workflow[str]:
    try:
        return (yield from await_signal("go", str))
    except Cancelled:
        yield from annotate(cleaned=True)
        raise


def test_a_child_gives_its_result_typed_as_its_workflow_says(url: str) -> None:
    @workflow
    def parent() -> Workflow[int]:
        one = yield from child(doubling, 1)
        two = yield from child(doubling, one)
        return one + two

    with Engine(url) as engine:
        run = engine.start(parent, id="parent")
        assert run.result(WAIT) == 6
        assert engine.get("parent/1").result(WAIT) == 2
        assert engine.get("parent/2").result(WAIT) == 4


def test_the_failure_of_a_child_is_raised_where_it_is_awaited(url: str) -> None:
    @workflow
    def parent() -> Workflow[str]:
        try:
            yield from child(failing, 7)
        except ChildFailed as failed:
            return f"{failed.run_id} {failed.type_name} {failed.message}"
        return "no failure"

    with Engine(url) as engine:
        assert engine.start(parent, id="p").result(WAIT) == "p/1 builtins.ValueError no 7"


def test_a_hundred_children_run_side_by_side_and_once_each(url: str) -> None:
    made: Counter[int] = Counter()

    @activity
    def count(number: int) -> int:
        made[number] += 1
        return number

    @workflow
    def counting(number: int) -> Workflow[int]:
        return (yield from call(count, number))

    @workflow
    def parent() -> Workflow[int]:
        numbers = yield from gather(*[child(counting, number) for number in range(100)])
        return sum(numbers)

    with Engine(url, cache=3) as engine:
        assert engine.start(parent).result(WAIT) == sum(range(100))
    assert set(made.values()) == {1} and len(made) == 100


def test_a_child_goes_on_and_its_parent_hears_of_it_after_a_restart(url: str) -> None:
    @workflow
    def parent() -> Workflow[str]:
        return (yield from child(waiting, id="the child"))

    with Engine(url) as engine:
        _ = engine.start(parent, id="p")
        eventually(lambda: engine.store.run("the child") is not None)
    with Engine(url) as engine:
        engine.get("the child").signal("go", "on")
        assert engine.get("p").result(WAIT) == "on"
        assert [type(cause) for cause in causes(engine.get("p"))].count(ChildEnded) == 1


def test_a_cancelled_parent_cancels_its_child_which_cleans_up(url: str) -> None:
    @workflow
    def parent() -> Workflow[str]:
        return (yield from child(waiting, id="kid"))

    with Engine(url) as engine:
        run = engine.start(parent, id="p")
        eventually(lambda: engine.store.run("kid") is not None)
        run.cancel("enough")
        with pytest.raises(RunCancelled, match="enough"):
            run.result(WAIT)
        with pytest.raises(RunCancelled, match="its parent 'p' does not wait for it any more"):
            engine.get("kid").result(WAIT)
        assert engine.get("kid").state == {"cleaned": True}


def test_an_abandoned_child_lives_on(url: str) -> None:
    @workflow
    def parent() -> Workflow[Any]:
        return (yield from race(child(waiting, id="kid", on_parent_close="abandon"), sleep(timedelta(0))))

    with Engine(url) as engine:
        assert engine.start(parent).result(WAIT) == [1, None]
        engine.get("kid").signal("go", "on")
        assert engine.get("kid").result(WAIT) == "on"


def test_a_child_that_is_to_be_waited_for_ends_before_its_cancelled_parent(url: str) -> None:
    @workflow
    def parent() -> Workflow[None]:
        said = yield from child(waiting, id="kid", on_parent_close="wait")
        yield from annotate(said=said)

    with Engine(url) as engine:
        run = engine.start(parent, id="p")
        eventually(lambda: engine.store.run("kid") is not None)
        run.cancel()
        engine.get("kid").signal("go", "on")
        with pytest.raises(RunCancelled):
            run.result(WAIT)
        assert engine.get("kid").result(WAIT) == "on"
        assert run.state == {}


def test_a_child_that_somebody_else_cancels_says_so(url: str) -> None:
    @workflow
    def parent() -> Workflow[str]:
        try:
            return (yield from child(waiting, id="kid"))
        except ChildCancelled as cancelled:
            return f"{cancelled.run_id}: {cancelled.reason}"

    with Engine(url) as engine:
        run = engine.start(parent)
        eventually(lambda: engine.store.run("kid") is not None)
        engine.get("kid").cancel("not needed")
        assert run.result(WAIT) == "kid: not needed"


def test_a_taken_run_id_is_told_to_the_parent_and_the_other_run_is_left_alone(url: str) -> None:
    @workflow
    def parent() -> Workflow[str]:
        try:
            return str((yield from child(doubling, 1, id="taken")))
        except RunExists as exists:
            return exists.run_id

    with Engine(url) as engine:
        other = engine.start(doubling, 1, id="taken")
        assert other.result(WAIT) == 2
        assert engine.start(parent).result(WAIT) == "taken"


def test_a_detached_child_is_a_run_of_its_own_and_its_id_is_the_result(url: str) -> None:
    @workflow
    def parent() -> Workflow[str]:
        return (yield from child(waiting, id="on its own", detached=True))

    with Engine(url) as engine:
        assert engine.start(parent, id="p").result(WAIT) == "on its own"
        kid = engine.get("on its own")
        kid.signal("go", "yes")
        assert kid.result(WAIT) == "yes"


def test_children_of_later_rounds_have_ids_of_their_own(url: str) -> None:
    @workflow
    def rounds(left: int) -> Workflow[str]:
        yield from child(doubling, left)
        if left:
            return (yield from continue_as(left - 1))
        return (yield from run_info()).id

    with Engine(url) as engine:
        assert engine.start(rounds, 2, id="r").result(WAIT) == "r"
        ids = {row.id for row in engine.runs()}
    assert ids == {"r", "r/1", "r/1:1", "r/2:1"}


def test_a_child_that_continues_as_new_still_answers_its_parent(url: str) -> None:
    @workflow
    def counting_down(left: int) -> Workflow[str]:
        yield from call(double, left)
        if left:
            return (yield from continue_as(left - 1))
        return "done"

    @workflow
    def parent() -> Workflow[str]:
        return (yield from child(counting_down, 3))

    with Engine(url) as engine:
        assert engine.start(parent).result(WAIT) == "done"


def test_what_is_sent_arrives_once_and_in_order(url: str) -> None:
    @workflow
    def collector(count: int) -> Workflow[list[int]]:
        numbers: list[int] = []
        while len(numbers) < count:
            numbers.append((yield from await_signal("number", int)))
        return numbers

    @workflow
    def sender(to: str, count: int) -> Workflow[None]:
        for number in range(count):
            yield from send(to, "number", number)

    with Engine(url) as engine:
        collected = engine.start(collector, 20, id="collector")
        sent = engine.start(sender, "collector", 20)
        assert collected.result(WAIT) == list(range(20))
        sent.result(WAIT)
        assert sum(isinstance(cause, Delivered) for cause in causes(sent)) == 20


def test_a_run_may_send_to_itself(url: str) -> None:
    @workflow
    def echo() -> Workflow[str]:
        info = yield from run_info()
        yield from send(info.id, "note", "to myself")
        return (yield from await_signal("note", str))

    with Engine(url) as engine:
        assert engine.start(echo).result(WAIT) == "to myself"


def test_sending_to_nobody_is_an_error_at_the_yield(url: str) -> None:
    @workflow
    def sender(to: str) -> Workflow[str]:
        try:
            yield from send(to, "number", 1)
        except UsageError as error:
            return type(error).__name__
        return "sent"

    with Engine(url) as engine:
        engine.start(doubling, 1, id="over").result(WAIT)
        assert engine.start(sender, "never made").result(WAIT) == UnknownRun.__name__
        assert engine.start(sender, "over").result(WAIT) == RunEnded.__name__


def test_a_child_whose_command_is_withdrawn_before_it_is_written_is_never_made(url: str) -> None:
    @workflow
    def parent() -> Workflow[str]:
        which, _ = yield from race(child(waiting, id="never"), _at_once())
        return str(which)

    def _at_once() -> Workflow[None]:
        return
        yield from sleep(NEVER)

    with Engine(url) as engine:
        assert engine.start(parent).result(WAIT) == "1"
        assert engine.store.run("never") is None


def test_another_engine_may_move_the_child(url: str) -> None:
    begun, release = threading.Event(), threading.Event()

    @activity
    def hold() -> str:
        begun.set()
        release.wait(WAIT.total_seconds())
        return "held"

    @workflow
    def holding() -> Workflow[str]:
        return (yield from call(hold))

    @workflow
    def parent() -> Workflow[str]:
        return (yield from child(holding, id="kid"))

    with Engine(url) as one, Engine(url) as two:
        run = one.start(parent, id="p")
        assert begun.wait(WAIT.total_seconds())
        release.set()
        assert two.get("p").result(WAIT) == run.result(WAIT) == "held"
        assert two.get("kid").status is Status.COMPLETED


def test_a_fork_is_refused_where_a_child_is_open_and_takes_over_one_that_has_ended(url: str) -> None:
    @workflow
    def parent() -> Workflow[str]:
        said = yield from child(waiting, id="kid")
        return said + str((yield from call(double, 1)))

    with Engine(url) as engine:
        run = engine.start(parent, id="p")
        eventually(lambda: engine.store.run("kid") is not None)
        with pytest.raises(UsageError, match="waits there for its child 'kid'"):
            _ = engine.fork("p", at=1)
        engine.get("kid").signal("go", "on")
        assert run.result(WAIT) == "on2"
        assert engine.fork("p", at=2, id="again").result(WAIT) == "on2"
        assert sorted(row.id for row in engine.runs()) == ["again", "kid", "p"]


def test_the_end_of_a_forked_child_is_not_taken_for_that_of_the_child(url: str) -> None:
    @workflow
    def parent() -> Workflow[str]:
        return (yield from child(waiting, id="kid"))

    with Engine(url) as engine:
        run = engine.start(parent, id="p")
        eventually(lambda: (row := engine.store.run("kid")) is not None and row.length == 1)
        fork = engine.fork("kid", at=1, id="impostor")
        fork.signal("go", "wrong")
        assert fork.result(WAIT) == "wrong"
        engine.get("kid").signal("go", "right")
        assert run.result(WAIT) == "right"


@workflow
def tree(count: int, limit: int) -> Workflow[int]:
    numbers = yield from gather(*[child(doubling, number) for number in range(count)], limit=limit)
    return sum(numbers)


def tree_completes(url: str, count: int) -> None:
    with Engine(url) as engine:
        assert engine.start(tree, count, 100, id="tree").result(10 * WAIT) == count * (count - 1)
        assert Counter(row.status for row in engine.runs()) == {Status.COMPLETED: count + 1}


def tree_is_cancelled(url: str, count: int) -> None:
    with Engine(url) as engine:
        run = engine.start(tree, count, 100, id="tree")
        eventually(lambda: run.row.length > count // 4)
        run.cancel("enough")
        with pytest.raises(RunCancelled, match="enough"):
            run.result(WAIT)
        eventually(lambda: all(row.status.ended for row in engine.runs()))
        assert len(engine.runs()) <= count


def test_a_tree_of_children_completes_with_a_limit_and_leaves_nothing_open(url: str) -> None:
    tree_completes(url, 400)


def test_a_tree_of_children_that_is_cancelled_in_the_middle_leaves_nothing_open(url: str) -> None:
    tree_is_cancelled(url, 2_000)


@pytest.mark.soak
def test_a_tree_of_ten_thousand_children_completes(lmdb_url: str) -> None:
    tree_completes(lmdb_url, 10_000)


@pytest.mark.soak
def test_a_tree_of_ten_thousand_children_is_cancelled_in_the_middle(lmdb_url: str) -> None:
    tree_is_cancelled(lmdb_url, 10_000)
