"""A program whose activities kill it, in the middle of an attempt.

    python -m tests.crash.dying URL WORKFLOW RUN_ID PID

They do so in every process but PID, which is that of the test.
"""

import os
import signal
import sys
import time
from typing import Any, NoReturn

from interp import Engine, Workflow, activity, call, current_call, workflow
from interp.events import Heartbeat


def die() -> NoReturn:
    """End this process as the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("killed")


@activity
def copying(survivor: int) -> list[Any]:
    """Tell how far it is and die when that is on disk; where it may live, return what the one before had told."""
    info = current_call()
    if os.getpid() == survivor:
        return [info.attempt, info.last_heartbeat]
    info.heartbeat({"row": 17})
    while not any(isinstance(transition.cause, Heartbeat) for transition in _engine.get(info.run_id).history()):
        time.sleep(0.002)
    die()


@workflow
def copy(survivor: int) -> Workflow[list[Any]]:
    return (yield from call(copying, survivor))


_engine: Engine
WORKFLOWS = {"copy": copy}


def main() -> None:
    global _engine
    url, name, run_id, survivor = sys.argv[1:]
    with Engine(url) as _engine:
        _engine.start(WORKFLOWS[name], int(survivor), id=run_id).result()


if __name__ == "__main__":
    main()
