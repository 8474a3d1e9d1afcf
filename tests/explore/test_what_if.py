from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import interp
from interp import Engine, Run, activity, await_signal, call, child, gather, now, race, send, shield, sleep, workflow
from interp.commands import Command
from interp.errors import CallTimeout, NotEncodable, RunExists, UsageError
from interp.events import CancelRequested, Completed, Failed, Resolved, Signalled, Transition
from interp.explore import AnswerSource, Journal
from interp.explore.run import read_run
from interp.runtime.stores import open_store
from interp.store import Message, RunRow, Store
from tests.core.driving import play
from tests.core.happenings import live_through
from tests.core.programs import Program, loaded, programs
from tests.explore.examples import FEW
from tests.explore.flows import health_check, provision_fleet, rollback
from tests.explore.recording import CLOUD, keep, record
from tests.explore.seen import driven, seen

Flow = Generator[Command[Any], Any, Any]

NAMES = [f"web-{number}" for number in range(1, 6)]
HISTORY = record(provision_fleet, "eu", NAMES, world=CLOUD)


def fleet() -> Any:
    return seen(HISTORY, "prov-7f3a")


def given_again(history: tuple[Transition, ...]) -> dict[str, Any]:
    """Return all results of a history, to be supposed once more."""
    return {each.cause.id: msgspec.Raw(each.cause.payload) for each in history if isinstance(each.cause, Resolved)}


# The history is repeated where nothing is changed.


@pytest.mark.parametrize("at", range(0, len(HISTORY), 3))
def test_a_run_without_a_change_repeats_its_history(at: int) -> None:
    assert HISTORY == fleet().what_if(at).run.history


def test_the_recorded_results_lead_to_the_recorded_history() -> None:
    what = fleet().what_if(0, given_again(HISTORY))

    assert HISTORY == what.run.history
    assert 1 == what.kept
    assert what.diff().is_same


@FEW
@given(program=programs(), data=st.data())
def test_any_program_repeats_its_history_from_any_record_on(program: Program, data: st.DataObject) -> None:
    with closing(loaded(program).start()) as driver:
        history = tuple(live_through(data.draw, driver).history)
    at = data.draw(st.integers(0, len(history) - 1), label="at")
    results = data.draw(st.sampled_from([{}, given_again(history)]), label="results")

    what = again(program, history).what_if(at, results)

    assert plain(history) == plain(what.run.history[: len(history)])
    assert history[-1].outcome is None or len(history) == len(what.run.history)
    # What came of it is a history like any other.
    assert again(program, what.run.history).divergence() is None


def plain(history: Sequence[Transition]) -> list[Any]:
    """Leave out messages of failures, as a replay does: they name generators with all that they hold."""
    return [
        (each.index, each.at, each.cause, each.commands, each.outcome.failure.type_name)
        if isinstance(each.outcome, Failed)
        else each
        for each in history
    ]


def again(program: Program, history: Sequence[Transition]) -> Any:
    """Return a run of a program that has not run yet: one that is loaded keeps the tasks of its run."""
    return seen(history, "run", loaded(program).definition)


# What is supposed.


def test_a_moment_asks_the_same() -> None:
    run = fleet()

    assert run.what_if(20, {"4.2.4": "healthy"}).run.history == run.at(20).what_if({"4.2.4": "healthy"}).run.history


def test_what_the_workflow_prints_is_not_heard(capsys: pytest.CaptureFixture[str]) -> None:
    @workflow(name="what_if_prints")
    def prints() -> Flow:
        print("heard")
        yield sleep(timedelta(days=1))

    run = driven(play(prints))
    _ = capsys.readouterr()
    assert run.what_if(0).outcome is not None
    assert run.diff().is_same

    assert ("", "") == capsys.readouterr()


def test_another_result_goes_another_way_and_takes_the_recorded_answers_along() -> None:
    what = fleet().what_if(20, {"4.2.4": "healthy"})

    assert isinstance(what.outcome, Completed)
    assert {"zone": "prod.example.org", "machines": 5, "checks": 9} == msgspec.json.decode(what.outcome.payload)
    assert ["4.2.4"] == [each.record.id for each in what.answers if each.source is AnswerSource.SUPPOSED]
    first = what.diff().first
    assert first is not None
    assert "4.2.4" == first.id
    assert "What if command 4.2.4, health_check('i-web-3'), came to 'healthy'?" in str(what)


