"""Streams: what workflows and activities emit, and who reads it, live and late."""

import asyncio
import threading
import time
from datetime import timedelta

import attrs
import pytest

from interp import (
    Cancelled,
    Engine,
    Retry,
    RunCancelled,
    RunFailed,
    RunParked,
    UsageError,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    continue_as,
    current_call,
    emit,
    gather,
    workflow,
)
from interp.errors import EngineClosed, NotDecodable, NotEncodable, UnknownRun
from interp.store import Batch, Emission
from tests.runtime.helpers import WAIT, eventually, kinds

EXPECTED = ["a 0", "a 1", "a 2", "the end"]


@attrs.frozen
class Progress:
    done: int
    of: int


@activity
def telling(count: int, gate: str = "") -> int:
    """Emit items; with a gate the last one only after it has opened."""
    for number in range(count):
        if gate and number == count - 1:
            assert _gates[gate].wait(WAIT.total_seconds())
        current_call().emit("words", f"a {number}")
    return count


_gates: dict[str, threading.Event] = {}


@pytest.fixture
def gate(request: pytest.FixtureRequest) -> str:
    _gates[request.node.name] = threading.Event()
    return str(request.node.name)


@workflow
def streaming_words(count: int, gate: str = "") -> Workflow[int]:
    told = yield from call(telling, count, gate)
    yield from emit("words", "the end")
    return told


def test_a_reader_gets_what_was_emitted_before_and_what_comes_live(url: str, gate: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_words, 3, gate)
        reader = iter(run.stream("words", type=str))

        assert ["a 0", "a 1"] == [next(reader), next(reader)]
        _gates[gate].set()
        assert ["a 2", "the end"] == list(reader)


def test_a_late_reader_gets_all_of_it_and_another_one_the_rest(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_words, 3, id="one")
        run.result(WAIT)

    with Engine(url) as engine:
        run = engine.get("one")

        assert EXPECTED == list(run.stream("words"))
        assert EXPECTED == run.stream("words").so_far()
        assert EXPECTED[2:] == list(run.stream("words", start=2))
        assert [] == list(run.stream("words", start=9))
        assert [] == list(run.stream("another"))
        assert ("words",) == run.topics


def test_so_far_does_not_wait_and_each_loop_begins_at_the_start(url: str, gate: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_words, 3, gate)
        stream = run.stream("words")
        eventually(lambda: len(stream.so_far()) == 2)

        assert ["a 0", "a 1"] == stream.so_far()
        _gates[gate].set()
        assert [EXPECTED, EXPECTED] == [list(stream), list(stream)]


def test_items_tell_where_they_come_from(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_words, 1)
        first, last = run.stream("words", type=str).items()

        assert ("1", 1, 0, 0, "a 0") == (first.command_id, first.attempt, first.round, first.number, first.value)
        assert ("2", 0, 0, 1, "the end") == (last.command_id, last.attempt, last.round, last.number, last.value)
        assert run.row.created_us / 1e6 <= first.at.timestamp() <= last.at.timestamp() + 1


@workflow
def streaming_values() -> Workflow[None]:
    yield from emit("progress", Progress(1, 9))
    yield from emit("progress", {"done": 2, "of": 9}, type=dict[str, int])
    with pytest.raises(NotEncodable, match=r"value"):
        yield from emit("progress", object())
    yield from emit("progress")


def test_values_are_encoded_by_type_and_decoded_by_type(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_values)
        run.result(WAIT)

        assert [{"done": 1, "of": 9}, {"done": 2, "of": 9}, None] == list(run.stream("progress"))
        reader = iter(run.stream("progress", type=Progress))
        assert [Progress(1, 9), Progress(2, 9)] == [next(reader), next(reader)]
        with pytest.raises(NotDecodable, match="item 2 of stream 'progress': expected Progress"):
            next(reader)


async def test_an_event_loop_reads_several_streams_at_once_and_may_stop_early(url: str, gate: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_words, 3, gate)

        async def read(start: int) -> list[str]:
            return [word async for word in run.stream("words", type=str, start=start)]

        reading = [asyncio.create_task(read(start)) for start in range(3)]
        given_up = asyncio.create_task(read(0))
        first = await anext(aiter(run.stream("words", type=str)))
        given_up.cancel()
        _gates[gate].set()

        assert "a 0" == first
        assert [EXPECTED[start:] for start in range(3)] == await asyncio.gather(*reading)
        with pytest.raises(asyncio.CancelledError):
            await given_up


