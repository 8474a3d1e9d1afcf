"""What a process remembers of the runs that it appends to, while other processes write, too."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.store import Batch, Create, RunFilter, Status, Store
from stores import _lmdb_env, lmdb, memory
from stores._lmdb_rows import Row
from stores._lmdb_standing import Standing, Stood
from tests.stores.children import Child, child, perform

DEEDS = ("append", "append", "append", "wait", "post", "claim", "stale", "ahead", "anew", "end", "create")
_names = itertools.count()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"lmdb://{tmp_path_factory.mktemp('standing')}/store?durability=none"


@pytest.fixture(scope="module")
def bob(url: str) -> Iterator[Child]:
    """Another process that has the store open all the time."""
    with child("obey", url, "bob") as other:
        assert other.line() == "ready"
        yield other


@pytest.fixture(scope="module")
def ann(url: str) -> Iterator[lmdb.LmdbStore]:
    store = lmdb.open(url)
    yield store
    store.close()


@given(st.lists(st.tuples(st.sampled_from(["ann", "ann", "ann", "bob"]), st.sampled_from(DEEDS), st.integers(0, 1))))
def test_two_processes_that_take_turns_do_what_one_would(
    ann: lmdb.LmdbStore, bob: Child, deeds: list[tuple[str, str, int]]
) -> None:
    number = next(_names)
    reference = memory.open(f"memory:standing-{number}")
    runs = [f"run-{number}-{which}" for which in range(2)]
    now_us = number * 1_000_000
    for who, deed, which in [("ann", "create", 0), ("bob", "create", 1), *deeds]:
        now_us += 3
        expected = perform(reference, who, deed, runs[which], now_us)
        if who == "ann":
            found = perform(ann, who, deed, runs[which], now_us)
        else:
            found = bob.ask(f"{deed} {runs[which]} {now_us}")

        assert expected == found
        for run_id in [run_id for run_id in runs if reference.run(run_id) is not None]:
            assert _told(reference, run_id) == _told(ann, run_id)
            assert list(reference.history(run_id)) == list(ann.history(run_id))
            assert reference.inbox(run_id) == ann.inbox(run_id)
    for run_id in runs:  # nothing is left for the claims of the next example
        perform(ann, "ann", "end", run_id, now_us)
    assert all(row.status is Status.COMPLETED for row in ann.runs(RunFilter()))


def _told(store: Store, run_id: str) -> tuple[int, Status, int | None, int, str | None]:
    row = store.run(run_id)
    assert row is not None
    return row.length, row.status, row.due_us, row.token, row.owner


STOOD = Stood(Row(Status.RUNNING, 1, 1, None, 0, 0, 1, 0, 0, b""), 1)


def test_what_was_left_is_known_to_the_next_transaction_only() -> None:
    standing = Standing()
    standing.leave(7, standing.take(7), {b"a": STOOD})

    assert {b"a": STOOD} == standing.take(8)
    assert {} == standing.take(8)


def test_nothing_is_known_when_somebody_else_has_written() -> None:
    standing = Standing()
    standing.leave(7, standing.take(7), {b"a": STOOD})

    assert {} == standing.take(9)


def test_who_comes_back_late_changes_nothing() -> None:
    standing = Standing()
    first = standing.take(7)
    second = standing.take(8)  # began when 7 was committed, and before it said what it left
    standing.leave(8, second, {b"b": STOOD})
    standing.leave(7, first, {b"a": STOOD})

    assert {b"b": STOOD} == standing.take(9)


def test_what_is_not_known_any_more_is_forgotten() -> None:
    standing = Standing()
    standing.leave(7, standing.take(7), {b"a": STOOD, b"b": STOOD})
    standing.leave(8, standing.take(8), {b"a": None})

    assert {b"b": STOOD} == standing.take(9)


def test_a_store_that_was_opened_anew_knows_nothing(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/store"
    for name in ("first", "second"):
        store = lmdb.open(url)
        perform(store, "ann", "create", name, 1)
        perform(store, "ann", "append", "first", 2)
        store.close()

    store = lmdb.open(url)
    assert [b"one", b"two"] * 2 == list(store.history("first"))
    store.close()


def test_a_look_between_a_workers_commit_and_its_ring_hides_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = lmdb.open(f"lmdb://{tmp_path}/store")
    store.changed(0, "ann")
    looks: list[bool] = []
    learn = _lmdb_env.Environment._learn  # pyright: ignore[reportPrivateUsage]  # the moment before the ring

    def looked(*args: Any) -> None:
        looks.append(store.changed(0, "ann"))
        learn(*args)

    with monkeypatch.context() as patched:
        patched.setattr(_lmdb_env.Environment, "_learn", looked)
        store.commit(Batch(creates=[Create("a", "w", b"", b"")], by="ann"), 1)
    store.commit(Batch(creates=[Create("b", "w", b"", b"")], by="bob"), 2)

    assert [False] == looks
    assert store.changed(0, "ann")
    store.close()
