"""What goes wrong outside the library: each has one clear text, and nothing is lost or changed by it."""

import os
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import attrs
import lmdb
import pytest

from interp import (
    Engine,
    Retry,
    RunFailed,
    RunParked,
    Status,
    StoreError,
    UsageError,
    Workflow,
    activity,
    await_signal,
    call,
    current_call,
    gather,
    workflow,
)
from interp.errors import (
    EngineClosed,
    InvalidDefinition,
    JournalCorrupt,
    NotAStore,
    NotDecodable,
    NotEncodable,
    RunEnded,
    RunExists,
    StoreFull,
    StoreReadOnly,
    UnknownFormat,
    UnknownRun,
    UnknownStore,
    UnknownWorkflow,
)
from interp.runtime import open_store
from tests.runtime.helpers import WAIT, WAIT_S, eventually, kinds


@attrs.frozen
class Order:
    id: str
    cents: int


@activity(retry=Retry(attempts=1))
def ship(order: Order) -> str:
    return f"shipped {order.id}"


@workflow
def shipping(order: Order) -> Workflow[str]:
    yield from await_signal("go")
    return (yield from call(ship, order))


def check_text(error: BaseException, *parts: str) -> None:
    """Assert that the text of an error is one screen that names what, where and what to do."""
    text = str(error)
    assert sum(1 + len(line) // 100 for line in text.splitlines()) <= 24, text
    for part in parts:
        assert part in text, text


# --- what a caller gets wrong -----------------------------------------------------------------------------------------


def not_a_generator() -> str:
    return "done"


_ORDER = Order("42", 1)


def undeclared() -> Workflow[str]:
    yield from await_signal("go")
    return "done"


@pytest.mark.parametrize(
    ("ask", "kind", "parts"),
    [
        (lambda engine: engine.start_json("shiping", b"[]"), UnknownWorkflow, ["'shiping'", "shipping", "Import"]),
        (lambda engine: engine.start(not_a_generator), InvalidDefinition, ["test_bad_input.py:", "never yields"]),
        (lambda engine: engine.start(undeclared), InvalidDefinition, ["test_bad_input.py:", "Write @workflow above"]),
        (
            lambda engine: engine.start(shipping(_ORDER)),
            InvalidDefinition,
            ["write `shipping, Order(id='42', cents=1)`"],
        ),
        (lambda engine: engine.start_many(shipping(_ORDER), []), InvalidDefinition, ["engine.start(shipping, "]),
        (lambda engine: engine.start(shipping, "42"), NotEncodable, ["order", "str", "expected Order"]),
        (lambda engine: engine.start(shipping, Order("42", cast("Any", "1"))), NotEncodable, ["order.cents", "int"]),
        (lambda engine: engine.start(shipping, object()), NotEncodable, ["order", "object", "expected Order"]),
        (lambda engine: engine.start(shipping), TypeError, ["missing", "order"]),
        (lambda engine: engine.start(shipping, Order("42", 1), 2), TypeError, ["too many"]),
        (lambda engine: engine.start_json("shipping", b'[{"id": 5}]'), NotDecodable, ["order.id", "expected str", "5"]),
        (lambda engine: engine.start_json("shipping", b"[{"), NotDecodable, ["shipping", "truncated"]),
        (lambda engine: engine.start(shipping, Order("42", 2), id="known"), RunExists, ["'known'", "'cents': 1", "2"]),
        (lambda engine: engine.start(shipping, Order("42", 2), id=""), UsageError, ["1 to 400 bytes"]),
        (lambda engine: engine.get("nobody"), UnknownRun, ["'nobody'", "interp list"]),
        (lambda engine: engine.get("known").signal("go", object()), NotEncodable, ["payload", "object"]),
        (lambda engine: engine.get("over").signal("go"), RunEnded, ["'over'", "completed", "no more messages"]),
        (lambda engine: engine.get("over").cancel(), RunEnded, ["'over'", "completed"]),
    ],
)
def test_what_cannot_be_served_is_refused_and_changes_nothing(
    url: str, ask: Callable[[Engine], Any], kind: type[Exception], parts: list[str]
) -> None:
    with Engine(url) as engine:
        _ = engine.start(shipping, Order("42", 1), id="known")
        over = engine.start(shipping, Order("43", 1), id="over")
        over.signal("go")
        over.result(WAIT)
        before = engine.runs(), over.history(), engine.get("known").history()

        with pytest.raises(kind) as refused:
            ask(engine)

        check_text(refused.value, *parts)
        assert before == (engine.runs(), over.history(), engine.get("known").history())
        assert () == engine.store.inbox("known")


def test_a_function_that_never_yields_is_refused_where_it_is_declared() -> None:
    with pytest.raises(InvalidDefinition) as refused:
        workflow(cast("Any", not_a_generator))

    check_text(refused.value, "not_a_generator", "test_bad_input.py:", "never yields", "yield from call")


def test_a_closed_engine_says_what_becomes_of_its_runs(url: str) -> None:
    engine = Engine(url)
    run = engine.start(shipping, Order("42", 1))
    engine.close()

    for ask in (lambda: engine.start(shipping, Order("43", 1)), lambda: run.signal("go"), run.result):
        with pytest.raises(EngineClosed) as refused:
            ask()
        check_text(refused.value, "close() was called", "go on when an engine opens the store again")


# --- what an author gets wrong ----------------------------------------------------------------------------------------


@activity(retry=Retry(attempts=1))
def returns_anything() -> str:
    return cast("str", object())


def calls_with_a_wrong_argument() -> Workflow[Any]:
    yield from call(ship, cast("Any", "42"))


def calls_for_a_wrong_result() -> Workflow[Any]:
    yield from call(returns_anything)


def yields_a_number() -> Workflow[Any]:
    yield cast("Any", 5)


def yields_a_function() -> Workflow[Any]:
    yield cast("Any", ship)


def yields_a_list() -> Workflow[Any]:
    yield cast("Any", [call(ship, Order("1", 1))])


def returns_a_wrong_value() -> Workflow[Any]:
    return object()
    yield


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (calls_with_a_wrong_argument, ["NotEncodable", "order", "expected Order", "in calls_with_a_wrong_argument"]),
        (calls_for_a_wrong_result, ["result of returns_anything", "object", "expected str", "1 attempt"]),
        (yields_a_number, ["NotACommand", "test_bad_input.py:", "yielded 5", "A workflow yields commands only"]),
        (yields_a_function, ["NotACommand", "test_bad_input.py:", "yield from call(fn, ...)"]),
        (yields_a_list, ["NotACommand", "test_bad_input.py:", "yield from gather(*parts)"]),
        (returns_a_wrong_value, ["NotEncodable", "object", "expected str", "mistaken"]),
    ],
)
def test_an_authors_mistake_fails_the_run_and_names_its_line(
    url: str, body: Callable[[], Workflow[Any]], parts: list[str]
) -> None:
    @workflow(name="mistaken")
    def mistaken() -> Workflow[str]:
        value: str = yield from body()
        return value

    with Engine(url) as engine:
        run = engine.start(mistaken)
        with pytest.raises(RunFailed) as failed:
            run.result(WAIT)

        check_text(failed.value, *parts)
        assert Status.FAILED is run.status