def test_what_has_no_answer_stops_its_fiber_and_is_named() -> None:
    what = fleet().what_if(-5, {"7.0.1": False})

    assert what.outcome is None
    assert [("rollback", "8", True)] == [(each.record.target, each.record.id, each.is_open) for each in what.missing]
    assert "It stops: nothing is recorded for rollback(['i-web-1'," in str(what)
    assert "known={'rollback': ...}" in str(what)
    assert "(flows.py:82)" in what.answer


def undo(vms: list[str]) -> None:
    assert vms


KNOWN: list[Any] = [{rollback: None}, {"rollback": None}, {rollback: undo}]


@pytest.mark.parametrize("known", KNOWN)
def test_what_is_known_answers_what_the_history_does_not(known: Any) -> None:
    what = fleet().what_if(-5, {"7.0.1": False}, known=known)

    assert Completed(b"null") == what.outcome
    assert () == what.missing
    assert [AnswerSource.KNOWN] == [each.source for each in what.answers if each.record.target == "rollback"]


def test_a_call_is_known_to_fail_by_an_exception() -> None:
    what = fleet().what_if(-5, {"7.0.1": False}, known={rollback: RuntimeError("no way back")})

    assert isinstance(what.outcome, Failed)
    assert "no way back" in what.outcome.failure.message


def test_a_known_function_sees_the_arguments_and_may_raise() -> None:
    asked: list[Any] = []

    def refuse(vms: list[str]) -> None:
        asked.append(vms)
        raise RuntimeError("not mine")

    what = fleet().what_if(-5, {"7.0.1": False}, known={rollback: refuse})

    assert [[f"i-{name}" for name in NAMES]] == asked
    assert isinstance(what.outcome, Failed)


def test_a_result_may_be_a_failure() -> None:
    what = fleet().what_if(-1, {"2": CallTimeout("create_subnet", 30.0, 1)})

    assert isinstance(what.outcome, Failed)
    assert "took longer than 30 s" in what.outcome.failure.message
    assert 1 == what.kept


def test_a_signal_may_carry_something_else() -> None:
    what = fleet().what_if(-5, signals={"approve": False}, known={rollback: None})

    assert Completed(b"null") == what.outcome
    # Its time stays that of the recorded one.
    assert HISTORY[35].at == what.run.history[35].at or len(what.run.history) == len(HISTORY)


def test_a_signal_that_was_not_recorded_comes_at_once() -> None:
    came = next(each.index for each in HISTORY if isinstance(each.cause, Signalled))
    open_run = seen(HISTORY[:came], "prov-7f3a")

    what = open_run.what_if(-1, signals={"approve": True}, known={"register_dns": "new.example.org"})

    assert isinstance(what.outcome, Completed)
    assert b"new.example.org" in what.outcome.payload


def test_an_answer_is_taken_from_a_command_that_is_alike_in_the_order_of_the_records() -> None:
    @activity
    def toss(coin: str) -> str:
        raise AssertionError("an activity was called")

    @workflow(name="what_if_tosses")
    def tosses() -> Flow:
        first = yield from call(toss, "penny")
        if first == "heads":
            yield from call(toss, "dime")
        return [(yield from call(toss, "penny")), (yield from call(toss, "penny"))]

    driver = play(tosses)
    for number, side in enumerate(("tails", "one", "two"), 1):
        driver.returns(str(number), side)
    what = driven(driver).what_if(0, {"1": "heads"}, known={toss: "known"})

    assert Completed(b'["one","two"]') == what.outcome
    assert [("1", "supposed", ""), ("2", "known", ""), ("3", "recorded", "2"), ("4", "recorded", "3")] == [
        (each.record.id, each.source.value, each.of) for each in what.answers
    ]


def test_answers_take_as_long_after_their_command_as_they_did() -> None:
    what = fleet().what_if(20, {"4.3.4": "starting"}, known={health_check: "healthy"})
    moments = [each.at for each in what.run.history]

    assert sorted(moments) == moments
    before = {node.id: (node.ended or node.at) - node.at for node in fleet().tree.nodes.values()}
    after = {node.id: (node.ended or node.at) - node.at for node in what.run.tree.nodes.values()}
    assert before["8"] == after["8"]  # register_dns, which begins later


