"""A program whose activities kill it, in the middle of an attempt.

    python -m tests.crash.dying URL WORKFLOW RUN_ID PID [ARGUMENT...]

They do so in every process but PID, which is that of the test.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from interp import Engine, NotDone, OutcomeUnknown, Workflow, activity, call, current_call, workflow
from interp.commands import OnUnknown
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


@activity
def pay_and_die(survivor: int, ledger: str) -> str:
    """Have an effect, and die before anybody knows; where it may live, only have the effect."""
    with Path(ledger).open("a") as file:
        file.write(f"{current_call().idempotency_key}\n")
    if os.getpid() != survivor:
        die()
    return "paid again"


def find_payment(survivor: int, ledger: str) -> str:
    """Look whether the effect has happened."""
    del survivor
    if current_call().idempotency_key not in Path(ledger).read_text().splitlines():
        raise NotDone
    return "found"


@workflow
def pay(survivor: int, ledger: str, on_unknown: str) -> Workflow[str]:
    """Pay, in a way that is chosen by name."""
    choices: dict[str, OnUnknown] = {"retry": "retry", "fail": "fail", "ask": find_payment}
    try:
        return (yield from call(pay_and_die, survivor, ledger).options(on_unknown=choices[on_unknown]))
    except OutcomeUnknown as unknown:
        return str(unknown)


@activity
def swallow(survivor: int) -> str:
    """Take the worker along, as a job does that needs more memory than there is."""
    if os.getpid() != survivor:
        die()
    return "digested"


@workflow
def poisoned(survivor: int) -> Workflow[str]:
    return (yield from call(swallow, survivor))


_engine: Engine
WORKFLOWS: dict[str, Any] = {"copy": copy, "pay": pay, "poisoned": poisoned}


def main() -> None:
    global _engine
    url, name, run_id, survivor, *more = sys.argv[1:]
    with Engine(url) as _engine:
        _engine.start(WORKFLOWS[name], int(survivor), *more, id=run_id).result()


if __name__ == "__main__":
    main()
