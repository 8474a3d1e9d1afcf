"""Who waits for which run to end."""

from __future__ import annotations

import threading
from concurrent.futures import Future

from interp.errors import UnknownRun
from interp.store import RunRow, Status, Store

__all__ = ["Watches"]


class Watches:
    """The callers that wait for runs. They come on any thread; the one that gives a turn looks for them."""

    def __init__(self, store: Store, worker: str) -> None:
        """Begin with nobody waiting.

        Args:
            store: Where the runs are.
            worker: Name of the worker; it hears of the ends of its own runs without looking.
        """
        self._store = store
        self._worker = worker
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Future[RunRow]]] = {}
        self._foreign: set[str] = set()

    def add(self, run_id: str) -> Future[RunRow]:
        """Let a caller wait, from now on; returns what gets the row of the run when it has ended or is parked."""
        done: Future[RunRow] = Future()
        with self._lock:
            others = [other for other in self._waiting.get(run_id, ()) if not other.cancelled()]
            self._waiting[run_id] = [*others, done]
        return done

    def look(self, run_id: str) -> None:
        """Tell those who wait for a run, if it has ended or is parked; else note whether somebody else will end it."""
        self._foreign.discard(run_id)
        if run_id not in self._waiting:
            return
        row = self._store.run(run_id)
        if row is None:
            for done in self._taken(run_id):
                done.set_exception(UnknownRun(run_id, self._store.url))
        elif row.status.ended or row.status is Status.PARKED:
            for done in self._taken(run_id):
                done.set_result(row)
        elif row.owner != self._worker:
            self._foreign.add(run_id)

    def look_at_foreign(self) -> None:
        """Look at the runs that other workers own: somebody wrote."""
        for run_id in list(self._foreign):
            self.look(run_id)

    def look_at_all(self) -> None:
        """Look at every run: a worker that was taken for dead does not hear of the ends of its runs."""
        for run_id in list(self._waiting):
            self.look(run_id)

    def refuse(self, trouble: BaseException) -> None:
        """Tell everyone that nothing more will come; called on any thread."""
        for run_id in list(self._waiting):
            for done in self._taken(run_id):
                done.set_exception(trouble)

    def _taken(self, run_id: str) -> list[Future[RunRow]]:
        """Take out those who still wait for a run: an await may have been given up."""
        with self._lock:
            waiting = self._waiting.pop(run_id, ())
        return [done for done in waiting if done.set_running_or_notify_cancel()]