# --- deploys ----------------------------------------------------------------------------------------------------------


def deploy(activity_name: str, result: Any) -> Callable[[], Workflow[str]]:
    def pay() -> Any:
        return {"cents": 1}

    pay.__annotations__["return"] = result
    declared = activity(name=activity_name)(pay)

    @workflow(name="paying")
    def paying() -> Workflow[str]:
        value = yield from call(declared)
        yield from await_signal("go")
        return str(value)

    return paying


@attrs.frozen
class Receipt:
    cents: int
    number: int


@pytest.mark.parametrize(
    ("activity_name", "result", "parts"),
    [
        (
            "charge",
            dict[str, int],
            ["run 'one' diverged from its history at record 0", "recorded: call pay()", "yielded:  call charge()"],
        ),
        ("pay", Receipt, ["run 'one'", "result of pay (command 1)", "record 1", "number", "no longer decodes"]),
    ],
)
def test_a_deploy_that_does_not_fit_parks_the_run_until_it_is_mended(
    url: str, activity_name: str, result: Any, parts: list[str]
) -> None:
    with Engine(url) as engine:
        run = engine.start(deploy("pay", dict[str, int]), id="one")
        eventually(lambda: "Resolved" in kinds(run))
        before = run.history()

    deploy(activity_name, result)
    with Engine(url) as engine:
        run = engine.get("one")
        run.signal("go")
        with pytest.raises(RunParked) as parked:
            run.result(WAIT)
        check_text(parked.value, *parts)
        assert before == run.history()
        assert 1 == len(engine.store.inbox("one"))

    deploy("pay", dict[str, int])
    with Engine(url) as engine:
        eventually(lambda: engine.get("one").status is not Status.PARKED)
        assert "{'cents': 1}" == engine.get("one").result(WAIT)
        assert before == engine.get("one").history()[: len(before)]


