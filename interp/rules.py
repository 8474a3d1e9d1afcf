"""How the parts of a gather, race, timeout or shield decide it, and what its owner gets when all of them have ended.

Pure arithmetic on ends, called by the scheduler; nothing here runs, cancels or waits for anything.

Every rule answers two questions. `decide`, asked after each end until it answers: is the group decided now, and how?
From then on the parts that still run are cancelled. `answer`, asked once, when no part runs any more and the group did
not fail: which value does the owner get?
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol

import attrs

from interp.errors import GatherFailed, PartTimeout, TaskCancelled

__all__ = ["CANCELLED", "All", "Ended", "First", "Rule", "Shielded", "Tally", "Timed"]


class _Cancelled(Enum):
    CANCELLED = "cancelled"


CANCELLED = _Cancelled.CANCELLED
"""How a fiber ended that let its cancellation pass."""


@attrs.frozen(eq=False)
class Ended:
    """How a fiber ended: with a value, with an error, or cancelled (then the error is CANCELLED)."""

    value: Any = None
    error: Exception | _Cancelled | None = None


@attrs.define(eq=False)
class Tally:
    """How the parts of a group have ended so far.

    Attributes:
        id: The id of the command that made the group.
        ends: By slot; None for a part that has not ended, or was never started. A cancelled part's is a TaskCancelled.
        succeeded: How many gave a value before the group was decided.
        failed: How many did not.
    """

    id: str
    ends: list[Ended | None]
    succeeded: int = 0
    failed: int = 0

    def add(self, slot: int, ended: Ended) -> Ended:
        """Note an end, and return it as those see it who wait for its value."""
        if ended.error is CANCELLED:
            ended = Ended(error=TaskCancelled(f"{self.id}.{slot}"))
        self.ends[slot] = ended
        return ended

    def count(self, ended: Ended) -> None:
        """Count an end that may decide the group."""
        if ended.error is None:
            self.succeeded += 1
        else:
            self.failed += 1

    def failures(self) -> dict[int, Exception]:
        """Return the errors so far, by slot."""
        return {
            slot: ended.error
            for slot, ended in enumerate(self.ends)
            if ended is not None and isinstance(ended.error, Exception)
        }

    def place(self, slot: int) -> Any:
        """Return what stands for a part in the result: its value or its error."""
        ended = self.ends[slot]
        if ended is None:
            return TaskCancelled(f"{self.id}.{slot}")
        return ended.value if ended.error is None else ended.error


class Rule(Protocol):
    """What the scheduler asks.

    Attributes:
        word: What the group is called where a stalled run lists who waits for what.
        is_shield: Whether the cancellation of the owner stops at the group.
        keeps_errors: Whether the result has places for errors, also for those of cleanup.
    """

    @property
    def word(self) -> str: ...  # noqa: D102  see the Attributes
    @property
    def is_shield(self) -> bool: ...  # noqa: D102  see the Attributes
    @property
    def keeps_errors(self) -> bool: ...  # noqa: D102  see the Attributes

    def decide(self, tally: Tally, slot: int, ended: Ended) -> Ended | None:
        """Say how the group is decided by the end of a part, which the tally counts already; None if it is not."""

    def answer(self, tally: Tally, winner: int | None) -> Any:
        """Return the value of the group, when all parts have ended."""


@attrs.frozen
class All:
    """A gather: fails as soon as too few parts can succeed.

    Without policy all are needed, and the first failure is the gather's. With one, failures stand in their places, and
    too many of them are a `GatherFailed`.

    Attributes:
        parts: How many there are.
        needed: How many must succeed.
        stops: Whether the rest is cancelled when so many have.
        keeps_errors: Whether there is a policy.
    """

    parts: int
    needed: int
    stops: bool = False
    keeps_errors: bool = False
    word: str = "gather"
    is_shield: bool = False

    def decide(self, tally: Tally, slot: int, ended: Ended) -> Ended | None:
        """Decide for failure when too many failed, for success when enough succeeded and that is all that is wanted."""
        if tally.failed > self.parts - self.needed:
            return Ended(error=self._failure(tally)) if self.keeps_errors else ended
        return Ended() if self.stops and tally.succeeded >= self.needed else None

    def _failure(self, tally: Tally) -> GatherFailed:
        failures = tally.failures()
        failed = GatherFailed(self.parts, self.needed, tally.succeeded, failures)
        failed.__cause__ = next(iter(failures.values()))
        return failed

    def answer(self, tally: Tally, winner: int | None) -> tuple[Any, ...]:
        """Return values and errors in the order of the parts."""
        return tuple(tally.place(slot) for slot in range(self.parts))


@attrs.frozen
class First:
    """A race: the first end decides, whatever it is."""

    names: tuple[str, ...] | None = None
    word: str = "race"
    is_shield: bool = False
    keeps_errors: bool = False

    def decide(self, tally: Tally, slot: int, ended: Ended) -> Ended | None:
        """Decide at once."""
        return ended

    def answer(self, tally: Tally, winner: int | None) -> tuple[int | str, Any]:
        """Return the winner's name, or slot, and its value."""
        assert winner is not None
        return (self.names[winner] if self.names else winner, tally.place(winner))


@attrs.frozen
class Timed:
    """A timeout: a part in slot 0 against a timer in slot 1."""

    error: PartTimeout
    word: str = "timeout"
    is_shield: bool = False
    keeps_errors: bool = False

    def decide(self, tally: Tally, slot: int, ended: Ended) -> Ended | None:
        """Decide at once, for the timer's error when it was first."""
        return ended if slot == 0 or ended.error is not None else Ended(error=self.error)

    def answer(self, tally: Tally, winner: int | None) -> Any:
        """Return the part's value."""
        return tally.place(0)


@attrs.frozen
class Shielded:
    """A shield: one part, which its owner's cancellation does not reach."""

    word: str = "shield"
    is_shield: bool = True
    keeps_errors: bool = False

    def decide(self, tally: Tally, slot: int, ended: Ended) -> Ended | None:
        """Decide with the end of the one part."""
        return ended

    def answer(self, tally: Tally, winner: int | None) -> Any:
        """Return the part's value."""
        return tally.place(0)
