"""Starting runs and waiting for them."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from interp import (
    Engine,
    RunFailed,
    RunFilter,
    Status,
    UsageError,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    continue_as,
    run,
    workflow,
)
from interp.errors import EngineClosed, NotEncodable, RunExists, UnknownRun
from interp.runtime import open_store
from tests.runtime.helpers import WAIT, WAIT_S, eventually, kinds


@activity
def plus_one(n: int) -> int:
    return n + 1


@workflow
def adding_one(n: int) -> Workflow[int]:
    return (yield from call(plus_one, n))


@workflow
def waiting_for_go(n: int) -> Workflow[str]:
    word = yield from await_signal("go", str)
    return f"{n}{word}"


def test_a_run_gives_the_result_of_its_workflow(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(adding_one, 1)

        assert 2 == run.result(WAIT)
        assert Status.COMPLETED is run.status
        assert ["Started", "Resolved"] == kinds(run)


def test_interp_run_starts_a_run_or_finds_it_and_returns_its_result(lmdb_url: str) -> None:
    made: list[int] = []

    @activity
    def make(n: int) -> int:
        made.append(n)
        return n

    @workflow
    def making(n: int) -> Workflow[int]:
        return (yield from call(make, n))

    assert 7 == run(making, 7, id="seven", store=lmdb_url)
    assert 7 == run(making, 7, id="seven", store=lmdb_url)
    assert [7] == made


def test_the_same_id_and_arguments_again_give_the_run_that_exists(url: str) -> None:
    made: list[int] = []

    @activity
    def make(n: int) -> int:
        made.append(n)
        return n

    @workflow
    def making(n: int) -> Workflow[int]:
        return (yield from call(make, n))

    with Engine(url) as engine:
        first = engine.start(making, 7, id="seven")
        again = engine.start(making, 7, id="seven")
        assert 7 == first.result(WAIT) == again.result(WAIT)
        ended = engine.start(making, 7, id="seven")
        assert 7 == ended.result(WAIT)

    assert [7] == made


def test_a_run_without_an_id_gets_one_of_its_own(url: str) -> None:
    with Engine(url) as engine:
        first, second = engine.start(adding_one, 1), engine.start(adding_one, 1)

        assert first.id != second.id


def test_the_same_id_with_other_arguments_is_refused_with_both_sides(url: str) -> None:
    with Engine(url) as engine:
        first = engine.start(waiting_for_go, 1, id="one")

        with pytest.raises(RunExists) as refused:
            _ = engine.start(waiting_for_go, 2, id="one")

        assert "one" == refused.value.run_id
        assert "waiting_for_go(1)  (waiting)" == refused.value.existing
        assert "waiting_for_go(2)" == refused.value.requested
        first.signal("go", "!")
        assert "1!" == first.result(WAIT)


def test_the_same_id_for_another_workflow_is_refused(url: str) -> None:
    with Engine(url) as engine:
        engine.start(adding_one, 1, id="one").result(WAIT)

        with pytest.raises(RunExists, match=r"adding_one\(1\)  \(completed\)"):
            _ = engine.start(waiting_for_go, 1, id="one")


def test_of_starts_with_one_id_and_other_arguments_at_once_exactly_one_wins(url: str) -> None:
    def attempt(engine: Engine, n: int) -> int | None:
        try:
            return int(engine.start(waiting_for_go, n, id="contended").id == "contended") and n
        except RunExists:
            return None

    with Engine(url) as engine, ThreadPoolExecutor(8) as pool:
        winners = [n for n in pool.map(lambda n: attempt(engine, n), range(1, 65)) if n is not None]

        assert 1 == len(winners)
        run = engine.get("contended")
        run.signal("go", "!")
        assert f"{winners[0]}!" == run.result(WAIT)


def test_two_starts_of_one_id_in_one_list_give_the_first_and_refuse_the_second(url: str) -> None:
    with Engine(url) as engine:
        with pytest.raises(RunExists) as refused:
            engine.start_many(waiting_for_go, [("a", (1,)), ("a", (2,)), ("b", (3,))])

        assert "waiting_for_go(2)" == refused.value.requested
        for run_id, expected in (("a", "1!"), ("b", "3!")):
            run = engine.get(run_id)
            run.signal("go", "!")
            assert expected == run.result(WAIT)


def test_the_same_run_twice_in_one_list_is_one_run(url: str) -> None:
    with Engine(url) as engine:
        first, second = engine.start_many(adding_one, [("a", (1,)), ("a", (1,))])

        assert 2 == first.result(WAIT) == second.result(WAIT)


def test_many_runs_start_together_and_each_has_its_result(url: str) -> None:
    with Engine(url) as engine:
        runs = engine.start_many(adding_one, [(f"r{n}", (n,)) for n in range(1_000)])

        assert [n + 1 for n in range(1_000)] == [run.result(WAIT) for run in runs]
        assert 1_000 == len(engine.runs(RunFilter(statuses=frozenset({Status.COMPLETED}))))


def test_of_many_starts_none_happens_when_one_cannot_be_recorded(url: str) -> None:
    with Engine(url) as engine:
        with pytest.raises(NotEncodable):
            engine.start_many(adding_one, [("a", (1,)), ("b", ("two",))])  # type: ignore[arg-type]  # the mistake

        assert [] == engine.runs()


def test_a_result_that_takes_too_long_is_a_timeout_and_the_run_goes_on(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(waiting_for_go, 1, id="slow")

        with pytest.raises(TimeoutError, match=r"run 'slow' has not ended within 0\.01 s"):
            run.result(timedelta(seconds=0.01))

        run.signal("go", "!")
        assert "1!" == run.result(WAIT)


async def test_a_run_can_be_awaited(url: str) -> None:
    with Engine(url) as engine:
        assert 2 == await engine.start(adding_one, 1)


async def test_giving_up_an_await_harms_neither_the_run_nor_the_worker(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(waiting_for_go, 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await run

        await asyncio.to_thread(run.signal, "go", "!")

        assert "1!" == await run
        assert 2 == await engine.start(adding_one, 1)


async def test_a_failed_run_raises_where_it_is_awaited(url: str) -> None:
    @workflow
    def failing() -> Workflow[None]:
        yield annotate(step="failing")
        raise LookupError("no such thing")

    with Engine(url) as engine:
        run = engine.start(failing)

        with pytest.raises(RunFailed, match="LookupError: no such thing") as failed:
            await run
        assert "in test_a_failed_run_raises_where_it_is_awaited.<locals>.failing" in failed.value.remote_traceback
        assert Status.FAILED is run.status


def test_annotations_are_the_state_of_the_run_and_stay_when_it_ends(url: str) -> None:
    @workflow
    def annotating() -> Workflow[None]:
        yield annotate(stage="one", done=1)
        yield from await_signal("go")
        yield annotate(stage="two")

    with Engine(url) as engine:
        run = engine.start(annotating)
        assert {"stage": "one", "done": 1} == run.state

        run.signal("go")
        run.result(WAIT)

        assert {"stage": "two", "done": 1} == run.state


def test_annotations_before_continue_as_are_the_state_of_the_run(url: str) -> None:
    @workflow
    def annotating_once(n: int) -> Workflow[int]:
        if n == 0:
            yield annotate(first="kept")
            yield continue_as(1)
        yield from await_signal("go")
        return n

    with Engine(url) as engine:
        run = engine.start(annotating_once, 0)
        assert {"first": "kept"} == run.state

        run.signal("go")
        assert 1 == run.result(WAIT)
        assert {"first": "kept"} == run.state


def test_run_ids_may_be_any_text_of_400_bytes(url: str) -> None:
    ids = ["größe-42", "订单/7", "🛒", "a b\n", "é" * 200, "x" * 400]

    with Engine(url) as engine:
        for run_id in ids:
            assert 2 == engine.start(adding_one, 1, id=run_id).result(WAIT)

        assert ids == [row.id for row in engine.runs()]
        assert [2] * len(ids) == [engine.get(run_id).result(WAIT) for run_id in ids]


@pytest.mark.parametrize("run_id", ["", "é" * 201, "x" * 5_000, "a\0b", "\ud800"])
def test_run_ids_that_no_store_can_keep_are_refused_in_one_line(url: str, run_id: str) -> None:
    with Engine(url) as engine:
        with pytest.raises(UsageError) as refused:
            _ = engine.start(adding_one, 1, id=run_id)

        assert len(str(refused.value)) < 200
        with pytest.raises(UsageError):
            engine.start_many(adding_one, [("fine", (1,)), (run_id, (1,))])
        assert [] == engine.runs()


@pytest.mark.parametrize("run_id", ["", "nobody", "x" * 5_000, "é" * 201, "a\0b", "\ud800"])
def test_an_id_that_no_run_has_is_an_unknown_run(url: str, run_id: str) -> None:
    with Engine(url) as engine, pytest.raises(UnknownRun):
        _ = engine.get(run_id)


def test_a_handle_can_be_got_in_a_later_engine(url: str) -> None:
    with Engine(url) as engine:
        _ = engine.start(waiting_for_go, 1, id="later")

    with Engine(url) as engine:
        run = engine.get("later")
        run.signal("go", "!")
        assert "1!" == run.result(WAIT)


def test_results_can_be_awaited_by_many_threads(url: str) -> None:
    with Engine(url) as engine, ThreadPoolExecutor(16) as pool:
        run = engine.start(waiting_for_go, 1)
        results = [pool.submit(run.result, WAIT) for _ in range(16)]

        run.signal("go", "!")

        assert {"1!"} == {result.result(WAIT_S) for result in results}


def test_closing_the_engine_tells_everyone_who_waits(url: str) -> None:
    engine = Engine(url)
    run = engine.start(waiting_for_go, 1)
    told: list[BaseException] = []

    def wait() -> None:
        try:
            run.result(WAIT)
        except EngineClosed as closed:
            told.append(closed)

    waiter = threading.Thread(target=wait)
    waiter.start()
    engine.close()
    waiter.join(WAIT_S)

    assert 1 == len(told)
    with pytest.raises(EngineClosed):
        _ = engine.start(adding_one, 1)
    with pytest.raises(EngineClosed):
        run.signal("go", "!")
    engine.close()


def test_an_engine_whose_store_is_closed_tells_everyone_instead_of_hanging(url: str) -> None:
    store = open_store(url)
    with Engine(store) as engine:
        run = engine.start(waiting_for_go, 1)
        store.close()
        if url.startswith("memory:"):  # nothing to close: it goes on
            run.signal("go", "!")
            assert "1!" == run.result(WAIT)
            return

        for _ in range(2):
            with pytest.raises(UsageError, match="closed"):
                run.signal("go", "!")
        with pytest.raises(UsageError, match="closed"):
            _ = engine.start(adding_one, 1)
        with pytest.raises(UsageError, match="closed"):
            run.result(WAIT)


def test_polling_for_a_result_keeps_nothing_of_the_polls(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(waiting_for_go, 1)
        for _ in range(50):
            with pytest.raises(TimeoutError):
                run.result(timedelta(0))

        run.signal("go", "!")
        assert "1!" == run.result(WAIT)


def test_engines_refuse_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="threads must be 1 or more"):
        Engine("memory:", threads=0)
    with pytest.raises(ValueError, match="cache 0 or more"):
        Engine("memory:", cache=-1)


def test_a_store_that_is_handed_in_stays_open(lmdb_url: str) -> None:
    store = open_store(lmdb_url)
    with Engine(store) as engine:
        engine.start(adding_one, 1, id="one").result(WAIT)

    eventually(lambda: store.run("one") is not None)
    store.close()
