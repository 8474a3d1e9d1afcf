"""A run in a worker's memory: what it hands to the store."""

from datetime import UTC, datetime

from interp import Workflow, activity, call, emit, workflow
from interp.definitions import workflow_of
from interp.events import Resolved, Started
from interp.runtime.live import LiveRun

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@activity
def double(number: int) -> int:
    return 2 * number


@workflow
def tells(number: int) -> Workflow[None]:
    doubled = yield from call(double, number)
    yield from emit("numbers", doubled)
    yield from call(double, doubled)


def test_what_was_handed_to_the_store_stays_as_it_was() -> None:
    run = LiveRun.begin("run", workflow_of(tells), Started("tells", b"[1]", b"seed"), 1, NOON)
    run.consumed.append(0)
    first = run.append(0, draining=False)
    run.committed()
    run.feed(Resolved("1", b"2"), NOON)
    second = run.append(1, draining=False)
    run.committed()
    run.consumed.append(1)

    assert ([0], []) == ([*first.consumed], [*first.emits])
    assert ([], ["numbers"]) == ([*second.consumed], [item.topic for item in second.emits])
    assert [1, 1] == [len(first.records), len(second.records)]
