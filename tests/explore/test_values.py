import enum
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.explore.values import shown
from interp.outline.words import recorded


@attrs.frozen
class Cell:
    name: str
    inner: object = None
    secret: str = attrs.field(default="hush", repr=False)


class Raises:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Wrong:
    def __repr__(self) -> str:
        return 7  # type: ignore[return-value]


class Colour(enum.Enum):
    RED = 1


CYCLE: list[Any] = []
CYCLE.append(CYCLE)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.binary()
PLAIN = st.recursive(
    SCALARS | st.text(st.characters(blacklist_categories=[])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("eu", "'eu'"),
        ([1, 2], "[1, 2]"),
        ((1,), "(1,)"),
        ((), "()"),
        (set(), "set()"),
        ({"b": 1, "a": 2}, "{'b': 1, 'a': 2}"),
        (list(range(20)), "[0, 1, 2, 3, 4, 5, 6, 7, … 12 more]"),
        (Cell("x", [1]), "Cell(name='x', inner=[1])"),
        (Colour.RED, "<Colour.RED: 1>"),
        (Raises(), "<Raises>"),
        ([Raises()], "[<Raises>]"),
        (Wrong(), "<Wrong>"),
    ],
)
def test_values_show_as_python_writes_them_within_bounds(value: object, expected: str) -> None:
    assert expected == shown(value)


def test_a_number_that_python_refuses_to_write_tells_its_size() -> None:
    assert "<int of 16,610 bits>" == shown(10**5000)


def test_long_text_tells_its_length() -> None:
    assert "'" + 40 * "x" + "'… (10,000,000 characters)" == shown(10_000_000 * "x")


def test_what_contains_itself_ends() -> None:
    assert "[[[[[…]]]]]" == shown(CYCLE)


def test_nothing_drives_the_terminal() -> None:
    class Coloured:
        def __repr__(self) -> str:
            return "\x1b[31mred\nline"

    assert r"\x1b[31mred line" == shown(Coloured())


@given(PLAIN, st.integers(10, 200))
def test_every_value_fits_on_one_line(value: object, width: int) -> None:
    line = shown(value, width)

    assert len(line) <= width
    assert line.isprintable()


def test_only_what_is_shown_of_a_large_value_is_looked_at() -> None:
    looked: list[int] = []

    class Item:
        def __repr__(self) -> str:
            looked.append(1)
            return "item"

    shown([[Item() for _ in range(100)] for _ in range(100)])

    assert 64 == len(looked)


@given(PLAIN | st.binary(), st.integers(40, 200))
def test_whatever_is_recorded_fits_on_one_line(value: object, width: int) -> None:
    line = recorded(value if isinstance(value, bytes) else repr(value).encode(errors="replace"), width)

    assert len(line) <= width
    assert line.isprintable()


def test_large_json_shows_its_beginning_and_size() -> None:
    line = recorded(b'"' + 1_000_000 * b"x" + b'"')

    assert line.startswith('"xxx')
    assert line.endswith("… (1,000,002 bytes)")
    assert 90 == len(line)


def test_json_that_is_nested_too_deeply_is_still_shown() -> None:
    # Python 3.13 writes it out; before, it is shown as the bytes that it is.
    assert recorded(5000 * b"[" + 5000 * b"]").removeprefix("b'").startswith("[[[")
