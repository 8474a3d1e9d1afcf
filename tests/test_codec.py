"""The codec: whatever fits its annotation comes back as it was, in equal bytes; everything else is refused."""

import dataclasses
import enum
import gc
import math
import os
import pathlib
import subprocess
import sys
import typing
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    TypeVar,
    Union,
    Unpack,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from interp.codec import ANY, ArgumentsCodec, canonical, codec_for, converter, render_value
from interp.errors import NotDecodable, NotEncodable

T = TypeVar("T")
U = TypeVar("U")


class Color(enum.Enum):
    """An enum of text."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    """An enum whose members are ints."""

    LOW = 1
    HIGH = 2


class Perm(enum.Flag):
    """A flag."""

    READ = 1
    WRITE = 2
    RUN = 4


class Shape(enum.Enum):
    """An enum whose values have no JSON."""

    POINT = (0, 0)
    SQUARE = (1, 1)


@attrs.frozen
class Item:
    """A class with a default."""

    name: str
    price: float
    count: int = 1


@attrs.frozen
class Order:
    """A class with nested parts, a private attribute and one that the constructor does not take."""

    id: str
    items: list[Item] = attrs.field(factory=list)
    _secret: int = 7
    total: float = attrs.field(init=False, default=0.0)


@attrs.frozen
class RushOrder(Order):
    """A subclass with one field more."""

    hours: int = 1


@attrs.frozen
class Box(Generic[T]):
    """A generic attrs class."""

    content: T


@attrs.frozen
class Crate(Box[list[T]], Generic[T]):
    """A generic class whose base sees another T."""

    label: T


@dataclasses.dataclass
class Pair(Generic[T, U]):
    """A generic dataclass."""

    left: T
    right: U


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: float = 0.0


class Options(TypedDict):
    """A typed dict."""

    name: str
    limit: NotRequired[int]


class Partial(TypedDict, total=False):
    """A typed dict whose keys are optional, but for one."""

    id: "Required[int]"
    tags: list[str]


@attrs.define
class Tree:
    """A class that contains itself."""

    value: int
    children: "list[Tree]" = attrs.field(factory=list)


class Packed(msgspec.Struct):
    """A struct."""

    name: str
    when: date


UserId = NewType("UserId", int)


class Money(pydantic.BaseModel):
    """A pydantic model."""

    amount: Decimal
    when: datetime


@pydantic.dataclasses.dataclass
class Coin:
    """A pydantic dataclass."""

    cents: int


# --- the table: annotations with the values that fit them -----------------------------------------------------------


@attrs.frozen
class Kind:
    """An annotation and the values that fit it."""

    annotation: Any
    values: st.SearchStrategy[Any]
    is_hashable: bool = True


offsets = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
items = st.builds(Item, st.text(), st.floats(allow_nan=False, allow_infinity=False), st.integers())
trees = st.recursive(st.builds(Tree, st.integers()), lambda t: st.builds(Tree, st.integers(), st.lists(t, max_size=2)))

LEAVES = [
    Kind(None, st.none()),
    Kind(bool, st.booleans()),
    Kind(int, st.integers() | st.integers(-(2**200), 2**200)),
    Kind(float, st.floats(allow_nan=False, allow_infinity=False)),
    Kind(str, st.text()),
    Kind(bytes, st.binary()),
    Kind(bytearray, st.binary().map(bytearray), is_hashable=False),
    Kind(datetime, st.datetimes() | st.datetimes(timezones=offsets)),
    Kind(date, st.dates()),
    Kind(time, st.times() | st.times(timezones=offsets)),
    Kind(timedelta, st.timedeltas()),
    Kind(Decimal, st.decimals(), is_hashable=False),
    Kind(Decimal, st.decimals(allow_nan=False)),
    Kind(UUID, st.uuids()),
    Kind(Color, st.sampled_from(Color)),
    Kind(Level, st.sampled_from(Level)),
    Kind(Perm, st.integers(0, 7).map(Perm)),
    Kind(Shape, st.sampled_from(Shape)),
    Kind(Literal["a", 1, True, Color.RED], st.sampled_from(["a", 1, True, Color.RED])),
    Kind(pathlib.Path, st.sampled_from(["", ".", "/", "a/b", "/tmp/ü"]).map(pathlib.Path)),
    Kind(pathlib.PureWindowsPath, st.sampled_from(["", "C:\\a", "b"]).map(pathlib.PureWindowsPath)),
    Kind(ZoneInfo, st.sampled_from(["Europe/Berlin", "UTC"]).map(ZoneInfo)),
    Kind(UserId, st.integers()),
    Kind(Annotated[int, "cents"], st.integers()),
    Kind(Item, items),
    Kind(Order, st.builds(Order, st.text(), st.lists(items, max_size=2), st.integers()), is_hashable=False),
    Kind(Tree, trees, is_hashable=False),
    Kind(Point, st.builds(Point, st.integers(), st.floats(allow_nan=False, allow_infinity=False))),
    Kind(
        Options,
        st.fixed_dictionaries({"name": st.text()}, optional={"limit": st.integers()}),
        is_hashable=False,
    ),
    Kind(Packed, st.builds(Packed, st.text(), st.dates()), is_hashable=False),
    Kind(Any, plain_values, is_hashable=False),
    Kind(object, plain_values, is_hashable=False),
    Kind(list, st.lists(plain_values, max_size=3), is_hashable=False),
    Kind(dict, st.dictionaries(st.text(), plain_values, max_size=3), is_hashable=False),
]


def of(generic: Any, *arguments: Any) -> Any:
    """Write `generic[arguments]` with arguments that no type checker knows."""
    return generic[arguments if len(arguments) > 1 else arguments[0]]


def list_of(kind: Kind) -> Kind:
    return Kind(of(list, kind.annotation), st.lists(kind.values, max_size=3), is_hashable=False)


def sequence_of(kind: Kind) -> Kind:
    return Kind(of(Sequence, kind.annotation), st.lists(kind.values, max_size=3), is_hashable=False)


def tuples_of(kind: Kind) -> Kind:
    values = st.lists(kind.values, max_size=3).map(tuple)
    return Kind(of(tuple, kind.annotation, ...), values, kind.is_hashable)


def tuple_of(kinds: list[Kind]) -> Kind:
    annotation = tuple[()] if not kinds else of(tuple, *(kind.annotation for kind in kinds))
    return Kind(annotation, st.tuples(*(kind.values for kind in kinds)), all(kind.is_hashable for kind in kinds))


def frozenset_of(kind: Kind) -> Kind:
    return Kind(of(frozenset, kind.annotation), st.frozensets(kind.values, max_size=4))


def set_of(kind: Kind) -> Kind:
    return Kind(of(set, kind.annotation), st.sets(kind.values, max_size=4), is_hashable=False)


def dict_of(key: Kind, item: Kind) -> Kind:
    values = st.dictionaries(key.values, item.values, max_size=3)
    return Kind(of(dict, key.annotation, item.annotation), values, is_hashable=False)


def optional(kind: Kind) -> Kind:
    return Kind(of(Optional, kind.annotation), st.none() | kind.values, kind.is_hashable)


def union_of(kinds: list[Kind]) -> Kind:
    annotation = of(Union, *(kind.annotation for kind in kinds))
    return Kind(annotation, st.one_of([kind.values for kind in kinds]), all(kind.is_hashable for kind in kinds))


def box_of(kind: Kind) -> Kind:
    return Kind(of(Box, kind.annotation), st.builds(Box, kind.values), kind.is_hashable)


def crate_of(kind: Kind) -> Kind:
    values = st.builds(Crate, st.lists(kind.values, max_size=2), kind.values)
    return Kind(of(Crate, kind.annotation), values, is_hashable=False)


def pair_of(left: Kind, right: Kind) -> Kind:
    values = st.builds(Pair, left.values, right.values)
    return Kind(of(Pair, left.annotation, right.annotation), values, is_hashable=False)


def larger_kinds(kinds: st.SearchStrategy[Kind]) -> st.SearchStrategy[Kind]:
    """Build kinds from smaller ones."""
    hashable = kinds.filter(lambda kind: kind.is_hashable)
    return st.one_of(
        kinds.map(list_of),
        kinds.map(sequence_of),
        kinds.map(tuples_of),
        st.lists(kinds, max_size=3).map(tuple_of),
        hashable.map(frozenset_of),
        hashable.map(set_of),
        st.builds(dict_of, hashable, kinds),
        kinds.map(optional),
        st.lists(kinds, min_size=1, max_size=4).map(union_of),
        kinds.map(box_of),
        kinds.map(crate_of),
        st.builds(pair_of, kinds, kinds),
    )


kinds = st.recursive(st.sampled_from(LEAVES), larger_kinds, max_leaves=5)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw an annotation and a value that fits it."""
    kind = draw(kinds)
    return kind.annotation, draw(kind.values)


