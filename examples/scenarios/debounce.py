"""A burst of changes becomes one index run with the last of them, when nothing has changed for a minute.

There is one run for each document, for ever: it waits, works and waits again. A change that comes while it works, or
while no worker runs, waits in its inbox. Killed anywhere, it indexes what it would have indexed.
"""

from __future__ import annotations

from datetime import timedelta

from examples.scenarios import world
from interp import Engine, SignalTimeout, Workflow, activity, await_signal, call, continue_as, workflow

__all__ = ["changed", "keep_indexed"]

QUIET = timedelta(minutes=1)


@workflow
def keep_indexed(document: str) -> Workflow[None]:
    """Wait for a burst to end, then index its last version."""
    version = yield from await_signal("changed", int)
    try:
        while True:
            version = yield from await_signal("changed", int, timeout=QUIET)
    except SignalTimeout:
        yield from call(index, document, version)
    yield from continue_as(document)


@activity
def index(document: str, version: int) -> None:
    """Do what takes long."""
    world.do(f"index {document} version {version}")


def changed(engine: Engine, document: str, version: int) -> None:
    """Tell of a change; the run is started by the first one."""
    engine.start(keep_indexed, document, id=f"index-{document}").signal("changed", version)
