"""What a record tells, on one line, whatever was recorded."""

from datetime import UTC, datetime

import pytest

from interp.events import (
    CancelRequested,
    Event,
    Failure,
    Record,
    Refused,
    Rejected,
    Resolved,
    Retried,
    Transition,
    WorkerLost,
)
from interp.outline.happened import happened

HUGE = "no room " * 100_000
AT = datetime(2026, 11, 3, 9, tzinfo=UTC)
FAILURE = Failure(HUGE, HUGE)


@pytest.mark.parametrize(
    "cause",
    [Rejected("1", FAILURE, declared=False), Refused("1", HUGE), Retried(FAILURE), CancelRequested(HUGE)],
    ids=lambda x: type(x).__name__,
)
def test_a_record_is_told_in_one_short_line(cause: Event) -> None:
    commands = {"1": Record("1", "call", HUGE, b'["eu"]', "f.py:1")}

    _, told = happened(Transition(1, AT, cause), commands)

    assert "no room" in told
    assert len(told) < 300
    assert "\n" not in told


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (WorkerLost("w1", "w2"), "worker w1 was lost; w2 took over and replayed 3 records"),
        (WorkerLost("", "w2"), "the run was taken up again; w2 took over and replayed 3 records"),
        (Retried(Failure("builtins.OSError", "no"), None), "the run was tried again after OSError: no"),
        (
            Retried(Failure("builtins.OSError", "no"), Rejected("1", Failure("x", ""), declared=False)),
            "the run was tried again after OSError: no; mail('eu') [1] is made anew",
        ),
        (Resolved("9", b"7"), "command 9 → 7"),
    ],
    ids=["lost", "released", "retried", "retried with a call", "of an unknown command"],
)
def test_what_became_of_a_run_and_its_workers_is_told(cause: Event, told: str) -> None:
    commands = {"1": Record("1", "call", "mail", b'["eu"]', "f.py:1")}

    assert told == happened(Transition(3, AT, cause), commands)[1]


def test_a_command_that_is_nested_too_deeply_is_still_told() -> None:
    record = Record("1", "annotate", "", b'{"at":' * 3_000 + b"1" + b"}" * 3_000, "f.py:1")

    assert happened(Transition(1, AT, Refused("1", "no")), {"1": record})[1].endswith("[1] was refused: no")
