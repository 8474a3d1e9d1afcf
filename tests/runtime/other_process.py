"""A program with an engine of its own, which tests start beside theirs and kill.

It prints a line for each activity that it begins, and goes on until its standard input ends.
"""

import os
import sys
import time
from datetime import timedelta

from interp import Engine, Workflow, activity, await_signal, call, current_call, workflow


def tell(line: str) -> None:
    """Print a line in one piece, whatever other threads print."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


@activity
def hold_here(pid: int) -> int:
    """Run for ever in the process `pid`, and at once in any other."""
    tell(f"begun {current_call().idempotency_key} {current_call().attempt}")
    while os.getpid() == pid:
        time.sleep(1)
    return os.getpid()


@workflow
def holding_in(pid: int) -> Workflow[list[int]]:
    holder = yield from call(hold_here, pid)
    extra = yield from await_signal("extra", int)
    return [holder, extra]


def main() -> None:
    url, *starts = sys.argv[1:]
    with Engine(url, grace=timedelta(0)) as engine:
        tell(f"ready {engine.name}")
        for run_id in starts:
            _ = engine.start(holding_in, os.getpid(), id=run_id)
        sys.stdin.read()


if __name__ == "__main__":
    main()