def test_timers_fire_in_virtual_time() -> None:
    @workflow(name="what_if_sleeps")
    def sleeps() -> Flow:
        yield sleep(timedelta(days=400))
        return (yield now()).isoformat()

    driver = play(sleeps)
    what = driven(driver).what_if(0)

    assert Completed(b'"2027-02-05T00:00:00+00:00"') == what.outcome


def test_a_run_that_goes_on_for_ever_is_stopped() -> None:
    @workflow(name="what_if_ticks")
    def ticks() -> Flow:
        while True:
            yield sleep(timedelta(minutes=1))

    what = driven(play(ticks)).what_if(0)

    assert what.is_cut
    assert "It goes on and on: it was stopped 10,002 records after the change." == what.answer
    assert len(what.html()) < 30_000


def test_a_shielded_message_waits_on_as_it_did_when_the_run_is_cancelled() -> None:
    @workflow(name="what_if_shields")
    def shields() -> Flow:
        yield from shield(send("other", "hello"))

    driver = play(shields)
    driver.feed(CancelRequested())
    driver.feed(Signalled("late", b"0"))
    driver.feed(CancelRequested())
    what = driven(driver).what_if(0)

    assert 4 == len(driver.history)
    assert driver.history == list(what.run.history[:4])


def test_children_messages_and_failures_of_the_history_come_again() -> None:
    @workflow(name="what_if_parent")
    def parent() -> Flow:
        got = yield from child(provision_fleet, "eu", NAMES, id="fleet")
        yield from send("other", "hello", 1)
        return got

    driver = play(parent)
    run = driven(driver)

    assert Completed(b'{"n":1}') == run.what_if(0, {"1": {"n": 1}}).outcome
    assert [AnswerSource.SUPPOSED, AnswerSource.ASSUMED] == [
        each.source for each in run.what_if(0, {"1": {"n": 1}}).answers
    ]
    assert Completed(b"7") == run.what_if(0, known={provision_fleet: 7}).outcome
    failed = run.what_if(0, {"1": RuntimeError("gone")}).outcome
    assert isinstance(failed, Failed)
    assert "RuntimeError: gone" in failed.failure.message


# Nothing is executed or written.


@attrs.frozen
class Refusing:
    """A reader over a store: it has nothing that writes."""

    store: Store
    url: str = "memory:"

    def run(self, run_id: str) -> RunRow | None:
        return self.store.run(run_id)

    def runs(self, where: Any) -> list[RunRow]:
        return self.store.runs(where)

    def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
        return iter(self.store.history(run_id, start))

    def inbox(self, run_id: str) -> tuple[Message, ...]:
        return self.store.inbox(run_id)


def test_nothing_is_called_and_nothing_written() -> None:
    @activity
    def charge(order: str) -> str:
        raise AssertionError("an activity was called")

    @workflow(name="what_if_charges")
    def charges(order: str) -> Flow:
        receipts = yield from gather(call(charge, order), call(charge, f"{order}-b"))
        approved = yield from race(await_signal("approve", bool), sleep(timedelta(days=1)))
        return [*receipts, approved]

    driver = play(charges, "42")
    driver.returns("1.0.1", "r-1")
    store = open_store("memory:")
    keep(store, "run", driver.history)
    before = list(store.history("run")), store.run("run")
    run = read_run(Refusing(store), "run")  # type: ignore[arg-type]  # the part that is asked

    what = run.what_if(-1, {"1.1.1": "r-2"}, signals={"approve": True})
    assert "cannot be" not in f"{what}{what.html()}{what.run.diff(run)}{what.run.diff()}"

    assert Completed(b'["r-1","r-2",[0,true]]') == what.outcome
    assert before == (list(store.history("run")), store.run("run"))


def test_the_run_has_all_views() -> None:
    what = fleet().what_if(-5, {"7.0.1": False}, known={rollback: None})

    assert "provision_fleet" in str(what.run.timeline())
    assert what.run.diff().is_same
    assert what.run is what.run.refresh()
    assert "completed" == what.run.row.status


# Views.


def test_hostile_values_stay_text() -> None:
    what = fleet().what_if(20, {"4.2.4": "<script>alert(1)</script>\x1b[31m\u202e"})

    assert "<script>" not in what.html()
    assert "\x1b" not in str(what)
    assert "\u202e" not in str(what)


