"""The installed `interp` command, as a process."""

import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

import attrs
import msgspec

SCRIPT = Path(sysconfig.get_path("scripts")) / "interp"

# Far more than anything here needs: shared machines are slow at times.
PATIENCE_S = 60


@attrs.frozen
class Told:
    """What a command wrote, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)

    def is_error(self, *parts: str) -> bool:
        """Whether it failed with a message that holds the parts, and without a traceback or anything on stdout."""
        assert self.code == 1, self
        assert self.out == "", self
        assert "Traceback" not in self.err, self
        assert "\x1b" not in self.err, self
        missing = [part for part in parts if part not in self.err]
        assert not missing, (missing, self.err)
        return True


def words_of(*words: str) -> list[str]:
    return [sys.executable, str(SCRIPT), *words]


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INTERP_", "COLUMNS", "FORCE_"))}
    return {**kept, "PYTHONUTF8": "1", "TZ": "UTC", **more}