def spelled(value: Any, *, loosely: bool = False) -> Any:
    """Spell a value out with the types of all its parts, so that 1, True and 1.0 differ, and NaN equals NaN.

    Args:
        value: Any value of the table.
        loosely: Whether an int may have become a float, and a tuple a list: what some annotations allow.
    """
    name = type(value).__qualname__
    if loosely and type(value) in (int, float):
        return "number", repr(float(value)) if abs(value) < 2**53 else repr(int(value))
    if loosely and type(value) in (list, tuple):
        name = "array"
    if attrs.has(type(value)):
        return name, [(a.name, spelled(getattr(value, a.name), loosely=loosely)) for a in attrs.fields(type(value))]
    if isinstance(value, (Pair, Packed)):
        names = ["left", "right"] if isinstance(value, Pair) else ["name", "when"]
        return name, [spelled(getattr(value, part), loosely=loosely) for part in names]
    if isinstance(value, (list, tuple)):
        return name, [spelled(part, loosely=loosely) for part in value]
    if isinstance(value, dict):
        return name, [(spelled(key, loosely=loosely), spelled(part, loosely=loosely)) for key, part in value.items()]
    if isinstance(value, (set, frozenset)):
        return name, sorted(repr(spelled(part, loosely=loosely)) for part in value)
    if isinstance(value, (datetime, time)):
        return name, value.isoformat()
    return name, repr(value)