def test_a_value_whose_repr_raises_is_shown() -> None:
    class Broken(BaseException):
        def __repr__(self) -> str:
            raise RuntimeError

    with pytest.raises(NotEncodable):
        fleet().what_if(20, {"4.2.4": object()})
    what = attrs.evolve(fleet().what_if(20), results={"4.2.4": Broken()})

    assert "Broken" in str(what)


def test_every_line_of_the_text_fits() -> None:
    for what in (fleet().what_if(-5, {"7.0.1": False}), fleet().what_if(20, {"4.3.4": "x" * 5000})):
        assert max(map(len, str(what).splitlines())) <= 120


# Bad input.


@pytest.mark.parametrize(
    ("at", "results", "told"),
    [
        (999, {}, "at=999: run 'prov-7f3a' has 40 records that can be read, 0 to 39"),
        (0, {"4.0.5": None}, "results: command '4.0.5' is no call but sleep; calls, children and awaited signals have"),
        (0, {"7.0.1": RuntimeError()}, "a signal cannot fail with RuntimeError; give a value"),
    ],
)
def test_what_makes_no_sense_is_refused(at: int, results: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        fleet().what_if(at, results)


def test_a_result_of_another_type_is_refused() -> None:
    with pytest.raises(NotEncodable, match=r"result of health_check \(command 4.2.4\): a value of type int"):
        fleet().what_if(0, {"4.2.4": 5})


def test_a_command_that_never_comes_is_told() -> None:
    what = fleet().what_if(0, {"99": 1})

    assert ("99",) == what.unused
    assert "Command 99 never got what was supposed: the run did not come to it." in str(what)


def test_without_the_code_there_is_no_what_if() -> None:
    run = fleet()
    lost = attrs.evolve(run, row=msgspec.structs.replace(run.row, workflow="nowhere"))

    with pytest.raises(UsageError, match="the workflow 'nowhere' is not imported here"):
        lost.what_if(0)


def test_a_damaged_history_is_taken_up_to_the_damage() -> None:
    run = seen((*HISTORY[:20], *HISTORY[21:]), "prov-7f3a")

    assert HISTORY[:20] == run.what_if(19).run.history[:20]
    with pytest.raises(UsageError, match="20 records that can be read"):
        run.what_if(25)


# Made real.


@activity
def shipped(order: str) -> str:
    return f"shipped {order} for real"


@activity
def charged(order: str) -> str:
    return "declined"


@workflow
def what_if_sold(order: str) -> interp.Workflow[str]:
    if (yield from call(charged, order)) == "declined":
        return "nothing"
    return (yield from call(shipped, order))


def test_a_what_if_is_made_real(tmp_path: Path) -> None:
    url = f"lmdb:{tmp_path / 'runs'}"
    with Engine(url) as engine:
        run: Run[str] = engine.start(what_if_sold, "42", id="order-42")
        assert "nothing" == run.result(timeout=timedelta(seconds=30))
    with Journal(url) as journal:
        seen_run = journal["order-42"]
        what = seen_run.what_if(1, {"1": "r-1"}, known={shipped: "in a dream"})
        assert Completed(b'"in a dream"') == what.outcome
        assert "order-42-b" == what.fork(id="order-42-b")
        assert "order-42-c" == seen_run.fork(at=2, results={"1": "r-1"}, id="order-42-c")
        with pytest.raises(RunExists):
            what.fork(id="order-42")
    with Engine(url) as engine:
        assert "shipped 42 for real" == engine.get("order-42-b").result(timeout=timedelta(seconds=30))
        assert "shipped 42 for real" == engine.get("order-42-c").result(timeout=timedelta(seconds=30))
        assert "shipped 42 for real" == engine.get(what.fork(engine)).result(timeout=timedelta(seconds=30))
        assert "shipped 42 for real" == engine.get(what.fork(engine.store)).result(timeout=timedelta(seconds=30))


def test_what_a_live_run_cannot_be_given_is_refused() -> None:
    with pytest.raises(UsageError, match="a live run cannot be given signals beforehand"):
        fleet().what_if(-5, signals={"approve": False}).fork("memory:")
    with pytest.raises(UsageError, match="command '2' was supposed to fail"):
        fleet().what_if(-1, {"2": RuntimeError("no")}).fork("memory:")
