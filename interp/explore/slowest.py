"""The slowest calls of many runs: which, where, and where their time went."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import attrs

from interp.errors import UsageError
from interp.explore.commands import CALLS
from interp.explore.frames import Frame, Kind
from interp.explore.markup import Markup, element
from interp.explore.picture import canvas, rect
from interp.explore.statistics import period
from interp.explore.view import View
from interp.outline.words import clean, count, elide, stamp

__all__ = ["Slowest", "slowest_of"]

_BAR = 180.0

_ORDERS = ("total_s", "took_s", "queued_s", "worked_s")


@attrs.frozen(eq=False, repr=False)
class Slowest(View):
    """The slowest calls, the slowest first.

    Attributes:
        frame: Their rows, with the columns of `Journal.commands`.
        by: The column that they are ordered by.
        calls: Of how many calls.
        runs: Of how many runs.
    """

    frame: Frame
    by: str
    calls: int
    runs: int

    def html(self) -> Markup:
        """Show a table, with a bar for what each call spent its time on."""
        if not len(self.frame):
            return element("p", "no calls that have ended", class_="dim")
        names = ("", "activity", "run", "arguments", _HEADS[self.by], "", "attempts", "result", "yielded (UTC)", "line")
        head = element("tr", *(element("th", name, scope="col", class_=_ALIGN.get(name)) for name in names))
        most = max(row["total_s"] for row in self.frame)
        body = [_html_row(place, row, self.by, most) for place, row in enumerate(self.frame, 1)]
        return element(
            "div",
            element("div", element("table", element("thead", head), element("tbody", *body)), style="overflow-x: auto"),
            element("p", _legend(), f"the slowest {len(self.frame):,} of {self._size()}", class_="dim"),
        )

    def text(self) -> str:
        """Show a table."""
        if not len(self.frame):
            return "no calls that have ended"
        # The column that orders them comes first, and once.
        spans = list(dict.fromkeys((self.by, "worked_s", "queued_s")))
        head = ("activity", "run", "arguments", *(_HEADS[name] for name in spans), "attempts", "result")
        rows = [
            (
                elide(clean(_name(row)), 20),
                elide(clean(row["run"]), 18),
                elide(row["arguments"], 26),
                *(_told(row[name]) for name in spans),
                _attempts(row),
                elide(row["failure"] or row["result"] or row["status"], 22),
            )
            for row in self.frame
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if 3 <= place < 3 + len(spans) else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (head, *rows)
        ]
        return "\n".join([*(elide(line, 120) for line in lines), f"the slowest {len(rows):,} of {self._size()}"])

    def _size(self) -> str:
        damaged = f"; {count(self.frame.damaged, 'damaged record')} left out" if self.frame.damaged else ""
        return f"{count(self.calls, 'call')} in {count(self.runs, 'run')}{damaged}"


_HEADS = {"total_s": "time", "took_s": "answering attempt", "queued_s": "queued", "worked_s": "worked"}
_ALIGN = dict.fromkeys(_HEADS.values(), "num")


def _name(row: dict[str, Any]) -> str:
    return str(row["target"] or "").rpartition(".")[2]


def _told(seconds: float | None) -> str:
    return "–" if seconds is None or seconds < 5e-7 else period(seconds)


def _attempts(row: dict[str, Any]) -> str:
    told = [f"{row['failed_attempts']} failed"] if row["failed_attempts"] else []
    told += [f"{row['lost_attempts']} lost"] if row["lost_attempts"] else []
    return f"{row['attempts']}" + (f" ({', '.join(told)})" if told else "")


def _html_row(place: int, row: dict[str, Any], by: str, most: float) -> Markup:
    answer: Markup = element("code", elide(row["result"] or row["status"], 60))
    if row["failure"] is not None:
        answer = element("span", elide(row["failure"], 60), class_="bad", title=row["failure"])
    return element(
        "tr",
        element("td", f"{place}", class_="num dim"),
        element(
            "th",
            clean(_name(row)),
            scope="row",
            style="color: var(--fg); vertical-align: top",
            title=clean(row["target"] or ""),
        ),
        element("td", element("code", elide(clean(row["run"]), 40)), style="white-space: nowrap"),
        element("td", element("code", elide(row["arguments"], 60))),
        element("td", _told(row[by]), class_="num", style="white-space: nowrap"),
        element("td", _bar(row, most)),
        element("td", _attempts(row), style="white-space: nowrap"),
        element("td", answer),
        element("td", stamp(row["yielded_at"], UTC), style="white-space: nowrap"),
        element("td", element("code", clean(row["where"] or ""))),
    )


# What a call spends its time on: colour, how much of it, and its name.
_PARTS = (
    ("queued_s", "dim", 0.35, "queued"),
    ("wasted_s", "crash", 0.55, "failed attempts"),
    ("rest_s", "crash", 0.2, "pauses and lost attempts"),
    ("took_s", "#0072b2", 1.0, "the attempt that gave the answer"),
)


def _bar(row: dict[str, Any], most: float) -> Markup:
    """Draw what a call spent its time on."""
    queued, worked, took = (row[name] or 0.0 for name in ("queued_s", "worked_s", "took_s"))
    seconds = {"queued_s": queued, "wasted_s": max(worked - took, 0.0), "took_s": took}
    seconds["rest_s"] = max(row["total_s"] - queued - worked, 0.0)
    marks: list[Markup] = [rect(0, 3, _BAR, 10, "idle", rx=2)]
    told = [f"{name} {period(seconds[part])}" for part, _, _, name in _PARTS if seconds[part] >= 5e-7]
    x = 0.0
    for part, colour, opacity, _ in _PARTS:
        width = seconds[part] / max(most, 1e-9) * _BAR
        if width >= 0.3:
            marks.append(rect(x, 3, width, 10, colour, fill_opacity=f"{opacity:g}"))
        x += width
    return canvas(_BAR, 16, element("title", "\n".join(told)), *marks, label=", ".join(told))


def _legend() -> list[Markup]:
    return [
        element(
            "span",
            canvas(12, 12, rect(0, 1, 11, 11, colour, fill_opacity=f"{opacity:g}", rx=2), label=""),
            f" {name}",
            style="margin-right: 14px; white-space: nowrap",
        )
        for _, colour, opacity, name in _PARTS
    ]


def slowest_of(commands: Frame, number: int, *, runs: int, by: str = "total_s") -> Slowest:
    """Find the slowest calls.

    Args:
        commands: Rows of `Journal.commands`.
        number: How many.
        runs: Of how many runs they are.
        by: `total_s` (from the yield to the answer), `took_s` (the attempt that gave it), `queued_s` or `worked_s`.

    Raises:
        UsageError: It is none of these.
    """
    if by not in _ORDERS:
        raise UsageError(f"by={by!r}: expected {', '.join(map(repr, _ORDERS))}")
    calls = [
        place
        for place, (kind, value, total) in enumerate(
            zip(commands["kind"], commands[by], commands["total_s"], strict=True)
        )
        if kind in CALLS and value is not None and total is not None
    ]
    order = commands[by].values
    places = sorted(calls, key=lambda place: -order[place])[: max(number, 0)]
    columns: dict[str, tuple[Kind, list[Any]]] = {
        name: (column.kind, [column[place] for place in places])
        for name, column in ((name, commands[name]) for name in commands.columns)
    }
    return Slowest(Frame(columns, damaged=commands.damaged, noun="call"), by, len(calls), runs)