# --- properties -----------------------------------------------------------------------------------------------------


@given(cases())
def test_what_fits_its_annotation_comes_back_equal_with_equal_types_at_every_depth(case: tuple[Any, Any]) -> None:
    annotation, value = case
    codec = codec_for(annotation)

    back = codec.decode(codec.encode(value))

    loosely = "float" in repr(annotation) and "Union" in repr(annotation)
    assert spelled(value, loosely=loosely) == spelled(back, loosely=loosely)


@given(cases())
def test_a_value_that_came_back_is_written_in_the_same_bytes(case: tuple[Any, Any]) -> None:
    annotation, value = case
    codec = codec_for(annotation)
    data = codec.encode(value)

    assert data == codec.encode(codec.decode(data))


@given(cases(), kinds)
def test_a_value_of_another_annotation_is_refused_or_comes_back_as_it_was(case: tuple[Any, Any], other: Kind) -> None:
    codec = codec_for(other.annotation)
    value = case[1]
    try:
        data = codec.encode(value)
    except NotEncodable:
        return

    assert spelled(value, loosely=True) == spelled(codec.decode(data), loosely=True)


@given(plain_values, kinds)
def test_any_json_is_read_or_refused_and_what_was_read_is_written_stably(plain: Any, kind: Kind) -> None:
    codec = codec_for(kind.annotation)
    try:
        value = codec.decode(msgspec.json.encode(plain))
    except NotDecodable:
        return
    data = codec.encode(value)

    assert data == codec.encode(codec.decode(data))


@given(st.binary())
def test_bytes_that_are_no_json_are_refused_and_still_rendered(data: bytes) -> None:
    assume(not data.strip().isdigit())
    with pytest.raises(NotDecodable):
        codec_for(Order).decode(data)

    assert isinstance(render_value(data), str)
    assert isinstance(ArgumentsCodec.of(charge).render(data), str)


