"""The program that the crash test of encryption kills.

python -m tests.crash.sealed URL LOG KEY
"""

import os
import sys
from datetime import timedelta

from interp import Compressed, Encrypted, Engine, Workflow, activity, annotate, call, workflow

STEPS = 200
SECRET = "4242-SECRET"


@activity
def seal_step(number: int, secret: str) -> str:
    log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(log, f"{number}\n".encode())
    os.close(log)
    return f"{number} {secret}"


@workflow
def sealed_steps(secret: str) -> Workflow[list[str]]:
    told: list[str] = []
    for number in range(STEPS):
        told.append((yield from call(seal_step, number, secret)))
        yield from annotate(last=told[-1])
    return told


def main() -> None:
    with Engine(sys.argv[1], codec=Compressed(Encrypted(sys.argv[3])), poison_after=100) as engine:
        print(engine.start(sealed_steps, SECRET, id="one").result(timedelta(seconds=60)))


if __name__ == "__main__":
    main()
