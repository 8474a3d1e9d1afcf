"""Looking at an LMDB store: nothing is made, written or held up, and a copy or a backup will do."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import lmdb as raw
import pytest

from interp.errors import (
    JournalCorrupt,
    NotAStore,
    StoreFailed,
    StoreReadOnly,
    UnknownFormat,
    UnknownRun,
    UnknownStore,
    UsageError,
)
from interp.store import Append, Batch, Create, Emit, Post, Reader, RunFilter, Status
from stores import _lmdb_reading, lmdb
from stores._lmdb_env import _environments
from tests.stores.children import child, record

RUN = Create("a", "checkout", b"digest", b"start", worker="ann")
RECORDS = [b"record %d" % number + bytes(200) for number in range(1500)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed store with two runs, one of many records, with a message and an item."""
    path = tmp_path / "store"
    store = lmdb.open(f"lmdb://{path}")
    append = Append("a", 1, 0, RECORDS, Status.RUNNING, None, 2, emits=[Emit("news", b"item")])
    store.commit(Batch(creates=[RUN], appends=[append]), 1)
    store.commit(Batch(creates=[Create("b", "refund", b"", b"start")], posts=[Post("a", b"hello")]), 3)
    store.close()
    return path


def opened(path: Path) -> contextlib.closing[lmdb.LmdbReader]:
    return contextlib.closing(lmdb.open_reader(f"lmdb://{path}"))


def contents(path: Path) -> dict[str, bytes | None]:
    return {
        str(entry.relative_to(path)): entry.read_bytes() if entry.is_file() else None
        for entry in path.rglob("*")
        if entry.name != "lock.mdb"  # opening it would drop LMDB's locks of this process
    }


def everything(reader: Reader) -> object:
    rows = reader.runs(RunFilter())
    return [
        (
            row,
            reader.run(row.id),
            reader.inbox(row.id),
            list(reader.history(row.id)),
            [(topic, list(reader.stream(row.id, topic))) for topic in reader.topics(row.id)],
        )
        for row in rows
    ]


@pytest.fixture
def expected(path: Path) -> object:
    store = lmdb.open(f"lmdb://{path}")
    try:
        return everything(store)
    finally:
        store.close()


def reads(path: Path, expected: object) -> None:
    """Check that the directory can be read and is as it was afterwards."""
    before = contents(path), sorted(path.iterdir())

    with opened(path) as reader:
        assert everything(reader) == expected
        assert sorted(path.iterdir()) == before[1]

    assert (contents(path), sorted(path.iterdir())) == before


# --- what can be opened ---


def test_a_closed_store_is_read_and_nothing_is_written(path: Path, expected: object) -> None:
    reads(path, expected)


