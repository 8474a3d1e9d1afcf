"""Sagas: the booking example, and each rule by an example."""

from __future__ import annotations

from pathlib import Path

import pytest

from interp import (
    Cancelled,
    Engine,
    RunFailed,
    Saga,
    UndoFailed,
    Workflow,
    activity,
    call,
    gather,
    race,
    sleep,
    workflow,
)
from interp.events import Completed, Failed, WasCancelled
from tests.core.driving import Driver, issued, play, replayed
from tests.core.test_fanout import SECOND, failure_of, result_of


class SoldOut(Exception):
    pass


@activity(raises=SoldOut)
def book(what: str) -> str:
    raise NotImplementedError


@activity
def cancel_booking(reference: str) -> None: ...


def booking(saga: Saga) -> Workflow[list[str]]:
    flight = yield from call(book, "flight")
    saga.undo(call(cancel_booking, flight))
    hotel = yield from call(book, "hotel")
    saga.undo(call(cancel_booking, hotel))
    car = yield from call(book, "car")
    return [flight, hotel, car]


@workflow
def trip() -> Workflow[list[str]]:
    return (yield from Saga.run(booking))


def shown(driver: Driver) -> list[str]:
    """Show what waits: the command, its target and its arguments."""
    return [
        f"{each.id} {each.record.target}{each.record.payload.decode()}" for each in driver.interpreter.pending.values()
    ]


def two_booked() -> Driver:
    driver = play(trip)
    driver.returns("1", "F")
    driver.returns("2", "H")
    assert shown(driver) == ['3 book["car"]']
    return driver


def test_a_saga_that_succeeds_undoes_nothing() -> None:
    driver = two_booked()
    assert issued(driver.returns("3", "C")) == []
    assert result_of(driver) == b'["F","H","C"]'


def test_a_failure_undoes_what_was_done_the_last_first_and_is_raised_then() -> None:
    driver = two_booked()
    driver.fails("3", SoldOut("car"))
    assert shown(driver) == ['4.0.1 cancel_booking["H"]']
    driver.returns("4.0.1")
    assert shown(driver) == ['4.0.2 cancel_booking["F"]']
    driver.returns("4.0.2")
    assert failure_of(driver) == ("SoldOut", "car")


def test_a_cancellation_does_the_same_and_stays_a_cancellation() -> None:
    driver = two_booked()
    driver.cancels()
    assert shown(driver) == ['4.0.1 cancel_booking["H"]']
    driver.returns("4.0.1")
    driver.returns("4.0.2")
    assert isinstance(driver.outcome, WasCancelled)


def test_a_cancellation_while_it_is_undone_does_not_keep_the_rest_from_being_undone() -> None:
    driver = two_booked()
    driver.fails("3", SoldOut("car"))
    step = driver.cancels()
    assert (step.withdrawn, shown(driver)) == ((), ['4.0.1 cancel_booking["H"]'])
    driver.returns("4.0.1")
    driver.returns("4.0.2")
    assert failure_of(driver) == ("SoldOut", "car")


def test_a_saga_that_did_nothing_yet_just_fails() -> None:
    driver = play(trip)
    assert issued(driver.fails("1", SoldOut("flight"))) == []
    assert failure_of(driver) == ("SoldOut", "flight")


def test_an_undo_step_that_fails_keeps_no_other_from_being_carried_out_and_is_told() -> None:
    driver = two_booked()
    driver.fails("3", SoldOut("car"))
    driver.fails("4.0.1", OSError("no route"))
    assert shown(driver) == ['4.0.2 cancel_booking["F"]']
    driver.returns("4.0.2")
    name, message = failure_of(driver)
    assert name == "UndoFailed"
    assert message.splitlines() == [
        "1 of 2 undo steps failed, after SoldOut: car",
        "  call(cancel_booking, ...): CallFailed: cancel_booking failed after 3 attempts: builtins.OSError: no route",
        "These are still to be undone, by hand.",
    ]


def test_a_failed_undo_is_not_hidden_by_a_cancellation() -> None:
    driver = two_booked()
    driver.cancels()
    driver.fails("4.0.1", OSError("no route"))
    driver.returns("4.0.2")
    assert isinstance(driver.outcome, Failed)
    assert failure_of(driver)[1].startswith("1 of 2 undo steps failed, after Cancelled: enough")


def test_undo_failed_has_the_failures_as_objects_and_the_reason_as_its_cause() -> None:
    seen: list[UndoFailed] = []

    @workflow
    def handled() -> Workflow[str]:
        try:
            yield from Saga.run(booking)
        except UndoFailed as failed:
            seen.append(failed)
        return "handled"

    driver = play(handled)
    driver.returns("1", "F")
    driver.fails("2", SoldOut("hotel"))
    driver.fails("3.0.1", OSError("no route"))
    assert result_of(driver) == b'"handled"'
    (failed,) = seen
    assert (failed.steps, [step for step, _ in failed.failures]) == (1, ["call(cancel_booking, ...)"])
    assert isinstance(failed.__cause__, SoldOut)


