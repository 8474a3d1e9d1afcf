"""A program that is killed inside of a transact, after it has written.

    python -m tests.crash.dying_inside URL RUN_ID PID

It is killed in every process but PID, which is that of the test.
"""

import os
import signal
import sys

from interp import Engine, Transaction, Workflow, transact, workflow


def add_and_die(tx: Transaction, survivor: int) -> int:
    table = tx.table("sums")
    total = int(table.get(b"a") or b"0") + 1
    table.put(b"a", str(total).encode())
    if os.getpid() != survivor:
        os.kill(os.getpid(), signal.SIGKILL)
    return total


@workflow
def killed_inside(survivor: int) -> Workflow[int]:
    return (yield from transact(add_and_die, survivor))


def main() -> None:
    url, run_id, survivor = sys.argv[1:]
    with Engine(url) as engine:
        engine.start(killed_inside, int(survivor), id=run_id).result()


if __name__ == "__main__":
    main()
