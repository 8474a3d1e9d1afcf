"""Transacts: the user's function, the record of its result and what follows from it, within one commit of the store.

The interpreter is fed while the transaction is open, since the record holds what the workflow answered. A commit may
fail, and an interpreter cannot be fed backwards: so a run goes `ahead` of itself during the commit, and either catches
up with that, or is brought back from its journal.

The function runs on the worker's thread, where LMDB wants whoever writes, and holds the store's write lock. Nothing can
stop it: a function that hangs holds up every writer of the store until its process is ended, which frees the lock and
takes the transaction back. So it is told about while it lasts (`Engine` looks now and then), and afterwards.
"""

from __future__ import annotations

import inspect
import logging
import time
import traceback
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import attrs

from interp.errors import JournalCorrupt, NotEncodable, ReplayError, StoreError, StoreFailed, UsageError
from interp.events import Rejected, Resolved
from interp.failures import declared_failure, fault
from interp.fibers import Issued
from interp.runtime.capture import Capture
from interp.runtime.live import LiveRun, microseconds
from interp.store import Append, Nest, Store, Transact
from interp.tables import Transaction

__all__ = ["ADVICE", "LONG_S", "Holding", "Performance", "Stage", "broken", "refused"]

_log = logging.getLogger("interp")

# A function that holds the write lock for longer is told about: everybody's steps waited for it.
LONG_S = 0.1

ADVICE = "  Nobody else can write meanwhile. What takes time belongs in an activity before the transact."

# How long the transacts of one commit may take together before the rest is left for the next one.
_ENOUGH_S = 0.1


def broken(error: BaseException) -> str:
    """Say what user code did to the interpreter; its `__repr__` may be what is broken."""
    try:
        told = repr(error)
    except Exception:  # noqa: BLE001  see above
        told = type(error).__name__
    return f"the interpreter failed: {told}"


@attrs.frozen(eq=False)
class Holding:
    """A function that runs inside a transaction.

    Attributes:
        told: Which one it is.
        begun_s: When it began, on the monotonic clock.
    """

    told: str
    begun_s: float

    @property
    def lasted_s(self) -> float:
        """For how long it has held the write lock."""
        return time.monotonic() - self.begun_s


@attrs.define(eq=False)
class Stage:
    """What the performances of one commit have in common.

    Attributes:
        store: Where they take place.
        clock: Tells the time, UTC.
        capture: What the workflows log, until it is taken; None where nothing is kept.
        draining: Whether the worker is about to stop.
        until_s: When the transaction has been open for long enough, on the monotonic clock; None before the first one.
        holding: What runs inside the transaction now; read by other threads, too.
    """

    store: Store
    clock: Callable[[], datetime]
    capture: Capture | None
    draining: bool = attrs.field(kw_only=True)
    until_s: float | None = None
    holding: Holding | None = None

    def has_time(self) -> bool:
        """Whether another run may have its turn in this commit; the first one always may."""
        now_s = time.monotonic()
        if self.until_s is None:
            self.until_s = now_s + _ENOUGH_S
            return True
        return now_s < self.until_s


