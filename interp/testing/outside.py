"""`Outside`: the state around a workflow that must stay as it is, watched and put back.

A workflow computes from what it is sent and from nothing else. What it could reach besides is found by its code: the
globals that it names, default arguments, closures, the same of every function of the same package that it names in
turn. Mutable things among these are copied before an example, compared after it, and put back, so that a workflow which
keeps something from one run to the next fails with a story, and not by making other tests flaky.
"""

from __future__ import annotations

import ast
import copy
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, TypeAlias, cast

import attrs

from interp.frames import brief

__all__ = ["Change", "Outside"]

_PLAIN: tuple[type, ...] = (int, float, complex, str, bytes, bool, type(None), tuple, frozenset)
_CONTAINERS: tuple[type, ...] = (dict, list, set, bytearray, deque)

# What functools.lru_cache makes of a function.
_CACHED: Any = type(lru_cache(lambda: None))

# They move on whenever somebody takes from them.
_SOURCES: tuple[type, ...] = (random.Random, itertools.count)

# Reads a place, and binds it anew.
_Place: TypeAlias = tuple[Callable[[], Any], Callable[[Any], None]]


@attrs.frozen
class Change:
    """Something outside of a workflow that it changed.

    Attributes:
        what: Where it is, such as `default argument 'seen' of orders.checkout`.
        before: What it was, shortened.
        after: What it became, shortened.
    """

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        """Say it on one line."""
        return f"{self.what}: was {self.before}, became {self.after}"


@attrs.define(eq=False)
class _Watched:
    """One place, with what stood there.

    Attributes:
        what: Where it is.
        read: Reads it.
        bind: Binds it anew.
        value: The very object that stood there.
        kept: A copy of it, or of its state.
    """

    what: str
    read: Callable[[], Any]
    bind: Callable[[Any], None]
    value: Any
    kept: Any


class Outside:
    """The state that a function can reach, as it was when this was made."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        """Find the state around a function, and copy it.

        Args:
            fn: The workflow's generator function.
        """
        self._watched: list[_Watched] = []
        self._caches: list[Callable[[], object]] = []
        for what, (read, bind) in _places(cast("FunctionType", fn), self._caches):
            try:
                value = read()
                kept = copy.deepcopy(_state(value))
                if _is_counter(value):
                    _counter(kept)  # whether it could be put back
                if _same(value, kept):  # what does not equal its own copy cannot be compared later
                    self._watched.append(_Watched(what, read, bind, value, kept))
            except Exception:  # noqa: BLE001  a value that cannot be copied or compared cannot be watched
                continue

    @property
    def watched(self) -> list[str]:
        """What is watched, in words."""
        return [each.what for each in self._watched]

    def changes(self) -> list[Change]:
        """List what is not as it was."""
        found: list[Change] = []
        for each in self._watched:
            now = each.read()
            if not _same(now, each.kept):
                found.append(Change(each.what, *_shown(now, each.kept)))
        return found

    def restore(self) -> None:
        """Put everything back, and empty what is cached."""
        for clear in self._caches:
            clear()
        for each in self._watched:
            if not _same(each.value, each.kept):
                each.value = _refilled(each.value, copy.deepcopy(each.kept))
            if each.read() is not each.value:
                each.bind(each.value)


def _state(value: Any) -> Any:
    """Return what is to be compared: the value itself, or how far a source has been used."""
    if isinstance(value, random.Random):
        return value.getstate()
    return repr(value) if _is_counter(value) else value


def _is_counter(value: Any) -> bool:
    return isinstance(value, itertools.count)


def _same(now: Any, kept: Any) -> bool:
    try:
        state = _state(now)
        return type(state) is type(kept) and bool(state == kept)
    except Exception:  # noqa: BLE001  a user's __eq__ may do anything
        return False


def _shown(now: Any, kept: Any) -> tuple[str, str]:
    """Show what something was and is."""
    if isinstance(now, random.Random):
        return "seeded", "one that has drawn numbers"
    if _is_counter(now):
        return kept, repr(now)
    return brief(kept, 60), brief(now, 60)


def _refilled(value: Any, contents: Any) -> Any:
    """Give a mutable object the contents that it had; it stays the same object, for others hold it too."""
    if isinstance(value, random.Random):
        value.setstate(contents)
    elif _is_counter(value):  # cannot be set back
        return _counter(contents)
    elif isinstance(value, (dict, set)):
        cast("Any", value).clear()
        cast("Any", value).update(contents)
    elif isinstance(value, (list, bytearray, deque)):
        cast("Any", value).clear()
        cast("Any", value).extend(contents)
    elif hasattr(value, "__dict__"):
        value.__dict__.clear()
        value.__dict__.update(vars(contents))
    return cast("Any", value)


def _counter(shown: str) -> Any:
    """Make a counter of what its `repr` shows.

    Raises:
        ValueError: It counts something else than plain numbers.
    """
    return itertools.count(*ast.literal_eval(f"({shown.removeprefix('count(').removesuffix(')')},)"))


def _places(fn: FunctionType, caches: list[Callable[[], object]]) -> Iterator[tuple[str, _Place]]:
    """Give every place that a function's code can reach, and that may hold state; and add what empties caches."""
    package = fn.__module__.partition(".")[0]
    seen: set[int] = set()
    waiting: list[Any] = [fn]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, FunctionType):
            for what, place in _of_function(found):
                value = _value(place)
                if isinstance(value, _CACHED) and _is_of(value, package):
                    caches.append(value.cache_clear)
                    value = value.__wrapped__
                if isinstance(value, (FunctionType, type)):
                    if _is_of(value, package) and not _is_activity(value):
                        waiting.append(value)
                elif _may_change(value, package):
                    yield what, place
        elif isinstance(found, type):
            for name, value in list(vars(found).items()):
                if isinstance(value, FunctionType):
                    waiting.append(value)
                elif not name.startswith("__") and isinstance(value, _CONTAINERS):
                    yield f"class attribute {found.__qualname__}.{name}", _attribute(found, name)


