"""What may stand in the directory of an LMDB store; with anything else an error, and nothing changed."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb as raw
import pytest

from interp.errors import JournalCorrupt, NotAStore, StoreFull, StoreReadOnly, UnknownFormat, UnknownStore
from interp.store import Append, Batch, Create, Post, Status
from stores import lmdb
from stores._lmdb_files import remote_filesystem

RUN = Create("a", "checkout", b"digest", b"start", worker="ann")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def filled(path: Path) -> Path:
    """A closed store with a run of a thousand records."""
    store = lmdb.open(f"lmdb://{path}")
    records = [b"record %d" % number + bytes(200) for number in range(1000)]
    store.commit(Batch(creates=[RUN], appends=[Append("a", 1, 0, records, Status.RUNNING, None, 2)]), 1)
    store.close()
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in path.rglob("*") if file.is_file() and file.name != "lock.mdb"}


def refused(path: Path, error: type[Exception], match: str) -> None:
    before = contents(path)
    with pytest.raises(error, match=match):
        lmdb.open(f"lmdb://{path}")
    assert contents(path) == before


def test_a_store_is_private_to_its_user(filled: Path) -> None:
    modes = {entry.name: oct(entry.stat().st_mode & 0o777) for entry in [filled, *filled.iterdir()]}

    assert modes == {
        "store": "0o700",
        "data.mdb": "0o600",
        "lock.mdb": "0o600",
        "wake": "0o700",
        "workers": "0o700",
    }


def test_a_relative_directory_is_made_with_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    lmdb.open("lmdb:some/where").close()

    assert (tmp_path / "some" / "where" / "data.mdb").exists()


def test_what_a_killed_maker_left_behind_does_not_matter(path: Path) -> None:
    (path / ".new-abc").mkdir(parents=True)
    (path / ".new-abc" / "data.mdb").touch()

    store = lmdb.open(f"lmdb://{path}")

    assert store.create(RUN, 1)
    store.close()


def test_other_files_beside_an_existing_store_are_left_alone(filled: Path) -> None:
    (filled / "README").write_text("mine")

    lmdb.open(f"lmdb://{filled}").close()

    assert (filled / "README").read_text() == "mine"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("lmdb:", "expected lmdb:relative/dir"),
        ("lmdb://host/dir", "expected lmdb:relative/dir"),
        ("postgresql://host/db", "expected lmdb:relative/dir"),
        ("lmdb:dir?durability=some", "known are full, process, none"),
        ("lmdb:dir?speed=high", "unknown option speed"),
        ("lmdb:dir?map_size=big", "expected a number of bytes"),
    ],
)
def test_a_url_that_cannot_be_understood_is_refused(url: str, reason: str) -> None:
    with pytest.raises(UnknownStore, match=reason):
        lmdb.open(url)


# --- something else is there ---


def test_a_file_is_not_a_store(path: Path) -> None:
    path.write_text("mine")

    with pytest.raises(NotAStore, match="it is a file"):
        lmdb.open(f"lmdb://{path}")


def test_a_directory_with_other_files_is_not_a_store(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("mine")

    refused(path, NotAStore, "it holds notes.txt")


def test_the_lmdb_data_of_another_program_is_not_a_store(path: Path) -> None:
    with raw.open(str(path), max_dbs=1) as env, env.begin(write=True) as txn:
        txn.put(b"mine", b"value")

    refused(path, NotAStore, "another program")


def test_the_lmdb_data_of_another_program_with_tables_like_ours_is_not_a_store(path: Path) -> None:
    with raw.open(str(path), max_dbs=1) as env:
        env.open_db(b"meta")

    refused(path, NotAStore, "another program")


def test_a_data_file_that_lmdb_did_not_write_is_not_a_store(path: Path) -> None:
    path.mkdir()
    (path / "data.mdb").write_text("something else " * 10_000)

    refused(path, NotAStore, "not an LMDB file")


def test_a_newer_format_is_refused_with_both_numbers(filled: Path) -> None:
    with raw.open(str(filled), max_dbs=16) as env:
        meta = env.open_db(b"meta", create=False)
        with env.begin(write=True) as txn:
            txn.put(b"format", (99).to_bytes(4, "big"), db=meta)

    with pytest.raises(UnknownFormat) as caught:
        lmdb.open(f"lmdb://{filled}")
    assert (caught.value.found, caught.value.known) == (99, (1,))


# --- it is damaged ---


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 8192, 12288, 65536, -4096, -200_000])
def test_a_data_file_that_was_cut_off_is_refused_before_it_is_mapped(filled: Path, size: int) -> None:
    data = filled / "data.mdb"
    os.truncate(data, size if size >= 0 else data.stat().st_size + size)

    refused(filled, JournalCorrupt, "data.mdb is damaged")


@pytest.mark.parametrize("page", [0, 1])
def test_a_data_file_without_one_of_its_head_pages_is_refused(filled: Path, page: int) -> None:
    with (filled / "data.mdb").open("r+b") as file:
        file.seek(page * 4096)
        file.write(bytes(4096))

    refused(filled, JournalCorrupt, "head pages")


def test_a_sound_file_may_be_shorter_than_lmdb_counts(path: Path) -> None:
    # Pages that are allocated and freed in one transaction are counted and never written.
    store = lmdb.open(f"lmdb://{path}")
    store.commit(Batch(creates=[RUN]), 1)
    env, tables = store._env._live(), store._env._tables
    with env.begin(write=True) as txn:
        for number in range(2000):
            txn.put(b"%d" % number, bytes(1000), db=tables.journal)
        for number in range(2000):
            txn.delete(b"%d" % number, db=tables.journal)
    store.close()

    store = lmdb.open(f"lmdb://{path}")

    assert store.run("a") is not None
    store.close()


@pytest.mark.parametrize(
    ("inside", "ask"),
    [
        (b"record 500", lambda store: list(store.history("a"))),
        (b"checkout", lambda store: store.run("a")),
    ],
)
def test_a_flipped_bit_is_found_when_it_is_read(
    filled: Path, inside: bytes, ask: Callable[[lmdb.LmdbStore], object]
) -> None:
    data = filled / "data.mdb"
    damaged = bytearray(data.read_bytes())
    at = damaged.find(inside)
    while at >= 0:
        damaged[at] ^= 1
        at = damaged.find(inside)
    data.write_bytes(damaged)
    store = lmdb.open(f"lmdb://{filled}")

    with pytest.raises(JournalCorrupt, match="checksum"):
        ask(store)
    store.close()


def test_a_damaged_record_does_not_keep_its_run_from_being_listed(filled: Path) -> None:
    data = filled / "data.mdb"
    data.write_bytes(data.read_bytes().replace(b"record 999", b"recurd 999"))
    store = lmdb.open(f"lmdb://{filled}")

    row = store.run("a")
    assert row is not None
    assert (row.length, row.updated_us) == (1000, 2)
    with pytest.raises(JournalCorrupt, match="record 999 of run number 1"):
        list(store.history("a"))
    store.close()


# --- it cannot be written ---


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB."""
    point = tmp_path / "disk"
    point.mkdir()
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root on Linux may mount a small disk")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", point], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    yield point
    subprocess.run(["umount", "--lazy", point], check=True)


