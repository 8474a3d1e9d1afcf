"""Which failures are tried again, deadlines over all attempts, and heartbeats."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from interp import (
    CallFailed,
    CallTimeout,
    Cancelled,
    Engine,
    Retry,
    RetryAfter,
    Workflow,
    activity,
    call,
    current_call,
    join,
    race,
    sleep,
    spawn,
    workflow,
)
from interp.commands import CallOptions
from interp.definitions import activity_of
from interp.errors import NotEncodable
from interp.events import AttemptFailed, Heartbeat, Rejected
from interp.runtime.attempts import Attempt
from interp.runtime.dispatcher import Dispatcher
from tests.runtime.helpers import WAIT, WAIT_S, causes, eventually, kinds

MOMENT = timedelta(milliseconds=1)
SHORT = timedelta(milliseconds=30)
HOUR = timedelta(hours=1)
QUICK = Retry(attempts=3, initial=MOMENT, jitter=0)


class Refused(Exception):
    pass


class FinallyRefused(Refused):
    pass


# --- by class ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry", "expected"),
    [
        (Retry(initial=MOMENT, never=Refused), 1),
        (Retry(initial=MOMENT, never=(KeyError, f"{__name__}.Refused")), 1),
        (Retry(initial=MOMENT, only=OSError), 1),
        (Retry(initial=MOMENT, never=OSError), 3),
        (Retry(initial=MOMENT, only=(OSError, Refused)), 3),
    ],
)
def test_the_class_of_a_failure_decides_whether_it_is_tried_again(retry: Retry, expected: int) -> None:
    @activity(retry=retry)
    def refused() -> None:
        raise FinallyRefused

    @workflow
    def calling() -> Workflow[int]:
        try:
            yield from call(refused)
        except CallFailed as failed:
            return failed.attempts
        raise AssertionError

    with Engine("memory:") as engine:
        assert expected == engine.start(calling).result(WAIT)


def test_timeouts_have_a_class_too() -> None:
    @activity(retry=Retry(never=TimeoutError), timeout=SHORT)
    async def slow() -> None:
        await asyncio.sleep(WAIT_S)

    @workflow
    def calling() -> Workflow[int]:
        try:
            yield from call(slow)
        except CallTimeout as timeout:
            return timeout.attempts
        raise AssertionError

    with Engine("memory:") as engine:
        assert 1 == engine.start(calling).result(WAIT)


def test_an_activity_says_itself_when_it_is_to_be_tried_again(url: str) -> None:
    @activity(retry=Retry(attempts=2, initial=HOUR, never=OSError))
    def busy() -> str:
        if current_call().attempt == 2:
            return "done"
        try:
            raise ConnectionError("429")
        except ConnectionError as error:
            raise RetryAfter(SHORT) from error

    @workflow
    def calling() -> Workflow[str]:
        return (yield from call(busy))

    with Engine(url) as engine:
        run = engine.start(calling)
        assert "done" == run.result(WAIT)

        failed, resolved = run.history()[1:]
        assert isinstance(failed.cause, AttemptFailed)
        assert ("builtins.ConnectionError", "429") == (failed.cause.failure.type_name, failed.cause.failure.message)
        assert SHORT == failed.cause.retry_at - failed.at
        assert failed.cause.retry_at <= resolved.at


def test_asking_for_another_attempt_counts_as_a_failure() -> None:
    @activity(retry=QUICK)
    def never_ready() -> None:
        raise RetryAfter(MOMENT)

    @workflow
    def calling() -> Workflow[tuple[int, str]]:
        try:
            yield from call(never_ready)
        except CallFailed as failed:
            return failed.attempts, failed.type_name
        raise AssertionError

    with Engine("memory:") as engine:
        assert (3, "interp.errors.RetryAfter") == tuple(engine.start(calling).result(WAIT))


def test_no_activity_can_ask_for_an_attempt_in_the_past() -> None:
    with pytest.raises(ValueError, match="negative"):
        RetryAfter(-MOMENT)


# --- deadlines --------------------------------------------------------------------------------------------------------


def broken_limit(fn: Any, **options: Any) -> tuple[str, float, str]:
    """Make a call that breaks a limit; returns what the workflow is told."""

    @workflow
    def calling() -> Workflow[tuple[str, float, str]]:
        try:
            yield from call(fn).options(**options)
        except CallTimeout as timeout:
            return timeout.limit, timeout.timeout_s, str(timeout)
        raise AssertionError

    with Engine("memory:") as engine:
        return engine.start(calling).result(WAIT)


def test_the_deadline_of_a_call_ends_the_attempt_in_flight_and_there_is_no_other() -> None:
    @activity(timeout=HOUR, deadline=SHORT)
    async def slow() -> None:
        await asyncio.sleep(WAIT_S)

    told = "slow was not done within its deadline of 0.03 s (1 attempt)"
    assert ("deadline", 0.03, told) == broken_limit(slow)


def test_a_call_whose_next_attempt_would_come_after_the_deadline_fails_at_once_with_its_last_failure(url: str) -> None:
    @activity(retry=Retry(initial=HOUR, maximum=HOUR), deadline=timedelta(minutes=1))
    def broken() -> None:
        raise OSError("no route")

    @workflow
    def calling() -> Workflow[str]:
        try:
            yield from call(broken)
        except CallFailed as failed:
            return failed.message
        raise AssertionError

    with Engine(url) as engine:
        run = engine.start(calling)
        assert "no route" == run.result(WAIT)
        assert ["Started", "Rejected"] == kinds(run)


def test_a_call_that_is_found_past_its_deadline_after_a_restart_is_not_attempted_again(url: str) -> None:
    begun, release = threading.Event(), threading.Event()
    made: list[int] = []

    @activity
    def slow() -> None:
        made.append(current_call().attempt)
        begun.set()
        release.wait(WAIT_S)

    @workflow
    def calling() -> Workflow[str]:
        try:
            yield from call(slow).options(deadline=timedelta(milliseconds=500))
        except CallTimeout as timeout:
            return timeout.limit
        raise AssertionError

    first = Engine(url, grace=timedelta(0))
    _ = first.start(calling, id="one")
    begun.wait(WAIT_S)
    first.close()
    threading.Event().wait(0.5)
    with Engine(url) as engine:
        run = engine.get("one")
        assert "deadline" == run.result(WAIT)
        release.set()
        rejected = causes(run)[-1]

    assert [1] == made
    assert isinstance(rejected, Rejected)
    assert 1 == rejected.attempt


@pytest.mark.parametrize("name", ["timeout", "deadline", "heartbeat", "start_timeout"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        activity(**cast("Any", {name: timedelta(0)}))
    with pytest.raises(ValueError, match=name):
        _ = call(print).options(**cast("Any", {name: -MOMENT}))


# --- waiting for a thread ---------------------------------------------------------------------------------------------


def test_a_call_that_found_no_thread_in_time_has_failed_and_is_never_made(url: str) -> None:
    release, made = threading.Event(), list[str]()

    @activity
    def busy() -> None:
        release.wait(WAIT_S)

    @activity(retry=QUICK, start_timeout=SHORT)
    def waiting() -> None:
        made.append("on a thread")

    @activity(start_timeout=WAIT)
    async def on_the_loop() -> str:
        return "made"

    @workflow
    def calling() -> Workflow[tuple[str, str]]:
        blocked = yield from spawn(call(busy))
        yield from sleep(MOMENT)  # until it has the thread
        beside = yield from call(on_the_loop)
        try:
            yield from call(waiting)
        except CallTimeout as timeout:
            return beside, str(timeout)
        finally:
            release.set()
            yield from join(blocked)
        raise AssertionError

    with Engine(url, threads=1) as engine:
        run = engine.start(calling)
        assert ("made", "waiting did not begin within 0.03 s (3 attempts)") == run.result(WAIT)
        failures = [cause.failure for cause in causes(run) if isinstance(cause, AttemptFailed)]

    assert [] == made
    assert ["did not begin within 0.03 s"] * 2 == [failure.message for failure in failures]


def test_a_call_that_waited_in_vain_is_made_when_a_thread_is_free_again() -> None:
    release = threading.Event()

    @activity
    def busy() -> None:
        release.wait(WAIT_S)

    @activity(start_timeout=SHORT, retry=Retry(attempts=None, initial=MOMENT, jitter=0))
    def waiting() -> int:
        return current_call().attempt

    @workflow
    def calling() -> Workflow[int]:
        blocked = yield from spawn(call(busy))
        yield from sleep(MOMENT)  # until it has the thread
        attempt = yield from call(waiting)
        yield from join(blocked)
        return attempt

    with Engine("memory:", threads=1) as engine:
        run = engine.start(calling)
        eventually(lambda: "AttemptFailed" in kinds(run))
        release.set()
        assert run.result(WAIT) > 1


def test_what_has_begun_in_time_may_take_as_long_as_it_likes() -> None:
    @activity(start_timeout=SHORT, retry=Retry(attempts=1))
    def long() -> str:
        threading.Event().wait(4 * SHORT.total_seconds())
        return "done"

    @workflow
    def calling() -> Workflow[str]:
        return (yield from call(long))

    with Engine("memory:") as engine:
        assert "done" == engine.start(calling).result(WAIT)


def test_an_attempt_begins_or_is_called_off_and_never_both() -> None:
    for _ in range(200):
        attempt = an_attempt()
        start = threading.Barrier(2)
        with ThreadPoolExecutor(1) as thread:
            begun = thread.submit(_take, attempt, start)
            start.wait(WAIT_S)
            withdrawn = attempt.withdraw()

            assert begun.result(WAIT_S) != withdrawn


def _take(attempt: Attempt, start: threading.Barrier) -> bool:
    start.wait(WAIT_S)
    return attempt.take()


def test_limits_of_attempts_that_are_over_are_not_kept_until_their_time() -> None:
    dispatcher = Dispatcher(1, lambda _: None, lambda: datetime.now(UTC))
    running = an_attempt(timeout=HOUR)
    dispatcher._watch(running, datetime.now(UTC) + HOUR)
    for _ in range(1_000):
        ended = an_attempt(timeout=HOUR)
        ended.ended = True
        dispatcher._watch(ended, datetime.now(UTC) + HOUR)
    watched = [attempt for _, _, attempt in dispatcher._deadlines]

    assert running in watched
    assert len(watched) <= 64


def an_attempt(**options: Any) -> Attempt:
    definition = activity_of(print)
    return Attempt("run", 0, "1", 1, definition, b"[]", CallOptions(**options), datetime.now(UTC))


# --- heartbeats -------------------------------------------------------------------------------------------------------


def test_the_next_attempt_knows_what_the_failed_one_told_last(url: str) -> None:
    seen: list[Any] = []

    @activity(retry=QUICK)
    def copy() -> None:
        info = current_call()
        seen.append(info.last_heartbeat)
        for row in range(3):
            info.heartbeat({"row": row, "attempt": info.attempt})
        info.heartbeat()
        if info.attempt < 3:
            raise OSError

    @workflow
    def copying() -> Workflow[None]:
        yield from call(copy)

    with Engine(url) as engine:
        run = engine.start(copying)
        run.result(WAIT)

        told = [None, {"row": 2, "attempt": 1}, {"row": 2, "attempt": 2}]
        assert told == seen
        beats = [cause for cause in causes(run) if isinstance(cause, Heartbeat)]
        assert 2 <= len(beats) <= 5
        assert ["AttemptFailed", "AttemptFailed"] == [kind for kind in kinds(run) if kind.startswith("Att")]


def test_signs_of_life_without_news_leave_no_record() -> None:
    @activity
    def busy() -> None:
        for _ in range(100):
            current_call().heartbeat()

    @workflow
    def calling() -> Workflow[None]:
        yield from call(busy)

    with Engine("memory:") as engine:
        run = engine.start(calling)
        run.result(WAIT)
        assert ["Started", "Resolved"] == kinds(run)


def test_heartbeats_of_one_attempt_are_recorded_now_and_then_only() -> None:
    recorded = threading.Event()

    @activity
    def busy() -> None:
        current_call().heartbeat(-1)
        recorded.wait(WAIT_S)
        for n in range(200):
            current_call().heartbeat(n)

    @workflow
    def calling() -> Workflow[None]:
        yield from call(busy)

    with Engine("memory:") as engine:
        run = engine.start(calling)
        eventually(lambda: "Heartbeat" in kinds(run))
        recorded.set()
        run.result(WAIT)
        assert len(kinds(run)) < 10


@pytest.mark.parametrize("is_async", [False, True])
def test_an_attempt_that_falls_silent_is_given_up_and_made_again(url: str, *, is_async: bool) -> None:
    released = threading.Event()

    @activity(retry=QUICK, heartbeat=SHORT)
    def silent() -> str:
        current_call().heartbeat("begun")
        if current_call().attempt == 1:
            released.wait(WAIT_S)
        return str(current_call().last_heartbeat)

    @activity(retry=QUICK, heartbeat=SHORT)
    async def silent_async() -> str:
        current_call().heartbeat("begun")
        if current_call().attempt == 1:
            await asyncio.sleep(WAIT_S)
        return str(current_call().last_heartbeat)

    @workflow
    def calling() -> Workflow[str]:
        if is_async:
            return (yield from call(silent_async))
        return (yield from call(silent))

    with Engine(url) as engine:
        run = engine.start(calling)
        assert "begun" == run.result(WAIT)
        released.set()
        (failed,) = (cause for cause in causes(run) if isinstance(cause, AttemptFailed))
        assert "gave no heartbeat for 0.03 s" == failed.failure.message


def test_a_workflow_is_told_that_it_was_the_heartbeat() -> None:
    @activity(retry=Retry(attempts=1))
    async def silent() -> None:
        await asyncio.sleep(WAIT_S)

    told = "silent gave no heartbeat for 0.03 s (1 attempt)"
    assert ("heartbeat", 0.03, told) == broken_limit(silent, heartbeat=SHORT)


def test_signs_of_life_keep_an_attempt_going() -> None:
    @activity(retry=Retry(attempts=1), heartbeat=timedelta(seconds=1))
    async def long() -> int:
        for _ in range(15):
            current_call().heartbeat()
            await asyncio.sleep(0.1)
        return current_call().attempt

    @workflow
    def calling() -> Workflow[int]:
        return (yield from call(long))

    with Engine("memory:") as engine:
        assert 1 == engine.start(calling).result(WAIT)


def test_a_heartbeat_tells_a_sync_activity_that_nobody_waits_any_more() -> None:
    ended = threading.Event()
    began = threading.Event()

    @activity
    def long() -> None:
        try:
            while True:
                current_call().heartbeat()
                began.set()
                threading.Event().wait(0.002)
        except Cancelled:
            ended.set()
            raise

    @workflow
    def calling() -> Workflow[int]:
        won, _ = yield from race(call(long), sleep(SHORT))
        return won

    with Engine("memory:") as engine:
        assert 1 == engine.start(calling).result(WAIT)
        assert not began.is_set() or ended.wait(WAIT_S)


def test_details_that_are_no_json_are_refused_where_they_are_told() -> None:
    @activity(raises=NotEncodable)
    def strange() -> None:
        current_call().heartbeat(object())

    @workflow
    def calling() -> Workflow[str]:
        try:
            yield from call(strange)
        except (NotEncodable, CallFailed) as error:
            return str(error)
        raise AssertionError

    with Engine("memory:") as engine:
        assert "object" in engine.start(calling).result(WAIT)
