"""What an engine says about workflows that do what they must not do: at a start, and at the call."""

import itertools
import logging
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

import pytest

from interp import (
    Engine,
    ForbiddenInWorkflow,
    RunFailed,
    UsageError,
    Workflow,
    activity,
    await_signal,
    call,
    sleep,
    workflow,
)
from interp.definitions import workflow_of
from interp.errors import ForgottenYield
from interp.runtime import guard
from interp.testing import guarded
from interp.testing.play import Play

WAIT = timedelta(seconds=30)
monitored = pytest.mark.skipif(sys.version_info < (3, 12), reason="nothing watches in workers before Python 3.12")

_names = itertools.count()


@pytest.fixture
def url() -> str:
    return f"memory:guard-{next(_names)}"


@pytest.fixture(autouse=True)
def _nothing_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_told", set())


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the library warned of, each in its first line from the code on."""
    first = [record.getMessage().partition("\n")[0] for record in caplog.records if record.name == "interp"]
    return [line.partition(": ")[2].partition("  (")[0] for line in first]


def hidden_clock() -> float:
    """Read the clock in a way that no reader of source can see."""
    return float(getattr(time, "ti" + "me")())


@pytest.mark.parametrize("runs", [1, 3])
def test_what_the_lint_finds_is_said_once_and_breaks_nothing(
    url: str, caplog: pytest.LogCaptureFixture, runs: int
) -> None:
    @workflow
    def guard_looks_at_the_clock() -> Workflow[bool]:
        yield sleep(timedelta(0))
        return time.time() > 0

    with Engine(url) as engine:
        results = [engine.start(guard_looks_at_the_clock).result(WAIT) for _ in range(runs)]

    assert [True] * runs == results
    assert ["clock: time.time()"] == said(caplog)  # also where the call itself is seen, too


@monitored
def test_what_only_shows_at_run_time_is_said_once_with_its_line(url: str, caplog: pytest.LogCaptureFixture) -> None:
    @workflow
    def guard_looks_at_a_hidden_clock() -> Workflow[bool]:
        yield sleep(timedelta(0))
        clock = getattr(time, "ti" + "me")
        return bool(clock() > 0)

    with Engine(url) as engine:
        for _ in range(3):
            engine.start(guard_looks_at_a_hidden_clock).result(WAIT)

    (record,) = caplog.records
    line = guard_looks_at_a_hidden_clock.__code__.co_firstlineno + 4
    assert f"test_in_workers.py:{line}:21: clock: time.time()" in record.getMessage()
    assert "Instead: moment = yield from now()" in record.getMessage()
    assert logging.WARNING == record.levelno


@monitored
def test_an_activity_may_use_what_its_workflow_must_not(url: str, caplog: pytest.LogCaptureFixture) -> None:
    def shared(is_activity: bool) -> float:
        return hidden_clock() if is_activity else 0.0

    @activity(name="guard_reads")
    def reads() -> float:
        return shared(True)

    @workflow
    def guard_shares_a_helper() -> Workflow[bool]:
        before = shared(False)
        found = yield from call(reads)
        return found > before

    with Engine(url) as engine:
        assert engine.start(guard_shares_a_helper).result(WAIT)
        assert engine.start(guard_shares_a_helper).result(WAIT)

    assert [] == said(caplog)


@monitored
def test_a_test_sees_calls_that_a_worker_has_switched_off(url: str) -> None:
    pick: list[Callable[[], float]] = [float]

    @workflow
    def guard_calls_what_it_is_given() -> Workflow[float]:
        yield sleep(timedelta(0))
        return pick[0]()  # the same call site: clean for the worker, forbidden in the test

    with Engine(url) as engine:
        assert 0.0 == engine.start(guard_calls_what_it_is_given).result(WAIT)

    pick[0] = time.time
    with guarded() as findings:
        play = Play(workflow_of(guard_calls_what_it_is_given))
        play.take(play.options()[0])
    play.close()

    assert ["time.time()"] == [finding.what for finding in findings]


def test_error_mode_refuses_a_start(url: str) -> None:
    @workflow
    def guard_is_refused() -> Workflow[float]:
        yield sleep(timedelta(0))
        return time.time()

    with Engine(url, guard="error") as engine:
        with pytest.raises(ForbiddenInWorkflow) as refused:
            _ = engine.start(guard_is_refused)

        assert [] == engine.runs()
    assert "workflow guard_is_refused would not replay" in str(refused.value)
    assert "clock: time.time()" in str(refused.value)
    assert "# interp: allow[code]" in str(refused.value)


@monitored
def test_error_mode_fails_the_run_at_the_call(url: str) -> None:
    @workflow
    def guard_fails_at_the_call() -> Workflow[float]:
        yield sleep(timedelta(0))
        return float(getattr(time, "ti" + "me")())

    with Engine(url, guard="error") as engine:
        for _ in range(2):
            with pytest.raises(RunFailed, match="ForbiddenInWorkflow") as failed:
                _ = engine.start(guard_fails_at_the_call).result(WAIT)
            assert "clock: time.time()" in str(failed.value)


@pytest.mark.parametrize("mode", ["warn", "off"])
def test_a_forgotten_yield_is_refused_unless_it_is_allowed(url: str, mode: Literal["warn", "off"]) -> None:
    @workflow
    def guard_forgets() -> Workflow[None]:
        sleep(timedelta(0))  # type: ignore[unused-awaitable]  # the mistake
        yield sleep(timedelta(0))

    @workflow
    def guard_means_it() -> Workflow[None]:
        sleep(timedelta(0))  # type: ignore[unused-awaitable]  # interp: allow[forgotten-yield] only made to be checked
        yield sleep(timedelta(0))

    with Engine(url, guard=mode) as engine:
        with pytest.raises(ForgottenYield):
            _ = engine.start(guard_forgets)
        assert engine.start(guard_means_it).result(WAIT) is None


def test_off_says_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    @workflow
    def guard_is_off() -> Workflow[bool]:
        yield sleep(timedelta(0))
        return time.time() + float(getattr(time, "ti" + "me")()) > 0

    with Engine(url, guard="off") as engine:
        assert engine.start(guard_is_off).result(WAIT)

    assert [] == said(caplog)


def test_a_worker_warns_of_runs_that_others_have_started(url: str, caplog: pytest.LogCaptureFixture) -> None:
    @workflow
    def guard_waits() -> Workflow[float]:
        if (yield from await_signal("go", bool)):
            yield sleep(timedelta(0))
        return round(time.time() * 0)

    with Engine(url, guard="off") as engine:
        _ = engine.start(guard_waits, id="waits")
    assert [] == said(caplog)
    with Engine(url) as engine:
        run = engine.get("waits")
        run.signal("go", True)
        assert 0 == run.result(WAIT)

    assert "clock: time.time()" in said(caplog)


def test_a_mode_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="guard='loud'"):
        Engine("memory:", guard="loud")  # type: ignore[arg-type]  # the mistake


@monitored
def test_a_guard_that_fails_does_not_reach_the_workflow(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise LookupError("a bug of ours")

    monkeypatch.setattr(guard, "_judged", broken)

    @workflow
    def guard_is_broken() -> Workflow[int]:
        yield sleep(timedelta(0))
        return len("abc")

    with Engine(url) as engine:
        assert 3 == engine.start(guard_is_broken).result(WAIT)

    assert "the guard could not judge a call" in caplog.text


@monitored
def test_error_mode_sees_what_another_engine_has_switched_off(url: str, caplog: pytest.LogCaptureFixture) -> None:
    @workflow
    def guard_meets_two_engines() -> Workflow[float]:
        yield sleep(timedelta(0))
        return float(getattr(time, "ti" + "me")())

    with Engine(url) as engine:
        engine.start(guard_meets_two_engines).result(WAIT)
    assert ["clock: time.time()"] == said(caplog)
    with Engine(url, guard="error") as engine, pytest.raises(RunFailed, match="ForbiddenInWorkflow"):
        engine.start(guard_meets_two_engines).result(WAIT)
