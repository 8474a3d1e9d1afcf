"""A timeline as text: a line of block characters for each lane, for terminals, tests and logs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from interp.explore.axis import Axis, Idle, axis_of, lasted, roughly
from interp.explore.chart import ATTEMPTS, Chart, Kind, Lane, Segment
from interp.explore.crowd import crowd_of, sparks
from interp.explore.marks import hues_for
from interp.explore.names import activity_name
from interp.outline.words import clean, count, elide, one_line

__all__ = ["text_of"]

# Columns: the whole, names at most, durations, a folded gap.
_WIDTH = 100
_NAMES = 26
_TOOK = 14
_LAYERS = 22  # names of what fibers did at once, at least
_NARROW = 7
_TICKS = 12

_MOST_NOTES = 6

# A wait that takes less of a column is not shown there.
_SEEN = 0.02

_MARKS = {
    Kind.RAN: "█",
    Kind.FAILED: "×",
    Kind.LOST: "?",
    Kind.WITHDRAWN: "░",
    Kind.CHILD: "▒",
    Kind.QUEUED: "─",
    Kind.DOWN: "─",
    Kind.RETRY: "╌",
    Kind.SLEEP: "·",
    Kind.SIGNAL: "─",
    Kind.BRANCHES: " ",
}

_WORDS = {
    "×": "failed",
    "?": "outcome unknown",
    "░": "withdrawn",
    "▒": "another run",
    "─": "waits",
    "╌": "waits to try again",
    "·": "sleeps",
}


def text_of(chart: Chart, lanes: Sequence[Lane], idle: tuple[Idle, ...], which: str = "", width: int = _WIDTH) -> str:
    """Write lanes as text.

    Args:
        chart: The run.
        lanes: The lanes to write.
        idle: The gaps to fold.
        which: Which lanes these are; empty for all.
        width: In columns.
    """
    names = [
        clean(f"  {lane.path}" if which and lane.depth else "  " * min(lane.depth, 6) + lane.name) for lane in lanes
    ]
    left = min(max([*map(len, names), _LAYERS if which else 0]), _NAMES) + 2
    right = width - _TOOK
    axis = axis_of(chart.begin, chart.end, idle, left=left, right=right, narrow=_NARROW)
    lines = [*_crowd(chart, axis, width), "", which] if which else []
    lines.append(_scale(axis, right))
    for name, lane in zip(names, lanes, strict=True):
        took = lasted(lane.end - lane.begin) + ("…" if lane.is_open else "")
        bars = "".join(_bars(lane, axis, left, right))
        lines.append(f"{set_cell_size(elide(name, left - 2), left)}{bars}{took:>{_TOOK}}")
    lines += _notes(chart, axis, width)
    lines.append(_legend(lanes))
    return "\n".join(line.rstrip() for line in lines).rstrip()


def _crowd(chart: Chart, axis: Axis, width: int) -> list[str]:
    """Write how many fibers did what at once."""
    crowd = crowd_of(chart, axis, hues_for(chart.root.every()), step=1.0)
    left = int(axis.left)
    lines = [f"{'fibers at once':<{left}}" + f"{count(round(crowd.peak), 'fiber'):>{width - left}}"]
    for layer in crowd.layers:
        most = f"at most {max(round(max(layer.numbers)), 1):,}"
        lines.append(f"{elide(clean(layer.name), left - 2):<{left}}{sparks(layer)}{most:>{_TOOK}}")
    return lines


def _scale(axis: Axis, right: int) -> str:
    """Write the axis: round times, and how long the folded gaps are."""
    cells = [" "] * (right + _TOOK)
    for gap in axis.idle:
        middle = (axis.x(gap.begin) + axis.x(gap.end)) / 2
        _write(cells, middle, f"‹{roughly(gap.end - gap.begin)}›")
    for tick in axis.ticks(_TICKS):
        _write(cells, tick.x, tick.label)
    return "".join(cells)


def _write(cells: list[str], middle: float, told: str) -> None:
    """Write a label around a place, where nothing is written yet."""
    begin = min(max(int(middle - len(told) / 2 + 0.5), 0), len(cells) - len(told))
    if begin >= 0 and all(cell == " " for cell in cells[max(begin - 1, 0) : begin + len(told) + 1]):
        cells[begin : begin + len(told)] = told


def _bars(lane: Lane, axis: Axis, left: int, right: int) -> list[str]:
    """Fill the columns of a lane: each shows what took most of it, but a failure wherever there is one."""
    cells = [" "] * (right - left)
    weights = [0.0] * len(cells)
    # In a lane with many commands to a column, one failure must not look as if all had failed.
    bonus = 2 if len(lane.segments) <= len(cells) else 1
    for number, segment in enumerate(lane.segments):
        begin, end = axis.x(segment.begin) - left, axis.x(segment.end) - left
        mark = "▓" if segment.kind is Kind.RAN and number % 2 and _meets(lane, number) else _MARKS[segment.kind]
        is_bad, is_work = segment.kind in (Kind.FAILED, Kind.LOST), segment.kind in ATTEMPTS
        extra = bonus if is_bad else 1 if is_work else 0
        for column in range(min(int(begin), len(cells) - 1), min(int(end), len(cells) - 1) + 1):
            share = min(end, column + 1) - max(begin, column)
            if share + extra > weights[column] and (share > _SEEN or is_work):
                cells[column], weights[column] = mark, share + extra
        _name(cells, segment, begin, end)
    for node in lane.signals:
        cells[min(int(axis.x(node.ended or node.at) - left), len(cells) - 1)] = "◆"
    if lane.is_open and lane.segments and lane.segments[-1].is_open:
        cells[-1] = "▸"
    return cells


def _meets(lane: Lane, number: int) -> bool:
    return number > 0 and lane.segments[number - 1].kind in ATTEMPTS


def _name(cells: list[str], segment: Segment, begin: float, end: float) -> None:
    if segment.kind not in (Kind.RAN, Kind.CHILD) or segment.node is None:
        return
    name = clean(activity_name(segment.node.record))
    if len(name) + 3 <= int(end) - int(begin) and cell_len(name) == len(name):
        cells[int(begin) + 1 : int(begin) + 1 + len(name)] = name


def _notes(chart: Chart, axis: Axis, width: int) -> list[str]:
    lines: list[str] = []
    for note in chart.notes[:_MOST_NOTES]:
        told = elide(f"{note.mark} {one_line(note.text)}", width)
        lines.append(" " * max(min(int(axis.x(note.begin)), width - len(told)), 0) + told)
    if len(chart.notes) > _MOST_NOTES:
        lines.append(f"… {len(chart.notes) - _MOST_NOTES} more")
    return lines


def _legend(lanes: Sequence[Lane]) -> str:
    marks = {_MARKS[segment.kind] for lane in lanes for segment in lane.segments}
    told = [f"{mark} {words}" for mark, words in _WORDS.items() if mark in marks]
    if any(lane.signals for lane in lanes):
        told.append("◆ a signal came")
    return "   ".join(told)
