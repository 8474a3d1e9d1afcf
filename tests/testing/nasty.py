"""Random workflows that hide state wherever Python lets them: written as source, so that it is real bytecode.

Fibers share a dict, lists under two names, a set, a deque, iterators, generators and closures; they rest with values on
the interpreter's stack, inside loops over what the others change, in `try` and `finally`; they race, time out, fail,
cancel each other, wait for signals and look at the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import FunctionType
from typing import Any

import attrs
import msgspec
from hypothesis import strategies as st

import interp

__all__ = ["Boom", "Nasty", "nasty_programs", "program"]


class Boom(Exception):
    """A declared failure."""


@interp.activity(name="nasty_ask")
def ask(number: int) -> int:
    raise NotImplementedError


@interp.activity(name="nasty_try", raises=Boom)
def attempt(number: int) -> int:
    raise NotImplementedError


class Order(msgspec.Struct):
    """An object whose fields are in slots made by a class in C."""

    total: int
    lines: list[int] = []


# What a fiber does next; `{k}` is a small number.
STATEMENTS = (
    # Values on the stack while the fiber rests.
    'box["n"] = box["n"] * 2 + (yield call(ask, {k}))',
    'log.append(box["n"] * 10 + (yield call(ask, {k})))',
    "log.append([*items, (yield call(ask, {k}))])",
    "items.append(len(items) + (yield call(ask, {k})))",
    'box.update({{"n": box["n"] + (yield call(ask, {k}))}})',
    'log.append(max(box["n"], (yield call(ask, {k}))))',
    # The same without the trap.
    'got = yield call(ask, {k})\nbox["n"] += got',
    "got = yield call(ask, {k})\nlog.append(got)",
    "yield call(ask, {k})",
    # Loops over what others change.
    "for each in items:\n    got = yield call(ask, each % 3)\n    if len(items) < 3: items.append(got)",
    "for at, _ in enumerate(items):\n    box['n'] += at * (yield call(ask, {k}))\n    if at < 2: items.append(3)",
    "for key in table:\n    table[key] = table[key] + (yield call(ask, {k}))",
    "for key, held in list(table.items()):\n    table[key] = held + (yield call(ask, {k}))",
    "for a, b in zip(items, log):\n    box['n'] += 1 + (yield call(ask, {k}))",
    # One object under several names, or equal ones.
    "mine = items if box['n'] % 2 else list(items)\nyield call(ask, {k})\nmine.append({k})",
    "mine = [box]\nyield call(ask, {k})\nmine[0]['n'] += {k}",
    "log.append(shared[0]) if box['n'] else log.append(list(shared[0]))\nyield call(ask, {k})\nshared[0].append({k})",
    "one = one_object if box['n'] % 2 else other_object\nyield call(ask, {k})\nlog.append(one is one_object)",
    "order.lines, order.total = [*order.lines, {k}], order.total * 2 + (yield call(ask, {k}))",
    "yield call(ask, {k})\nlog.append((order.total, len(order.lines)))",
    # Closures and cells.
    "nonlocal total\ntotal = total * 2 + (yield call(ask, {k}))",
    "def peek(): return total + box['n']\nyield call(ask, {k})\nlog.append(peek())",
    "held = box['n']\nfns.append(lambda: held + total)\nyield call(ask, {k})\nlog.append(fns[-1]())",
    "def peek(seen=box['n']): return seen\nyield call(ask, {k})\nlog.append(peek())",
    # Iterators and generators in common.
    "log.append(next(numbers))\nyield call(ask, {k})\nlog.append(next(numbers))",
    "log.append(next(walk, None))\nyield call(ask, {k})",
    "log.append(next(evens))\nyield call(ask, {k})",
    # Sets, which remember more than their elements; deques.
    "seen.add(box['n'] % 3)\nyield call(ask, {k})\nlog.append(seen.pop() if seen else None)",
    "had = seen.pop() if seen else 9\nyield call(ask, {k})\nseen.add(had)",
    "seen.discard({k})\nyield call(ask, {k})\nlog.extend(seen)",
    "line.append({k})\nyield call(ask, {k})\nlog.append(line.popleft())",
    # Equal, and not the same.
    "box['n'] = bool(box['n']) if {k} else box['n']\nyield call(ask, {k})\nlog.append(str(box['n']))",
    "box['n'] = float(box['n'])\nyield call(ask, {k})\nlog.append(str(box['n']))",
    # Failures, and what Python does on the way.
    "try:\n    yield call(attempt, {k})\nexcept Boom as boom:\n    log.append(str(boom))\nfinally:\n    box['n'] += 1",
    "try:\n    yield call(attempt, {k})\nexcept Boom:\n    box['n'] -= yield call(ask, {k})\n    log.append({k})",
    "yield call(attempt, {k})",
    "try:\n    yield call(ask, {k})\nfinally:\n    yield call(ask, 9)\n    log.append('end {k}')",
    # Concurrency inside.
    "_, got = yield race(call(ask, {k}), call(ask, 7))\nlog.append(got)",
    "try:\n    yield timeout(timedelta(seconds={k} + 1), call(ask, {k}))\nexcept PartTimeout:\n    box['n'] += 3",
    "task = yield spawn(other())\nyield call(ask, {k})\nyield cancel(task)",
    "task = yield spawn(other())\nlog.append((yield join(task)))",
    # Time and signals.
    "yield sleep(timedelta(seconds={k}))\nlog.append('slept {k}')",
    "at = yield now()\nyield call(ask, {k})\nlog.append(((yield now()) - at).total_seconds())",
    "log.append((yield await_signal('go', int)))",
    "try:\n    box['n'] = yield await_signal('go', int, timeout=timedelta(2))\nexcept SignalTimeout:\n    pass",
    "yield annotate(n=box['n'])\nyield call(ask, {k})",
)

RESULTS = (
    "repr((box, items, log, table, total, list(seen), list(line)))",
    "repr((box, total))",
    "box['n']",
    "len(log)",
    "repr(sorted(map(repr, log)))",
    "repr([fn() for fn in fns])",
    "repr((log[-1:], shared is fns, shared[0] is items))",
)

SOURCE = """
@workflow(name="nasty")
def nasty() -> Workflow[Any]:
    box = {{"n": 1}}
    items, log, fns, total = [1], [], [], 0
    table, seen, line = {{"a": 1, "b": 2}}, {{1, 2, 3}}, deque([0], maxlen=3)
    shared = [items]
    one_object, other_object, order = object(), object(), Order(1)
    numbers, walk, evens = count_up(), iter(items), (n for n in range(0, 99, 2))
    def other():
        got = yield call(ask, 5)
        box["n"] += got
        return box["n"]
{fibers}
    yield from gather({parts}{options})
    return {result}
