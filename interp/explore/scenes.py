"""What a run looks like where it stands, as text: taken while its generators are alive, kept when they have gone on.

Values are shown and not kept: the workflow may change a list after the scene was taken.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import CodeType
from typing import Any

import attrs

from interp.codec import ANY
from interp.errors import CodecError
from interp.events import Completed, ContinuedAs, Failed, Outcome, WasCancelled
from interp.explore.values import shown
from interp.fibers import Fiber, Group, Issued, State
from interp.frames import StackFrame, label, raised_at, stack, where
from interp.interpreter import Interpreter
from interp.outline.answers import wait_line
from interp.outline.nodes import Node, Try
from interp.outline.tree import Tree
from interp.outline.words import count, elide, failure_line, one_line, recorded, rendered

__all__ = ["FRAMES", "FiberAt", "FrameAt", "Memo", "Pending", "Scene", "scene_by_records", "scene_of"]

# Longest text of one variable, in characters.
_VALUE = 200

# How many variables of one frame are shown; a generated function may have thousands.
_VARIABLES = 60

# Recorded arguments with more bytes are not read as a whole.
_LARGE = 20_000

# How many frames of one stack are shown, the innermost ones: recursion may be deep.
FRAMES = 12

_ATOMS = (str, bytes, int, float, bool, type(None), complex)


@attrs.frozen
class FrameAt:
    """One generator of a fiber, as it stands.

    Attributes:
        file: Full name of the source file.
        line: Line of the `yield` that it stands at, from 1.
        function: Qualified name of the generator function.
        local: Its variables by name, as text.
        span: First line, last line, and the columns (in UTF-8 bytes, from 0) of the expression that it stands at;
            None where Python does not know.
        hidden: How many variables are left out, beyond the first sixty.
        first: Line at which the function begins.
    """

    file: str
    line: int
    function: str
    local: Mapping[str, str]
    span: tuple[int, int, int, int] | None = None
    hidden: int = 0
    first: int = 0

    @property
    def name(self) -> str:
        """Name of the function alone."""
        return self.function.rpartition(".")[2]

    @property
    def place(self) -> str:
        """`file:line`, of the file only its name."""
        return f"{self.file.replace(chr(92), '/').rpartition('/')[2]}:{self.line}"


@attrs.frozen
class FiberAt:
    """A fiber, as it stands.

    Attributes:
        id: Its id; empty for the root.
        label: What it is called: its name, or its function and first argument.
        frames: Its generators, outermost first; empty when it is a bare command.
        waits: What it waits for, in words.
        until: Until when, in words; may be empty.
        branch: What it was started by and waits in, in words, such as `gather`; empty for the root.
        raised: Whether the frames are those of an exception that ended the run.
    """

    id: str
    label: str
    frames: tuple[FrameAt, ...]
    waits: str
    until: str = ""
    branch: str = ""
    raised: bool = False

    @property
    def function(self) -> str:
        """Name of its outermost function; empty for a bare command."""
        return self.frames[0].name if self.frames else ""

    @property
    def local(self) -> Mapping[str, str]:
        """The variables of the function that it stands in, as text."""
        return self.frames[-1].local if self.frames else dict[str, str]()


@attrs.frozen
class Pending:
    """A command that waits for its answer.

    Attributes:
        id: The command.
        what: The command, in words.
        until: When or how it will be answered, in words; may be empty.
        since: When it was yielded.
        due: When its timer fires, or its next attempt may begin; None when neither is known.
        where: `file:line` of its yield.
    """

    id: str
    what: str
    until: str
    since: datetime | None
    due: datetime | None
    where: str


@attrs.frozen
class Scene:
    """A run at one record.

    Attributes:
        fibers: Those that have not ended, the root first; where the run has failed, the root as it raised.
        pending: The commands that wait, oldest first.
        state: What the workflow annotated, as text.
        mailbox: Signals that nobody has taken yet: name and payload, as text.
        outcome: How the run ended, in words; empty while it goes on.
    """

    fibers: tuple[FiberAt, ...] = ()
    pending: tuple[Pending, ...] = ()
    state: Mapping[str, str] = attrs.field(factory=dict[str, str])
    mailbox: tuple[tuple[str, str], ...] = ()
    outcome: str = ""


def scene_of(interpreter: Interpreter, now: datetime, memo: Memo) -> Scene:
    """Take the scene of a run where it stands.

    Args:
        interpreter: The run.
        now: When its last record was written.
        memo: What was shown before of the same run, to save work.
    """
    alive = sorted(interpreter.fibers.values(), key=_place)
    parts: dict[int, list[Fiber]] = {}
    for fiber in alive:
        if fiber.group is not None:
            parts.setdefault(id(fiber.group), []).append(fiber)
    fibers = [_fiber_at(fiber, parts, now, memo) for fiber in alive if not fiber.id or _has_code(fiber)]
    if (error := interpreter.error) is not None:
        fibers = [_raised(interpreter, error)]
    memo.forget_others({fiber.id for fiber in alive}, interpreter.pending)
    return Scene(
        tuple(fibers),
        tuple(memo.pending(issued, now) for issued in interpreter.pending.values()),
        {one_line(str(name)): shown(value, _VALUE) for name, value in interpreter.state.items()},
        tuple((name, recorded(payload)) for name, waiting in interpreter.mailbox.items() for payload in waiting),
        _ended(interpreter.outcome),
    )


def scene_by_records(tree: Tree) -> Scene:
    """Take the scene that the records alone give, without the workflow's code: no stacks, no variables."""
    now = tree.last_at
    if now is None:
        return Scene()
    return Scene(
        (),
        tuple(_pending(node, now) for node in tree.waiting.values()),
        _annotated(tree),
        tuple((letter.name, recorded(letter.payload)) for letter in tree.mailbox),
        _ended(tree.outcome),
    )


