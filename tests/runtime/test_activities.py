"""How activities are tried, timed, retried and told."""

import asyncio
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import attrs
import pytest

from interp import (
    CallFailed,
    CallTimeout,
    Engine,
    Retry,
    RunFailed,
    UsageError,
    Workflow,
    activity,
    call,
    continue_as,
    current_call,
    gather,
    race,
    sleep,
    workflow,
)
from interp.commands import Call
from interp.events import AttemptFailed, Rejected, Resolved, WorkerLost
from tests.runtime.helpers import WAIT, WAIT_S, causes, eventually, kinds

QUICK = Retry(attempts=3, initial=timedelta(milliseconds=1), jitter=0)
ONCE = Retry(attempts=1)


class CardDeclined(Exception):
    def __init__(self, code: int, *, card: str) -> None:
        super().__init__(code)
        self.card = card


@attrs.frozen
class Misfitting(Exception):
    code: int


# --- retries ----------------------------------------------------------------------------------------------------------


def test_a_fault_is_retried_until_an_attempt_succeeds(url: str) -> None:
    attempts: list[int] = []

    @activity(retry=QUICK)
    def flaky() -> str:
        attempts.append(current_call().attempt)
        if len(attempts) < 3:
            raise OSError("not yet")
        return "at last"

    @workflow
    def calling() -> Workflow[str]:
        return (yield from call(flaky))

    with Engine(url) as engine:
        run = engine.start(calling)

        assert "at last" == run.result(WAIT)
        assert [1, 2, 3] == attempts
        assert ["Started", "AttemptFailed", "AttemptFailed", "Resolved"] == kinds(run)


def test_when_no_attempt_is_left_the_call_fails_with_the_last_failure(url: str) -> None:
    @activity(retry=QUICK)
    def broken() -> None:
        raise OSError(f"attempt {current_call().attempt}")

    @workflow
    def calling() -> Workflow[tuple[str, str, int, str]]:
        try:
            yield from call(broken)
        except CallFailed as failed:
            return failed.type_name, failed.message, failed.attempts, failed.remote_traceback.splitlines()[-1]
        raise AssertionError

    with Engine(url) as engine:
        run = engine.start(calling)

        assert ("builtins.OSError", "attempt 3", 3, "OSError: attempt 3") == run.result(WAIT)
        assert ["Started", "AttemptFailed", "AttemptFailed", "Rejected"] == kinds(run)


def test_the_pause_before_a_retry_grows_and_is_recorded_with_its_jitter(url: str) -> None:
    @activity(retry=Retry(attempts=4, initial=timedelta(milliseconds=8), backoff=2, jitter=0.5))
    def broken() -> None:
        raise OSError

    @workflow
    def calling() -> Workflow[None]:
        yield from call(broken)

    with Engine(url) as engine:
        run = engine.start(calling)
        with pytest.raises(RunFailed):
            run.result(WAIT)

        pauses = [
            transition.cause.retry_at - transition.at
            for transition in run.history()
            if isinstance(transition.cause, AttemptFailed)
        ]
        for full_ms, pause in zip((8, 16, 32), pauses, strict=True):
            assert timedelta(milliseconds=full_ms / 2) <= pause <= timedelta(milliseconds=full_ms)


def test_a_retry_is_not_made_before_its_recorded_time_even_by_another_engine(url: str) -> None:
    begun: list[datetime] = []

    @activity(retry=Retry(attempts=2, initial=timedelta(milliseconds=300), jitter=0))
    def flaky() -> None:
        begun.append(datetime.now(UTC))
        if len(begun) == 1:
            raise OSError

    @workflow
    def calling() -> Workflow[None]:
        yield from call(flaky)

    with Engine(url) as engine:
        run = engine.start(calling, id="flaky")
        eventually(lambda: "AttemptFailed" in kinds(run))
        failed = causes(run)[-1]

    with Engine(url) as engine:
        run = engine.get("flaky")
        run.result(WAIT)

        assert isinstance(failed, AttemptFailed)
        assert failed.retry_at <= begun[1]
        last = causes(run)[-1]
        assert isinstance(last, Resolved) and last.attempt == 2
        assert ["Started", "AttemptFailed", "Resolved"] == kinds(run)


