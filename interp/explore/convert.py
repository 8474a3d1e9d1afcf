"""Runs as figures of plotly and charts of altair, for those who want to zoom, or to put them into something larger.

Our own pictures need nothing and look the same everywhere; these need their packages, and scripts of megabytes where
they are shown (docs/decisions/0030-frames-without-a-library.md). Both are made of the same rows as `run.commands()`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import attrs

from interp.explore.doings import AT_WORK, QUEUED, RETRY, UNKNOWN, doings
from interp.explore.frames import library
from interp.explore.latency import Latency
from interp.explore.run import Run
from interp.explore.runs import Runs
from interp.explore.statistics import Group, period
from interp.explore.theme import hues_of
from interp.outline.tree import Tree
from interp.outline.words import clean, elide, recorded

__all__ = ["to_altair", "to_plotly"]

# Rows of a Gantt chart; beyond it nobody can tell them apart.
_MOST = 400

# Points of a latency distribution that are handed over for one activity.
_POINTS = 5_000

_FADED = {QUEUED: 0.25, RETRY: 0.25, UNKNOWN: 0.45}


@attrs.frozen
class _Bar:
    """A piece of one command on the time axis."""

    row: str
    name: str
    what: str
    begin: datetime
    end: datetime
    told: str


def to_plotly(what: Run | Runs) -> Any:
    """Return a `plotly.graph_objects.Figure`: a Gantt chart of a run's commands, or the latencies of many runs.

    Args:
        what: A run, or several.

    Raises:
        UsageError: plotly is not installed.
    """
    plotly = library("plotly.graph_objects", "a figure of plotly is made by plotly")
    return _plotly_latency(plotly, what.latency()) if isinstance(what, Runs) else _plotly_gantt(plotly, what)


def to_altair(what: Run | Runs) -> Any:
    """Return an `altair.Chart`: a Gantt chart of a run's commands, or the latencies of many runs.

    Args:
        what: A run, or several.

    Raises:
        UsageError: altair is not installed.
    """
    altair = library("altair", "a chart of altair is made by altair")
    return _altair_latency(altair, what.latency()) if isinstance(what, Runs) else _altair_gantt(altair, what)


# The rows.


def _bars(tree: Tree) -> list[_Bar]:
    """Return the pieces of the commands of a run, in the order of the tree."""
    end = tree.last_at
    if end is None:
        return []
    bars: list[_Bar] = []
    for node in [node for node in tree.nodes.values() if node.ended is None or node.ended > node.at][:_MOST]:
        name = clean(node.record.target or node.record.kind).rpartition(".")[2]
        row = f"{node.id}  {elide(name, 40)}"
        told = elide(recorded(node.record.payload, 90), 90)
        pieces = [*doings(node, end)]
        if not pieces:
            kind = node.record.kind.replace("_", " ")
            bars.append(_Bar(row, kind, "waits", node.at, node.ended or end, told))
        bars += [
            _Bar(row, name, piece.what, piece.begin, piece.end, told) for piece in pieces if piece.end > piece.begin
        ]
    return bars


def _title(run: Run) -> str:
    return f"{clean(run.row.workflow)} {elide(clean(run.id), 60)}: {run.row.status.value}"


def _height(rows: int) -> int:
    return 110 + 24 * max(rows, 1)


def _name(group: Group) -> str:
    return clean(group.name).rpartition(".")[2]


def _points(group: Group) -> tuple[float, ...]:
    """Return the latencies of a group, of many every so many: in ascending order, so that the shape stays."""
    step = -(-len(group.took) // _POINTS)
    return group.took[:: max(step, 1)]


# plotly.


def _plotly_gantt(plotly: Any, run: Run) -> Any:
    bars = _bars(run.tree)
    hues = hues_of(bar.name for bar in bars)
    rows = list(dict.fromkeys(bar.row for bar in bars))
    figure = plotly.Figure()
    for name, what in dict.fromkeys((bar.name, bar.what) for bar in bars):
        mine = [bar for bar in bars if (bar.name, bar.what) == (name, what)]
        figure.add_trace(
            plotly.Bar(
                name=_escaped(name if what in (AT_WORK, "waits") else f"{name}: {what}"),
                legendgroup=_escaped(name),
                y=[_escaped(bar.row) for bar in mine],
                base=[bar.begin for bar in mine],
                x=[(bar.end - bar.begin) / timedelta(milliseconds=1) for bar in mine],
                orientation="h",
                marker={"color": hues[name], "opacity": _FADED.get(what, 1.0), "line": {"width": 0}},
                customdata=[(what, period((bar.end - bar.begin).total_seconds()), _escaped(bar.told)) for bar in mine],
                hovertemplate="%{y}<br>%{customdata[0]} %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
            )
        )
    figure.update_layout(_LAYOUT, title=_escaped(_title(run)), height=_height(len(rows)), barmode="overlay")
    figure.update_xaxes(type="date", gridcolor="#e3e6ea")
    figure.update_yaxes(autorange="reversed", categoryorder="array", categoryarray=[_escaped(row) for row in rows])
    return figure


def _plotly_latency(plotly: Any, latency: Latency) -> Any:
    hues = hues_of(group.name for group in latency.groups)
    figure = plotly.Figure()
    for group in latency.groups:
        figure.add_trace(
            plotly.Violin(
                x=_points(group),
                y=[_escaped(_name(group))] * len(_points(group)),
                name=_escaped(_name(group)),
                orientation="h",
                side="negative",  # upwards, as the axis is reversed
                width=1.6,
                points=False,
                box_visible=True,
                line={"color": hues[group.name], "width": 1},
                showlegend=False,
            )
        )
    figure.update_layout(
        _LAYOUT, title=_escaped(_latency_title(latency)), height=110 + 46 * max(len(latency.groups), 1)
    )
    figure.update_xaxes(type="log", title="seconds", gridcolor="#e3e6ea")
    figure.update_yaxes(autorange="reversed")
    return figure


_LAYOUT = {
    "template": "plotly_white",
    "margin": {"l": 10, "r": 10, "t": 50, "b": 40},
    "bargap": 0.25,
    "font": {"family": "system-ui, 'DejaVu Sans', sans-serif", "size": 12},
    "legend": {"traceorder": "grouped"},
}


def _escaped(text: str) -> str:
    """Escape what plotly would take for its few tags: the names of a journal are nothing but text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# altair.


