"""`HistoryBudget`: how long a history may grow before it is told. Arithmetic on numbers that are passed in."""

from __future__ import annotations

from datetime import timedelta

import attrs

from interp.errors import UsageError
from interp.spans import checked_span

__all__ = ["HistoryBudget"]


@attrs.frozen
class HistoryBudget:
    """How long the history of a run may grow before a warning is logged and recorded; the run goes on all the same.

    A history is replayed whole whenever its run comes back to memory, and while that lasts the worker does nothing
    else. Told once when the budget is crossed, then each time that the history has doubled since it was last told.

    Attributes:
        records: How many records it may have; None for any number.
        replay: How long its replay may take, measured by the worker when it replays the run; None for any time.
    """

    records: int | None = attrs.field(default=10_000)
    replay: timedelta | None = attrs.field(default=timedelta(seconds=1))

    def __attrs_post_init__(self) -> None:
        """Refuse what is no budget."""
        if self.records is not None and (type(self.records) is not int or self.records < 1):
            raise UsageError(f"HistoryBudget(records={self.records!r}): must be a whole number from 1 on, or None")
        if self.replay is not None and checked_span("HistoryBudget(replay", self.replay, UsageError) <= timedelta(0):
            raise UsageError(f"HistoryBudget(replay={self.replay!r}): must be more than 0 s, or None")

    def has_outgrown(self, records: int, told: int) -> bool:
        """Whether so many records are to be told, when `told` were told before (0 for never)."""
        return self.records is not None and records >= max(self.records, 2 * told)

    def is_too_slow(self, replay: timedelta, told: timedelta) -> bool:
        """Whether a replay that took so long is to be told, when `told` was told before (nothing for never)."""
        return self.replay is not None and replay > self.replay and replay >= 2 * told