def test_retry_options_of_the_call_override_those_of_the_activity(url: str) -> None:
    @activity(retry=QUICK)
    def broken() -> None:
        raise OSError

    @workflow
    def calling() -> Workflow[None]:
        yield from cast("Call[None]", call(broken)).options(retry=ONCE)

    with Engine(url) as engine:
        run = engine.start(calling)
        with pytest.raises(RunFailed, match="after 1 attempt"):
            run.result(WAIT)


def test_pauses_and_limits_beyond_the_end_of_time_harm_nobody(url: str) -> None:
    @activity(retry=Retry(initial=timedelta.max, maximum=timedelta.max, jitter=0), timeout=timedelta.max)
    def patient(n: int) -> datetime | None:
        if n == 0:
            raise OSError
        return current_call().deadline

    @workflow
    def calling(n: int) -> Workflow[datetime | None]:
        return (yield from call(patient, n))

    with Engine(url) as engine:
        never = engine.start(calling, 0)
        assert datetime.max.replace(tzinfo=UTC) == engine.start(calling, 1).result(WAIT)
        eventually(lambda: "AttemptFailed" in kinds(never))
        assert datetime.max.replace(tzinfo=UTC) == engine.start(calling, 1).result(WAIT)


# --- what an activity raises and returns ------------------------------------------------------------------------------


def test_declared_exceptions_are_raised_as_themselves_and_not_retried(url: str) -> None:
    made: list[int] = []

    @activity(raises=CardDeclined)
    def charge() -> None:
        made.append(1)
        raise CardDeclined(51, card="4242")

    @workflow
    def charging() -> Workflow[tuple[int, str]]:
        try:
            yield from call(charge)
        except CardDeclined as declined:
            return declined.args[0], declined.card
        raise AssertionError

    with Engine(url) as engine:
        run = engine.start(charging)

        assert (51, "4242") == run.result(WAIT)
        assert [1] == made
        rejected = causes(run)[-1]
        assert isinstance(rejected, Rejected) and rejected.declared


def test_a_declared_exception_that_cannot_be_recorded_fails_the_call_instead_of_hanging_it(url: str) -> None:
    @activity(raises=Misfitting)
    def charge() -> None:
        raise Misfitting(cast("Any", object()))

    @workflow
    def charging() -> Workflow[None]:
        yield from call(charge)

    with Engine(url) as engine, pytest.raises(RunFailed, match="Misfitting"):
        engine.start(charging).result(WAIT)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_exceptions_that_end_programs_are_faults_of_the_activity_alone(url: str, kind: type[BaseException]) -> None:
    @activity(retry=ONCE)
    def leaving() -> None:
        raise kind("bye")

    @activity(retry=ONCE)
    async def leaving_async() -> None:
        raise kind("bye")

    @workflow
    def calling(how: str) -> Workflow[str]:
        try:
            yield from call(leaving) if how == "sync" else call(leaving_async)
        except CallFailed as failed:
            return failed.type_name.rpartition(".")[2]
        raise AssertionError

    with Engine(url) as engine:
        for how in ("sync", "async", "sync", "async"):
            assert kind.__name__ == engine.start(calling, how).result(WAIT)


@pytest.mark.parametrize("text", ["\ud800", "a\0b", "x" * 1_000_000])
def test_failures_may_carry_any_text(url: str, text: str) -> None:
    @activity(retry=ONCE)
    def broken() -> None:
        raise OSError(text)

    @workflow
    def calling() -> Workflow[int]:
        try:
            yield from call(broken)
        except CallFailed as failed:
            return len(failed.message)
        raise AssertionError

    with Engine(url) as engine:
        assert len(text) <= engine.start(calling).result(WAIT)


def test_a_result_that_cannot_be_recorded_fails_the_call_at_once(url: str) -> None:
    made: list[int] = []

    @activity
    def opening() -> Any:
        made.append(1)
        return object()

    @workflow
    def calling() -> Workflow[None]:
        yield from call(opening)

    with Engine(url) as engine, pytest.raises(RunFailed, match="object cannot be recorded"):
        engine.start(calling).result(WAIT)

    assert [1] == made


