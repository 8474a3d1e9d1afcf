"""The failures of many runs, those that are alike put together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import attrs

from interp.events import Failed, Failure
from interp.explore.commands import CALLS, Past, attempts_of, short_name
from interp.explore.frames import Frame, Kind
from interp.explore.markup import Child, Markup, element
from interp.explore.view import View
from interp.outline.nodes import State
from interp.outline.tree import tree_of
from interp.outline.words import clean, count, elide, one_line, stamp

__all__ = ["FailureGroup", "Failures", "failure_groups", "failures_of", "shape_of"]

# Groups that are shown; the others are counted.
_MOST = 30

# What differs between two messages of one kind: quoted text, ids, and whatever begins with a digit.
_PARTICULAR = re.compile(
    r"""(?<!\w)'[^']*'(?!\w) | "[^"]*"
    | \b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b
    | \d(?:[\w.:-]*\w)?""",
    re.VERBOSE,
)

# Longest shape, in characters.
_SHAPE = 90

# Runs that are named as examples.
_EXAMPLES = 3


@attrs.define
class FailureGroup:
    """Failures that are alike: one type, one activity, one shape of message.

    Attributes:
        type_name: Name of the exception's class.
        activity: Name of the activity; empty for what the workflow itself raised.
        shape: The message with what differs left out.
        message: One of the messages, whole.
        tries: How many attempts failed with it.
        calls: How many calls failed for good with it.
        runs_failed: How many runs ended with it.
        runs: In which runs it happened; in order.
        last: When it happened last.
    """

    type_name: str
    activity: str
    shape: str
    message: str
    tries: int = 0
    calls: int = 0
    runs_failed: int = 0
    runs: dict[str, None] = attrs.field(factory=dict[str, None])
    last: datetime | None = None

    @property
    def examples(self) -> list[str]:
        """Ids of a few of the runs."""
        return [*self.runs][:_EXAMPLES]


def failure_groups(pasts: Iterable[Past]) -> list[FailureGroup]:
    """Group failures; those that ended runs come first, then those of most attempts.

    Args:
        pasts: The runs; each is looked at once.
    """
    groups: dict[tuple[str, str, str], FailureGroup] = {}

    def group(past: Past, activity: str, failure: Failure, at: datetime | None) -> FailureGroup:
        shape = shape_of(failure.message)
        key = (failure.type_name, activity, shape)
        if key not in groups:
            groups[key] = FailureGroup(
                short_name(failure), activity, shape, elide(one_line(failure.message[:2000]), 400)
            )
        found = groups[key]
        found.runs[past.run] = None
        found.last = at if found.last is None else max(found.last, at or found.last)
        return found

    for past in pasts:
        tree = tree_of(past.history)
        for node in tree.nodes.values():
            target = node.record.target if node.record.kind in CALLS | {"child"} else ""
            for attempt in node.tries:
                if attempt.failure is not None:
                    group(past, target, attempt.failure, attempt.ended).tries += 1
            if node.state is State.FAILED and node.failure is not None:
                found = group(past, target, node.failure, node.ended)
                found.calls += 1
                found.tries += node.record.kind in CALLS and attempts_of(node).number > len(node.tries)
        if isinstance(tree.outcome, Failed):
            group(past, "", tree.outcome.failure, tree.last_at).runs_failed += 1
    return sorted(groups.values(), key=lambda each: (-each.runs_failed, -each.calls, -each.tries, each.type_name))


def shape_of(message: str) -> str:
    """Return what messages of one kind have in common: `no room in …: … of … used`."""
    return elide(_PARTICULAR.sub("…", one_line(message[:2000])), _SHAPE)


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