# --- what an operator gets wrong --------------------------------------------------------------------------------------


def another_programs_directory(path: Path) -> None:
    path.mkdir()
    (path / "main.py").write_text("print('hello')")


def a_file(path: Path) -> None:
    path.write_text("hello")


def another_programs_lmdb(path: Path) -> None:
    with lmdb.open(str(path)) as env, env.begin(write=True) as txn:
        txn.put(b"key", b"value")


def a_newer_format(path: Path) -> None:
    filled(path)
    with lmdb.open(str(path), max_dbs=64) as env:
        meta = env.open_db(b"meta", create=False)
        with env.begin(write=True) as txn:
            txn.put(b"format", (99).to_bytes(4, "big"), db=meta)


def cut_to(share: float) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        filled(path)
        os.truncate(path / "data.mdb", int((path / "data.mdb").stat().st_size * share))

    return cut


def filled(path: Path) -> None:
    """Make a store with runs in it."""
    with Engine(f"lmdb://{path}") as engine:
        engine.start_many(shipping, [(f"run{n}", (Order(str(n), n),)) for n in range(300)])


def contents(path: Path) -> dict[str, bytes]:
    """Return the files that hold data."""
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {file.name: file.read_bytes() for file in path.iterdir() if file.is_file() and file.name != "lock.mdb"}


@pytest.mark.parametrize(
    ("prepare", "kind", "parts"),
    [
        (another_programs_directory, NotAStore, ["it holds main.py", "Choose another directory"]),
        (a_file, NotAStore, ["it is a file", "Choose another directory"]),
        (another_programs_lmdb, NotAStore, ["another program", "Choose another directory"]),
        (a_newer_format, UnknownFormat, ["has format 99", "knows 1", "Use the version of interp that wrote it"]),
        (cut_to(0), JournalCorrupt, ["data.mdb is damaged", "backup"]),
        (cut_to(0.01), JournalCorrupt, ["data.mdb is damaged", "backup"]),
        (cut_to(0.5), JournalCorrupt, ["data.mdb is damaged", "bytes and needs", "backup"]),
        (cut_to(0.9), JournalCorrupt, ["data.mdb is damaged", "bytes and needs", "backup"]),
    ],
)
def test_a_directory_that_is_no_sound_store_is_refused_untouched(
    tmp_path: Path, prepare: Callable[[Path], None], kind: type[StoreError], parts: list[str]
) -> None:
    path = tmp_path / "journal"
    prepare(path)
    before = contents(path)

    with pytest.raises(kind) as refused:
        Engine(f"lmdb://{path}")

    check_text(refused.value, str(path), *parts)
    assert before == contents(path)


@pytest.mark.parametrize("url", ["sqlite:journal", "journal", "", ":", "lmdb:", "memory:/a"])
def test_a_url_that_names_no_store_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERP_STORE", "nothing")

    with pytest.raises(UnknownStore) as refused:
        Engine(url)

    check_text(refused.value, repr(url) if url else "'nothing'", "lmdb:" if url.startswith("lmdb") else "memory:")


def test_two_engines_on_one_store_are_no_mistake(lmdb_url: str) -> None:
    with Engine(lmdb_url) as first, Engine(lmdb_url) as second:
        run = first.start(shipping, Order("1", 1), id="one")
        second.get("one").signal("go")

        assert "shipped 1" == run.result(WAIT) == second.get("one").result(WAIT)


