"""A number where a span of time is wanted: every public parameter that takes one says which, and what to write."""

import inspect
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, cast

import pytest

import interp
from interp import (
    Engine,
    HistoryBudget,
    Retry,
    RetryAfter,
    UsageError,
    Workflow,
    activity,
    await_signal,
    call,
    explore,
    sleep,
    testing,
    timeout,
    workflow,
)
from interp.explore import Journal

URL = "memory:spans"


@workflow
def spanned() -> Workflow[None]:
    yield from await_signal("go")


def _on_engine(act: Callable[[Any], object]) -> Callable[[Any], object]:
    def acts(_: Any) -> None:
        with Engine(URL) as engine:
            act(engine)

    return acts


def _virtually(act: Callable[[Any], object]) -> Callable[[Any], object]:
    def acts(_: Any) -> None:
        with testing.engine() as engine:
            act(engine)

    return acts


def _asked(given: Any) -> None:
    with Engine(URL) as engine:
        engine.start(spanned, id="asked").ask("state", timeout=given)


def _waited_virtually(given: Any) -> None:
    with testing.engine() as engine:
        engine.start(spanned).result(given)


def _waited(given: Any) -> None:
    with Engine(URL) as engine:
        engine.start(spanned).result(given)


def _looked(what: str, name: str) -> Callable[[Any], object]:
    def looks(given: Any) -> None:
        with Engine(URL), Journal(URL) as journal:
            getattr(journal, what)(**{name: given})

    return looks


def _scheduled(name: str) -> Callable[[Any], object]:
    def schedules(given: Any) -> None:
        with Engine(URL) as engine:
            engine.schedule(spanned, id="spanned", **cast("Any", {"every": timedelta(days=1)} | {name: given}))

    return schedules


def _declared(name: str) -> Callable[[Any], object]:
    return lambda given: activity(**{name: given})


def _optioned(name: str) -> Callable[[Any], object]:
    return lambda given: call(print).options(**{name: given})


def _closed(given: Any) -> None:
    with Engine(URL) as engine:
        engine.close(given)


def _act_virtually(name: str, *args: object) -> Callable[[Any], object]:
    def acts(given: Any) -> None:
        with testing.engine() as engine:
            getattr(engine, name)(given, *args)

    return acts


_LIMITS = ("timeout", "deadline", "heartbeat", "start_timeout")

# Each parameter, as `function(parameter`, and what gives it a value.
TAKES: dict[str, Callable[[Any], object]] = {
    "sleep(delta": sleep,
    "timeout(delta": lambda given: timeout(given, sleep(timedelta(1))),
    "await_signal(timeout": lambda given: await_signal("go", timeout=given),
    "Retry.__init__(initial": lambda given: Retry(initial=given),
    "Retry.__init__(maximum": lambda given: Retry(maximum=given),
    "RetryAfter.__init__(delay": RetryAfter,
    "HistoryBudget.__init__(replay": lambda given: HistoryBudget(replay=given),
    "Engine.__init__(grace": lambda given: Engine(URL, grace=given),
    "Engine.close(grace": _closed,
    "Run.ask(timeout": _asked,
    "Run.result(timeout": _waited,
    "VirtualRun.result(timeout": _waited_virtually,
    "VirtualEngine.at(when": _act_virtually("at", print),
    "VirtualEngine.advance(delta": _act_virtually("advance"),
    **{f"activity({name}": _declared(name) for name in _LIMITS},
    **{f"Call.options({name}": _optioned(name) for name in _LIMITS},
    **{f"Engine.schedule({name}": _scheduled(name) for name in ("every", "catch_up", "jitter")},
    **{
        f"Journal.{what}({name}": _looked(what, name)
        for what in ("runs", "commands", "blocked")
        for name in ("since", "until")
    },
}

# Takes none from users: made by the library, or asked by it.
_OWN = {
    "CommandDifference.__init__",
    "FiberDifference.__init__",
    "HistoryBudget.is_too_slow",
    "ScheduleInfo.__init__",
}


def _functions(value: Any) -> Iterator[Any]:
    if not inspect.isclass(value):
        yield value
        return
    for name, member in inspect.getmembers(value, inspect.isfunction):
        if name == "__init__" or not name.startswith("_"):
            yield member


def _public() -> Iterator[str]:
    """Give every parameter of a public function that is annotated with timedelta."""
    values = [getattr(module, name) for module in (interp, explore, testing) for name in module.__all__]
    for function in (function for value in values if callable(value) for function in _functions(value)):
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):  # special forms
            continue
        if function.__qualname__ not in _OWN:
            yield from (
                f"{function.__qualname__}({each.name}" for each in parameters if "timedelta" in str(each.annotation)
            )


def test_every_public_parameter_is_listed_here() -> None:
    assert {*_public()} == {*TAKES}


_GIVEN = [
    (parameter, given)
    for parameter in TAKES
    for given in (30, 0.5, 0, "30s")
    if not (given == "30s" and parameter.startswith("Journal."))  # which takes texts as well
]


@pytest.mark.parametrize(("parameter", "given"), _GIVEN)
def test_a_number_is_refused_with_the_name_of_the_parameter_and_what_to_write(parameter: str, given: Any) -> None:
    with pytest.raises((UsageError, TypeError)) as refused:
        TAKES[parameter](given)

    assert f"{parameter.partition('(')[2]}={given!r}" in str(refused.value)
    assert any(f"timedelta(seconds={number!r})" in str(refused.value) for number in (given, 30))
