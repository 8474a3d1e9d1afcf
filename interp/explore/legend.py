"""What colours and lines stand for: only those that are there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs

from interp.explore.chart import Kind, Lane
from interp.explore.crowd import Crowd
from interp.explore.marks import sample
from interp.explore.markup import Markup, element
from interp.explore.picture import paint, rect, words, words_width
from interp.outline.words import elide, one_line

__all__ = ["Entry", "draw_legend", "entries_of", "layers_of"]

_LINE = 20.0
_MOST = 16  # activities
_NAME = 40

_WORDS = {
    Kind.FAILED: "failed attempt",
    Kind.LOST: "outcome unknown",
    Kind.WITHDRAWN: "withdrawn",
    Kind.CHILD: "another run",
    Kind.QUEUED: "waits for a worker",
    Kind.RETRY: "waits to try again",
    Kind.SLEEP: "sleeps",
    Kind.SIGNAL: "waits for a signal",
}


@attrs.frozen
class Entry:
    """An entry of a legend.

    Attributes:
        name: What it stands for.
        colour: Of a filled square; empty for none.
        opacity: How much of it.
        kind: Whose sample is drawn instead of a square.
        is_path: Whether it is the critical path.
    """

    name: str
    colour: str = ""
    opacity: float = 1.0
    kind: Kind | None = None
    is_path: bool = False


def entries_of(
    lanes: Iterable[Lane], hues: Mapping[str, str], *, with_activities: bool = True, with_path: bool = False
) -> list[Entry]:
    """Return what stands in the legend of lanes.

    Args:
        lanes: What is drawn.
        hues: The colours of activities.
        with_activities: Whether these are told.
        with_path: Whether the critical path is drawn.
    """
    entries: list[Entry] = []
    if with_activities:
        shown = list(hues)[:_MOST]
        often = Counter(_short(key) for key in shown)
        entries = [
            Entry(elide(one_line(_short(key) if often[_short(key)] == 1 else key), _NAME), hues[key]) for key in shown
        ]
        if len(hues) > len(shown):
            entries.append(Entry(f"… {len(hues) - len(shown)} more"))
    kinds = {segment.kind for lane in lanes for segment in lane.segments}
    entries += [Entry(_WORDS[kind], kind=kind) for kind in _WORDS if kind in kinds]
    return [*entries, Entry("critical path", is_path=True)] if with_path else entries


def _short(key: str) -> str:
    return key.rpartition(".")[2] or key


def layers_of(crowd: Crowd) -> list[Entry]:
    """Return what stands in the legend of a crowd."""
    return [Entry(elide(one_line(layer.name), _NAME), layer.colour, layer.opacity) for layer in crowd.layers]


def draw_legend(entries: Sequence[Entry], top: float, width: float) -> tuple[list[Markup], float]:
    """Draw a legend.

    Args:
        entries: What stands in it.
        top: Where it begins.
        width: Of the picture.

    Returns:
        What is drawn, and where it ends.
    """
    drawn: list[Markup] = []
    x, y = 8.0, top
    for entry in entries:
        room = words_width(entry.name, 12) + 38
        if x + room > width and x > 8:
            x, y = 8.0, y + _LINE
        offset = 0.0
        if entry.kind is not None:
            drawn.append(sample(entry.kind, x, y + 9))
            offset = 23
        elif entry.is_path:
            drawn.append(element("path", d=f"M{x:.1f} {y + 9:.1f}h18", style=f"stroke:{paint('fg')};stroke-width:2"))
            offset = 23
        elif entry.colour:
            drawn.append(rect(x, y + 3, 12, 12, entry.colour, rx=2, fill_opacity=f"{entry.opacity:g}"))
            offset = 17
        drawn.append(words(x + offset, y + 13, entry.name, size=12, fill="dim"))
        x += words_width(entry.name, 12) * 0.93 + offset + 16
    return drawn, y + _LINE + 4 if entries else top
