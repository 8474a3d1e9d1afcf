"""A command or generator that is made and never yielded is refused before the run starts, with its line."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import interp
from interp import Engine, Workflow, activity, annotate, await_signal, call, gather, sleep, workflow
from interp import constructors as cmd
from interp.errors import ForgottenYield
from tests.runtime.helpers import WAIT


@activity
def charge(cents: int) -> str:
    return f"receipt for {cents}"


def helper(cents: int) -> Workflow[str]:
    return (yield from call(charge, cents))


def forgetful_helper(cents: int) -> Workflow[str]:
    sleep(timedelta(seconds=1))  # type: ignore[unused-awaitable]  # the mistake
    return (yield from call(charge, cents))


def nested_helper(cents: int) -> Workflow[str]:
    return (yield from forgetful_helper(cents))


@workflow
def drops_a_call() -> Workflow[None]:
    call(charge, 1)  # type: ignore[unused-awaitable]  # the mistake
    yield sleep(timedelta(0))


@workflow
def drops_a_call_of_the_module() -> Workflow[None]:
    yield sleep(timedelta(0))
    interp.call(charge, 1)  # type: ignore[unused-awaitable]  # the mistake


@workflow
def drops_a_call_of_a_submodule() -> Workflow[None]:
    yield sleep(timedelta(0))
    cmd.annotate(step=1)  # type: ignore[unused-awaitable]  # the mistake


@workflow
def drops_a_helper() -> Workflow[None]:
    helper(1)
    yield sleep(timedelta(0))


@workflow
def formats_a_call() -> Workflow[str]:
    yield sleep(timedelta(0))
    return f"receipt: {call(charge, 1)}"


@workflow
def formats_a_helper() -> Workflow[str]:
    yield sleep(timedelta(0))
    return f"receipt: {helper(1)}"


@workflow
def has_a_forgetful_helper() -> Workflow[None]:
    yield from nested_helper(1)


@workflow
def drops_in_a_branch() -> Workflow[None]:
    if (yield from await_signal("which", bool)):
        annotate(step="one")  # type: ignore[unused-awaitable]  # the mistake


@pytest.mark.parametrize(
    ("forgetful", "what", "line"),
    [
        (drops_a_call, "call(charge, 1)", 2),
        (drops_a_call_of_the_module, "interp.call(charge, 1)", 3),
        (drops_a_call_of_a_submodule, "cmd.annotate(step=1)", 3),
        (drops_a_helper, "helper(1)", 2),
        (formats_a_call, "call(charge, 1)", 3),
        (formats_a_helper, "helper(1)", 3),
        (drops_in_a_branch, "annotate(step='one')", 3),
    ],
)
def test_a_forgotten_yield_is_refused_where_it_stands(
    url: str, forgetful: Callable[[], Workflow[Any]], what: str, line: int
) -> None:
    first = forgetful.__code__.co_firstlineno

    with Engine(url) as engine:
        with pytest.raises(ForgottenYield) as refused:
            _ = engine.start(forgetful)

        assert what == refused.value.what
        assert f"test_forgotten.py:{first + line}" == refused.value.where
        assert f"Did you mean `yield from {what}`?" in str(refused.value)
        assert [] == engine.runs()


def test_helpers_are_checked_too_however_deep(url: str) -> None:
    with Engine(url) as engine:
        with pytest.raises(ForgottenYield) as refused:
            _ = engine.start(has_a_forgetful_helper)

        assert f"test_forgotten.py:{forgetful_helper.__code__.co_firstlineno + 1}" == refused.value.where


def test_a_second_start_is_refused_as_well(url: str) -> None:
    with Engine(url) as engine:
        for _ in range(2):
            with pytest.raises(ForgottenYield):
                _ = engine.start(drops_a_call)


def test_what_a_forgotten_command_returns_is_refused_when_it_runs(url: str) -> None:
    @workflow
    def returns_a_command() -> Workflow[Any]:
        yield sleep(timedelta(0))
        return call(charge, 1)

    @workflow
    def returns_a_generator() -> Workflow[Any]:
        yield sleep(timedelta(0))
        return helper(1)

    with Engine(url) as engine:
        for forgetful in (returns_a_command, returns_a_generator):
            with pytest.raises(interp.RunFailed, match="ForgottenYield"):
                engine.start(forgetful).result(WAIT)


def sleepy(call: Callable[[int], int]) -> int:
    """Call something that only has the name of a command."""
    call(1)
    return call(2)


def double(n: int) -> int:
    return 2 * n


def lines() -> Workflow[int]:
    yield sleep(timedelta(0))
    return 4


def test_no_correct_workflow_is_refused(url: str) -> None:
    log: list[str] = []

    class Recorder:
        def call(self, text: str) -> None:
            log.append(text)

    recorder = Recorder()

    def tell(text: str) -> None:
        log.append(text)

    @workflow
    def correct() -> Workflow[int]:
        tell("a plain function may be dropped")
        recorder.call("a method of that name, too")
        logging.getLogger("interp.tests").debug("and logging")
        print(f"{double(2)} {len(log)}")
        sleepy(double)
        parts = [call(charge, n) for n in range(3)]
        kept = call(charge, 5)
        yield annotate(step=f"{double(3)}")
        yield from gather(*parts)
        yield kept
        task = yield from interp.spawn(lines())
        text = f"{(yield from call(charge, 1))}"
        assert text.startswith("receipt")
        return (yield from interp.join(task)) + (yield from lines())

    with Engine(url) as engine:
        assert 8 == engine.start(correct).result(WAIT)


def test_a_local_name_that_hides_a_command_is_no_command(url: str) -> None:
    @workflow
    def hiding() -> Workflow[int]:
        call = double
        call(1)
        sleep = [1].append
        sleep(2)
        yield interp.sleep(timedelta(0))
        return call(2)

    with Engine(url) as engine:
        assert 4 == engine.start(hiding).result(WAIT)


def test_a_parameter_that_hides_a_command_is_no_command(url: str) -> None:
    @workflow
    def hiding(call: int, sleep: int) -> Workflow[int]:
        yield interp.sleep(timedelta(0))
        return call + sleep

    with Engine(url) as engine:
        assert 3 == engine.start(hiding, 1, 2).result(WAIT)


def test_a_function_inside_a_workflow_has_names_of_its_own(url: str) -> None:
    @workflow
    def nesting() -> Workflow[int]:
        def local(call: Callable[[int], int]) -> int:
            call(1)
            return call(2)

        yield sleep(timedelta(0))
        yield from call(charge, 1)
        return local(double)

    with Engine(url) as engine:
        assert 4 == engine.start(nesting).result(WAIT)


def test_a_generator_inside_a_workflow_is_checked_with_it(url: str) -> None:
    @workflow
    def nesting() -> Workflow[None]:
        def branch() -> Workflow[None]:
            call(charge, 1)  # type: ignore[unused-awaitable]  # the mistake
            yield sleep(timedelta(0))

        yield from gather(branch(), branch())

    with Engine(url) as engine, pytest.raises(ForgottenYield, match="was made and dropped"):
        _ = engine.start(nesting)


def test_workflows_without_source_are_accepted(url: str) -> None:
    names: dict[str, Any] = {"workflow": workflow, "sleep": sleep, "timedelta": timedelta}
    exec("@workflow\ndef typed_in():\n    yield sleep(timedelta(0))\n    return 5", names)

    with Engine(url) as engine:
        assert 5 == engine.start(names["typed_in"]).result(WAIT)
