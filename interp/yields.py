"""The commands in the source of a workflow: where it yields, of which kind, aimed at what. Nothing of it is executed.

Found are the commands of the workflow's function and of the generator functions that it delegates to. What is computed
(a command made elsewhere, a name that only a run knows) is found without its target, or not at all.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any

import attrs

from interp import constructors
from interp.definitions import WorkflowDefinition, activity_of
from interp.errors import InvalidDefinition
from interp.events import Record

__all__ = ["Yield", "written", "yield_of", "yields_of"]

# Constructors whose commands are recorded, and how each is called in a record.
_KINDS: dict[Any, str] = {
    constructors.call: "call",
    constructors.transact: "transact",
    constructors.child: "child",
    constructors.sleep: "sleep",
    constructors.sleep_until: "sleep_until",
    constructors.await_signal: "await_signal",
    constructors.send: "send",
}


@attrs.frozen
class Yield:
    """A command in the source.

    Attributes:
        file: Name of the source file, without its folders.
        first: The first line of the `yield` that it stands in.
        last: The last line of it.
        kind: `call`, `sleep`, `await_signal` ...
        target: Name of the activity, the signal, the workflow; empty where there is none or it is computed.
        hows: The ways in which it may end.
    """

    file: str
    first: int
    last: int
    kind: str
    target: str
    hows: tuple[str, ...]


def yields_of(definition: WorkflowDefinition) -> list[Yield]:
    """Find the commands of a workflow."""
    return [found for fn in _generators(definition.fn) for found in _sites(fn)]


def yield_of(record: Record, yields: Iterable[Yield]) -> Yield | None:
    """Find the place in the source at which a command was yielded."""
    file, _, line = record.where.rpartition(":")
    number = int(line) if line.isdecimal() else 0
    there = [
        found
        for found in yields
        if found.file == file and found.kind == written(record) and found.first <= number <= found.last
    ]
    named = [found for found in there if found.target == record.target]
    return next(iter(named or [found for found in there if not found.target]), None)


def written(record: Record) -> str:
    """Return the kind of a command as its source shows it: what is awaited is said by the type alone."""
    return "await_signal" if record.kind == "await_request" else record.kind


def _generators(fn: Callable[..., Any]) -> list[FunctionType]:
    """Return a workflow's function and the generator functions of the same package that it, or these, name."""
    package = fn.__module__.partition(".")[0]
    found: list[FunctionType] = []
    waiting = [fn]
    while waiting:
        each = inspect.unwrap(waiting.pop())
        if not isinstance(each, FunctionType) or each in found:
            continue
        found.append(each)
        for name in _names_in(each.__code__):
            value = _named(each, name)
            if (
                inspect.isgeneratorfunction(value)
                and value.__module__.partition(".")[0] == package
                and not hasattr(value, "__interp_workflow__")
            ):
                waiting.append(value)
    return found


def _names_in(code: CodeType) -> Iterator[str]:
    """Give the names that a function uses; up to Python 3.11 a comprehension in it is code of its own."""
    yield from (*code.co_names, *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _named(fn: FunctionType, name: str) -> Any:
    """Return what a name means inside of a function; None when nobody knows."""
    if name in fn.__code__.co_freevars:
        cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
        try:
            return cells[name].cell_contents
        except ValueError:
            return None
    return fn.__globals__.get(name)


def _sites(fn: FunctionType) -> Iterator[Yield]:
    """Give the commands that a function yields."""
    try:
        lines, first = inspect.getsourcelines(fn)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):  # typed at a prompt, or built from text
        return
    file = fn.__code__.co_filename.replace("\\", "/").rpartition("/")[2]
    seen: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Yield | ast.YieldFrom) and node.value is not None:
            for made in ast.walk(node.value):
                if isinstance(made, ast.Call) and id(made) not in seen:
                    seen.add(id(made))
                    kind = _kind(fn, made.func)
                    if kind is not None:
                        span = (node.lineno + first - 1, (node.end_lineno or node.lineno) + first - 1)
                        yield Yield(file, *span, kind, *_target(fn, kind, made))


def _kind(fn: FunctionType, called: ast.expr) -> str | None:
    value = _resolved(fn, called)
    try:
        return _KINDS.get(value)
    except TypeError:  # not hashable
        return None


def _resolved(fn: FunctionType, node: ast.expr) -> Any:
    """Return the object that a name, or an attribute of one, means."""
    if isinstance(node, ast.Name):
        return _named(fn, node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_resolved(fn, node.value), node.attr, None)
    return None


def _target(fn: FunctionType, kind: str, made: ast.Call) -> tuple[str, tuple[str, ...]]:
    """Return what a command is aimed at, and how it may end."""
    first = made.args[0] if made.args else None
    match kind:
        case "call" | "transact":
            value = None if first is None else _resolved(fn, first)
            try:
                definition = activity_of(value) if callable(value) else None
            except InvalidDefinition:
                definition = None
            if definition is None:
                return "", ("returns",)
            raises = [f"raises {kind.__name__}" for kind in definition.raises]
            return definition.name, ("returns", *raises)
        case "child":
            value = None if first is None else _resolved(fn, first)
            definition = getattr(value, "__interp_workflow__", None)
            return (definition.name if definition is not None else ""), ("returns",)
        case "await_signal":
            name = first.value if isinstance(first, ast.Constant) else ""
            limited = any(keyword.arg == "timeout" for keyword in made.keywords)
            return str(name), ("arrives", "times out") if limited else ("arrives",)
        case "send":
            return "", ("returns",)
        case _:
            return "", ("fires",)
