"""What a record tells, on one line, whatever was recorded."""

from datetime import UTC, datetime

import pytest

from interp.events import CancelRequested, Event, Failure, Record, Refused, Rejected, Retried, Transition
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


def test_a_command_that_is_nested_too_deeply_is_still_told() -> None:
    record = Record("1", "annotate", "", b'{"at":' * 3_000 + b"1" + b"}" * 3_000, "f.py:1")

    assert happened(Transition(1, AT, Refused("1", "no")), {"1": record})[1].endswith("[1] was refused: no")
