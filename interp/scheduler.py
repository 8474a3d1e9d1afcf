"""Structured concurrency for generators: who runs next, who waits for whom, who is cancelled with whom.

Pure: fibers run one at a time, first in first out, on the caller's thread. What a yielded command means is not known
here; `perform` (the interpreter) decides, and answers with a value or with BLOCKED.

The rules:
- A fiber ends only when the fibers that it spawned have ended.
- A group (gather, race, timeout, shield) ends only when all its members have ended. Its rule says which end decides
  it; that cancels the rest, and what has not been started never is.
- With a limit, the next part of a gather is started when one has ended, in slot order; ids are those of the slots.
- A spawned fiber that fails while nobody joins it fails its parent: siblings and parent are cancelled, and the parent
  ends with that failure whatever it does then.
- Cancelling throws `Cancelled` once, at the yield where the fiber waits, into the innermost waiting fibers first. A
  fiber that already has a result to take gets that first, and `Cancelled` at its next yield: no result is lost.
- A fiber that waits for a shield gets the result of that first, too: cancelling stops there, and the part goes on.
- An exception raised in cleanup replaces the cancellation, as it does in Python's `finally`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum
from types import GeneratorType
from typing import Any, cast

from interp.commands import Command
from interp.errors import Cancelled, ForgottenYield, ReplayError, Stalled, TaskCancelled, UsageError, WorkflowError
from interp.fibers import Code, Fiber, Group, Issued, State
from interp.frames import brief, defined, label, message, note, strip, where
from interp.rules import CANCELLED, Ended, Rule, Tally

__all__ = ["BLOCKED", "Scheduler", "drop"]


class _Blocked(Enum):
    BLOCKED = "blocked"


BLOCKED = _Blocked.BLOCKED
"""The answer of `perform` for a command whose result comes later."""

# A workflow that is answered so often without ever waiting never will: `while (yield now()) < deadline: pass`.
_MOST_IN_A_ROW = 100_000

# Fibers that start fibers for ever, or join what has ended for ever. More than a gather of 100,000 parts takes.
_MOST_TURNS = 250_000

_IN_A_ROW, _TURNS = range(_MOST_IN_A_ROW), range(_MOST_TURNS)  # made once: each step would make both

# Characters of a fiber's id, which is a part of all ids below it: 250 fibers, one inside the other, or more.
_LONGEST_ID = 1_000

# On Python 3.11 an enum's member is looked up through its metaclass: 0.1 us, where a global name takes 0.02.
_NEW, _READY, _RUNNING, _BLOCKED, _ENDED = State.NEW, State.READY, State.RUNNING, State.BLOCKED, State.ENDED

# Deep nesting of `finally` blocks that yield needs one throw each; more than this is `except BaseException` in a loop.
_MOST_EXITS = 1_000


class Scheduler:
    """The fibers of one run."""

    __slots__ = ("_perform", "_ready", "_withdraw", "alive", "reason", "tasks")

    def __init__(self, perform: Callable[[Fiber, Any], Any], withdraw: Callable[[Issued], None]) -> None:
        """Make a scheduler without fibers.

        Args:
            perform: Called with what a fiber yielded; returns the answer or BLOCKED. The library's errors raised by it
                are thrown into the fiber at that yield.
            withdraw: Called with a command whose fiber is cancelled.
        """
        self._perform = perform
        self._withdraw = withdraw
        self._ready: deque[tuple[Fiber, Any, BaseException | None]] = deque()
        self.reason = ""
        self.alive: dict[str, Fiber] = {}
        self.tasks: dict[str, Fiber] = {}

    # What the interpreter asks for.

    def start(self, fiber: Fiber) -> None:
        """Add a fiber; it runs when its turn comes."""
        self.alive[fiber.id] = fiber
        self._ready.append((fiber, None, None))

    def hold(self, fiber: Fiber) -> None:
        """Add a fiber whose code begins when what it is blocked on is answered."""
        self.alive[fiber.id] = fiber

    def resume(self, fiber: Fiber, value: Any) -> None:
        """Let a blocked fiber go on with a value, when its turn comes."""
        self._schedule(fiber, value, None)

    def throw(self, fiber: Fiber, error: BaseException) -> None:
        """Let a blocked fiber go on with an exception, when its turn comes."""
        self._schedule(fiber, None, error)

    def spawn(self, parent: Fiber, generator: Code, at: str, name: str) -> Fiber:
        """Start a fiber that the parent owns."""
        _check_depth(parent)
        fiber = Fiber(f"{parent.next_id()}.0", generator, parent, name=name, where=at)
        parent.spawned[fiber.id] = fiber
        self.tasks[fiber.id] = fiber
        self.start(fiber)
        return fiber

    def group(
        self,
        owner: Fiber,
        generators: Sequence[Code],
        at: str,
        rule: Rule,
        *,
        limit: int | None = None,
        names: tuple[str, ...] = (),
    ) -> None:
        """Start the parts of a group, at most `limit` for now, and block the owner on it."""
        _check_depth(owner)
        tally = Tally(owner.next_id(), [None] * len(generators))
        group = Group(owner, rule, tally, names, at, deque(generators))
        for _ in range(min(limit or len(generators), len(generators))):
            self._start_next(group)
        self.block(owner, group)

    def join(self, fiber: Fiber, target: Fiber) -> Any:
        """Answer with the target's value, or block the fiber until it ends."""
        if target.state is not _ENDED:
            target.joiners.append(fiber)
            self.block(fiber, target)
        else:
            self.block(fiber, None)
            self._deliver(fiber, target)
        return BLOCKED

    def block(self, fiber: Fiber, on: Issued | Group | Fiber | None) -> None:
        """Note what a fiber waits for."""
        fiber.state = _BLOCKED
        fiber.waits = on

    def cancel(self, fiber: Fiber) -> None:
        """Ask a fiber, and all that it spawned or waits for, to end. Asking again changes nothing."""
        # Not by recursion: a chain of fibers may be longer than Python's stack.
        waiting = [(fiber, False)]
        while waiting:
            fiber, is_entered = waiting.pop()
            if is_entered:
                self._cancel_one(fiber)
            elif not fiber.cancelled and fiber.state is not _ENDED:
                fiber.cancelled = True
                waiting.append((fiber, True))
                waiting.extend((below, False) for below in reversed(_below(fiber)))

    def run(self) -> bool:
        """Run fibers until all are blocked or ended; gives up on those that start and answer each other for ever.

        Returns:
            Whether it gave up.
        """
        ready = self._ready
        for _ in _TURNS:
            if not ready:
                return False
            fiber, value, error = ready.popleft()
            self._advance(fiber, value, error)
        return bool(ready)

    def close(self) -> None:
        """Drop all fibers, the innermost first; what their cleanup yields is ignored."""
        self._ready.clear()
        for fiber in reversed(list(self.alive.values())):
            fiber.state = _ENDED
            fiber.waits = None
            drop(fiber.generator)
        self.alive.clear()
        # What the run holds, perhaps many megabytes, is let go here and now: the interpreter and its scheduler hold
        # each other, and runs make so few objects that the garbage collector may not come for minutes.
        self._perform, self._withdraw = _perform_nothing, _withdraw_nothing

    # Running one fiber.

    def _schedule(self, fiber: Fiber, value: Any, error: BaseException | None) -> None:
        assert fiber.state is _BLOCKED, (fiber.id, fiber.state)
        fiber.state = _READY
        fiber.waits = None
        self._ready.append((fiber, value, error))

    def _advance(self, fiber: Fiber, value: Any, error: BaseException | None) -> None:
        """Run a fiber until it blocks or its code ends."""
        generator = fiber.generator
        if fiber.cancelled and fiber.state is _NEW:
            generator.close()  # it has not begun, so that nothing runs
            self._finish(fiber, Ended(error=CANCELLED))
            return
        fiber.state = _RUNNING
        for _ in _IN_A_ROW:
            try:
                yielded = generator.send(value) if error is None else generator.throw(error)
            except StopIteration as stop:
                self._returned(fiber, stop.value)
                return
            except KeyboardInterrupt:  # the user's own, while a replay runs on the main thread
                raise
            except BaseException as raised:  # noqa: BLE001  whatever a workflow raises is its outcome
                # Not by assignment, which a frozen dataclass refuses.
                self._raised(fiber, raised.with_traceback(strip(raised.__traceback__)))
                return
            value, error = None, None
            if fiber.interrupt:
                fiber.interrupt = False
                error = Cancelled(self.reason)
                continue
            try:
                value = self._perform(fiber, yielded)
            except ReplayError:
                raise
            except (WorkflowError, TypeError, ValueError) as refused:
                refused.__traceback__ = None
                error = refused
            if value is BLOCKED:
                return
        self._runaway(fiber)

    def _runaway(self, fiber: Fiber) -> None:
        place = where(fiber.generator) or fiber.where
        drop(fiber.generator)
        told = f"{place}: fiber {fiber.id or 'root'} was answered {_MOST_IN_A_ROW:,} times in a row without waiting"
        self._raised(fiber, Stalled((f"{told}; now() does not move until something happens: use sleep()",)))

    def _returned(self, fiber: Fiber, value: Any) -> None:
        if isinstance(value, Command):
            self._raised(fiber, _forgotten(fiber, value.sketch()))
        elif isinstance(value, GeneratorType):
            told = label(value) or "a generator"  # pyright: ignore[reportUnknownArgumentType]  of what, nobody knows
            self._raised(fiber, _forgotten(fiber, told))
        else:
            self._code_ended(fiber, Ended(value))

    def _raised(self, fiber: Fiber, error: BaseException) -> None:
        for spawned in list(fiber.spawned.values()):
            self.cancel(spawned)
        if isinstance(error, Cancelled):
            ended = Ended(error=CANCELLED)
        elif isinstance(error, Exception):
            ended = Ended(error=error)
        else:
            wrapped = RuntimeError(f"the workflow raised {type(error).__name__}: {message(error)}")
            ended = Ended(error=wrapped.with_traceback(error.__traceback__))
        self._code_ended(fiber, ended)

    def _code_ended(self, fiber: Fiber, ended: Ended) -> None:
        if fiber.spawned:
            fiber.ended = ended
            fiber.state = State.CLOSING
        else:
            self._finish(fiber, ended)

    def _start_next(self, group: Group) -> None:
        """Start the next part of a group, if there is one."""
        if group.waiting:
            slot = len(group.members)
            name = group.names[slot] if slot < len(group.names) else ""
            generator = group.waiting.popleft()
            fiber = Fiber(f"{group.tally.id}.{slot}", generator, group.owner, group, slot, name, group.where)
            group.members.append(fiber)
            group.active += 1
            self.start(fiber)

    # Ends, and who hears of them.

    def _finish(self, fiber: Fiber, ended: Ended) -> None:
        """End a fiber, and with it those above that waited for it alone."""
        # Not by recursion, as in `cancel`.
        while True:
            if fiber.failure is not None and not isinstance(ended.error, Exception):
                ended = Ended(error=fiber.failure)
            fiber.state = _ENDED
            fiber.ended = ended
            del self.alive[fiber.id]
            if fiber.group is not None:
                self._member_ended(fiber.group, fiber, ended)
                return
            parent = fiber.parent
            if parent is None:
                return
            self._spawned_ended(parent, fiber, ended)
            if parent.state is not State.CLOSING or parent.spawned:
                return
            assert parent.ended is not None
            fiber, ended = parent, parent.ended

    def _spawned_ended(self, parent: Fiber, fiber: Fiber, ended: Ended) -> None:
        del parent.spawned[fiber.id]
        joiners, fiber.joiners = fiber.joiners, []
        for joiner in joiners:
            self._deliver(joiner, fiber)
        if isinstance(ended.error, Exception) and not joiners:
            if parent.failure is None:
                parent.failure = ended.error
            self.cancel(parent)

    def _deliver(self, joiner: Fiber, fiber: Fiber) -> None:
        assert fiber.ended is not None
        if fiber.ended.error is None:
            self.resume(joiner, fiber.ended.value)
        else:
            self.throw(joiner, _failure(fiber))

    def _member_ended(self, group: Group, fiber: Fiber, ended: Ended) -> None:
        group.active -= 1
        told = group.tally.add(fiber.slot, ended)
        if group.decided is None and not group.cancelled:
            group.tally.count(told)
            group.decided = group.rule.decide(group.tally, fiber.slot, told)
            if group.decided is None:
                self._start_next(group)
            else:
                group.winner = fiber.slot
                _forgo(group)
                for member in group.members:
                    self.cancel(member)
        elif isinstance(ended.error, Exception):
            self._cleanup_failed(group, fiber, ended.error)
        if group.active == 0:
            self._group_ended(group)

    def _cleanup_failed(self, group: Group, fiber: Fiber, error: Exception) -> None:
        """Let a failure of cleanup replace a cancellation or a value; beside another failure it is a note."""
        if group.decided is None or (group.decided.error is None and not group.rule.keeps_errors):
            group.decided = Ended(error=error)
        elif isinstance(group.decided.error, Exception):
            note(group.decided.error, f"branch {fiber.id} failed too, while it was cancelled: {brief(error)}")

    def _group_ended(self, group: Group) -> None:
        decided = group.decided
        if decided is None and group.cancelled:
            self.throw(group.owner, Cancelled(self.reason))
        elif decided is not None and isinstance(decided.error, Exception):
            self.throw(group.owner, decided.error)
        else:
            self.resume(group.owner, group.rule.answer(group.tally, group.winner))

    def _cancel_one(self, fiber: Fiber) -> None:
        waits = fiber.waits
        if fiber.state is State.CLOSING:
            assert fiber.ended is not None
            if fiber.ended.error is None:
                fiber.ended = Ended(error=CANCELLED)
        elif fiber.state is _NEW:
            pass  # never runs: see `_advance`
        elif fiber.state is not _BLOCKED or (isinstance(waits, Issued) and waits.is_shielded):
            fiber.interrupt = True
        elif isinstance(waits, Group):
            if waits.decided is not None or waits.rule.is_shield:
                fiber.interrupt = True
            else:
                waits.cancelled = True
                _forgo(waits)
        else:
            if isinstance(waits, Issued):
                self._withdraw(waits)
            elif isinstance(waits, Fiber):
                waits.joiners.remove(fiber)
            self.throw(fiber, Cancelled(self.reason))


