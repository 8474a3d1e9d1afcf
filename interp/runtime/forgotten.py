"""Find commands that are made and never yielded, where the source leaves no doubt.

`call(charge, order)` on a line of its own makes a command and throws it away: nothing is charged, and nothing fails.
Python cannot tell, but the source can. Only what is certain is refused: a call of one of our constructors, or of a
generator function, whose value is dropped, or put into a string.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType
from typing import Any
from weakref import WeakSet

from interp import commands
from interp.definitions import WorkflowDefinition
from interp.errors import ForgottenYield

__all__ = ["check_workflow"]

_CONSTRUCTORS = frozenset(
    getattr(commands, name)
    for name in (
        "annotate",
        "await_signal",
        "call",
        "cancel",
        "continue_as",
        "emit",
        "gather",
        "join",
        "now",
        "patched",
        "race",
        "random",
        "reply",
        "run_info",
        "sleep",
        "sleep_until",
        "spawn",
        "transact",
        "uuid",
    )
)

_checked: WeakSet[Callable[..., Any]] = WeakSet()


def check_workflow(definition: WorkflowDefinition) -> None:
    """Check a workflow and the generator functions that it names; each is read once per process.

    Raises:
        ForgottenYield: A command is made and never yielded.
    """
    if definition.fn in _checked:
        return
    waiting: list[Callable[..., Any]] = [definition.fn]
    seen: set[Callable[..., Any]] = set()
    while waiting:
        fn = waiting.pop()
        if fn in seen or not isinstance(fn, FunctionType):
            continue
        seen.add(fn)
        waiting.extend(_check(fn))
    _checked.update(seen)


def _check(fn: FunctionType) -> list[Callable[..., Any]]:
    """Check one function; returns the generator functions that it names."""
    try:
        lines, first = inspect.getsourcelines(fn)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):  # no source: typed at a prompt, or built from text
        return []
    known = {name: value for name, value in _names(fn) if _makes_something(value)}
    for problem, node in _suspects(tree, frozenset()):
        if _called(node) in known:
            where = f"{fn.__code__.co_filename.rpartition('/')[2]}:{first + node.lineno - 1}"
            raise ForgottenYield(ast.unparse(node), where, problem)
    return [value for value in known.values() if value not in _CONSTRUCTORS]


def _names(fn: FunctionType) -> Iterator[tuple[str, Any]]:
    """Give what the names in a function stand for; of a module's attributes, those of `interp` alone."""
    nonlocals = inspect.getclosurevars(fn).nonlocals
    used = {name for code in _codes(fn.__code__) for name in code.co_names}
    for name, value in {**{name: fn.__globals__[name] for name in used & fn.__globals__.keys()}, **nonlocals}.items():
        yield name, value
        if inspect.ismodule(value) and value.__name__.partition(".")[0] == "interp":
            yield from ((f"{name}.{inner}", getattr(value, inner)) for inner in getattr(value, "__all__", ()))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Give the code of a function and of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _makes_something(value: Any) -> bool:
    """Whether calling the value makes a command or a generator."""
    return inspect.isfunction(value) and (value in _CONSTRUCTORS or inspect.isgeneratorfunction(value))


def _suspects(tree: ast.AST, hidden: frozenset[str]) -> Iterator[tuple[str, ast.Call]]:
    """Give the calls whose value is certainly not yielded, with what happens to it instead.

    Args:
        tree: What to look at.
        hidden: Names that a function around it, or it itself, has given a meaning of its own.
    """
    if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        hidden |= {node.arg for node in ast.walk(tree.args) if isinstance(node, ast.arg)}
        hidden |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    match tree:
        case ast.Expr(value=ast.Call() as made) if _called(made).partition(".")[0] not in hidden:
            yield "made and dropped", made
        case ast.FormattedValue(value=ast.Call() as made) if _called(made).partition(".")[0] not in hidden:
            yield "made into a string instead of being yielded", made
        case _:
            pass
    for node in ast.iter_child_nodes(tree):
        yield from _suspects(node, hidden)


def _called(node: ast.Call) -> str:
    """Return the name that is called, such as `call` or `interp.call`; empty for anything more complicated."""
    match node.func:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=module), attr=name):
            return f"{module}.{name}"
        case _:
            return ""
