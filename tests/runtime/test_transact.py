"""`transact`: what the function writes and what is recorded of it are one, or nothing."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from interp import (
    CallFailed,
    Engine,
    Saga,
    Status,
    Transaction,
    UsageError,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    child,
    continue_as,
    current_call,
    gather,
    race,
    sleep,
    timeout,
    transact,
    workflow,
)
from interp.errors import InvalidDefinition, RunCancelled, RunFailed
from interp.events import Resolved, decode_transition
from interp.runtime import open_store, transacting
from interp.runtime.checking import check
from interp.store import Batch, Refusal, RunFilter, RunRow
from stores import memory
from tests.runtime.helpers import WAIT, WAIT_S, causes, eventually, kinds


class TooMuch(Exception): ...


def add(tx: Transaction, name: str, amount: int = 1) -> int:
    table = tx.table("sums")
    total = int(table.get(name.encode()) or b"0") + amount
    table.put(name.encode(), str(total).encode())
    return total


@activity(raises=TooMuch)
def add_up_to(tx: Transaction, name: str, amount: int, most: int) -> int:
    total = add(tx, name, amount)
    if total > most:
        raise TooMuch(total)
    return total


def add_and_break(tx: Transaction, name: str) -> int:
    add(tx, name)
    raise OSError("broken")


def total(engine: Engine, name: str) -> int:
    with engine.transaction(write=False) as tx:
        return int(tx.table("sums").get(name.encode()) or b"0")


@workflow
def transact_once(name: str) -> Workflow[int]:
    return (yield from transact(add, name, amount=3))


@workflow
def transact_often(name: str, times: int) -> Workflow[int]:
    value = 0
    for _ in range(times):
        value = yield from transact(add, name)
    return value


@workflow
def transact_and_wait(name: str) -> Workflow[int]:
    value = yield from transact(add, name)
    yield from await_signal("go")
    return value


def test_the_result_is_recorded_with_what_was_written(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(transact_once, "a", id="one")

        assert 3 == run.result(WAIT)
        assert 3 == total(engine, "a")
        assert ["Started", "Resolved"] == kinds(run)
        (record,) = run.history()[0].commands
        assert ("1", "transact", "add", b'["a",3]') == (record.id, record.kind, record.target, record.payload)


def test_what_is_recorded_is_not_done_again_by_a_replay(url: str) -> None:
    store = open_store(url)
    with Engine(store) as engine:
        waiting = engine.start(transact_and_wait, "a", id="waits")
        eventually(lambda: waiting.status is Status.WAITING)
    with Engine(store) as engine:
        engine.get("waits").signal("go")

        assert 1 == engine.get("waits").result(WAIT)
        assert 1 == total(engine, "a")
        assert check(store, closed=True).fits
    store.close()


@workflow
def transact_declared(name: str) -> Workflow[list[Any]]:
    seen: list[Any] = [(yield from transact(add_up_to, name, 5, 9))]
    try:
        yield from transact(add_up_to, name, 5, 9)
    except TooMuch as error:
        seen.append(error.args)
    return seen


def test_a_declared_exception_takes_back_what_was_written_and_is_raised_as_itself(url: str) -> None:
    with Engine(url) as engine:
        assert [5, [10]] == engine.start(transact_declared, "a").result(WAIT)
        assert 5 == total(engine, "a")


@workflow
def transact_broken(name: str) -> Workflow[None]:
    yield from transact(add, name)
    yield from transact(add_and_break, name)


def test_any_other_exception_is_a_failed_call_that_is_not_retried(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(transact_broken, "a")

        with pytest.raises(RunFailed, match="add_and_break failed"):
            run.result(WAIT)
        assert ["Started", "Resolved", "Rejected"] == kinds(run)
        assert 1 == total(engine, "a")


def test_a_failed_run_is_retried_from_its_transact(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [True]

    def mendable(tx: Transaction, name: str) -> int:
        value = add(tx, name)
        if broken[0]:
            raise OSError("broken")
        return value

    @workflow
    def transact_mendable(name: str) -> Workflow[int]:
        yield from transact(add, name)
        return (yield from transact(mendable, name))

    with Engine(url) as engine:
        run = engine.start(transact_mendable, "a")
        with pytest.raises(RunFailed):
            run.result(WAIT)
        broken.clear()
        broken.append(False)
        run.retry()

        assert 2 == run.result(WAIT)
        assert 2 == total(engine, "a")


def test_a_fork_does_not_do_again_what_its_records_hold(url: str) -> None:
    with Engine(url) as engine:
        engine.start(transact_often, "a", 3, id="origin").result(WAIT)

        assert 12 == engine.fork("origin", at=3, results={"2": 11}).result(WAIT) + 8
        assert 4 == total(engine, "a")


@workflow
def transact_then_detach(name: str) -> Workflow[None]:
    yield from transact(add_slowly, name)
    yield from child(transact_once, name, detached=True)


def add_slowly(tx: Transaction, name: str) -> int:
    time.sleep(0.02)
    return add(tx, name)


def test_no_record_is_older_than_the_one_before_it(url: str) -> None:
    with Engine(url) as engine:
        engine.start(transact_then_detach, "ada", id="run").result()
        times = [transition.at for transition in map(decode_transition, engine.store.history("run"))]

    assert 3 == len(times)
    assert sorted(times) == times


def test_a_result_that_cannot_be_recorded_takes_back_what_was_written(url: str) -> None:
    def odd(tx: Transaction) -> int:
        add(tx, "a")
        return "no number"  # type: ignore[return-value]  # what the test is about

    @workflow
    def transact_odd() -> Workflow[None]:
        yield from transact(odd)

    with Engine(url) as engine:
        with pytest.raises(RunFailed, match="result of odd"):
            engine.start(transact_odd).result(WAIT)
        assert 0 == total(engine, "a")


# --- beside others ---


@workflow
def transact_gathered(name: str) -> Workflow[list[Any]]:
    values: list[Any] = list((yield from gather(*[transact(add, name) for _ in range(3)])))
    values.append((yield from race(transact(add, name), sleep(timedelta(hours=1)))))
    values.append((yield from timeout(timedelta(hours=1), transact(add, name))))
    try:
        yield from gather(transact(add_up_to, name, 1, 0), transact(add, name))
    except TooMuch:
        values.append("neither")
    return values


def test_parts_of_a_gather_are_done_in_order_and_none_after_the_first_failure(url: str) -> None:
    with Engine(url) as engine:
        assert [1, 2, 3, [0, 4], 5, "neither"] == engine.start(transact_gathered, "a").result(WAIT)
        assert 5 == total(engine, "a")


def test_a_saga_undoes_by_transact(url: str) -> None:
    def body(saga: Saga, name: str) -> Workflow[None]:
        yield from transact(add, name, 7)
        saga.undo(transact(add, name, -7))
        yield from transact(add_and_break, name)

    @workflow
    def transact_saga(name: str) -> Workflow[str]:
        try:
            yield from Saga.run(body, name)
        except CallFailed:
            return "undone"
        return "done"

    with Engine(url) as engine:
        assert "undone" == engine.start(transact_saga, "a").result(WAIT)
        assert 0 == total(engine, "a")


@workflow
def transact_later(name: str) -> Workflow[int]:
    yield from await_signal("go")
    return (yield from transact(add, name))


def test_a_cancelled_run_has_not_begun_its_transact(lmdb_url: str) -> None:
    with Engine(lmdb_url) as engine:
        run = engine.start(transact_later, "a")
        others = [threading.Thread(target=run.signal, args=("go",)), threading.Thread(target=run.cancel)]
        with engine.transaction():  # the commit of the signal waits for this
            others[0].start()
            time.sleep(0.05)  # not needed for the outcome: most often the signal is then in its commit
            others[1].start()
        with pytest.raises(RunCancelled):
            run.result(WAIT)
        for thread in others:
            thread.join()

        assert 0 == total(engine, "a")


@workflow
def transact_rounds(name: str, rounds: int) -> Workflow[int]:
    yield annotate(left=rounds)
    value = yield from transact(add, name)
    if rounds:
        yield continue_as(name, rounds - 1)
    return value


def test_a_workflow_continues_as_new_out_of_a_transact(url: str) -> None:
    with Engine(url) as engine:
        run = engine.start(transact_rounds, "a", 4)

        assert 5 == run.result(WAIT)
        assert 5 == total(engine, "a")
        assert {"left": 0} == run.state


def test_many_runs_of_two_engines_add_up(url: str) -> None:
    with Engine(url) as one, Engine(url) as two:
        runs = [engine.start(transact_often, "a", 5) for engine in (one, two) for _ in range(10)]
        assert 100 == max(run.result(WAIT) for run in runs)
        assert 100 == total(one, "a")


def test_an_engine_that_closes_leaves_the_next_transact_to_another(url: str) -> None:
    store = open_store(url)
    with Engine(store) as engine:
        run = engine.start(transact_often, "a", 300, id="long")
        eventually(lambda: total(engine, "a") > 3)
    with Engine(store) as engine:
        run = engine.get("long")

        assert 300 == run.result(WAIT)
        assert 300 == total(engine, "a")
        assert "WorkerLost" not in kinds(run)
    store.close()


# --- commits that fail ---


def test_the_map_grows_and_each_transact_counts_once(tmp_path: Path) -> None:
    ran: list[int] = []

    def store_much(tx: Transaction, n: int) -> int:
        ran.append(n)
        tx.table("blobs").put(n.to_bytes(8, "big"), bytes(20_000))
        return add(tx, "a")

    @workflow
    def transact_much(times: int) -> Workflow[list[int]]:
        values: list[int] = []
        for n in range(times):
            values = [*values, (yield from transact(store_much, n))]
        return values

    with Engine(f"lmdb://{tmp_path}/small?durability=none&map_size=131072") as engine:
        run = engine.start(transact_much, 40)

        assert list(range(1, 41)) == run.result(WAIT)
        assert 40 == total(engine, "a")
        assert len(ran) > 40, "the map never had to grow, so that nothing was tested"
        assert [n + 1 for n in range(40)] == [
            int(cause.payload) for cause in causes(run) if isinstance(cause, Resolved)
        ]


def test_a_user_who_catches_the_errors_of_a_full_map_does_not_get_half_of_it(tmp_path: Path) -> None:
    def careless(tx: Transaction, n: int) -> int:
        try:
            tx.table("blobs").put(n.to_bytes(8, "big"), bytes(50_000))
        except Exception:  # noqa: BLE001  as careless as that
            return -1
        return add(tx, "a")

    @workflow
    def transact_careless(times: int) -> Workflow[list[int]]:
        values: list[int] = []
        for n in range(times):
            values = [*values, (yield from transact(careless, n))]
        return values

    with Engine(f"lmdb://{tmp_path}/small?durability=none&map_size=131072") as engine:
        assert list(range(1, 21)) == engine.start(transact_careless, 20).result(WAIT)


def test_a_commit_that_fails_is_done_again_as_if_it_had_never_been(
    lmdb_url: str, full: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    full(3)
    with Engine(lmdb_url) as engine:
        run = engine.start(transact_rounds, "a", 2)

        assert 3 == run.result(WAIT)
        assert 3 == total(engine, "a")
    assert 3 == len([line for line in caplog.messages if "no room" in line])


def test_a_call_that_a_failed_commit_did_not_withdraw_goes_on(lmdb_url: str, full: Callable[[int], None]) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    @activity
    def slow() -> str:
        begun.set()
        while not current_call().cancelled:
            time.sleep(0.001)
        cancelled.set()
        return "too late"

    @workflow
    def transact_beside_a_call(name: str) -> Workflow[list[Any]]:
        def second() -> Workflow[int]:
            yield from await_signal("go")
            return (yield from transact(add, name))

        return list((yield from race(call(slow), second())))

    with Engine(lmdb_url) as engine:
        run = engine.start(transact_beside_a_call, "a")
        begun.wait(WAIT_S)
        full(2)
        run.signal("go")

        assert [1, 1] == run.result(WAIT)
        assert cancelled.wait(WAIT_S)
        assert 1 == total(engine, "a")


# --- what holds everybody up ---


def test_a_slow_function_is_told_about_with_its_run_and_line(url: str, caplog: pytest.LogCaptureFixture) -> None:
    def dawdle(tx: Transaction) -> int:
        time.sleep(0.11)
        return add(tx, "a")

    @workflow
    def transact_slowly() -> Workflow[int]:
        return (yield from transact(dawdle))

    with Engine(url) as engine:
        engine.start(transact_slowly, id="slow-run").result(WAIT)

    assert "dawdle of run slow-run (command 1, test_transact.py:" in caplog.text
    assert "held the write lock of" in caplog.text


def test_a_function_that_hangs_is_told_about_while_it_does(lmdb_url: str, caplog: pytest.LogCaptureFixture) -> None:
    def hang(tx: Transaction) -> int:
        eventually(lambda: "already" in caplog.text)
        return add(tx, "a")

    @workflow
    def transact_hanging() -> Workflow[int]:
        return (yield from transact(hang))

    with caplog.at_level(logging.WARNING), Engine(lmdb_url) as engine:
        assert 1 == engine.start(transact_hanging).result(WAIT)


def test_a_commit_that_has_taken_long_enough_leaves_the_rest_to_the_next(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transacting, "_ENOUGH_S", 0.0)  # one run in each commit
    store = open_store(url)
    performed: list[int] = []
    commit = store.commit

    def counting(batch: Batch, now_us: int) -> list[Refusal]:
        before = len(ran)
        refusals = commit(batch, now_us)
        performed.append(len(ran) - before)
        return refusals

    ran: list[str] = []

    def add_and_count(tx: Transaction, name: str) -> int:
        ran.append(name)
        return add(tx, name)

    @workflow
    def transact_counted(name: str) -> Workflow[int]:
        return (yield from transact(add_and_count, name))

    monkeypatch.setattr(store, "commit", counting)
    with Engine(store) as engine:
        runs = engine.start_many(transact_counted, [(f"r{n}", ("a",)) for n in range(10)])

        assert list(range(1, 11)) == sorted(run.result(WAIT) for run in runs)
        assert {0, 1} == set(performed)
    store.close()


# --- uses that cannot be meant ---


async def add_async(tx: Transaction) -> int:
    return 1


def add_nothing() -> int:
    return 1


@activity(timeout=timedelta(seconds=1))
def add_in_time(tx: Transaction) -> int:
    return 1


@pytest.mark.parametrize(
    ("fn", "told"),
    [
        (add_async, "Write `def` instead of `async def`"),
        (add_nothing, "takes no transaction"),
        (add_in_time, "Only raises= and name= have"),
    ],
)
def test_functions_that_cannot_run_inside_a_transaction_are_refused_at_the_yield(fn: Any, told: str) -> None:
    @workflow
    def transact_refused() -> Workflow[str]:
        try:
            yield from transact(fn)
        except InvalidDefinition as error:
            return str(error)
        return "done"

    with Engine("memory:") as engine:
        assert told in engine.start(transact_refused).result(WAIT)


def test_what_is_no_function_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="takes a function and its arguments"):
        _ = transact(7)  # type: ignore[arg-type]  # what the test is about


@pytest.fixture
def engine(url: str) -> Any:
    with Engine(url) as engine:
        yield engine


@pytest.mark.parametrize("name", ["", "a b", "ä", "a\0", "x" * 65])
def test_names_that_are_no_tables(engine: Engine, name: str) -> None:
    with engine.transaction() as tx, pytest.raises(UsageError, match="a name has 1 to 64"):
        tx.table(name)


def test_keys_and_values_are_bytes_of_a_length_that_fits(engine: Engine) -> None:
    with engine.transaction() as tx:
        table = tx.table("t")
        with pytest.raises(TypeError, match=r"a key is bytes, and str 'a' is not; write text as text.encode\(\)"):
            table.put("a", b"")  # type: ignore[arg-type]  # what the test is about
        with pytest.raises(TypeError, match="a value is bytes, and int 7 is not"):
            table.put(b"a", 7)  # type: ignore[arg-type]  # what the test is about
        with pytest.raises(UsageError, match="has 401 bytes, and 400 is the most"):
            table.get(b"k" * 401)


def test_a_transaction_that_has_ended_is_of_no_more_use(engine: Engine) -> None:
    with engine.transaction() as tx:
        table = tx.table("t")
        table.put(b"a", b"1")
        scan = table.scan()

    with pytest.raises(UsageError, match="this transaction has ended"):
        table.get(b"a")
    with pytest.raises(UsageError, match="this transaction has ended"):
        next(scan)


def test_a_transaction_is_of_no_use_to_another_thread(engine: Engine) -> None:
    seen: list[str] = []

    def use(tx: Transaction) -> None:
        try:
            tx.table("t").get(b"a")
        except UsageError as error:
            seen.append(str(error))

    with engine.transaction() as tx:
        thread = threading.Thread(target=use, args=(tx,))
        thread.start()
        thread.join()

    assert "belongs to the thread that was given it" in seen[0]


def test_a_reading_transaction_does_not_write(engine: Engine) -> None:
    with engine.transaction(write=False) as tx, pytest.raises(UsageError, match="only reads"):
        tx.table("t").put(b"a", b"1")


@pytest.mark.parametrize("write", [True, False])
def test_within_a_transaction_its_thread_asks_for_nothing_that_would_wait_for_it(engine: Engine, write: bool) -> None:
    with engine.transaction(write=write):
        with pytest.raises(UsageError, match="cannot be asked for anything"):
            _ = engine.start(transact_once, "a")
        with pytest.raises(UsageError, match="has a transaction open"), engine.transaction():
            pass

    assert 3 == engine.start(transact_once, "a").result(WAIT)


def test_a_function_that_opens_a_transaction_of_its_own_is_told_so(url: str) -> None:
    engines: list[Engine] = []

    def nested(tx: Transaction) -> None:
        with engines[0].transaction():
            pass

    @workflow
    def transact_nested() -> Workflow[str]:
        try:
            yield from transact(nested)
        except CallFailed as error:
            return error.message
        return "done"

    with Engine(url) as engine:
        engines.append(engine)

        assert "has a transaction open" in engine.start(transact_nested).result(WAIT)


def test_a_block_that_raises_writes_nothing(engine: Engine) -> None:
    def give_up(tx: Transaction) -> None:
        add(tx, "a")
        raise KeyError

    with pytest.raises(KeyError), engine.transaction() as tx:
        give_up(tx)

    assert 0 == total(engine, "a")


class Plain:
    """A store of somebody who did not think of tables."""

    def __init__(self) -> None:
        self._store = memory.open("memory:")

    def __getattr__(self, name: str) -> Any:
        if name == "transaction":
            raise AttributeError(name)
        return getattr(self._store, name)

    def runs(self, where: RunFilter) -> list[RunRow]:
        return self._store.runs(where)


def test_a_store_without_tables_says_so() -> None:
    store: Any = Plain()
    with Engine(store) as engine:
        with pytest.raises(RunFailed, match="keeps no tables of its users"):
            engine.start(transact_once, "a").result(WAIT)
        with pytest.raises(UsageError, match="keeps no tables of its users"):
            engine.transaction()


def test_an_idle_run_is_evicted_only_when_its_transacts_are_done(url: str) -> None:
    with Engine(url, cache=0) as engine:
        runs = [engine.start(transact_often, f"n{n}", 4) for n in range(20)]

        assert [4] * 20 == [run.result(WAIT) for run in runs]
