"""What fibers are called in views: a journal does not tell, so they are named by what sets them apart. Pure.

No code is asked: the name of a fiber is the same beside a live system, on a copy years later, and where the workflow
has long been changed. Fibers that were started together mostly begin with the same command and different arguments
(`create("web-1")`, `create("web-2")`): the first argument that differs is the name. Where they begin with different
commands, these name them; where nothing differs, the fiber's id does.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, cast

import msgspec

from interp.events import Record
from interp.outline.nodes import Node
from interp.outline.tree import Tree
from interp.outline.words import elide, heading, one_line, recorded

__all__ = ["activity_name", "called", "command_line", "fiber_names", "is_instant", "root_name"]

_Path: TypeAlias = "tuple[int | str, ...]"

# Longer names are cut; nobody tells two apart by what comes behind.
_NAME = 40

# Arguments that are longer are not looked into, nor are more of their leaves, nor more commands of a fiber.
_BYTES = 20_000
_LEAVES = 24
_DEPTH = 4
_COMMANDS = 3

_INSTANT = frozenset({"annotate", "emit", "patched", "reply"})


def is_instant(node: Node) -> bool:
    """Whether a command was answered at once, so that nothing was waited for."""
    return node.record.kind in _INSTANT or node.early is not None


def root_name(tree: Tree, workflow: str = "") -> str:
    """Return what the root fiber is called: the workflow."""
    name = tree.started.workflow if tree.started is not None else workflow
    return elide(one_line(name.rpartition(".")[2]), _NAME) or "run"


def activity_name(record: Record) -> str:
    """Return the short name of what a command starts: `create_vm`, `signal 'approve'`, `sleep 1 h`."""
    if record.kind in ("call", "transact", "child"):
        return elide(one_line(record.target.rpartition(".")[2] or record.target), _NAME) or record.kind
    try:
        return elide(one_line(heading(record)[0]), _NAME)
    except (msgspec.MsgspecError, ValueError):  # nothing that this version writes
        return elide(one_line(f"{record.kind} {record.target}".strip()), _NAME)


def command_line(record: Record, width: int) -> str:
    """Return a command as it was written, on one line of at most `width` characters; never raises.

    Args:
        record: The command.
        width: Longest text, in characters.
    """
    name = activity_name(record)
    if record.kind not in ("call", "transact", "child"):
        return elide(name, width)
    inside = None
    if len(record.payload) <= _BYTES:
        with contextlib.suppress(msgspec.MsgspecError, ValueError):  # nothing that this version writes
            inside = heading(record)[1]
    kind = "" if record.kind == "call" else f"{record.kind} "
    return elide(one_line(f"{kind}{name}({recorded(record.payload, width) if inside is None else inside})"), width)


def called(fiber_id: str, names: Mapping[str, str]) -> tuple[str, str]:
    """Return what a fiber is called, and its id where the name does not tell it: `("web-3", "fiber 4.2")`.

    Args:
        fiber_id: Its id; empty for the root.
        names: What `fiber_names` gave.
    """
    if not fiber_id:
        return "the workflow", ""
    name = names.get(fiber_id, fiber_id)
    if name == fiber_id:
        return f"fiber {fiber_id}", ""
    return name, "" if fiber_id in name.split() else f"fiber {fiber_id}"


def fiber_names(tree: Tree) -> dict[str, str]:
    """Name all fibers but the root."""
    names: dict[str, str] = {}
    for groups in tree.owned.values():
        together = [tree.groups[group] for group in groups if len(tree.groups[group]) > 1]
        alone = [tree.groups[group][0] for group in groups if len(tree.groups[group]) == 1]
        for siblings in [*together, *([alone] if _meet(tree, alone) else [[fiber] for fiber in alone])]:
            names.update(_named(tree, siblings))
    return names


def _meet(tree: Tree, fibers: Sequence[str]) -> bool:
    """Whether fibers that were started one by one were there at the same time, so that they must be told apart."""
    firsts = [next(_commands(tree, fiber), None) for fiber in fibers]
    lasts = [next(reversed(tree.fibers.get(fiber, [])), first) for fiber, first in zip(fibers, firsts, strict=True)]
    return any(
        last is not None and after is not None and (last.ended is None or after.at < last.ended)
        for last, after in zip(lasts, firsts[1:], strict=False)
    )


def _named(tree: Tree, siblings: Sequence[str]) -> dict[str, str]:
    commands = {fiber: list(_leading(tree, fiber)) for fiber in siblings}
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for fiber, nodes in commands.items():
        alike[activity_name(nodes[0].record) if nodes else ""].append(fiber)
    names: dict[str, str] = {}
    for head, fibers in alike.items():
        if len(fibers) == 1:
            names[fibers[0]] = head or fibers[0]
            continue
        told = _told_apart([commands[fiber] for fiber in fibers])
        often = Counter(map(str, told))
        for fiber, value in zip(fibers, told, strict=True):
            if value is None or often[str(value)] > 1:
                names[fiber] = f"{head} {fiber}".strip()
            elif isinstance(value, str) and value.strip() and len(alike) == 1:
                names[fiber] = elide(one_line(value), _NAME)
            else:
                names[fiber] = elide(one_line(f"{head} {value}"), _NAME)
    return names


def _leading(tree: Tree, fiber: str) -> Iterator[Node]:
    """Give the commands that may name a fiber: the first ones that wait for something, or else the very first."""
    nodes = list(_first(_commands(tree, fiber), 4 * _COMMANDS))
    telling = [node for node in nodes if node.record.kind not in _INSTANT]
    yield from (telling or nodes)[:_COMMANDS]


def _commands(tree: Tree, fiber: str) -> Iterator[Node]:
    """Give the commands of a fiber; of one that has none of its own, those of the first fiber below it that has."""
    while True:
        nodes = tree.fibers.get(fiber)
        if nodes:
            yield from nodes
            return
        groups = tree.owned.get(fiber)
        if not groups:
            return
        fiber = tree.groups[groups[0]][0]


def _told_apart(fibers: Sequence[Sequence[Node]]) -> list[Any]:
    """Return for each fiber the first value among its arguments that sets it apart; None where there is none."""
    best: list[Any] = [None] * len(fibers)
    most = 1
    for place in range(min(map(len, fibers))):
        if len({(nodes[place].record.kind, nodes[place].record.target) for nodes in fibers}) > 1:
            break  # from here on they do different things
        rows = [dict(_leaves(nodes[place].record.payload)) for nodes in fibers]
        for path in rows[0]:
            values = [row.get(path) for row in rows]
            distinct = len(set(map(str, values)))
            if distinct > most:
                best, most = values, distinct
        if most == len(fibers):
            break
    return best


def _leaves(payload: bytes) -> Iterator[tuple[_Path, Any]]:
    """Give the plain values inside of arguments, with the way to each."""
    if len(payload) > _BYTES:
        return
    try:
        value = msgspec.json.decode(payload)
    except (msgspec.MsgspecError, RecursionError):  # encrypted, or nothing that this version writes
        return
    yield from _first(_below((), value), _LEAVES)


def _below(path: _Path, value: Any) -> Iterator[tuple[_Path, Any]]:
    if isinstance(value, Mapping):
        parts: Iterable[tuple[Any, Any]] = cast("Mapping[str, Any]", value).items()
    elif isinstance(value, list):
        parts = enumerate(cast("Iterable[Any]", value))
    else:
        yield path, value
        return
    if len(path) < _DEPTH:
        for key, part in parts:
            yield from _below((*path, key), part)


def _first(items: Iterator[Any], number: int) -> Iterator[Any]:
    return (item for item, _ in zip(items, range(number), strict=False))
