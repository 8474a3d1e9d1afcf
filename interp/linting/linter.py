"""The lint: reads workflows and the functions that they call, and tells what they must not do.

Only workflows and what they call are looked at: activities may do anything. What is loaded is read with the names as
they are at run time, across modules; files are read as they are, and nothing of them is imported.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, ref

import attrs

from interp.definitions import WorkflowDefinition, workflow_of
from interp.errors import UsageError
from interp.linting.bodies import Body, Suspicion, workflow_name
from interp.linting.findings import Finding, is_allowed
from interp.linting.names import FileNames, FunctionNode, LiveNames, function_of, is_library
from interp.linting.scopes import Scope

__all__ = ["Linted", "files_in", "forget", "lint", "lint_file", "lint_module", "lint_workflow"]

# A workflow that leads to more functions than this is read as far as that.
_MOST_FUNCTIONS = 500


@attrs.frozen
class Linted:
    """What came of reading a module or a file.

    Attributes:
        workflows: Names of the workflows that were read.
        findings: What was found, by place.
    """

    workflows: tuple[str, ...]
    findings: tuple[Finding, ...]


def lint(target: Callable[..., Any] | ModuleType | Path | str) -> list[Finding]:
    """Find what workflows must not do, without running them.

    Args:
        target: A workflow; a module, with all workflows defined there; or the path of a file, or of a directory with
            files, which are read and not imported.

    Returns:
        What was found, by place; empty when there is nothing.

    Raises:
        UsageError: There is no such file, or it is no Python.
        InvalidDefinition: The function is no workflow.
    """
    if isinstance(target, ModuleType):
        return list(lint_module(target).findings)
    if isinstance(target, Path | str):
        return [finding for file in files_in(Path(target)) for finding in lint_file(file).findings]
    return lint_workflow(workflow_of(target))


def lint_module(module: ModuleType) -> Linted:
    """Read the workflows that a loaded module, or a package that it is, defines; see `lint`."""
    definitions: dict[str, WorkflowDefinition] = {}
    for value in list(vars(module).values()):
        definition = getattr(value, "__interp_workflow__", None)
        if isinstance(definition, WorkflowDefinition) and _is_within(definition.fn.__module__, module.__name__):
            definitions[definition.name] = definition
    found = (finding for definition in definitions.values() for finding in lint_workflow(definition))
    return Linted(tuple(definitions), tuple(_by_place(found)))


def _is_within(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def lint_workflow(definition: WorkflowDefinition) -> list[Finding]:
    """Read one workflow that is loaded, and what it calls; see `lint`."""
    first = function_of(definition.fn)
    found: list[Finding] = []
    waiting = [first] if first is not None else []
    seen: set[FunctionType] = set()
    while waiting and len(seen) < _MOST_FUNCTIONS:
        fn = waiting.pop()
        if fn not in seen:
            seen.add(fn)
            read = _read(fn)
            for finding in read.findings:
                function = definition.name if fn is first else finding.function
                found.append(attrs.evolve(finding, function=function, workflow=definition.name))
            waiting += [callee for reference in read.callees if (callee := reference()) is not None]
    return _by_place(found)


def lint_file(path: Path) -> Linted:
    """Read the workflows of a file, and what they call in that file; nothing is imported. See `lint`."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        told = error.msg if isinstance(error, SyntaxError) else getattr(error, "strerror", None) or error
        raise UsageError(f"{path}{line} cannot be read: {told}") from None
    source = _Source(str(path), text.splitlines())
    names = FileNames.of(tree)
    found: list[Finding] = []
    workflows: list[str] = []
    for name, node, around in _workflows(tree, Scope(names)):
        workflows.append(name)
        found += _read_all(name, node, around, names, source)
    return Linted(tuple(workflows), tuple(_by_place(found)))


def _workflows(tree: ast.AST, around: Scope) -> Iterator[tuple[str, FunctionNode, Scope]]:
    """Give the workflows of a file with their names and the scopes around them."""
    for node in ast.iter_child_nodes(tree):
        inner = around
        if isinstance(node, FunctionNode):
            name = workflow_name(node, around)
            if name:
                yield name, node, around
            inner = around.of(node)
            inner.is_outside = True
        yield from _workflows(node, inner)


