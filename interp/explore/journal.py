"""A store, opened to be looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from interp.errors import UsageError
from interp.explore.blocked import Blocked
from interp.explore.finding import Statuses, query
from interp.explore.frames import Frame
from interp.explore.path_map import PathMap
from interp.explore.run import Run, read_run
from interp.explore.runs import Runs, runs_of
from interp.explore.values import shown
from interp.payloads import PayloadCodec
from interp.runtime.sealed import sealed_reader
from interp.runtime.stores import open_reader

__all__ = ["Journal"]

# How long `watch` waits at a time, so that Ctrl-C and the stop of a cell are heard.
_WAIT_S = 0.5


class Journal:
    """A store, opened to be looked at: beside workers that are at work on it, without holding anything up.

    Nothing is made and nothing is written. No transaction stays open between two calls, so that a journal that a
    notebook has forgotten costs nobody anything.
    """

    def __init__(self, url: str | Path | None = None, *, codec: PayloadCodec | None = None) -> None:
        """Open a store.

        Args:
            url: `lmdb:runs` or another URL of a store; or a path: of a store's directory, of a copy or a backup of
                one, of a history that `interp export` wrote, or of a folder of such histories. None for the default,
                `$INTERP_STORE` or `lmdb:.interp`.
            codec: What values were sealed with; without it they show as ‹encrypted›.

        Raises:
            UnknownStore: There is none of this kind, or none there, or this user may not read it.
            StoreError: The store cannot be opened: it is damaged, or something else than a store.
            UsageError: The file is no exported history, or it is `memory:` without a name.
        """
        if url is not None and not isinstance(url, str | Path):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
            raise UsageError(
                f"Journal({type(url).__name__}): expected a URL or a path; of an engine it is engine.store.url"
            )
        if url == "memory:":
            raise UsageError("Journal('memory:'): this is a fresh store each time; give it a name: memory:NAME")
        self._closed = False
        self._store = sealed_reader(open_reader(url), codec, redacts=True)

    @property
    def url(self) -> str:
        """The URL of the store, or the path of the file."""
        return self._store.url

    def __repr__(self) -> str:
        """Say what is open."""
        return f"<journal {self.url}>"

    def run(self, run_id: str, *, workflow: Any = None) -> Run:
        """Read a run.

        Args:
            run_id: The run.
            workflow: Its workflow function, where it is not the one registered under the recorded name.

        Raises:
            UnknownRun: There is no such run.
            StoreError: The store cannot be read.
            UsageError: The run id is no text.
        """
        if not isinstance(run_id, str):  # pyright: ignore[reportUnnecessaryIsInstance]  a notebook checks no types
            raise UsageError(f"{shown(run_id, 60)} is no run id, which is a text; the newest run is journal.runs()[0]")
        return read_run(self._store, run_id, workflow)

    __getitem__ = run

    def changed(self, timeout: float = 0) -> bool:
        """Wait until something was written since the last call, or the time is up.

        Args:
            timeout: How long to wait, in seconds.

        Returns:
            Whether something was written. The first call answers for all that was written before.

        Raises:
            StoreError: The store cannot be read.
        """
        return self._store.changed(timeout)

    def watch(self, every: float = 1.0) -> Iterator[None]:
        """Give a turn at once, and then one whenever something was written; without end, unless the journal is closed.

            for _ in journal.watch():
                clear_output(wait=True)
                display(journal["order-7"])

        Args:
            every: At most one turn in so many seconds, however much is written.

        Raises:
            UsageError: `every` is negative.
            StoreError: The store cannot be read.
        """
        if every < 0:
            raise UsageError(f"every={every!r}: expected seconds, 0 or more")
        return self._watched(every)

    def _watched(self, every_s: float) -> Iterator[None]:
        self.changed()
        while True:
            yield
            time.sleep(every_s)
            while not self.changed(_WAIT_S):
                if self._closed:
                    return

    def runs(
        self,
        workflow: Any = None,
        *,
        status: Statuses = None,
        since: datetime | timedelta | str | None = None,
        until: datetime | timedelta | str | None = None,
        attributes: Mapping[str, Any] | None = None,
        limit: int | None = 50,
        newest: bool = True,
    ) -> Runs:
        """List runs; no history is read.

        Args:
            workflow: Its function, or its name; `checkout@2` is one version of it.
            status: One status or several; `"open"` for those that have not ended, `"ended"` for the others.
            since: Created at this time or later: a moment, how long ago, or either as text, such as `"2h"`.
            until: Created before this time; likewise.
            attributes: What the run annotated: `{"customer": "42"}`.
            limit: At most so many; None for all.
            newest: Whether the newest come first, and are kept when there are more; else the oldest.

        Raises:
            UsageError: There is no such status or time; or no run and no workflow of this name.
            StoreError: The store cannot be read.
        """
        now = datetime.now(UTC)
        asked = query(workflow, status, since, until, attributes, limit, newest=newest, now=now)
        return runs_of(self._store, asked)

    def commands(
        self,
        workflow: Any = None,
        *,
        status: Statuses = None,
        since: datetime | timedelta | str | None = None,
        until: datetime | timedelta | str | None = None,
        attributes: Mapping[str, Any] | None = None,
        limit: int | None = 1_000,
        newest: bool = True,
    ) -> Frame:
        """Return one row per command of many runs, for statistics.

        The columns: `run`, `workflow`, `command` (its id), `kind`, `target` (the activity, the signal, the workflow),
        `fiber`, `arguments`, `result` and `failure` (all cut to 120 characters), `failure_type`, `status` (`waits`,
        `done`, `failed`, `timed out`, `withdrawn`), `yielded_at`, `begun_at` (the first attempt), `ended_at`,
        `queued_s` (ready, and no worker had begun), `took_s` (the attempt that gave the answer), `worked_s` (all
        attempts), `total_s` (from the yield to the end), `attempts`, `failed_attempts`, `lost_attempts` and `where`.
        What has to do with attempts is None for all but calls. Of a run that continued as new it is its last round.

        Args:
            workflow: As for `runs`, like all that follow.
            status: Of the runs.
            since: Runs created at this time or later.
            until: Runs created before this time.
            attributes: What the runs annotated.
            limit: At most so many runs; None for all.
            newest: Whether the newest runs come first.

        Raises:
            UsageError: As for `runs`.
            StoreError: The store cannot be read.
        """
        return self.runs(
            workflow, status=status, since=since, until=until, attributes=attributes, limit=limit, newest=newest
        ).commands()

    def blocked(
        self,
        workflow: Any = None,
        *,
        since: datetime | timedelta | str | None = None,
        until: datetime | timedelta | str | None = None,
        attributes: Mapping[str, Any] | None = None,
        limit: int | None = 1_000,
    ) -> Blocked:
        """Tell what waits: on what, since when, at which line, and what would make it go on.

        Args:
            workflow: As for `runs`, like all that follow.
            since: Runs created at this time or later.
            until: Runs created before this time.
            attributes: What the runs annotated.
            limit: At most so many open runs, the oldest ones; None for all.

        Raises:
            UsageError: As for `runs`.
            StoreError: The store cannot be read.
        """
        found = self.runs(
            workflow, status="open", since=since, until=until, attributes=attributes, limit=limit, newest=False
        )
        return found.blocked()

    def path_map(self, workflow: Any, *, limit: int | None = 1_000) -> PathMap:
        """Show the yields of a workflow as a graph, with what its newest runs did at each.

        Args:
            workflow: Its function, or its name; `checkout@2` is one version of it.
            limit: How many runs at most; None for all.

        Raises:
            UsageError: There is no such workflow.
            StoreError: The store cannot be read.
        """
        return self.runs(workflow, limit=limit).path_map()

    def close(self) -> None:
        """Let go of the store."""
        self._closed = True
        self._store.close()

    def __enter__(self) -> Self:
        """Close the store at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()