"""


def count_up() -> Any:
    """Count, for ever, in the frame of a generator."""
    number = 0
    while True:
        yield number
        number += 1


NAMES: dict[str, Any] = {
    **{name: getattr(interp, name) for name in interp.__all__},
    "Any": Any,
    "Boom": Boom,
    "Order": Order,
    "ask": ask,
    "attempt": attempt,
    "count_up": count_up,
}
exec("from collections import deque\nfrom datetime import timedelta", NAMES)  # for the programs


@attrs.frozen
class Nasty:
    """A program.

    Attributes:
        source: Its text.
        answers_twice: Whether its calls have two answers.
        signals: Whether signals come.
        cancellations: Whether it may be cancelled.
        failures: How many calls fail.
    """

    source: str
    answers_twice: bool
    signals: bool
    cancellations: bool
    failures: int

    def workflow(self) -> Any:
        """Return its workflow."""
        names = dict(NAMES)
        exec(self.source, names)
        found = names["nasty"]
        assert isinstance(found, FunctionType)
        return found


def _source(fibers: Sequence[Sequence[tuple[str, int]]], result: str, options: str) -> str:
    told: list[str] = []
    for number, statements in enumerate(fibers):
        body = [f"    def fiber_{number}():", "        got = 0"]
        lines = [line for statement, k in statements for line in statement.format(k=k).splitlines()]
        scopes = [line for line in lines if line.startswith("nonlocal")][:1]
        body += [f"        {line}" for line in [*scopes, *(line for line in lines if line not in scopes)]]
        body.append("        if got is None: yield")
        told.append("\n".join(body))
    parts = ", ".join(f"fiber_{number}()" for number in range(len(fibers)))
    return SOURCE.format(fibers="\n".join(told), parts=parts, result=result, options=options)


def program(*fibers: Sequence[str], result: str, signals: bool = False, failures: int = 0) -> Nasty:
    """Write one program: what its fibers do, and what it returns."""
    told = [[(statement, 0) for statement in statements] for statements in fibers]
    source = _source(told, result, "")
    return Nasty(source, answers_twice=False, signals=signals, cancellations=False, failures=failures)


def nasty_programs() -> st.SearchStrategy[Nasty]:
    """Generate programs."""
    statements = st.tuples(st.sampled_from(STATEMENTS), st.integers(0, 2))
    fibers = st.lists(st.lists(statements, min_size=1, max_size=2), min_size=2, max_size=3)
    options = st.sampled_from(["", "", ", return_errors=True", ", limit=2"])
    sources = st.builds(_source, fibers, st.sampled_from(RESULTS), options)
    rarely = st.sampled_from([False, False, False, True])
    return st.builds(Nasty, sources, rarely, st.booleans(), rarely, st.sampled_from([0, 0, 0, 1]))
