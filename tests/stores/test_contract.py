"""Every store keeps the contract that ships with the library."""

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from interp import Compressed, Encrypted
from interp.runtime.sealed import sealed_store
from interp.store import Store
from interp.testing.store_contract import store_contract
from stores import lmdb, memory

_scratch = Path(tempfile.mkdtemp(prefix="interp-contract-"))
_numbers = itertools.count()
_KEY = Encrypted.new_key()


@pytest.fixture(scope="module", autouse=True)
def _remove_scratch() -> Iterator[None]:
    yield
    shutil.rmtree(_scratch)


def _memory() -> Store:
    return memory.open("memory:")


def _named_memory() -> Store:
    return memory.open(f"memory:contract-{next(_numbers)}")


def _lmdb() -> Store:
    return lmdb.open(f"lmdb://{_scratch}/{next(_numbers)}?durability=none")


def _growing_lmdb() -> Store:
    return lmdb.open(f"lmdb://{_scratch}/{next(_numbers)}?durability=none&map_size=131072")


def _sealed() -> Store:
    return sealed_store(_named_memory(), Compressed(Encrypted(_KEY)))


TestMemory = store_contract(_named_memory, reopen=lambda store: memory.open(store.url), reference=_memory)
TestLmdb = store_contract(_lmdb, reopen=lambda store: lmdb.open(store.url), reference=_memory)
TestGrowingLmdb = store_contract(_growing_lmdb, reference=_memory)
TestSealed = store_contract(_sealed, reference=_memory)

# An example of the machine costs as much as many of other tests. Deep it searches at night.
for _test in (TestMemory, TestLmdb, TestGrowingLmdb, TestSealed):
    setattr(_test, "settings", settings(max_examples=max(50, settings().max_examples // 4)))  # noqa: B010  as Hypothesis asks
