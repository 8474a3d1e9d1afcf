"""What each command and each event does, each rule by an example."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from interp import (
    Cancelled,
    RunInfo,
    SignalPayloadError,
    Workflow,
    activity,
    annotate,
    await_signal,
    call,
    continue_as,
    gather,
    now,
    patched,
    race,
    random,
    run_info,
    sleep,
    sleep_until,
    spawn,
    uuid,
    workflow,
)
from interp.commands import Command
from interp.errors import JournalCorrupt, NondeterminismError, SignalTimeout, UndecodableHistory, UsageError
from interp.events import (
    AttemptFailed,
    Completed,
    ContinuedAs,
    Event,
    Failed,
    Failure,
    Fired,
    Rejected,
    Resolved,
    Started,
    Transition,
)
from interp.interpreter import UnexpectedEvent
from interp.replay import replay
from tests.core.driving import EPOCH, Driver, issued, play, replayed

SECOND = timedelta(seconds=1)


@activity
def work(name: str) -> str:
    return name


def result_of(driver: Driver) -> bytes:
    outcome = driver.outcome
    assert isinstance(outcome, Completed), outcome
    return outcome.payload


# --- the worked history of the module's docstring ---


@activity
def charge(order: dict[str, str]) -> str:
    return order["id"]


@activity
def mail(order: dict[str, str]) -> None: ...


@workflow
def checkout(order: dict[str, str]) -> Workflow[str]:
    receipt = yield from call(charge, order)
    yield from gather(call(mail, order), sleep(timedelta(hours=1)))
    return receipt


def test_the_worked_history_is_what_happens() -> None:
    driver = play(checkout, {"id": "42"})
    driver.returns("1", "r-9")
    driver.returns("2.0.1")
    driver.fires()
    assert [transition.index for transition in driver.history] == [0, 1, 2, 3]
    shown = [
        [f"{record.id} {record.kind} {record.target}{record.payload.decode()}" for record in transition.commands]
        for transition in driver.history
    ]
    assert shown == [['1 call charge[{"id":"42"}]'], ['2.0.1 call mail[{"id":"42"}]', "2.1.1 sleep [3600.0]"], [], []]
    assert driver.history[-1].outcome == Completed(b'"r-9"')


# --- ids ---


def test_every_command_but_patched_takes_a_number_of_its_fiber() -> None:
    @workflow
    def counting() -> Workflow[None]:
        yield from now()
        yield from random()
        yield from uuid()
        yield from run_info()
        yield from patched("change")
        yield from annotate(a=1)
        yield from gather()
        yield from call(work, "8th")

    driver = play(counting)
    assert issued(driver.last) == ["~change patched change", "5 annotate", "7 call work"]
    driver.close()


def test_both_spellings_of_a_command_are_one_command() -> None:
    @workflow
    def plain() -> Any:
        yield call(work, "a")

    @workflow
    def typed() -> Workflow[None]:
        yield from call(work, "a")

    driver = play(plain)
    again = replayed(driver, typed)
    assert driver.pending == list(again.interpreter.pending)
    again.interpreter.close()
    driver.close()


# --- signals ---


def test_a_call_is_never_changed() -> None:
    made = call(work, "tea")

    with pytest.raises(AttributeError):
        made.args = ("cup",)  # type: ignore[misc]  # what is refused
    assert "names" == made.options(compare="names").with_options.compare
    assert call(work, "tea") == made != call(work, "cup")


def test_signals_that_come_early_are_kept_in_order_and_each_is_taken_once() -> None:
    @workflow
    def late() -> Workflow[list[int]]:
        yield from sleep(SECOND)
        first = yield from await_signal("a", int)
        return [first, (yield from await_signal("a", int))]

    driver = play(late)
    driver.signals("a", 1)
    driver.signals("a", 2)
    driver.signals("b", 3)
    driver.fires()
    assert result_of(driver) == b"[1,2]"
    assert issued(driver.last) == ["2 await_signal a", "3 await_signal a"]
    assert {name: list(waiting) for name, waiting in driver.interpreter.mailbox.items()} == {"a": [], "b": [b"3"]}


def test_the_fiber_that_waits_longest_gets_the_signal() -> None:
    @workflow
    def two() -> Workflow[list[int]]:
        return list((yield from gather(await_signal("a", int), await_signal("a", int))))

    driver = play(two)
    driver.signals("a", 1)
    driver.signals("a", 2)
    assert result_of(driver) == b"[1,2]"


def test_a_fiber_that_no_longer_waits_gets_no_signal() -> None:
    @workflow
    def racing() -> Workflow[int]:
        yield from race(await_signal("a", int), sleep(SECOND))
        return (yield from await_signal("a", int))

    driver = play(racing)
    driver.fires()
    driver.signals("a", 1)
    assert result_of(driver) == b"1"


def test_a_signal_before_its_timeout_withdraws_the_timer() -> None:
    @workflow
    def waiting() -> Workflow[int]:
        value = yield from await_signal("a", int, timeout=SECOND)
        yield from call(work, "a")
        return value

    driver = play(waiting)
    driver.signals("a", 1)
    assert driver.interpreter.next_due is None
    driver.close()


def test_a_signal_after_its_timeout_waits_in_the_mailbox() -> None:
    @workflow
    def waiting() -> Workflow[str]:
        try:
            yield from await_signal("a", int, timeout=SECOND)
        except SignalTimeout as error:
            yield from sleep(SECOND)
            return f"{error}, then {(yield from await_signal('a', int))}"
        return "unreached"

    driver = play(waiting)
    driver.fires()
    driver.signals("a", 1)
    driver.fires()
    assert result_of(driver) == b"\"no signal 'a' within 1 s, then 1\""


def test_a_signal_of_another_type_is_an_error_at_the_yield_and_is_used_up() -> None:
    @workflow
    def strict() -> Workflow[str]:
        try:
            yield from await_signal("a", int)
        except SignalPayloadError as error:
            return f"{error.payload}, then {(yield from await_signal('a', int))}"
        return "unreached"

    for is_early in (False, True):
        driver = play(strict) if not is_early else Driver(play_definition(strict), mailbox=(("a", b'"one"'),))
        if not is_early:
            driver.signals("a", "one")
        driver.signals("a", 1)
        assert result_of(driver) == b"\"'one', then 1\""


def play_definition(fn: Any) -> Any:
    return fn.__interp_workflow__


# --- timers ---


def test_timers_that_are_due_together_fire_in_the_order_in_which_they_were_set() -> None:
    @workflow
    def three() -> Workflow[None]:
        yield from gather(sleep(SECOND), sleep(SECOND), sleep_until(EPOCH + SECOND), sleep(timedelta(0)))

    driver = play(three)
    fired = []
    while driver.outcome is None:
        due = driver.interpreter.next_due
        assert due is not None
        fired.append(driver.interpreter.due_timer(due))
        driver.fires()
    assert fired == ["1.3.1", "1.0.1", "1.1.1", "1.2.1"]


def test_no_timer_is_due_before_its_time() -> None:
    @workflow
    def waiting() -> Workflow[None]:
        yield from sleep(SECOND)

    driver = play(waiting)
    assert driver.interpreter.due_timer(EPOCH) is None
    assert driver.interpreter.due_timer(EPOCH + SECOND) == "1"
    driver.close()


def test_a_moment_in_the_past_fires_at_once() -> None:
    @workflow
    def late() -> Workflow[None]:
        yield from gather(sleep_until(datetime(1999, 1, 1, tzinfo=UTC)), sleep(-SECOND))

    driver = play(late)
    driver.fires()
    driver.fires()
    assert driver.now == EPOCH
    assert driver.outcome is not None


@pytest.mark.parametrize(
    "command", [lambda: sleep(timedelta.max), lambda: await_signal("a", timeout=timedelta.max)], ids=["sleep", "signal"]
)
def test_a_wait_beyond_the_calendar_is_refused_at_the_yield(command: Callable[[], Command[Any]]) -> None:
    @workflow
    def waiting() -> Workflow[str]:
        try:
            yield command()
        except UsageError as error:
            return str(error)
        return "unreached"

    assert b"from now is no date" in result_of(play(waiting))


# --- what is derived ---


def test_now_is_the_time_of_the_last_event() -> None:
    @workflow
    def watching() -> Workflow[list[datetime]]:
        first = yield from now()
        yield from call(work, "a")
        return [first, (yield from now()), (yield from now())]

    driver = play(watching)
    driver.returns("2", "A")
    later = EPOCH + SECOND
    assert driver.outcome is not None
    assert driver.interpreter.definition.arguments.result.decode(result_of(driver)) == [EPOCH, later, later]


def test_random_numbers_and_uuids_depend_on_seed_and_id_alone() -> None:
    @workflow
    def drawing() -> Workflow[tuple[float, UUID, float]]:
        return ((yield from random()), (yield from uuid()), (yield from random()))

    driver = play(drawing)
    one, two, three = driver.definition.arguments.result.decode(result_of(driver))
    assert 0 <= one < 1
    assert one != three
    assert (two.version, two.variant) == (4, "specified in RFC 4122")
    # As written in journals: these may never change.
    assert one == 0.48525520805101496
    assert str(two) == "8a6a6ac3-d586-41cf-9876-7f78d38a0ec3"


def test_run_info_tells_what_a_run_is() -> None:
    seen: list[RunInfo] = []

    @workflow
    def curious() -> Workflow[None]:
        yield from call(work, "a")
        seen.append((yield from run_info()))

    driver = play(curious)
    driver.returns("1", "A")
    assert seen == [RunInfo("run", "curious", EPOCH, 0)]


def test_annotations_add_up_and_are_told_by_the_step() -> None:
    @workflow
    def telling() -> Workflow[None]:
        yield from annotate(stage="one", left=2)
        yield from call(work, "a")
        yield from annotate(left=1)

    driver = play(telling)
    assert driver.last.annotated
    driver.returns("2", "A")
    assert driver.interpreter.state == {"stage": "one", "left": 1}
    driver.close()


def test_an_annotation_is_a_copy() -> None:
    fields: list[int] = [1]

    @workflow
    def telling() -> Workflow[None]:
        yield from annotate(numbers=fields)
        fields.append(2)
        yield from call(work, "a")

    driver = play(telling)
    assert driver.interpreter.state == {"numbers": [1]}
    driver.close()


# --- patched ---


@workflow(name="guarded")
def before() -> Workflow[str]:
    yield from call(work, "a")
    return (yield from call(work, "b"))


@workflow(name="guarded")
def after() -> Workflow[str]:
    if (yield from patched("first")):
        yield from annotate(new=True)
    yield from call(work, "a")
    if (yield from patched("second")):
        return "new"
    return (yield from call(work, "b"))


def test_patched_is_true_and_recorded_for_new_runs() -> None:
    driver = play(after)
    assert issued(driver.last) == ["~first patched first", "1 annotate", "2 call work"]
    driver.returns("2", "A")
    assert result_of(driver) == b'"new"'
    again = replayed(driver)
    assert again.interpreter.outcome == driver.outcome


def test_patched_is_false_where_an_old_history_passed_without_it() -> None:
    driver = play(before)
    driver.returns("1", "A")
    again = replayed(driver, after)
    assert list(again.interpreter.pending) == ["2"]
    again.interpreter.close()
    driver.close()


def test_patched_is_true_where_an_old_history_has_not_arrived_yet() -> None:
    driver = play(before)
    interpreter = replayed(driver, after).interpreter
    step = interpreter.feed(Resolved("1", b'"A"'), EPOCH)
    assert [each.record.target for each in step.commands] == ["second"]
    assert interpreter.outcome == Completed(b'"new"')
    driver.close()


def test_patched_is_recorded_once_for_each_change() -> None:
    @workflow
    def looping() -> Workflow[list[bool]]:
        seen = []
        for _ in range(3):
            seen.append((yield from patched("change")))
            yield from sleep(SECOND)
        return seen

    driver = play(looping)
    for _ in range(3):
        driver.fires()
    assert result_of(driver) == b"[true,true,true]"
    assert [record.id for transition in driver.history for record in transition.commands] == ["~change", "1", "2", "3"]
    replayed(driver)


def test_a_guard_that_no_run_needs_any_more_may_be_deleted() -> None:
    @workflow
    def unguarded() -> Workflow[str]:
        yield from annotate(new=True)
        yield from call(work, "a")
        return "new"

    driver = play(after)
    driver.returns("2", "A")
    assert replayed(driver, unguarded).interpreter.outcome == driver.outcome


def test_a_guard_that_is_deleted_with_the_new_code_is_a_divergence() -> None:
    driver = play(after)
    with pytest.raises(NondeterminismError):
        replayed(driver, before)
    driver.close()


# --- continue_as ---


@workflow
def rounds(left: int) -> Workflow[str]:
    info = yield from run_info()
    yield from annotate(left=left)
    if left == 0:
        first = yield from await_signal("a", str)
        return f"round {info.round} of {info.started_at:%H:%M:%S}, {first}"
    yield from sleep(SECOND)
    return (yield from continue_as(left - 1))


def test_a_run_that_continues_keeps_signals_state_and_its_first_start() -> None:
    driver = play(rounds, 2)
    driver.signals("a", "kept")
    driver.signals("a", "in order")
    driver.fires()
    first = driver.outcome
    assert isinstance(first, ContinuedAs)
    assert first.started.mailbox == (("a", b'"kept"'), ("a", b'"in order"'))
    assert (first.started.args, first.started.round, first.started.state) == (b"[1]", 1, b'{"left":2}')
    replayed(driver)
    driver.begin(first.started)
    driver.fires()
    second = driver.outcome
    assert isinstance(second, ContinuedAs)
    assert len({first.started.seed, second.started.seed}) == 2
    driver.begin(second.started)
    assert result_of(driver) == b'"round 2 of 00:00:00, kept"'
    assert driver.interpreter.state == {"left": 0}


def test_continue_as_is_refused_while_other_fibers_run() -> None:
    @workflow
    def busy() -> Workflow[str]:
        yield from spawn(sleep(SECOND))
        try:
            return (yield from continue_as())
        except UsageError as error:
            return str(error)

    driver = play(busy)
    driver.fires()
    assert result_of(driver) == b'"continue_as: fibers 1.0 are still running; join or cancel them first"'


def test_arguments_of_continue_as_are_checked_at_the_yield() -> None:
    @workflow
    def wrong(left: int) -> Workflow[str]:
        try:
            return (yield from continue_as("many"))
        except UsageError as error:
            return str(error)

    driver = play(wrong, 1)
    assert b"left" in result_of(driver)


def test_code_after_continue_as_does_not_run() -> None:
    log: list[str] = []

    @workflow
    def once() -> Workflow[None]:
        try:
            yield from continue_as()
        except Exception:  # noqa: BLE001  what the test is about
            log.append("caught")
        except Cancelled:
            log.append("cancelled")

    driver = play(once)
    assert isinstance(driver.outcome, ContinuedAs)
    assert log == []


# --- events that nobody waits for ---


@pytest.mark.parametrize(
    "event",
    [
        Resolved("9", b"null"),
        Resolved("1.1.1", b"null"),
        Rejected("9", Failure("builtins.OSError", ""), declared=False),
        Rejected("1.1.1", Failure("builtins.OSError", ""), declared=False),
        Fired("9"),
        Fired("1.0.1"),
        Fired("1.2.1"),
        AttemptFailed("9", 1, Failure("builtins.OSError", ""), EPOCH),
        AttemptFailed("1.1.1", 1, Failure("builtins.OSError", ""), EPOCH),
    ],
    ids=repr,
)
def test_an_event_that_answers_nothing_is_refused_and_changes_nothing(event: Event) -> None:
    @workflow
    def three() -> Workflow[None]:
        yield from gather(call(work, "a"), sleep(SECOND), await_signal("a"))

    driver = play(three)
    with pytest.raises(UnexpectedEvent):
        driver.interpreter.feed(event, EPOCH)
    assert driver.pending == ["1.0.1", "1.1.1", "1.2.1"]
    driver.returns("1.0.1", "A")
    driver.fires()
    driver.signals("a")
    assert driver.outcome is not None
    replayed(driver)


def test_a_result_that_does_not_decode_is_raised_past_the_workflow_and_changes_nothing() -> None:
    caught: list[BaseException] = []

    @workflow
    def greedy() -> Workflow[None]:
        try:
            yield from call(work, "a")
        except BaseException as error:
            caught.append(error)
            raise

    driver = play(greedy)
    with pytest.raises(UndecodableHistory, match=r"the recorded result of work \(command 1\) at record 1"):
        driver.interpreter.feed(Resolved("1", b"5"), EPOCH)
    assert caught == []
    assert driver.pending == ["1"]
    driver.close()


def test_arguments_that_do_not_decode_are_raised_before_anything_runs() -> None:
    history = [Transition(0, EPOCH, Started("rounds", b'["many"]', bytes(16)))]
    with pytest.raises(UndecodableHistory, match="argument of rounds"):
        replay(play_definition(rounds), history, run_id="run")


def test_attempts_and_lost_workers_move_nothing_and_are_counted() -> None:
    @workflow
    def working() -> Workflow[None]:
        yield from call(work, "a")

    driver = play(working)
    driver.retries("1")
    pending = driver.interpreter.pending["1"]
    assert (pending.attempt, pending.failures, pending.retry_at) == (2, 1, driver.now + timedelta(seconds=9))
    driver.loses_worker()
    assert pending.attempt == 2, "it had not begun yet"
    driver.now += timedelta(minutes=1)
    driver.loses_worker()
    assert (pending.attempt, pending.failures, pending.retry_at) == (3, 1, None)
    driver.close()


# --- histories that are none ---


def test_an_empty_history_is_refused() -> None:
    with pytest.raises(JournalCorrupt, match="it is empty"):
        replay(play_definition(checkout), [], run_id="run")


def test_a_history_with_a_gap_is_refused() -> None:
    driver = play(checkout, {"id": "42"})
    driver.returns("1", "r-9")
    driver.returns("2.0.1")
    history = driver.history
    with pytest.raises(JournalCorrupt, match="record 1 is followed by 2"):
        replay(driver.definition, [history[0], history[2]], run_id="run")
    with pytest.raises(JournalCorrupt, match="it begins with Resolved"):
        replay(driver.definition, history[1:], run_id="run")
    driver.close()


def test_a_history_that_goes_on_after_its_end_is_a_divergence() -> None:
    @workflow
    def quick() -> Workflow[None]:
        return
        yield

    @workflow
    def slow() -> Workflow[None]:
        yield from await_signal("a")

    driver = play(slow)
    driver.signals("b")
    with pytest.raises(NondeterminismError):
        replayed(driver, quick)
    driver.close()


def test_a_failed_run_replays_to_its_failure() -> None:
    @workflow
    def failing() -> Workflow[None]:
        yield from call(work, "a")
        raise KeyError("missing")

    driver = play(failing)
    driver.returns("1", "A")
    assert isinstance(driver.outcome, Failed)
    assert replayed(driver).interpreter.outcome == driver.outcome