def _annotated(tree: Tree) -> dict[str, str]:
    state: dict[str, Any] = {}
    payloads = [node.record.payload for node in tree.nodes.values() if node.record.kind == "annotate"]
    if tree.started is not None and tree.started.state:
        payloads.insert(0, tree.started.state)
    for payload in payloads:
        try:
            state.update(ANY.decode(payload))
        except (CodecError, TypeError, ValueError):  # sealed, or nothing that this version writes
            state["…"] = rendered(payload)
    return {one_line(str(name)): shown(value, _VALUE) for name, value in state.items()}


def _place(fiber: Fiber) -> tuple[int, ...]:
    """Sort by coordinates, as numbers: 2.10 comes after 2.9."""
    return tuple(int(part) for part in fiber.id.split(".")) if fiber.id else ()


class Memo:
    """What the variables of each fiber looked like: one that has not moved and holds plain values looks the same."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, int], tuple[tuple[Any, ...], FrameAt]] = {}
        self._pending: dict[str, tuple[int, Pending]] = {}
        self._labels: dict[str, str] = {}

    def label(self, fiber: Fiber) -> str:
        """Name a fiber; its name stays, whatever becomes of its first argument."""
        known = self._labels.get(fiber.id)
        if known is None:
            group = fiber.group
            slot = group.names[fiber.slot] if group is not None and fiber.slot < len(group.names) else ""
            known = self._labels[fiber.id] = one_line(fiber.name or slot or label(fiber.generator))
        return known

    def pending(self, issued: Issued, now: datetime) -> Pending:
        """Show a command that waits, or return what it looked like before."""
        before = self._pending.get(issued.id)
        if before is not None:
            attempt, known = before
            if attempt == issued.attempt and known.due is None:  # nothing about it tells the time
                return known
        known = _pending(_node(issued), now)
        self._pending[issued.id] = issued.attempt, known
        return known

    def frame(self, fiber_id: str, depth: int, frame: StackFrame) -> FrameAt:
        """Show a frame, or return what it looked like before."""
        values = tuple(frame.local.values())
        before = self._seen.get((fiber_id, depth))
        if before is not None:
            known, scene = before
            if (
                scene.line == frame.line
                and scene.function == frame.function
                and len(known) == len(values)
                and all(old is new and type(new) in _ATOMS for old, new in zip(known, values, strict=True))
                and [*scene.local] == [*frame.local][:_VARIABLES]
                and scene.span == _span(frame)
            ):
                return scene
        scene = frame_at(frame)
        self._seen[fiber_id, depth] = values, scene
        return scene

    def forget_others(self, alive: Collection[str], pending: Collection[str]) -> None:
        """Forget fibers that have ended, and commands that were answered."""
        for key in [key for key in self._seen if key[0] not in alive]:
            del self._seen[key]
        for command_id in [command_id for command_id in self._pending if command_id not in pending]:
            del self._pending[command_id]


def frame_at(frame: StackFrame) -> FrameAt:
    """Show a frame; never raises."""
    names = list(frame.local)
    local = {name: shown(frame.local[name], _VALUE) for name in names[:_VARIABLES]}
    first = 0 if frame.code is None else frame.code.co_firstlineno
    hidden = max(0, len(names) - _VARIABLES)
    return FrameAt(frame.file, frame.line, frame.function, local, _span(frame), hidden, first)


_spans: dict[tuple[CodeType, int], tuple[int, int, int, int] | None] = {}


def _span(frame: StackFrame) -> tuple[int, int, int, int] | None:
    """Return where the expression that a frame stands at begins and ends (PEP 657)."""
    code = frame.code
    if code is None or frame.instruction < 0:
        return None
    key = (code, frame.instruction)
    if key not in _spans:
        if len(_spans) > 10_000:  # code objects compare by value and are kept alive here
            _spans.clear()
        _spans[key] = _position(code, frame.instruction)
    return _spans[key]


def _position(code: CodeType, instruction: int) -> tuple[int, int, int, int] | None:
    for number, (line, last, column, end) in enumerate(code.co_positions()):
        if number == instruction // 2:
            if line is None or last is None or column is None or end is None:
                return None
            return line, last, column, end
    return None


def _fiber_at(fiber: Fiber, parts: Mapping[int, Sequence[Fiber]], now: datetime, memo: Memo) -> FiberAt:
    frames = stack(fiber.generator)[-FRAMES:]
    group = fiber.group
    branch = group.rule.word if group is not None else "spawn" if fiber.parent is not None else ""
    return FiberAt(
        fiber.id,
        memo.label(fiber),
        tuple(memo.frame(fiber.id, depth, frame) for depth, frame in enumerate(frames)),
        *_waits(fiber, parts, now, memo),
        branch,
    )


def _waits(fiber: Fiber, parts: Mapping[int, Sequence[Fiber]], now: datetime, memo: Memo) -> tuple[str, str]:
    """Say what a fiber waits for, and until when."""
    waits = fiber.waits
    if isinstance(waits, Issued):
        pending = memo.pending(waits, now)
        return pending.what, pending.until
    if isinstance(waits, Group):
        return _group(waits, parts.get(id(waits), ()), now, memo), ""
    if isinstance(waits, Fiber):
        return f"task {waits.id}, {one_line(waits.name or label(waits.generator))}", ""
    if fiber.state is State.CLOSING:
        return f"{count(len(fiber.spawned), 'fiber')} that it spawned; its own code has ended", ""
    return "nothing", ""


# How many bare commands of a group are named in one line.
_NAMED = 3


def _group(group: Group, members: Sequence[Fiber], now: datetime, memo: Memo) -> str:
    total = len(group.members) + len(group.waiting)
    bare = [fiber for fiber in members if isinstance(fiber.waits, Issued) and not _has_code(fiber)]
    told = [_waits(fiber, {}, now, memo) for fiber in bare[:_NAMED]]
    named = [f"{elide(what, 60)} ({until})" if until else elide(what, 60) for what, until in told]
    if len(bare) > _NAMED:
        named.append(f"{len(bare) - _NAMED:,} more")
    listed = f": {', '.join(named)}" if named else ""
    if len(named) == total or total == 1:
        return f"its {group.rule.word}{listed}"
    ended = total - group.active - len(group.waiting)
    return f"its {group.rule.word} of {count(total, 'branch', 'branches')}, {ended:,} ended{listed}"


def _has_code(fiber: Fiber) -> bool:
    """Tell whether a fiber is code of the user's, and not a bare command."""
    return bool(where(fiber.generator))


