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
from collections import Counter
from collections.abc import Callable
from datetime import datetime

from interp.definitions import WorkflowDefinition, find_workflow, workflows
from interp.errors import InterpError
from interp.runtime.checking import check_run
from interp.runtime.live import microseconds
from interp.store import Release, RunFilter, RunRow, Status, Store
from interp.versions import explicit, family_of

__all__ = ["Deploy", "fingerprint"]

_log = logging.getLogger("interp")

_OPEN = frozenset(status for status in Status if not status.ended)

# At most so many parked runs are replayed in a second, and at most this part of the time: there may be thousands, and
# the worker needs the interpreter of Python meanwhile.
_PAUSE_S = 0.02
_SHARE = 0.25

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
        """Tell of stranded runs, then release what fits; ends early when the engine is closed."""
        try:
            self._tell_stranded()
            self._release_all(stopped)
        except Exception as error:  # noqa: BLE001  nothing depends on this thread; a store that fails stops the worker
            if not stopped.is_set():
                unexpected = not isinstance(error, InterpError)
                _log.warning("looking after parked runs has ended early: %s", error, exc_info=unexpected)

    # Versions that nobody has.

    def _tell_stranded(self) -> None:
        known = workflows()
        families = {definition.family for definition in known.values()}
        stranded = self._store.runs(RunFilter(_OPEN, others_than=frozenset(known)))
        counts = Counter(row.workflow for row in stranded if family_of(row.workflow) in families)
        for tag, number in sorted(counts.items()):
            examples = [row.id for row in stranded if row.workflow == tag][:_EXAMPLES]
            registered = sorted(explicit(name) for name in known if family_of(name) == family_of(tag))
            if registered:
                _log.warning(
                    "%d open %s of %s (%s) cannot be moved here; registered: %s\n"
                    "Keep that version until `interp list --workflow %s --open` lists no run.",
                    number,
                    "run" if number == 1 else "runs",
                    explicit(tag),
                    ", ".join(examples) + (", ..." if number > len(examples) else ""),
                    ", ".join(registered),
                    explicit(tag),
                )

    # Parked runs.

    def _release_all(self, stopped: threading.Event) -> None:
        for row in self._store.runs(RunFilter(frozenset({Status.PARKED}))):
            if stopped.is_set():
                return
            if row.misfit:
                begun_s = time.monotonic()
                self._release(row)
                stopped.wait(max(_PAUSE_S, (time.monotonic() - begun_s) * (1 / _SHARE - 1)))

    def _release(self, row: RunRow) -> None:
        try:
            code = fingerprint(find_workflow(row.workflow))
        except InterpError:  # not registered here, or more than once: others may know it
            return
        if not check_run(self._store, row).verdict.fits:
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


def fingerprint(definition: WorkflowDefinition) -> str:
    """Return the fingerprint of a workflow and of the file around it, where the parts that it delegates to mostly are.

    Told apart is what would be worth another try, so that too fine is better than too coarse.
    """
    try:
        module = inspect.getsource(inspect.getmodule(definition.fn) or definition.fn)
    except (OSError, TypeError):  # typed at a prompt, or built from text
        module = ""
    return hashlib.blake2b(f"{definition.code}\n{module}".encode(errors="replace"), digest_size=6).hexdigest()