# --- disks ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("only root can mount a small disk")
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], check=False).returncode:
        pytest.skip("this machine does not let root mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that a disk has left; returns the file to remove."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    return filler


def test_on_a_full_disk_runs_stall_and_go_on_when_there_is_room(small_disk: Path) -> None:
    made: Counter[str] = Counter()
    lock, go = threading.Lock(), threading.Event()

    @activity
    def produce(n: int) -> str:
        with lock:
            made[f"{current_call().idempotency_key} {current_call().attempt}"] += 1
        if n == 3:
            go.wait(WAIT_S)
        return "x" * 500

    @workflow
    def producing(count: int) -> Workflow[int]:
        total = 0
        for n in range(count):
            parts = yield from gather(call(produce, n), call(produce, n))
            total += sum(map(len, parts))
        return total + len((yield from await_signal("last", str)))

    with Engine(f"lmdb://{small_disk}/journal") as engine:
        runs = engine.start_many(producing, [(f"run{n}", (20,)) for n in range(10)])
        eventually(lambda: sum(made.values()) == 80)
        filler = fill(small_disk)
        go.set()

        def refused() -> bool:
            try:
                _ = engine.start(producing, 0, id=f"new{len(engine.runs())}")
            except StoreFull as full:
                check_text(full, str(small_disk), "has no room left", "Free some space; runs go on by themselves")
                return True
            return False

        eventually(refused)
        before = [run.history() for run in runs]
        with pytest.raises(StoreFull):
            engine.start_many(producing, [(f"late{n}", (1,)) for n in range(3)])
        assert before == [run.history() for run in runs]
        assert engine.trouble is None
        assert {Status.RUNNING} == {run.status for run in runs}
        assert not any(row.id.startswith("late") for row in engine.runs())

        filler.unlink()

        for run in runs:
            run.signal("last", "!")
        assert [20_001] * 10 == [run.result(WAIT) for run in runs]
        assert "late" == engine.start(producing, 0, id="late").id
        assert {1} == set(made.values())
        assert 400 == len(made)


def test_a_signal_that_finds_no_room_is_not_acknowledged_and_can_be_sent_again(small_disk: Path) -> None:
    @workflow
    def waiting() -> Workflow[str]:
        return (yield from await_signal("go", str))

    with Engine(f"lmdb://{small_disk}/journal", cache=0) as engine:
        run = engine.start(waiting)
        filler = fill(small_disk)

        def refused() -> bool:
            try:
                run.signal("other", "x" * 10_000)
            except StoreFull:
                return True
            return False

        eventually(refused)
        with pytest.raises(StoreFull):
            run.signal("other", "x" * 10_000)
        filler.unlink()
        run.signal("go", "now")
        assert "now" == run.result(WAIT)


def test_an_engine_that_closes_on_a_full_disk_loses_nothing_that_was_recorded(small_disk: Path) -> None:
    made: list[int] = []
    filler: list[Path] = []

    @activity
    def first() -> str:
        return "kept"

    @activity
    def second() -> str:
        made.append(current_call().attempt)
        if not filler:
            filler.append(fill(small_disk))
            return "x" * 400_000
        return "small"

    @workflow
    def working() -> Workflow[list[str]]:
        return [(yield from call(first)), (yield from call(second))]

    url = f"lmdb://{small_disk}/journal"
    with Engine(url, grace=timedelta(seconds=1)) as engine:
        run = engine.start(working, id="one")
        eventually(lambda: made)
        before = run.history()
        with pytest.raises(TimeoutError):
            run.result(timedelta(seconds=0.2))
    filler[0].unlink()
    with Engine(url) as engine:
        run = engine.get("one")
        assert ["kept", "small"] == run.result(WAIT)
        assert before == run.history()[: len(before)]
    assert [1, 2] == made


def test_a_disk_that_is_mounted_read_only_is_named(small_disk: Path) -> None:
    url = f"lmdb://{small_disk}/journal"
    with Engine(url) as engine:
        _ = engine.start(shipping, Order("1", 1), id="one")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(StoreReadOnly) as refused:
        Engine(url)

    check_text(refused.value, str(small_disk), "cannot be written to", "Check its owner, its mode and the mount")
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    with Engine(url) as engine:
        run = engine.get("one")
        run.signal("go")
        assert "shipped 1" == run.result(WAIT)


def test_a_disk_too_small_for_a_store_is_named(small_disk: Path) -> None:
    fill(small_disk)

    with pytest.raises(StoreFull) as refused:
        open_store(f"lmdb://{small_disk}/journal")

    check_text(refused.value, str(small_disk), "has no room left")
