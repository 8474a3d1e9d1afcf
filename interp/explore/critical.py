"""The critical path: the one chain of commands that decided when a run ended.

Trace viewers guess it, because spans that lie beside each other do not tell which waited for which. A journal tells
exactly. Between two records every fiber is blocked, so whatever a record's commands depend on is the one event that is
its cause, and that event is the answer to one command. So from the end backwards: the record that ended the run was
caused by the answer to a command; the command was yielded in an earlier record, which was caused by the answer to
another one; and so on to the start. A gather goes on with the end of its last part, a race with that of its first, a
join with its fiber's, a limited gather's next part with the end of the one before: all of it follows from the causes,
and no rule is needed for any of them. What does not lie on the path could have been faster without any gain.

The stretches of the path follow each other without gap from the begin to the end, so their shares are those of the
whole time. A signal is a wait for the outside, as is a cancellation: the path goes through the command that it ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from enum import Enum

import attrs

from interp.events import (
    Asked,
    ChildEnded,
    Delivered,
    Fired,
    Refused,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
)
from interp.explore.axis import lasted
from interp.explore.chart import Chart, Kind, Segment
from interp.explore.lanes import segments_of
from interp.explore.markup import Markup, element
from interp.explore.names import activity_name, command_line
from interp.explore.picture import paint
from interp.explore.view import View
from interp.outline.nodes import Node, State
from interp.outline.tree import Tree
from interp.outline.words import count, elide, one_line

__all__ = ["CriticalPath", "Step", "Why", "critical_path_of"]

# Rows of a table; of a longer path the short steps are counted instead.
_ROWS = 24

_NONE = timedelta(0)


class Why(Enum):
    """Why a stretch of the path took its time."""

    RAN = "ran"
    QUEUED = "queued"  # no worker was free
    RETRIED = "retried"  # attempts that failed, and the waits after them
    LOST = "lost"  # attempts of a lost worker, until it was taken over from
    WAITED = "waited"  # for a timer, a signal, another run


_COLOURS = {Why.RAN: "good", Why.QUEUED: "line", Why.RETRIED: "crash", Why.LOST: "bad", Why.WAITED: "wait"}

_WHY = {
    Kind.RAN: Why.RAN,
    Kind.FAILED: Why.RETRIED,
    Kind.RETRY: Why.RETRIED,
    Kind.LOST: Why.LOST,
    Kind.DOWN: Why.LOST,
    Kind.QUEUED: Why.QUEUED,
}


@attrs.frozen
class Step:
    """A stretch of the path: one command, and one reason.

    Attributes:
        node: The command; None where the history does not tell.
        begin: From when.
        end: Until when.
        why: Why it took its time.
    """

    node: Node | None
    begin: datetime
    end: datetime
    why: Why

    @property
    def took(self) -> timedelta:
        """How long."""
        return self.end - self.begin

    @property
    def command(self) -> str:
        """What it is: `create_vm('web-3', 'net-1')`, `signal 'approve'`."""
        if self.node is None:
            return "nothing that can be read"
        return command_line(self.node.record, 60)


@attrs.frozen(eq=False, repr=False)
class CriticalPath(View):
    """The chain of commands that decided when a run ended. Of a run that goes on, that it is where it is.

    Attributes:
        run_id: The run.
        begin: When it began.
        end: When it ended, or the time of the picture.
        steps: The stretches of the path, without gap from the begin to the end.
        is_open: Whether the run goes on. Its path ends with the command that waits for the longest time.
    """

    run_id: str
    begin: datetime
    end: datetime
    steps: tuple[Step, ...]
    is_open: bool = False

    @property
    def shares(self) -> dict[str, float]:
        """How much of the whole time each reason took, by its word, the largest first; together 1.

        Empty for a run that took no time.
        """
        totals: Counter[str] = Counter()
        for step in self.steps:
            totals[step.why.value] += step.took // timedelta(microseconds=1)
        whole = sum(totals.values())
        return {why: total / whole for why, total in totals.most_common()}

    @property
    def activities(self) -> dict[str, float]:
        """How much of the whole time each activity, sleep or wait took, by its name, the largest first; together 1."""
        totals: Counter[str] = Counter()
        for step in self.steps:
            name = "?" if step.node is None else activity_name(step.node.record)
            totals[name] += step.took // timedelta(microseconds=1)
        whole = sum(totals.values())
        return {name: total / whole for name, total in totals.most_common()}

    def share(self, step: Step) -> float:
        """Return how much of the whole time a step took, from 0 to 1."""
        return step.took / (self.end - self.begin) if self.end > self.begin else 0.0

    def html(self) -> Markup:
        """Show the path as a bar of its reasons, and a table."""
        parts = [
            element("div", title=f"{why} {_percent(share)}", style=_part(why, share))
            for why, share in self.shares.items()
        ]
        legend = [
            element(
                "span", element("span", "■ ", style=f"color:{paint(_COLOURS[Why(why)])}"), f"{why} {_percent(share)}  "
            )
            for why, share in self.shares.items()
        ]
        heads = [element("th", name, scope="col", class_=kind) for name, kind in _COLUMNS]
        return element(
            "div",
            element("h4", self._headline()),
            element("div", parts, style="display:flex;height:12px;max-width:720px;border-radius:3px;overflow:hidden"),
            element("p", legend, class_="dim", style="margin:4px 0;white-space:pre-wrap"),
            element(
                "table", element("thead", element("tr", heads)), element("tbody", map(self._html_row, self._shown()))
            ),
        )

    def text(self) -> str:
        """Show the path as lines."""
        lines = [
            self._headline(),
            "  " + "   ".join(f"{why} {_percent(share)}" for why, share in self.shares.items()),
            "",
        ]
        for row in self._shown():
            if isinstance(row, list):
                lines.append(f"  {self._skipped(row)}")
                continue
            command_id = "" if row.node is None else row.node.id
            lines.append(
                f"  {_percent(self.share(row)):>6}  {lasted(row.took):>11}  {row.why.value:<8} "
                f"{command_id:<8} {elide(row.command, 54):<54}  at {lasted(row.begin - self.begin)}"
            )
        return "\n".join(line.rstrip() for line in lines).rstrip()

    def _headline(self) -> str:
        took = lasted(self.end - self.begin) + (" so far" if self.is_open else "")
        commands = len({step.node.id for step in self.steps if step.node is not None})
        return f"critical path of {elide(one_line(self.run_id), 60)}: {took}, decided by {count(commands, 'command')}"

    def _shown(self) -> Iterator[Step | list[Step]]:
        """Give the steps in order; of many, lists of short ones that are counted instead."""
        kept = sorted(self.steps, key=lambda step: step.took, reverse=True)[:_ROWS]
        chosen = set(map(id, kept))
        hidden: list[Step] = []
        for step in self.steps:
            if id(step) not in chosen:
                hidden.append(step)
                continue
            if hidden:
                yield hidden
                hidden = []
            yield step
        if hidden:
            yield hidden

    def _skipped(self, steps: Sequence[Step]) -> str:
        took = sum((step.took for step in steps), _NONE)
        return f"{_percent(sum(map(self.share, steps))):>6}  {lasted(took):>11}  … {count(len(steps), 'shorter step')}"

    def _html_row(self, row: Step | list[Step]) -> Markup:
        if isinstance(row, list):
            took = sum((step.took for step in row), _NONE)
            share = sum(map(self.share, row))
            return element(
                "tr",
                element("td", _percent(share), class_="num"),
                element("td", lasted(took), class_="num"),
                element("td", f"… {count(len(row), 'shorter step')}", colspan=4, class_="dim"),
            )
        node = row.node
        return element(
            "tr",
            element("td", _percent(self.share(row)), class_="num"),
            element("td", lasted(row.took), class_="num"),
            element("td", element("span", "■ ", style=f"color:{paint(_COLOURS[row.why])}"), row.why.value),
            element("td", element("code", "" if node is None else node.id)),
            element(
                "td",
                element("code", row.command),
                " ",
                element("span", "" if node is None else node.record.where, class_="dim"),
            ),
            element("td", lasted(row.begin - self.begin), class_="num dim"),
        )


_COLUMNS = (("share", "num"), ("took", "num"), ("why", None), ("id", None), ("command", None), ("begins after", "num"))


def _part(why: str, share: float) -> str:
    return f"width:{share * 100:.2f}%;background:{paint(_COLOURS[Why(why)])}"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %" if share >= 0.0995 or share == 0 else f"{share * 100:.1f} %"


def critical_path_of(run_id: str, tree: Tree, history: Sequence[Transition], chart: Chart) -> CriticalPath:
    """Find the critical path.

    Args:
        run_id: The run.
        tree: Its history, folded.
        history: Its records.
        chart: Its lanes.
    """
    issued = {record.id: place for place, transition in enumerate(history) for record in transition.commands}
    delivered = {
        (node.record.kind, node.record.target, node.ended): node
        for node in tree.nodes.values()
        if node.state is State.DONE and node.early is None
    }
    finder = _Finder(tree, history, chart, issued, delivered)
    backwards = list(finder.backwards())
    return CriticalPath(run_id, chart.begin, chart.end, tuple(_merged(backwards[::-1])), chart.is_open)


@attrs.frozen
class _Finder:
    tree: Tree
    history: Sequence[Transition]
    chart: Chart
    issued: dict[str, int]  # by command, the place of the record that holds it
    delivered: dict[tuple[str, str, datetime | None], Node]  # what a signal or request answered, by its name and time

    def backwards(self) -> Iterator[Step]:
        """Give the steps from the end to the begin."""
        chart, until, place = self.chart, self.chart.end, len(self.history)
        node = self._awaited() if self.tree.outcome is None else None
        while until > chart.begin:
            if node is None:
                place -= 1
                if place < 0 or isinstance(self.history[place].cause, Started):
                    break
                node = self._answered(place)
            begun_in = self.issued.get(node.id, place) if node is not None else place
            if node is None or begun_in >= place:  # not a history that an interpreter wrote: records are missing
                break
            begin = max(min(node.at, until), chart.begin)
            yield from self._steps(node, begin, until)
            until, place = begin, begun_in + 1
            node = None
        if until > chart.begin:
            yield Step(None, chart.begin, until, Why.WAITED)

    def _awaited(self) -> Node | None:
        """Return the command that waits for the longest time; a timer only where nothing else does."""
        waiting = self.tree.waiting.values()
        return min(waiting, key=lambda node: (node.record.kind.startswith("sleep"), node.at), default=None)

    def _answered(self, place: int) -> Node | None:
        """Return the command whose answer, or whose end, is the cause of a record."""
        transition = self.history[place]
        match transition.cause:
            case Resolved(id) | Rejected(id) | Fired(id) | Delivered(id) | Refused(id) | ChildEnded(id):
                return self.tree.nodes.get(id)
            case Signalled(name):
                found = self.delivered.get(("await_signal", name, transition.at))
            case Asked(name):
                found = self.delivered.get(("await_request", name, transition.at))
            case _:
                found = None
        return found or self._ended(place)

    def _ended(self, place: int) -> Node | None:
        """Return the command that the outside ended: of those that waited then, the last one that was yielded."""
        at = self.history[place].at
        waited = [
            node
            for node in self.tree.nodes.values()
            if self.issued.get(node.id, place) < place and (node.ended is None or node.ended >= at) and node.at < at
        ]
        return max(waited, key=lambda node: self.issued[node.id], default=None)

    def _steps(self, node: Node, begin: datetime, until: datetime) -> Iterator[Step]:
        """Give what a command did from its begin until then, the last first."""
        segments = segments_of(node, self.chart.end, self.chart.losses, is_held=self.chart.is_held)
        steps: list[Step] = []
        for segment in segments:
            end = min(max(segment.end, begin), until)
            if end > begin:
                steps.append(Step(node, begin, end, _why(segment)))
                begin = end
        if begin < until:
            steps.append(Step(node, begin, until, Why.WAITED))
        yield from steps[::-1]


def _why(segment: Segment) -> Why:
    if segment.kind is Kind.FAILED and segment.is_last:
        return Why.RAN  # this attempt's failure was the answer
    return _WHY.get(segment.kind, Why.WAITED)


def _merged(steps: Sequence[Step]) -> Iterator[Step]:
    """Join stretches of one command for one reason: failed attempts, and the waits between them."""
    held: Step | None = None
    for step in steps:
        if held is not None and held.node is step.node and held.why is step.why:
            held = attrs.evolve(held, end=step.end)
            continue
        if held is not None:
            yield held
        held = step
    if held is not None:
        yield held
