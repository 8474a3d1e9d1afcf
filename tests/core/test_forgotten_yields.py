"""Mistakes are told at the line that made them, with the cure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

import interp
from interp import (
    Workflow,
    activity,
    annotate,
    call,
    gather,
    patched,
    sleep,
    workflow,
)
from interp.commands import Task
from interp.events import Completed, Failed
from tests.core.driving import Driver, play

SECOND = timedelta(seconds=1)


@activity
def charge(order: str) -> str:
    return order


@activity
async def mail(order: str) -> None: ...


def part(order: str) -> Workflow[str]:
    return (yield from call(charge, order))


def complaint_of(driver: Driver) -> tuple[str, str, str]:
    """Return the type, the message and the traceback of a failure."""
    outcome = driver.outcome
    assert isinstance(outcome, Failed), outcome
    failure = outcome.failure
    return failure.type_name.rpartition(".")[2], failure.message, failure.traceback


@pytest.mark.parametrize(
    ("value", "cure"),
    [
        (5, "A workflow yields commands only: call(...)"),
        (None, "A workflow yields commands only: call(...)"),
        (part("7"), "`yield from part(...)`"),
        (Task("1.0"), "Write `yield from join(task)`"),
        ([call(charge, "7")], "Write `yield from gather(*parts)`"),
        (charge, "Write `yield from call(fn, ...)`"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_is_no_command_is_refused_at_its_yield_with_a_cure(value: Any, cure: str) -> None:
    @workflow
    def wrong() -> Any:
        yield value

    kind, message, traceback = complaint_of(play(wrong))
    line = wrong.__code__.co_firstlineno + 2
    assert kind == "NotACommand"
    assert message.startswith(f"test_forgotten_yields.py:{line} yielded ")
    assert cure in message
    assert f"line {line}, in " in traceback


def test_a_coroutine_is_refused_with_a_cure() -> None:
    @workflow
    def wrong() -> Any:
        coroutine = mail("7")
        try:
            yield coroutine
        finally:
            coroutine.close()

    assert "Call an async activity with `yield from call(fn, ...)`" in complaint_of(play(wrong))[1]


def test_the_workflow_may_catch_the_refusal_and_go_on() -> None:
    @workflow
    def careful() -> Any:
        try:
            yield 5
        except TypeError:
            return (yield from call(charge, "7"))

    driver = play(careful)
    assert driver.pending == ["1"]
    driver.close()


@pytest.mark.parametrize("made", [lambda: call(charge, "7"), lambda: part("7")], ids=["command", "generator"])
def test_a_command_that_is_returned_is_a_forgotten_yield(made: Callable[[], Any]) -> None:
    @workflow
    def forgetful() -> Any:
        yield from sleep(SECOND)
        return made()

    driver = play(forgetful)
    driver.fires()
    kind, message, _ = complaint_of(driver)
    assert kind == "ForgottenYield"
    assert message.startswith(f"test_forgotten_yields.py:{forgetful.__code__.co_firstlineno}: ")
    assert "was returned by forgetful\n  Did you mean `yield from " in message


def test_a_command_that_a_branch_returns_is_a_forgotten_yield() -> None:
    def branch() -> Any:
        yield from sleep(SECOND)
        return call(charge, "7")

    @workflow
    def forgetful() -> Workflow[None]:
        yield from gather(branch())

    driver = play(forgetful)
    driver.fires()
    assert complaint_of(driver)[0] == "ForgottenYield"


@pytest.mark.parametrize(
    "use",
    [
        lambda command: f"receipt {command}",
        "receipt {}".format,
        lambda command: "receipt " + str(command),
        lambda command: "receipt %s" % command,  # noqa: UP031
        print,
    ],
    ids=["f-string", "format", "str", "percent", "print"],
)
def test_a_command_that_is_made_into_a_string_is_a_forgotten_yield(use: Callable[[Any], Any]) -> None:
    @workflow
    def forgetful() -> Workflow[None]:
        yield from sleep(SECOND)
        use(call(charge, "7"))

    driver = play(forgetful)
    driver.fires()
    kind, message, traceback = complaint_of(driver)
    assert kind == "ForgottenYield"
    assert "call(charge, ...) was made into a string instead of being yielded" in message
    assert f"line {forgetful.__code__.co_firstlineno + 3}, in " in traceback


@pytest.mark.parametrize("made", [lambda: call(charge, "7"), lambda: part("7")], ids=["command", "generator"])
def test_a_command_as_an_argument_is_refused_at_the_yield(made: Callable[[], Any]) -> None:
    @workflow
    def forgetful() -> Workflow[None]:
        yield from call(charge, made())

    kind, message, traceback = complaint_of(play(forgetful))
    assert kind == "NotEncodable"
    assert "order" in message
    assert f"line {forgetful.__code__.co_firstlineno + 2}, in " in traceback


def test_a_wrong_argument_inside_a_gather_is_told_at_the_line_of_the_gather() -> None:
    @workflow
    def wrong() -> Workflow[None]:
        yield from gather(call(charge, "7"), call(charge, 7))  # type: ignore[call-overload]  # what is tested

    kind, _, traceback = complaint_of(play(wrong))
    assert kind == "NotEncodable"
    assert f"line {wrong.__code__.co_firstlineno + 2}, in " in traceback


def test_missing_arguments_are_told_at_the_yield() -> None:
    @workflow
    def wrong() -> Workflow[None]:
        yield from call(charge)  # type: ignore[call-overload]  # what is tested

    kind, message, traceback = complaint_of(play(wrong))
    assert (kind, message) == ("TypeError", "charge(order: 'str') -> 'str': missing a required argument: 'order'")
    assert f"line {wrong.__code__.co_firstlineno + 2}, in " in traceback


def test_a_function_without_a_signature_is_refused_at_the_yield() -> None:
    @workflow
    def wrong() -> Workflow[None]:
        yield from call(dict)

    kind, message, _ = complaint_of(play(wrong))
    assert kind == "ValueError"
    assert "no signature found" in message


def test_wrong_arguments_are_refused_where_they_are_written() -> None:
    untyped: Any = interp
    wrong: list[tuple[Callable[[], object], str]] = [
        (lambda: untyped.sleep(5), "write timedelta(seconds=5)"),
        (lambda: untyped.sleep_until(timedelta(5)), "there is sleep(timedelta(...))"),
        (lambda: untyped.sleep_until(datetime(2026, 1, 1)), "needs an aware datetime"),  # noqa: DTZ001  what is tested
        (lambda: untyped.await_signal("a", timeout=5), "timeout=5): takes a timedelta; write timedelta(seconds=5)"),
        (lambda: untyped.await_signal(5), "takes a name, which is a string"),
        (lambda: untyped.await_signal("\ud800"), "has a lone surrogate"),
        (lambda: untyped.patched(5), "takes a name, which is a string"),
        (lambda: untyped.patched("\ud800"), "has a lone surrogate"),
        (lambda: untyped.call("charge", "7"), "takes a function and its arguments"),
        (lambda: untyped.gather(5), "5 is neither a command nor a generator"),
        (lambda: untyped.gather(call(charge, each) for each in "ab"), "Write gather(*[call(...) for ... in ...])"),
        (lambda: untyped.race(part("7"), None), "None is neither a command nor a generator"),
        (lambda: untyped.spawn(part), "is neither a command nor a generator"),
    ]
    for make, complaint in wrong:
        with pytest.raises((TypeError, ValueError)) as caught:
            make()
        assert complaint in str(caught.value)


def test_what_cannot_be_recorded_is_refused_before_it_changes_anything() -> None:
    @workflow
    def wrong() -> Any:
        try:
            yield from annotate(good=1, bad=object())
        except ValueError:
            yield from call(charge, "7")

    driver = play(wrong)
    assert driver.interpreter.state == {}
    assert driver.pending == ["1"], "a refused command takes no number"
    driver.close()


def test_commands_are_values() -> None:
    assert call(charge, "7") == call(charge, "7")
    assert call(charge, "7") != call(charge, "8")
    assert repr(sleep(SECOND)) == "Sleep(delta=datetime.timedelta(seconds=1))"
    with pytest.raises(AttributeError):
        sleep(SECOND).delta = 2 * SECOND  # type: ignore[attr-defined]  # what is tested


def test_a_workflow_is_tested_with_nothing_but_send_and_equality() -> None:
    generator = part("7")
    assert next(generator) == call(charge, "7")
    with pytest.raises(StopIteration) as stop:
        _ = generator.send("r-1")
    assert stop.value.value == "r-1"


def test_a_workflow_that_returns_at_once_completes() -> None:
    @workflow
    def quick() -> Workflow[int]:
        return 5
        yield

    assert play(quick).outcome == Completed(b"5")


def test_a_command_that_is_tested_for_truth_says_so() -> None:
    @workflow
    def guarded() -> Workflow[str]:
        yield from sleep(timedelta(seconds=1))
        if patched("change"):
            return "new"
        return "old"

    driver = play(guarded)
    driver.fires()

    outcome = driver.outcome
    assert isinstance(outcome, Failed)
    assert outcome.failure.type_name == "interp.errors.ForgottenYield"
    assert "patched(...) was tested for truth" in outcome.failure.message