@given(plain_values)
def test_payloads_that_differ_in_the_order_of_keys_have_equal_canonical_bytes(value: Any) -> None:
    def reverse(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reverse(value[key]) for key in reversed(value)}
        return [reverse(part) for part in value] if isinstance(value, list) else value

    assert canonical(ANY.encode(value)) == canonical(ANY.encode(reverse(value)))


@given(st.timedeltas())
def test_every_timedelta_is_exact(value: timedelta) -> None:
    codec = codec_for(timedelta)

    assert value == codec.decode(codec.encode(value))


SETS = """
from interp.codec import codec_for
names = {f"name-{n}" for n in range(50)}
print(codec_for(set[str]).encode(names))
print(codec_for(frozenset[frozenset[str]]).encode(frozenset(frozenset({name, name + "x", "y"}) for name in names)))
print(codec_for(dict[str, set[int | str]]).encode({"a": names | {1, 2}}))
"""


def test_sets_are_written_in_the_same_bytes_by_every_process() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SETS],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert 1 == len(outputs)


# --- what is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Order, Order("7"), b'{"id":"7","items":[],"_secret":7,"total":0.0}'),
        (int | None, None, b"null"),
        (Order | Item, Item("a", 1), b'{"type":"Item","value":{"name":"a","price":1.0,"count":1}}'),
        (Order | None, Order("7", secret=1), b'{"id":"7","items":[],"_secret":1,"total":0.0}'),
        (int | str | datetime, 3, b"3"),
        (int | str | datetime, "x", b'{"type":"str","value":"x"}'),
        (Any | None, 3, b"3"),
        (typing.Tuple, (1, "a"), b'[1,"a"]'),  # noqa: UP006  # the old spelling
        (tuple[()], (), b"[]"),
        (dict[UUID, int], {UUID(int=1): 2}, b'{"00000000-0000-0000-0000-000000000001":2}'),
        (dict[int, str], {2: "b", 1: "a"}, b'[[2,"b"],[1,"a"]]'),
        (set[int], {10, 9}, b"[10,9]"),
        (Point, Point(1, 2), b"[1,2.0]"),
        (bytes, b"\xff", b'"/w=="'),
        (Color, Color.RED, b'"red"'),
        (Perm, Perm.READ | Perm.WRITE, b"3"),
        (Shape, Shape.POINT, b'"POINT"'),
        (timedelta, timedelta(days=1, hours=2, milliseconds=500), b'"P1DT2H0.5S"'),
        (timedelta, -timedelta(minutes=90), b'"-PT1H30M"'),
        (timedelta, timedelta(0), b'"PT0S"'),
        (datetime, datetime(2026, 3, 1, tzinfo=ZoneInfo("Europe/Berlin")), b'"2026-03-01T00:00:00+01:00"'),
        (Decimal, Decimal("1.10"), b'"1.10"'),
        (float, 1, b"1.0"),
        (Any, (1, [2.5, {"a": None}]), b'[1,[2.5,{"a":null}]]'),
    ],
)
def test_values_are_written_as_the_reference_shows(annotation: Any, value: Any, expected: bytes) -> None:
    assert expected == codec_for(annotation).encode(value)


def test_unions_that_differ_in_order_only_write_the_same_bytes() -> None:
    one: Any = list[int] | list[str]
    two: Any = list[str] | list[int]

    assert codec_for(one).encode([]) == codec_for(two).encode([])


def test_what_was_written_before_a_union_grew_can_still_be_read() -> None:
    codec = codec_for(Item | Point | Tree)

    assert Item("a", 1.0) == codec.decode(codec_for(Item).encode(Item("a", 1.0)))


def test_classes_of_one_name_are_told_apart_by_their_modules() -> None:
    other = attrs.make_class("Item", {"name": attrs.field(type=str)}, frozen=True)
    other.__module__ = "elsewhere"
    other.__qualname__ = "Item"
    codec = codec_for(of(Union, Item, other))

    assert other("a") == codec.decode(codec.encode(other("a")))
    assert b'"elsewhere.Item"' in codec.encode(other("a"))


def test_fields_resolved_by_attrs_are_known() -> None:
    @attrs.frozen
    class Local:
        """A class that only this function can see."""

    @attrs.frozen
    class Outer:
        """A class with a field of it."""

        part: "list[Local]"

    attrs.resolve_types(Outer, localns={"Local": Local})

    assert b'{"part":[{}]}' == codec_for(Outer).encode(Outer([Local()]))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="`type X = ...` is new in 3.12")
