"""Two histories compared, command by command. Pure; `differing` shows it.

Fibers are matched by their id, which says where in the code's structure they stand; within one, commands are aligned
by what they are (kind, target, arguments), because their numbers shift as soon as one side yields one more. How often
a call was attempted, how long it took and what its workers went through are no differences: they do not move a
workflow. Nor are run ids that a run chose itself: those of its children, and of the requests that it replies to.

What is first: an answer that differs is the cause of the commands that differ behind it. So of what shows at the same
moment answers come first, and the moment of a difference is the earlier one of both sides, each counted from the start
of its run: it cannot be before that of its cause.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import timedelta
from enum import Enum

import attrs
import msgspec

from interp.codec import canonical
from interp.errors import CodecError
from interp.events import CancelRequested, Completed, ContinuedAs, Failed, Outcome, Record, WasCancelled
from interp.explore.aligning import aligned
from interp.outline.nodes import Node
from interp.outline.tree import Tree
from interp.outline.words import LONG_BYTES

__all__ = ["CommandDifference", "Differs", "FiberDifference", "Side", "compared", "same_outcome", "same_payload"]

# A duration differs much when one is so many times the other, and so much longer.
_TIMES_LONGER = 2
_MUCH_LONGER = timedelta(seconds=1)


class Differs(Enum):
    """How a command differs."""

    ANSWER = "answer"  # the same command came to something else
    ARGUMENTS = "arguments"  # the same activity, called with something else
    ONLY_A = "only in A"
    ONLY_B = "only in B"
    TIME = "time"  # the same in everything but how long it took
    OUTSIDE = "outside"  # no command, but what came to the run: a cancellation, a signal that nobody took


@attrs.frozen
class CommandDifference:
    """One difference.

    Attributes:
        kind: How they differ.
        a: The command in run A; None where it has none.
        b: The command in run B.
        after: When it first shows, counted from the start of the run.
        equal_before: How many commands of the fiber are the same between the difference before and this one.
        told: What came from outside, in words; empty for commands.
        instead: What the other run yields at that place of the fiber, where one of them only has the command.
    """

    kind: Differs
    a: Node | None
    b: Node | None
    after: timedelta
    equal_before: int = 0
    told: str = ""
    instead: Node | None = None

    @property
    def id(self) -> str:
        """The command id: in run A, where it is there."""
        node = self.a or self.b
        return "" if node is None else node.id

    @property
    def where(self) -> str:
        """`file:line` of its yield."""
        node = self.a or self.b
        return "" if node is None else node.record.where


@attrs.frozen
class FiberDifference:
    """What differs within one fiber.

    Attributes:
        id: The fiber; empty for the root. Fibers of one single command each are told together, under the id of the
            command that started them (a gather or race of bare commands).
        entries: The differences, in order.
        equal_after: How many commands are the same behind the last one.
        after: When they part, counted from the start of the run.
        is_group: Whether these are several fibers of one command.
    """

    id: str
    entries: tuple[CommandDifference, ...]
    equal_after: int
    after: timedelta
    is_group: bool = False


@attrs.frozen
class Side:
    """One of two runs.

    Attributes:
        run_id: The run.
        tree: Its history.
    """

    run_id: str
    tree: Tree

    def since(self, node: Node, *, answered: bool) -> timedelta | None:
        """Return how long after the start a command was yielded, or got its answer; None when it still waits."""
        at = node.ended if answered else node.at
        return None if at is None or self.tree.at is None else at - self.tree.at


def compared(a: Side, b: Side, *, times: bool = False) -> tuple[list[FiberDifference], int]:
    """Compare two histories.

    Args:
        a: One run.
        b: The other one.
        times: Whether durations that differ much are differences, too.

    Returns:
        The fibers that differ, sorted by the time at which they part; and how many commands are the same.
    """
    found: list[FiberDifference] = []
    same = 0
    comparison = _Comparison(a, b, times)
    for fiber, is_group, nodes in _fibers(a.tree, b.tree):
        entries, equal_after = comparison.fiber(*nodes)
        same += sum(entry.equal_before for entry in entries) + equal_after
        if entries:
            after = min(entry.after for entry in entries)
            found.append(FiberDifference(fiber, tuple(entries), equal_after, after, is_group))
    outside = tuple(_outside(a, b))
    if outside:
        found.append(FiberDifference("", outside, 0, min(entry.after for entry in outside)))
    return sorted(found, key=_first_shown), same


def _first_shown(fiber: FiberDifference) -> tuple[timedelta, int]:
    """Sort by time; of what shows at the same moment what came from outside first, then answers: they are causes."""
    kinds = {entry.kind for entry in fiber.entries if entry.after == fiber.after}
    return fiber.after, 0 if Differs.OUTSIDE in kinds else 1 if Differs.ANSWER in kinds else 2


def _fibers(a: Tree, b: Tree) -> Iterator[tuple[str, bool, tuple[Sequence[Node], Sequence[Node]]]]:
    """Give the commands of both runs fiber by fiber; of fibers that have but one, group by group."""
    groups: dict[str, tuple[list[Node], list[Node]]] = {}
    for fiber in {**a.fibers, **b.fibers}:
        ours, theirs = a.fibers.get(fiber, []), b.fibers.get(fiber, [])
        if fiber and max(len(ours), len(theirs)) <= 1:
            together = groups.setdefault(fiber.rpartition(".")[0], ([], []))
            together[0].extend(ours)
            together[1].extend(theirs)
        else:
            yield fiber, False, (ours, theirs)
    for group, together in groups.items():
        yield group, True, together


@attrs.frozen
class _Comparison:
    """Compares the commands of one fiber after the other."""

    a: Side
    b: Side
    times: bool

    def fiber(self, ours: Sequence[Node], theirs: Sequence[Node]) -> tuple[list[CommandDifference], int]:
        """Return what differs, and how many commands are the same behind the last difference."""
        entries: list[CommandDifference] = []
        equal = passed_a = passed_b = 0
        keys = (
            [_key(node.record, self.a.run_id) for node in ours],
            [_key(node.record, self.b.run_id) for node in theirs],
        )
        for one, other in _paired(aligned(*keys), ours, theirs):
            kind = self._kind(one, other)
            if kind is None:
                equal += 1
            else:
                instead = _next(theirs, passed_b) if other is None else _next(ours, passed_a) if one is None else None
                entries.append(CommandDifference(kind, one, other, self._after(kind, one, other), equal, "", instead))
                equal = 0
            passed_a += one is not None
            passed_b += other is not None
        return entries, equal

    def _kind(self, a: Node | None, b: Node | None) -> Differs | None:
        if a is None or b is None:
            return Differs.ONLY_A if b is None else Differs.ONLY_B
        if _key(a.record, self.a.run_id) != _key(b.record, self.b.run_id):
            return Differs.ARGUMENTS
        if not _same_answer(a, b):
            return Differs.ANSWER
        return Differs.TIME if self.times and _took_much_longer(a, b) else None

    def _after(self, kind: Differs, a: Node | None, b: Node | None) -> timedelta:
        answered = kind in (Differs.ANSWER, Differs.TIME)
        sides = [side.since(node, answered=answered) for side, node in ((self.a, a), (self.b, b)) if node is not None]
        return min((since for since in sides if since is not None), default=timedelta(0))


def _next(nodes: Sequence[Node], at: int) -> Node | None:
    return nodes[at] if at < len(nodes) else None


def _paired(
    matches: Iterable[tuple[int | None, int | None]], ours: Sequence[Node], theirs: Sequence[Node]
) -> Iterator[tuple[Node | None, Node | None]]:
    """Put commands that only one side has beside those of the other side that call the same, in order."""
    gone: list[Node] = []
    new: list[Node] = []
    for one, other in matches:
        if one is not None and other is not None:
            yield from _beside(gone, new)
            gone, new = [], []
            yield ours[one], theirs[other]
        elif one is not None:
            gone.append(ours[one])
        elif other is not None:
            new.append(theirs[other])
    yield from _beside(gone, new)


def _beside(gone: Sequence[Node], new: Sequence[Node]) -> Iterator[tuple[Node | None, Node | None]]:
    matches = aligned(*([(node.record.kind, node.record.target) for node in nodes] for nodes in (gone, new)))
    for one, other in matches:
        yield None if one is None else gone[one], None if other is None else new[other]


def _key(record: Record, run_id: str) -> Hashable:
    """Return what a command is, whichever run yields it."""
    payload = record.payload
    if record.kind in ("child", "reply"):
        try:
            parts = [bytes(part) for part in msgspec.json.decode(payload, type=list[msgspec.Raw])]
        except (msgspec.MsgspecError, RecursionError):  # nothing that this version writes
            return record.kind, record.target, payload
        if record.kind == "reply":  # what comes first is the id of the request
            return record.kind, record.target, tuple(parts[1:])
        own = msgspec.json.encode(run_id)[:-1]
        return record.kind, record.target, tuple(b"..." + part.removeprefix(own) for part in parts)
    return record.kind, record.target, payload


def _same_answer(a: Node, b: Node) -> bool:
    if a.state is not b.state:
        return False
    if a.failure is not None and b.failure is not None:
        return (a.failure.type_name, a.failure.message) == (b.failure.type_name, b.failure.message)
    return same_payload(a.payload, b.payload)


def same_payload(a: bytes | None, b: bytes | None) -> bool:
    """Tell whether two recorded values are the same; the order of keys is of no account."""
    if a == b:
        return True
    if a is None or b is None or max(len(a), len(b)) > LONG_BYTES:
        return False
    try:
        return canonical(a) == canonical(b)
    except (CodecError, msgspec.MsgspecError, RecursionError):
        return False


def same_outcome(a: Outcome | None, b: Outcome | None) -> bool:
    """Tell whether two runs ended the same way, or neither has."""
    match a, b:
        case Completed(), Completed():
            return same_payload(a.payload, b.payload)
        case Failed(), Failed():
            return (a.failure.type_name, a.failure.message) == (b.failure.type_name, b.failure.message)
        case WasCancelled(), WasCancelled():
            return a.reason == b.reason
        case ContinuedAs(), ContinuedAs():
            return same_payload(a.started.args, b.started.args)
        case _:
            return a is b is None


def _took_much_longer(a: Node, b: Node) -> bool:
    if a.ended is None or b.ended is None:
        return False
    short, long = sorted((a.ended - a.at, b.ended - b.at))
    return long >= short * _TIMES_LONGER and long - short >= _MUCH_LONGER


def _outside(a: Side, b: Side) -> Iterator[CommandDifference]:
    """Tell what came to one of the runs only, and is no command's answer."""
    for kind, side, other in ((Differs.ONLY_A, a, b), (Differs.ONLY_B, b, a)):
        if side.tree.was_cancelled and not other.tree.was_cancelled:
            yield _cancelled(kind, side)
        theirs = [(letter.name, letter.payload) for letter in other.tree.mailbox]
        for letter in side.tree.mailbox:
            if (letter.name, letter.payload) in theirs:
                theirs.remove((letter.name, letter.payload))
                continue
            what = "request" if letter.request_id else "signal"
            told = f"{kind.value}: {what} {letter.name!r} came, and nobody took it"
            yield CommandDifference(Differs.OUTSIDE, None, None, _length(side.tree), told=told)


def _length(tree: Tree) -> timedelta:
    """Return how long a run has lasted: what nobody took has changed nothing until then."""
    return timedelta(0) if tree.at is None or tree.last_at is None else tree.last_at - tree.at


def _cancelled(kind: Differs, side: Side) -> CommandDifference:
    asked = next(each for each in side.tree.happenings if isinstance(each.event, CancelRequested))
    assert isinstance(asked.event, CancelRequested)
    reason = f": {asked.event.reason}" if asked.event.reason else ""
    after = timedelta(0) if side.tree.at is None else asked.at - side.tree.at
    return CommandDifference(
        Differs.OUTSIDE, None, None, after, told=f"{kind.value}: a cancellation was asked for{reason}"
    )