@activity(retry=Retry(initial=timedelta(milliseconds=1)))
def telling_twice() -> str:
    current_call().emit("tries", "begins")
    if current_call().attempt < 3:
        raise OSError("again")
    current_call().emit("tries", "ends")
    return "done"


@workflow
def streaming_tries() -> Workflow[str]:
    return (yield from call(telling_twice))


def test_items_of_an_activity_come_from_each_attempt_and_say_so(url: str) -> None:
    with Engine(url) as engine:
        items = list(engine.start(streaming_tries).stream("tries").items())

        assert [(1, "begins"), (2, "begins"), (3, "begins"), (3, "ends")] == [(i.attempt, i.value) for i in items]


@activity
async def telling_async(name: str) -> None:
    for number in range(50):
        current_call().emit(name, number)
        await asyncio.sleep(0)


@workflow
def streaming_side_by_side(width: int) -> Workflow[None]:
    yield from gather(*[call(telling_async, f"side{slot}") for slot in range(width)])


def test_each_activity_keeps_its_order_however_many_emit_at_once(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_side_by_side, 8)
        run.result(WAIT)

        assert [list(range(50))] * 8 == [run.stream(f"side{slot}").so_far() for slot in range(8)]


@workflow
def streaming_rounds(round_no: int) -> Workflow[str]:
    yield from emit("rounds", f"begin {round_no}")
    if round_no == 1:
        yield from call(telling, 1)
    yield from emit("rounds", f"end {round_no}")
    if round_no < 3:
        return (yield from continue_as(round_no + 1))
    return "done"


def test_a_stream_goes_on_when_the_run_continues_as_new(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_rounds, 0)
        items = list(run.stream("rounds").items())

        assert [f"{what} {number}" for number in range(4) for what in ("begin", "end")] == [i.value for i in items]
        assert [0, 0, 1, 1, 2, 2, 3, 3] == [item.round for item in items]
        assert list(range(8)) == [item.number for item in items]


@workflow
def streaming_endlessly(never: bool) -> Workflow[None]:
    yield from emit("rounds", "x")
    yield from continue_as(never)


def test_a_run_that_only_ever_continues_is_parked_and_has_emitted_nothing(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_endlessly, True)

        with pytest.raises(RunParked, match="continued as new"):
            list(run.stream("rounds"))
        assert () == run.topics


@workflow
def streaming_then_waiting() -> Workflow[str]:
    yield from emit("stages", "begun")
    answer = yield from await_signal("go", str)
    yield from emit("stages", f"went {answer}")
    answer = yield from await_signal("go", str)
    yield from emit("stages", f"went {answer}")
    return answer


def test_a_replay_emits_nothing(url: str) -> None:
    with Engine(url, cache=0) as engine:  # each signal finds the run dropped, and replays it
        run = engine.start(streaming_then_waiting)
        run.signal("go", "one")
        run.signal("go", "two")
        run.result(WAIT)

        assert ["begun", "went one", "went two"] == run.stream("stages").so_far()


def test_a_fork_has_no_items_but_its_own(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_then_waiting)
        run.signal("go", "one")
        run.signal("go", "two")
        run.result(WAIT)
        fork = engine.fork(run.id, at=2)
        fork.signal("go", "elsewhere")
        fork.result(WAIT)

        assert ["went elsewhere"] == fork.stream("stages").so_far()
        assert ["begun", "went one", "went two"] == run.stream("stages").so_far()


def test_items_that_were_emitted_before_a_cancellation_stay_and_cleanup_may_emit(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_cleanup)
        eventually(lambda: run.stream("stages").so_far())
        run.cancel()

        assert ["begun", "cleaned"] == list(run.stream("stages"))
        with pytest.raises(RunCancelled):
            run.result(WAIT)


@workflow
def streaming_cleanup() -> Workflow[None]:
    yield from emit("stages", "begun")
    try:
        yield from await_signal("never")
    finally:
        yield from emit("stages", "cleaned")


_called_off = threading.Event()


@activity
def telling_until_cancelled() -> None:
    try:
        while True:
            current_call().emit("beats", 1)
            time.sleep(0.001)
    except Cancelled:
        _called_off.set()
        raise