def _value(place: _Place) -> Any:
    try:
        return place[0]()
    except (ValueError, KeyError):  # an empty cell
        return None


def _is_of(value: Any, package: str) -> bool:
    """Whether a function or class belongs to the user's package."""
    return bool(getattr(value, "__module__", "").partition(".")[0] == package)


def _is_activity(value: Any) -> bool:
    """Whether it never runs inside of a workflow."""
    return hasattr(value, "__interp_activity__")


def _may_change(value: Any, package: str) -> bool:
    """Whether a value is state: a container, a plain value that may be rebound, or an object of the user's own."""
    if isinstance(value, ModuleType):
        return False
    kind: type = value.__class__
    return isinstance(value, _CONTAINERS + _PLAIN + _SOURCES) or (
        kind.__module__.partition(".")[0] == package and hasattr(value, "__dict__")
    )


def _of_function(fn: FunctionType) -> Iterator[tuple[str, _Place]]:
    """Give the places that one function can reach by itself."""
    name = f"{fn.__module__.rpartition('.')[2]}.{fn.__qualname__.rpartition('<locals>.')[2]}"
    parameters = fn.__code__.co_varnames[: fn.__code__.co_argcount]
    for parameter, default in zip(reversed(parameters), reversed(fn.__defaults__ or ()), strict=False):
        if isinstance(default, _CONTAINERS) or hasattr(default, "__dict__"):
            yield f"default argument {parameter!r} of {name}", (_constant(default), _nothing)
    for parameter, default in (fn.__kwdefaults__ or {}).items():
        if isinstance(default, _CONTAINERS) or hasattr(default, "__dict__"):
            yield f"default argument {parameter!r} of {name}", (_constant(default), _nothing)
    for variable, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
        yield f"{variable!r}, in the closure of {name}", _in_cell(cell)
    for variable in sorted(_globals_of(fn.__code__)):
        if variable in fn.__globals__:
            yield f"global {variable!r} of {fn.__module__}", _in_dict(fn.__globals__, variable)


def _globals_of(code: CodeType) -> set[str]:
    """Return the names that a function's code, and the functions inside of it, may mean as globals."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _globals_of(constant)
    return names


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _nothing(_: Any) -> None:
    """A default argument cannot be bound anew from inside."""


def _in_cell(cell: CellType) -> _Place:
    def bind(value: Any) -> None:
        cell.cell_contents = value

    return lambda: cell.cell_contents, bind


def _in_dict(namespace: dict[str, Any], name: str) -> _Place:
    def bind(value: Any) -> None:
        namespace[name] = value

    return lambda: namespace.get(name), bind


def _attribute(owner: type, name: str) -> _Place:
    return lambda: getattr(owner, name), lambda value: setattr(owner, name, value)
