"""Several processes, threads and handles on one LMDB store."""

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from interp.errors import UnknownStore, UsageError
from interp.store import Append, Batch, Create, Post, RunFilter, Status
from stores import lmdb
from tests.stores.children import FOREVER_US, child

RUN = Create("a", "checkout", b"digest", b"start")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"lmdb://{tmp_path}/store?durability=none"


@pytest.fixture
def store(url: str) -> Iterator[lmdb.LmdbStore]:
    store = lmdb.open(url)
    store.create(RUN, 1)
    yield store
    store.close()


def test_a_message_wakes_another_process_that_is_not_looking(store: lmdb.LmdbStore, url: str) -> None:
    with child("watch", url) as watcher:
        assert watcher.line() == "waiting"

        store.post(Post("a", b"hello"), 2)

        assert watcher.line() == "True"


def test_a_registered_worker_is_alive_whatever_its_lease_and_dead_when_its_process_is(
    store: lmdb.LmdbStore, url: str
) -> None:
    with child("work", url) as worker:
        assert worker.line() == "1"
        assert store.claim("bob", 10, FOREVER_US, 1).claims == ()

        worker.kill()

        (claim,) = store.claim("bob", 10, 2, 1).claims
        assert (claim.run.owner, claim.lost) == ("bob", "ann")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells of the end of other processes")
def test_the_death_of_a_worker_wakes_the_others(
    store: lmdb.LmdbStore, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stores._lmdb_env._LOOK_S", 3600)
    store.changed(0)
    store.changed(0.001)
    with child("work", url) as worker:
        assert worker.line() == "1"
        threading.Thread(target=worker.kill).start()

        assert store.changed(60)


def test_a_worker_that_is_registered_elsewhere_is_refused(store: lmdb.LmdbStore, url: str) -> None:
    with child("work", url) as worker:
        worker.line()

        with pytest.raises(UsageError, match="another process has registered"):
            store.register("ann")


def test_a_worker_that_resigned_may_register_again(store: lmdb.LmdbStore) -> None:
    for _ in range(2):
        store.register("bob")
        assert len(store.claim("bob", 10, 1, 0).claims) == 1
        assert store.claim("cy", 10, FOREVER_US, 0).claims == ()
        store.resign("bob")


def test_dead_workers_that_own_nothing_are_forgotten(store: lmdb.LmdbStore, tmp_path: Path, url: str) -> None:
    with child("work", url) as worker:
        worker.line()
        worker.kill()
    (claim,) = store.claim("bob", 10, 2, 100).claims
    done = Append("a", claim.run.token, 0, [b"done"], Status.COMPLETED, None, 3)
    store.commit(Batch(appends=[done]), 3)
    store.resign("bob")

    assert store._env.read(lambda view: view.workers()) == []
    assert list((tmp_path / "store" / "workers").iterdir()) == []


def test_the_slot_of_a_reader_that_was_killed_is_cleared(store: lmdb.LmdbStore, url: str) -> None:
    with child("read", url) as reader:
        assert reader.line() == "reading"
        pid = str(reader.process.pid)
        assert pid in store._env._live().readers()

        reader.kill()
        store.post(Post("a", b"hello"), 2)

        assert pid not in store._env._live().readers()


def test_a_fork_leaves_the_parents_locks_alone_and_both_can_write(store: lmdb.LmdbStore, url: str) -> None:
    with child("fork", url) as forked:
        assert forked.line() == "forked"

        assert [message.body for message in store.inbox("a")] == [b"start", b"from the child", b"from the parent"]
        with pytest.raises(UsageError, match="another process has registered"):
            store.register("ann")


def test_processes_that_make_the_same_store_at_the_same_time_share_it(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/new"
    with ExitStack() as stack:
        makers = [stack.enter_context(child("make", url)) for _ in range(4)]
        for maker in makers:
            assert maker.line() == "making"
        for maker in makers:
            maker.go_on()
        assert [maker.line() for maker in makers] == ["made"] * 4
        pids = {str(maker.process.pid) for maker in makers}
    store = lmdb.open(url)

    assert {row.id for row in store.runs(RunFilter())} == pids
    store.close()


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may make pid namespaces")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
def test_a_second_container_with_the_same_process_id_is_refused_with_the_cure(url: str) -> None:
    apart = ("unshare", "--pid", "--fork", "--kill-child")
    with child("hold", url, before=apart) as first, child("hold", url, before=apart) as second:
        answers = sorted([first.line(), second.line()], key=len)

    assert answers[0] == "open"
    assert "share the PID namespace" in answers[1]


def test_where_the_path_is_too_long_for_a_socket_a_change_is_noticed_all_the_same(tmp_path: Path) -> None:
    url = f"lmdb://{tmp_path}/{'long' * 30}"
    store = lmdb.open(url)
    with child("make", url) as maker:
        assert maker.line() == "making"
        maker.go_on()

        assert store.changed(60)
    store.close()


def test_closing_a_store_ends_the_waits_of_its_threads(url: str) -> None:
    store = lmdb.open(url)
    ready = threading.Event()
    answers: list[bool] = []

    def wait() -> None:
        store.changed(0)
        ready.set()
        answers.append(store.changed(60))

    waiter = threading.Thread(target=wait)
    waiter.start()
    ready.wait()
    store.close()
    waiter.join()

    assert answers == [False]
    assert not store.changed(0)


def test_two_handles_in_one_process_share_an_environment(store: lmdb.LmdbStore, url: str) -> None:
    second = lmdb.open(url)
    second.post(Post("a", b"hello"), 2)
    second.close()

    assert len(store.inbox("a")) == 2
    with pytest.raises(UsageError, match="is closed"):
        second.inbox("a")


def test_other_options_for_a_store_that_is_open_are_refused(store: lmdb.LmdbStore, url: str) -> None:
    with pytest.raises(UnknownStore, match="other options"):
        lmdb.open(url.replace("none", "full"))


def test_threads_that_write_at_once_lose_nothing(store: lmdb.LmdbStore) -> None:
    def post(number: int) -> None:
        for n in range(50):
            store.post(Post("a", f"{number}:{n}".encode()), 2)

    threads = [threading.Thread(target=post, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [message.number for message in store.inbox("a")] == list(range(201))


def test_a_long_history_is_read_across_transactions_while_it_grows(store: lmdb.LmdbStore) -> None:
    store.claim("bob", 1, 1, 100)
    records = [str(number).encode() for number in range(2500)]
    store.commit(Batch(appends=[Append("a", 1, 0, records, Status.RUNNING, None, 2)]), 2)
    history = store.history("a")
    first = next(history)
    store.commit(Batch(appends=[Append("a", 1, 2500, [b"late"], Status.RUNNING, None, 3)]), 3)

    assert [first, *history] == [*records, b"late"]


def test_a_history_ends_early_when_its_run_restarts_meanwhile(store: lmdb.LmdbStore) -> None:
    store.claim("bob", 1, 1, 100)
    records = [str(number).encode() for number in range(2500)]
    store.commit(Batch(appends=[Append("a", 1, 0, records, Status.RUNNING, None, 2)]), 2)
    history = store.history("a")
    first = next(history)
    anew = Append("a", 1, 0, [b"new"] * 2500, Status.RUNNING, None, 3, restart=True)
    store.commit(Batch(appends=[anew]), 3)

    assert [first, *history] == records[:1000]
