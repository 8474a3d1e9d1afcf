"""The outside world of the scenarios: banks, mail servers, machines, all of them one file at `$WORLD`.

Every deed is a line. A deed is known by its idempotency key, as at any service that takes one: a request that is
repeated because somebody died is the same deed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import attrs

from interp import current_call

__all__ = ["Deed", "deeds", "do", "happen", "happened", "requests"]


@attrs.frozen
class Deed:
    """One request to the outside world, or one thing that happens there by itself.

    Attributes:
        what: What is done.
        key: The idempotency key of the request; empty for what happens by itself.
        process: Who asked for it.
        at_s: When, in seconds since the epoch.
    """

    what: str
    key: str
    process: int
    at_s: float


def do(what: str) -> str:
    """Do something to the outside world, from an activity; returns a reference, the same for the same request."""
    key = current_call().idempotency_key
    _write(what, key)
    return f"{what.partition(' ')[0]}-{hashlib.blake2b(f'{key} {what}'.encode(), digest_size=3).hexdigest()}"


def happen(what: str) -> None:
    """Let something happen that nobody asked for: a job ends, a server is mended."""
    _write(what, "")


def happened(what: str) -> bool:
    """Tell whether something was done, or has happened."""
    return any(what == request.what for request in requests())


def requests() -> list[Deed]:
    """Return all requests as they came, the repeated ones too."""
    lines = _file().read_text().splitlines() if _file().exists() else []
    return [Deed(**json.loads(line)) for line in lines]


def deeds() -> list[str]:
    """Return what was done, in order: each request once, however often it came."""
    return [what for _, what in dict.fromkeys((request.key, request.what) for request in requests() if request.key)]


def _file() -> Path:
    return Path(os.environ.get("WORLD", "world.log"))


def _write(what: str, key: str) -> None:
    line = json.dumps({"what": what, "key": key, "process": os.getpid(), "at_s": time.time()})
    with _file().open("a") as file:  # one short write to the end of a file: processes do not tear each other's lines
        file.write(line + "\n")
