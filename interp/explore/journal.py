"""A store, opened to be looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from interp.errors import UsageError
from interp.explore.run import Run, read_run
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
            UsageError: The file is no exported history.
        """
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
        """
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