@workflow
def streaming_until_cancelled() -> Workflow[None]:
    yield from call(telling_until_cancelled)


def test_an_activity_that_nobody_waits_for_learns_it_when_it_emits(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_until_cancelled)
        eventually(lambda: run.stream("beats").so_far())
        run.cancel()

        count = len(list(run.stream("beats")))
        assert _called_off.wait(WAIT.total_seconds())
        assert count == len(run.stream("beats").so_far())


@workflow
def streaming_and_failing() -> Workflow[None]:
    yield from await_signal("go")
    yield from emit("stages", "before the end")
    raise ValueError("broken")


def test_a_failed_run_that_is_retried_emits_the_items_of_its_last_record_again(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_and_failing)
        run.signal("go")
        with pytest.raises(RunFailed):
            run.result(WAIT)
        run.retry()
        with pytest.raises(RunFailed):
            run.result(WAIT)

        items = list(run.stream("stages").items())
        assert [("2", "before the end")] * 2 == [(item.command_id, item.value) for item in items]


def test_a_reader_learns_that_the_engine_was_closed(url: str, gate: str) -> None:
    engine = Engine(url, grace=timedelta(0))
    run = engine.start(streaming_words, 2, gate)
    reader = iter(run.stream("words"))
    next(reader)
    threading.Timer(0.05, engine.close).start()

    with pytest.raises(EngineClosed):
        next(reader)
    _gates[gate].set()


def test_a_reader_in_another_engine_follows(url: str, gate: str) -> None:
    with Engine(url) as engine, Engine(url) as other:
        run = engine.start(streaming_words, 3, gate, id="one")
        reader = iter(other.get("one").stream("words"))

        assert "a 0" == next(reader)
        _gates[gate].set()
        assert EXPECTED[1:] == list(reader)
        assert 3 == run.result(WAIT)


@pytest.mark.parametrize("topic", ["", "a\0b", "x" * 201, "~log", "\ud800"])
def test_a_topic_that_cannot_be_is_refused_where_it_is_written(topic: str) -> None:
    with pytest.raises(ValueError, match="emit"):
        emit(topic, 1)  # type: ignore[unused-awaitable]  # refused


def test_what_is_no_topic_and_no_number_is_refused(url: str) -> None:
    with pytest.raises(TypeError, match="takes a topic"):
        emit(3)  # type: ignore[arg-type, unused-awaitable]  # refused
    with Engine(url) as engine:
        run = engine.start(streaming_values)
        with pytest.raises(UsageError, match="numbered from 0"):
            run.stream("progress", start=-1)


def test_a_run_without_streams_costs_nothing_for_them(url: str) -> None:
    batches: list[Batch] = []
    with Engine(url) as engine:
        commit = engine.store.commit

        def watched(batch: Batch, now_us: int) -> object:
            batches.append(batch)
            return commit(batch, now_us)

        engine.store.commit = watched  # type: ignore[method-assign, assignment]
        engine.start(streaming_nothing).result(WAIT)

    assert [] == [emission for batch in batches for emission in batch.emissions]
    assert [] == [item for batch in batches for append in batch.appends for item in append.emits]


@workflow
def streaming_nothing() -> Workflow[None]:
    yield from annotate(stage="done")


def test_items_of_a_worker_that_lost_its_run_are_fenced_out(url: str, gate: str) -> None:
    with Engine(url, grace=timedelta(0)) as engine:
        run = engine.start(streaming_words, 2, gate, id="one")
        eventually(lambda: run.stream("words").so_far())
        store = engine.store
        row = run.row
        assert [] == store.commit(Batch(emissions=[Emission("one", row.token, [])]), row.updated_us)
        store.resign(engine.name)  # as if it were dead, while it goes on
        due = store.claim("another", 9, row.updated_us + 1, 10**12, {"streaming_words"})
        assert ["one"] == [claim.run.id for claim in due.claims]
        _gates[gate].set()
        eventually(lambda: "one" not in engine._worker._live)

        assert ["a 0"] == run.stream("words").so_far()
        assert ["Started"] == kinds(run)


def test_the_streams_of_an_unknown_run_say_so(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(streaming_nothing, id="one")
        run.id = "gone"
        for ask in (lambda: list(run.stream("a")), lambda: run.topics):
            with pytest.raises(UnknownRun):
                ask()
