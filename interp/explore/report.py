"""A report: one file that holds what is to be seen of a run, or of many, and needs nothing else.

It is an ordered list of parts, each a title and what draws it. A part that cannot be drawn says why in its place.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

import attrs

from interp.definitions import WorkflowDefinition
from interp.explore.blocked import Blocked
from interp.explore.failing import Failures
from interp.explore.markup import Markup, element
from interp.explore.run import Run
from interp.explore.run_page import STYLE, run_html, run_text
from interp.explore.runs import Runs
from interp.explore.theme import within
from interp.explore.view import View, part
from interp.outline.words import clean, count, elide, one_line, stamp
from interp.store import Status

__all__ = ["Report", "report_of_run", "report_of_runs"]

Draw: TypeAlias = "Callable[[], View | Markup | None]"
"""Draws a part; None for nothing to be seen."""

# Characters of a title, which may hold a run id.
_TITLE = 80

# Workflows that have a map of their own.
_MAPS = 4

_STYLE = """
.interp h1 { font-size: 22px; margin: 0 0 2px; } .interp h2 { font-size: 17px; margin: 34px 0 8px; padding-top: 10px;
border-top: 1px solid var(--line); }

.interp nav ol { margin: 10px 0 0; padding-left: 22px; display: flex; flex-wrap: wrap; gap: 0 34px; }
.interp nav a { color: var(--wait); }
.interp details.whole { margin: 6px 0; border: 1px solid var(--line); border-radius: 6px; padding: 6px 12px; }
.interp details.whole > summary { color: inherit; } .interp details.whole[open] > summary { margin-bottom: 10px; }
@media print { .interp nav { display: none; } .interp h2 { break-after: avoid; }
.interp .note { break-inside: avoid; } }
"""


@attrs.frozen
class _Part:
    """A part of a report.

    Attributes:
        title: Its title.
        draw: What draws it.
    """

    title: str
    draw: Draw


@attrs.frozen(eq=False, repr=False)
class Report(View):
    """What is to be seen of some runs, one part after the other; `save` writes it into one file.

    Attributes:
        title: What it is of.
        subtitle: From where, and of when.
    """

    title: str
    subtitle: str
    _parts: tuple[_Part, ...]

    def __repr__(self) -> str:
        """Say what it is of."""
        return f"<report of {self.title}>"

    def html(self) -> Markup:
        """Show all parts, with a table of contents before them."""
        drawn = [(each.title, part(each.title, functools.partial(_markup, each.draw))) for each in self._parts]
        shown = [(f"part-{number}", title, inside) for number, (title, inside) in enumerate(drawn, 1) if inside]
        contents = [element("li", element("a", title, href=f"#{name}")) for name, title, _ in shown]
        return element(
            "main",
            Markup(f"<style>{STYLE}{within('report', _STYLE)}</style>"),
            element("h1", self.title),
            element("p", self.subtitle, class_="dim", style="margin: 0"),
            element("nav", element("ol", contents), aria_label="contents"),
            [
                element("section", element("h2", title), inside, id=name, aria_label=title)
                for name, title, inside in shown
            ],
            class_="report",
        )

    def text(self) -> str:
        """Show the parts that have a text."""
        lines = [self.title, self.subtitle]
        for each in self._parts:
            drawn = each.draw()
            if isinstance(drawn, View):
                lines += ["", each.title, "-" * len(each.title), str(drawn)]
        return "\n".join(lines)


def _markup(draw: Draw) -> Markup | None:
    drawn = draw()
    return drawn.html() if isinstance(drawn, View) else drawn


@attrs.frozen(eq=False, repr=False)
class _Whole(View):
    """The page of a run, whose style the report has already."""

    run: Run
    now: datetime

    def html(self) -> Markup:
        """Show the run."""
        return run_html(_any(self.run), self.now, has_style=True)

    def text(self) -> str:
        """Show the run as `interp show` does."""
        return run_text(_any(self.run), self.now)


def report_of_run(run: Run, now: datetime | None = None) -> Report:
    """Report on a run.

    Args:
        run: The run.
        now: The time, for what still waits; None for now.
    """
    now = now or datetime.now(UTC)
    return Report(
        elide(one_line(f"{run.row.workflow} {run.id}"), _TITLE),
        _subtitle(run.store, now),
        tuple(_Part(title, draw) for title, draw in _run_parts(run, now)),
    )


def _run_parts(run: Run, now: datetime) -> Iterator[tuple[str, Draw]]:
    """Give the parts of the report on one run, in order."""
    yield "The run", lambda: _Whole(run, now)
    yield "Critical path", lambda: run.critical_path(now=now) if run.tree.nodes else None
    if not isinstance(run.code, WorkflowDefinition) or not run.history:
        return
    if run.row.status is not Status.PARKED:  # the page of a parked run has it
        yield "What does not fit the code", run.divergence
    yield "Step by step", run.step_through


def _unless_empty(found: Blocked | Failures) -> View | None:
    return found if found.groups else None


def report_of_runs(runs: Runs, *, whole: int = 10, now: datetime | None = None) -> Report:
    """Report on many runs.

    Args:
        runs: The runs.
        whole: Of so many, the first ones, there is the page of each, folded.
        now: The time, for what still waits; None for now.
    """
    now = now or datetime.now(UTC)
    return Report(
        count(len(runs), "run"),
        _subtitle(runs.url, now),
        tuple(_Part(title, draw) for title, draw in _runs_parts(runs, whole, now)),
    )


def _runs_parts(runs: Runs, whole: int, now: datetime) -> Iterator[tuple[str, Draw]]:
    """Give the parts of the report on many runs, in order."""
    yield "The runs", lambda: runs
    yield "What waits", lambda: _unless_empty(runs.blocked(now=now))
    yield "What failed", lambda: _unless_empty(runs.failures())
    yield "How long calls took", runs.latency
    yield "The slowest calls", runs.slowest
    yield "At once", runs.concurrency
    for name in list(dict.fromkeys(row.workflow for row in runs.rows))[:_MAPS]:
        alike = attrs.evolve(runs, rows=tuple(row for row in runs.rows if row.workflow == name))
        yield f"Path map of {elide(one_line(name), _TITLE)}", alike.path_map
    if whole:
        yield "Run by run", lambda: _run_by_run(runs[:whole], len(runs) - whole, now)


def _run_by_run(runs: Runs, more: int, now: datetime) -> Markup:
    pages = [
        element(
            "details",
            element(
                "summary",
                element("span", run.row.status.value, class_=f"pill {run.row.status.value}"),
                " ",
                element("code", elide(one_line(run.id), _TITLE)),
                f" {elide(one_line(run.row.workflow), _TITLE)}",
            ),
            part("the run", functools.partial(run_html, _any(run), now, has_style=True)),
            class_="whole",
        )
        for run in runs
    ]
    return element("div", pages, element("p", f"… and {count(more, 'more run')}", class_="dim") if more > 0 else None)


def _any(run: Run) -> Any:
    """Return a run as any other: a cached property is a property, which pyright does not see."""
    return run


def _subtitle(store: str, now: datetime) -> str:
    return f"from {clean(store)}, as of {stamp(now, UTC)} UTC"
