"""A small directed graph, laid out in layers from top to bottom.

The method of Sugiyama, Tagawa and Toda (1981, "Methods for visual understanding of hierarchical system structures"), in
its plainest form: edges that close a loop are set aside; each node stands one layer below the lowest of those that lead
to it; edges across several layers get a waypoint in each; within a layer nodes are ordered by where their neighbours
stand (barycentre), up and down a few times; last, each moves towards its neighbours as far as there is room.
For some dozens of nodes. Pure.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import attrs

__all__ = ["Laid", "lay_out"]

# How often layers are ordered anew, and nodes moved: more changes nothing that one would see.
_SWEEPS = 12
_MOVES = 24


@attrs.frozen
class Laid:
    """A graph with places.

    Attributes:
        layers: The nodes of each layer, from top to bottom and left to right; waypoints left out.
        x: Middle of each node.
        routes: For each edge, where it passes: the x of its waypoints in the layers between its ends, from top to
            bottom.
        back: The edges that lead up again.
        width: How wide it is.
    """

    layers: tuple[tuple[str, ...], ...]
    x: Mapping[str, float]
    routes: Mapping[tuple[str, str], tuple[float, ...]]
    back: frozenset[tuple[str, str]]
    width: float

    def layer(self, node: str) -> int:
        """Return in which layer a node is, from 0."""
        return next(place for place, layer in enumerate(self.layers) if node in layer)


# A node, or the waypoint of an edge in a layer.
_Point: TypeAlias = str | tuple[str, str, int]
_Links: TypeAlias = dict[tuple[_Point, _Point], float]


def lay_out(
    nodes: Sequence[str],
    edges: Mapping[tuple[str, str], float],
    *,
    first: str,
    last: Sequence[str] = (),
    width: float,
    gap: float,
    lane: float,
) -> Laid:
    """Lay a graph out.

    Args:
        nodes: In the order in which they are to be met, all else being equal.
        edges: From, to; and how heavy it is: the heaviest become the straightest.
        first: Stands alone at the top.
        last: Stand at the bottom.
        width: Of a node.
        gap: Between two nodes, at least.
        lane: Of a waypoint.
    """
    steps = [edge for edge in edges if edge[0] != edge[1]]
    back = _back_edges(nodes, steps, first)
    down = [edge for edge in steps if edge not in back]
    level = _levels(nodes, down, first, last)
    layers, links = _with_waypoints(nodes, {edge: edges[edge] for edge in down}, level)
    layers = _ordered(layers, links)
    x = _placed(layers, links, lambda point: width if isinstance(point, str) else lane, gap)
    named = tuple(tuple(point for point in layer if isinstance(point, str)) for layer in layers)
    routes = {
        (source, target): tuple(x[source, target, each] for each in range(level[source] + 1, level[target]))
        for source, target in down
    }
    middles = {node: x[node] for node in nodes}
    right = max([middle + width / 2 for middle in middles.values()] + [place + lane for place in x.values()])
    return Laid(named, middles, routes, frozenset(back), right)


def _back_edges(nodes: Sequence[str], edges: Sequence[tuple[str, str]], first: str) -> set[tuple[str, str]]:
    """Find the edges that close a loop, walking from the first node in the order of the nodes."""
    place = {node: number for number, node in enumerate(nodes)}
    after: defaultdict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        after[source].append(target)
    for targets in after.values():
        targets.sort(key=place.__getitem__)
    back: set[tuple[str, str]] = set()
    done: set[str] = set()
    for root in [first, *nodes]:
        if root in done:
            continue
        path, open_ = [(root, iter(after[root]))], {root}
        while path:
            node, rest = path[-1]
            following = next(rest, None)
            if following is None:
                path.pop()
                open_.discard(node)
                done.add(node)
            elif following in open_:
                back.add((node, following))
            elif following not in done:
                path.append((following, iter(after[following])))
                open_.add(following)
    return back


def _levels(nodes: Sequence[str], down: Sequence[tuple[str, str]], first: str, last: Sequence[str]) -> dict[str, int]:
    """Put each node one below the lowest of those that lead to it; the first alone on top, the last ones at the end."""
    before: defaultdict[str, list[str]] = defaultdict(list)
    for source, target in down:
        before[target].append(source)
    level: dict[str, int] = {}

    def settle(node: str) -> None:
        waiting = [node]
        while waiting:
            unsettled = [each for each in before[waiting[-1]] if each not in level]
            if unsettled:
                waiting += unsettled
                continue
            each = waiting.pop()
            level.setdefault(each, max([level[source] + 1 for source in before[each]], default=each != first))

    for node in nodes:
        settle(node)
    bottom = max([level[node] for node in nodes if node not in last], default=0)
    for node in last:
        level[node] = bottom + 1
    return level


def _with_waypoints(
    nodes: Sequence[str], down: Mapping[tuple[str, str], float], level: Mapping[str, int]
) -> tuple[list[list[_Point]], _Links]:
    layers: list[list[_Point]] = [[] for _ in range(max(level.values()) + 1)]
    for node in nodes:
        layers[level[node]].append(node)
    links: _Links = {}
    for (source, target), weight in down.items():
        points: list[_Point] = [source]
        for each in range(level[source] + 1, level[target]):
            layers[each].append((source, target, each))
            points.append((source, target, each))
        points.append(target)
        links.update(dict.fromkeys(itertools.pairwise(points), weight))
    return layers, links


def _neighbours(links: _Links) -> tuple[dict[_Point, list[_Point]], dict[_Point, list[_Point]]]:
    above: defaultdict[_Point, list[_Point]] = defaultdict(list)
    below: defaultdict[_Point, list[_Point]] = defaultdict(list)
    for source, target in links:
        above[target].append(source)
        below[source].append(target)
    return above, below


def _ordered(layers: list[list[_Point]], links: _Links) -> list[list[_Point]]:
    """Order each layer by where its neighbours stand; the order with the fewest crossings is kept."""
    above, below = _neighbours(links)
    best, least = layers, _crossings(layers, below)
    for sweep in range(_SWEEPS):
        layers = [layer[:] for layer in layers]
        downwards = sweep % 2 == 0
        rows = range(1, len(layers)) if downwards else range(len(layers) - 2, -1, -1)
        near, step = (above, -1) if downwards else (below, 1)
        for row in rows:
            place = {point: number for number, point in enumerate(layers[row + step])}
            middles = {
                point: sum(place[each] for each in near[point]) / len(near[point]) if near.get(point) else own
                for own, point in enumerate(layers[row])
            }
            layers[row].sort(key=middles.__getitem__)
        crossings = _crossings(layers, below)
        if crossings < least:
            best, least = layers, crossings
    return best


def _crossings(layers: Sequence[Sequence[_Point]], below: Mapping[_Point, Sequence[_Point]]) -> int:
    crossings = 0
    for upper, lower in itertools.pairwise(layers):
        place = {point: number for number, point in enumerate(lower)}
        ends = [(number, place[end]) for number, point in enumerate(upper) for end in below.get(point, ())]
        crossings += sum(
            (one[0] - other[0]) * (one[1] - other[1]) < 0 for number, one in enumerate(ends) for other in ends[:number]
        )
    return crossings


def _placed(
    layers: Sequence[Sequence[_Point]],
    links: _Links,
    width: Callable[[_Point], float],
    gap: float,
) -> dict[_Point, float]:
    """Move each point towards the middle of its neighbours, in its order and with room between."""
    above, below = _neighbours(links)
    x: dict[_Point, float] = {}
    for layer in layers:
        right = 0.0
        for point in layer:
            x[point] = right + width(point) / 2
            right += width(point) + gap
        for point in layer:
            x[point] -= right / 2
    for move in range(_MOVES):
        downwards = move % 2 == 0
        for layer in layers if downwards else [*layers][::-1]:
            wanted: list[float] = []
            for point in layer:
                near = {
                    each: links[(each, point) if downwards else (point, each)]
                    for each in (above if downwards else below).get(point, ())
                }
                weight = sum(near.values())
                wanted.append(sum(x[each] * part for each, part in near.items()) / weight if near else x[point])
            x.update(zip(layer, _apart(layer, wanted, width, gap), strict=True))
    left = min(x[point] - width(point) / 2 for point in x)
    return {point: place - left for point, place in x.items()}


def _apart(
    layer: Sequence[_Point], wanted: Sequence[float], width: Callable[[_Point], float], gap: float
) -> list[float]:
    """Return the places nearest to the wanted ones that keep order and distance: blocks that touch move together."""
    offsets, reached = [0.0], 0.0
    for one, other in itertools.pairwise(layer):
        reached += (width(one) + width(other)) / 2 + gap
        offsets.append(reached)
    # With the distances taken out what is left is to be non-decreasing: pool adjacent violators.
    blocks: list[tuple[float, int]] = []
    for place, offset in zip(wanted, offsets, strict=False):
        total, number = place - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / number:
            before, many = blocks.pop()
            total, number = total + before, number + many
        blocks.append((total, number))
    level = [total / number for total, number in blocks for _ in range(number)]
    return [place + offset for place, offset in zip(level, offsets, strict=False)]