def test_async_activities_run_side_by_side_on_one_loop(url: str) -> None:
    arrived: list[int] = []
    all_there = asyncio.Event()

    @activity
    async def meet(n: int) -> int:
        arrived.append(n)
        if len(arrived) == 100:
            all_there.set()
        await all_there.wait()
        return id(asyncio.get_running_loop())

    @workflow
    def meeting() -> Workflow[int]:
        loops = yield from gather(*[call(meet, n) for n in range(100)])
        return len(set(loops))

    with Engine(url) as engine:
        assert 1 == engine.start(meeting).result(WAIT)


def test_sync_activities_run_side_by_side_up_to_the_number_of_threads(url: str) -> None:
    met = threading.Barrier(8)
    most, inside, lock = [0], [0], threading.Lock()

    @activity
    def meet() -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        met.wait(WAIT_S)
        with lock:
            inside[0] -= 1

    @workflow
    def meeting() -> Workflow[None]:
        yield from gather(*[call(meet) for _ in range(32)])

    with Engine(url, threads=8) as engine:
        engine.start(meeting).result(WAIT)

    assert 8 == most[0]


# --- timeouts ---------------------------------------------------------------------------------------------------------


def test_an_activity_that_takes_too_long_times_out_and_its_late_result_is_ignored(url: str) -> None:
    release, ended = threading.Event(), threading.Event()

    @activity(retry=ONCE, timeout=timedelta(milliseconds=20))
    def slow() -> str:
        release.wait(WAIT_S)
        ended.set()
        return "late"

    @activity
    def let_go() -> None:
        release.set()
        ended.wait(WAIT_S)

    @workflow
    def calling() -> Workflow[str]:
        try:
            return (yield from call(slow))
        except CallTimeout as timeout:
            yield from call(let_go)
            return f"{timeout.timeout_s} {timeout.attempts}"

    with Engine(url) as engine:
        run = engine.start(calling)

        assert "0.02 1" == run.result(WAIT)
        assert ["Started", "Rejected", "Resolved"] == kinds(run)


def test_an_async_activity_that_takes_too_long_is_cancelled(url: str) -> None:
    cancelled = threading.Event()

    @activity(retry=ONCE, timeout=timedelta(milliseconds=20))
    async def slow() -> None:
        try:
            await asyncio.sleep(WAIT_S)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    @workflow
    def calling() -> Workflow[str]:
        try:
            yield from call(slow)
        except CallTimeout:
            return "timed out"
        raise AssertionError

    with Engine(url) as engine:
        assert "timed out" == engine.start(calling).result(WAIT)
        assert cancelled.wait(WAIT_S)


def test_a_timeout_is_retried_like_any_fault(url: str) -> None:
    attempts: list[int] = []
    release = threading.Event()

    @activity(retry=QUICK, timeout=timedelta(milliseconds=50))
    def slow_at_first() -> int:
        attempts.append(1)
        if len(attempts) < 3:
            release.wait(WAIT_S)
        return len(attempts)

    @workflow
    def calling() -> Workflow[int]:
        return (yield from call(slow_at_first))

    with Engine(url) as engine:
        assert 3 == engine.start(calling).result(WAIT)
        release.set()


def test_the_time_of_an_attempt_begins_when_it_begins_not_when_it_is_queued(url: str) -> None:
    release = threading.Event()
    queued_s = 0.2

    @activity
    def occupy() -> None:
        release.wait(WAIT_S)

    @activity(retry=ONCE, timeout=timedelta(milliseconds=100))
    def quick() -> str:
        return "in time"

    @workflow
    def occupying() -> Workflow[None]:
        yield from call(occupy)

    @workflow
    def queueing() -> Workflow[str]:
        return (yield from call(quick))

    @workflow
    def releasing() -> Workflow[None]:
        yield sleep(timedelta(seconds=queued_s))
        yield from call(set_free)

    @activity
    async def set_free() -> None:
        release.set()

    with Engine(url, threads=1) as engine:
        _ = engine.start(occupying)
        run = engine.start(queueing)
        _ = engine.start(releasing)

        assert "in time" == run.result(WAIT)


