"""What the decorators accept, what they refuse and with which words, and how names are found."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from interp import Retry, Workflow, activity, call, workflow
from interp.definitions import activity_of, find_workflow, workflow_of, workflows
from interp.errors import InvalidDefinition, UnknownWorkflow


def _defined_in(file: str, name: str) -> Any:
    """Define a workflow as if in a file of its own."""
    source = f"@workflow\ndef {name}():\n    yield None\n"
    namespace: dict[str, Any] = {"workflow": workflow, "__name__": file.removesuffix(".py")}
    exec(compile(source, file, "exec"), namespace)
    return namespace[name]


def test_decorators_return_the_function_itself() -> None:
    def double(number: int) -> int:
        return 2 * number

    def twice(number: int) -> Workflow[int]:
        return (yield from call(double, number))

    assert activity(double) is double
    assert activity(retry=Retry(attempts=1))(double) is double
    assert workflow(twice) is twice
    assert double(2) == 4


def test_names_leave_out_the_module_and_the_functions_around() -> None:
    class Client:
        def charge(self) -> None: ...

    @activity
    def pay() -> None: ...

    assert activity_of(pay).name == "pay"
    assert activity_of(Client().charge).name == "Client.charge"
    assert activity_of(asyncio.sleep).is_async


def test_a_plain_function_is_an_activity_without_options() -> None:
    def plain(number: int) -> int:
        return number

    assert activity_of(plain).options.retry == Retry()
    assert activity_of(plain) is activity_of(plain)


def test_a_bound_method_does_not_record_its_self() -> None:
    class Client:
        @activity(name="charge")
        def charge(self, cents: int) -> None: ...

    definition = activity_of(Client().charge)

    assert definition.name == "charge"
    assert definition.arguments.encode((5,), {}) == b"[5]"


def test_a_workflow_that_never_yields_is_refused_with_the_cure() -> None:
    with pytest.raises(InvalidDefinition, match=r"(?s)never_yields \(test_definitions\.py:\d+\).*yield from call"):

        @workflow  # type: ignore[type-var]
        def never_yields() -> None:
            return None


def test_an_async_workflow_is_refused_with_the_cure() -> None:
    with pytest.raises(InvalidDefinition, match="`def` instead of `async def`"):

        @workflow  # type: ignore[type-var]
        async def waits() -> AsyncIterator[int]:
            yield 1


@workflow
def counted(first: int, *, step: int = 1) -> Workflow[int]:
    return (yield from call(sum, [first, step]))


@workflow
def counted_together(*numbers: int) -> Workflow[int]:
    return (yield from call(sum, numbers))


def _begun() -> Any:
    generator = counted(3)
    _ = next(generator)
    return generator


async def _awaited() -> None: ...


def _coroutine() -> Any:
    coroutine = _awaited()
    coroutine.close()  # nobody is told that it was never awaited
    return coroutine


@pytest.mark.parametrize(
    ("made", "parts"),
    [
        (lambda: counted(3), ["counted(3, step=1) (test_definitions.py:", "engine.start(counted, 3, step=1, id=...)"]),
        (lambda: counted(10**99), ["engine.start(counted, 1000", "000, step=1, id=...)"]),
        (lambda: counted_together(1, 2), ["engine.start(counted_together, ..., id=...)"]),
        (_begun, ["engine.start(counted, ..., id=...)"]),
        (_coroutine, ["_awaited(...) (test_definitions.py:", "coroutine", "Write `def _awaited` with `yield from`"]),
        (lambda: None, ["None (of type NoneType) is no function", "engine.start(checkout, order, id=...)"]),
        (lambda: call(print), ["of type Call"]),
        (lambda: "counted", ["'counted' (of type str) is no function"]),
    ],
)
def test_the_result_of_a_call_is_no_workflow_and_the_error_says_what_to_write(
    made: Callable[[], Any], parts: list[str]
) -> None:
    with pytest.raises(InvalidDefinition) as refused:
        workflow_of(made())

    for part in parts:
        assert part in str(refused.value)


def test_a_generator_function_is_no_activity() -> None:
    with pytest.raises(InvalidDefinition, match=r"yield from part\(...\)"):

        @activity
        def part() -> Workflow[None]:
            yield from call(print)


def test_a_lambda_is_no_activity() -> None:
    with pytest.raises(InvalidDefinition, match="no name"):
        activity_of(lambda: None)


def test_raises_takes_classes_of_exceptions_only() -> None:
    with pytest.raises(InvalidDefinition, match="subclasses of Exception"):

        @activity(raises=KeyboardInterrupt)  # type: ignore[arg-type]
        def interrupted() -> None: ...


def test_a_function_without_decorator_is_no_workflow() -> None:
    def bare() -> Workflow[None]:
        yield from call(print)

    with pytest.raises(InvalidDefinition, match="@workflow above its `def`"):
        workflow_of(bare)


def test_an_unknown_name_lists_the_known_ones() -> None:
    known = _defined_in("known.py", "known_workflow")

    assert find_workflow("known_workflow") is workflow_of(known)
    with pytest.raises(UnknownWorkflow, match="known_workflow"):
        find_workflow("no such workflow")


def test_a_file_may_define_its_workflow_again() -> None:
    _defined_in("reloaded.py", "reloaded_workflow")
    again = _defined_in("reloaded.py", "reloaded_workflow")

    assert find_workflow("reloaded_workflow") is workflow_of(again)


def test_a_name_that_two_files_use_is_not_guessed() -> None:
    first = _defined_in("first.py", "shared_workflow")
    _defined_in("second.py", "shared_workflow")

    assert workflow_of(first).name == "shared_workflow"
    assert "shared_workflow" not in workflows()
    with pytest.raises(InvalidDefinition, match=r"second\.py:1.*first\.py:1"):
        find_workflow("shared_workflow")


def test_the_fingerprint_follows_the_source() -> None:
    def one() -> Workflow[None]:
        yield from call(print, 1)

    def two() -> Workflow[None]:
        yield from call(print, 2)

    codes = [workflow_of(workflow(fn)).code for fn in (one, two, one)]

    assert codes[0] == codes[2] != codes[1]
