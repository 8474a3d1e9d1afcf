"""What an engine looks after once, when it starts: what the deploy that it is part of has left behind or mended.

Two things, on a thread of its own beside the worker, so that neither the start nor other runs wait for it:

- runs that are parked because history and code differed, and that fit the code as it is now, are released;
- open runs of versions that no workflow here has any more are told in the log.

Releasing must not become a game between workers of different code, one parking what the other releases. Therefore

- only code that was replayed against the whole history, and fits, releases;
- whoever releases a run owns it at once, so that a worker of older code does not take it and park it again;
- the store remembers whose code released it, by fingerprint, and the same code does so once: a run that was parked
  again stays for somebody to look at, or for the next deploy. `interp retry` forgets what is remembered.

So a run is released at most once by each code that ever ran, whatever the workers do. See decision 0023.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import attrs

from interp.definitions import WorkflowDefinition, find_workflow, workflows
from interp.errors import InterpError, PayloadLocked
from interp.runtime.checking import check_run
from interp.runtime.live import microseconds
from interp.store import Release, RunFilter, RunRow, Status, Store
from interp.versions import explicit, family_of

__all__ = ["Deploy", "fingerprint"]

_log = logging.getLogger("interp")

_OPEN = frozenset(status for status in Status if not status.ended)

# The pause after each parked run that is replayed, and each page of runs that is read; and at most which part of the
# time goes into that. There may be a million of them, and the worker needs the interpreter of Python meanwhile.
_PAUSE_S = 0.02
_SHARE = 0.25
_PAGE = 500

# How many runs a line of the log names.
_EXAMPLES = 3


class Deploy:
    """One look around, by an engine that has just started."""

    def __init__(self, store: Store, worker: str, clock: Callable[[], datetime]) -> None:
        """Prepare it; `look` is the body of its thread.

        Args:
            store: Its store.
            worker: The engine's worker, which gets what is released.
            clock: Tells the time, UTC.
        """
        self._store = store
        self._worker = worker
        self._clock = clock

    def look(self, stopped: threading.Event) -> None:
        """Release what fits, then tell of stranded runs; ends early when the engine is closed."""
        try:
            for row in self._slowly(frozenset({Status.PARKED}), stopped):
                if row.misfit and not stopped.is_set():
                    begun_s = time.monotonic()
                    self._release(row)
                    _rest(time.monotonic() - begun_s, stopped)
            self._tell_stranded(self._slowly(_OPEN, stopped), stopped)
        except BaseException as error:  # noqa: BLE001  user code may do anything; nothing depends on this thread
            if not stopped.is_set():
                unexpected = not isinstance(error, InterpError)
                _log.warning("looking after parked runs has ended early: %s", error, exc_info=unexpected)

    def _slowly(self, statuses: frozenset[Status], stopped: threading.Event) -> Iterator[RunRow]:
        """Give runs, with a pause after each page."""
        where = RunFilter(statuses, limit=_PAGE)
        while not stopped.is_set():
            begun_s = time.monotonic()
            rows = self._store.runs(where)
            took_s = time.monotonic() - begun_s
            yield from rows
            if len(rows) < _PAGE:
                return
            where = attrs.evolve(where, after=rows[-1].id)
            _rest(took_s, stopped)

    # Versions that nobody has.

    def _tell_stranded(self, rows: Iterable[RunRow], stopped: threading.Event) -> None:
        known = workflows()
        families = {definition.family for definition in known.values()}
        stranded: dict[str, list[str]] = {}
        for row in rows:
            if row.workflow not in known and family_of(row.workflow) in families:
                stranded.setdefault(row.workflow, []).append(row.id)
        if stopped.is_set():  # a count of some of them would mislead
            return
        for tag, ids in sorted(stranded.items()):
            registered = sorted(explicit(name) for name in known if family_of(name) == family_of(tag))
            _log.warning(
                "%d open %s of %s (%s) cannot be moved here; registered: %s\n"
                "Keep that version until `interp list --workflow %s --open` lists no run.",
                len(ids),
                "run" if len(ids) == 1 else "runs",
                explicit(tag),
                ", ".join(ids[:_EXAMPLES]) + (", ..." if len(ids) > _EXAMPLES else ""),
                ", ".join(registered),
                explicit(tag),
            )

    # Parked runs.

    def _release(self, row: RunRow) -> None:
        try:
            code = fingerprint(find_workflow(row.workflow))
        except InterpError:  # not registered here, or more than once: others may know it
            return
        try:
            fits = check_run(self._store, row).verdict.fits
        except PayloadLocked:  # for those who have the key
            return
        if not fits:
            return
        if code in row.released_by:
            _log.warning(
                "run %s is parked and fits this code, which has released it before: another worker has parked it "
                "again\nWhen all workers run the same code, `interp retry %s` releases it.",
                row.id,
                row.id,
            )
        elif self._store.unpark(row.id, microseconds(self._clock()), Release(self._worker, code)):
            _log.info("run %s of %s fits the code as it is now, and goes on", row.id, row.workflow)


def _rest(took_s: float, stopped: threading.Event) -> None:
    """Pause for as long as the worker is owed after work that took so long, in seconds."""
    stopped.wait(max(_PAUSE_S, took_s * (1 / _SHARE - 1)))


def fingerprint(definition: WorkflowDefinition) -> str:
    """Return the fingerprint of a workflow and of the file around it, where the parts that it delegates to mostly are.

    Told apart is what would be worth another try, so that too fine is better than too coarse.
    """
    try:
        module = inspect.getsource(inspect.getmodule(definition.fn) or definition.fn)
    except (OSError, TypeError):  # typed at a prompt, or built from text
        module = ""
    return hashlib.blake2b(f"{definition.code}\n{module}".encode(errors="replace"), digest_size=6).hexdigest()
