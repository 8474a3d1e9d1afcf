"""The failures of many runs, those that are alike put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC

import attrs

from interp.explore.commands import Past
from interp.explore.frames import Frame, Kind
from interp.explore.markup import Child, Markup, element
from interp.explore.statistics import FailureGroup, failure_groups
from interp.explore.view import View
from interp.outline.words import clean, count, elide, one_line, stamp

__all__ = ["Failures", "failures_of"]

# Groups that are shown; the others are counted.
_MOST = 30


@attrs.frozen(eq=False, repr=False)
class Failures(View):
    """What failed, and how often.

    Attributes:
        groups: Those that ended runs first.
        runs: How many runs were looked at.
        damaged: How many records could not be read.
    """

    groups: tuple[FailureGroup, ...]
    runs: int
    damaged: int = 0

    @property
    def frame(self) -> Frame:
        """The numbers behind the table: one row per group."""
        groups = self.groups
        return Frame(
            {
                "failure_type": (Kind.TEXT, [group.type_name for group in groups]),
                "target": (Kind.TEXT, [group.activity or None for group in groups]),
                "message": (Kind.TEXT, [group.shape for group in groups]),
                "example": (Kind.TEXT, [group.message for group in groups]),
                "failed_attempts": (Kind.WHOLE, [group.tries for group in groups]),
                "failed_calls": (Kind.WHOLE, [group.calls for group in groups]),
                "failed_runs": (Kind.WHOLE, [group.runs_failed for group in groups]),
                "runs": (Kind.WHOLE, [len(group.runs) for group in groups]),
                "last_at": (Kind.MOMENT, [group.last for group in groups]),
                "run": (Kind.TEXT, [group.examples[0] for group in groups]),
            },
            damaged=self.damaged,
            noun="group",
        )

    def html(self) -> Markup:
        """Show a table."""
        if not self.groups:
            return element("p", f"nothing failed in {self._size()}", class_="dim")
        numbers = ("failed tries", "failed calls", "failed runs", "in runs")
        names = ("failure", "in", *numbers, "last (UTC)", "such as")
        head = element(
            "tr",
            *(
                element("th", name, scope="col", class_="num" if name in numbers else None, style=_LINE)
                for name in names
            ),
        )
        body = [_html_row(group) for group in self.groups[:_MOST]]
        return element(
            "div",
            element("div", element("table", element("thead", head), element("tbody", *body)), style="overflow-x: auto"),
            element("p", self._foot(), class_="dim"),
        )

    def text(self) -> str:
        """Show a table; the messages stand below the numbers."""
        if not self.groups:
            return f"nothing failed in {self._size()}"
        lines = [" tries   calls    runs  failure"]
        for group in self.groups[:_MOST]:
            where = f" in {clean(_place(group))}"
            numbers = "".join(f"{_told(number):>6}  " for number in (group.tries, group.calls, group.runs_failed))
            lines.append(elide(f"{numbers}{group.type_name}{where}: {group.shape}", 120))
            lines.append(elide(f"{'':24}{_examples(group)}", 120))
        return "\n".join([*lines, self._foot()])

    def _size(self) -> str:
        return count(self.runs, "run")

    def _foot(self) -> str:
        hidden = len(self.groups) - _MOST
        more = f"… {count(hidden, 'more kind')}; " if hidden > 0 else ""
        damaged = f"; {count(self.damaged, 'damaged record')} left out" if self.damaged else ""
        return f"{more}{count(len(self.groups), 'kind')} of failure in {self._size()}{damaged}"


def _told(number: int) -> str:
    return f"{number:,}" if number else "–"


def _place(group: FailureGroup) -> str:
    return group.activity.rpartition(".")[2] or "the workflow"


def _examples(group: FailureGroup) -> str:
    more = len(group.runs) - len(group.examples)
    named = ", ".join(elide(one_line(run), 40) for run in group.examples)
    return named + (f" and {more:,} more" if more else "")


def _html_row(group: FailureGroup) -> Markup:
    numbers: Iterator[Markup] = (
        element("td", _told(number), class_="num bad" if ends and number else "num")
        for number, ends in (
            (group.tries, False),
            (group.calls, True),
            (group.runs_failed, True),
            (len(group.runs), False),
        )
    )
    return element(
        "tr",
        element(
            "th", element("b", group.type_name), f": {group.shape}", scope="row", style=_WHOLE, title=group.message
        ),
        element("td", clean(_place(group)), title=clean(group.activity)),
        *numbers,
        element("td", "" if group.last is None else stamp(group.last, UTC), style=_LINE),
        element("td", *_named(group), style=_LINE),
    )


_LINE = "white-space: nowrap"
_WHOLE = "color: var(--fg); overflow-wrap: anywhere; min-width: 300px; max-width: 460px; vertical-align: top"


def _named(group: FailureGroup) -> Iterator[Child]:
    """Give a few of the runs, and how many more there are."""
    for place, run in enumerate(group.examples):
        yield [", " if place else None, element("code", elide(one_line(run), 24), title=elide(one_line(run), 400))]
    more = len(group.runs) - len(group.examples)
    yield element("span", f" and {more:,} more", class_="dim") if more else None


def failures_of(pasts: Iterable[Past], runs: int) -> Failures:
    """Group the failures of runs.

    Args:
        pasts: The runs; each is looked at once.
        runs: How many there are.
    """
    damaged = 0

    def counted() -> Iterator[Past]:
        nonlocal damaged
        for past in pasts:
            damaged += past.damaged
            yield past

    groups = tuple(failure_groups(counted()))
    return Failures(groups, runs, damaged)