def test_aliases_may_be_generic_and_contain_themselves() -> None:
    names: dict[str, Any] = {}
    exec("type Tree[T] = T | list[Tree[T]]\ntype Json = None | int | str | list[Json] | dict[str, Json]", names)

    assert b"[1,[2,[]]]" == codec_for(names["Tree"][int]).encode([1, [2, []]])
    assert {"a": [1, None]} == codec_for(names["Json"]).decode(b'{"a":[1,null]}')
    with pytest.raises(NotEncodable, match=r"\[1\]\[0\]"):
        codec_for(names["Tree"][int]).encode([1, ["x"]])
    with pytest.raises(NotEncodable):
        codec_for(names["Json"]).encode({"a": 1.5})


def test_the_same_annotation_has_the_same_codec() -> None:
    assert codec_for(list[int]) is codec_for(list[int])
    assert codec_for(Annotated[int, []]).encode(1) == b"1"


# --- what is refused ------------------------------------------------------------------------------------------------


def sub_generator() -> Generator[None, None, None]:
    yield


class Command:
    """Stands for a command."""

    __interp_command__ = True


@attrs.frozen
class Sleep:
    """Stands for a command that is a record."""

    __interp_command__ = True
    seconds: int


@pytest.mark.parametrize(
    ("annotation", "value", "path", "reason"),
    [
        (int, "5", "$", "expected int"),
        (int, True, "$", "expected exactly int"),
        (int, Level.LOW, "$", "expected exactly int"),
        (int, 1.0, "$", "expected int"),
        (str, 5, "$", "expected str"),
        (bool, 1, "$", "expected bool"),
        (float, "1", "$", "expected float"),
        (float, True, "$", "expected float"),
        (float, 2**53 + 1, "$", "no exact float"),
        (float, 10**400, "$", "too large"),
        (float, math.nan, "$", "JSON has no nan"),
        (list[Item], [Item("a", 1), Item("b", math.inf)], "$[1].price", "JSON has no inf"),
        (Any, {"a": [1, math.nan]}, "$['a'][1]", "JSON has no nan"),
        (str, "\ud800", "$", "lone surrogate"),
        (dict[str, int], {"\ud800": 1}, "$", "lone surrogate"),
        (date, datetime(2026, 1, 1, tzinfo=UTC), "$", "expected exactly date"),
        (time, time(1, tzinfo=ZoneInfo("Europe/Berlin")), "$", "no UTC offset"),
        (time, time(1, tzinfo=timezone(timedelta(microseconds=1))), "$", "fraction of a second"),
        (Order, RushOrder("7"), "$", "would be sliced"),
        (list[int], (1, 2), "$", "expected list[int]"),
        (tuple[int, int], (1, 2, 3), "$", "expected 2 items, found 3"),
        (Options, {"name": "a", "colour": "red"}, "$", "no key 'colour'"),
        (Options, {"limit": 1}, "$", "'name' is missing"),
        (Literal[1], True, "$", "expected Literal[1]"),
        (complex, 1j, "$", "no JSON form"),
        (Any, Item("a", 1), "$", "annotate the parameter, field or return value"),
        (Any, {"when": date(2026, 1, 1)}, "$['when']", "annotate the parameter, field or return value"),
        (Any, {1: 2}, "$[1]", "keys of a JSON object"),
        (set, {(1, 2)}, "$", "unhashable"),
        (int | str, 1.5, "$", "expected int | str"),
        (Any, [sub_generator()], "$[0]", "never yielded"),
        (list[int], sub_generator(), "$", "never yielded"),
        (int, Command(), "$", "never yielded"),
        (Command, Command(), "$", "never yielded"),
        (Sleep, Sleep(1), "$", "never yielded"),
        (Box[Any], Box(Sleep(1)), "$.content", "never yielded"),
        ("Nowhere", 1, "$", "cannot be resolved"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_place(
    annotation: Any, value: Any, path: str, reason: str
) -> None:
    with pytest.raises(NotEncodable) as caught:
        codec_for(annotation).encode(value)

    assert path == caught.value.path
    assert reason in caught.value.reason


@pytest.mark.parametrize(
    ("annotation", "data", "path"),
    [
        (int, b'"5"', "$"),
        (int, b"1.7", "$"),
        (int, b"true", "$"),
        (float, b'"1"', "$"),
        (str, b"5", "$"),
        (bool, b"1", "$"),
        (Level, b"1.0", "$"),
        (Level, b"true", "$"),
        (Color, b'"green"', "$"),
        (datetime, b'"tomorrow"', "$"),
        (timedelta, b'"PT"', "$"),
        (timedelta, b'"P9999999999D"', "$"),
        (Decimal, b'"ten"', "$"),
        (bytes, b'"?"', "$"),
        (UUID, b'"7"', "$"),
        (Order, b'{"id":"7","items":[{"name":"a","price":1.0},{"name":"b"}]}', "$.items[1].price"),
        (Order, b'{"id":"7","items":[{"name":"a","price":"1"}]}', "$.items[0].price"),
        (Options, b"{}", "$"),
        (set[Any], b"[[1]]", "$"),
        (Item, b"{", "$"),
        (Item | Tree, b'{"type":"Item","value":{"name":1}}', "$.value.name"),
    ],
)
def test_json_that_does_not_fit_is_refused_with_its_place(annotation: Any, data: bytes, path: str) -> None:
    with pytest.raises(NotDecodable) as caught:
        codec_for(annotation).decode(data)

    assert path == caught.value.path


def test_a_value_that_fits_several_members_of_a_union_is_refused_with_the_cure() -> None:
    with pytest.raises(NotDecodable, match="fits Item and RushOrder; name the one, as in") as caught:
        codec_for(Item | RushOrder).decode(b'{"id":"7","items":[],"name":"a","price":1.0}')

    assert '{"type": "Item", "value": ...}' in caught.value.reason


def test_missing_fields_with_defaults_are_filled_and_unknown_ones_ignored() -> None:
    assert Item("a", 1.0, 1) == codec_for(Item).decode(b'{"name":"a","price":1.0,"gone":[]}')


def test_trailing_defaults_of_a_named_tuple_may_be_absent() -> None:
    assert Point(1, 0.0) == codec_for(Point).decode(b"[1]")


def test_qualifiers_inside_strings_count() -> None:
    codec = codec_for(Partial)

    assert b'{"id":1}' == codec.encode({"id": 1})
    with pytest.raises(NotDecodable, match="'id' is missing"):
        codec.decode(b'{"tags":[]}')


@pytest.mark.parametrize("annotation", [Any, list[Any], Tree])
def test_a_cyclic_value_is_refused(annotation: Any) -> None:
    cycle: Any = [1]
    cycle.append(cycle)
    if annotation is Tree:
        cycle = Tree(1)
        cycle.children.append(cycle)

    with pytest.raises(NotEncodable, match="contains itself"):
        codec_for(annotation).encode(cycle)


def test_a_validator_refuses_what_was_recorded_with_its_own_words() -> None:
    small = attrs.make_class("Small", {"size": attrs.field(type=int, validator=attrs.validators.lt(10))})

    with pytest.raises(NotDecodable, match="'size' must be < 10"):
        codec_for(small).decode(b'{"size":11}')


# --- pydantic, and other people's classes ---------------------------------------------------------------------------


@pytest.mark.parametrize("value", [Money(amount=Decimal("1.10"), when=datetime(2026, 1, 1, tzinfo=UTC)), Coin(5)])
def test_pydantic_classes_come_back_as_they_were(value: Any) -> None:
    codec = codec_for(of(list, type(value)))

    assert [value] == codec.decode(codec.encode([value]))


def test_pydantic_classes_are_strict() -> None:
    with pytest.raises(NotDecodable):
        codec_for(Coin).decode(b'{"cents":"5"}')
    with pytest.raises(NotEncodable):
        codec_for(of(list, Coin)).encode([Money(amount=Decimal(1), when=datetime(2026, 1, 1, tzinfo=UTC))])


class Wallet(pydantic.BaseModel):
    """A model with a model inside."""

    money: Money


class Cheque(Money):
    """A model with a field more."""

    number: int


def test_a_subclass_inside_a_pydantic_model_is_refused_where_pydantic_would_slice_it() -> None:
    cheque = Cheque(amount=Decimal(1), when=datetime(2026, 1, 1, tzinfo=UTC), number=7)

    with pytest.raises(NotEncodable, match="would read it back as"):
        codec_for(Wallet).encode(Wallet(money=cheque))


class Vector:
    """A class of nobody's making."""

    def __init__(self, *parts: int) -> None:
        self.parts = parts


def test_hooks_registered_with_cattrs_make_a_class_known() -> None:
    with pytest.raises(NotEncodable, match="no JSON form"):
        codec_for(Vector).encode(Vector(1))
    converter.register_unstructure_hook(Vector, lambda vector: list(vector.parts))
    converter.register_structure_hook(Vector, lambda plain, _: Vector(*plain))
    codec = codec_for(Box[Vector])

    assert b'{"content":[1,2]}' == codec.encode(Box(Vector(1, 2)))
    assert (1, 2) == codec.decode(b'{"content":[1,2]}').content.parts


def test_what_cattrs_would_coerce_is_refused() -> None:
    assert deque([1]) == codec_for(deque[int]).decode(codec_for(deque[int]).encode(deque([1])))
    with pytest.raises(NotEncodable, match="read it back"):
        codec_for(of(deque, int)).encode(deque(["1"]))


# --- arguments ------------------------------------------------------------------------------------------------------


def charge(order: str, retries: int = 3, *, note: str = "") -> bool:
    """Have a default and a keyword-only parameter."""
    return bool(order and retries and note)


def collect(first: int, *args: Order, key: str = "k", **others: int) -> None:
    """Have everything."""


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (("7",), {}, b'["7"]'),
        (("7", 2), {}, b'["7",2]'),
        (("7",), {"retries": 2}, b'["7",2]'),
        ((), {"retries": 2, "order": "7"}, b'["7",2]'),
        (("7",), {"note": "x"}, b'["7",3,"x"]'),
    ],
)
def test_equal_calls_have_equal_bytes(args: tuple[Any, ...], kwargs: dict[str, Any], expected: bytes) -> None:
    assert expected == ArgumentsCodec.of(charge).encode(args, kwargs)


@given(
    st.integers(),
    st.lists(st.builds(Order, st.text()), max_size=3),
    st.none() | st.text(),
    st.dictionaries(st.text(), st.integers(), max_size=2),
)
def test_arguments_come_back_ready_to_call(
    first: int, orders: list[Order], key: str | None, others: dict[str, int]
) -> None:
    assume(not others.keys() & {"first", "key"})
    codec = ArgumentsCodec.of(collect)
    kwargs: dict[str, Any] = {**others, **({} if key is None else {"key": key})}
    data = codec.encode((first, *orders), kwargs)

    args, again = codec.decode(data)

    assert (first, *orders) == args
    assert kwargs == {name: value for name, value in again.items() if name in kwargs}
    assert data == codec.encode(args, again)


@pytest.mark.parametrize(("args", "kwargs"), [((), {}), (("7", 1, 2), {}), (("7",), {"colour": 1})])
def test_a_call_that_python_would_refuse_names_the_function(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"charge\(order: str, retries: int = 3, \*, note: str = ''\) -> bool: "):
        ArgumentsCodec.of(charge).encode(args, kwargs)


@pytest.mark.parametrize(
    ("fn", "args", "kwargs", "path"),
    [
        (charge, (7,), {}, "order"),
        (charge, ("7",), {"note": "\ud800"}, "note"),
        (collect, (1, Order("7", [Item("a", 1), Item("b", math.nan)])), {}, "args[0].items[1].price"),
        (collect, (1,), {"x": "y"}, "others['x']"),
    ],
)
def test_errors_name_the_argument(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], path: str
) -> None:
    with pytest.raises(NotEncodable) as caught:
        ArgumentsCodec.of(fn).encode(args, kwargs)

    assert path == caught.value.path


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"[]", "order"),
        (b'["7","x"]', "retries"),
        (b'["7",1,"",4]', "arguments"),
        (b"{}", "arguments"),
        (b"", "arguments"),
    ],
)
def test_recorded_arguments_that_no_longer_fit_are_refused(data: bytes, path: str) -> None:
    with pytest.raises(NotDecodable) as caught:
        ArgumentsCodec.of(charge).decode(data)

    assert path == caught.value.path


