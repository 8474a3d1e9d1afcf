"""Forks: a new run begins with the records of another, executes nothing of them again, and goes on by itself."""

import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp import (
    Engine,
    Run,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    continue_as,
    current_call,
    race,
    run_info,
    workflow,
)
from interp.errors import (
    EngineClosed,
    NondeterminismError,
    NotDecodable,
    NotEncodable,
    RunExists,
    UnknownRun,
    UsageError,
)
from interp.events import Resolved, Started, Transition, decode_transition, encode_transition
from interp.replay import replay
from interp.runtime.forking import branch
from interp.store import RunFilter
from tests.core.driving import EPOCH
from tests.core.programs import Program, loaded, programs
from tests.core.test_properties import lived
from tests.runtime.helpers import WAIT, WAIT_S, eventually, kinds

made: Counter[tuple[str, str]] = Counter()
keys: list[str] = []


@activity
def charge(order: str) -> str:
    made["charge", order] += 1
    return f"receipt {order}"


@activity
def ship(order: str, receipt: str) -> str:
    made["ship", order] += 1
    keys.append(current_call().idempotency_key)
    return f"shipped {order} for {receipt}"


@activity
def refund(order: str) -> int:
    return 1


@workflow
def forked_order(order: str) -> Workflow[str]:
    receipt = yield from call(charge, order)
    yield from annotate(stage="charged")
    if receipt == "declined":
        return "sorry"
    yield from await_signal("go")
    return (yield from call(ship, order, receipt))


@pytest.fixture(autouse=True)
def _nothing_made() -> None:
    made.clear()
    keys.clear()


def waiting(engine: Engine, order: str = "7") -> Run[str]:
    """Return a run of two records that waits for its signal."""
    run = engine.start(forked_order, order, id=f"order-{order}")
    eventually(lambda: "Resolved" in kinds(run))
    return run


def ended(engine: Engine) -> Run[str]:
    """Return a run of four records that has ended."""
    run = waiting(engine)
    run.signal("go")
    run.result(WAIT)
    return run


# --- what every fork keeps --------------------------------------------------------------------------------------------


def stored(records: tuple[Transition, ...]) -> list[Transition]:
    return [decode_transition(encode_transition(record)) for record in records]


def child_is_open(program: Program, history: list[Transition]) -> bool:
    """Whether a run waits for a child at the end of a history: a fork from there is refused."""
    with closing(replay(loaded(program).definition, history, run_id="run").interpreter) as interpreter:
        return any(issued.child is not None for issued in interpreter.pending.values())


