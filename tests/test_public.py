"""The public surface: what can be imported is what the reference lists."""

import inspect
from pathlib import Path

import pytest

import interp
from interp import errors

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"


def _anchors(page: str) -> set[str]:
    lines = (REFERENCE / page).read_text().splitlines()
    return {line.removeprefix("## ").strip().lower() for line in lines if line.startswith("## ")}


def test_every_error_has_its_anchor_on_the_errors_page() -> None:
    assert _anchors("errors.md") == {name.lower() for name in errors.__all__}


def test_all_of_the_errors_module_is_exactly_its_exceptions() -> None:
    defined = [
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    ]

    assert sorted(defined) == sorted(errors.__all__)


def test_the_tree_in_the_docstring_is_the_real_one() -> None:
    assert errors.__doc__ is not None
    drawn = errors.__doc__

    for name in errors.__all__:
        assert f" {name}" in drawn, name
    for name in errors.__all__:
        kind = getattr(errors, name)
        if issubclass(kind, errors.InterpError) and kind is not errors.InterpError:
            assert f" {kind.__mro__[1].__name__}" in drawn


def test_all_lists_exactly_what_the_package_exports() -> None:
    public = {name for name, value in vars(interp).items() if not name.startswith("_") and not inspect.ismodule(value)}

    assert public == set(interp.__all__)


@pytest.mark.parametrize("name", interp.__all__)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    pages = "".join(page.read_text() for page in REFERENCE.glob("*.md"))

    assert name in pages


@pytest.mark.parametrize("name", interp.__all__)
def test_every_public_name_has_a_docstring(name: str) -> None:
    value = getattr(interp, name)

    assert inspect.getdoc(value) or name in ("Part", "Workflow"), name
