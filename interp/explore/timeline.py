"""The timeline of a run: a picture with a lane for each fiber, and the same as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import attrs

from interp.events import Transition
from interp.explore.axis import Axis, axis_of, draw_axis, idle_of
from interp.explore.blocks import text_of
from interp.explore.lanes import Chart, Kind, Lane, Note, lanes_of
from interp.explore.marks import draw_lane, hues_for, sample
from interp.explore.markup import Markup, element
from interp.explore.picture import Picture, canvas, fitted, paint, rect, words, words_width
from interp.outline.tree import Tree
from interp.outline.words import count, elide, one_line, span
from interp.store import RunRow, Status

__all__ = ["Recorded", "Timeline", "chart_of", "timeline_of"]

# Pixels.
_WIDTH = 1100
_NAMES = (90.0, 230.0)  # the column of names, at least and at most
_TOOK = 92.0  # the column of durations
_TOP = 30.0  # the labels of the axis
_INDENT = 15.0
_LINE = 20.0  # a line of notes or of the legend

# Lanes are as high as there is room for: below so many rows each height.
_HEIGHTS = ((12, 27.0), (26, 23.0), (1 << 40, 19.0))

_MOST_NOTES = 8  # lines of them
_MOST_HUES = 16  # in the legend


class Recorded(Protocol):
    """What a picture needs of a run."""

    @property
    def id(self) -> str: ...  # noqa: D102  the run id
    @property
    def row(self) -> RunRow: ...  # noqa: D102  as the store lists it
    @property
    def history(self) -> Sequence[Transition]: ...  # noqa: D102  its records
    @property
    def tree(self) -> Tree: ...  # noqa: D102  these, folded


def chart_of(run: Recorded, now: datetime | None = None) -> Chart:
    """Return the lanes of a run.

    Args:
        run: The run.
        now: Until when goes on what has not ended; None for the present.
    """
    row = run.row
    parked = row.reason or "no reason is known" if row.status is Status.PARKED else ""
    now = now or datetime.now(UTC)
    is_held = row.status is Status.RUNNING
    return lanes_of(run.tree, run.history, now, is_held=is_held, workflow=row.workflow, parked=parked)


@attrs.frozen(eq=False)
class Timeline(Picture):
    """A run over time: a lane for each fiber.

    Attributes:
        run_id: The run.
        chart: Its lanes.
        axis: Where moments are, in pixels of the picture.
        lanes: Those that are drawn.
        total: How many there are.
        width: Of the picture, in pixels.
        is_folded: Whether idle time is folded.
    """

    run_id: str
    chart: Chart
    axis: Axis
    lanes: tuple[Lane, ...]
    total: int
    width: float
    is_folded: bool

    def x(self, at: datetime) -> float:
        """Return where a moment is, in pixels of the picture (its viewBox)."""
        return self.axis.x(at)

    @property
    def height(self) -> float:
        """How high the picture is, in pixels."""
        return self._parts()[1]

    def svg(self) -> Markup:
        """Return the timeline as one `<svg>` element."""
        marks, height = self._parts()
        return canvas(self.width, height, marks, label=self._label())

    def text(self) -> str:
        """Return the timeline as lines of block characters."""
        return text_of(self.chart, self.lanes, self.total, self.axis.idle)

    def _label(self) -> str:
        chart = self.chart
        told = [
            f"timeline of run {one_line(self.run_id)}, workflow {chart.root.name}",
            f"{span(chart.end - chart.begin)}{' so far' if chart.is_open else ''}",
            count(self.total, "fiber"),
            *(f"{note.mark} {note.text}" for note in chart.notes[:_MOST_NOTES]),
        ]
        return elide("; ".join(told), 600)

    def _parts(self) -> tuple[list[Markup], float]:
        """Draw everything; return it and how high it is."""
        row = next(height for most, height in _HEIGHTS if len(self.lanes) <= most)
        bottom = _TOP + row * len(self.lanes)
        hues = hues_for(self.chart.root.every())
        stripes = [rect(0, _TOP + row * number, self.width, row, "band") for number in range(0, len(self.lanes), 2)]
        rows = [self._row(lane, _TOP + row * (number + 0.5), row, hues) for number, lane in enumerate(self.lanes)]
        bands = [_band(note, self.axis, bottom) for note in self.chart.notes]
        notes, bottom_of_notes = _notes(self.chart.notes, self.axis, bottom, self.width)
        legend, height = _legend(self.lanes, hues, bottom_of_notes + 8, self.width)
        return [*stripes, draw_axis(self.axis, _TOP, bottom), *bands, *rows, *notes, *legend], height

    def _row(self, lane: Lane, middle: float, row: float, hues: Mapping[str, str]) -> Markup:
        indent = 8 + _INDENT * lane.depth if lane.depth < 8 else 8 + _INDENT * 8
        size = 13 if row > 20 else 12
        is_root = lane.depth == 0
        name = fitted(lane.name, self.axis.left - indent - 12, size, bold=is_root)
        took = span(lane.end - lane.begin) + ("…" if lane.is_open else "")
        return element(
            "g",
            element("g", element("title", _about(lane)), words(indent, middle + 4.5, name, size=size, bold=is_root)),
            draw_lane(lane, self.axis, middle, row - (10 if row > 20 else 6), hues, self.chart.begin),
            words(self.width - 8, middle + 4.5, took, size=size - 1, anchor="end", fill="dim"),
        )


def timeline_of(
    run: Recorded, *, fold: bool = True, rows: int = 40, width: float = _WIDTH, now: datetime | None = None
) -> Timeline:
    """Draw a run over time.

    Args:
        run: The run.
        fold: Whether long idle times are drawn narrow.
        rows: How many lanes at most.
        width: Of the picture, in pixels.
        now: Until when goes on what has not ended; None for the present.
    """
    chart = chart_of(run, now)
    lanes = list(chart.root.every())
    widest = max(
        8 + _INDENT * min(lane.depth, 8) + words_width(lane.name, 13, bold=not lane.depth) for lane in lanes[:rows]
    )
    left = min(max(widest + 16, _NAMES[0]), _NAMES[1])
    idle = idle_of(chart.begin, chart.end, chart.busy()) if fold else ()
    axis = axis_of(chart.begin, chart.end, idle, left=left, right=width - _TOOK)
    return Timeline(run.id, chart, axis, tuple(lanes[:rows]), len(lanes), width, fold)


def _about(lane: Lane) -> str:
    """Tell of a lane what is not drawn."""
    fibers = [fiber or "the root fiber" for fiber in lane.fibers]
    which = fibers[0] if len(fibers) == 1 else f"{len(fibers):,} fibers, one after the other: {', '.join(fibers[:6])}"
    lines = [lane.name, f"fiber {which}" if lane.fibers != [""] else which]
    if lane.failures:
        lines.append(f"{count(lane.failures, 'attempt')} failed")
    kinds = Counter(node.record.kind for node in lane.instants)
    if kinds:
        lines.append("also: " + ", ".join(f"{number:,} × {kind}" for kind, number in kinds.most_common()))
    return elide("\n".join(lines), 400)


# What happened to the run as a whole.


def _band(note: Note, axis: Axis, bottom: float) -> Markup:
    begin, end = axis.x(note.begin), axis.x(note.end)
    title = element("title", f"{note.text}\n{_when(note)}")
    if note.tone.value == "crash" or end - begin > 2:
        colour = "crash-band" if note.tone.value == "crash" else "card"
        return rect(begin, _TOP, max(end - begin, 2.5), bottom - _TOP, colour, title)
    style = f"stroke:{paint(_INKS[note.tone.value])};stroke-width:1.2;stroke-dasharray:3 3"
    return element("path", title, d=f"M{begin:.1f} {_TOP:.1f}V{bottom:.1f}", style=style)


_INKS = {"crash": "crash", "bad": "bad", "odd": "odd", "dim": "dim"}


def _when(note: Note) -> str:
    if note.end > note.begin:
        return f"{note.begin:%H:%M:%S} to {note.end:%H:%M:%S} UTC ({span(note.end - note.begin)})"
    return f"{note.end:%H:%M:%S} UTC"


def _notes(notes: Sequence[Note], axis: Axis, top: float, width: float) -> tuple[list[Markup], float]:
    """Write what the notes say below the lanes, each under its place; return it and where it ends."""
    drawn: list[Markup] = []
    reached: list[float] = []
    left_out = 0
    for note in notes:
        told = fitted(f"{note.mark} {note.text}", width - 16, 12, bold=True)
        room = words_width(told, 12, bold=True)
        x = max(min(axis.x(note.begin) - 2, width - 8 - room), 8.0)
        line = next((line for line, end in enumerate(reached) if end + 14 <= x), len(reached))
        if line >= _MOST_NOTES:
            left_out += 1
            continue
        reached[line : line + 1] = [x + room]
        drawn.append(words(x, top + _LINE * line + 16, told, size=12, fill=_INKS[note.tone.value], bold=True))
    if left_out:
        drawn.append(words(8, top + _LINE * len(reached) + 16, f"… {left_out:,} more", size=12, fill="dim"))
    return drawn, top + _LINE * (len(reached) + bool(left_out))


# The legend.


def _legend(lanes: Sequence[Lane], hues: Mapping[str, str], top: float, width: float) -> tuple[list[Markup], float]:
    """Say what colours and lines stand for, those that are there; return it and where it ends."""
    shown = list(hues)[:_MOST_HUES]
    often = Counter(key.rpartition(".")[2] for key in shown)
    entries: list[tuple[str, str | Kind]] = []
    for key in shown:
        short = key.rpartition(".")[2]
        entries.append((elide(one_line(short if often[short] == 1 else key), 40), hues[key]))
    if len(hues) > len(shown):
        entries.append((f"… {len(hues) - len(shown)} more", ""))
    kinds = {segment.kind for lane in lanes for segment in lane.segments}
    entries += [(_WORDS[kind], kind) for kind in _WORDS if kind in kinds]
    drawn: list[Markup] = []
    x, y = 8.0, top
    for told, how in entries:
        room = words_width(told, 12) + 40
        if x + room > width and x > 8:
            x, y = 8.0, y + _LINE
        if isinstance(how, Kind):
            drawn.append(sample(how, x, y + 9))
        elif how:
            drawn.append(rect(x + 3, y + 3, 12, 12, how, rx=2))
        drawn.append(words(x + 23, y + 13, told, size=12, fill="dim"))
        x += room
    return drawn, y + _LINE + 4 if entries else top


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
