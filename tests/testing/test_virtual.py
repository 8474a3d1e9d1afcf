"""Whole runs in virtual time: the real worker, one thread, no waiting."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from interp import (
    CallFailed,
    CallTimeout,
    OutcomeUnknown,
    Request,
    Retry,
    RunCancelled,
    RunFailed,
    SignalTimeout,
    UsageError,
    Workflow,
    activity,
    await_signal,
    call,
    child,
    continue_as,
    current_call,
    emit,
    gather,
    race,
    reply,
    send,
    sleep,
    transact,
    uuid,
    workflow,
)
from interp.tables import Transaction
from interp.testing import NothingHappens, OutcomeLost, TimedOut, either, engine, in_turn
from interp.testing.play import EPOCH
from tests.runtime.helpers import kinds

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Declined(Exception):
    """The business says no."""


@activity(raises=Declined)
def virtual_charge(order: str) -> str:
    raise NotImplementedError


@activity(timeout=timedelta(seconds=30), retry=Retry(attempts=2, initial=timedelta(seconds=10), jitter=0))
def virtual_mail(text: str) -> str:
    raise NotImplementedError


@activity(timeout=timedelta(minutes=1), retry=Retry(attempts=1))
def virtual_nap(seconds: float) -> datetime:
    time.sleep(seconds)
    return datetime.now(UTC)


@activity(timeout=timedelta(minutes=1), retry=Retry(attempts=1))
async def virtual_doze(seconds: float) -> datetime:
    await asyncio.sleep(seconds)
    return datetime.now(UTC)


@activity
async def virtual_thread(text: str) -> str:
    return await asyncio.to_thread(text.upper)


@activity(retry=Retry(attempts=3))
def virtual_key() -> str:
    return f"{current_call().idempotency_key} {current_call().attempt}"


@workflow
def virtual_checkout(order: str) -> Workflow[str]:
    try:
        yield from await_signal("approve", bool, timeout=3 * DAY)
    except SignalTimeout:
        return "refused"
    try:
        receipt = yield from call(virtual_charge, order)
    except Declined:
        return "declined"
    yield sleep(30 * DAY)
    return receipt


@workflow
def virtual_mails(text: str) -> Workflow[str]:
    try:
        return (yield from call(virtual_mail, text))
    except CallTimeout:
        return "timed out"
    except OutcomeUnknown:
        return "unknown"
    except CallFailed as error:
        return f"failed: {error.message}"


@workflow
def virtual_naps(first: float, second: float) -> Workflow[list[datetime]]:
    return list((yield from gather(call(virtual_nap, first), call(virtual_doze, second))))


@workflow
def virtual_parent(order: str) -> Workflow[str]:
    return (yield from child(virtual_checkout, order, id="the-child"))


@workflow
def virtual_approver(run_id: str) -> Workflow[None]:
    yield sleep(HOUR)
    yield from send(run_id, "approve", True)


@workflow
def virtual_sums() -> Workflow[int]:
    total = 0
    while total < 10:
        request = yield from await_signal("add", Request[int])
        yield sleep(HOUR)
        total += request.payload
        yield emit("totals", total)
        yield reply(request, total)
    return total


@workflow
def virtual_endless() -> Workflow[None]:
    while True:
        yield sleep(DAY)


def note(tx: Transaction, value: str) -> None:
    tx.table("notes").put(b"key", value.encode())


@workflow
def virtual_notes(value: str) -> Workflow[str]:
    yield from transact(note, value)
    return value


@workflow
def virtual_keys() -> Workflow[list[str]]:
    return list((yield from gather(call(virtual_key), call(virtual_key))))


@workflow
def virtual_thread_of(text: str) -> Workflow[str]:
    return (yield from call(virtual_thread, text))


@workflow
def virtual_chance() -> Workflow[str]:
    return str((yield from uuid()))


@workflow
def virtual_tick(note: str) -> Workflow[None]:
    yield sleep(timedelta(minutes=1))


@workflow
def virtual_countdown(left: int) -> Workflow[str]:
    yield sleep(DAY)
    if left:
        yield continue_as(left - 1)
    return "lift-off"


@workflow
def virtual_hasty(seconds: float) -> Workflow[str]:
    winner, _ = yield from race(call(virtual_nap, seconds), sleep(timedelta(seconds=10)))
    return ["nap", "clock"][winner]


def test_a_run_of_a_month_takes_no_time() -> None:
    with engine(activities={virtual_charge: "r-1"}) as test:
        run = test.start(virtual_checkout, "42", id="order-42")
        test.at(2 * HOUR, run.signal, "approve", True)

        assert "r-1" == run.result()
        assert EPOCH + 2 * HOUR + 30 * DAY == test.now


def test_a_timer_fires_when_nobody_comes() -> None:
    with engine() as test:
        assert "refused" == test.start(virtual_checkout, "42").result()
        assert EPOCH + 3 * DAY == test.now


def test_a_signal_sent_before_is_taken() -> None:
    with engine(activities={"virtual_charge": Declined("no funds")}) as test:
        run = test.start(virtual_checkout, "42")
        run.signal("approve", True)

        assert "declined" == run.result()


@pytest.mark.parametrize(
    ("stub", "result", "waited"),
    [
        ("sent", "sent", 0),
        (lambda text: text.upper(), "HELLO", 0),
        (in_turn(ConnectionError("net"), "sent"), "sent", 10),
        (in_turn(TimedOut(), "sent"), "sent", 40),
        (TimedOut(), "timed out", 70),
        (lambda text: TimedOut(), "timed out", 70),
        (either("first", "second"), "first", 0),
        (ConnectionError("net"), "failed: net", 10),
        (ConnectionError, "failed: ", 10),
    ],
)
def test_each_attempt_is_answered_by_its_stub(stub: Any, result: str, waited: int) -> None:
    with engine(activities={virtual_mail: stub}) as test:
        assert result == test.start(virtual_mails, "hello").result()
        assert EPOCH + timedelta(seconds=waited) == test.now


def test_a_lost_outcome_is_not_tried_again() -> None:
    with engine(activities={virtual_mail: OutcomeLost()}) as test:
        run = test.start(virtual_mails, "hello")

        assert "unknown" == run.result()
        assert ["Started", "Rejected"] == kinds(run)


def test_activities_sleep_in_virtual_time_side_by_side() -> None:
    with engine() as test:
        naps = test.start(virtual_naps, 50.0, 40.0).result()

        assert [EPOCH + timedelta(seconds=50), EPOCH + timedelta(seconds=40)] == naps
        assert EPOCH + timedelta(seconds=50) == test.now


@pytest.mark.parametrize(("first", "second"), [(61.0, 1.0), (1.0, 61.0)])
def test_activities_that_sleep_too_long_time_out(first: float, second: float) -> None:
    with engine() as test:
        with pytest.raises(RunFailed, match="CallTimeout"):
            test.start(virtual_naps, first, second).result()

        assert EPOCH + timedelta(minutes=1) == test.now


@pytest.mark.parametrize(("seconds", "winner"), [(9.0, "nap"), (11.0, "clock")])
def test_an_activity_that_sleeps_loses_its_race(seconds: float, winner: str) -> None:
    with engine() as test:
        assert winner == test.start(virtual_hasty, seconds).result()


def test_threads_of_async_activities_are_this_thread() -> None:
    with engine() as test:
        assert "LOUD" == test.start(virtual_thread_of, "loud").result()


def test_activities_know_their_call() -> None:
    with engine(activities={virtual_key: in_turn(ConnectionError("net"), virtual_key)}) as test:
        keys = test.start(virtual_keys, id="k").result()

        assert ["k/1.0.1 2", "k/1.1.1 1"] == keys


def test_children_and_sends_are_runs_like_any_other() -> None:
    with engine(activities={virtual_charge: "r-1"}) as test:
        run = test.start(virtual_parent, "42")
        _ = test.start(virtual_approver, "the-child")

        assert "r-1" == run.result()
        assert {"completed"} == {str(row.status) for row in test.runs()}


def test_requests_and_streams_let_things_happen() -> None:
    with engine() as test:
        run = test.start(virtual_sums)
        test.at(5 * HOUR, run.ask, "add", 7)

        assert 4 == run.ask("add", 4, type=int)
        assert EPOCH + HOUR == test.now
        assert [4, 11] == list(run.stream("totals", type=int))
        assert 11 == run.result()


def test_a_request_is_given_up_in_virtual_time() -> None:
    with engine() as test:
        run = test.start(virtual_sums)
        with pytest.raises(TimeoutError):
            run.ask("add", 4, timeout=HOUR / 2)

        assert EPOCH + HOUR / 2 == test.now


def test_tables_are_there() -> None:
    with engine() as test:
        assert "v" == test.start(virtual_notes, "v").result()
        with test.transaction(write=False) as tx:
            assert b"v" == tx.table("notes").get(b"key")


def test_schedules_fire() -> None:
    with engine() as test:
        schedule = test.schedule(virtual_tick, "n", id="nightly", cron="0 3 * * *")
        test.advance(3 * DAY)
        fired = [row.id for row in test.runs() if row.workflow == "virtual_tick"]

        assert [f"nightly/2026-01-0{day}T03:00:00Z" for day in (1, 2, 3)] == fired
        schedule.delete()
        test.advance(DAY)
        assert 3 == len([row for row in test.runs() if row.workflow == "virtual_tick"])


def test_a_run_is_cancelled_at_its_time() -> None:
    with engine() as test:
        run = test.start(virtual_endless)
        test.at(10 * DAY + HOUR, run.cancel, "enough")

        with pytest.raises(RunCancelled, match="enough"):
            run.result()
        assert EPOCH + 10 * DAY + HOUR == test.now


def test_time_passes_as_far_as_it_is_told() -> None:
    with engine() as test:
        run = test.start(virtual_countdown, 2)
        test.advance(DAY - timedelta(microseconds=1))
        assert 0 == run.history()[0].cause.round  # type: ignore[union-attr]

        test.advance(timedelta(microseconds=1))
        assert 1 == run.history()[0].cause.round  # type: ignore[union-attr]

        test.run_until_idle()
        assert "lift-off" == run.result()
        assert EPOCH + 3 * DAY == test.now


def test_waiting_in_virtual_time_may_be_bounded() -> None:
    with engine() as test:
        run = test.start(virtual_endless)
        with pytest.raises(TimeoutError, match="within 864000 s"):
            run.result(10 * DAY)

        assert EPOCH + 10 * DAY == test.now


def test_the_clock_is_virtual_while_things_happen_and_real_in_between() -> None:
    seen: list[datetime] = []

    def mail(text: str) -> str:
        seen.append(datetime.now(UTC))
        return text

    with engine(activities={virtual_mail: mail}) as test:
        test.advance(10 * DAY)
        _ = test.start(virtual_mails, "hello").result()
        real = datetime.now(UTC)

    assert [EPOCH + 10 * DAY] == seen
    assert abs(real.timestamp() - time.time()) < 3_600


def test_a_run_that_waits_for_nobody_is_told_about() -> None:
    with engine() as test:
        run = test.start(virtual_sums, id="sums")
        line = virtual_sums.__code__.co_firstlineno + 4
        with pytest.raises(NothingHappens) as caught:
            run.result()

    assert f"run 'sums' can never end: it waits for request 'add' at test_virtual.py:{line}, which nobody sends" == str(
        caught.value
    )


@workflow
def virtual_waits_for_child() -> Workflow[None]:
    yield from child(virtual_waits, id="waits")


@workflow
def virtual_waits() -> Workflow[None]:
    yield from gather(await_signal("a", str), await_signal("b", str))


def test_what_a_child_waits_for_is_told() -> None:
    with engine() as test, pytest.raises(NothingHappens) as caught:
        test.start(virtual_waits_for_child, id="parent").result()

    told = str(caught.value)
    assert "it waits for its child, run 'waits' at test_virtual.py:" in told
    assert "which waits for signal 'a' at test_virtual.py:" in told


def test_all_that_a_run_waits_for_is_told() -> None:
    with engine() as test, pytest.raises(NothingHappens) as caught:
        test.start(virtual_waits, id="waits").result()

    assert 3 == len(str(caught.value).splitlines())


def test_a_run_that_goes_on_for_ever_is_told_about(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("interp.testing.driven._MOST_STEPS", 100)
    with engine() as test:
        run = test.start(virtual_endless, id="endless")

        with pytest.raises(NothingHappens, match=r"'endless' has not ended after 100 steps, at 2026-04-"):
            run.result()
        with pytest.raises(NothingHappens, match="there is still more to come"):
            test.run_until_idle()


def test_a_claim_in_a_stub_fails_the_test() -> None:
    def checked(text: str) -> str:
        assert text == "bye", "it says something else"
        return text

    with engine(activities={virtual_mail: checked}) as test, pytest.raises(AssertionError, match="something else"):
        test.start(virtual_mails, "hello").result()


def test_a_stub_may_use_the_engine() -> None:
    def mail(text: str) -> str:
        sums.signal("unheard", text)
        return f"{text}: {test.start(virtual_hasty, 9.0).result()} at {test.now:%H:%M:%S}"

    with engine(activities={virtual_mail: mail}) as test:
        sums = test.start(virtual_sums)

        assert "hello: nap at 00:00:09" == test.start(virtual_mails, "hello").result()


@pytest.mark.parametrize("cache", [0, 1_000])
def test_the_same_test_does_the_same(cache: int) -> None:
    def histories() -> list[Any]:
        with engine(activities={virtual_mail: in_turn(ConnectionError("net"), "sent")}, cache=cache) as test:
            runs: list[Any] = [test.start(virtual_mails, "hello"), test.start(virtual_chance)]
            runs += test.start_many(virtual_countdown, [(f"c{n}", (n,)) for n in range(3)])
            test.run_until_idle()
            return [(run.id, run.history()) for run in runs]

    assert histories() == histories()


def test_chance_hangs_on_the_seed() -> None:
    with engine(seed=1) as one, engine(seed=2) as two:
        assert one.start(virtual_chance, id="r").result() != two.start(virtual_chance, id="r").result()


async def test_runs_may_be_awaited() -> None:
    with engine(activities={virtual_mail: "sent"}) as test:
        assert "sent" == await test.start(virtual_mails, "hello")
        with pytest.raises(UsageError, match="plain function"):
            await test.start(virtual_thread_of, "loud")


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="children run"):
        engine(activities={virtual_checkout: "r"})
    with pytest.raises(UsageError, match="time zone"):
        engine(at=datetime(2026, 1, 1))  # noqa: DTZ001  the mistake
    with engine(activities={virtual_charge: TimedOut()}) as test:
        with pytest.raises(UsageError, match="time zone"):
            test.at(datetime(2026, 1, 1), print)  # noqa: DTZ001  the mistake
        with pytest.raises(UsageError, match="past"):
            test.at(timedelta(-1), print)
        with pytest.raises(UsageError, match="does not go back"):
            test.advance(timedelta(-1))
        run = test.start(virtual_checkout, "42")
        run.signal("approve", True)
        with pytest.raises(UsageError, match="virtual_charge has no timeout"):
            run.result()
