"""Runs for the tests of time travel, made without a worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interp.events import Transition, encode_transition
from interp.explore.run import Run, read_run
from interp.runtime.live import microseconds
from interp.store import Append, Batch, Create, Status
from stores import memory
from tests.explore.recording import keep

__all__ = ["damaged_run", "run_of"]


def run_of(workflow: Any, history: Sequence[Transition], run_id: str = "prov-7f3a") -> Run:
    """Return the run that has this history, as a journal gives it."""
    store = memory.open("memory:")
    keep(store, run_id, history, Status.WAITING if history[-1].outcome is None else Status.COMPLETED)
    return read_run(store, run_id, workflow)


def damaged_run(workflow: Any, history: Sequence[Transition], broken: Sequence[int], run_id: str = "prov-7f3a") -> Run:
    """Return the run that has this history, in which some records are garbage."""
    store = memory.open("memory:")
    first = history[0]
    begun = microseconds(first.at)
    store.create(Create(run_id, first.cause.workflow, b"x", b"", worker="w1"), begun)  # type: ignore[union-attr]
    records = [b"\xc1 no record" if index in broken else encode_transition(each) for index, each in enumerate(history)]
    append = Append(run_id, 1, 0, records, Status.WAITING, 2**62, begun, release=True)
    assert not store.commit(Batch(appends=[append]), begun)
    return read_run(store, run_id, workflow)
