"""The memory store: names, sharing, waiting. What it stores is proved by the contract."""

import threading

import pytest

from interp.errors import UnknownStore
from interp.store import Create, Post
from stores import memory

RUN = Create("order-7", "checkout", b"digest", b"start")


def test_each_nameless_store_is_a_new_one() -> None:
    memory.open("memory:").create(RUN, 1)

    assert memory.open("memory:").run("order-7") is None


def test_stores_of_one_name_share_their_contents() -> None:
    memory.open("memory:shared").create(RUN, 1)

    assert memory.open("memory:shared").run("order-7") is not None


@pytest.mark.parametrize("url", ["memory", "memory://host", "memory:a?durability=full", "lmdb:dir"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(UnknownStore, match="expected memory: or memory:name"):
        memory.open(url)


def test_a_message_wakes_a_thread_that_waits() -> None:
    store = memory.open("memory:")
    store.create(RUN, 1)
    ready = threading.Event()
    woken: list[bool] = []

    def wait() -> None:
        store.changed(0)
        ready.set()
        woken.append(store.changed(60))

    waiter = threading.Thread(target=wait)
    waiter.start()
    ready.wait()
    store.post(Post("order-7", b"hello"), 2)
    waiter.join()

    assert woken == [True]


def test_closing_ends_a_wait() -> None:
    store = memory.open("memory:")
    answers: list[bool] = []
    waiter = threading.Thread(target=lambda: answers.append(store.changed(60)))
    waiter.start()

    store.close()
    waiter.join()

    assert answers == [False]
