"""A store, opened to be looked at."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from interp.explore.run import Run, read_run
from interp.payloads import PayloadCodec
from interp.runtime.sealed import sealed_store
from interp.runtime.stores import open_store

__all__ = ["Journal"]


class Journal:
    """A store, opened to be looked at: beside workers that are at work on it, without holding anything up."""

    def __init__(self, url: str | None = None, *, codec: PayloadCodec | None = None) -> None:
        """Open a store.

        Args:
            url: `lmdb:runs` or another URL of a store; None for the default, `$INTERP_STORE` or `lmdb:.interp`.
            codec: What values were sealed with; without it they show as ‹encrypted›.

        Raises:
            UnknownStore: There is none of this kind, or none there.
            StoreError: The store cannot be opened.
        """
        self._store = sealed_store(open_store(url), codec, redacts=True)

    @property
    def url(self) -> str:
        """The URL of the store."""
        return self._store.url

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

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def __enter__(self) -> Self:
        """Close the store at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()