def test_hung_threads_do_not_starve_the_pool(url: str) -> None:
    release = threading.Event()

    @activity(retry=ONCE, timeout=timedelta(milliseconds=30))
    def hang() -> None:
        release.wait(WAIT_S)

    @activity
    def quick(n: int) -> int:
        return n

    @workflow
    def hanging() -> Workflow[str]:
        yield from gather(*[call(quick, n) for n in range(10)])  # a burst, so that threads find work waiting
        for _ in range(3):
            try:
                yield from gather(call(hang), call(hang))
            except CallTimeout:
                yield from gather(*[call(quick, n) for n in range(10)])
        return "never starved"

    with Engine(url, threads=2) as engine:
        try:
            assert "never starved" == engine.start(hanging).result(WAIT)
        finally:
            release.set()


def test_threads_that_come_back_late_do_not_raise_the_limit(url: str) -> None:
    release = threading.Event()
    most, inside, lock = [0], [0], threading.Lock()
    met = threading.Barrier(2)

    @activity(retry=ONCE, timeout=timedelta(milliseconds=20))
    def hang() -> None:
        release.wait(WAIT_S)

    @activity
    def count() -> None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        met.wait(WAIT_S)
        with lock:
            inside[0] -= 1

    @workflow
    def hanging() -> Workflow[None]:
        for _ in range(5):
            with suppress(CallTimeout):
                yield from call(hang)
        release.set()  # lets the hung threads come back
        yield from gather(*[call(count) for _ in range(20)])

    with Engine(url, threads=2) as engine:
        engine.start(hanging).result(WAIT)

    assert 2 == most[0]


def test_a_withdrawn_call_that_hangs_gives_its_thread_back_when_its_time_is_up(url: str) -> None:
    release, begun = threading.Event(), threading.Event()

    @activity(timeout=timedelta(milliseconds=100))
    def hang() -> None:
        begun.set()
        release.wait(WAIT_S)

    @activity
    async def first() -> None:
        await asyncio.to_thread(begun.wait, WAIT_S)

    @activity
    def quick() -> str:
        return "served"

    @workflow
    def racing() -> Workflow[str]:
        yield from race(call(hang), call(first))
        return (yield from call(quick))

    with Engine(url, threads=1) as engine:
        try:
            assert "served" == engine.start(racing).result(WAIT)
        finally:
            release.set()


# --- withdrawn calls --------------------------------------------------------------------------------------------------


def test_losers_of_a_race_are_told_and_what_they_return_is_ignored(url: str) -> None:
    told, begun, returned = threading.Event(), threading.Event(), threading.Event()

    @activity
    def loser() -> str:
        begun.set()
        eventually(lambda: current_call().cancelled)
        told.set()
        returned.set()
        return "too late"

    @activity
    def winner() -> str:
        begun.wait(WAIT_S)
        return "first"

    @activity
    def after() -> None:
        told.wait(WAIT_S)

    @workflow
    def racing() -> Workflow[str]:
        _, value = yield from race(call(loser), call(winner))
        yield from call(after)
        return value

    with Engine(url) as engine:
        run = engine.start(racing)

        assert "first" == run.result(WAIT)
        assert ["Started", "Resolved", "Resolved"] == kinds(run)


def test_async_losers_of_a_race_are_cancelled(url: str) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    @activity
    async def loser() -> None:
        begun.set()
        try:
            await asyncio.sleep(WAIT_S)
        finally:
            cancelled.set()

    @activity
    def winner() -> str:
        begun.wait(WAIT_S)
        return "first"

    @workflow
    def racing() -> Workflow[int]:
        which, _ = yield from race(call(loser), call(winner))
        return which

    with Engine(url) as engine:
        assert 1 == engine.start(racing).result(WAIT)
        assert cancelled.wait(WAIT_S)


