"""Reads everything that a suspended run can still look at: variables, what lies on Python's stack, who shares what.

Two runs may be taken for one only when no code could ever tell them apart. So a reading is exact or it is refused:
whatever has a state that cannot be read raises `Unreadable`, and then nobody may call two such runs equal.

Where naive readings go wrong, and what is read here:
- Of `box["n"] + (yield c)` the left side has been computed and lies on the stack of the suspended frame, in no
  variable; so does the iterator of a `for`. The garbage collector must see both, so `gc.get_referents` lists them.
- Two fibers that hold one list differ from two that hold equal lists. Every object that has an identity worth having
  gets a number when it is first met, and is its number from then on.
- `1`, `1.0` and `True` are equal, but are not the same. `marshal` tells them apart.
- A set remembers from where it pops, and where its holes are. Both are read from memory.

What is outside of the run (module globals, class attributes) is taken as constant: a workflow that changes it is not
deterministic, which `check_determinism` finds. A dict that is changed while a loop over it rests on a `yield` is read
by its keys and by those that remain; its holes are not seen.
"""

# Whatever is read here is of a type that nobody knows.
# pyright: basic

from __future__ import annotations

import ctypes
import functools
import gc
import marshal
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from hashlib import blake2b
from itertools import pairwise
from re import Pattern
from types import (
    BuiltinFunctionType,
    CellType,
    ClassMethodDescriptorType,
    CodeType,
    FunctionType,
    GeneratorType,
    GenericAlias,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
    UnionType,
    WrapperDescriptorType,
)
from typing import Any, TypeAlias, cast
from zoneinfo import ZoneInfo

import attrs
import msgspec

from interp.definitions import ActivityDefinition, WorkflowDefinition

__all__ = ["READERS", "Reader", "Unreadable", "Values"]


class Unreadable(Exception):
    """A value has a state that cannot be read with certainty."""

    def __init__(self, what: str) -> None:
        """Say what it is."""
        super().__init__(what)
        self.what = what


