"""What one turn of the worker's loop collects for its commit, and who is told when it is durable."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from interp.errors import RunEnded, UnknownRun
from interp.events import encode_event
from interp.runtime.live import LiveRun
from interp.runtime.requests import Start, Tell
from interp.store import Append, Batch, Emission, Post, Refusal, Store, Transact, Why

__all__ = ["Turn"]


class Turn(msgspec.Struct, eq=False):
    """What is to be written.

    Attributes:
        starts: Runs to create, by id, with their first step.
        repeated: Starts of an id that is in `starts` already; they have their turn after it.
        tells: Messages for inboxes.
        told: Messages that were fed to runs that are here.
        dirty: Runs that moved, by id.
        parked: Runs that could not be loaded.
        ready: Runs with transacts to perform within the commit, by id.
        telling: Runs whose activities emitted something, by id.
        performed: Runs whose transacts were performed within the commit.
    """

    starts: dict[str, tuple[Start, LiveRun]] = {}
    repeated: list[Start] = []
    tells: list[Tell] = []
    told: list[Tell] = []
    dirty: dict[str, LiveRun] = {}
    parked: list[Append] = []
    ready: dict[str, LiveRun] = {}
    telling: dict[str, LiveRun] = {}
    performed: list[LiveRun] = []

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.starts or self.tells or self.dirty or self.parked or self.ready or self.telling)

    def runs(self) -> list[LiveRun]:
        """Return the runs that have something to write, the new ones first."""
        moved = list(self.dirty.values())
        return [*(run for _, run in self.starts.values()), *moved] if self.starts else moved

    def batch(self, now_us: int, by: str, transacts: Sequence[Transact] = (), *, draining: bool) -> Batch:
        """Return everything as one batch, with what is performed within it; most turns have nothing but appends."""
        return Batch(
            creates=[start.create for start, _ in self.starts.values()] if self.starts else (),
            posts=[Post(tell.run_id, encode_event(tell.event)) for tell in self.tells] if self.tells else (),
            appends=[run.append(now_us, draining=draining) for run in self.runs()] + self.parked,
            transacts=transacts,
            emissions=[Emission(run.run_id, run.token, run.told) for run in self.telling.values()]
            if self.telling
            else (),
            by=by,
        )

    def acknowledge(self, refusals: list[Refusal], store: Store) -> list[LiveRun]:
        """Tell those who asked for something that it is durable, or why it is not; returns the runs that are new."""
        if not (self.starts or self.tells):
            return []
        why: dict[str, Why] = {
            refusal.run_id: refusal.why for refusal in refusals if refusal.why in ("exists", "differs")
        }
        for run_id, (start, _) in self.starts.items():
            start.done.set_result(why.get(run_id))
        gone: dict[str, Why] = {
            refusal.run_id: refusal.why for refusal in refusals if refusal.why in ("unknown", "ended")
        }
        for tell in self.tells:
            if tell.run_id in gone:
                tell.done.set_exception(_undeliverable(tell.run_id, gone[tell.run_id], store))
            else:
                tell.done.set_result(None)
        return [run for run_id, (_, run) in self.starts.items() if run_id not in why]

    def refuse_new(self, error: BaseException) -> None:
        """Refuse what has not begun; keep what has happened, for the next try."""
        for start, run in self.starts.values():
            start.done.set_exception(error)
            run.interpreter.close()
        for start in self.repeated:
            start.done.set_exception(error)
        for tell in self.tells:
            tell.done.set_exception(error)
        self.starts, self.repeated, self.tells = {}, [], []


def _undeliverable(run_id: str, why: Why, store: Store) -> UnknownRun | RunEnded:
    row = store.run(run_id)
    return UnknownRun(run_id, store.url) if why == "unknown" or row is None else RunEnded(run_id, row.status)