def _check_depth(fiber: Fiber) -> None:
    """Refuse fibers that start each other for ever: each id holds those of all above, and journals would explode."""
    if len(fiber.id) > _LONGEST_ID:
        depth = fiber.id.count(".") // 2 + 1
        raise UsageError(f"fibers are nested {depth} deep: where each starts the next, write a loop, or continue_as")


def _below(fiber: Fiber) -> list[Fiber]:
    """Return the fibers that are cancelled with one, before it."""
    waits = fiber.waits
    is_reached = isinstance(waits, Group) and waits.decided is None and not waits.rule.is_shield
    return [*fiber.spawned.values(), *(waits.members if isinstance(waits, Group) and is_reached else ())]


def _forgo(group: Group) -> None:
    """Never start the parts that have not been started."""
    while group.waiting:
        group.waiting.popleft().close()  # it has not begun, so that nothing runs


def _failure(fiber: Fiber) -> Exception:
    """Return what a fiber that did not end with a value raises where it is waited for."""
    assert fiber.ended is not None
    error = fiber.ended.error
    return error if isinstance(error, Exception) else TaskCancelled(fiber.id)


def _forgotten(fiber: Fiber, what: str) -> ForgottenYield:
    """Blame the function: the line that returned is gone with its frame."""
    return ForgottenYield(what, defined(fiber.generator), f"returned by {fiber.generator.__name__}")


