"""The fold from records to a tree, and how it is laid out."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from interp.events import (
    AttemptFailed,
    CancelRequested,
    Completed,
    Event,
    Failed,
    Failure,
    Fired,
    Outcome,
    Record,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
    WasCancelled,
    WorkerLost,
)
from interp.outline.nodes import State
from interp.outline.rows import Limits, Tone, rows_of
from interp.outline.tree import Tree, tree_of
from interp.runtime.live import microseconds
from interp.runtime.repeated import repeated_calls
from interp.store import RunRow, Status
from interp.terminal import RunPage, show_page

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = Started("checkout", b'[{"id":"42","cents":1999}]', b"s" * 16, worker="host-1")
REFUSED = Failure("builtins.ConnectionError", "refused\nby the gateway", "Traceback ...\nConnectionError: refused")
GOLDEN = Path(__file__).parent / "golden" / "show.txt"


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def call(command_id: str, name: str = "charge", payload: bytes = b'["42"]') -> Record:
    return Record(command_id, "call", name, payload, "checkout.py:41")


def sleep(command_id: str, seconds: float = 1.0) -> Record:
    return Record(command_id, "sleep", "", f"[{seconds}]".encode(), "checkout.py:42")


def signal(command_id: str, name: str = "approve", timeout: str = "null") -> Record:
    return Record(command_id, "await_signal", name, f"[{timeout}]".encode(), "checkout.py:43")


Told = tuple[float, Event, list[Record]] | tuple[float, Event, list[Record], Outcome]


def history(*told: Told) -> list[Transition]:
    """Transitions from (second, cause, commands) and perhaps an outcome; the start is put before."""
    return [
        Transition(index, at(second), cause, tuple(commands), rest[0] if rest else None)
        for index, (second, cause, commands, *rest) in enumerate(told)
    ]


def states(tree: Tree) -> dict[str, str]:
    return {command_id: node.state.value for command_id, node in tree.nodes.items()}


def lines(tree: Tree, limits: Limits | None = None, fiber: str = "") -> list[str]:
    told: list[str] = []
    for row in rows_of(tree, at(100), limits or Limits(), fiber):
        inside = "" if row.inside is None else f"({row.inside})"
        told.append(f"{row.guide}{row.id} {row.head}{inside} {row.answer}{row.tail}".rstrip())
    return told


# --- the fold -----------------------------------------------------------------------------------


def test_a_call_waits_until_it_is_answered() -> None:
    tree = tree_of(history((0, START, [call("1")])))
    assert {"1": "waits"} == states(tree)
    assert ["1"] == list(tree.waiting)

    tree.add(Transition(1, at(2), Resolved("1", b'"r"', 1, at(1)), (sleep("2"),)))

    assert {"1": "done", "2": "waits"} == states(tree)
    assert (b'"r"', at(2), at(1)) == (tree.nodes["1"].payload, tree.nodes["1"].ended, tree.nodes["1"].begun)
    assert at(3) == tree.nodes["2"].due


def test_failed_attempts_stay_with_their_call() -> None:
    tree = tree_of(
        history(
            (0, START, [call("1")]),
            (1, AttemptFailed("1", 1, REFUSED, at(3), at(0)), []),
            (4, Rejected("1", REFUSED, declared=False, attempt=2, begun=at(3)), [], Failed(REFUSED)),
        )
    )

    node = tree.nodes["1"]
    assert State.FAILED is node.state
    assert 2 == node.attempt
    assert [(1, at(0), at(1), at(3))] == [(a.number, a.begun, a.ended, a.retry_at) for a in node.tries]


def test_a_lost_worker_leaves_attempts_with_an_unknown_outcome() -> None:
    tree = tree_of(
        history(
            (0, START, [call("1.0.1"), call("1.1.1"), sleep("1.2.1", 60)]),
            (1, AttemptFailed("1.1.1", 1, REFUSED, at(30)), []),
            (2, WorkerLost("host-1", "host-2"), []),
        )
    )

    assert [(1, None)] == [(a.number, a.failure) for a in tree.nodes["1.0.1"].tries]
    assert 2 == tree.nodes["1.0.1"].attempt
    assert 1 == len(tree.nodes["1.1.1"].tries)  # it was not in flight
    assert [] == tree.nodes["1.2.1"].tries


def test_signals_go_to_the_oldest_waiter_and_else_to_the_mailbox() -> None:
    tree = tree_of(
        history(
            (0, START, [signal("1.0.1"), signal("1.1.1")]),
            (1, Signalled("approve", b"1"), []),
            (2, Signalled("other", b"2"), []),
        )
    )

    assert {"1.0.1": "done", "1.1.1": "waits"} == states(tree)
    assert [("other", b"2", at(2))] == [(letter.name, letter.payload, letter.at) for letter in tree.mailbox]


def test_a_signal_that_came_early_answers_at_once() -> None:
    tree = tree_of(
        history(
            (0, START, [call("1")]),
            (1, Signalled("approve", b"true"), []),
            (2, Resolved("1", b"null"), [signal("2"), signal("3")]),
        )
    )

    assert {"1": "done", "2": "done", "3": "waits"} == states(tree)
    assert (b"true", at(1)) == (tree.nodes["2"].payload, tree.nodes["2"].early)
    assert [] == tree.mailbox


def test_the_signals_of_earlier_rounds_are_in_the_mailbox() -> None:
    start = Started("checkout", b"[]", b"s", mailbox=(("approve", b"1"),), round=2)

    assert ["approve"] == [letter.name for letter in tree_of(history((0, start, []))).mailbox]


def test_a_timeout_of_a_signal_is_no_sleep() -> None:
    tree = tree_of(
        history((0, START, [signal("1", timeout="5.0")]), (5, Fired("1"), [sleep("2")]), (6, Fired("2"), []))
    )

    assert {"1": "timed out", "2": "done"} == states(tree)


def test_losers_of_a_race_are_withdrawn_when_its_owner_goes_on() -> None:
    tree = tree_of(history((0, START, [signal("1.0.1"), sleep("1.1.1")]), (1, Fired("1.1.1"), [call("2")])))

    assert {"1.0.1": "withdrawn", "1.1.1": "done", "2": "waits"} == states(tree)


def test_losers_are_withdrawn_by_the_next_group_too() -> None:
    issued = [call("2.0.1"), call("2.1.1")]
    tree = tree_of(history((0, START, [signal("1.0.1"), sleep("1.1.1")]), (1, Fired("1.1.1"), issued)))

    assert ["2.0.1", "2.1.1"] == list(tree.waiting)


def test_a_spawned_fiber_that_begins_late_does_not_end_what_its_owner_went_on_with() -> None:
    assert ["2", "1.0.1"] == list(tree_of(history((0, START, [call("2"), call("1.0.1")]))).waiting)


def test_nested_losers_are_withdrawn_too() -> None:
    start = [signal("1.0.1.0.1"), signal("1.0.1.1.1"), sleep("1.1.1")]
    tree = tree_of(history((0, START, start), (1, Fired("1.1.1"), [call("2")])))

    assert ["2"] == list(tree.waiting)


def test_a_spawned_fiber_goes_on_beside_its_owner() -> None:
    tree = tree_of(history((0, START, [call("2"), call("1.0.1")]), (1, Resolved("2", b"1"), [call("3")])))

    assert ["1.0.1", "3"] == list(tree.waiting)


def test_cleanup_ends_what_its_fiber_waited_for() -> None:
    tree = tree_of(
        history((0, START, [call("1.0.1"), call("1.1.1")]), (1, Rejected("1.0.1", REFUSED, True), [call("1.1.2")]))
    )

    assert {"1.0.1": "failed", "1.1.1": "withdrawn", "1.1.2": "waits"} == states(tree)


def test_a_cancellation_withdraws_what_waits_and_a_second_one_does_not() -> None:
    tree = tree_of(
        history(
            (0, START, [call("1.0.1"), sleep("1.1.1")]),
            (1, CancelRequested("enough"), [call("2", "tidy")]),
            (2, CancelRequested("really"), []),
        )
    )

    assert {"1.0.1": "withdrawn", "1.1.1": "withdrawn", "2": "waits"} == states(tree)
    assert ["enough", "really"] == [at.event.reason for at in tree.happenings if isinstance(at.event, CancelRequested)]


def test_the_end_of_the_run_leaves_nothing_waiting() -> None:
    tree = tree_of(history((0, START, [sleep("1")]), (1, CancelRequested(), [], WasCancelled(""))))

    assert {} == tree.waiting


def test_a_later_answer_corrects_what_was_concluded() -> None:
    # Cleanup of a task that was cancelled before the run was: the request does not touch it.
    tree = tree_of(history((0, START, [call("1")]), (1, CancelRequested(), []), (2, Resolved("1", b"7"), [])))

    assert {"1": "done"} == states(tree)


def test_patched_belongs_to_no_fiber_and_ends_nothing() -> None:
    patched = Record("~new.mail", "patched", "new.mail", b"[]", "checkout.py:44")
    tree = tree_of(history((0, START, [call("2"), patched, call("1.0.1")])))

    assert {"2": "waits", "~new.mail": "done", "1.0.1": "waits"} == states(tree)
    assert "patched 'new.mail'" in [line.strip() for line in lines(tree)]


def test_an_answer_to_an_unknown_command_is_passed_over() -> None:
    tree = tree_of(
        history((0, START, []), (1, Resolved("9", b"1"), []), (2, AttemptFailed("9", 1, REFUSED, at(3)), []))
    )

    assert 3 == tree.length


# --- the rows -----------------------------------------------------------------------------------


def test_branches_hang_below_the_command_that_started_them() -> None:
    tree = tree_of(
        history(
            (0, START, [call("1")]),
            (1, Resolved("1", b"1"), [call("2.0.1"), call("2.1.1")]),
            (2, Resolved("2.0.1", b"2"), [call("2.0.2.0.1"), call("2.0.2.1.1")]),
        )
    )

    assert [
        "1 call charge('42') → 1",
        "2 2 branches at work",
        "├─ 2.0.1 call charge('42') → 2",
        "│  2.0.2 2 branches at work",
        "│  ├─ 2.0.2.0.1 call charge('42') …",
        "│  └─ 2.0.2.1.1 call charge('42') …",
        "└─ 2.1.1 call charge('42') …",
    ] == lines(tree)
    assert ["2.1.1 call charge('42') …".strip()] == [line.strip() for line in lines(tree, fiber="2.1")]
    assert 3 == len(lines(tree, fiber="2.0.2"))
    assert ["1 call charge('42') → 1"] == lines(tree, fiber="1")


def test_finished_branches_beyond_the_limit_are_counted() -> None:
    issued = [call(f"1.{slot}.1") for slot in range(120)]
    answers: list[Told] = [(slot, Resolved(f"1.{slot}.1", b"1"), []) for slot in range(120) if slot not in (50, 70)]
    tree = tree_of(history((0, START, issued), (0.5, AttemptFailed("1.9.1", 1, REFUSED, at(1)), []), *answers))

    shown = lines(tree)

    assert "1 120 branches 118 ended, 2 at work" == shown[0]
    assert ["├─ 1.0.1", "├─ 1.1.1", "├─ 1.2.1", "├─ 1.50.1", "├─ 1.70.1"] == [
        " ".join(line.split()[:2]) for line in shown[1:-1]
    ]
    assert "└─  … 115 more branches: 115 commands done, 1 retry" == shown[-1]
    assert 122 == len(lines(tree, Limits.none()))  # the headline, all branches, and the attempt


def test_a_long_row_of_commands_shows_its_ends_and_its_failures() -> None:
    told: list[Told] = [(0, START, [call("1")])]
    for number in range(1, 200):
        answer = Rejected(str(number), REFUSED, declared=True) if number == 100 else Resolved(str(number), b"1")
        told.append((number, answer, [call(str(number + 1))]))
    shown = rows_of(tree_of(history(*told)), at(300), Limits())

    assert ["1", "2", "3", "", "100", "", *map(str, range(189, 201))] == [row.id for row in shown]
    assert ["… 96 more commands, all done", "… 88 more commands, all done"] == [
        row.head for row in shown if row.tone is Tone.MORE
    ]


def test_what_happened_to_the_run_stands_where_it_happened() -> None:
    tree = tree_of(
        history(
            (0, START, [call("1.0.1"), call("1.1.1")]),
            (1, Resolved("1.0.1", b"1"), []),
            (2, Resolved("1.1.1", b"1"), [call("2")]),
            (3, WorkerLost("a", "b"), []),
            (4, Resolved("2", b"1"), [call("3.0.1"), call("3.1.1")]),
        )
    )

    heads = [row.id or row.head for row in rows_of(tree, at(9), Limits())]

    assert ["1", "1.0.1", "1.1.1", "2", "attempt 1", "worker lost", "3", "3.0.1", "3.1.1"] == heads


def test_tracebacks_of_calls_are_shown_on_demand() -> None:
    tree = tree_of(history((0, START, [call("1")]), (1, Rejected("1", REFUSED, declared=False), [])))

    assert 1 == len(lines(tree))
    assert 3 == len(lines(tree, Limits.none()))


# --- the page -----------------------------------------------------------------------------------


def rich_history() -> list[Transition]:
    """A bit of everything."""
    payload = b'[{"id":"42","cents":1999,"lines":["one of a kind","two of another","three of the last"]}]'
    annotate = Record("1", "annotate", "", b'{"stage":"charging"}', "checkout.py:40")
    patched = Record("~crm", "patched", "crm", b"[]", "checkout.py:44")
    branches = [call(f"4.{slot}.1", "reserve", f"[{slot}]".encode()) for slot in range(12)]
    told: list[Told] = [
        (0, START, [annotate, call("2", "charge_payment", payload)]),
        (0.3, AttemptFailed("2", 1, REFUSED, at(1.3), at(0.1)), []),
        (1.5, WorkerLost("host-1", "host-2"), []),
        (2, Signalled("approve", b'{"by":"ann"}'), []),
        (2.5, Resolved("2", b'"receipt-42"', 3, at(2.1)), [signal("3.0.1", "paid"), sleep("3.1.1", 2.0)]),
        (4.5, Fired("3.1.1"), [patched, *branches]),
        *[(5 + slot / 10, Resolved(f"4.{slot}.1", b"true"), []) for slot in range(10)],
        (6, Rejected("4.10.1", Failure("shop.SoldOut", "none left"), declared=True), []),
        (6.1, Resolved("4.11.1", b"true"), [signal("5"), signal("6", timeout="90.0"), call("7.0.1", "mail", b"[]")]),
        (6.2, Signalled("hurry", b'"please \\u001b[31m"'), []),
    ]
    return history(*told)


def page(records: list[Transition], status: Status, *, width: int = 100, now: float = 66.1, reason: str = "") -> str:
    row = RunRow(
        id="order-42",
        workflow="checkout",
        digest=b"",
        status=status,
        length=len(records),
        due_us=None,
        owner="host-2",
        token=2,
        created_us=microseconds(NOON),
        updated_us=microseconds(records[-1].at),
        attributes=b'{"stage":"charging"}',
        reason=reason,
    )
    file = io.StringIO()
    out = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    show_page(
        out,
        RunPage(row, "lmdb:.interp", tree_of(records), at(now), Limits(), zone=UTC, repeated=repeated_calls(records)),
    )
    return file.getvalue()


def test_the_page_of_a_run_is_as_it_was_when_somebody_liked_it() -> None:
    assert GOLDEN.read_text() == page(rich_history(), Status.WAITING)


@pytest.mark.parametrize("width", [60, 80, 100, 160])
def test_the_page_keeps_to_the_width_and_sends_no_control_characters(width: int) -> None:
    shown = page(rich_history(), Status.WAITING, width=width)

    assert max(map(len, shown.splitlines())) <= max(width, 84)
    assert all(char.isprintable() for char in shown.replace("\n", ""))


def test_the_page_of_a_failed_run_ends_with_the_workflows_own_lines() -> None:
    trace = 'Traceback (most recent call last):\n  File "shop.py", line 3, in checkout\nValueError: no\x1b'
    records = history((0, START, [], Failed(Failure("builtins.ValueError", "no", trace))))

    *_, first, second, third = page(records, Status.FAILED).splitlines()

    assert "failed: ValueError: no" == first
    assert "Traceback (most recent call last):" == second
    assert '  File "shop.py", line 3, in checkout' == third


def test_the_page_of_a_parked_run_has_the_whole_reason() -> None:
    reason = "run 'order-42' diverged\n  recorded: call a()\n  yielded:  call b()\nGuard the change."

    shown = page(history((0, START, [call("1")])), Status.PARKED, reason=reason)

    assert reason in shown
    assert "`interp retry order-42` releases it" in shown
    assert "waits for" not in shown


def test_the_page_of_a_completed_run_ends_with_its_result() -> None:
    shown = page(history((0, START, [], Completed(b'{"ok":true}'))), Status.COMPLETED)

    assert shown.endswith("completed: {'ok': True}\n")
