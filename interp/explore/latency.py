"""How long calls take, over many runs: one row per activity, with a small histogram."""

from __future__ import annotations

from typing import Any

import attrs

from interp.explore.frames import Frame, Kind
from interp.explore.markup import Markup, element
from interp.explore.picture import Picture, canvas, fitted, headline, paint, rect, words, words_width
from interp.explore.statistics import Group, Scale, groups_of, percentile, period, scale_of, share
from interp.explore.theme import hues_of
from interp.outline.words import clean, count, elide

__all__ = ["Latency", "latency_of"]

# Rows that are drawn; the others are counted.
_MOST = 30

# Where things stand, in pixels.
_WIDTH = 1180.0
_NAME = 190.0
_NUMBER = 246.0
_LEFT, _RIGHT = 268.0, 628.0
_P50, _P95, _MAX, _QUEUED, _FAILED = 710.0, 796.0, 882.0, 978.0, 1062.0
_SHARE, _SHARE_END = 1084.0, 1132.0
_TOP, _ROW, _BAR = 66.0, 36.0, 26.0
_BINS = 72

# Columns of text that a histogram has.
_COLUMNS = 22
_SPARKS = " ▁▂▃▄▅▆▇█"


@attrs.frozen(eq=False, repr=False)
class Latency(Picture):
    """How long calls took.

    Attributes:
        title: What was looked at.
        runs: How many runs that were.
        by: What the calls are grouped by.
        groups: The groups, those with most work first.
        damaged: How many records could not be read.
    """

    title: str
    runs: int
    by: str
    groups: tuple[Group, ...]
    damaged: int = 0

    @property
    def frame(self) -> Frame:
        """The numbers behind the picture: one row per group; times in seconds."""
        groups = self.groups
        whole = sum(group.worked for group in groups)
        part = {"p50_s": 0.5, "p90_s": 0.9, "p95_s": 0.95, "p99_s": 0.99, "max_s": 1.0}
        times = {name: (Kind.NUMBER, [_at(group.took, share_) for group in groups]) for name, share_ in part.items()}
        return Frame(
            {
                self.by: (Kind.TEXT, [group.name for group in groups]),
                "calls": (Kind.WHOLE, [group.number for group in groups]),
                **times,
                "queued_p95_s": (Kind.NUMBER, [_at(group.queued, 0.95) for group in groups]),
                "attempts": (Kind.WHOLE, [group.attempts for group in groups]),
                "failed_attempts": (Kind.WHOLE, [group.failed for group in groups]),
                "lost_attempts": (Kind.WHOLE, [group.lost for group in groups]),
                "failed_calls": (Kind.WHOLE, [group.unsuccessful for group in groups]),
                "worked_s": (Kind.NUMBER, [group.worked for group in groups]),
                "share": (Kind.NUMBER, [group.worked / whole if whole else None for group in groups]),
            },
            damaged=self.damaged,
            noun="group",
        )

    def html(self) -> Markup:
        """Show the picture, and the numbers folded."""
        numbers = element("details", element("summary", "the numbers"), self.frame.html())
        return element("div", self.svg(), numbers, class_="picture")

    def svg(self) -> Markup:
        """Draw the rows."""
        shown = self.groups[:_MOST]
        bottom = _TOP + _ROW * max(len(shown), 1)
        scale = scale_of(shown)
        hues = hues_of(group.name for group in shown)
        whole = sum(group.worked for group in self.groups)
        marks = [
            *headline(self.title, self._size()),
            _heads(self.by),
            *_grid(scale, bottom),
            *(
                _row(group, scale, hues[group.name], _TOP + _ROW * place, whole, self.by)
                for place, group in enumerate(shown)
            ),
            words(0, bottom + 22, self._foot(len(shown)), fill="dim"),
            *_legend(bottom + 22),
        ]
        return canvas(_WIDTH, bottom + 34, *marks, label=self._label())

    def _size(self) -> str:
        return f"{count(self.runs, 'run')} · {count(sum(group.number for group in self.groups), 'call')}"

    def _foot(self, shown: int) -> str:
        hidden = len(self.groups) - shown
        more = f"… {hidden:,} more; " if hidden else ""
        damaged = f"; {count(self.damaged, 'damaged record')} left out" if self.damaged else ""
        return f"{more}time of the attempt that gave the answer{damaged}" if self.groups else "no calls"

    def _label(self) -> str:
        told = [
            f"{group.name}: {count(group.number, 'call')}, half of them within {period(percentile(group.took, 0.5))}"
            for group in self.groups[:5]
            if group.took
        ]
        return elide(f"Latency of {self._size()}. {'; '.join(told)}", 600)

    def text(self) -> str:
        """Write the rows, with a line of blocks for each histogram."""
        shown = self.groups[:_MOST]
        scale = scale_of(shown)
        whole = sum(group.worked for group in self.groups)
        head = (_noun(self.by), "n", "", "p50", "p95", "max", "queued p95", "failed", "of work")
        rows = [
            (
                elide(clean(_short(group.name, self.by)), 24),
                f"{group.number:,}",
                _sparks(scale.bins(group.took, _COLUMNS)),
                *_times(group),
                share(group.failed, group.attempts),
                share(group.worked, whole),
            )
            for group in shown
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(
                cell.ljust(width) if place in (0, 2) else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (head, *rows)
        ]
        axis = f"histograms from {period(scale.least)} to {period(scale.most)}, logarithmic; " if shown else ""
        foot = axis + self._foot(len(shown))
        return "\n".join([f"{elide(clean(self.title), 60)}  {self._size()}", *lines, foot])


def _at(ordered: tuple[float, ...], part: float) -> float | None:
    return percentile(ordered, part) if ordered else None


def _times(group: Group) -> tuple[str, str, str, str]:
    p50, p95, most = (_at(group.took, part) for part in (0.5, 0.95, 1.0))
    queued = _at(group.queued, 0.95)
    return _told(p50), _told(p95), _told(most), _told(queued if queued and queued >= 0.0005 else None)


def _told(value: float | None) -> str:
    return "–" if value is None else period(value)


def _sparks(counts: list[int]) -> str:
    most = max(counts, default=0)
    return "".join(_SPARKS[-(-each * 8 // most) if most else 0] for each in counts)


def _noun(by: str) -> str:
    return {"target": "activity", "where": "line"}.get(by, by)


def _short(name: str, by: str) -> str:
    """Return an activity's name without its module."""
    return name.rpartition(".")[2] if by == "target" else name


def _heads(by: str) -> Markup:
    y = _TOP - 14
    heads = [words(0, y, _noun(by), fill="dim"), words(_NUMBER, y, "calls", fill="dim", anchor="end")]
    ends = {"p50": _P50, "p95": _P95, "max": _MAX, "queued p95": _QUEUED, "failed tries": _FAILED}
    heads += [words(x, y, name, fill="dim", anchor="end") for name, x in ends.items()]
    return element("g", heads, words(_WIDTH, y, "share of work", fill="dim", anchor="end"))


def _grid(scale: Scale, bottom: float) -> list[Markup]:
    marks: list[Markup] = []
    reached = -1e9
    for seconds, label in scale.ticks():
        x = _LEFT + scale.place(seconds) * (_RIGHT - _LEFT)
        line = f"stroke:{paint('grid')}"
        marks.append(element("path", d=f"M{x:.1f} {_TOP - 8:.1f}V{bottom - 4:.1f}", style=line))
        half = words_width(label, 11) / 2
        if x - half > reached + 8:
            marks.append(words(x, _TOP - 14, label, size=11, fill="dim", anchor="middle"))
            reached = x + half
    return marks


def _row(group: Group, scale: Scale, hue: str, y: float, whole: float, by: str) -> Markup:
    base = y + 25
    name = fitted(clean(_short(group.name, by)), _NAME, 13)
    cells: list[Any] = [
        element("title", _tooltip(group)),
        rect(0, y + _ROW - 4, _WIDTH, 0.7, "grid"),
        words(0, base - 4, name, size=13),
        words(_NUMBER, base - 4, f"{group.number:,}", size=13, anchor="end"),
        *_histogram(group, scale, hue, y),
    ]
    ends = (_P50, _P95, _MAX, _QUEUED)
    cells += [
        words(x, base - 4, told, size=13, anchor="end", fill="dim" if told == "–" else "fg")
        for x, told in zip(ends, _times(group), strict=True)
    ]
    tries = share(group.failed, group.attempts)
    cells.append(words(_FAILED, base - 4, tries, size=13, anchor="end", fill="dim" if tries == "–" else "bad"))
    part = group.worked / whole if whole else 0.0
    cells.append(rect(_SHARE, y + 12, _SHARE_END - _SHARE, 10, "idle", rx=2))
    if part:
        cells.append(rect(_SHARE, y + 12, max((_SHARE_END - _SHARE) * part, 1.5), 10, hue, rx=2))
    cells.append(words(_WIDTH, base - 4, share(part, 1.0), size=13, anchor="end"))
    return element("g", cells)


def _histogram(group: Group, scale: Scale, hue: str, y: float) -> list[Markup]:
    if not group.took:
        return [words((_LEFT + _RIGHT) / 2, y + 21, "no answer yet", size=11, fill="dim", anchor="middle")]
    counts = scale.bins(group.took, _BINS)
    most, step, bottom = max(counts), (_RIGHT - _LEFT) / _BINS, y + 3 + _BAR
    bars = [
        rect(_LEFT + place * step + 0.4, bottom - height, step - 0.8, height, hue)
        for place, number in enumerate(counts)
        if number
        for height in [max(_BAR * number / most, 1.2)]
    ]
    marks: list[Markup] = []
    for part, dash in ((0.5, None), (0.95, "2 2")):
        x = _LEFT + scale.place(percentile(group.took, part)) * (_RIGHT - _LEFT)
        style = f"stroke:{paint('fg')};stroke-width:1.6"
        marks.append(element("path", d=f"M{x:.1f} {y + 1:.1f}V{bottom:.1f}", style=style, stroke_dasharray=dash))
    return [*bars, *marks]


def _tooltip(group: Group) -> str:
    told = [f"{elide(clean(group.name), 200)}: {count(group.number, 'call')}, {count(group.attempts, 'attempt')}"]
    told += [f"{count(group.failed, 'attempt')} failed"] if group.failed else []
    told += [f"{count(group.lost, 'attempt')} lost with the worker"] if group.lost else []
    told += [f"{count(group.unsuccessful, 'call')} failed for good"] if group.unsuccessful else []
    told.append(f"{period(group.worked)} of work")
    return "\n".join(told)


def _legend(y: float) -> list[Markup]:
    style = f"stroke:{paint('fg')};stroke-width:1.6"
    return [
        element("path", d=f"M{_LEFT + 288:.1f} {y - 11:.1f}V{y + 2:.1f}", style=style),
        words(_LEFT + 294, y, "p50", fill="dim"),
        element("path", d=f"M{_LEFT + 328:.1f} {y - 11:.1f}V{y + 2:.1f}", style=style, stroke_dasharray="2 2"),
        words(_LEFT + 334, y, "p95", fill="dim"),
    ]


def latency_of(commands: Frame, *, runs: int, title: str, by: str = "target") -> Latency:
    """Show how long calls took.

    Args:
        commands: Rows of `Journal.commands`.
        runs: Of how many runs they are.
        title: What was looked at.
        by: Name of the column that they are grouped by.

    Raises:
        UsageError: There is no such column.
    """
    return Latency(title, runs, by, tuple(groups_of(commands, by)), commands.damaged)
