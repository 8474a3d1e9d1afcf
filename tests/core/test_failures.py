"""How exceptions travel: from an activity through the journal into the workflow, and out of it."""

from __future__ import annotations

import dataclasses
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self

import attrs
import pytest

from interp import CallFailed, CallTimeout, Workflow, activity, call, gather, workflow
from interp.events import Completed, Failed, Rejected
from interp.failures import declared_failure, raised, timed_out
from tests.core.driving import play, replayed


class Declined(Exception):
    pass


class ByAmount(Declined):
    def __init__(self, cents: int) -> None:
        super().__init__(f"declined: {cents / 100:.2f}")
        self.cents = cents


class NoArguments(Declined):
    """Its `__init__` wants what it does not keep."""

    def __init__(self, *, hint: str) -> None:
        super().__init__()
        self.hint = hint


class Picky(Declined):
    """Cannot be made without its `__init__`."""

    def __new__(cls, *, made_by: str) -> Self:
        return super().__new__(cls, made_by)

    def __init__(self, *, made_by: str) -> None:
        super().__init__("picky")


@attrs.frozen
class OutOfStock(Exception):
    item: str
    left: int = 0


@attrs.define
class OutOfStockToday(OutOfStock):
    until: str = "tomorrow"


class OddError(OSError):
    """The C code of OSError treats a class with an `__init__` of its own differently."""

    def __init__(self, name: str) -> None:
        super().__init__(5, "odd", name)
        self.name = name


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    reason: str = ""


@activity(raises=(Declined, OutOfStock, Frozen, OSError, KeyError, ExceptionGroup))
def charge(order: str) -> str:
    return order


def arrives(error: Exception) -> Exception:
    """Return what a workflow catches when the activity raised this."""
    caught: list[Exception] = []

    @workflow
    def catching() -> Workflow[None]:
        try:
            yield from call(charge, "7")
        except Exception as error:  # noqa: BLE001  whatever it is
            caught.append(error)

    driver = play(catching)
    driver.fails("1", error)
    assert isinstance(driver.outcome, Completed)
    replayed(driver)
    live, again = caught
    assert live is not again, "fresh on every replay"
    assert (type(live), str(live), vars(live)) == (type(again), str(again), vars(again))
    return live


@pytest.mark.parametrize(
    "error",
    [
        Declined(),
        Declined("no", 1, None),
        ByAmount(1999),
        NoArguments(hint="ask again"),
        OutOfStock("book", 2),
        OutOfStockToday("book", 2, "Monday"),
        Frozen("cold"),
        KeyError("missing"),
        OSError("odd"),
        OddError("odd"),
        FileNotFoundError(2, "No such file", "a.txt"),
        TimeoutError("slow"),
    ],
    ids=repr,
)
def test_a_declared_exception_is_raised_as_itself(error: Exception) -> None:
    arrived = arrives(error)
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)
    assert arrived.args == error.args


def test_a_declared_exception_that_cannot_be_built_again_is_a_failed_call() -> None:
    arrived = arrives(Picky(made_by="hand"))
    assert isinstance(arrived, CallFailed)
    assert arrived.type_name.endswith("test_failures.Picky")
    assert isinstance(arrives(ExceptionGroup("two", [ValueError(1)])), CallFailed)
    assert isinstance(arrives(OutOfStock(b"bytes")), CallFailed)  # type: ignore[arg-type]  # what happens nevertheless


def test_what_json_cannot_hold_does_not_lose_the_exception() -> None:
    arrived = arrives(Declined("no", {1, 2}))
    assert arrived.args == ("no", "{1, 2}")


def test_an_exception_that_is_no_longer_declared_is_a_failed_call() -> None:
    failure = declared_failure(Declined("no"))
    arrived = raised(Rejected("1", failure, declared=True, attempt=2), "charge", ())
    assert isinstance(arrived, CallFailed)
    assert str(arrived).startswith("charge failed after 2 attempts: ")


def test_a_class_that_moved_to_another_module_is_found_by_its_name() -> None:
    failure = declared_failure(Declined("no"))
    moved = Rejected("1", type(failure)("elsewhere.Declined", "no", payload=failure.payload), declared=True)
    assert type(raised(moved, "charge", (Declined,))) is Declined


