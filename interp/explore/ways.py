"""The ways that runs took through their workflow: its yields as a graph, counted over real histories.

A node is a place in the source where a command was yielded; an edge leads to the next command of the same fiber. Where
a fiber has branches (gather, race, spawn), edges lead from the command before them to the first one of each branch, and
from the last one of each to the command after them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence

import attrs

from interp.definitions import WorkflowDefinition
from interp.events import Completed, Event, Failed, Outcome, WasCancelled
from interp.explore.commands import CALLS, Past, attempts_of
from interp.explore.staleness import recorded_code
from interp.outline.nodes import Node, State
from interp.outline.tree import Tree, tree_of
from interp.outline.words import heading, one_line, recorded
from interp.yields import Yield, yield_of, yields_of

__all__ = ["ENDS", "START", "Site", "Ways", "ways_of"]

START = "start"
ENDS: dict[str, type] = {"completed": Completed, "failed": Failed, "cancelled": WasCancelled}
"""The names of the nodes at which runs end."""

# More nodes cannot be told apart on a page.
_MOST = 36

# Longer annotations are shown by their beginning.
_SHORT = 1_000

# Kinds that take no time: the first ones to be left out.
_INSTANT = frozenset({"annotate", "patched", "emit", "reply"})


@attrs.define
class Site:
    """A place in the source where commands are yielded.

    Attributes:
        key: Tells it from the others.
        kind: `call`, `sleep` ...
        target: The activity, the signal; empty where there is none.
        where: `file:line`.
        number: How many commands were yielded there.
        took: How long they took: calls the attempt that gave the answer, others from the yield to the end; seconds.
        attempts: How many attempts there were.
        failed_tries: How many of them failed.
        failed: How many commands failed for good, or timed out.
        waits: How many commands wait there now.
        withdrawn: How many were withdrawn.
        note: What an `annotate` says there; `…` where it says different things.
    """

    key: str
    kind: str
    target: str
    where: str
    number: int = 0
    took: list[float] = attrs.field(factory=list[float])
    attempts: int = 0
    failed_tries: int = 0
    failed: int = 0
    waits: int = 0
    withdrawn: int = 0
    note: str = ""

    def add(self, node: Node) -> None:
        """Count a command."""
        if node.record.kind == "annotate":
            payload = node.record.payload
            said = one_line(heading(node.record)[1] or "") if len(payload) < _SHORT else recorded(payload)
            self.note = said if self.note in ("", said) else "…"
        self.number += 1
        self.waits += node.state is State.WAITS
        self.failed += node.state in (State.FAILED, State.TIMED_OUT)
        self.withdrawn += node.state is State.WITHDRAWN
        if node.record.kind in CALLS:
            attempts = attempts_of(node)
            self.attempts += attempts.number
            self.failed_tries += attempts.failed
            if attempts.took_s is not None:
                self.took.append(attempts.took_s)
        elif node.ended is not None and node.state in (State.DONE, State.TIMED_OUT):
            self.took.append((node.ended - node.at).total_seconds())


@attrs.frozen
class Ways:
    """The graph.

    Attributes:
        sites: The nodes by key, in the order in which the first run that came there did.
        edges: How often each was taken: (from, to); from `start`, to `completed`, `failed` or `cancelled` at the ends.
        runs: How many runs there are.
        ends: How many runs ended how.
        hidden: How many places are left out, because there are too many.
        damaged: How many records could not be read.
        unreached: The yields in the source that no run came to; empty when the source is not at hand, or is another one
            than the runs were recorded with.
    """

    sites: dict[str, Site]
    edges: Counter[tuple[str, str]]
    runs: int
    ends: Counter[str]
    hidden: int = 0
    damaged: int = 0
    unreached: tuple[Yield, ...] = ()


def ways_of(pasts: Iterable[Past], definition: WorkflowDefinition | None = None) -> Ways:
    """Count the ways of some runs.

    Args:
        pasts: The runs; each is looked at once.
        definition: Their workflow as it is now, if there is one and it is at hand.
    """
    yields = yields_of(definition) if definition is not None else []
    reached: set[Yield] = set()
    codes: set[str] = set()
    sites: dict[str, Site] = {}
    edges: Counter[tuple[str, str]] = Counter()
    ends: Counter[str] = Counter()
    runs = damaged = 0
    for past in pasts:
        runs += 1
        damaged += past.damaged
        tree = tree_of(past.history)
        for node in itertools.chain.from_iterable(tree.fibers.values()):  # a damaged history may use an id twice
            key = _key(node)
            if key not in sites:
                sites[key] = Site(key, node.record.kind, node.record.target, node.record.where)
                found = yield_of(node.record, yields)
                reached |= {found} if found is not None else set()
            sites[key].add(node)
        codes.add(recorded_code(past.history))
        edges.update(_steps(tree, past.history[-1].cause if past.history else None))
        end = _end(tree.outcome)
        if end is not None:
            ends[end] += 1
    is_as_recorded = definition is not None and codes <= {"", definition.code}
    unreached = tuple(each for each in yields if each not in reached) if is_as_recorded else ()
    return _bounded(Ways(sites, edges, runs, ends, 0, damaged, unreached))


def _key(node: Node) -> str:
    record = node.record
    return f"{record.where}\0{record.kind}\0{record.target}"


def _end(outcome: Outcome | None) -> str | None:
    return next((name for name, kind in ENDS.items() if isinstance(outcome, kind)), None)


def _steps(tree: Tree, cause: Event | None) -> Iterator[tuple[str, str]]:
    """Give the edges that a run took."""
    last = yield from _fiber(tree, "", [START])
    end = _end(tree.outcome)
    if end is not None:
        # The command whose answer ended the run, where it was one; else where the run stood.
        ender = tree.nodes.get(getattr(cause, "id", ""))
        yield from ((source, end) for source in dict.fromkeys(last if ender is None else [_key(ender)]))


def _fiber(tree: Tree, fiber: str, before: Sequence[str]) -> Generator[tuple[str, str], None, list[str]]:
    """Give the edges of a fiber and of its branches; returns where it stood last."""
    parts = _parts(tree, fiber)
    for place, part in enumerate(parts):
        if isinstance(part, Node):
            key = _key(part)
            yield from ((source, key) for source in dict.fromkeys(before))
            before = [key]
            continue
        ends: list[str] = []
        following = next((later for later in parts[place:] if isinstance(later, Node)), None)
        for branch in tree.groups[part]:
            last = yield from _fiber(tree, branch, before)
            if not tree.fibers[branch] or _joins(tree.fibers[branch][-1], following):
                ends += last
        before = ends or before
    return list(before)


def _joins(last: Node, following: Node | None) -> bool:
    """Tell whether a branch leads to its owner's next command: no loser of a race does, and nothing that goes on."""
    if last.state is State.WITHDRAWN:
        return False
    return following is None or (last.ended is not None and last.ended <= following.at)


