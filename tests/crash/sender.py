"""A program that sends signals from outside, and notes each that was acknowledged.

    python -m tests.crash.sender URL LOG COUNT RUN_ID...

Its engine knows no workflow, so that it never takes a run over.
"""

import os
import random
import sys
import time

from interp import Engine


def main() -> None:
    url, log, count, *run_ids = sys.argv[1:]
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with Engine(url) as engine:
        for n in range(int(count)):
            for run_id in run_ids:
                engine.get(run_id).signal("number", n)
                os.write(file, f"told {run_id} number {n}\n".encode())
                time.sleep(random.uniform(0, 0.03))  # so that they come all the time, not at once


if __name__ == "__main__":
    main()
