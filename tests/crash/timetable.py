"""The program that the crash test of schedules kills: a fast schedule, whose runs leave a line each.

python -m tests.crash.timetable URL LOG
"""

import os
import sys
import time
from datetime import timedelta

from interp import Engine, Workflow, activity, call, run_info, workflow

EVERY = timedelta(milliseconds=50)


@activity
def leave(run_id: str) -> None:
    log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{run_id}\n".encode())
    os.close(log)


@workflow
def timetabled() -> Workflow[None]:
    info = yield from run_info()
    yield from call(leave, info.id)


def main() -> None:
    # Killed on purpose and more often than a run may lose its worker without having got on.
    with Engine(sys.argv[1], poison_after=None) as engine:
        engine.schedule(timetabled, id="fast", every=EVERY, overlap="allow")
        time.sleep(60)


if __name__ == "__main__":
    main()