def test_a_call_that_is_withdrawn_before_it_begins_is_never_made(url: str) -> None:
    begun, release = threading.Event(), threading.Event()
    made: list[str] = []

    @activity
    def occupy() -> None:
        begun.set()
        release.wait(WAIT_S)

    @activity
    def queued() -> None:
        made.append("queued")

    @activity
    async def winner() -> None:
        begun.wait(WAIT_S)

    @activity
    async def let_go() -> None:
        release.set()

    @workflow
    def occupying() -> Workflow[None]:
        yield from call(occupy)

    @workflow
    def racing() -> Workflow[None]:
        yield from race(call(queued), call(winner))
        yield from call(let_go)

    with Engine(url, threads=1) as engine:
        other = engine.start(occupying)
        begun.wait(WAIT_S)
        engine.start(racing).result(WAIT)
        other.result(WAIT)

    assert [] == made


# --- current_call -----------------------------------------------------------------------------------------------------


def test_an_activity_knows_its_call(url: str) -> None:
    @activity(timeout=timedelta(minutes=1))
    def look() -> tuple[str, str, str, int, bool, bool]:
        info = current_call()
        assert info.deadline is not None
        in_time = datetime.now(UTC) < info.deadline <= datetime.now(UTC) + timedelta(minutes=1)
        return info.run_id, info.command_id, info.idempotency_key, info.attempt, info.cancelled, in_time

    @activity
    async def look_async() -> tuple[str, str, datetime | None]:
        return current_call().run_id, current_call().command_id, current_call().deadline

    @workflow
    def looking() -> Workflow[Any]:
        return (yield from gather(call(look), call(look_async)))

    with Engine(url) as engine:
        seen, seen_async = engine.start(looking, id="größe/7").result(WAIT)

    assert ["größe/7", "1.0.1", "größe/7/1.0.1", 1, False, True] == list(seen)
    assert ["größe/7", "1.1.1", None] == list(seen_async)


def test_outside_an_activity_there_is_no_current_call(url: str) -> None:
    with pytest.raises(UsageError, match="inside of an activity"):
        current_call()


def test_the_idempotency_key_is_the_same_for_every_attempt(url: str) -> None:
    keys: list[tuple[str, int]] = []

    @activity(retry=QUICK)
    def flaky() -> None:
        keys.append((current_call().idempotency_key, current_call().attempt))
        if len(keys) < 3:
            raise OSError

    @workflow
    def calling() -> Workflow[None]:
        yield from call(flaky)

    with Engine(url) as engine:
        engine.start(calling, id="one").result(WAIT)

    assert [("one/1", 1), ("one/1", 2), ("one/1", 3)] == keys


def test_a_run_that_continues_as_new_never_uses_an_idempotency_key_twice(url: str) -> None:
    keys: list[str] = []

    @activity
    def effect() -> None:
        keys.append(current_call().idempotency_key)

    @workflow
    def going_on(n: int) -> Workflow[int]:
        yield from call(effect)
        if n < 3:
            yield continue_as(n + 1)
        return n

    with Engine(url, cache=0) as engine:
        assert 3 == engine.start(going_on, 0, id="one").result(WAIT)

    assert ["one/1", "one/1:1", "one/2:1", "one/3:1"] == keys


def test_an_attempt_whose_engine_went_away_is_counted_and_made_again_with_the_same_key(url: str) -> None:
    begun, release = threading.Event(), threading.Event()
    made: list[tuple[str, int]] = []

    @activity
    def effect() -> int:
        made.append((current_call().idempotency_key, current_call().attempt))
        if len(made) == 1:
            begun.set()
            release.wait(WAIT_S)
        return len(made)

    @workflow
    def calling() -> Workflow[int]:
        return (yield from call(effect))

    first = Engine(url, grace=timedelta(0))
    _ = first.start(calling, id="one")
    begun.wait(WAIT_S)
    first.close()
    with Engine(url) as engine:
        run = engine.get("one")
        assert 2 == run.result(WAIT)
        release.set()

        assert [("one/1", 1), ("one/1", 2)] == made
        lost = causes(run)[1]
        assert isinstance(lost, WorkerLost)
        assert (first.name, engine.name) == (lost.worker, lost.successor)
