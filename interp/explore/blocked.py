"""Everything that waits in some runs, grouped by what waits alike, the longest waiting first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import attrs

from interp.explore.markup import Markup, element, table, text
from interp.explore.subject import Stored
from interp.explore.view import View
from interp.explore.waits import Wait, alive_in, waits_of
from interp.outline.words import clean, count, elide, span

__all__ = ["Blocked", "BlockedGroup", "blocked_of", "quoted"]

# How many groups are shown, and how many runs of each are named.
_MOST_GROUPS = 50
_EXAMPLES = 3
_ID = 60


@attrs.frozen
class BlockedGroup:
    """Waits that are alike: of one workflow, at one line, for the same.

    Attributes:
        waits: They, the oldest first; never empty.
    """

    waits: tuple[Wait, ...]

    @property
    def oldest(self) -> Wait:
        """The wait that began first."""
        return self.waits[0]

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs, the one that has waited longest first."""
        return tuple(dict.fromkeys(wait.run_id for wait in self.waits))

    @property
    def until(self) -> datetime | None:
        """When the first of them goes on by itself, or times out; None for never."""
        return min((wait.until for wait in self.waits if wait.until is not None), default=None)


@attrs.frozen(eq=False, repr=False)
class Blocked(View):
    """What waits, grouped; see `Runs.blocked`.

    Attributes:
        groups: What waits alike, the longest waiting first.
        now: The time for which it is told.
        runs: How many open runs were looked at.
        is_cut: Whether there are more, because a limit was given.
    """

    groups: tuple[BlockedGroup, ...]
    now: datetime
    runs: int
    is_cut: bool = False

    def __repr__(self) -> str:
        """Say how much waits."""
        return f"<blocked: {self._sum()}>"

    def _sum(self) -> str:
        waits = sum(len(group.waits) for group in self.groups)
        more = "; there are more runs than were read" if self.is_cut else ""
        return f"{count(self.runs, 'open run')}, {count(waits, 'wait')} in {count(len(self.groups), 'group')}{more}"

    def text(self) -> str:
        """Show what waits, two to four lines for each group."""
        if not self.groups:
            return "nothing waits"
        lines = [self._sum()]
        for group in self.groups[:_MOST_GROUPS]:
            lines += ["", *_group_lines(group, self.now)]
        if len(self.groups) > _MOST_GROUPS:
            lines += ["", f"… and {count(len(self.groups) - _MOST_GROUPS, 'more group')}"]
        return "\n".join(elide(line, 120) for line in lines)

    def html(self) -> Markup:
        """Show what waits as a table, one row for each group."""
        if not self.groups:
            return element("p", "Nothing waits.", class_="dim")
        heads = ("runs", "waits for", "workflow and line", "since", "until", "what makes it go on")
        rows = [_group_row(group, self.now) for group in self.groups[:_MOST_GROUPS]]
        rest = len(self.groups) - _MOST_GROUPS
        return element(
            "div",
            element("p", self._sum(), class_="dim"),
            table(heads, rows, class_="blocked"),
            element("p", f"… and {count(rest, 'more group')}", class_="dim") if rest > 0 else None,
        )


def _group_lines(group: BlockedGroup, now: datetime) -> list[str]:
    oldest = group.oldest
    runs = group.runs
    what = oldest.what if len(group.waits) == 1 else oldest.like
    head = f"{_number(group)}{elide(clean(oldest.workflow), _ID)}  {what}{_detail(oldest)}"
    lines = [f"{head}  {_since(group, now)}{_until(group, now)}"]
    if oldest.where:
        lines.append(f"      at {oldest.where}" + (f"  {oldest.source}" if oldest.source else ""))
    lines.append(f"      wakes: {oldest.wakes}")
    more = f" and {len(runs) - _EXAMPLES:,} more" if len(runs) > _EXAMPLES else ""
    named = ", ".join(elide(clean(run), _ID) for run in runs[:_EXAMPLES])
    lines.append(f"      {'run' if len(runs) == 1 else 'runs'} {named}{more}")
    return lines


def _number(group: BlockedGroup) -> str:
    return f"{len(group.waits):>4,}× " if len(group.waits) > 1 else "      "


def _detail(wait: Wait) -> str:
    return f" ({wait.detail})" if wait.detail else ""


def _since(group: BlockedGroup, now: datetime) -> str:
    return f"for {span(now - group.oldest.since)}"


def _until(group: BlockedGroup, now: datetime) -> str:
    until = group.until
    if until is None:
        return ""
    return f", until {'in ' + span(until - now) if until > now else 'now'}"


def _group_row(group: BlockedGroup, now: datetime) -> Markup:
    oldest, runs = group.oldest, group.runs
    more = f" and {len(runs) - _EXAMPLES:,} more" if len(runs) > _EXAMPLES else ""
    what = oldest.what if len(group.waits) == 1 else oldest.like
    return element(
        "tr",
        element(
            "td",
            element("div", f"{len(group.waits):,}×", class_="many") if len(group.waits) > 1 else None,
            [
                element("div", element("code", elide(clean(run), _ID)), style="white-space: nowrap")
                for run in runs[:_EXAMPLES]
            ],
            element("span", more, class_="dim"),
        ),
        element("td", element("code", what), element("div", oldest.detail, class_="dim") if oldest.detail else None),
        element("td", elide(oldest.workflow, _ID), *_place(oldest)),
        element("td", span(now - oldest.since), class_="num", style="white-space: nowrap"),
        element("td", _until(group, now).removeprefix(", until "), class_="num", style="white-space: nowrap"),
        element("td", quoted(oldest.wakes)),
    )


def _place(wait: Wait) -> list[Markup]:
    place = [element("div", wait.where, class_="dim mono")] if wait.where else []
    return [*place, element("div", element("code", wait.source))] if wait.source else place


def quoted(told: str) -> list[Markup]:
    """Write a sentence in which what stands between backquotes is code."""
    return [element("code", part) if place % 2 else text(part) for place, part in enumerate(told.split("`"))]


def blocked_of(runs: Iterable[Stored], now: datetime | None = None, is_cut: bool = False) -> Blocked:
    """Tell what some runs wait for.

    Args:
        runs: The runs.
        now: The time; None for now.
        is_cut: Whether there are others.
    """
    now = now or datetime.now(UTC)
    found: dict[tuple[str, str, str], list[Wait]] = {}
    number = 0
    alive: Mapping[str, bool] | None = None
    for run in runs:
        alive = alive_in(run.reader, now) if alive is None else alive
        number += not run.row.status.ended
        for wait in waits_of(run, now, alive):
            found.setdefault((wait.workflow, wait.where, wait.like), []).append(wait)
    groups = [BlockedGroup(tuple(sorted(waits, key=_age))) for waits in found.values()]
    groups.sort(key=lambda group: _age(group.oldest))
    return Blocked(tuple(groups), now, number, is_cut)


def _age(wait: Wait) -> datetime:
    return wait.since
