"""`Journal` opens whatever holds a history, and leaves it as it was."""

import itertools
import subprocess
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from interp import Command, Encrypted, Engine, annotate, await_signal, workflow
from interp.errors import UnknownRun, UnknownStore, UsageError
from interp.explore import Journal, Misfit
from interp.histories import ExportedHistory, dump_history
from interp.runtime.live import microseconds
from interp.runtime.sealed import sealed_store
from interp.runtime.stores import open_reader
from interp.store import Create, Post, Reader, RunFilter, Status
from stores import lmdb
from tests.explore.flows import provision_fleet
from tests.explore.recording import CLOUD, keep, record

HISTORY = record(provision_fleet, "eu", [f"vm-{n}" for n in range(3)], world=CLOUD)
WORKFLOW = "tests.explore.flows.provision_fleet"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store"
    store = lmdb.open(f"lmdb://{path}")
    keep(store, "prov-7f3a", HISTORY)
    store.close()
    return path


def exported(path: Path, run_id: str = "prov-7f3a", length: int = len(HISTORY)) -> Path:
    path.write_text(dump_history(ExportedHistory(run_id, HISTORY[0].cause.workflow, HISTORY[:length])))  # type: ignore[union-attr]
    return path


def backed_up(path: Path) -> Path:
    copy = path.parent / "copy"
    copy.mkdir()
    subprocess.run(["cp", path / "data.mdb", copy], check=True)
    return copy


PLACES: dict[str, Callable[[Path], str | Path]] = {
    "a path": lambda path: path,
    "a path as text": str,
    "a URL": lambda path: f"lmdb://{path}",
    "a URL with options": lambda path: f"lmdb://{path}?durability=none",
    "a data file": lambda path: path / "data.mdb",
    "a backup": backed_up,
    "the data file of a backup": lambda path: backed_up(path) / "data.mdb",
    "an exported history": lambda path: exported(path.parent / "a.history.jsonl"),
    "an exported history of any name": lambda path: exported(path.parent / "of any name"),
    "a folder of exported histories": lambda path: exported(path.parent / "a.history.jsonl").parent,
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_run_is_read_from_wherever_it_is(path: Path, place: Callable[[Path], str | Path]) -> None:
    with Journal(place(path)) as journal:
        run = journal["prov-7f3a"]

        assert run.history == HISTORY
        assert (run.row.length, run.row.status) == (len(HISTORY), Status.COMPLETED)
        assert (run.damage, run.refresh().history) == ((), HISTORY)
        with pytest.raises(UnknownRun):
            journal["nobody"]


def test_the_default_store_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERP_STORE", f"lmdb://{path}")

    with Journal() as journal:
        assert journal["prov-7f3a"].id == "prov-7f3a"


def test_a_relative_path_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)

    with Journal("store") as one, Journal("lmdb:store") as other:
        assert one["prov-7f3a"].history == other["prov-7f3a"].history


def test_a_store_of_a_kind_that_has_no_reader_is_opened_as_it_is() -> None:
    with Engine("memory:looked-at") as engine, Journal("memory:looked-at") as journal:
        engine.store.create(_create("a"), 1)

        assert journal["a"].row.status is Status.PENDING


def test_what_is_no_place_and_no_run_id_says_what_to_give(path: Path) -> None:
    store: Any = open_reader(path)
    with pytest.raises(UsageError, match=r"expected a URL or a path; of an engine it is engine\.store\.url"):
        Journal(store)
    with pytest.raises(UsageError, match="give it a name: memory:NAME"):
        Journal("memory:")
    number: Any = 0
    with Journal(path) as journal, pytest.raises(UsageError, match=r"0 is no run id, .* journal\.runs\(\)\[0\]"):
        journal[number]


@pytest.mark.parametrize("codec", [None, Encrypted(Encrypted.new_key())], ids=["no key", "another key"])
def test_locked_values_are_no_change_of_code(tmp_path: Path, codec: Encrypted | None) -> None:
    store = sealed_store(lmdb.open(f"lmdb://{tmp_path}"), Encrypted(Encrypted.new_key()))
    keep(store, "prov-7f3a", HISTORY)
    store.close()

    with Journal(tmp_path, codec=codec) as journal:
        run = journal["prov-7f3a"]
        divergence = run.divergence()

        assert divergence is not None
        assert Misfit.BROKEN is divergence.misfit
        for view in (divergence, run.at(3)):
            assert "open the journal with their key" in " ".join(str(view).split())
            assert "declared type" not in str(view)
        with pytest.raises(UsageError, match="open the journal with their key"):
            run.what_if(3)
        with pytest.raises(UsageError, match="open the journal with their key"):
            run.diff()


def _create(run_id: str) -> Any:
    return Create(run_id, "checkout", b"", b"")