def test_of_several_classes_with_one_name_that_of_the_same_module_is_taken() -> None:
    # socket.timeout and others: many modules have an `error` or a `timeout`.
    namesake = type("herror", (OSError,), {"__module__": "elsewhere"})
    arrived = raised(Rejected("1", declared_failure(socket.herror("no")), declared=True), "charge", (OSError,))
    assert type(arrived) is socket.herror
    arrived = raised(Rejected("1", declared_failure(namesake("no")), declared=True), "charge", (OSError,))
    assert type(arrived) is namesake


def test_any_other_exception_is_a_failed_call() -> None:
    arrived = arrives(ValueError("bad"))
    assert isinstance(arrived, CallFailed)
    assert (arrived.activity, arrived.type_name, arrived.message) == ("charge", "builtins.ValueError", "bad")
    assert (arrived.attempts, arrived.remote_traceback) == (3, "remote traceback")
    assert str(arrived) == "charge failed after 3 attempts: builtins.ValueError: bad"


def test_an_attempt_that_took_too_long_is_a_timeout() -> None:
    caught: list[TimeoutError] = []

    @workflow
    def catching() -> Workflow[None]:
        try:
            yield from call(charge, "7").options(timeout=timedelta(seconds=30))
        except TimeoutError as error:
            caught.append(error)

    driver = play(catching)
    driver.rejects("1", timed_out(30.0))
    assert isinstance(caught[0], CallTimeout)
    assert str(caught[0]) == "charge took longer than 30 s (2 attempts)"
    replayed(driver)
    assert str(caught[1]) == str(caught[0])


def test_the_traceback_of_a_failed_call_begins_at_the_users_yield() -> None:
    @workflow
    def failing() -> Workflow[None]:
        yield from helper()

    driver = play(failing)
    driver.fails("1", Declined("no"))
    assert isinstance(driver.outcome, Failed)
    steps = driver.outcome.failure.traceback.splitlines()[1:-1]
    assert [line.rpartition(", ")[2].rpartition(".")[2] for line in steps] == ["failing", "in helper"]
    assert f"line {helper.__code__.co_firstlineno + 1}, in helper" in steps[1]


def helper() -> Workflow[None]:
    yield from call(charge, "7")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Exit(BaseException):
    pass


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        (lambda: Declined("no"), ("Declined", "no")),
        (lambda: Frozen("cold"), ("Frozen", "cold")),
        (Unspeakable, ("Unspeakable", "<its __str__ raised ValueError>")),
        (lambda: ValueError("\ud800"), ("ValueError", "\\ud800")),
        (lambda: ValueError(call(charge, "7")), ("ValueError", "<its __str__ raised ForgottenYield>")),
        (lambda: Exit("bye"), ("RuntimeError", "the workflow raised Exit: bye")),
        (GeneratorExit, ("RuntimeError", "the workflow raised GeneratorExit: ")),
        (lambda: SystemExit(3), ("RuntimeError", "the workflow raised SystemExit: 3")),
        (lambda: StopIteration(5), ("RuntimeError", "generator raised StopIteration")),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_whatever_a_workflow_raises_is_its_outcome(make: Callable[[], BaseException], shown: tuple[str, str]) -> None:
    @workflow
    def raising() -> Workflow[None]:
        yield from call(charge, "7")
        raise make()

    driver = play(raising)
    driver.returns("1", "r")
    outcome = driver.outcome
    assert isinstance(outcome, Failed)
    assert (outcome.failure.type_name.rpartition(".")[2], outcome.failure.message) == shown
    assert not outcome.failure.retryable
    replayed(driver)


def test_a_frozen_exception_of_a_branch_takes_part_in_everything() -> None:
    @workflow
    def two() -> Workflow[str]:
        try:
            yield from gather(branch("a"), branch("b"))
        except Frozen as frozen:
            return frozen.reason
        return "unreached"

    def branch(name: str) -> Workflow[None]:
        try:
            yield from call(charge, name)
        finally:
            raise Frozen(name)

    driver = play(two)
    driver.fails("1.1.1", Frozen("b"))
    assert driver.outcome == Completed(b'"b"')


def test_keyboard_interrupt_goes_through() -> None:
    @workflow
    def interrupted() -> Workflow[None]:
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        play(interrupted)


def test_a_result_that_cannot_be_recorded_fails_the_run_and_says_so() -> None:
    @workflow
    def returning() -> Workflow[Any]:
        yield from call(charge, "7")
        return object()

    driver = play(returning)
    driver.returns("1", "r")
    outcome = driver.outcome
    assert isinstance(outcome, Failed)
    assert outcome.failure.type_name == "interp.errors.NotEncodable"
    assert "the value that returning returned" in outcome.failure.traceback
