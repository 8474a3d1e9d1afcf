"""What names in a function's source stand for.

There are two ways to know. Of a function that is loaded, the names are looked up in its globals and cells, so that
`from helpers import clock` leads to `time.time` whatever the way (`LiveNames`). Of a file that is only read, imports
and definitions of that file must do (`FileNames`).
"""

from __future__ import annotations

import ast
import builtins
import inspect
import os
import random
import sys
from collections.abc import Iterator
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any, Protocol, TypeAlias, cast

import attrs

from interp.linting.forbidden import called, read

__all__ = [
    "NOTHING",
    "FileNames",
    "FunctionNode",
    "LiveNames",
    "Meaning",
    "Names",
    "attribute",
    "full_name",
    "function_of",
    "imported",
    "is_library",
    "known_as",
    "meaning_of",
]

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


class _Nothing:
    """Stands for a live object that nobody knows."""


NOTHING = _Nothing()


@attrs.frozen(eq=False)
class Meaning:
    """What an expression stands for.

    Attributes:
        name: Its full name, such as `time.time`; of an instance, that of its class; empty when it is unknown.
        value: The live object; of an instance, its class; NOTHING where nobody knows.
        made: Whether it is an instance of what is named.
        shared: Whether it, or what it was reached through, is an object that outlives the run.
        bound: Whether it was reached through an instance.
        node: Its definition, where that is in the source at hand.
    """

    name: str = ""
    value: Any = NOTHING
    made: bool = False
    shared: bool = False
    bound: bool = False
    node: FunctionNode | None = None


class Names(Protocol):
    """Knows the names around a function."""

    def find(self, name: str) -> Meaning:
        """Return what a name stands for; an empty meaning when nobody knows."""
        ...


@attrs.frozen(eq=False)
class LiveNames:
    """The names around a function that is loaded."""

    fn: Any  # a FunctionType; a field of that type would look like a method to type checkers

    def find(self, name: str) -> Meaning:
        """Look into its cells, its globals and the builtins."""
        if name in self.fn.__code__.co_freevars:
            cell: CellType = self.fn.__closure__[self.fn.__code__.co_freevars.index(name)]
            try:
                return meaning_of(cell.cell_contents)
            except ValueError:  # assigned later
                return Meaning()
        if name in self.fn.__globals__:
            return meaning_of(self.fn.__globals__[name])
        return _builtin(name)