def test_a_read_only_disk_is_refused(disk: Path) -> None:
    lmdb.open(f"lmdb://{disk}/store").close()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)

    with pytest.raises(StoreReadOnly):
        lmdb.open(f"lmdb://{disk}/store")
    with pytest.raises(StoreReadOnly):
        lmdb.open(f"lmdb://{disk}/another")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("name", [".", "data.mdb"])
def test_a_store_without_the_right_to_write_is_refused(filled: Path, name: str) -> None:
    (filled / name).chmod(0o500)
    try:
        with pytest.raises(StoreReadOnly):
            lmdb.open(f"lmdb://{filled}")
    finally:
        (filled / name).chmod(0o700)


def test_a_full_disk_loses_nothing_and_the_store_goes_on_when_there_is_room_again(disk: Path) -> None:
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(1 << 20))
    store = lmdb.open(f"lmdb://{disk}/store")
    store.create(RUN, 1)
    posted = 0

    def fill() -> None:
        nonlocal posted
        for _ in range(100):
            store.post(Post("a", bytes(50_000)), 2)
            posted += 1

    for _ in range(3):
        with pytest.raises(StoreFull, match="no room"):
            fill()
        assert len(store.inbox("a")) == 1 + posted

    ballast.unlink()
    store.post(Post("a", bytes(50_000)), 3)

    assert len(store.inbox("a")) == 2 + posted
    store.close()


def test_a_store_is_not_made_on_a_full_disk(disk: Path) -> None:
    with contextlib.suppress(OSError):
        (disk / "ballast").write_bytes(bytes(8 << 20))

    with pytest.raises(StoreFull):
        lmdb.open(f"lmdb://{disk}/store")

    (disk / "ballast").unlink()
    lmdb.open(f"lmdb://{disk}/store").close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/ann/store", None),
        ("/net/data/store", "nfs4"),
        ("/net/data/local/store", None),
        ("/net/two words/store", "fuse.sshfs"),
        ("/network/store", None),
    ],
)
def test_directories_that_other_machines_share_are_recognised(path: str, kind: str | None) -> None:
    mounts = (
        "/dev/vda / ext4 rw 0 0\n"
        "server:/data /net/data nfs4 rw 0 0\n"
        "/dev/vdb /net/data/local xfs rw 0 0\n"
        "server: /net/two\\040words fuse.sshfs rw 0 0\n"
    )

    assert remote_filesystem(Path(path), mounts) == kind


def test_a_store_can_be_moved_while_it_is_closed(filled: Path, tmp_path: Path) -> None:
    shutil.move(filled, tmp_path / "elsewhere")

    store = lmdb.open(f"lmdb://{tmp_path}/elsewhere")

    assert len(list(store.history("a"))) == 1000
    store.close()
