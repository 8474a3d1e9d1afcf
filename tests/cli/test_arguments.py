from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import click
import pytest

from interp import Workflow, sleep, workflow
from interp.cli.arguments import encoded_arguments, encoded_value, refuse_options
from interp.definitions import WorkflowDefinition, workflow_of
from interp.errors import NotDecodable, UsageError


def taking(annotation: Any) -> WorkflowDefinition:
    """A workflow with one parameter of a type."""

    def taking_one(value: Any) -> Workflow[None]:
        yield from sleep(timedelta(0))

    taking_one.__annotations__["value"] = annotation
    return workflow_of(workflow(taking_one))


@pytest.mark.parametrize(
    ("annotation", "text", "encoded"),
    [
        (int, "42", b"[42]"),
        (int, "-42", b"[-42]"),
        (str, "42", b'["42"]'),
        (str, "true", b'["true"]'),
        (str, "hello world", b'["hello world"]'),
        (str, '"quoted"', b'["quoted"]'),
        (str, "", b'[""]'),
        (str | None, "null", b"[null]"),
        (int | str, "42", b"[42]"),
        (Any, "42", b"[42]"),
        (Any, "word", b'["word"]'),
        (date, "2026-03-01", b'["2026-03-01"]'),
        (Decimal, "3.10", b'["3.10"]'),
        (UUID, "12345678-1234-5678-1234-567812345678", b'["12345678-1234-5678-1234-567812345678"]'),
        (list[int], "[1, 2]", b"[[1, 2]]"),
    ],
)
def test_text_is_json_or_else_what_the_parameter_makes_of_a_string(annotation: Any, text: str, encoded: bytes) -> None:
    assert encoded == encoded_arguments(taking(annotation), (text,))


@pytest.mark.parametrize(("annotation", "text"), [(int, "word"), (int, "1.5"), (list[int], "1"), (date, "today")])
def test_what_fits_neither_way_is_refused_by_name(annotation: Any, text: str) -> None:
    with pytest.raises(NotDecodable, match=r"^value") as refused:
        encoded_arguments(taking(annotation), (text,))

    assert ["  the workflow is "] == [note.partition("taking")[0] for note in refused.value.__notes__]


def test_the_reason_is_that_of_the_value_as_it_was_read_first() -> None:
    with pytest.raises(NotDecodable, match=r"found 1\.5"):
        encoded_arguments(taking(int), ("1.5",))


@workflow
def several(first: str, *names: str, flag: bool = False) -> Workflow[None]:
    yield from sleep(timedelta(0))


@workflow
def options(first: int, second: str = "x", **more: int) -> Workflow[None]:
    yield from sleep(timedelta(0))


@pytest.mark.parametrize(
    ("flow", "texts", "encoded"),
    [
        (several, ("a", "b", "3"), b'["a",["b","3"]]'),
        (options, ("1",), b"[1]"),
        (options, ("1", "2"), b'[1,"2"]'),
        (options, ("1", "2", '{"a": 3}'), b'[1,"2",{"a": 3}]'),
    ],
)
def test_arguments_fill_the_parameters_in_order(
    flow: Callable[..., Any], texts: tuple[str, ...], encoded: bytes
) -> None:
    definition = workflow_of(flow)

    assert encoded == encoded_arguments(definition, texts)
    definition.arguments.decode(encoded)


@pytest.mark.parametrize("texts", [(), ("1", "2", "{}", "4")])
def test_a_wrong_number_of_arguments_is_refused(texts: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="takes"):
        encoded_arguments(workflow_of(options), texts)


@pytest.mark.parametrize("text", ['{"a"', "[1,", '"open', '{"a": 1} x'])
def test_what_begins_like_json_must_be_json(text: str) -> None:
    with pytest.raises(UsageError, match="begins like JSON"):
        encoded_value(text)


def test_a_payload_is_null_without_a_text() -> None:
    assert b"null" == encoded_value(None)


def test_text_that_is_no_utf8_is_refused() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        encoded_value("\udc80")


@pytest.mark.parametrize("text", ["--stor", "-x", "--store=x", "-"])
def test_slips_in_options_are_no_arguments(text: str) -> None:
    with pytest.raises(click.NoSuchOption):
        refuse_options((text,))


def test_negative_numbers_are_arguments() -> None:
    refuse_options(("-5", "-1.5e3", "word", '"-x"'))
