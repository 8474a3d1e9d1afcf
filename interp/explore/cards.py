"""Cards: where the fibers of a run stand, those at the same line in one card. As HTML and as text.

A card shows the source around the line with the expression underlined, the variables with the changed ones marked,
and what is waited for. Everything is bounded, however many fibers there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs

from interp.explore.markup import Markup, element, indented
from interp.explore.names import called
from interp.explore.scenes import FiberAt, FrameAt, Scene
from interp.explore.sources import SourceLine, around_frame
from interp.outline.words import count, elide

__all__ = ["CARD_STYLE", "Group", "cards_html", "cards_text", "changed_in", "groups_of", "in_columns"]

# How many fibers of one card are listed, how many of their variables side by side, how many cards there are.
_ROWS = 12
_COLUMNS = 5
_CARDS = 24

# Longest text of a value that stands in a table with others, in characters.
_CELL = 40

CARD_STYLE = """
.interp .cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 8px 0 12px; }
.interp .cards > div { flex: 1 1 440px; min-width: 0; display: flex; flex-direction: column; gap: 12px; }
.interp .cards > div:empty { display: none; }
.interp .at-card { border: 1px solid var(--line); border-radius: 8px; overflow: hidden; }
.interp .at-title .dim { font-weight: 400; font-size: 14px; }
.interp .at-head { background: var(--card); padding: 6px 12px; display: flex; gap: 8px; align-items: baseline;
border-bottom: 1px solid var(--line); }
.interp .at-head b { font-weight: 600; } .interp .at-head .place { margin-left: auto; white-space: nowrap; }
.interp .at-head code { overflow-wrap: anywhere; }
.interp .at-card.raised { border-color: var(--bad); }
.interp .at-source { padding: 6px 0; overflow-x: auto; border-bottom: 1px solid var(--line); }
.interp .at-source code { display: block; width: max-content; min-width: 100%; white-space: pre; line-height: 1.6;
box-sizing: border-box; padding: 0 12px; }
.interp .at-source .no { display: inline-block; width: 2.6em; margin-right: 1em; color: var(--dim); text-align: right;
user-select: none; }
.interp .at-source .lit { background: var(--lit); box-shadow: inset 3px 0 var(--lit-edge); }
.interp .raised .at-source .lit { background: var(--old); box-shadow: inset 3px 0 var(--bad); }
.interp .at-source u { text-decoration: underline; text-decoration-color: var(--lit-edge);
text-decoration-thickness: 2px; text-underline-offset: 4px; }
.interp .raised .at-source u { text-decoration-color: var(--bad); }
.interp .at-frame { padding: 4px 12px 0; color: var(--dim); font-size: 13px; }
.interp .at-wide { overflow-x: auto; }
.interp .at-card table { margin: 4px 0; width: 100%; }
.interp .at-card th, .interp .at-card td { padding: 1px 8px; }
.interp .at-card th:first-child { padding-left: 12px; } .interp .at-card tbody th { width: 1%; white-space: nowrap;
vertical-align: top; }
.interp .at-card td code { overflow-wrap: anywhere; }
.interp .at-card td.changed code { background: var(--changed); border-radius: 3px;
box-shadow: 0 0 0 2px var(--changed); }
.interp .at-card td.changed::after { content: " \\25CF"; color: var(--good); font-size: 9px; vertical-align: 2px; }
.interp .at-foot { padding: 5px 12px; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.interp .at-note { border: 1px solid var(--lit-edge); border-radius: 8px; padding: 6px 12px; margin: 8px 0;
background: var(--lit); }
.interp .at-note.bad { border-color: var(--bad); background: none; color: var(--fg); }
.interp .at-note pre { margin-top: 4px; }
"""
"""Goes with the theme wherever cards are shown."""


@attrs.frozen
class Group:
    """Fibers that stand at the same place.

    Attributes:
        fibers: Those, in order of their ids.
        common: The variables of the innermost frame that are the same in all.
        varying: The names of the others.
        changed: For each fiber, the variables of each of its frames that the last record has changed.
        fresh: The fibers that began in it.
        names: What the fibers of the run are called, by id.
    """

    fibers: tuple[FiberAt, ...]
    common: Mapping[str, str]
    varying: tuple[str, ...]
    changed: Mapping[str, tuple[frozenset[str], ...]]
    fresh: frozenset[str]
    names: Mapping[str, str]

    @property
    def frames(self) -> tuple[FrameAt, ...]:
        """The frames of the first fiber: but for the variables those of all."""
        return self.fibers[0].frames

    @property
    def name(self) -> str:
        """The functions that they stand in, outermost first: `provision › ask_approval`."""
        return " › ".join(frame.name for frame in self.frames)

    def changed_at(self, fiber: FiberAt, depth: int) -> frozenset[str]:
        """Return the variables of one frame of a fiber that the last record has changed."""
        changed = self.changed.get(fiber.id)
        return changed[depth] if changed and depth < len(changed) else frozenset()

    def moved(self, fiber: FiberAt) -> bool:
        """Tell whether the last record has changed anything about a fiber."""
        return fiber.id in self.fresh or any(self.changed.get(fiber.id, ()))


def groups_of(scene: Scene, before: Scene | None, names: Mapping[str, str]) -> list[Group]:
    """Put fibers together that stand at the same place, the root first.

    Args:
        scene: The run.
        before: What it was like one record before; None when nobody knows, and nothing is marked as changed.
        names: What the fibers of the run are called, by id.
    """
    earlier = None if before is None else {fiber.id: fiber for fiber in before.fibers}
    by_place: dict[object, list[FiberAt]] = {}
    for fiber in scene.fibers:
        place = tuple((frame.file, frame.line, frame.function, frame.span) for frame in fiber.frames)
        by_place.setdefault((place, fiber.id == "" or (not place and fiber.id)), []).append(fiber)
    return [_grouped(fibers, earlier, names) for fibers in by_place.values()]


def _grouped(fibers: Sequence[FiberAt], earlier: Mapping[str, FiberAt] | None, names: Mapping[str, str]) -> Group:
    changed: dict[str, tuple[frozenset[str], ...]] = {}
    fresh: set[str] = set()
    for fiber in fibers:
        old = None if earlier is None else earlier.get(fiber.id)
        if old is not None:
            changed[fiber.id] = changed_in(fiber, old)
        elif earlier is not None:
            fresh.add(fiber.id)
    tables = [fiber.local for fiber in fibers]
    variables = dict.fromkeys(name for table in tables for name in table)
    # What was changed is told fiber by fiber, even where it has become what it is in all others.
    several = changed.values() if len(fibers) > 1 else ()
    marked = {name for of_fiber in several if of_fiber for name in of_fiber[-1]}
    first = tables[0]
    common = {
        name: first[name]
        for name in variables
        if name in first and name not in marked and all(table.get(name) == first[name] for table in tables)
    }
    varying = tuple(name for name in variables if name not in common)
    if len(varying) > _COLUMNS:
        varying = tuple(sorted(varying, key=lambda name: name not in marked))
    return Group(tuple(fibers), common, varying, changed, frozenset(fresh), names)


def changed_in(fiber: FiberAt, old: FiberAt) -> tuple[frozenset[str], ...]:
    """Return which variables of each frame are not what they were; a frame that was not there has none."""
    if fiber is old:
        return ()
    result: list[frozenset[str]] = []
    for depth, frame in enumerate(fiber.frames):
        was = old.frames[depth] if depth < len(old.frames) else None
        if was is frame or was is None or was.function != frame.function:
            result.append(frozenset())
        else:
            result.append(frozenset(name for name, text in frame.local.items() if was.local.get(name) != text))
    return tuple(result)


# HTML.


def cards_html(
    scene: Scene, before: Scene | None, names: Mapping[str, str], more: str = "moment.fibers"
) -> tuple[list[Markup], list[Markup]]:
    """Draw the cards, in two columns of about the same height, the root first.

    Args:
        scene: The run.
        before: What it was like one record before.
        names: What the fibers of the run are called, by id.
        more: What the reader calls to see all fibers of a function.
    """
    groups = groups_of(scene, before, names)
    columns: tuple[list[Markup], list[Markup]] = ([], [])
    heights = [0, 0]
    for group in groups[:_CARDS]:
        shorter = 0 if heights[0] <= heights[1] else 1
        columns[shorter].append(_card(group, more))
        heights[shorter] += _height(group)
    if len(groups) > _CARDS:
        hidden = sum(len(group.fibers) for group in groups[_CARDS:])
        columns[1].append(element("p", f"… and {count(hidden, 'more fiber')} at other lines: {more}", class_="dim"))
    return columns


def in_columns(columns: Iterable[Iterable[Markup]]) -> Markup:
    """Put cards side by side; one below the other where the page is narrow."""
    return element("div", [element("div", column) for column in columns], class_="cards")


def _height(group: Group) -> int:
    """Estimate how high a card is, in lines."""
    if len(group.fibers) > 1:
        return 5 * len(group.frames) + min(len(group.fibers), _ROWS) + 5
    return sum(6 + len(frame.local) for frame in group.frames) + 3


def _card(group: Group, more: str) -> Markup:
    fiber, *others = group.fibers
    parts: list[Markup | None] = [_head(group)]
    for depth, frame in enumerate(group.frames):
        is_last = depth == len(group.frames) - 1
        if len(group.frames) > 1:
            parts.append(element("div", element("code", frame.name), f"  {frame.place}", class_="at-frame"))
        parts.append(_source(frame, around=2 if is_last else 0))
        if not others:
            parts.append(_variables(frame, group.changed_at(fiber, depth)))
    if others:
        parts += [_rows(group, more), _all(group)]
    parts.append(_foot(group))
    return element("section", *parts, class_="at-card raised" if fiber.raised else "at-card", aria_label=_title(group))


def _title(group: Group) -> str:
    fiber, *others = group.fibers
    return count(len(group.fibers), "fiber") if others else called(fiber.id, group.names)[0]


def _beside(group: Group) -> str:
    """Return what stands beside the title: the id of a fiber, and what its author called it."""
    fiber, *others = group.fibers
    if others or not fiber.id:
        return ""
    title, its_id = called(fiber.id, group.names)
    own = _own(fiber)
    return " ".join(filter(None, (its_id, elide(own, _CELL) if own not in (title, group.name) else "")))


def _own(fiber: FiberAt) -> str:
    """Return the name that the author gave a fiber; empty where its label is the function that it began with."""
    return "" if fiber.label.startswith(f"{fiber.function}(") else fiber.label


def _head(group: Group) -> Markup:
    fiber = group.fibers[0]
    name = group.name or fiber.label
    beside = _beside(group)
    place = group.frames[-1].place if group.frames else ""
    fresh = element("span", "new", class_="good") if len(group.fibers) == 1 and fiber.id in group.fresh else None
    return element(
        "div",
        element("b", "raised in" if fiber.raised else _title(group)),
        element("span", beside, class_="dim") if beside else None,
        element("code", name),
        fresh,
        element("span", place, class_="dim place"),
        class_="at-head",
    )


def _source(frame: FrameAt, around: int) -> Markup:
    lines = around_frame(frame, around)
    if not lines:
        told = f"{frame.function}, line {frame.line}: its source is not at hand"
        return element("div", element("code", told, class_="dim"), class_="at-source")
    return element("div", *map(_line, lines), class_="at-source")


def _line(line: SourceLine) -> Markup:
    text: list[Markup | str] = [line.text or " "]
    if line.marked is not None:
        begin, end = line.marked
        text = [indented(line.text[:begin]), element("u", line.text[begin:end]), line.text[end:]]
    number = element("span", str(line.number), class_="no")
    return element(
        "code", number, text, class_="lit" if line.roles else None, aria_current="true" if line.roles else None
    )


def _variables(frame: FrameAt, changed: frozenset[str]) -> Markup | None:
    if not frame.local:
        return None
    rows = [
        element("tr", element("th", element("code", name), scope="row"), _cell(text, name in changed, title=True))
        for name, text in frame.local.items()
    ]
    if frame.hidden:
        rows.append(element("tr", element("td", f"… and {frame.hidden:,} more", class_="dim", colspan=2)))
    return element("table", element("tbody", rows))


def _cell(text: str, is_changed: bool, *, title: bool = False) -> Markup:
    told = text if title else elide(text, _CELL)
    hint = "changed by this record" if is_changed else None
    return element("td", element("code", told), class_="changed" if is_changed else None, title=hint)


def _listed(group: Group) -> list[FiberAt]:
    """Return the fibers that are shown, those that the last record has moved in any case."""
    if len(group.fibers) <= _ROWS:
        return list(group.fibers)
    moved = [fiber for fiber in group.fibers if group.moved(fiber)][:_ROWS]
    others = [fiber for fiber in group.fibers if fiber not in moved]
    chosen = {fiber.id for fiber in [*moved, *others][:_ROWS]}
    return [fiber for fiber in group.fibers if fiber.id in chosen]


def _rows(group: Group, more: str) -> Markup:
    columns = group.varying[:_COLUMNS]
    listed = _listed(group)
    has_until = any(fiber.until for fiber in listed)
    heads = [
        element("th", "fiber", scope="col"),
        *(element("th", element("code", name), scope="col") for name in columns),
    ]
    if has_until:
        heads.append(element("th", "until", scope="col"))
    rows: list[Markup] = []
    for fiber in listed:
        innermost = group.changed_at(fiber, len(fiber.frames) - 1)
        cells = [_cell(fiber.local.get(name, ""), name in innermost) for name in columns]
        if has_until:
            cells.append(element("td", fiber.until, class_="dim"))
        fresh = element("span", " new", class_="good") if fiber.id in group.fresh else None
        name, beside = _called(fiber, group)
        dim = element("span", f" {beside}", class_="dim") if beside else None
        rows.append(element("tr", element("th", name, dim, fresh, scope="row"), cells))
    table = element("table", element("thead", element("tr", heads)), element("tbody", rows))
    return element("div", table, _and_more(group, len(listed), more), class_="at-wide")


def _called(fiber: FiberAt, group: Group) -> tuple[str, str]:
    """Name a fiber among others: what it is called, and beside that its id and the name that the author gave it."""
    title, its_id = called(fiber.id, group.names)
    own = _own(fiber)
    is_new = own not in (title, fiber.function)
    return title, " ".join(filter(None, (its_id.removeprefix("fiber "), elide(own, _CELL) if is_new else "")))


def _and_more(group: Group, listed: int, more: str) -> Markup | None:
    told = _more(group, listed, more)
    return element("div", told, class_="dim at-frame", style="padding-bottom: 4px") if told else None


def _more(group: Group, listed: int, more: str) -> str:
    told: list[str] = []
    if len(group.varying) > _COLUMNS:
        told.append(count(len(group.varying) - _COLUMNS, "more variable"))
    if len(group.fibers) > listed:
        told.append(f"{len(group.fibers) - listed:,} more")
    return f"… and {' and '.join(told)}: {more}({group.fibers[0].function!r})" if told else ""


def _all(group: Group) -> Markup | None:
    if not group.common:
        return None
    listed: list[Markup | str] = []
    for name, text in list(group.common.items())[:_ROWS]:
        listed += [", " if listed else "", element("code", f"{name}=", element("b", elide(text, _CELL)))]
    if len(group.common) > _ROWS:
        listed.append(f", … {len(group.common) - _ROWS} more")
    return element("div", element("span", "all: ", class_="dim"), listed, class_="at-foot")


def _foot(group: Group) -> Markup | None:
    told = _waits(group)
    return element("div", element("span", "waits for ", class_="dim"), told, class_="at-foot") if told else None


def _waits(group: Group) -> str:
    if group.fibers[0].raised:
        return ""
    if len(group.fibers) == 1:
        fiber = group.fibers[0]
        return f"{fiber.waits} · {fiber.until}" if fiber.until else fiber.waits
    kinds = Counter(fiber.waits for fiber in group.fibers)
    if len(kinds) > 1:  # they differ by their arguments
        kinds = Counter(fiber.waits.partition("(")[0] for fiber in group.fibers)
    if len(kinds) == 1:
        return next(iter(kinds))
    told = [f"{elide(what, _CELL)} ({number:,})" for what, number in kinds.most_common(3)]
    return ", ".join(told) + (f", {len(kinds) - 3} other things" if len(kinds) > 3 else "")


# Text.


def cards_text(
    scene: Scene, before: Scene | None, names: Mapping[str, str], width: int = 120, more: str = "moment.fibers"
) -> Iterable[str]:
    """Write the cards as lines.

    Args:
        scene: The run.
        before: What it was like one record before.
        names: What the fibers of the run are called, by id.
        width: Longest line, in characters.
        more: What the reader calls to see all fibers of a function.
    """
    groups = groups_of(scene, before, names)
    for group in groups[:_CARDS]:
        yield ""
        for line in _card_text(group, more):
            yield elide(line.rstrip(), width)
    if len(groups) > _CARDS:
        yield f"… and {sum(len(group.fibers) for group in groups[_CARDS:]):,} more fibers at other lines: {more}"


def _card_text(group: Group, more: str) -> Iterable[str]:
    beside = _beside(group)
    raised = "raised in " if group.fibers[0].raised else f"{_title(group)}{f' ({beside})' if beside else ''}  "
    place = f"  {group.frames[-1].place}" if group.frames else ""
    yield f"{raised}{group.name or group.fibers[0].label}{place}"
    for depth, frame in enumerate(group.frames):
        is_last = depth == len(group.frames) - 1
        for line in around_frame(frame, 2 if is_last else 0):
            yield f"{'>' if line.roles else ' '} {line.number:4} │ {line.text}"
        if len(group.fibers) == 1:
            yield from _variables_text(frame, group.changed_at(group.fibers[0], depth))
    if len(group.fibers) > 1:
        yield from _rows_text(group, more)
    if told := _waits(group):
        yield f"  waits for {told}"


def _variables_text(frame: FrameAt, changed: frozenset[str]) -> Iterable[str]:
    wide = min(max((len(name) for name in frame.local), default=0), 24)
    for name, text in frame.local.items():
        yield f"  {'*' if name in changed else ' '} {name:{wide}}  {text}"
    if frame.hidden:
        yield f"    … and {frame.hidden:,} more"


def _rows_text(group: Group, more: str) -> Iterable[str]:
    columns = group.varying[:_COLUMNS]
    listed = _listed(group)
    table = [["fiber", *columns, *(["until"] if any(fiber.until for fiber in listed) else [])]]
    for fiber in listed:
        innermost = group.changed_at(fiber, len(fiber.frames) - 1)
        cells = [f"{'*' if name in innermost else ''}{elide(fiber.local.get(name, ''), 24)}" for name in columns]
        table.append(
            [
                " ".join(_called(fiber, group)).strip(),
                *cells,
                *([fiber.until] if len(table[0]) > len(columns) + 1 else []),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        yield "    " + "  ".join(cell.ljust(wide) for cell, wide in zip(row, widths, strict=True))
    if told := _more(group, len(listed), more):
        yield f"    {told}"
    if group.common:
        common = ", ".join(f"{name}={elide(text, _CELL)}" for name, text in list(group.common.items())[:_ROWS])
        yield f"    all: {common}"
