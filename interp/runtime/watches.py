"""Who waits for which run to end."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future

from interp.errors import UnknownRun
from interp.events import Completed
from interp.runtime.ended import Ended, Found
from interp.store import Status, Store

__all__ = ["Watches"]

# How many results are kept for those who ask for them later, and of how many bytes at most.
_KEPT = 4_000
_SHORT = 512


class Watches:
    """The callers that wait for runs. They come on any thread; the one that gives a turn looks for them.

    Most runs end where they are waited for: their callers are told what is known here. Of those that have completed,
    which is for good, some are remembered for whoever asks next: read from the store a result takes 20 to 30 us, from
    here 5, and of 200 runs of 10 steps that difference was a tenth of the time.
    """

    def __init__(self, store: Store, worker: str) -> None:
        """Begin with nobody waiting.

        Args:
            store: Where the runs are.
            worker: Name of the worker; it hears of the ends of its own runs without looking.
        """
        self._store = store
        self._worker = worker
        self._lock = threading.Lock()
        self._waiting: dict[str, list[Future[Found]]] = {}
        self._foreign: set[str] = set()
        self._completed: OrderedDict[str, Ended] = OrderedDict()

    def add(self, run_id: str) -> Future[Found]:
        """Let a caller wait, from now on; returns what is told when the run has ended or is parked."""
        done: Future[Found] = Future()
        with self._lock:
            others = [other for other in self._waiting.get(run_id, ()) if not other.cancelled()]
            self._waiting[run_id] = [*others, done]
        return done

    def completed(self, run_id: str) -> Ended | None:
        """Return how a run ended that has completed here lately, None for any other; called on any thread."""
        return self._completed.get(run_id)

    def tell(self, run_id: str, ended: Ended) -> None:
        """Tell those who wait for a run that it has ended here, or is parked; that is durable."""
        if type(ended.outcome) is Completed and len(ended.outcome.payload) <= _SHORT:
            self._completed[run_id] = ended
            if len(self._completed) > _KEPT:
                self._completed.popitem(last=False)
        self._foreign.discard(run_id)
        if run_id in self._waiting:
            for done in self._taken(run_id):
                done.set_result(ended)

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

    def _taken(self, run_id: str) -> list[Future[Found]]:
        """Take out those who still wait for a run: an await may have been given up."""
        with self._lock:
            waiting = self._waiting.pop(run_id, ())
        return [done for done in waiting if done.set_running_or_notify_cancel()]