def _altair_gantt(altair: Any, run: Run) -> Any:
    bars = _bars(run.tree)
    hues = hues_of(bar.name for bar in bars)
    rows = list(dict.fromkeys(bar.row for bar in bars))
    values = [
        {
            "command": bar.row,
            "name": bar.name,
            "what": bar.what,
            "shade": _FADED.get(bar.what, 1.0),
            "begin": bar.begin.isoformat(),
            "end": bar.end.isoformat(),
            "took": period((bar.end - bar.begin).total_seconds()),
            "arguments": bar.told,
        }
        for bar in bars
    ]
    chart = altair.Chart(altair.Data(values=values), title=_title(run), width=760, height=altair.Step(18))
    return chart.mark_bar(cornerRadius=2).encode(
        x=altair.X("begin:T", title=None),
        x2="end:T",
        y=altair.Y("command:N", sort=rows, title=None, axis=altair.Axis(labelLimit=260)),
        color=altair.Color("name:N", title=None, scale=altair.Scale(domain=[*hues], range=[*hues.values()])),
        opacity=altair.Opacity("shade:Q", scale=None, legend=None),
        tooltip=[f"{field}:N" for field in ("command", "what", "took", "arguments")],
    )


def _altair_latency(altair: Any, latency: Latency) -> Any:
    names = [_name(group) for group in latency.groups]
    hues = hues_of(names)
    values = [{"activity": _name(group), "s": seconds} for group in latency.groups for seconds in _points(group)]
    base = altair.Chart(altair.Data(values=values), title=_latency_title(latency), width=620, height=altair.Step(34))
    scale = altair.Scale(type="log")
    rows = altair.Y("activity:N", sort=names, title=None)
    colour = altair.Color("activity:N", legend=None, scale=altair.Scale(domain=[*hues], range=[*hues.values()]))
    ticks = base.mark_tick(opacity=0.12, thickness=1, size=22).encode(
        x=altair.X("s:Q", scale=scale, title="seconds"), y=rows, color=colour
    )
    box = base.mark_boxplot(extent="min-max", size=8, color="#1f2328", opacity=0.75).encode(
        x=altair.X("s:Q", scale=scale, title="seconds"), y=rows
    )
    return ticks + box


def _latency_title(latency: Latency) -> str:
    return f"{clean(latency.title)}: latency over {latency.runs:,} runs"
