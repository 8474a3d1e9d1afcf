"""The program that the crash test of requests kills: a run that answers.

    python -m tests.crash.answering URL QUESTIONS

The result is printed.
"""

import sys
from datetime import timedelta
from typing import Any

from interp import Engine, Request, Workflow, activity, annotate, await_signal, call, reply, workflow


@activity
def think(question: int) -> int:
    return question * 2


def check_question(question: int, state: dict[str, Any]) -> None:
    if question % 5 == 4:
        raise ValueError(f"not {question}, of which {state.get('answered', 0)} were answered")


@workflow(validators={"question": check_question})
def answering(questions: int) -> Workflow[list[int]]:
    answered: list[int] = []
    while len(answered) < questions:
        request = yield from await_signal("question", Request[int])
        double = yield from call(think, request.payload)
        answered.append(request.payload)
        yield from annotate(answered=len(answered))
        yield from reply(request, [double, len(answered)])
    return answered


def main() -> None:
    with Engine(sys.argv[1], poison_after=None) as engine:
        print(engine.start(answering, int(sys.argv[2]), id="oracle").result(timedelta(seconds=60)))


if __name__ == "__main__":
    main()