def test_an_undo_step_may_be_a_generator_and_is_named_with_its_argument() -> None:
    def refund(reference: str) -> Workflow[None]:
        yield from sleep(SECOND)
        yield from call(cancel_booking, reference)

    def body(saga: Saga, what: str) -> Workflow[None]:
        saga.undo(refund(what))
        yield from call(book, what)

    @workflow
    def one(what: str) -> Workflow[None]:
        yield from Saga.run(body, what)

    driver = play(one, "flight")
    driver.fails("1", SoldOut())
    assert issued(driver.fires()) == ["2.0.2 call cancel_booking"]
    driver.fails("2.0.2", OSError())
    assert "\n  refund('flight'): CallFailed: " in failure_of(driver)[1]


def test_what_cannot_be_a_step_is_refused_where_it_is_registered() -> None:
    with pytest.raises(TypeError, match="undo: 'F' is neither a command nor a generator"):
        Saga().undo("F")  # type: ignore[arg-type]


def test_sagas_in_branches_undo_their_own() -> None:
    def inner(saga: Saga, what: str) -> Workflow[str]:
        reference = yield from call(book, what)
        saga.undo(call(cancel_booking, reference))
        yield from call(book, f"{what} seat")
        return reference

    @workflow
    def both() -> Workflow[None]:
        yield from gather(Saga.run(inner, "a"), Saga.run(inner, "b"))

    driver = play(both)
    driver.returns("1.0.1", "A")
    driver.returns("1.1.1", "B")
    driver.fails("1.0.2", SoldOut("a seat"))
    assert shown(driver) == ['1.1.2 book["b seat"]', '1.0.3.0.1 cancel_booking["A"]']
    driver.returns("1.0.3.0.1")  # now the branch has failed, and its sibling is cancelled
    assert shown(driver) == ['1.1.3.0.1 cancel_booking["B"]']
    driver.returns("1.1.3.0.1")
    assert failure_of(driver) == ("SoldOut", "a seat")


def test_the_loser_of_a_race_undoes_what_it_did_before_the_race_is_over() -> None:
    @workflow
    def hurried() -> Workflow[int]:
        index, _ = yield from race(Saga.run(booking), sleep(SECOND))
        return index

    driver = play(hurried)
    driver.returns("1.0.1", "F")
    driver.fires()
    assert shown(driver) == ['1.0.3.0.1 cancel_booking["F"]']
    driver.returns("1.0.3.0.1")
    assert result_of(driver) == b"1"


@pytest.mark.parametrize("undone", [0, 1])
def test_dropping_a_run_undoes_nothing_and_a_replay_stands_where_it_stood(undone: int) -> None:
    driver = two_booked()
    if undone:
        driver.fails("3", SoldOut("car"))
    before = shown(driver)
    journal = list(driver.journal)
    driver.close()
    assert journal == driver.journal
    again = replayed(driver)
    assert before == [
        f"{each.id} {each.record.target}{each.record.payload.decode()}" for each in again.interpreter.pending.values()
    ]
    again.interpreter.close()


def test_a_body_that_catches_its_own_failure_undoes_nothing() -> None:
    def careful(saga: Saga) -> Workflow[str]:
        saga.undo(call(cancel_booking, "F"))
        try:
            return (yield from call(book, "car"))
        except (SoldOut, Cancelled):
            return "no car"

    @workflow
    def caught() -> Workflow[str]:
        return (yield from Saga.run(careful))

    driver = play(caught)
    driver.fails("1", SoldOut())
    assert driver.outcome == Completed(b'"no car"')


# --- through restarts: every engine lives for one step of the way, and the journal is all that is left of it ---

_done: list[str] = []


@activity(raises=SoldOut)
def really_book(what: str) -> str:
    if what == "car":
        raise SoldOut(what)
    _done.append(f"book {what}")
    return f"{what}-1"


@activity
def really_cancel(reference: str) -> None:
    _done.append(f"cancel {reference}")


def slow_booking(saga: Saga) -> Workflow[None]:
    for what in ["flight", "hotel", "car"]:
        yield from sleep(SECOND / 10)
        reference = yield from call(really_book, what)
        saga.undo(slowly(reference))


def slowly(reference: str) -> Workflow[None]:
    yield from sleep(SECOND / 10)
    yield from call(really_cancel, reference)


@workflow
def long_trip() -> Workflow[None]:
    yield from Saga.run(slow_booking)


def test_a_saga_goes_on_where_it_was_over_restarts_and_does_and_undoes_each_step_once(tmp_path: Path) -> None:
    _done.clear()
    url = f"lmdb://{tmp_path}/journal"
    restarts = 0
    while True:
        with Engine(url) as engine:
            run = engine.start(long_trip, id="trip")
            try:
                run.result(timeout=SECOND / 8)
            except TimeoutError:
                restarts += 1
                continue
            except RunFailed as failed:
                ended = failed
                break
    assert ended.type_name.endswith("SoldOut")
    assert restarts >= 2
    assert _done == ["book flight", "book hotel", "cancel hotel-1", "cancel flight-1"]
