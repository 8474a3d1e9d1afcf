"""The path map: the yields of a workflow as a small graph, with what real runs did at each."""

from __future__ import annotations

import math

import attrs

from interp.explore.frames import Frame, Kind
from interp.explore.layout import Laid, lay_out
from interp.explore.markup import Markup, element
from interp.explore.picture import Picture, canvas, fitted, headline, headline_width, paint, rect, words, words_width
from interp.explore.statistics import percentile, period, share
from interp.explore.theme import hues_of
from interp.explore.ways import ENDS, START, Site, Ways
from interp.outline.words import clean, count, elide

__all__ = ["PathMap", "path_map_of"]

# Sizes in pixels.
_WIDE = 284.0
# Of a node with three lines, two, one.
_HIGH, _MID, _LOW = 60.0, 46.0, 30.0
_GAP, _LANE = 34.0, 18.0
_BETWEEN = 48.0
_SMALL = 28.0
_TOP = 44.0
_SIDE = 28.0
_ARC = 26.0

# More yields that were never reached are counted.
_MOST_UNREACHED = 24

_COLOURS = {"completed": "#1f7a43", "failed": "#b42318", "cancelled": "#b42318", START: "#59636e"}


@attrs.frozen(eq=False, repr=False)
class PathMap(Picture):
    """The ways of runs through a workflow.

    Attributes:
        title: What was looked at.
        ways: The graph.
    """

    title: str
    ways: Ways

    @property
    def frame(self) -> Frame:
        """The numbers behind the picture: one row per place in the source."""
        sites = list(self.ways.sites.values())
        return Frame(
            {
                "where": (Kind.TEXT, [site.where for site in sites]),
                "kind": (Kind.TEXT, [site.kind for site in sites]),
                "target": (Kind.TEXT, [site.target or None for site in sites]),
                "commands": (Kind.WHOLE, [site.number for site in sites]),
                "p50_s": (Kind.NUMBER, [_at(site, 0.5) for site in sites]),
                "p95_s": (Kind.NUMBER, [_at(site, 0.95) for site in sites]),
                "attempts": (Kind.WHOLE, [site.attempts for site in sites]),
                "failed_attempts": (Kind.WHOLE, [site.failed_tries for site in sites]),
                "failed": (Kind.WHOLE, [site.failed for site in sites]),
                "waiting": (Kind.WHOLE, [site.waits for site in sites]),
                "withdrawn": (Kind.WHOLE, [site.withdrawn for site in sites]),
            },
            damaged=self.ways.damaged,
            noun="place",
        )

    @property
    def edges(self) -> Frame:
        """The ways between the places: one row per edge."""
        names = [(self._named(source), self._named(target)) for source, target in self.ways.edges]
        return Frame(
            {
                "from": (Kind.TEXT, [source for source, _ in names]),
                "to": (Kind.TEXT, [target for _, target in names]),
                "number": (Kind.WHOLE, list(self.ways.edges.values())),
            },
            noun="way",
        )

    def _named(self, key: str) -> str:
        site = self.ways.sites.get(key)
        return key if site is None else f"{site.where} {site.kind} {site.target}".rstrip()

    def html(self) -> Markup:
        """Show the picture, and the numbers folded."""
        numbers = element("details", element("summary", "the numbers"), self.frame.html())
        return element("div", self.svg(), numbers, class_="picture")

    def svg(self) -> Markup:
        """Draw the graph."""
        ways = self.ways
        ends = [name for name in ENDS if ways.ends[name]]
        laid = lay_out(
            [START, *ways.sites, *ends],
            ways.edges,
            first=START,
            last=ends,
            width=_WIDE,
            gap=_GAP,
            lane=_LANE,
        )
        drawing = _Drawing(ways, laid, ends)
        width = max(drawing.width, headline_width(self.title, self._size()) + 52)
        strip, height = _strip(self._unreached(), drawing.height, width)
        body = [drawing.edges(), drawing.nodes(), strip]
        return canvas(width, height, *headline(self.title, self._size()), *body, label=self._label())

    def _size(self) -> str:
        ways = self.ways
        told = [f"the ways of {count(ways.runs, 'run')}"]
        told += [f"{count(ways.hidden, 'place')} left out"] if ways.hidden else []
        told += [f"{count(ways.damaged, 'damaged record')} left out"] if ways.damaged else []
        return " · ".join(told)

    def _label(self) -> str:
        ended = ", ".join(f"{number:,} {name}" for name, number in self.ways.ends.items())
        places = count(len(self.ways.sites), "place")
        return elide(f"Path map of {self.title}: {places}, {count(self.ways.runs, 'run')}; {ended}", 400)

    def _unreached(self) -> list[Site]:
        """Return the yields in the source that no run came to, as places."""
        places = [(each, f"{each.file}:{each.first}") for each in self.ways.unreached]
        return [Site(where, each.kind, each.target, where) for each, where in places]

    def text(self) -> str:
        """Write the places in order, each with where runs went next."""
        sites = self.ways.sites
        numbers = {key: str(place) for place, key in enumerate(sites, 1)}
        names = {START: START, **{end: end for end in ENDS}, **numbers}
        after: dict[str, list[str]] = {}
        for (source, target), number in sorted(self.ways.edges.items(), key=lambda edge: -edge[1]):
            after.setdefault(source, []).append(f"{names[target]} ×{number:,}")
        lines = [
            f"{elide(clean(self.title), 60)}  {self._size()}",
            f"   start → {', '.join(after.get(START, ['nothing']))}",
        ]
        for key, site in sites.items():
            facts = [f"×{site.number:,}", *_facts(site), *(_trouble(site)[:1])]
            head = f"{numbers[key]:>4}  {elide(_title(site), 30):<30} {elide(clean(site.where), 22):<22}"
            lines.append(f"{head} {', '.join(facts)}".rstrip())
            if key in after:
                lines.append(f"      → {', '.join(after[key])}")
        lines += [f"      {name}: {count(number, 'run')}" for name, number in self.ways.ends.items()]
        lines += [
            f"   –  {elide(_title(site), 30):<30} {elide(clean(site.where), 22):<22} never reached"
            for site in self._unreached()[:_MOST_UNREACHED]
        ]
        return "\n".join(elide(line, 120) for line in lines)


