"""Path coverage: which ways through a workflow the examples took.

Lines say little of a workflow: what matters is at which commands it stood, and in which ways they ended. `Paths` finds
the commands in the source of a workflow and of the generators that it delegates to, with the ways in which each may
end (returned, raised each of the declared exceptions, timed out), and counts which of them executions have taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from interp.definitions import workflow_of
from interp.events import (
    Asked,
    ChildEnded,
    Completed,
    Delivered,
    Failed,
    Fired,
    Record,
    Refused,
    Rejected,
    Resolved,
    Signalled,
    Started,
    Transition,
    WasCancelled,
)
from interp.testing.execution import Execution
from interp.yields import Yield, written, yield_of, yields_of

__all__ = ["Paths", "Way"]


@attrs.frozen(order=True)
class Way:
    """One way in which a command may end.

    Attributes:
        file: Name of the source file, without its folders.
        line: Where the command stands.
        kind: `call`, `sleep`, `await_signal` ...
        target: Name of the activity, the signal, the workflow; empty where there is none or it is computed.
        how: `returns`, `raises CardDeclined`, `fires`, `arrives`, `times out` ...
    """

    file: str
    line: int
    kind: str
    target: str
    how: str


class Paths:
    """The ways through a workflow, and how often executions took each."""

    def __init__(self, workflow: Callable[..., Any]) -> None:
        """Find the commands of a workflow.

        Args:
            workflow: A function declared with `@workflow`.

        Raises:
            InvalidDefinition: It is none.
        """
        self.workflow = workflow_of(workflow).name
        self.executions = 0
        self._sites = yields_of(workflow_of(workflow))
        self._taken: Counter[Way] = Counter()

    def add(self, execution: Execution) -> None:
        """Count the ways that an execution took."""
        self.executions += 1
        for history in execution.rounds:
            for record, how in _endings(history):
                site = self._site(record)
                if site is not None:
                    self._taken[Way(site.file, site.first, site.kind, site.target, how)] += 1

    @property
    def ways(self) -> dict[Way, int]:
        """Every way that is known, with how often it was taken; those that nobody foresaw are in it once taken."""
        known = {
            Way(site.file, site.first, site.kind, site.target, how): 0 for site in self._sites for how in site.hows
        }
        return dict(sorted({**known, **self._taken}.items()))

    @property
    def missed(self) -> list[Way]:
        """The ways that no execution took."""
        return [way for way, count in self.ways.items() if not count]

    @property
    def percent(self) -> float:
        """How many of the foreseen ways were taken, in percent; 100 for a workflow without commands."""
        foreseen = sum(len(site.hows) for site in self._sites)
        return 100.0 * (foreseen - len(self.missed)) / foreseen if foreseen else 100.0

    def __str__(self) -> str:
        """Draw the table."""
        head = f"{self.workflow}: {self.percent:.0f} % of the ways in {self.executions} executions"
        rows = [
            (f"{way.file}:{way.line}", f"{way.kind} {way.target}".strip(), way.how, str(count or "never"))
            for way, count in self.ways.items()
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n  ".join([head, *lines])

    def _site(self, record: Record) -> Yield | None:
        return yield_of(record, self._sites)


def _endings(history: tuple[Transition, ...]) -> Iterator[tuple[Record, str]]:
    """Give the commands of a round that ended, with how."""
    waiting: dict[str, Record] = {}
    mailbox: Counter[tuple[str, str]] = Counter()
    for transition in history:
        cause = transition.cause
        match cause:
            case Started():
                mailbox.update(("await_signal", name) for name, _ in cause.mailbox)
                mailbox.update(("await_request", name) for _, name, payload in cause.asked if payload is not None)
            case Signalled() | Asked():
                awaited = ("await_signal" if isinstance(cause, Signalled) else "await_request", cause.name)
                taker = next((each for each in waiting.values() if awaited == (each.kind, each.target)), None)
                if taker is None:
                    mailbox[awaited] += 1
                else:
                    yield waiting.pop(taker.id), "arrives"
            case Resolved() | Rejected() | Fired() | Delivered() | Refused() | ChildEnded():
                record = waiting.pop(cause.id, None)
                if record is not None:
                    yield record, _how(cause, record)
            case _:
                pass
        for record in transition.commands:
            if mailbox[record.kind, record.target]:
                mailbox[record.kind, record.target] -= 1
                yield record, "arrives"
            else:
                waiting[record.id] = record


def _how(cause: Resolved | Rejected | Fired | Delivered | Refused | ChildEnded, record: Record) -> str:
    match cause:
        case Resolved():
            return "returns"
        case Rejected():
            name = cause.failure.type_name.rpartition("<locals>.")[2].rpartition(".")[2]
            return f"raises {name}" if cause.declared else "fails"
        case Fired():
            return "times out" if written(record) == "await_signal" else "fires"
        case Delivered():
            return "returns"
        case Refused():
            return "fails"
        case ChildEnded():
            return {Completed: "returns", Failed: "fails", WasCancelled: "is cancelled"}[type(cause.outcome)]