class Values:
    """Names what outlives a reading: classes, code, global objects. One for all readings that are to be compared."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._named: dict[int, tuple[object, int]] = {}
        self._equal: dict[Any, int] = {}
        self._global: set[int] = set()
        self._modules: set[int] = set()

    def name(self, value: object) -> int:
        """Give an object a number by its identity; it is kept alive, so that no other one takes its address."""
        found = self._named.get(id(value))
        if found is None:
            found = self._named[id(value)] = (value, len(self._named))
        return found[1]

    def name_equal(self, value: Any) -> int:
        """Give a value a number that all equal ones have."""
        return self._equal.setdefault(value, len(self._equal))

    @property
    def modules(self) -> int:
        """How many modules have been met."""
        return len(self._modules)

    def meet(self, namespace: dict[str, Any]) -> None:
        """Remember the objects that a module has: its variables, and what these hold."""
        if id(namespace) in self._modules:
            return
        self._modules.add(id(namespace))
        self.name(namespace)
        waiting = list(namespace.values())
        while waiting:
            value = waiting.pop()
            if type(value) in _PLAIN or id(value) in self._global:
                continue
            self._global.add(id(value))
            match value:
                case list() | tuple() | set() | frozenset():
                    waiting.extend(cast("Iterable[Any]", value))
                case dict():
                    waiting.extend(value.values())
                case type():
                    self._global.update(map(id, vars(value).values()))
                case ModuleType():
                    self._global.update(map(id, vars(value).values()))
                case _:
                    pass

    def is_global(self, value: object) -> bool:
        """Whether a module has it, so that code may ask whether something `is` it."""
        return id(value) in self._global


_PLAIN: frozenset[type] = frozenset({type(None), bool, int, float, complex, str, bytes})

Token: TypeAlias = Any


class Reader:
    """One reading. What is read ends up in one stream, from which `digest` is made."""

    def __init__(self, values: Values) -> None:
        """Begin a reading."""
        self.values = values
        self.stream: list[Token] = []
        self._numbers: dict[int, int] = {}
        self._kept: list[object] = []  # so that no address is used twice during the reading

    def digest(self) -> bytes:
        """Return 16 bytes that stand for all that was read."""
        # Version 2 of the format has no references, whose presence depends on who else holds an object.
        return blake2b(marshal.dumps(self.stream, 2), digest_size=16).digest()

    def read(self, value: Any) -> None:
        """Read a value, and everything that can be reached from it.

        Raises:
            Unreadable: Something has a state that cannot be read.
        """
        kind: type[Any] = type(value)
        if kind in _PLAIN:
            self.stream.append(value)
            return
        reader = READERS.get(kind)
        if reader is None:
            reader = READERS[kind] = _reader_for(kind)
        reader(self, value)

    def tag(self, *parts: Token) -> None:
        """Note what follows. A tag is a tuple, which no value is in the stream."""
        self.stream.append(parts)

    def is_new(self, value: object) -> bool:
        """Number an object; when it has been met before, its number is all that is noted of it."""
        number = self._numbers.get(id(value))
        if number is not None:
            self.tag("same", number)
            return False
        self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)
        if self.values.is_global(value):
            self.tag("global", self.values.name(value))
        return True

    def all(self, values: Iterable[Any]) -> None:
        """Read one value after the other."""
        for value in values:
            self.read(value)


_ReadOne: TypeAlias = Callable[[Reader, Any], None]


# Containers.


def _tuple(reader: Reader, value: tuple[Any, ...]) -> None:
    reader.tag("tuple", len(value))
    reader.all(value)


def _list(reader: Reader, value: list[Any]) -> None:
    if reader.is_new(value):
        _list_items(reader, value)


def _list_items(reader: Reader, value: list[Any]) -> None:
    reader.tag("list", list.__len__(value))
    reader.all(list.__iter__(value))


def _dict(reader: Reader, value: dict[Any, Any]) -> None:
    if reader.is_new(value):
        _dict_items(reader, value)


def _dict_items(reader: Reader, value: dict[Any, Any]) -> None:
    reader.tag("dict", dict.__len__(value))
    for key, held in dict.items(value):
        reader.read(key)
        reader.read(held)


def _ordered_dict(reader: Reader, value: OrderedDict[Any, Any]) -> None:
    if reader.is_new(value):
        reader.tag("OrderedDict", len(value))
        for key, held in value.items():
            reader.read(key)
            reader.read(held)
        reader.read(vars(value))


def _defaultdict(reader: Reader, value: defaultdict[Any, Any]) -> None:
    if reader.is_new(value):
        reader.tag("defaultdict")
        reader.read(value.default_factory)
        _dict_items(reader, value)


def _deque(reader: Reader, value: deque[Any]) -> None:
    if reader.is_new(value):
        reader.tag("deque", len(value), value.maxlen)
        reader.all(value)


def _bytearray(reader: Reader, value: bytearray) -> None:
    if reader.is_new(value):
        reader.tag("bytearray", bytes(value))


def _frozenset(reader: Reader, value: frozenset[Any]) -> None:
    # It never changes, so that the order in which it iterates is all there is to see.
    reader.tag("frozenset", len(value))
    reader.all(value)


def _set(reader: Reader, value: set[Any]) -> None:
    if not _can_read_sets():
        raise Unreadable("a set")
    if reader.is_new(value):
        places, finger = _set_table(value)
        reader.tag("set", places, finger)
        reader.all(value)


_HEADER = object.__basicsize__
_TAKEN, _FREE, _LEFT = b"\x02", b"\x00", b"\x01"


def _set_table(value: set[Any]) -> tuple[bytes, int]:
    """Return which places of a set's table are free, left or taken, and the place from where it pops next.

    A set is fill, used, mask, table, hash, finger, each one word (Include/cpython/setobject.h); a place in the table is
    a pointer, null where it was never used, and a hash, -1 where it was left.
    """
    fields = (ctypes.c_ssize_t * 6).from_address(id(value) + _HEADER)
    _, _, mask, table, _, finger = fields
    places = (ctypes.c_ssize_t * (2 * (mask + 1))).from_address(table)
    told = [
        (_FREE if not places[2 * place] else _LEFT if places[2 * place + 1] == -1 else _TAKEN)
        for place in range(mask + 1)
    ]
    return b"".join(told), finger


@functools.cache
def _can_read_sets() -> bool:
    """Whether sets lie in memory as this module believes: tried on one whose table is known."""
    tried = {1, 2, 3}
    if _set_fields(tried) != (3, 3, 7):
        return False
    before = _set_table(tried)
    first = tried.pop()
    tried.discard(3)
    after = _set_table(tried)
    return (
        (first, set(tried)) == (1, {2})
        and before == (bytes([0, 2, 2, 2, 0, 0, 0, 0]), 0)
        and after == (bytes([0, 1, 2, 1, 0, 0, 0, 0]), 2)
        and _set_fields(tried) == (3, 1, 7)
    )


def _set_fields(value: set[Any]) -> tuple[int, ...]:
    return tuple((ctypes.c_ssize_t * 3).from_address(id(value) + _HEADER))


# Code: functions, and generators with the stacks of their frames.


def _function(reader: Reader, value: FunctionType) -> None:
    if reader.is_new(value):
        reader.values.meet(value.__globals__)
        reader.tag("function", reader.values.name(value.__code__))
        reader.read(value.__closure__)
        reader.read(value.__defaults__)
        reader.read(value.__kwdefaults__)
        reader.read(value.__dict__)


def _cell(reader: Reader, value: CellType) -> None:
    if reader.is_new(value):
        try:
            held = value.cell_contents
        except ValueError:
            reader.tag("empty cell")
            return
        reader.tag("cell")
        reader.read(held)


def _method(reader: Reader, value: MethodType) -> None:
    reader.tag("method")
    reader.read(value.__func__)
    reader.read(value.__self__)


def _builtin(reader: Reader, value: BuiltinFunctionType) -> None:
    owner = value.__self__
    if owner is None or isinstance(owner, ModuleType):
        _fixed(reader, value)
    else:
        reader.tag("builtin", value.__name__)
        reader.read(owner)


def _partial(reader: Reader, value: functools.partial[Any]) -> None:
    if reader.is_new(value):
        reader.tag("partial")
        reader.all((value.func, value.args, value.keywords, vars(value)))


def _generator(reader: Reader, value: GeneratorType[Any, Any, Any]) -> None:
    if not reader.is_new(value):
        return
    frame = value.gi_frame
    if frame is None:
        reader.tag("ended generator", reader.values.name(value.gi_code))
        return
    if value.gi_running or not _can_read_frames():
        raise Unreadable("a generator's frame")
    reader.values.meet(frame.f_globals)
    # The names say which variables are bound: those that are not leave no gap among the values.
    bound = tuple(frame.f_locals)
    held = _frame_values(value)
    reader.tag("generator", reader.values.name(value.gi_code), frame.f_lasti, bound, len(held))
    reader.all(held)


def _frame_values(generator: GeneratorType[Any, Any, Any]) -> list[Any]:
    """Return the variables, cells and stack of a suspended frame, and the exception that it handles.

    The collector visits a generator in the order of its fields: names and frame object, the frame's function and code,
    then what is wanted here. What is null is left out; at one instruction that are always the same places, but for the
    variables that are not bound.
    """
    visited = gc.get_referents(generator)
    code = generator.gi_code
    for place, (function, of) in enumerate(pairwise(visited)):
        if of is code and isinstance(function, FunctionType):
            return visited[place + 2 :]
    raise Unreadable("a generator's frame")


@functools.cache
def _can_read_frames() -> bool:
    """Whether the collector lists frames as this module believes: tried on one in which everything is known."""

    def tried(shared: list[int]) -> Generator[int]:
        for number in shared:
            kept = [shared, shared[0] * 1_000, (yield number)]  # noqa: F841  looked for below

    hidden, loop = [71, 72], tried([71, 72])
    next(loop)
    try:
        held = _frame_values(cast("GeneratorType[int, Any, Any]", loop))
    except Unreadable:
        return False
    iterators = [value for value in held if type(value) is type(iter(hidden))]
    return (
        held[:2] == [hidden, 71]
        and held[2:].count(hidden) == 1  # also what the stack has only borrowed from a variable
        and 71_000 in held[2:]
        and len(iterators) == 1
        and iterators[0].__reduce__()[1:] == ((hidden,), 1)
    )


# Iterators: what they still have before them.


def _reduced(reader: Reader, value: Any) -> None:
    """Read by what pickling would keep, for types of which that is all."""
    if reader.is_new(value):
        parts = value.__reduce__()
        reader.tag("reduced", len(parts))
        reader.all(parts)


def _dict_iterator(reader: Reader, value: Any) -> None:
    if reader.is_new(value):
        over: list[Any] = [held for held in gc.get_referents(value) if isinstance(held, dict)][:1]
        try:
            _, (remaining,) = value.__reduce__()
        except RuntimeError:
            raise Unreadable("a loop over a dict that has changed its size") from None
        reader.tag("dict iterator", reader.values.name(type(value)), len(over), len(remaining))
        reader.all(over)
        reader.all(remaining)


def _dict_view(reader: Reader, value: Any) -> None:
    if reader.is_new(value):
        reader.tag("view", reader.values.name(type(value)))
        reader.all(gc.get_referents(value))


# Values by their identity, or by what they are equal to.


def _fixed(reader: Reader, value: object) -> None:
    """Note which object it is: classes, modules, code, definitions, members of enumerations."""
    reader.tag("the", reader.values.name(value))


def _bare(reader: Reader, value: object) -> None:
    if reader.is_new(value):
        reader.tag("bare")


def _equal(reader: Reader, value: Any) -> None:
    try:
        reader.tag("like", reader.values.name_equal(value))
    except TypeError:
        raise Unreadable(f"a {type(value).__name__} that has no hash") from None


def _by_reduction(reader: Reader, value: Any) -> None:
    """Read a value of the standard library that never changes."""
    reader.tag("value")
    reader.read(value.__reduce_ex__(2))


# Objects.

# Classes written in C whose objects keep more than a dictionary and slots, and what that is.
_MORE: dict[type, _ReadOne] = {
    object: lambda reader, value: None,
    msgspec.Struct.__mro__[-2]: lambda reader, value: None,  # the class in C behind all structs, whose fields are slots
    int: lambda reader, value: reader.read(int(value)),
    float: lambda reader, value: reader.read(float.__float__(value)),
    str: lambda reader, value: reader.read(str.__str__(value)),
    bytes: lambda reader, value: reader.read(bytes.__getitem__(value, slice(None))),
    tuple: lambda reader, value: reader.read(tuple.__getitem__(value, slice(None))),
    list: _list_items,
    dict: _dict_items,
}


def _of_attributes(*names: str) -> _ReadOne:
    def read(reader: Reader, value: Any) -> None:
        reader.all(getattr(value, name, None) for name in names)

    return read


# What an exception of a class has besides `args`; those not listed keep nothing else, or cannot be read.
_MORE_OF_ERRORS: dict[type[BaseException], _ReadOne] = {
    BaseException: lambda reader, value: None,
    OSError: _of_attributes("errno", "strerror", "filename", "filename2", "characters_written"),
    AttributeError: _of_attributes("name", "obj"),
    NameError: _of_attributes("name"),
    ImportError: _of_attributes("msg", "name", "path"),
    StopIteration: _of_attributes("value"),
    BaseExceptionGroup: _of_attributes("message", "exceptions"),
}

_WORD = ctypes.sizeof(ctypes.c_void_p)
_IS_MADE_AT_RUN_TIME = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def _reader_for(kind: type[Any]) -> _ReadOne:
    """Say how objects of a class are read."""
    if issubclass(kind, type | Enum):
        return _fixed
    if kind.__module__ == "typing":
        return _equal
    solid = next(base for base in kind.__mro__ if not base.__flags__ & _IS_MADE_AT_RUN_TIME)
    more = _more_of(solid)
    slots = tuple(_slots(kind))
    if more is None or not _is_accounted_for(kind, solid, len(slots)):
        return _refuse
    return functools.partial(_object, slots, more)


def _refuse(reader: Reader, value: Any) -> None:
    kind: type[Any] = type(value)
    raise Unreadable(f"a {kind.__module__}.{kind.__qualname__}".replace("builtins.", ""))


def _more_of(solid: type[Any]) -> _ReadOne | None:
    """Return how to read what the innermost class written in C keeps; None where that is not known."""
    if not issubclass(solid, BaseException):
        return _MORE.get(solid)
    known = next(base for base in solid.__mro__ if base in _MORE_OF_ERRORS)
    if known.__basicsize__ != solid.__basicsize__:
        return None
    more = _MORE_OF_ERRORS[known]

    def read(reader: Reader, value: BaseException) -> None:
        more(reader, value)
        reader.all((value.args, value.__cause__, value.__context__, value.__suppress_context__))
        places = tuple(_places(value.__traceback__))
        reader.tag("traceback", tuple((reader.values.name(code), at) for code, at in places))

    return read


def _places(step: TracebackType | None) -> Iterator[tuple[CodeType, int]]:
    while step is not None:
        yield step.tb_frame.f_code, step.tb_lasti
        step = step.tb_next


def _slots(kind: type[Any]) -> Iterator[MemberDescriptorType]:
    for base in kind.__mro__:
        if base.__flags__ & _IS_MADE_AT_RUN_TIME:
            yield from (member for member in vars(base).values() if isinstance(member, MemberDescriptorType))


def _is_accounted_for(kind: type[Any], solid: type[Any], slots: int) -> bool:
    """Whether its objects are no larger than their slots need: a class written in C may hide more."""
    words = slots
    words += bool(kind.__dictoffset__ not in (0, -1) and not solid.__dictoffset__)
    words += bool(kind.__weakrefoffset__ > 0 and not solid.__weakrefoffset__)
    return kind.__basicsize__ <= solid.__basicsize__ + words * _WORD


def _object(slots: tuple[MemberDescriptorType, ...], more: _ReadOne, reader: Reader, value: Any) -> None:
    if not reader.is_new(value):
        return
    kind: type[Any] = type(value)
    has_dict = kind.__dictoffset__ != 0
    reader.tag("object", reader.values.name(kind), has_dict)
    more(reader, value)
    for slot in slots:
        try:
            held = slot.__get__(value, kind)
        except AttributeError:
            reader.tag("unset")
        else:
            reader.read(held)
    if has_dict:
        reader.read(object.__getattribute__(value, "__dict__"))


READERS: dict[type, _ReadOne] = {
    tuple: _tuple,
    list: _list,
    dict: _dict,
    OrderedDict: _ordered_dict,
    defaultdict: _defaultdict,
    deque: _deque,
    bytearray: _bytearray,
    frozenset: _frozenset,
    set: _set,
    FunctionType: _function,
    CellType: _cell,
    MethodType: _method,
    BuiltinFunctionType: _builtin,
    functools.partial: _partial,
    GeneratorType: _generator,
    ActivityDefinition: _fixed,
    WorkflowDefinition: _fixed,
    ModuleType: _fixed,
    CodeType: _fixed,
    MethodDescriptorType: _fixed,
    ClassMethodDescriptorType: _fixed,
    WrapperDescriptorType: _fixed,
    GetSetDescriptorType: _fixed,
    MemberDescriptorType: _fixed,
    object: _bare,
    type(...): _fixed,
    type(NotImplemented): _fixed,
    type(attrs.NOTHING): _fixed,
    GenericAlias: _equal,
    UnionType: _equal,
    Pattern: _equal,
}
_EMPTY: Any = {}  # as Any: of what these iterate, nobody knows here
_ITERATED: tuple[Any, ...] = ([], (), range(1), range(1 << 70), "", "é", b"", bytearray())

_FAMILIES: tuple[tuple[_ReadOne, tuple[type, ...]], ...] = (
    (_by_reduction, (datetime, date, time, timedelta, timezone, Decimal, ZoneInfo, range, slice)),
    (_reduced, tuple(type(iter(each)) for each in _ITERATED)),
    (_reduced, (type(reversed(_ITERATED[0])), reversed, enumerate, zip, map, filter)),
    (_dict_iterator, tuple(type(iter(each)) for each in (_EMPTY, _EMPTY.values(), _EMPTY.items()))),
    (_dict_view, (type(_EMPTY.keys()), type(_EMPTY.values()), type(_EMPTY.items()), MappingProxyType)),
)
READERS.update((kind, reader) for reader, kinds in _FAMILIES for kind in kinds)
