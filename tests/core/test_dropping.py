"""Dropping a run that lives executes no command and leaves nothing behind, whatever its code does."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from datetime import timedelta
from types import GeneratorType
from typing import Any

import pytest

from interp import Cancelled, Workflow, activity, call, gather, race, sleep, spawn, workflow
from interp.scheduler import drop
from tests.core.driving import play

SECOND = timedelta(seconds=1)


@activity
def work(name: str) -> str:
    return name


log: list[str] = []


@pytest.fixture(autouse=True)
def _fresh_log() -> None:
    log.clear()


def plain() -> Workflow[None]:
    yield from call(work, "a")


def nested() -> Workflow[None]:
    try:
        yield from cleaning()
    finally:
        log.append("outer")


def cleaning() -> Workflow[None]:
    try:
        yield from call(work, "a")
    finally:
        log.append("cleaning")
        yield from call(work, "cleanup")
        log.append("not reached")


def deaf_to_exit() -> Workflow[None]:
    try:
        yield from call(work, "a")
    except GeneratorExit:
        yield from sleep(SECOND)
        yield from sleep(SECOND)


def deaf_for_a_while() -> Workflow[None]:
    for _ in range(100):
        try:
            yield from call(work, "a")
        except BaseException:  # noqa: BLE001  what the test is about
            continue


def raising() -> Workflow[None]:
    try:
        yield from call(work, "a")
    finally:
        raise OSError("while it was dropped")


def recursive(depth: int = 50) -> Workflow[None]:
    try:
        if depth:
            yield from recursive(depth - 1)
        else:
            yield from call(work, "a")
    finally:
        yield from sleep(SECOND)


def fibers() -> Workflow[None]:
    yield from spawn(nested())
    yield from gather(cleaning(), race(deaf_to_exit(), nested()), plain())


def over_a_list() -> Workflow[None]:
    yield from [call(work, "a"), call(work, "b")]  # an iterator that is no generator


class Odd:
    """An iterator that is no generator, and has ideas of its own."""

    def __iter__(self) -> Odd:
        return self

    def __next__(self) -> Any:
        return call(work, "a")

    def throw(self, *_: object) -> Any:
        return call(work, "thrown at")

    def close(self) -> None:
        raise OSError("will not close")


def over_something_odd() -> Workflow[None]:
    yield from Odd()


CODES = [
    plain,
    nested,
    cleaning,
    deaf_to_exit,
    deaf_for_a_while,
    raising,
    recursive,
    fibers,
    over_a_list,
    over_something_odd,
]


def has_ended(generator: GeneratorType[Any, Any, Any] | None) -> bool:
    return generator is None or generator.gi_frame is None


@pytest.mark.parametrize("code", CODES)
def test_dropping_leaves_nothing_behind(code: Callable[[], Workflow[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)

    @workflow
    def dropped() -> Workflow[None]:
        yield from code()

    driver = play(dropped)
    journal, pending = list(driver.journal), driver.pending
    generators = [weakref.ref(fiber.generator) for fiber in driver.interpreter.fibers.values()]
    assert generators
    driver.close()
    assert driver.interpreter.fibers == {}
    assert all(has_ended(reference()) for reference in generators)
    assert (journal, pending) == (driver.journal, driver.pending)
    driver.close()
    del driver
    gc.collect()
    assert [reference() for reference in generators] == [None] * len(generators)
    assert ignored == []
    assert "not reached" not in log


def test_dropping_runs_the_plain_code_of_cleanup_the_innermost_first() -> None:
    @workflow
    def dropped() -> Workflow[None]:
        yield from nested()

    driver = play(dropped)
    driver.close()
    assert log == ["cleaning", "outer"]


def test_dropping_is_no_cancellation() -> None:
    @workflow
    def dropped() -> Workflow[None]:
        try:
            yield from call(work, "a")
        except (Cancelled, Exception):  # noqa: BLE001  neither comes
            log.append("told")

    play(dropped).close()
    assert log == []


def test_a_run_that_is_dropped_before_it_began_runs_nothing() -> None:
    def never() -> Workflow[None]:
        log.append("begun")
        yield from call(work, "a")

    generator = never()
    drop(generator)  # type: ignore[arg-type]  # a Generator that is a GeneratorType
    assert generator.gi_frame is None  # type: ignore[attr-defined]
    assert log == []


STUBBORN = """
from interp import workflow, sleep
from datetime import timedelta
from types import GeneratorType
from tests.core.driving import play

def stubborn():
    while True:
        try:
            yield sleep(timedelta(1))
        except BaseException:
            pass

@workflow
def dropped():
    yield from stubborn()

driver = play(dropped)
driver.close()
del driver
import gc
gc.collect()
print("still here", flush=True)
"""


def test_a_generator_that_cannot_be_ended_is_given_up_and_does_not_disturb_the_program() -> None:
    ran = subprocess.run([sys.executable, "-c", STUBBORN], capture_output=True, text=True, timeout=60, check=True)
    assert (ran.stdout, ran.stderr) == ("still here\n", "")
