"""Streams in the stores, by example; `test_contract.py` compares the stores under every order of events."""

from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb as lmdb_library
import pytest
from msgspec.structs import replace

from interp.errors import JournalCorrupt, UnknownRun, UsageError
from interp.store import Append, Batch, Create, Emission, Emit, Item, Refusal, Reopen, Status, Store
from interp.streams import TOPIC_BYTES
from stores import lmdb, memory

RUN = Create("order-7", "checkout", b"digest", b"start", worker="ann")


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    openers: dict[str, Callable[[], Store]] = {
        "memory": lambda: memory.open("memory:"),
        "lmdb": lambda: lmdb.open(f"lmdb://{tmp_path}/store?durability=none"),
    }
    store = openers[request.param]()
    store.create(RUN, 1)
    yield store
    store.close()


def moved(index: int, *emits: Emit, status: Status = Status.RUNNING) -> Append:
    return Append("order-7", 1, index, [b"record"], status, due_us=None, at_us=2, emits=emits)


def emitted(store: Store, *emits: Emit, token: int = 1) -> list[Refusal]:
    return store.commit(Batch(emissions=[Emission("order-7", token, emits)]), 2)


def bodies(store: Store, topic: str, start: int = 0) -> list[bytes]:
    return [item.body for item in store.stream("order-7", topic, start)]


def test_items_are_written_with_the_record_and_not_without_it(store: Store) -> None:
    assert [] == store.commit(Batch(appends=[moved(0, Emit("a", b"one"), Emit("b", b"other"), Emit("a", b"two"))]), 2)
    assert [Refusal("order-7", "fenced")] == store.commit(Batch(appends=[moved(0, Emit("a", b"late"))]), 3)

    assert [Item(0, b"one"), Item(1, b"two")] == list(store.stream("order-7", "a"))
    assert [Item(0, b"other")] == list(store.stream("order-7", "b"))


def test_items_of_activities_come_before_what_follows_from_their_results(store: Store) -> None:
    batch = Batch(
        appends=[moved(0, Emit("a", b"by the workflow"), status=Status.COMPLETED)],
        emissions=[Emission("order-7", 1, [Emit("a", b"by the activity")])],
    )

    assert [] == store.commit(batch, 2)
    assert [b"by the activity", b"by the workflow"] == bodies(store, "a")


@pytest.mark.parametrize("token", [0, 2])
def test_items_of_an_owner_that_is_not_one_any_more_are_refused(store: Store, token: int) -> None:
    assert [Refusal("order-7", "fenced")] == emitted(store, Emit("a", b"stale"), token=token)
    assert () == store.topics("order-7")


def test_a_run_that_has_ended_takes_no_items_and_keeps_those_that_it_has(store: Store) -> None:
    store.commit(Batch(appends=[moved(0, Emit("a", b"last"), status=Status.COMPLETED)]), 2)

    assert [Refusal("order-7", "fenced")] == emitted(store, Emit("a", b"late"))
    assert [b"last"] == bodies(store, "a")


def test_a_stream_goes_on_over_a_new_journal_and_a_retry(store: Store) -> None:
    store.commit(Batch(appends=[moved(0, Emit("a", b"first round"))]), 2)
    store.commit(Batch(appends=[replace(moved(0, Emit("a", b"second round")), restart=True)]), 3)
    store.commit(Batch(appends=[moved(1, Emit("a", b"failed"), status=Status.FAILED)]), 4)
    assert store.reopen(Reopen("order-7", 2, b"retried"), 5)

    assert [b"first round", b"second round", b"failed"] == bodies(store, "a")


def test_a_long_stream_is_read_from_any_item_on_while_it_grows(store: Store) -> None:
    emitted(store, *[Emit("a", str(number).encode()) for number in range(2_500)])
    reading = store.stream("order-7", "a", 2)
    first = next(reading)
    emitted(store, Emit("a", b"2500"))
    rest = [item.number for item in reading]

    assert Item(2, b"2") == first
    assert list(range(3, len(rest) + 3)) == rest
    assert len(rest) >= 2_497
    assert [b"2499", b"2500"] == bodies(store, "a", 2_499)
    assert [] == bodies(store, "a", 2_501)


