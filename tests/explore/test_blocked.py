"""What waits: told for each kind of wait, and grouped over runs."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from interp.events import AttemptFailed, Failure, Record, Started, Transition
from interp.explore import Journal
from interp.explore.blocked import Blocked
from interp.explore.finding import query
from interp.explore.run import read_run
from interp.explore.runs import runs_of
from interp.explore.waits import Wait, waits_of
from interp.histories import ExportedHistory, dump_history
from interp.runtime.live import microseconds
from interp.runtime.stores import open_store
from interp.schedules.book import CHANNEL, NAME
from interp.store import Append, Batch, Create, RunFilter, Status, Store
from tests.explore.flows import provision_fleet
from tests.explore.recording import BEGIN, CLOUD, keep, record

NOW = BEGIN + timedelta(minutes=40)
NOW_US = microseconds(NOW)
REFUSED = Failure("builtins.ConnectionError", "refused")


@pytest.fixture
def store() -> Iterator[Store]:
    opened = open_store("memory:")
    yield opened
    opened.close()


def reading(store: Store, run_id: str) -> Any:
    return read_run(store, run_id)


def one(store: Store, command: Record, *after: Transition, owner: str = "", status: Status = Status.WAITING) -> Wait:
    """What a run waits for whose first record has one command."""
    number = len(store.runs(RunFilter()))
    run_id = f"run-{number}"
    begun = Started("elsewhere", b"[]", bytes(16))
    keep(store, run_id, [Transition(0, BEGIN, begun, (command,)), *after], status)
    if owner:
        store.unpark(run_id, NOW_US)
        store.claim(owner, 10, NOW_US, -1)
    (wait,) = waits_of(reading(store, run_id), NOW)
    return wait


def test_a_signal_names_the_command_that_sends_it(store: Store) -> None:
    wait = one(store, Record("1", "await_signal", "approve", b"[60]", "x.py:7"))

    assert ("signal", "signal 'approve'", "x.py:7") == (wait.kind, wait.what, wait.where)
    assert "`interp signal run-0 approve VALUE --store memory:`" in wait.wakes
    assert timedelta(minutes=40) == NOW - wait.since


@pytest.mark.parametrize(
    ("command", "wakes"),
    [
        (
            Record("1", "await_signal", "approve", b"[60]", "x.py:7"),
            "a signal where its store is, or a worker: its time",
        ),
        (Record("1", "await_signal", "approve", b"[null]", "x.py:7"), "a signal where its store is"),
        (Record("1", "await_request", "quote", b"[]", "x.py:7"), "a request where its store is"),
        (Record("1", "call", "charge", b"[]", "x.py:7"), "a worker where its store is"),
        (Record("1", "child", "mail", b'[[],"other","cancel"]', "x.py:7"), "its end"),
    ],
    ids=["signal with a timeout", "signal", "request", "call", "child"],
)
def test_of_an_exported_history_nothing_is_suggested_that_cannot_work(
    tmp_path: Path, command: Record, wakes: str
) -> None:
    history = (Transition(0, BEGIN, Started("elsewhere", b"[]", bytes(16)), (command,)),)
    path = tmp_path / "run.history.jsonl"
    path.write_text(dump_history(ExportedHistory("run", "elsewhere", history)))
    with Journal(path) as journal:
        (wait,) = waits_of(journal["run"], NOW)

    assert wait.wakes.startswith(wakes)
    assert "`" not in wait.wakes
    assert "" == wait.detail


def test_the_type_of_a_signal_is_known_where_the_code_is(store: Store) -> None:
    keep(store, "prov", record(provision_fleet, "eu", ["web-1"], world=CLOUD, until=timedelta(minutes=30)))
    signal, timer = waits_of(reading(store, "prov"), NOW)

    assert ("bool", "timer") == (signal.detail, timer.kind)
    assert "approve true" in signal.wakes
    assert signal.source.startswith("which, answer = yield from race(")


def test_a_timer_says_when_or_how_late_it_is(store: Store) -> None:
    soon = one(store, Record("1", "sleep", "", b"[7200]", "x.py:7"))
    late = one(store, Record("1", "sleep", "", b"[60]", "x.py:7"))

    assert "in 1 h 20 min" == soon.wakes
    assert "a worker: its time came 39 min ago" == late.wakes


def test_a_signal_whose_timeout_is_past_waits_for_a_worker_too(store: Store) -> None:
    wait = one(store, Record("1", "await_signal", "approve", b"[60]", "x.py:7"))
    late = one(store, Record("1", "await_signal", "approve", b"[7200]", "x.py:7"))

    assert wait.wakes.endswith("`, or a worker: its time came 39 min ago")
    assert late.wakes.endswith("`, or its timeout in 1 h 20 min")


def test_a_schedule_waits_for_its_next_time_and_for_no_signal_of_yours(store: Store) -> None:
    begun = Transition(
        0, BEGIN, Started(NAME, b"[]", bytes(16)), (Record("1", "await_signal", CHANNEL, b"[7200]", ""),)
    )
    keep(store, "nightly", [begun], Status.WAITING)
    (wait,) = waits_of(reading(store, "nightly"), NOW)

    assert "its next time, in 1 h 20 min; `interp schedule show nightly --store memory:`" == wait.wakes


def test_a_call_says_why_it_failed_before(store: Store) -> None:
    call = Record("1", "call", "charge", b'["42"]', "x.py:7")
    failed = Transition(1, BEGIN, AttemptFailed("1", 1, REFUSED, NOW + timedelta(minutes=5)))
    again = Transition(1, BEGIN, AttemptFailed("1", 1, REFUSED, NOW - timedelta(minutes=5)))
    paused = one(store, call, failed)
    at_work = one(store, call, again)

    assert ("retry", "call charge('42')", "in 5 min") == (paused.kind, paused.what, paused.wakes)
    assert "attempt 2; the last failure: ConnectionError: refused" == paused.detail
    assert ("call", timedelta(minutes=5)) == (at_work.kind, NOW - at_work.since)
    assert "a worker: none has the run" == at_work.wakes


def test_a_call_at_work_says_whether_its_worker_is_alive(store: Store) -> None:
    call = Record("1", "call", "charge", b'["42"]', "x.py:7")
    wait = one(store, call, owner="w2")
    store.renew("w2", NOW_US, 10**9)
    alive = waits_of(reading(store, wait.run_id), NOW)[0]

    assert "another worker: w2 is dead" == wait.wakes
    assert "worker w2, which is alive, is at work on it" == alive.wakes


def test_a_child_says_how_it_stands(store: Store) -> None:
    keep(store, "the-child", [Transition(0, BEGIN, Started("x", b"[]", bytes(16)))], Status.WAITING)
    wait = one(store, Record("1", "child", "x", b'[[],"the-child",null]', "x.py:7"))
    gone = one(store, Record("1", "child", "x", b'[[],"nobody",null]', "x.py:7"))

    assert "it is waiting" == wait.detail
    assert "`interp show the-child --store memory:`" in wait.wakes
    assert "there is no such run" == gone.detail


def test_requests_and_messages_wait_too(store: Store) -> None:
    request = one(store, Record("1", "await_request", "status", b"[null]", "x.py:7"))
    send = one(store, Record("1", "send", "go", b'["other",1]', "x.py:7"))

    assert "`interp ask run-0 status --store memory:`" == request.wakes
    assert ("send", "a worker: none has the run") == (send.kind, send.wakes)


def test_a_run_that_nobody_took_up_and_one_that_begins_later(store: Store) -> None:
    store.create(Create("new", "elsewhere", b"", b""), microseconds(BEGIN))
    (wait,) = waits_of(reading(store, "new"), NOW)

    assert ("worker", "a worker to take it up") == (wait.kind, wait.what)
    assert "a worker that has 'elsewhere': `interp worker MODULE --store memory:`" == wait.wakes


def test_a_parked_run_gives_its_reason(store: Store) -> None:
    store.create(Create("p", "elsewhere", b"", b"", worker="w"), microseconds(BEGIN))
    append = Append(
        "p", 1, 0, [], Status.PARKED, None, microseconds(BEGIN), reason="run 'p' diverged\n  more", misfit=True
    )
    assert [] == store.commit(Batch(appends=[append]), microseconds(BEGIN))
    (wait,) = waits_of(reading(store, "p"), NOW)

    assert ("parked: run 'p' diverged", "parked: run … diverged") == (wait.what, wait.like)
    assert "a deploy that fits it, or `interp retry p --store memory:`, when the cause is mended" == wait.wakes


def test_what_has_ended_waits_for_nothing(store: Store) -> None:
    keep(store, "done", record(provision_fleet, "eu", ["web-1"], world=CLOUD))
    run = reading(store, "done")

    assert [] == waits_of(run, NOW)
    assert "nothing waits" == run.blocked().text()


def many(store: Store, number: int) -> Blocked:
    for each in range(number):
        begun = BEGIN + timedelta(seconds=each)
        command = Record("1", "await_signal", "approve", b"[null]", "x.py:7")
        keep(store, f"order-{each}", [Transition(0, begun, Started("elsewhere", b"[]", bytes(16)), (command,))])
    asked = query(None, "open", None, None, None, 1_000, newest=False, now=NOW)
    return runs_of(store, asked).blocked(now=NOW)


def test_what_waits_alike_is_told_once_and_the_oldest_first(store: Store) -> None:
    one(store, Record("1", "sleep", "", b"[7200]", "x.py:9"))
    blocked = many(store, 200)

    assert [1, 200] == [len(group.waits) for group in blocked.groups]
    assert "order-0" == blocked.groups[1].oldest.run_id
    assert "order-0, order-1, order-2 and 197 more" in blocked.text()
    assert " 200× elsewhere  signal 'approve'  for 40 min" in blocked.text()
    assert "201 open runs, 201 waits in 2 groups" in blocked.html()
    assert blocked.html().count("<tr>") == 3


def test_a_report_says_that_there_are_more(store: Store) -> None:
    many(store, 3)
    asked = query(None, "open", None, None, None, 2, newest=False, now=NOW)

    assert (
        "2 open runs, 2 waits in 1 group; there are more runs than were read" in runs_of(store, asked).blocked().text()
    )


def test_a_run_tells_of_itself(store: Store) -> None:
    keep(store, "prov", record(provision_fleet, "eu", ["web-1"], world=CLOUD, until=timedelta(minutes=30)))
    run = reading(store, "prov")

    assert ["signal 'approve'", "sleep 1 d"] == [group.oldest.what for group in run.blocked(now=NOW).groups]
