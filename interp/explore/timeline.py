"""The timeline of a run: a picture with a lane for each fiber, and the same as text."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import attrs

from interp.explore.axis import Axis, axis_of, draw_axis, lasted
from interp.explore.blocks import text_of
from interp.explore.chart import Chart, Lane
from interp.explore.critical import CriticalPath, critical_path_of
from interp.explore.crowd import Crowd, crowd_of, draw_crowd, worst_of
from interp.explore.lanes import lanes_of
from interp.explore.legend import Entry, draw_legend, entries_of, layers_of
from interp.explore.marks import draw_lane, hues_for, least_of
from interp.explore.markup import Markup, element
from interp.explore.notes import draw_bands, draw_notes
from interp.explore.picture import Picture, canvas, fitted, paint, rect, words, words_width
from interp.explore.subject import Subject
from interp.outline.words import count, elide, one_line

__all__ = ["Timeline", "chart_of", "path_of", "timeline_of"]

# Pixels.
_WIDTH = 1100.0
_LEAST_WIDTH = 480.0
_NAMES = (90.0, 230.0)  # the column of names, at least and at most
_TOOK = 104.0  # the column of durations
_TOP = 30.0  # the labels of the axis
_INDENT = 15.0
_DEEPEST = 8  # beyond it lanes are not indented any more
_CROWD = 190.0

# Lanes are as high as there is room for: up to so many rows each height.
_HEIGHTS = ((12, 27.0), (26, 23.0), (1 << 40, 19.0))

# The lanes that are shown of a run of too many.
_WORST = 6

_MOST_TOLD = 8


def chart_of(run: Subject, now: datetime | None = None) -> Chart:
    """Return the lanes of a run.

    Args:
        run: The run.
        now: Until when goes on what has not ended; None for the present.
    """
    return lanes_of(run.tree, run.history, run.row, now or datetime.now(UTC))


def path_of(run: Subject, now: datetime | None = None) -> CriticalPath:
    """Return the critical path of a run.

    Args:
        run: The run.
        now: Until when goes on what has not ended; None for the present.
    """
    return critical_path_of(run.id, run.tree, run.history, chart_of(run, now))


@attrs.frozen(eq=False, repr=False, slots=False)  # for the cached property
class Timeline(Picture):
    """A run over time: a lane for each fiber, or how many fibers did what at once, and the worst of them.

    Attributes:
        run_id: The run.
        chart: Its lanes.
        axis: Where moments are, in pixels of the picture.
        lanes: Those that are drawn.
        which: Which lanes these are; empty for all.
        width: Of the picture, in pixels.
        critical: The critical path, to be marked; None for not.
    """

    run_id: str
    chart: Chart
    axis: Axis
    lanes: tuple[Lane, ...]
    which: str
    width: float
    critical: CriticalPath | None = None

    def x(self, at: datetime) -> float:
        """Return where a moment is, in pixels of the picture (its viewBox)."""
        return self.axis.x(at)

    @property
    def height(self) -> float:
        """How high the picture is, in pixels."""
        return self._drawn[1]

    @property
    def bottom(self) -> float:
        """Where the lanes end, in pixels from the top: below are notes and the legend."""
        return self._drawn[2]

    def svg(self) -> Markup:
        """Return the timeline as one `<svg>` element."""
        marks, height, _ = self._drawn
        return canvas(self.width, height, marks, label=self._label())

    def text(self) -> str:
        """Return the timeline as lines of block characters, at most 100 columns."""
        drawn = text_of(self.chart, self.lanes, self.axis.idle, self.which)
        return drawn if self.critical is None else f"{drawn}\n{_told(self.critical)}"

    def _label(self) -> str:
        chart = self.chart
        told = [
            f"timeline of run {one_line(self.run_id)}, workflow {chart.root.name}",
            f"{lasted(chart.end - chart.begin)}{' so far' if chart.is_open else ''}",
            count(sum(len(lane.fibers) for lane in chart.root.every()), "fiber"),
            *(f"{note.mark} {note.text}" for note in chart.notes[:_MOST_TOLD]),
        ]
        return elide("; ".join(told), 600)

    @functools.cached_property
    def _drawn(self) -> tuple[list[Markup], float, float]:
        """Everything that is drawn, how high it is, and where the lanes end."""
        hues = hues_for(self.chart.root.every())
        marks: list[Markup] = []
        top = 0.0
        if self.which:
            top = self._draw_crowd(crowd_of(self.chart, self.axis, hues), marks)
        bottom = self._draw_lanes(hues, top, marks)
        drawn, top = draw_notes(self.chart.notes, self.axis, bottom, self.width)
        marks += drawn
        entries = entries_of(self.lanes, hues, with_activities=not self.which, with_path=self.critical is not None)
        return marks, self._draw_legend(entries, top + 8, marks), bottom

    def _draw_crowd(self, crowd: Crowd, marks: list[Markup]) -> float:
        """Draw what all fibers did; return where it ends."""
        bottom = _TOP + _CROWD
        marks.append(draw_axis(self.axis, _TOP, bottom))
        marks.append(draw_crowd(crowd, self.axis, _TOP + 6, _CROWD - 6))
        marks += draw_bands(self.chart.notes, self.axis, _TOP, bottom)
        bottom = self._draw_legend(layers_of(crowd), bottom + 8, marks)
        marks.append(words(8, bottom + 18, self.which, size=13, fill="dim"))
        return bottom + 24

    def _draw_lanes(self, hues: Mapping[str, str], top: float, marks: list[Markup]) -> float:
        """Draw the lanes; return where they end."""
        row = next(height for most, height in _HEIGHTS if len(self.lanes) <= most)
        top += _TOP
        bottom = top + row * len(self.lanes)
        marks += [rect(0, top + row * number, self.width, row, "band") for number in range(0, len(self.lanes), 2)]
        marks.append(draw_axis(self.axis, top, bottom))
        marks += draw_bands(self.chart.notes, self.axis, top, bottom)
        middles = [top + row * (number + 0.5) for number in range(len(self.lanes))]
        least = least_of(self.lanes, self.axis)
        marks += [self._row(lane, middle, row, hues, least) for lane, middle in zip(self.lanes, middles, strict=True)]
        if self.critical is not None:
            marks.append(self._path(self.critical, middles, row / 2 - 1.5))
        return bottom

    def _row(self, lane: Lane, middle: float, row: float, hues: Mapping[str, str], least: float) -> Markup:
        indent, is_root = _indent(lane, self.which), lane.depth == 0
        size = 13 if row > 20 else 12
        told = lane.path if self.which else lane.name
        name = fitted(told, self.axis.left - indent - 10, size, bold=is_root)
        took = lasted(lane.end - lane.begin) + ("…" if lane.is_open else "")
        return element(
            "g",
            element("g", element("title", _about(lane)), words(indent, middle + 4.5, name, size=size, bold=is_root)),
            draw_lane(lane, self.axis, middle, row - (10 if row > 20 else 6), hues, self.chart.begin, least),
            words(self.width - 8, middle + 4.5, took, size=size - 1, anchor="end", fill="dim"),
        )

    def _path(self, path: CriticalPath, middles: Sequence[float], below: float) -> Markup:
        """Draw the critical path: under the bars that it goes through, and from lane to lane."""
        places = {fiber: middle for lane, middle in zip(self.lanes, middles, strict=True) for fiber in lane.fibers}
        line: list[str] = []
        before: float | None = None
        for step in path.steps:
            middle = None if step.node is None else places.get(step.node.fiber)
            if middle is None:
                before = None
                continue
            begin, end, y = self.axis.x(step.begin), self.axis.x(step.end), middle + below
            line.append(f"{'M' if before is None else 'L'}{begin:.1f} {y:.1f}H{end:.1f}")
            before = y
        title = element("title", _told(path))
        style = f"fill:none;stroke:{paint('fg')};stroke-width:2;stroke-linejoin:round"
        return element("path", title, d="".join(line) or "M0 0", style=style)

    def _draw_legend(self, entries: Sequence[Entry], top: float, marks: list[Markup]) -> float:
        drawn, bottom = draw_legend(entries, top, self.width)
        marks += drawn
        return bottom


def timeline_of(
    run: Subject,
    *,
    fold: bool = True,
    rows: int = 40,
    width: float = _WIDTH,
    critical: bool = False,
    now: datetime | None = None,
) -> Timeline:
    """Draw a run over time.

    Args:
        run: The run.
        fold: Whether long idle times are drawn narrow.
        rows: How many lanes at most; a run of more shows how many fibers did what at once, and the worst lanes.
        width: Of the picture, in pixels; at least 480.
        critical: Whether the critical path is marked.
        now: Until when goes on what has not ended; None for the present.
    """
    chart = chart_of(run, now)
    width = max(float(width), _LEAST_WIDTH)
    path = critical_path_of(run.id, run.tree, run.history, chart) if critical else None
    lanes, which = _chosen(chart, max(rows, 1), path)
    room = (
        _indent(lane, which) + words_width(lane.path if which else lane.name, 13, bold=not lane.depth) for lane in lanes
    )
    left = min(max(max(room) + 14, _NAMES[0] if not which else 130.0), _NAMES[1], width / 4)
    axis = axis_of(chart.begin, chart.end, chart.idle() if fold else (), left=left, right=width - _TOOK)
    return Timeline(run.id, chart, axis, tuple(lanes), which, width, path)


def _chosen(chart: Chart, rows: int, path: CriticalPath | None) -> tuple[list[Lane], str]:
    """Return the lanes to draw, and which these are if it is not all."""
    lanes = list(chart.root.every())
    if len(lanes) <= rows:
        return lanes, ""
    if path is None:
        which, worst = worst_of(chart, min(_WORST, rows))
        return [chart.root, *worst], which
    fibers = {step.node.fiber for step in path.steps if step.node is not None}
    on_it = [lane for lane in lanes[1:] if not fibers.isdisjoint(lane.fibers)]
    told = f"the {count(len(on_it), 'fiber')} on the critical path, of {len(lanes) - 1:,}"
    if len(on_it) > rows:
        told = f"the first {rows} of {count(len(on_it), 'fiber')} on the critical path, of {len(lanes) - 1:,}"
    return [chart.root, *on_it[:rows]], told


def _told(path: CriticalPath) -> str:
    return "critical path: " + ", ".join(f"{why} {share * 100:.0f} %" for why, share in path.shares.items())


def _indent(lane: Lane, which: str) -> float:
    return 8 + _INDENT * min(lane.depth, 1 if which else _DEEPEST)


def _about(lane: Lane) -> str:
    """Tell of a lane what is not drawn."""
    fibers = [fiber or "the root fiber" for fiber in lane.fibers]
    which = fibers[0] if len(fibers) == 1 else f"{len(fibers):,} fibers, one after the other: {', '.join(fibers[:6])}"
    lines = [lane.path, f"fiber {which}" if lane.depth else which]
    if lane.failures:
        lines.append(f"{count(lane.failures, 'attempt')} failed")
    kinds = Counter(node.record.kind for node in lane.instants)
    if kinds:
        lines.append("also: " + ", ".join(f"{number:,} × {kind}" for kind, number in kinds.most_common()))
    return elide("\n".join(lines), 400)