def _parts(tree: Tree, fiber: str) -> list[Node | str]:
    """Return the commands and the groups of branches of a fiber, in order."""
    parts: list[tuple[int, int, Node | str]] = []
    reached = 0
    for place, node in enumerate(tree.fibers.get(fiber, ())):
        if node.record.kind != "patched":  # that has no number of its own
            reached = int(node.id.rpartition(".")[2])
        parts.append((reached, place, node))
    parts += [(int(group.rpartition(".")[2]), -1, group) for group in tree.owned.get(fiber, ())]
    return [part for _, _, part in sorted(parts, key=lambda each: each[:2])]


def _bounded(ways: Ways) -> Ways:
    """Leave out what a page has no room for: first what takes no time, then what is rarest; the ways lead past it."""
    if len(ways.sites) <= _MOST:
        return ways
    ranked = sorted(ways.sites.values(), key=lambda site: (site.kind in _INSTANT, -site.number))
    dropped = [site.key for site in ranked[_MOST:]]
    edges = Counter(ways.edges)
    for key in dropped:
        into = {source: number for (source, target), number in edges.items() if target == key and source != key}
        out = {target: number for (source, target), number in edges.items() if source == key and target != key}
        whole = sum(out.values())
        for source, number in into.items():
            for target, part in out.items():
                edges[source, target] += max(round(number * part / whole), 1)
        for edge in [edge for edge in edges if key in edge]:
            del edges[edge]
    kept = {key: site for key, site in ways.sites.items() if key not in set(dropped)}
    return attrs.evolve(ways, sites=kept, edges=edges, hidden=len(dropped))