@attrs.frozen(eq=False)
class FileNames:
    """The names of a file that is only read: what its own statements import, define and assign.

    Attributes:
        found: What they stand for; an expression is not looked into before somebody asks.
    """

    found: dict[str, Meaning | ast.expr] = attrs.field(factory=dict[str, Meaning | ast.expr])

    @classmethod
    def of(cls, tree: ast.Module) -> FileNames:
        """Collect the names of a module."""
        names = cls()
        for statement in _top_level(tree.body):
            match statement:
                case ast.Import() | ast.ImportFrom():
                    names.found.update(imported(statement, is_loaded=False))
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    names.found[statement.name] = Meaning(statement.name, node=statement)
                case ast.ClassDef():
                    names.found[statement.name] = Meaning(statement.name)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    names.found[name] = value
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    names.found[name] = value
                case _:
                    pass
        return names

    def find(self, name: str) -> Meaning:
        """Look into the module and the builtins."""
        found = self.found.get(name)
        if isinstance(found, Meaning):
            return found
        return Meaning() if found is not None else _builtin(name)


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Give the statements that run when a module is imported, those below `if` and `try` included."""
    for statement in body:
        yield statement
        for field in ("body", "orelse", "finalbody"):
            if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _top_level(getattr(statement, field, []))
        if isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from _top_level(handler.body)


def _builtin(name: str) -> Meaning:
    value = getattr(builtins, name, NOTHING)
    return Meaning() if value is NOTHING else Meaning(f"builtins.{name}", value)


def imported(statement: ast.Import | ast.ImportFrom, *, is_loaded: bool) -> dict[str, Meaning]:
    """Return what an import statement binds; the module is looked up, never imported.

    Args:
        statement: The statement.
        is_loaded: Whether the code is loaded, and its modules with it. Otherwise only those of the standard library
            are looked up, so that what is found does not depend on what this process has imported.
    """
    if isinstance(statement, ast.ImportFrom):
        module = _module("." * statement.level + (statement.module or ""), is_loaded=is_loaded)
        if [alias.name for alias in statement.names] == ["*"]:
            return {name: attribute(module, name) for name in _all_of(statement.module or "")}
        return {alias.asname or alias.name: attribute(module, alias.name) for alias in statement.names}
    bound: dict[str, Meaning] = {}
    for alias in statement.names:
        name = alias.name if alias.asname else alias.name.partition(".")[0]
        bound[alias.asname or name] = _module(name, is_loaded=is_loaded)
    return bound


def _all_of(name: str) -> list[str]:
    """Return what `from name import *` brings, of our own package and of loaded modules of the standard library."""
    if name != "interp" and name.partition(".")[0] not in sys.stdlib_module_names:
        return []
    module = sys.modules.get(name)
    public = [each for each in vars(module) if not each.startswith("_")] if module is not None else []
    return list(getattr(module, "__all__", public))


def _module(name: str, *, is_loaded: bool) -> Meaning:
    is_known = is_loaded or name.partition(".")[0] in sys.stdlib_module_names
    return Meaning(name, sys.modules.get(name, NOTHING) if is_known else NOTHING)


def meaning_of(value: object, path: str = "") -> Meaning:
    """Return what a live object is.

    Args:
        value: The object.
        path: How it was reached, such as `asyncio.sleep`: a better name than that of the module which defines it.
    """
    if isinstance(value, ModuleType):
        return Meaning(value.__name__, value)
    if value is os.environ:
        return Meaning("os.environ", value, shared=True)
    if value is sys.argv:
        return Meaning("sys.argv", value, shared=True)
    if isinstance(value, type) or inspect.isroutine(value):
        name = full_name(value)
        if path and not _has_rule(name) and _has_rule(path):
            name = path
        owner = getattr(cast("Any", value), "__self__", None)
        is_shared = owner is not None and not isinstance(owner, (type, ModuleType))
        return Meaning(name, value, shared=is_shared, bound=is_shared)
    if path and read(path):
        return Meaning(path, value, shared=True)
    return Meaning(full_name(type(value)), type(value), made=True, shared=True)


def attribute(of: Meaning, name: str) -> Meaning:
    """Return what an attribute stands for; modules and classes are looked into, instances by their class."""
    value: Any = of.value
    path = f"{of.name}.{name}" if of.name else ""
    if isinstance(value, ModuleType):
        found = vars(value).get(name, NOTHING)
        return Meaning(path) if found is NOTHING else meaning_of(found, path)
    if isinstance(value, type):
        found = inspect.getattr_static(value, name, NOTHING)
        if isinstance(found, (staticmethod, classmethod)):
            found = cast("Any", found).__func__
        known = [f"{full_name(base)}.{name}" for base in value.__mro__]
        path = next(filter(_has_rule, known), path)
        is_function = isinstance(found, FunctionType)
        return Meaning(path, found if is_function else NOTHING, shared=of.shared and of.made, bound=of.made)
    return Meaning(path, shared=of.shared, bound=of.made)


def _has_rule(name: str) -> bool:
    return called(name, 0) is not None or read(name) is not None


# Where something is defined, and where everybody knows it from.
_KNOWN_AS = {
    "posix": "os",
    "nt": "os",
    "_io": "io",
    "posixpath": "os.path",
    "ntpath": "os.path",
    "genericpath": "os.path",
    "pathlib._local": "pathlib",
    "pathlib._abc": "pathlib",
    "_socket": "socket",
    "_random": "random",
    "_asyncio": "asyncio",
    "_sqlite3": "sqlite3",
}

# The generator behind `random.random()` and its sisters.
_INNER = cast("object", random.random.__self__)  # type: ignore[attr-defined]  # a bound method of a builtin class


def full_name(value: Any) -> str:
    """Return the name by which everybody knows a class or function, such as `os.urandom`."""
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
    owner = getattr(value, "__self__", None)
    if owner is _INNER:
        return f"random.{value.__name__}"
    if owner is not None and not isinstance(owner, ModuleType):
        kind: type[Any] = owner if isinstance(owner, type) else type(owner)
        known = [f"{full_name(base)}.{value.__name__}" for base in kind.__mro__]
        return next(filter(_has_rule, known), known[0])
    holder = getattr(value, "__objclass__", value)  # of a method of a builtin class
    module = getattr(holder, "__module__", None) or ""
    return known_as(str(module), str(name)) if module else str(name)


def known_as(module: str, name: str) -> str:
    """Return the full name by which everybody knows what a module defines."""
    if module.startswith("numpy.random."):
        module = "numpy.random"
    return f"{_KNOWN_AS.get(module, module)}.{name}"


_PLACES = tuple(
    path if path.endswith(os.sep) else path + os.sep
    for path in {os.path.dirname(os.__file__), os.path.dirname(os.path.realpath(os.__file__))}  # noqa: PTH120  as text
)
_libraries: dict[str, bool] = {}


def is_library(module: str | None) -> bool:
    """Tell whether a module is somebody else's: of the standard library, installed, or our own."""
    if module is None:  # made by exec, without a name
        return False
    known = _libraries.get(module)
    if known is None:
        file = getattr(sys.modules.get(module), "__file__", None) or ""
        package = module.partition(".")[0]
        known = (
            package in ("interp", "stores", "attr", "attrs")
            or package in sys.stdlib_module_names
            or file.startswith(_PLACES)
            or f"{os.sep}site-packages{os.sep}" in file
            or f"{os.sep}dist-packages{os.sep}" in file
        )
        _libraries[module] = known
    return known


def function_of(value: object) -> FunctionType | None:
    """Return the Python function behind a function, a bound method or a plain decorator."""
    if isinstance(value, MethodType):
        value = value.__func__
    if isinstance(value, FunctionType):
        inner = inspect.unwrap(value)
        return inner if isinstance(inner, FunctionType) else value
    return None