def test_a_copied_directory_is_read(path: Path, expected: object, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", path, tmp_path / "copy"], check=True)

    reads(tmp_path / "copy", expected)


def test_a_data_file_alone_is_read_and_no_lock_file_is_made(path: Path, expected: object, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    subprocess.run(["cp", path / "data.mdb", tmp_path / "copy"], check=True)

    reads(tmp_path / "copy", expected)


@pytest.mark.parametrize("compact", [False, True])
def test_a_backup_is_read(path: Path, expected: object, tmp_path: Path, compact: bool) -> None:
    (tmp_path / "backup").mkdir()
    with raw.open(str(path), readonly=True) as env:
        env.copy(str(tmp_path / "backup"), compact=compact)

    reads(tmp_path / "backup", expected)


@pytest.fixture
def read_only(path: Path, tmp_path: Path) -> Iterator[Path]:
    """The store, mounted read-only in another place."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root on Linux may mount")
    point = tmp_path / "mounted"
    point.mkdir()
    if subprocess.run(["mount", "--bind", path, point], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    subprocess.run(["mount", "-o", "remount,bind,ro", point], check=True)
    yield point
    subprocess.run(["umount", "--lazy", point], check=True)


def test_a_read_only_mount_is_read(read_only: Path, expected: object) -> None:
    reads(read_only, expected)


def test_a_mount_of_a_store_that_this_process_writes_to_shares_its_environment(read_only: Path, path: Path) -> None:
    with opened(read_only) as reader, contextlib.closing(lmdb.open(f"lmdb://{path}")) as store:
        store.post(Post("b", b"news"), 5)

        assert b"news" in [message.body for message in reader.inbox("b")]
    with contextlib.closing(lmdb.open(f"lmdb://{path}")) as store, opened(read_only) as reader:
        store.post(Post("b", b"more"), 6)

        assert b"more" in [message.body for message in reader.inbox("b")]


def test_a_store_of_an_earlier_version_is_read_without_the_tables_it_lacks(path: Path) -> None:
    with raw.open(str(path), max_dbs=16) as env, env.begin(write=True) as txn:
        for name in (b"parked", b"user", b"streams"):
            txn.drop(env.open_db(name, txn), delete=True)

    with opened(path) as reader:
        assert (reader.topics("a"), list(reader.stream("a", "news"))) == ((), [])
        assert reader.run("a") is not None

        program = """if True:
            import sys
            from interp.store import Append, Batch, Emit, Status
            from stores import lmdb

            store = lmdb.open(sys.argv[1])
            (claim,) = store.claim("bob", 1, 9, 1, ["refund"]).claims
            append = Append("b", 1, 0, [b"first"], Status.RUNNING, 1, 9, emits=[Emit("late", b"item")])
            assert store.commit(Batch(appends=[append]), 9) == []
        """
        subprocess.run([sys.executable, "-c", program, f"lmdb://{path}"], check=True, env=_environment())

        assert reader.topics("b") == ("late",)


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda path: None, UnknownStore, "there is no such directory"),
        (lambda path: path.write_text("mine"), NotAStore, "it is a file"),
        (lambda path: path.mkdir(), NotAStore, "it has no file data.mdb"),
        (lambda path: (path / "photos").mkdir(parents=True), NotAStore, "it holds photos"),
        (lambda path: _with_data(path, b""), JournalCorrupt, "it has 0 bytes"),
        (lambda path: _with_data(path, b"my data" * 1000), NotAStore, "not an LMDB file"),
        (lambda path: raw.open(str(path)).close(), NotAStore, "written by another program"),
    ],
)
def test_what_is_no_store_is_refused_and_left_as_it_is(
    tmp_path: Path, make: Callable[[Path], object], error: type[Exception], words: str
) -> None:
    path = tmp_path / "store"
    make(path)
    before = contents(tmp_path)

    with pytest.raises(error, match=words):
        lmdb.open_reader(f"lmdb://{path}")

    assert contents(tmp_path) == before
    assert path.resolve() not in [environment.path for environment in _environments]


def _with_data(path: Path, data: bytes) -> None:
    path.mkdir()
    (path / "data.mdb").write_bytes(data)


def test_a_store_of_a_newer_version_is_refused(path: Path) -> None:
    with raw.open(str(path), max_dbs=16) as env, env.begin(write=True) as txn:
        txn.put(b"format", (9).to_bytes(4, "big"), db=env.open_db(b"meta", txn))

    with pytest.raises(UnknownFormat, match="has format 9; this version of interp knows 1"):
        lmdb.open_reader(f"lmdb://{path}")


def test_a_copy_that_was_cut_off_is_refused(path: Path, tmp_path: Path) -> None:
    whole = (path / "data.mdb").read_bytes()
    _with_data(tmp_path / "copy", whole[: len(whole) // 2])

    with pytest.raises(JournalCorrupt, match="bytes and needs"):
        lmdb.open_reader(f"lmdb://{tmp_path}/copy")


def test_a_closed_reader_refuses_and_its_waits_end(path: Path) -> None:
    reader = lmdb.open_reader(f"lmdb://{path}")
    reader.changed(0)
    ended: list[bool] = []
    waiting = threading.Thread(target=lambda: ended.append(reader.changed(60) and reader.changed(60)))
    waiting.start()

    reader.close()
    reader.close()
    waiting.join(30)

    assert ended == [False]
    with pytest.raises(UsageError, match="is closed"):
        reader.run("a")
    assert path.resolve() not in [environment.path for environment in _environments]


def test_a_run_that_is_not_there(path: Path) -> None:
    with opened(path) as reader:
        assert reader.run("nobody") is None
        for ask in (reader.inbox, reader.history, reader.topics, lambda run_id: reader.stream(run_id, "x")):
            with pytest.raises(UnknownRun):
                ask("nobody")


# --- beside a live store ---


@pytest.mark.parametrize("locks", [True, False])
def test_what_a_worker_at_full_load_writes_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    if not locks:
        monkeypatch.setattr("stores._lmdb_env.may_lock", lambda path: False)
    path = tmp_path / "store"
    with child("commit", f"lmdb://{path}?durability=none") as writer:
        assert int(writer.line()) > 0
        with opened(path) as reader:
            lengths = [_whole(reader) for _ in range(20)]
            while lengths[-1] == lengths[0]:  # until it has seen the worker go on
                lengths.append(_whole(reader))
        writer.kill()
        committed = [int(line) for line in writer.rest()]

    assert lengths == sorted(lengths)
    assert 0 < lengths[0] < lengths[-1] <= committed[-1] + 4


def _whole(reader: Reader) -> int:
    """Check that a history is one that was written, and return its length; without locks only short looks succeed."""
    row = reader.run("a")
    assert row is not None
    start = max(row.length - 20, 0)
    for index, found in enumerate(reader.history("a", start), start):
        assert found == record("a", index)
        if index > start + 20:
            break
    return row.length


def test_a_reader_that_is_killed_in_the_middle_holds_nobody_up(path: Path) -> None:
    url = f"lmdb://{path}"
    with child("look_still", url) as reader, contextlib.closing(lmdb.open(url)) as store:
        assert reader.line() == "reading"
        assert "no active" not in store._env._live().readers()
        store.post(Post("b", b"beside it"), 4)

        reader.kill()
        store.post(Post("b", b"after it"), 5)

        assert "no active" in store._env._live().readers()
        assert len(store.inbox("b")) == 3


def test_no_transaction_is_open_between_two_calls_or_two_records(path: Path) -> None:
    with opened(path) as reader:
        records = reader.history("a")
        next(records)
        reader.run("a")

        with contextlib.closing(lmdb.open(f"lmdb://{path}")) as store:
            assert "no active" in store._env._live().readers()
        assert len(list(records)) == len(RECORDS) - 1


def test_the_map_of_a_live_store_grows_while_it_is_read(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/store?durability=none&map_size=65536"
    with child("commit", url) as writer:
        while int(writer.line()) < 20:
            pass
        reader = lmdb.open_reader(url)
        before = reader._env._live().info()["map_size"]
        while int(writer.line()) < 2000:
            pass
        lengths = [_whole(reader) for _ in range(3)]

        assert lengths[0] >= 2000
        assert reader._env._live().info()["map_size"] > before
        reader.close()


def test_a_change_by_another_process_is_noticed_and_no_bell_is_left(path: Path) -> None:
    with child("look", f"lmdb://{path}"), opened(path) as reader:
        reader.changed(0)
        assert not reader.changed(0)
        before = sorted((path / "wake").iterdir())
        noticed: list[bool] = []
        ready = threading.Event()

        def wait() -> None:
            reader.changed(0)
            ready.set()
            noticed.append(reader.changed(60))

        waiting = threading.Thread(target=wait)
        waiting.start()
        ready.wait(60)
        program = """if True:
            import sys
            from interp.store import Post
            from stores import lmdb

            lmdb.open(sys.argv[1]).post(Post("b", b"news"), 9)
        """
        subprocess.run([sys.executable, "-c", program, f"lmdb://{path}"], check=True, env=_environment())
        waiting.join(60)

        assert noticed == [True]
        assert reader.changed(0)
        assert sorted((path / "wake").iterdir()) == before == []


# --- without locks ---


@pytest.mark.parametrize(("commits", "looks"), [(0, 1), (1, 1), (2, 2), (5, 2)])
def test_a_look_without_locks_is_done_again_when_its_pages_may_have_been_used_again(commits: int, looks: int) -> None:
    store = _Committing([commits])

    assert _lmdb_reading.unlocked(store.env, store.look, "here") == f"look {looks}"


def test_what_a_look_without_locks_raises_counts_only_if_nothing_was_overwritten() -> None:
    overtaken = _Committing([3], fails={1})
    true = _Committing([1], fails={1})

    assert _lmdb_reading.unlocked(overtaken.env, overtaken.look, "here") == "look 2"
    with pytest.raises(JournalCorrupt):
        _lmdb_reading.unlocked(true.env, true.look, "here")


def test_a_look_without_locks_gives_up_when_commits_are_always_faster() -> None:
    store = _Committing([2] * 1000)

    with pytest.raises(StoreFailed, match=r"lock\.mdb cannot be used from here"):
        _lmdb_reading.unlocked(store.env, store.look, "here")


class _Committing:
    """An environment in which so many transactions are committed during each look."""

    def __init__(self, commits: Sequence[int], fails: Collection[int] = ()) -> None:
        self.id = 7
        self._commits = [*commits]
        self._fails = fails
        self._looks = 0

    @property
    def env(self) -> Any:
        return self

    @contextlib.contextmanager
    def begin(self) -> Iterator[Any]:
        txn = _Txn(self.id)
        yield txn

    def look(self, txn: Any) -> str:
        self._looks += 1
        self.id += self._commits.pop(0) if self._commits else 0
        if self._looks in self._fails:
            raise JournalCorrupt("here", "its checksum does not match")
        return f"look {self._looks}"


class _Txn:
    def __init__(self, number: int) -> None:
        self._number = number

    def id(self) -> int:
        return self._number


def test_locks_are_used_as_soon_as_somebody_brings_them(path: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    subprocess.run(["cp", path / "data.mdb", tmp_path / "copy"], check=True)
    with opened(tmp_path / "copy") as reader:
        assert not reader._env._locks

        with child("hold", f"lmdb://{tmp_path}/copy") as other:
            other.line()

            assert reader.run("a") is not None
            assert reader._env._locks


# --- in a process that writes as well ---


def test_a_reader_goes_on_when_its_process_opens_the_store_to_write_and_closes_it(path: Path, expected: object) -> None:
    with opened(path) as reader:
        stopped = threading.Event()
        seen: list[object] = []
        asking = threading.Thread(target=lambda: seen.extend(everything(reader) for _ in iter(stopped.is_set, True)))
        asking.start()
        for _ in range(20):
            with contextlib.closing(lmdb.open(f"lmdb://{path}")) as store:
                assert store.run("a") == reader.run("a")
                assert reader._env.options == store._env.options
            assert reader._env.options.read_only
        stopped.set()
        asking.join()

        assert seen
        assert all(each == expected for each in seen)
    assert path.resolve() not in [environment.path for environment in _environments]


def test_who_opens_a_store_to_read_shares_what_its_process_writes_to(path: Path) -> None:
    with contextlib.closing(lmdb.open(f"lmdb://{path}?durability=process")) as store:
        with opened(path) as reader:
            store.post(Post("b", b"news"), 9)
            assert reader.inbox("b") == store.inbox("b")

        store.post(Post("b", b"more"), 9)
        assert len(store.inbox("b")) == 3


def test_a_reader_goes_on_when_the_store_cannot_be_opened_to_write(read_only: Path, expected: object) -> None:
    with opened(read_only) as reader:
        with pytest.raises(StoreReadOnly):
            lmdb.open(f"lmdb://{read_only}")

        assert everything(reader) == expected


def test_a_reader_is_used_in_a_forked_child_and_in_its_parent(path: Path, expected: object) -> None:
    with opened(path) as reader:
        reader.run("a")
        pid = os.fork()
        if pid == 0:
            os._exit(everything(reader) != expected)

        _, status = os.waitpid(pid, 0)
        assert status == 0
        assert everything(reader) == expected
        with contextlib.closing(lmdb.open(f"lmdb://{path}")) as store:
            store.post(Post("b", b"news"), 9)
            assert len(reader.inbox("b")) == 2


def test_a_backup_that_is_replaced_is_read_anew(path: Path, tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    subprocess.run(["cp", path / "data.mdb", tmp_path / "backup"], check=True)
    with opened(tmp_path / "backup") as reader:
        assert len(reader.inbox("b")) == 1
        with contextlib.closing(lmdb.open(f"lmdb://{path}")) as store:
            store.post(Post("b", b"news"), 9)

        subprocess.run(["cp", path / "data.mdb", tmp_path / "new.mdb"], check=True)
        (tmp_path / "new.mdb").replace(tmp_path / "backup" / "data.mdb")

        assert len(reader.inbox("b")) == 2