def _strip(sites: list[Site], top: float, width: float) -> tuple[Markup | None, float]:
    """Draw the yields that no run came to below the graph (nobody has seen what leads there); tell where that ends."""
    if not sites:
        return None, top
    shown = sites[:_MOST_UNREACHED]
    more = f", {len(sites) - len(shown):,} of them not shown" if len(sites) > len(shown) else ""
    marks = [words(_SIDE, top + 22, f"in the source, and never reached by these runs{more}", size=12, fill="dim")]
    across = max(int((width - 2 * _SIDE + _GAP) // (_WIDE + _GAP)), 1)
    edge = f";stroke:{paint('line')};stroke-width:1;stroke-dasharray:4 3"
    for place, site in enumerate(shown):
        left, y = _SIDE + place % across * (_WIDE + _GAP), top + 34 + place // across * (_LOW + 10)
        where = fitted(clean(site.where), 96, 11)
        title = fitted(_title(site), _WIDE - 36 - words_width(where, 11), 13)
        marks += [
            rect(left, y, _WIDE, _LOW, "none", rx=6, style=edge),
            words(left + 16, y + 19, title, size=13, fill="dim"),
            words(left + _WIDE - 10, y + 19, where, size=11, anchor="end", fill="dim"),
        ]
    return element("g", marks), top + 34 + -(-len(shown) // across) * (_LOW + 10) + 6


def _at(site: Site, part: float) -> float | None:
    return percentile(sorted(site.took), part) if site.took else None


def _title(site: Site) -> str:
    """Return what is yielded there, in a word or two."""
    name = clean(site.target)
    match site.kind:
        case "call" | "transact":
            return name.rpartition(".")[2]
        case "await_signal":
            return f"signal {name}"
        case "await_request":
            return f"request {name}"
        case "annotate":
            return f"annotate {clean(site.note)}"
        case "child":
            return f"child {name.rpartition('.')[2]}"
        case _:
            return f"{clean(site.kind).replace('_', ' ')} {name}".strip()


def _facts(site: Site) -> list[str]:
    """Say how long it takes there."""
    p50, p95 = _at(site, 0.5), _at(site, 0.95)
    if p50 is None or p95 is None or p95 < 5e-7:
        return []
    return [f"p50 {period(p50)}", f"p95 {period(p95)}"]


def _trouble(site: Site) -> list[str]:
    """Say what goes wrong there, and who stands there; the worst first."""
    told: list[str] = []
    if site.failed:
        told.append(f"{site.failed:,} {'timed out' if site.kind.startswith('await') else 'failed'}")
    if site.failed_tries - (site.failed if site.attempts else 0) > 0:
        told.append(f"{share(site.failed_tries, site.attempts)} of tries failed")
    return told


class _Drawing:
    """The marks of a graph that is laid out."""

    def __init__(self, ways: Ways, laid: Laid, ends: list[str]) -> None:
        self.ways, self.laid = ways, laid
        self.hues = hues_of(site.target for site in ways.sites.values() if site.kind in ("call", "transact"))
        self.most = max(ways.edges.values(), default=1)
        self.tops = self._tops()
        self.level = {node: place for place, layer in enumerate(laid.layers) for node in layer}
        # Room for edges that lead up again, on both sides.
        self.margin = _SIDE + (_ARC + _LANE * len(laid.back) if laid.back else 0)
        self.width = laid.width + 2 * self.margin
        self.height = self.tops[-1] + self._high(laid.layers[-1]) + 16
        self.ends = ends

    def _high(self, layer: tuple[str, ...]) -> float:
        return max(map(self._height, layer))

    def _height(self, node: str) -> float:
        """Return how high a node is: what takes no time and never fails has one line."""
        site = self.ways.sites.get(node)
        if site is None:
            return _SMALL
        if _trouble(site) or site.waits or site.withdrawn:
            return _HIGH
        return _MID if _facts(site) else _LOW

    def _tops(self) -> list[float]:
        tops: list[float] = []
        reached = _TOP
        for layer in self.laid.layers:
            tops.append(reached)
            reached += self._high(layer) + _BETWEEN
        return tops

    def _box(self, node: str) -> tuple[float, float, float]:
        """Return the middle, top and bottom of a node."""
        place = self.level[node]
        top = self.tops[place]
        return self.laid.x[node] + self.margin, top, top + self._height(node)

    # Nodes.

    def nodes(self) -> Markup:
        """Draw the nodes."""
        small = [self._small(node) for node in (START, *self.ends)]
        return element("g", [self._site(site) for site in self.ways.sites.values()], small)

    def _small(self, node: str) -> Markup:
        middle, top, _ = self._box(node)
        number = self.ways.runs if node == START else self.ways.ends[node]
        told = f"{node}  {number:,}"
        wide = words_width(told, 13, bold=True) + 28
        return element(
            "g",
            rect(middle - wide / 2, top, wide, _SMALL, _COLOURS[node], rx=14),
            words(middle, top + 19, told, size=13, anchor="middle", fill="#ffffff", bold=True),
        )

    def _site(self, site: Site) -> Markup:
        middle, top, bottom = self._box(site.key)
        left, is_low = middle - _WIDE / 2, bottom - top == _LOW
        hue = self.hues.get(site.target) if site.kind in ("call", "transact") else None
        stripe = hue or ("wait" if site.kind.startswith(("await", "child")) else "dim")
        trouble, facts = _trouble(site), " · ".join(_facts(site))
        where = fitted(clean(site.where), 96, 11)
        room = _WIDE - 26 - words_width(where, 11) - 10
        marks = [
            element("title", self._tooltip(site)),
            rect(left, top, _WIDE, bottom - top, "band", rx=6, style=f";stroke:{paint('line')};stroke-width:1"),
            rect(left, top, 5, bottom - top, stripe, rx=2),
            words(left + 16, top + 19, fitted(_title(site), room, 13, bold=True), size=13, bold=True),
            words(left + _WIDE - 10, top + 19, where, size=11, anchor="end", fill="dim"),
        ]
        if not is_low:
            marks.append(words(left + 16, top + 37, f"{site.number:,} ×", size=12))
            marks.append(words(left + _WIDE - 10, top + 37, facts, size=11, anchor="end", fill="dim"))
        if trouble:
            marks.append(words(left + 16, top + 53, " · ".join(trouble), size=11, fill="bad"))
        if site.waits:
            told = f"{site.waits:,} wait here" if site.waits > 1 else "1 waits here"
            marks.append(words(left + _WIDE - 10, top + 53, told, size=11, anchor="end", fill="wait", bold=True))
        elif site.withdrawn:
            told = f"{site.withdrawn:,} withdrawn"
            marks.append(words(left + _WIDE - 10, top + 53, told, size=11, anchor="end", fill="dim"))
        return element("g", marks)

    def _tooltip(self, site: Site) -> str:
        told = [f"{site.kind} {clean(site.target)}".strip(), clean(site.where), count(site.number, "command")]
        told += _facts(site)
        told += [f"{count(site.failed_tries, 'try', 'tries')} failed of {site.attempts:,}"] if site.failed_tries else []
        return elide("\n".join(told), 500)

    # Edges.

    def edges(self) -> Markup:
        """Draw the edges, the rarest first; their numbers above all of them."""
        lines: list[Markup] = []
        numbers: list[Markup] = []
        loops = 0
        for (source, target), number in sorted(self.ways.edges.items(), key=lambda edge: edge[1]):
            if source == target or (source, target) in self.laid.back:
                line, label = self._loop(source, target, number, loops)
                loops += source != target
            else:
                line, label = self._edge(source, target, number)
            lines.append(line)
            numbers.append(label)
        return element("g", lines, numbers)

    def _edge(self, source: str, target: str, number: int) -> tuple[Markup, Markup]:
        x, _, y = self._box(source)
        end_x, end_y, _ = self._box(target)
        x, end_x = self._port(source, target, x, out=True), self._port(source, target, end_x, out=False)
        path = f"M{x:.1f} {y:.1f}"
        at_x, at_y = x, y
        for place, way in enumerate(self.laid.routes[source, target], self.level[source] + 1):
            way += self.margin
            path += _bend(at_x, at_y, way, self.tops[place])
            at_x, at_y = way, self.tops[place] + self._high(self.laid.layers[place])
            path += f"V{at_y:.1f}"
        path += _bend(at_x, at_y, end_x, end_y - 7) + f"V{end_y - 5:.1f}"
        label_y = y + (_BETWEEN - 7) / 2
        first = next(iter(self.laid.routes[source, target]), end_x - self.margin) + self.margin
        return self._line(source, target, number, path, end_x, end_y), self._number((x + first) / 2, label_y, number)

    def _port(self, source: str, target: str, middle: float, *, out: bool) -> float:
        """Return where on a node's edge a line begins or ends: side by side, in the order of their other ends."""
        node = source if out else target
        if node not in self.ways.sites:
            return middle
        others = [
            (self._next_x(edge, out=out), edge)
            for edge in self.ways.edges
            if edge[0 if out else 1] == node and edge in self.laid.routes
        ]
        order = [edge for _, edge in sorted(others)]
        step = min(26.0, (_WIDE - 60) / max(len(order), 1))
        return middle + (order.index((source, target)) - (len(order) - 1) / 2) * step

    def _next_x(self, edge: tuple[str, str], *, out: bool) -> float:
        route = self.laid.routes[edge]
        if route:
            return route[0 if out else -1]
        return self.laid.x[edge[1 if out else 0]]

    def _loop(self, source: str, target: str, number: int, loops: int) -> tuple[Markup, Markup]:
        """Draw an edge that leads up again, around the side on which fewer nodes are in its way."""
        side = min((1, -1), key=lambda side: (self._beyond(source, side) + self._beyond(target, side), -side))
        (x, top, bottom), (end_x, end_top, end_bottom) = self._box(source), self._box(target)
        x, end_x = x + side * _WIDE / 2, end_x + side * _WIDE / 2
        if source == target:
            y, end_y, out = bottom - 9, top + 9, x + side * 22
        else:
            y, end_y = (top + bottom) / 2, (end_top + end_bottom) / 2
            out = side * (self._reach(self.level[target], self.level[source], side) + _ARC + _LANE * loops)
        path = f"M{x:.1f} {y:.1f}C{out:.1f} {y:.1f} {out:.1f} {y:.1f} {out:.1f} {(y + end_y) / 2:.1f}"
        path += f"S{out:.1f} {end_y:.1f} {end_x + side * 7:.1f} {end_y:.1f}"
        line = element(
            "g",
            element("title", count(number, "time")),
            element("path", d=path, style=self._stroke(target, number) + ";stroke-dasharray:5 3"),
            element("path", d=f"M{end_x + side:.1f} {end_y:.1f}l{side * 8} -4.5v9z", style=f"fill:{paint('dim')}"),
        )
        return line, self._number(out, (y + end_y) / 2, number)

    def _reach(self, first: int, last: int, side: int) -> float:
        """Return how far nodes and lines reach to one side, in some of the layers."""
        nodes = [self._box(node)[0] * side + _WIDE / 2 for node, level in self.level.items() if first <= level <= last]
        ways = [
            (x + self.margin) * side
            for (source, _), route in self.laid.routes.items()
            for level, x in enumerate(route, self.level[source] + 1)
            if first <= level <= last
        ]
        # Only lines that an edge around the nodes would meet; those further out are led around nobody.
        return max([*nodes, *(way for way in ways if way <= max(nodes) + 2 * _ARC)])

    def _beyond(self, node: str, side: int) -> int:
        """Return how many nodes stand beside a node on one side."""
        x = self.laid.x[node]
        return sum((self.laid.x[other] - x) * side > 0 for other in self.laid.layers[self.level[node]])

    def _line(self, source: str, target: str, number: int, path: str, x: float, y: float) -> Markup:
        head = f"M{x:.1f} {y - 1:.1f}l-4.5 -8h9z"
        told = f"{count(number, 'time')}"
        return element(
            "g",
            element("title", told),
            element("path", d=path, style=self._stroke(target, number)),
            element("path", d=head, style=f"fill:{paint(self._colour(target))}"),
        )

    def _stroke(self, target: str, number: int) -> str:
        width = 1.0 + 3.0 * math.log1p(number) / math.log1p(self.most)
        return f"fill:none;stroke:{paint(self._colour(target))};stroke-width:{width:.1f};stroke-opacity:0.6"

    def _colour(self, target: str) -> str:
        return "bad" if target in ("failed", "cancelled") else "dim"

    def _number(self, x: float, y: float, number: int) -> Markup:
        told = f"{number:,}"
        half = words_width(told, 11) / 2
        return element(
            "g",
            rect(x - half - 3, y - 8, 2 * half + 6, 15, "card", rx=4),
            words(x, y + 3.5, told, size=11, anchor="middle"),
        )


def _bend(x: float, y: float, end_x: float, end_y: float) -> str:
    """Return a curve that leaves and arrives upright."""
    if abs(x - end_x) < 0.5:
        return f"V{end_y:.1f}"
    half = (y + end_y) / 2
    return f"C{x:.1f} {half:.1f} {end_x:.1f} {half:.1f} {end_x:.1f} {end_y:.1f}"


def path_map_of(ways: Ways, title: str) -> PathMap:
    """Draw the ways of runs.

    Args:
        ways: The graph.
        title: What was looked at.
    """
    return PathMap(title, ways)