def _read_all(
    workflow: str, first: FunctionNode, around: Scope, names: FileNames, source: _Source
) -> Iterator[Finding]:
    """Read a workflow of a file, and the functions of the file that it calls."""
    waiting: list[tuple[FunctionNode, Scope]] = [(first, around)]
    seen: set[FunctionNode] = set()
    while waiting and len(seen) < _MOST_FUNCTIONS:
        node, scope = waiting.pop()
        if node not in seen:
            seen.add(node)
            body = Body()
            body.read(node, scope)
            # Those inside the function itself were read with it.
            callees = [each.node for each in body.callees if names.found.get(each.name) is each]
            waiting += [(callee, Scope(names)) for callee in callees if callee is not None]
            for finding in source.findings(body.suspicions, workflow if node is first else node.name):
                yield attrs.evolve(finding, workflow=workflow)


def files_in(path: Path) -> Iterable[Path]:
    """Give the Python files below a directory, hidden ones and virtual environments left out; or the file itself.

    Raises:
        UsageError: There is no such file.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UsageError(f"{path} is not there, and no module that can be imported")
    return sorted(each for each in path.rglob("*.py") if not _is_skipped(each.relative_to(path)))


def _is_skipped(path: Path) -> bool:
    return any(part.startswith(".") or part in ("node_modules", "site-packages") for part in path.parts)


@attrs.frozen
class _Source:
    """The text that functions are read from.

    Attributes:
        file: Its full name.
        lines: Its lines.
        first: The number of the first line.
        indent: How many columns were taken off its left side.
    """

    file: str
    lines: list[str]
    first: int = 1
    indent: int = 0

    def findings(self, suspicions: Iterable[Suspicion], function: str) -> Iterator[Finding]:
        """Say where suspicions are, those left out that the source allows."""
        for each in suspicions:
            node: Any = each.node
            numbers: set[int] = {node.lineno, node.end_lineno}
            marked = (self.lines[number - 1] for number in numbers)
            if not any(is_allowed(each.code, line) for line in marked):
                line, column = node.lineno + self.first - 1, node.col_offset + self.indent + 1
                yield Finding(
                    self.file, line, column, each.code, each.what, function, function, each.cure, each.certain
                )


@attrs.frozen
class _Read:
    """What reading one function gave."""

    findings: list[Finding]
    callees: list[ref[FunctionType]]  # not to keep them alive: functions that are defined again and again


_reads: WeakKeyDictionary[FunctionType, _Read] = WeakKeyDictionary()


def _read(fn: FunctionType) -> _Read:
    """Read a function that is loaded, once in its life."""
    found = _reads.get(fn)
    if found is None:
        found = _reads[fn] = _read_anew(fn)
    return found


def forget() -> None:
    """Read every function anew from now on: for measurements, and after source files have changed."""
    _reads.clear()


def _read_anew(fn: FunctionType) -> _Read:
    try:
        lines, first = inspect.getsourcelines(fn)
        text = textwrap.dedent("".join(lines))
        tree = ast.parse(text)
    except (OSError, TypeError, SyntaxError):  # no source: typed at a prompt, or built from text
        return _Read([], [])
    node = next((node for node in ast.walk(tree) if isinstance(node, FunctionNode) and node.name == fn.__name__), None)
    if node is None:  # a lambda: its line is read with the function that holds it
        return _Read([], [])
    body = Body()
    body.read(node, Scope(LiveNames(fn)))
    indent = len(lines[0]) - len(lines[0].lstrip())
    source = _Source(fn.__code__.co_filename, text.splitlines(), max(first, 1), indent)
    callees = [
        ref(callee)
        for meaning in body.callees
        if (callee := function_of(meaning.value)) is not None
        and not hasattr(callee, "__interp_activity__")
        and not is_library(callee.__module__)
    ]
    return _Read(list(source.findings(body.suspicions, fn.__qualname__.rpartition("<locals>.")[2])), callees)


def _by_place(found: Iterable[Finding]) -> list[Finding]:
    """Sort findings; one that several workflows lead to is told once."""
    once: dict[tuple[str, int, int, str], Finding] = {}
    for finding in sorted(found):
        once.setdefault((finding.file, finding.line, finding.column, finding.code), finding)
    return list(once.values())