def _raised(interpreter: Interpreter, error: BaseException) -> FiberAt:
    frames = tuple(frame_at(frame) for frame in raised_at(error)[-FRAMES:])
    return FiberAt("", interpreter.definition.name, frames, "", raised=True)


def _node(issued: Issued) -> Node:
    """Return a command as the outline knows it, which has the words."""
    at = issued.at
    assert at is not None
    tries = [Try(issued.attempt - 1, None, at, None, issued.retry_at)] if issued.retry_at is not None else []
    return Node(issued.record, at, attempt=issued.attempt, tries=tries)


def _pending(node: Node, now: datetime) -> Pending:
    record = node.record
    if len(record.payload) > _LARGE:
        what, until = f"{record.kind} {record.target}({recorded(record.payload, 60)})", ""
    else:
        what, until = wait_line(node, now)
    return Pending(node.id, elide(one_line(what), _VALUE), until, node.at, node.due, node.record.where)


def _ended(outcome: Outcome | None) -> str:
    match outcome:
        case None:
            return ""
        case Completed():
            return f"completed → {recorded(outcome.payload, 120)}"
        case Failed():
            return f"failed: {elide(failure_line(outcome.failure), 300)}"
        case WasCancelled():
            return f"cancelled{f': {one_line(outcome.reason)}' if outcome.reason else ''}"
        case ContinuedAs():
            return f"continues as a fresh run: {recorded(outcome.started.args, 120)}"
