"""Which runs of an LMDB store a worker may take now: asked of one `View`, changing nothing."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection

import attrs

from stores._lmdb_tables import View

__all__ = ["NOBODY", "Ready", "ready"]

# The owner number of runs that nobody owns.
NOBODY = 0


@attrs.frozen
class Ready:
    """What is due.

    Attributes:
        runs: Keys of runs to claim, in the order in which they are handed out.
        next_us: When the next one after them becomes due; 0 when it is what a dead worker left at work.
    """

    runs: list[bytes]
    next_us: int | None


def ready(
    view: View, worker: int | None, dead: Collection[int], now_us: int, limit: int, workflows: Collection[str] | None
) -> Ready:
    """Find what `worker` may take: first what the dead left at work, then what is due.

    Runs of others that live are not even looked at: both tables are sorted by owner.
    """

    def known(run: bytes) -> bool:
        return workflows is None or view.row(run).identity[0] in workflows

    orphans = list(itertools.islice(filter(known, heapq.merge(*map(view.at_work, dead))), limit + 1))
    if len(orphans) > limit:
        return Ready(orphans[:limit], next_us=0)
    taken = set(orphans)
    owners = {NOBODY, NOBODY if worker is None else worker, *dead}
    runs = orphans
    for due_us, run in heapq.merge(*map(view.due, owners)):
        if run in taken or not known(run):
            continue
        if due_us > now_us or len(runs) == limit:
            return Ready(runs, due_us)
        runs.append(run)
    return Ready(runs, next_us=None)
