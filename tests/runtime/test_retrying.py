"""Retried runs: a failed one goes on from where it failed under its own id, keeps what was paid for, and says so."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp import (
    Engine,
    Retry,
    RunCancelled,
    RunFailed,
    Status,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    current_call,
    gather,
    sleep,
    workflow,
)
from interp.errors import UnknownRun, UsageError
from interp.events import (
    Asked,
    Failed,
    Rejected,
    Retried,
    Signalled,
    Started,
    decode_event,
    decode_transition,
    encode_event,
)
from interp.outline.tree import tree_of
from interp.replay import replay
from interp.runtime import open_store
from interp.runtime.checking import check
from interp.runtime.retrying import _reopened, retry
from interp.store import Post
from tests.core.driving import EPOCH
from tests.core.programs import Program, loaded, programs
from tests.core.test_properties import lived
from tests.runtime.helpers import WAIT, WAIT_S, causes, eventually, kinds

made: list[tuple[str, int]] = []
broken: set[str] = set()


@activity
def pay(name: str) -> str:
    made.append((name, current_call().attempt))
    return f"paid {name}"


@activity(retry=Retry(attempts=2, initial=timedelta(milliseconds=1)))
def fragile(name: str) -> str:
    made.append((name, current_call().attempt))
    if name in broken:
        raise ConnectionError(f"{name} is down")
    return f"reached {name}"


@workflow
def paid_then_fragile() -> Workflow[list[str]]:
    first = yield from call(pay, "one")
    return [first, (yield from call(fragile, "gateway"))]


@pytest.fixture(autouse=True)
def _nothing_made() -> None:
    made.clear()
    broken.clear()


def deploy(name: str, last: Callable[[str], str]) -> Any:
    """Return a workflow with a last step that may raise."""

    @workflow(name=name)
    def deployed() -> Workflow[str]:
        yield from annotate(stage="begun")
        receipt = yield from call(pay, "one")
        word = yield from await_signal("go", str)
        yield from annotate(stage="gone")
        return last(receipt + word)

    return deployed


def fails(text: str) -> str:
    raise ValueError(f"a bug with {text}")


def test_the_time_until_somebody_retries_is_no_part_of_the_attempt_that_failed(url: str) -> None:
    broken.add("gateway")
    with Engine(url) as engine:
        run = engine.start(paid_then_fragile, id="r")
        with pytest.raises(RunFailed):
            run.result(WAIT)
        failed_at = decode_transition(list(engine.store.history("r"))[-1]).at
        time.sleep(0.01)
        broken.clear()
        run.retry()
        run.result(WAIT)
        history = [decode_transition(record) for record in engine.store.history("r")]

    (retried,) = (each for each in history if isinstance(each.cause, Retried))
    last = next(each for each in tree_of(history).nodes["2"].tries if each.retry_at == retried.at)
    assert failed_at == last.ended
    assert last.ended < retried.at


# --- a call that failed for good --------------------------------------------------------------------------------------


def test_a_call_that_failed_is_made_anew_with_all_its_attempts_and_nothing_else_is(url: str) -> None:
    broken.add("gateway")
    with Engine(url) as engine:
        run = engine.start(paid_then_fragile, id="r")
        with pytest.raises(RunFailed):
            run.result(WAIT)

        run.retry()
        with pytest.raises(RunFailed):
            run.result(WAIT)
        broken.clear()
        run.retry()

        assert ["paid one", "reached gateway"] == run.result(WAIT)
        assert [("one", 1), *(("gateway", attempt) for attempt in range(1, 6))] == made
        retried = [cause for cause in causes(run) if isinstance(cause, Retried)]
        assert 2 == len(retried)
        rejected = retried[0].rejected
        assert isinstance(rejected, Rejected)
        assert ("2", 2, "gateway is down") == (rejected.id, rejected.attempt, rejected.failure.message)
        assert check(engine.store, closed=True).fits


def test_the_others_of_a_gather_are_made_again_unless_they_had_answered(url: str) -> None:
    @workflow(name="retried_gather")
    def retried_gather() -> Workflow[Any]:
        yield from call(pay, "before")
        return (yield from gather(call(fragile, "gateway"), sleep(timedelta(milliseconds=80)), await_signal("go")))

    broken.add("gateway")
    with Engine(url) as engine:
        run = engine.start(retried_gather, id="r")
        with pytest.raises(RunFailed):
            run.result(WAIT)
        broken.clear()
        run.retry()
        run.signal("go", 7)

        assert ["reached gateway", None, 7] == list(run.result(WAIT))
    assert 1 == Counter(name for name, _ in made)["before"]


# --- a workflow that raised -------------------------------------------------------------------------------------------


def test_a_bug_is_fixed_and_what_came_last_happens_again(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(deploy("mended", fails), id="r")
        eventually(lambda: "Resolved" in kinds(run))
        run.signal("go", "!")
        with pytest.raises(RunFailed, match="a bug with paid one!"):
            run.result(WAIT)
        assert {"stage": "gone"} == run.state
    deploy("mended", str.upper)

    with Engine(url) as engine:
        run = engine.get("r")
        run.retry()
        assert "PAID ONE!" == run.result(WAIT)
        assert {"stage": "gone"} == run.state
        assert ["Started", "Resolved", "Retried", "Signalled"] == kinds(run)
        assert "a bug with paid one!" in causes(run)[2].failure.message  # type: ignore[union-attr]
    assert [("one", 1)] == made


def test_a_result_that_the_code_could_not_take_is_not_paid_for_twice(url: str) -> None:
    def again(last: Callable[[str], str]) -> Any:
        @workflow(name="mended_result")
        def mended_result() -> Workflow[str]:
            return last((yield from call(pay, "one")))

        return mended_result

    with Engine(url) as engine:
        run = engine.start(again(fails), id="r")
        with pytest.raises(RunFailed):
            run.result(WAIT)
        again(str.upper)
    with Engine(url) as engine:
        engine.get("r").retry()
        assert "PAID ONE" == engine.get("r").result(WAIT)
        assert ["Started", "Retried", "Resolved"] == kinds(engine.get("r"))
    assert [("one", 1)] == made


def test_a_run_that_failed_at_its_start_starts_over_and_remembers(url: str) -> None:
    def begin(*, broken: bool) -> Any:
        @workflow(name="mended_start")
        def mended_start() -> Workflow[str]:
            if broken:
                raise ValueError("too early")
            return (yield from call(pay, "one"))

        return mended_start

    with Engine(url) as engine:
        run = engine.start(begin(broken=True), id="r")
        for _ in range(2):
            with pytest.raises(RunFailed):
                run.result(WAIT)
            run.retry()
        with pytest.raises(RunFailed):
            run.result(WAIT)
    begin(broken=False)
    with Engine(url) as engine:
        run = engine.get("r")
        run.retry()
        assert "paid one" == run.result(WAIT)
        started = causes(run)[0]
    assert isinstance(started, Started)
    assert ["too early"] * 3 == [failure.message for failure in started.failures]


def test_a_retry_without_a_fix_fails_again_in_the_same_way_and_loses_nothing(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(deploy("unmended", fails), id="r")
        eventually(lambda: "Resolved" in kinds(run))
        run.signal("go", "!")
        with pytest.raises(RunFailed):
            run.result(WAIT)
        run.retry()
        with pytest.raises(RunFailed, match="a bug with paid one!"):
            run.result(WAIT)
        assert ["Started", "Resolved", "Retried", "Signalled"] == kinds(run)


# --- what holds for every history -------------------------------------------------------------------------------------


@given(programs(), st.data())
def test_any_history_that_failed_is_retried_to_the_same_end_by_the_same_events(
    program: Program, data: st.DataObject
) -> None:
    with lived(data, program) as (_, driver):
        history = driver.history
        if not isinstance(driver.outcome, Failed):
            return
        last = history[-1]
        retried, reopen = _reopened("run", tuple(history), driver.outcome, EPOCH)
        if reopen.record is None:
            assert isinstance(last.cause, Started)
            return
        kept = [*history[:-1], decode_transition(reopen.record)]
        with closing(replay(loaded(program).definition, kept, run_id="run").interpreter) as interpreter:
            again = [retried.rejected] if retried.rejected else [decode_event(body) for body in reopen.messages]
            # A request that comes again says so: it was accepted before.
            cause = last.cause
            assert [msgspec.structs.replace(cause, again=True) if isinstance(cause, Asked) else cause] == again
            step = interpreter.feed(last.cause, last.at)
            assert last.outcome == step.outcome
            assert last.commands == tuple(issued.record for issued in step.commands)


# --- what is refused, and parked runs ---------------------------------------------------------------------------------


def test_runs_that_are_neither_parked_nor_failed_are_refused(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(deploy("refused", str.upper), id="r")
        eventually(lambda: "Resolved" in kinds(run))
        with pytest.raises(UsageError, match=r"run 'r' is neither parked nor failed: it is waiting$"):
            run.retry()
        run.cancel()
        with pytest.raises(RunCancelled):
            run.result(WAIT)
        with pytest.raises(UsageError, match=r"it is cancelled\n  `interp fork` starts a new run"):
            run.retry()
        with pytest.raises(UnknownRun):
            retry(engine.store, "nobody")


def test_a_parked_run_is_released_by_its_handle(url: str) -> None:
    @workflow(name="released")
    def old() -> Workflow[str]:
        yield from call(pay, "one")
        return str((yield from await_signal("go")))

    def other() -> None:
        @workflow(name="released")
        def new() -> Workflow[str]:
            yield from call(pay, "two")
            return str((yield from await_signal("go")))

    with Engine(url) as engine:
        run = engine.start(old, id="r")
        eventually(lambda: "Resolved" in kinds(run))
    other()
    with Engine(url) as engine:
        run = engine.get("r")
        run.signal("go", 1)
        eventually(lambda: run.status is Status.PARKED)
        workflow(name="released")(old)  # in the same engine: one that starts would release it by itself
        run.retry()
        assert "1" == run.result(WAIT)


def test_signals_that_come_after_a_retry_come_after_what_happens_again(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(deploy("ordered", fails), id="r")
        eventually(lambda: "Resolved" in kinds(run))
        run.signal("go", "first")
        with pytest.raises(RunFailed):
            run.result(WAIT)
        before = engine.store.run("r")
    store = open_store(url)
    assert isinstance(retry(store, "r"), Retried)
    assert before is not None
    row = store.run("r")
    assert row is not None
    assert (Status.PENDING, None, 3) == (row.status, row.owner, row.length)
    assert isinstance(decode_event(store.inbox("r")[0].body), Signalled)
    deploy("ordered", str.upper)
    store.post(Post("r", encode_event(Signalled("go", b'"second"'))), row.updated_us)
    with Engine(store) as engine:
        assert "PAID ONEFIRST" == engine.get("r").result(WAIT)
    store.close()


# --- crashes ----------------------------------------------------------------------------------------------------------

KILLED = """
import os, sys
from pathlib import Path
from interp import Engine, Retry, Workflow, activity, call, workflow
from interp.runtime import open_store
from interp.runtime.retrying import retry

life = sys.argv[1]

@activity(retry=Retry(attempts=1))
def paid(n: int) -> int:
    with Path("paid").open("a") as lines:
        lines.write(f"{n}\\n")
    if n == 2 and life == "die":
        os.kill(os.getpid(), 9)
    if n == 2 and life == "begin":
        raise ConnectionError("down")
    return n

@workflow
def killed_retry() -> Workflow[list[int]]:
    return [(yield from call(paid, 1)), (yield from call(paid, 2))]

if life == "retry":
    retry(open_store("lmdb:journal"), "a")
    os.kill(os.getpid(), 9)
with Engine("lmdb:journal") as engine:
    print(engine.start(killed_retry, id="a").result())
"""


def test_a_retry_survives_a_kill_right_after_it_and_in_its_call(tmp_path: Path) -> None:
    def life(what: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", KILLED, what],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            check=False,
        )

    assert "RunFailed" in life("begin").stderr
    assert -signal.SIGKILL == life("retry").returncode
    assert -signal.SIGKILL == life("die").returncode
    last = life("end")

    assert (0, "[1, 2]\n") == (last.returncode, last.stdout), last.stderr
    assert ["1", "2", "2", "2"] == (tmp_path / "paid").read_text().splitlines()
