"""What the tests of the runtime share."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import lmdb
import pytest

from interp.errors import StoreFull
from interp.runtime import worker
from stores import _lmdb_env
from stores._lmdb_change import Change

_names = itertools.count()


@pytest.fixture(params=["memory", "lmdb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh store that several engines of this process can open."""
    return f"memory:runtime-{next(_names)}" if request.param == "memory" else f"lmdb://{tmp_path}/journal"


@pytest.fixture
def lmdb_url(tmp_path: Path) -> str:
    """A fresh store that other processes can open."""
    return f"lmdb://{tmp_path}/journal"


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Make the disk full at the end of the next commits that hold a transact."""
    left = [0]
    nested = [False]
    commit, nest = _lmdb_env.Environment._commit, Change._nest

    def failing(self: _lmdb_env.Environment, env: lmdb.Environment, txn: "lmdb.Transaction[bytes]") -> None:
        if nested[0] and left[0]:
            left[0] -= 1
            nested[0] = False
            txn.abort()
            raise StoreFull(str(self.path), "no room")
        commit(self, env, txn)

    def noting(self: Any, part: Any) -> None:
        nested[0] = True
        nest(self, part)

    monkeypatch.setattr(_lmdb_env.Environment, "_commit", failing)
    monkeypatch.setattr(Change, "_nest", noting)
    monkeypatch.setattr(worker, "_FULL_PAUSE", timedelta(milliseconds=1))

    def fill(times: int) -> None:
        left[0] = times

    return fill