@attrs.define(eq=False)
class Performance:
    """The transacts of one run within one commit.

    Attributes:
        run: The run.
        stage: What it shares with the others.
    """

    run: LiveRun
    stage: Stage
    _ahead: LiveRun | None = None
    _withdrawn: list[Issued] = attrs.field(factory=list[Issued])

    def entry(self) -> Transact:
        """Return what the store is asked to do."""
        run = self.run
        return Transact(run.run_id, run.token, run.written + len(run.records), self._work)

    @property
    def is_over(self) -> bool:
        """Whether it took place: there was still time in this commit, and the run was still the worker's."""
        return self._ahead is not None

    def settle(self) -> list[Issued]:
        """Let the run stand where it has come, now that this is durable; returns what it does not wait for any more."""
        if self._ahead is not None:
            self.run.catch_up(self._ahead)
        return self._withdrawn

    def undo(self) -> None:
        """Bring the run back to where it was: the commit has failed, and nothing of it happened."""
        if self._ahead is None:
            return
        self._ahead.interpreter.close()
        self.run.interpreter.close()
        try:
            self.run.rewind(self.stage.store.history(self.run.run_id))
        except (ReplayError, JournalCorrupt) as error:
            self.run.parked = str(error)
        except StoreError as error:
            # Neither here nor there: the worker must end, and its runs are brought back by another.
            raise StoreFailed(
                self.stage.store.url, f"after a commit that failed it could not be read: {error}"
            ) from error
        except BaseException as error:  # noqa: BLE001  user code inside an interpreter may do anything
            _log.exception("run %s broke the interpreter", self.run.run_id)
            self.run.parked = broken(error)

    def _work(self, nest: Nest) -> Append | None:
        if not self.stage.has_time():
            return None
        ahead = self._ahead = self.run.ahead()
        for issued in self.run.transacts:
            if ahead.interpreter.pending.get(issued.id) is issued and not ahead.parked:
                nest(partial(self._part, ahead, issued))
        return ahead.append(microseconds(self.stage.clock()), draining=self.stage.draining)

    def _part(self, ahead: LiveRun, issued: Issued, tx: Transaction) -> bool:
        """Run the function and feed what came of it; tells whether what it wrote is to be kept."""
        told = f"{issued.record.target} of run {ahead.run_id} (command {issued.id}, {issued.line})"
        holding = self.stage.holding = Holding(told, time.monotonic())
        event = _outcome(issued, tx, self.stage.clock())
        tx.close()  # before the workflow goes on, which may have got hold of it
        self.stage.holding = None
        if holding.lasted_s > LONG_S:
            _log.warning("%s held the write lock of %s for %.0f ms\n%s", told, *self._cost(holding))
        return self._feed(ahead, event) and isinstance(event, Resolved)

    def _cost(self, holding: Holding) -> tuple[str, float, str]:
        return self.stage.store.url, holding.lasted_s * 1_000, ADVICE

    def _feed(self, ahead: LiveRun, event: Resolved | Rejected) -> bool:
        """Move the run. Park it when its code cannot take the event: then nothing of the transact is kept."""
        try:
            step = ahead.feed(event, self.stage.clock())
        except ReplayError as error:
            ahead.parked = str(error)
            return False
        except BaseException as error:  # noqa: BLE001  user code inside an interpreter may do anything
            _log.exception("run %s broke the interpreter", ahead.run_id)
            ahead.parked = broken(error)
            return False
        finally:
            if self.stage.capture is not None:  # written with what follows from the transact, or lost with it
                ahead.emits += self.stage.capture.taken(ahead.run_id, ahead.round)
        for issued in step.withdrawn:
            ahead.attempts.pop(issued.id, None)
        self._withdrawn += step.withdrawn
        return True


def _outcome(issued: Issued, tx: Transaction, begun: datetime) -> Resolved | Rejected:
    """Run the function of a transact; whatever it raises is its outcome."""
    definition = issued.definition
    assert definition is not None
    try:
        args, kwargs = definition.arguments.decode(issued.record.payload)
        value = definition.fn(tx, *args, **kwargs)
        payload = definition.arguments.result.encode(value)
    except BaseException as error:  # noqa: BLE001  whatever it raises is the end of it
        return _rejected(issued, error, begun)
    return Resolved(issued.id, payload, issued.attempt, begun)


def _rejected(issued: Issued, error: BaseException, begun: datetime | None = None) -> Rejected:
    definition = issued.definition
    assert definition is not None
    if isinstance(error, definition.raises):
        return Rejected(issued.id, declared_failure(error), True, issued.attempt, begun)
    if isinstance(error, NotEncodable):
        error = attrs.evolve(error, path=f"result of {definition.name}{error.path.removeprefix('$')}")
    text = "".join(traceback.format_exception(type(error), error, _from(error, definition.fn)))
    # A lone surrogate cannot be written as UTF-8.
    text = text.encode("utf-8", "backslashreplace").decode()
    return Rejected(issued.id, fault(error, text, retryable=False), False, issued.attempt, begun)


def _from(error: BaseException, fn: Callable[..., Any]) -> Any:
    """Return the traceback from the user's code on."""
    code = getattr(inspect.unwrap(fn), "__code__", None)
    steps = error.__traceback__
    while steps is not None and steps.tb_frame.f_code is not code:
        steps = steps.tb_next
    return steps


def refused(issued: Issued, store: Store) -> Rejected:
    """Return what comes of a transact where the store cannot perform it."""
    return _rejected(issued, UsageError(f"store {store.url} keeps no tables of its users; `lmdb:` and `memory:` do"))
