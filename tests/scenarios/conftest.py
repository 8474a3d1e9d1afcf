"""What the tests of the scenarios share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.stage import Stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A fresh store and a fresh world."""
    stage = Stage(tmp_path)
    monkeypatch.setenv("WORLD", str(stage.world))
    monkeypatch.setattr("interp.runtime.engine._utc_now", stage.now)
    yield stage
    stage.end()