# An example forks at every record: a fifth as many look at as many histories as the others do.
FORKS = settings(max_examples=max(20, settings().max_examples // 5))


@FORKS
@given(programs(), st.data())
def test_a_fork_at_any_record_goes_on_to_the_same_end_when_the_same_happens(
    program: Program, data: st.DataObject
) -> None:
    with lived(data, program) as (_, driver):
        history = driver.history
        for at in range(1, len(history) + 1):
            if history[at - 1].outcome is not None:
                with pytest.raises(UsageError, match=f"can take over {at - 1} at most"):
                    branch(loaded(program).definition, history[:at], {}, ("run", "run"), EPOCH)
                continue
            if child_is_open(program, history[:at]):
                with pytest.raises(UsageError, match="waits there for its child"):
                    branch(loaded(program).definition, history[:at], {}, ("run", "run"), EPOCH)
                continue
            begun = branch(loaded(program).definition, history[:at], {}, ("run", "run"), EPOCH)
            again = loaded(program).definition
            with closing(replay(again, stored(begun.records), run_id="run").interpreter) as interpreter:
                for transition in history[at:]:
                    step = interpreter.feed(transition.cause, transition.at)
                    assert transition.commands == tuple(issued.record for issued in step.commands)
                    assert transition.outcome == step.outcome
                assert driver.interpreter.state == interpreter.state


@FORKS
@given(programs(), st.data())
def test_giving_a_result_that_was_recorded_changes_nothing(program: Program, data: st.DataObject) -> None:
    with lived(data, program) as (_, driver):
        history = driver.history
        results = {
            record.cause.id: (record.index, msgspec.Raw(record.cause.payload))
            for record in history
            if isinstance(record.cause, Resolved)
        }
        for command_id, (index, payload) in results.items():
            length = len(history) - (driver.outcome is not None)
            for at in {index + 1, length} - {0}:
                kept = history[: at - 1] if at == index + 1 else history[:at]
                if at > index and history[at - 1].outcome is None and not child_is_open(program, kept):
                    again = loaded(program).definition
                    begun = branch(again, history[:at], {command_id: payload}, ("run", "run"), EPOCH)
                    taken = len(begun.records)
                    assert [record.commands for record in history[:taken]] == [each.commands for each in begun.records]
                    assert at == taken + len(begun.given)


# --- what it does -----------------------------------------------------------------------------------------------------


def test_what_was_taken_over_is_not_made_again_and_the_rest_is_the_forks_own(url: str) -> None:
    with Engine(url) as engine:
        original = ended(engine)
        assert Counter({("charge", "7"): 1, ("ship", "7"): 1}) == made

        forked = engine.fork(original.id, at=2, id="again")
        assert {"stage": "charged"} == forked.state
        forked.signal("go")

        assert "shipped 7 for receipt 7" == forked.result(WAIT) == original.result(WAIT)
        assert Counter({("charge", "7"): 1, ("ship", "7"): 2}) == made
        assert 2 == len(set(keys))
        assert [key.replace("order-7", "again", 1) for key in keys[:1]] == keys[1:]
        assert ["Started", "Resolved", "Signalled", "Resolved"] == kinds(forked) == kinds(original)
        assert forked.history()[1] == original.history()[1]


def test_a_call_that_waits_at_the_cut_is_made_by_the_fork(url: str) -> None:
    with Engine(url) as engine:
        original = ended(engine)

        assert "shipped 7 for receipt 7" == engine.fork(original.id, at=3).result(WAIT)

    assert Counter({("charge", "7"): 1, ("ship", "7"): 2}) == made


def test_the_history_says_where_it_comes_from(url: str) -> None:
    with Engine(url) as engine:
        first = engine.fork(ended(engine).id, at=3, results={"1": "receipt 7"}, id="first")
        second = engine.fork("first", at=2, id="second")

        cause = second.history()[0].cause

    assert isinstance(cause, Started)
    assert [("order-7", 2, ("1",)), ("first", 2, ())] == [
        (origin.run_id, origin.length, origin.given) for origin in cause.forked_from
    ]
    assert first.id == "first"


def test_a_result_that_ends_the_records_is_replaced_and_the_fork_goes_another_way(url: str) -> None:
    with Engine(url) as engine:
        original = ended(engine)

        forked = engine.fork(original.id, at=2, results={"1": "declined"})

        assert "sorry" == forked.result(WAIT)
        assert "shipped 7 for receipt 7" == original.result(WAIT)
    assert 1 == made["charge", "7"]


def test_a_result_that_is_replaced_before_other_records_must_lead_to_the_same_ones(url: str) -> None:
    with Engine(url) as engine:
        original = ended(engine)

        with pytest.raises(NondeterminismError) as told:
            _ = engine.fork(original.id, at=3, results={"1": "declined"}, id="no")
        assert "run 'order-7' diverged from its history at record 1" in str(told.value)
        assert "A result that was given changes what follows record 1: fork at 2." in told.value.__notes__
        assert ["order-7"] == [row.id for row in engine.runs()]


def test_a_call_that_waits_can_be_given_its_result_and_is_not_made(url: str) -> None:
    with Engine(url) as engine:
        original = ended(engine)

        forked = engine.fork(original.id, at=3, results={"4": msgspec.Raw(b'"by hand"')})

        assert "by hand" == forked.result(WAIT)
    assert 1 == made["ship", "7"]


def test_the_same_fork_again_is_the_run_that_exists(url: str) -> None:
    with Engine(url) as engine:
        original = ended(engine)
        once = engine.fork(original.id, at=3, results={"4": "by hand"}, id="fork")
        assert "by hand" == once.result(WAIT)

        assert "by hand" == engine.fork(original.id, at=3, results={"4": "by hand"}, id="fork").result(WAIT)
        assert 4 == len(once.history())
        with pytest.raises(RunExists, match="a fork of run 'order-7' at record 2"):
            _ = engine.fork(original.id, at=2, id="fork")


def test_a_run_that_goes_on_is_forked_and_goes_on(url: str) -> None:
    with Engine(url) as engine:
        original = waiting(engine)
        forked = engine.fork(original.id, at=2)
        forked.signal("go")
        forked.result(WAIT)

        assert 2 == len(original.history())
        original.signal("go")
        original.result(WAIT)


@activity
def note(text: str) -> str:
    return text


@workflow
def forked_twice() -> Workflow[list[str]]:
    names: list[str] = []
    for _ in range(3):
        names.append((yield from call(note, (yield from run_info()).id)))
        yield from await_signal("go")
    return names


def test_run_info_tells_the_id_under_which_a_record_was_written(url: str) -> None:
    with Engine(url) as engine:
        first = engine.start(forked_twice, id="a")
        eventually(lambda: len(first.history()) == 2)
        first.signal("go")
        eventually(lambda: len(first.history()) == 4)
        second = engine.fork("a", at=2, id="b")
        second.signal("go")
        eventually(lambda: len(second.history()) == 4)
        third = engine.fork("b", at=4, id="c")
        third.signal("go")
        eventually(lambda: len(third.history()) == 6)
        third.signal("go")
        assert ["a", "b", "c"] == third.result(WAIT)
    with Engine(url) as engine:
        assert third.id in {row.id for row in engine.runs()}
        assert ["a", "b", "c"] == engine.get("c").result(WAIT)


@workflow
def forked_rounds(rounds: int) -> Workflow[str]:
    yield from await_signal("go")
    if rounds:
        yield from continue_as(rounds - 1)
    return (yield from run_info()).id


def test_a_later_round_of_a_fork_remembers_its_origin_and_has_its_own_id(url: str) -> None:
    with Engine(url) as engine:
        _ = engine.start(forked_rounds, 1, id="original")
        forked = engine.fork("original", at=1, id="fork")
        forked.signal("go")
        forked.signal("go")
        assert "fork" == forked.result(WAIT)
        cause = forked.history()[0].cause
    assert isinstance(cause, Started)
    assert [("original", 0)] == [(origin.run_id, origin.length) for origin in cause.forked_from]


# --- what is refused --------------------------------------------------------------------------------------------------


def test_records_that_do_not_fit_the_code_are_refused_before_anything_is_created(url: str) -> None:
    def deploy(function: Any) -> Any:
        @workflow(name="forked_later")
        def forked_later() -> Workflow[Any]:
            return (yield from call(function, "7"))

        return forked_later

    with Engine(url) as engine:
        _ = engine.start(deploy(charge), id="one").result(WAIT)
        deploy(refund)
        with pytest.raises(NondeterminismError, match="call charge") as told:
            _ = engine.fork("one", at=1, id="two")
        assert ["The fork was not made."] == told.value.__notes__
        assert ["one"] == [row.id for row in engine.store.runs(RunFilter())]


@pytest.mark.parametrize("at", [-1, 0, 5, 100])
def test_a_place_that_is_not_there_is_refused(url: str, at: int) -> None:
    with Engine(url) as engine, pytest.raises(UsageError, match=f"at={at}: run 'order-7' has 4 records"):
        _ = engine.fork(ended(engine).id, at=at)


def test_the_end_is_not_taken_over(url: str) -> None:
    with Engine(url) as engine, pytest.raises(UsageError, match="record 3 ends run 'order-7'; a fork can take over 3"):
        _ = engine.fork(ended(engine).id, at=4)


@pytest.mark.parametrize(
    ("at", "results", "error", "told"),
    [
        (2, {"9": "x"}, UsageError, "no call '9'"),
        (2, {"2": "x"}, UsageError, "no call '2'"),
        (2, {"3": True}, UsageError, "command '3' is no call but await_signal"),
        (3, {"4": 7}, NotEncodable, r"result of ship \(command 4\)"),
        (3, {"4": msgspec.Raw(b"7")}, NotDecodable, r"result of ship \(command 4\)"),
        (2, {"1": msgspec.Raw(b"7")}, NotDecodable, r"result of charge \(command 1\)"),
    ],
)
def test_results_that_do_not_belong_are_refused(
    url: str, at: int, results: dict[str, Any], error: type[Exception], told: str
) -> None:
    with Engine(url) as engine:
        original = ended(engine)
        with pytest.raises(error, match=told):
            _ = engine.fork(original.id, at=at, results=results)
        assert 1 == len(engine.runs())


@workflow
def forked_race() -> Workflow[Any]:
    yield from await_signal("go")
    return (yield from race(call(charge, "a"), call(charge, "b")))


def test_a_result_for_which_nobody_waits_after_the_others_is_refused(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(forked_race, id="race")
        run.signal("go")
        run.result(WAIT)
        with pytest.raises(UsageError, match=r"no call '2\.1\.1'"):
            _ = engine.fork("race", at=2, results={"2.0.1": "x", "2.1.1": "y"})
        assert (0, "x") == tuple(engine.fork("race", at=2, results={"2.0.1": "x"}).result(WAIT))


def test_unknown_runs_bad_ids_and_closed_engines_are_refused(url: str) -> None:
    with Engine(url) as engine:
        with pytest.raises(UnknownRun):
            _ = engine.fork("nobody", at=1)
        with pytest.raises(UsageError, match="run id ''"):
            _ = engine.fork(ended(engine).id, at=1, id="")
    with pytest.raises(EngineClosed):
        _ = engine.fork("order-7", at=1)


# --- crashes ----------------------------------------------------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
from interp import Engine, Workflow, activity, call, workflow
from interp.runtime import open_store
from interp.runtime.forking import fork

@activity
def paid(n: int) -> int:
    with Path("paid").open("a") as lines:
        lines.write(f"{n}\\n")
    if n == 2 and sys.argv[1] == "die":
        os.kill(os.getpid(), 9)
    return n

@workflow
def killed_fork() -> Workflow[list[int]]:
    return [(yield from call(paid, 1)), (yield from call(paid, 2))]

match sys.argv[1]:
    case "begin":
        with Engine("lmdb:journal") as engine:
            _ = engine.start(killed_fork, id="a").result()
    case "fork":
        fork(open_store("lmdb:journal"), "a", at=2, id="b")
        os.kill(os.getpid(), 9)
    case _:
        with Engine("lmdb:journal") as engine:
            print(engine.get("b").result())
"""


def test_a_fork_survives_a_kill_right_after_its_creation_and_in_its_first_call(tmp_path: Path) -> None:
    def life(what: str) -> "subprocess.CompletedProcess[str]":
        root = str(Path(__file__).parents[2])
        return subprocess.run(
            [sys.executable, "-c", KILLED, what],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": root},
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    assert 0 == life("begin").returncode
    assert -signal.SIGKILL == life("fork").returncode
    assert -signal.SIGKILL == life("die").returncode
    last = life("end")

    assert (0, "[1, 2]\n") == (last.returncode, last.stdout), last.stderr
    assert ["1", "2", "2", "2"] == (tmp_path / "paid").read_text().splitlines()
