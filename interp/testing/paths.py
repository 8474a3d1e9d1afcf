"""Path coverage: which ways through a workflow the examples took.

Lines say little of a workflow: what matters is at which commands it stood, and in which ways they ended. `Paths` finds
the commands in the source of a workflow and of the generators that it delegates to, with the ways in which each may
end (returned, raised each of the declared exceptions, timed out), and counts which of them executions have taken.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import attrs

from interp import constructors
from interp.definitions import activity_of, workflow_of
from interp.errors import InvalidDefinition
from interp.events import (
    Asked,
    ChildEnded,
    Completed,
    Delivered,
    Failed,
    Fired,
    Record,
    Refused,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
    WasCancelled,
)
from interp.testing.execution import Execution

__all__ = ["Paths", "Way"]

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


@attrs.frozen(order=True)
class Way:
    """One way in which a command may end.

    Attributes:
        file: Name of the source file, without its folders.
        line: Where the command stands.
        kind: `call`, `sleep`, `await_signal` ...
        target: Name of the activity, the signal, the workflow; empty where there is none or it is computed.
        how: `returns`, `raises CardDeclined`, `fires`, `arrives`, `times out` ...
    """

    file: str
    line: int
    kind: str
    target: str
    how: str


@attrs.frozen
class _Site:
    """A command in the source, with the lines of the `yield` that it stands in."""

    file: str
    first: int
    last: int
    kind: str
    target: str
    hows: tuple[str, ...]


class Paths:
    """The ways through a workflow, and how often executions took each."""

    def __init__(self, workflow: Callable[..., Any]) -> None:
        """Find the commands of a workflow.

        Args:
            workflow: A function declared with `@workflow`.

        Raises:
            InvalidDefinition: It is none.
        """
        self.workflow = workflow_of(workflow).name
        self.executions = 0
        self._sites = [site for fn in _generators(workflow_of(workflow).fn) for site in _sites(fn)]
        self._taken: Counter[Way] = Counter()

    def add(self, execution: Execution) -> None:
        """Count the ways that an execution took."""
        self.executions += 1
        for history in execution.rounds:
            for record, how in _endings(history):
                site = self._site(record)
                if site is not None:
                    self._taken[Way(site.file, site.first, site.kind, site.target, how)] += 1

    @property
    def ways(self) -> dict[Way, int]:
        """Every way that is known, with how often it was taken; those that nobody foresaw are in it once taken."""
        known = {
            Way(site.file, site.first, site.kind, site.target, how): 0 for site in self._sites for how in site.hows
        }
        return dict(sorted({**known, **self._taken}.items()))

    @property
    def missed(self) -> list[Way]:
        """The ways that no execution took."""
        return [way for way, count in self.ways.items() if not count]

    @property
    def percent(self) -> float:
        """How many of the foreseen ways were taken, in percent; 100 for a workflow without commands."""
        foreseen = sum(len(site.hows) for site in self._sites)
        return 100.0 * (foreseen - len(self.missed)) / foreseen if foreseen else 100.0

    def __str__(self) -> str:
        """Draw the table."""
        head = f"{self.workflow}: {self.percent:.0f} % of the ways in {self.executions} executions"
        rows = [
            (f"{way.file}:{way.line}", f"{way.kind} {way.target}".strip(), way.how, str(count or "never"))
            for way, count in self.ways.items()
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n  ".join([head, *lines])

    def _site(self, record: Record) -> _Site | None:
        file, _, line = record.where.rpartition(":")
        there = [
            site
            for site in self._sites
            if site.file == file and site.kind == _written(record) and site.first <= int(line or 0) <= site.last
        ]
        named = [site for site in there if site.target == record.target]
        return next(iter(named or [site for site in there if not site.target]), None)


def _endings(history: tuple[Transition, ...]) -> Iterator[tuple[Record, str]]:
    """Give the commands of a round that ended, with how."""
    waiting: dict[str, Record] = {}
    mailbox: Counter[tuple[str, str]] = Counter()
    for transition in history:
        cause = transition.cause
        match cause:
            case Started():
                mailbox.update(("await_signal", name) for name, _ in cause.mailbox)
                mailbox.update(("await_request", name) for _, name, payload in cause.asked if payload is not None)
            case Signalled() | Asked():
                awaited = ("await_signal" if isinstance(cause, Signalled) else "await_request", cause.name)
                taker = next((each for each in waiting.values() if awaited == (each.kind, each.target)), None)
                if taker is None:
                    mailbox[awaited] += 1
                else:
                    yield waiting.pop(taker.id), "arrives"
            case Resolved() | Rejected() | Fired() | Delivered() | Refused() | ChildEnded():
                record = waiting.pop(cause.id, None)
                if record is not None:
                    yield record, _how(cause, record)
            case _:
                pass
        for record in transition.commands:
            if mailbox[record.kind, record.target]:
                mailbox[record.kind, record.target] -= 1
                yield record, "arrives"
            else:
                waiting[record.id] = record


def _written(record: Record) -> str:
    """Return the kind of a command as its source shows it: what is awaited is said by the type alone."""
    return "await_signal" if record.kind == "await_request" else record.kind


def _how(cause: Resolved | Rejected | Fired | Delivered | Refused | ChildEnded, record: Record) -> str:
    match cause:
        case Resolved():
            return "returns"
        case Rejected():
            name = cause.failure.type_name.rpartition("<locals>.")[2].rpartition(".")[2]
            return f"raises {name}" if cause.declared else "fails"
        case Fired():
            return "times out" if _written(record) == "await_signal" else "fires"
        case Delivered():
            return "returns"
        case Refused():
            return "fails"
        case ChildEnded():
            return {Completed: "returns", Failed: "fails", WasCancelled: "is cancelled"}[type(cause.outcome)]


# The commands in the source.


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
        for name in (*each.__code__.co_names, *each.__code__.co_freevars):
            value = _named(each, name)
            if (
                inspect.isgeneratorfunction(value)
                and value.__module__.partition(".")[0] == package
                and not hasattr(value, "__interp_workflow__")
            ):
                waiting.append(value)
    return found


def _named(fn: FunctionType, name: str) -> Any:
    """Return what a name means inside of a function; None when nobody knows."""
    if name in fn.__code__.co_freevars:
        cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
        try:
            return cells[name].cell_contents
        except ValueError:
            return None
    return fn.__globals__.get(name)


def _sites(fn: FunctionType) -> Iterator[_Site]:
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
                        yield _Site(file, *span, kind, *_target(fn, kind, made))


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
