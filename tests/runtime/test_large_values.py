"""Values of ten megabytes: they work, are let go at once, and are not loaded where nobody looks at them."""

import gc
import secrets
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from interp import Encrypted, Engine, Status, Workflow, activity, await_signal, call, workflow
from tests.runtime.helpers import WAIT, eventually

SIZE = 10_000_000
MOST_BYTES = SIZE // 10


@activity
def turn_round(text: str) -> str:
    return text[::-1]


@workflow
def large_in_and_out(text: str) -> Workflow[str]:
    turned = yield from call(turn_round, text)
    yield from await_signal("go")
    return turned


@pytest.fixture
def traced() -> Iterator[None]:
    """What lives is counted, and the garbage collector does not come to help."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


def live() -> int:
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.parametrize("is_sealed", [False, True])
def test_ten_megabytes_go_in_and_out_also_through_a_replay_and_leave_no_trace_in_memory(
    lmdb_url: str, traced: None, *, is_sealed: bool
) -> None:
    codec = Encrypted(Encrypted.new_key()) if is_sealed else None
    text = secrets.token_hex(SIZE // 2)
    with Engine(lmdb_url, codec=codec, cache=0) as engine:
        before = live()
        run = engine.start(large_in_and_out, text, id="large")
        eventually(lambda: run.status is Status.WAITING)
        eventually(lambda: live() - before < MOST_BYTES)  # a waiting run that is not cached costs nothing
        run.signal("go")
        assert text[::-1] == run.result(WAIT)
        eventually(lambda: live() - before < MOST_BYTES)

    occurrences = 4  # argument of the run, argument of the call, its result, the run's result
    disk = (Path(lmdb_url.removeprefix("lmdb://")) / "data.mdb").stat().st_blocks * 512
    assert disk < (occurrences + 2) * len(text), "a message holds the argument until the run takes it up"


def test_listing_runs_does_not_load_their_histories(lmdb_url: str, traced: None) -> None:
    with Engine(lmdb_url, cache=0) as engine:
        runs = [engine.start(large_in_and_out, "x" * SIZE) for _ in range(3)]
        eventually(lambda: all(run.status is Status.WAITING for run in runs))
        eventually(lambda: live() < MOST_BYTES)
        tracemalloc.reset_peak()
        rows = engine.runs()

        assert [Status.WAITING] * 3 == [row.status for row in rows]
        assert tracemalloc.get_traced_memory()[1] < SIZE + MOST_BYTES, "the time of the last record, one run at a time"


def test_runs_that_have_ended_are_let_go_one_after_the_other(lmdb_url: str, traced: None) -> None:
    with Engine(lmdb_url) as engine:
        before = live()
        for number in range(5):
            run = engine.start(large_in_and_out, f"{number}" * SIZE)
            run.signal("go")
            assert f"{number}" * SIZE == run.result(WAIT)

        eventually(lambda: live() - before < MOST_BYTES)
