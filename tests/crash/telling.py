"""The program that the crash test of streams kills: a run that emits, and whose activities do.

    python -m tests.crash.telling URL

The result is printed.
"""

import sys
import time
from datetime import timedelta

from interp import Engine, Workflow, activity, call, continue_as, current_call, emit, gather, workflow

STEPS = 40
ROUNDS = 3
TOKENS = 10


@activity
def say(step: int) -> int:
    for number in range(TOKENS):
        current_call().emit(f"tokens {step % 2}", [step, number])
        time.sleep(0.0005)
    return step


@workflow
def telling(round_no: int) -> Workflow[str]:
    for step in range(round_no * STEPS, (round_no + 1) * STEPS, 2):
        yield from emit("steps", [step, "begins"])
        pair = yield from gather(call(say, step), call(say, step + 1))
        for said in pair:
            yield from emit("steps", [said, "ends"])
    if round_no + 1 < ROUNDS:
        return (yield from continue_as(round_no + 1))
    yield from emit("steps", "done")
    return "done"


def main() -> None:
    with Engine(sys.argv[1], poison_after=None) as engine:
        print(engine.start(telling, 0, id="told").result(timedelta(seconds=60)))


if __name__ == "__main__":
    main()