def test_arguments_are_rendered_with_the_names_of_the_signature() -> None:
    codec = ArgumentsCodec.of(charge)

    assert "order='7', retries=2" == codec.render(b'["7",2]')
    assert "order='aaaaaaaa…, retries=2, note='', (3)=4" == codec.render(b'["aaaaaaaaaaaaaaaaa",2,"",4]', width=10)
    assert "b'nonsense'" == codec.render(b"nonsense")


def test_a_default_of_none_makes_none_welcome() -> None:
    def fetch(limit: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013  # common, if sloppy
        """Have an implicit Optional."""

    codec = ArgumentsCodec.of(fetch)

    assert ((None,), {}) == codec.decode(codec.encode((None,), {}))
    assert b"[3]" == codec.encode((3,), {})


def test_an_annotation_that_cannot_be_resolved_fails_only_where_it_is_needed() -> None:
    def ship(order: "Nowhere", count: int = 1) -> "Neither":  # type: ignore[name-defined]  # noqa: F821  # the point
        """Name what does not exist."""

    codec = ArgumentsCodec.of(ship)

    with pytest.raises(NotEncodable, match=r"order: .*'Nowhere' is not defined"):
        codec.encode((1,), {})
    assert "order=1" == codec.render(b"[1]")


def test_forward_references_are_resolved_at_first_use() -> None:
    names: dict[str, Any] = {}
    exec("def ship(order: 'list[Later]') -> None: ...", names)
    codec = ArgumentsCodec.of(names["ship"])
    names["Later"] = Item

    assert (([Item("a", 1.0)],), {}) == codec.decode(codec.encode(([Item("a", 1.0)],), {}))


def test_keyword_arguments_may_be_declared_by_a_typed_dict() -> None:
    def find(**options: Unpack[Options]) -> None:
        """Take the keys of Options."""

    codec = ArgumentsCodec.of(find)

    assert b'[{"name":"a"}]' == codec.encode((), {"name": "a"})
    with pytest.raises(NotEncodable, match="'name' is missing"):
        codec.encode((), {"limit": 1})


def workflow() -> Generator[Any, Any, Order]:
    yield
    return Order("7")


def untyped_workflow():  # type: ignore[no-untyped-def]
    yield


def iterating() -> Iterator[int]:
    yield 1


async def fetch() -> date:
    return date(2026, 1, 1)


def nothing() -> None:
    """Return nothing."""


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (charge, bool),
        (workflow, Order),
        (untyped_workflow, Any),
        (iterating, Any),
        (fetch, date),
        (nothing, type(None)),
    ],
)
def test_the_result_codec_is_of_what_the_function_gives_in_the_end(fn: Callable[..., Any], expected: Any) -> None:
    assert expected == ArgumentsCodec.of(fn).result.type


def test_a_codec_is_made_once_and_forgotten_with_its_function() -> None:
    def local(x: int) -> int:
        return x

    codec = weakref.ref(ArgumentsCodec.of(local))
    assert codec() is ArgumentsCodec.of(local)
    codec().encode((1,), {})  # type: ignore[union-attr]  # held by the cache
    del local
    gc.collect()

    assert codec() is None


class Teller:
    """Has methods to call."""

    def pay(self, amount: Decimal) -> Decimal:
        return amount

    def __call__(self, amount: int) -> int:
        return amount


@pytest.mark.parametrize(("fn", "value"), [(Teller().pay, Decimal(1)), (Teller(), 1), (Box, 1)])
def test_methods_callable_objects_and_classes_have_arguments_too(fn: Any, value: Any) -> None:
    codec = ArgumentsCodec.of(fn)

    assert ((value,), {}) == codec.decode(codec.encode((value,), {}))