def drop(generator: Code) -> None:
    """End a suspended generator, on this thread and now; whatever it yields on the way is ignored.

    The innermost generator is ended first: `GeneratorExit` thrown into a generator that delegates makes Python `close`
    the inner one, which raises "generator ignored GeneratorExit" where cleanup code yields (PEP 380).
    """
    for _ in range(_MOST_EXITS):
        inner = generator
        while (delegate := _delegate(inner)) is not None:
            inner = delegate
        try:
            _ = inner.throw(GeneratorExit)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  this generator has ended, which is all that is wanted
            if inner is generator:
                return
    _leak(generator)


def _delegate(generator: Code) -> Code | None:
    """Return the generator that one delegates to. One that has ended stays there until its caller runs again."""
    inner = cast("object", generator.gi_yieldfrom)
    return cast("Code", inner) if isinstance(inner, GeneratorType) and inner.gi_frame is not None else None


def _leak(generator: Code) -> None:
    """Keep a generator that cannot be ended past the end of the process.

    Otherwise Python would run its code once more, at a random moment: as garbage, or at exit, where its globals are
    gone, so that `while True: try: ... except BaseException: ...` could spin for ever.
    """
    import ctypes  # noqa: PLC0415  hardly any program comes here, and it takes long to load

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(generator))


def _perform_nothing(fiber: Fiber, yielded: Any) -> Any:
    raise AssertionError("the run is closed")


def _withdraw_nothing(issued: Issued) -> None:
    """Nobody waits for a command of a run that is closed."""