@pytest.mark.parametrize(
    ("place", "error", "words"),
    [
        ("nowhere", UnknownStore, "there is no such file or directory"),
        (Path("nowhere"), UnknownStore, "there is no such file or directory"),
        ("lmdb:nowhere", UnknownStore, "there is no such directory"),
        ("postgres:x", UnknownStore, "it must begin with a kind of store: lmdb:, memory:"),
        ("notes.txt", UsageError, "its first line is no JSON"),
    ],
)
def test_what_holds_no_history_is_refused_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str | Path, error: type[Exception], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(error, match=words):
        Journal(place)

    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


# --- exported histories ---


def test_an_exported_run_stands_where_its_history_says(tmp_path: Path) -> None:
    reader = open_reader(exported(tmp_path / "a.history.jsonl"))
    rows = {length: _row(tmp_path, length) for length in range(len(HISTORY) + 1)}
    reader.close()

    assert rows[0].status is Status.PENDING
    assert rows[1].status is Status.RUNNING
    assert rows[len(HISTORY)].status is Status.COMPLETED
    waiting = [length for length, row in rows.items() if row.status is Status.WAITING]
    assert waiting  # for the approval, or for a timer only
    assert (rows[5].created_us, rows[5].updated_us) == (_us(HISTORY[0]), _us(HISTORY[4]))


def _row(folder: Path, length: int) -> Any:
    reader = open_reader(exported(folder / f"{length}.history", length=length))
    try:
        return reader.run("prov-7f3a")
    finally:
        reader.close()


def _us(record: Any) -> int:
    return microseconds(record.at)


def test_a_folder_of_histories_is_listed_and_read_again_when_it_changes(tmp_path: Path) -> None:
    exported(tmp_path / "1.history.jsonl", "one")
    exported(tmp_path / "2.history.jsonl", "two", length=9)
    reader = open_reader(tmp_path)

    assert [row.id for row in reader.runs(RunFilter())] == ["one", "two"]
    assert [row.id for row in reader.runs(RunFilter(newest=True, limit=1))] == ["two"]
    assert [row.id for row in reader.runs(RunFilter(frozenset({Status.COMPLETED})))] == ["one"]
    assert (reader.inbox("one"), reader.topics("one"), list(reader.stream("one", "x"))) == ((), (), [])
    assert len(list(reader.history("two", 4))) == 5
    assert reader.changed(0)
    assert not reader.changed(0)

    exported(tmp_path / "3.history.jsonl", "three")

    assert reader.changed(60)
    assert {row.id for row in reader.runs(RunFilter())} == {"one", "two", "three"}
    reader.close()
    with pytest.raises(UsageError, match="is closed"):
        reader.run("one")


def test_two_histories_of_one_run_are_told_apart_by_the_user(tmp_path: Path) -> None:
    exported(tmp_path / "1.history.jsonl")
    exported(tmp_path / "2.history.jsonl", length=9)

    with pytest.raises(UsageError, match=r"1\.history\.jsonl and 2\.history\.jsonl in .* are both histories"):
        Journal(tmp_path)


# --- live ---


@workflow
def watched_flow() -> Generator[Command[Any], Any, str]:
    yield from annotate(stage="waiting")
    return (yield from await_signal("news", str))


def test_a_journal_is_read_before_while_and_after_an_engine_of_this_process_has_it(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/store"
    with Engine(url) as engine:
        _ = engine.start(watched_flow, id="first")
    with Journal(url) as journal:
        assert not journal["first"].row.status.ended
        with Engine(url) as engine:
            run = engine.get("first")
            run.signal("news", "good")
            assert run.result() == "good"
            assert journal["first"].row.status is Status.COMPLETED
        assert journal["first"].row.status is Status.COMPLETED


def test_watching_gives_a_turn_for_what_is_written_and_ends_with_the_journal(path: Path) -> None:
    journal = Journal(path)
    turns = journal.watch(every=0)
    next(turns)
    store = lmdb.open(f"lmdb://{path}")
    store.create(_create("new"), 1)

    next(turns)

    assert journal["new"].row.length == 0
    threading.Timer(0.05, journal.close).start()
    assert len(list(itertools.islice(turns, 5))) < 5
    store.post(Post("new", b"x"), 2)
    store.close()


def test_watching_is_refused_at_once_for_a_time_that_is_none(path: Path) -> None:
    with Journal(path) as journal, pytest.raises(UsageError, match="every=-1"):
        journal.watch(every=-1)


def test_a_journal_says_where_it_is(path: Path) -> None:
    with Journal(path) as journal:
        assert repr(journal) == f"<journal lmdb://{path}>"


def test_a_reader_has_nothing_to_write_with(path: Path) -> None:
    reader: Reader = open_reader(path)

    assert not {"commit", "create", "post", "claim", "register", "transaction"} & set(dir(reader))
    reader.close()
