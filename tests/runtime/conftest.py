"""What the tests of the runtime share."""

import itertools
from pathlib import Path

import pytest

_names = itertools.count()


@pytest.fixture(params=["memory", "lmdb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh store that several engines of this process can open."""
    return f"memory:runtime-{next(_names)}" if request.param == "memory" else f"lmdb://{tmp_path}/journal"


@pytest.fixture
def lmdb_url(tmp_path: Path) -> str:
    """A fresh store that other processes can open."""
    return f"lmdb://{tmp_path}/journal"