def test_of_a_bounded_stream_the_newest_items_are_kept_with_their_numbers(store: Store) -> None:
    emitted(store, *[Emit("a", str(number).encode(), keep=3) for number in range(10)], Emit("ab", b"another"))
    emitted(store, Emit("a", b"10", keep=3))

    assert [Item(8, b"8"), Item(9, b"9"), Item(10, b"10")] == list(store.stream("order-7", "a"))
    assert ("a", "ab") == store.topics("order-7")


def test_topics_that_look_alike_are_streams_of_their_own(store: Store) -> None:
    topics = ["", "!", "b", "\x01", "ä", "aa"]
    emitted(store, *[Emit("a" + topic, topic.encode()) for topic in topics])

    assert [("a" + topic) for topic in sorted(topics, key=str.encode)] == list(store.topics("order-7"))
    for topic in topics:
        assert [topic.encode()] == bodies(store, "a" + topic)


def test_an_item_wakes_those_who_wait(store: Store) -> None:
    store.changed(0)
    emitted(store, Emit("a", b"one"))

    assert store.changed(0)

    store.commit(Batch(appends=[moved(0, Emit("a", b"two"))]), 2)

    assert store.changed(0)


@pytest.mark.parametrize("topic", ["", "x" * (TOPIC_BYTES + 1), "a\0b", "\ud800"])
def test_a_topic_that_no_store_can_keep_is_refused_where_it_is_written_and_empty_where_it_is_read(
    store: Store, topic: str
) -> None:
    with pytest.raises(UsageError, match="topic="):
        Emit(topic, b"item")

    assert [] == bodies(store, topic)


def test_streams_of_a_run_that_is_not_there_say_so(store: Store) -> None:
    with pytest.raises(UnknownRun):
        store.stream("nobody", "a")
    with pytest.raises(UnknownRun):
        store.topics("nobody")
    assert [Refusal("nobody", "unknown")] == store.commit(Batch(emissions=[Emission("nobody", 1, [])]), 2)


def table(directory: Path, change: Callable[["lmdb_library.Environment", "lmdb_library._Database"], None]) -> None:
    """Change the table of streams behind the store's back."""
    with lmdb_library.open(str(directory), max_dbs=16) as env:
        change(env, env.open_db(b"streams"))


@pytest.mark.parametrize("name", ["streams", "parked", "user"])
def test_a_store_that_was_made_without_a_younger_table_gets_it_when_it_is_opened(tmp_path: Path, name: str) -> None:
    url = f"lmdb://{tmp_path}/store"
    store = lmdb.open(url)
    store.create(RUN, 1)
    store.close()

    with lmdb_library.open(str(tmp_path / "store"), max_dbs=16) as env:
        dropped = env.open_db(name.encode())
        with env.begin(write=True) as txn:
            txn.drop(dropped)

    store = lmdb.open(url)
    assert () == store.topics("order-7")
    with store.transaction() as tx:
        tx.table("ledger").put(b"a", b"1")
    assert [] == emitted(store, Emit("a", b"one"))
    store.close()
    store = lmdb.open(url)
    assert [b"one"] == bodies(store, "a")
    store.close()


def test_a_damaged_item_is_found_when_it_is_read(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/store"
    store = lmdb.open(url)
    store.create(RUN, 1)
    emitted(store, Emit("a", b"one"), Emit("a", b"two"))
    store.close()

    def damage(env: "lmdb_library.Environment", streams: "lmdb_library._Database") -> None:
        with env.begin(write=True) as txn, txn.cursor(streams) as cursor:
            assert cursor.last()
            cursor.put(cursor.key(), cursor.value()[:-1] + b"?")

    table(tmp_path / "store", damage)

    store = lmdb.open(url)
    with pytest.raises(JournalCorrupt, match="item 1 of stream 'a' of run number 1"):
        list(store.stream("order-7", "a"))
    store.close()
