"""Exported histories (`interp export`) read like a store: one file, or a folder of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs

from interp.errors import UnknownRun, UnknownStore, UsageError
from interp.events import Completed, ContinuedAs, Failed, Transition, WasCancelled, encode_transition
from interp.histories import SUFFIX, ExportedHistory, load_history
from interp.outline.tree import tree_of
from interp.runtime.live import microseconds
from interp.runtime.retrying import state_of
from interp.store import Item, Message, RunFilter, RunRow, Status

__all__ = ["ExportedReader"]

# How often it is looked whether a file has changed.
_LOOK_S = 0.1

# What the world can be asked for; a run that waits for something else only is waiting, as in a store.
_WORK = frozenset({"call", "transact"})

# Path, time of the last change and size of each file.
_Files: TypeAlias = tuple[tuple[Path, int, int], ...]


@attrs.frozen
class _Exported:
    row: RunRow
    history: tuple[Transition, ...]


class ExportedReader:
    """Files of exported histories; see `interp.store.Reader` for what each method promises.

    What is no part of an exported history (messages that wait, streams, owners) is empty. Files that change are read
    again.
    """

    def __init__(self, place: Path) -> None:
        """Read a file, or the files in a folder whose names end in `.history.jsonl`.

        Raises:
            UnknownStore: There is none, or this user may not read it.
            UsageError: One of them is no exported history.
        """
        self._place = place
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._seen = threading.local()
        self._files: _Files = ()
        self._runs: dict[str, _Exported] = {}
        self._read()

    @property
    def url(self) -> str:
        """The path."""
        return str(self._place)

    def run(self, run_id: str) -> RunRow | None:
        """Return the run's row, or None."""
        found = self._read().get(run_id)
        return None if found is None else found.row

    def runs(self, where: RunFilter) -> list[RunRow]:
        """List runs."""
        return where.chosen([exported.row for exported in self._read().values()])

    def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
        """Give the records from index `start` on."""
        return map(encode_transition, self._found(run_id).history[start:])

    def inbox(self, run_id: str) -> tuple[Message, ...]:
        """Return no messages: they are no part of a history."""
        self._found(run_id)
        return ()

    def stream(self, run_id: str, topic: str, start: int = 0) -> Iterator[Item]:
        """Give no items: they are no part of a history."""
        self._found(run_id)
        return iter(())

    def topics(self, run_id: str) -> tuple[str, ...]:
        """Return no topics."""
        self._found(run_id)
        return ()

    def changed(self, timeout_s: float) -> bool:
        """Wait until a file has changed, come or gone, or the time is up."""
        seen: _Files | None = getattr(self._seen, "files", None)
        end_s = time.monotonic() + timeout_s
        while not self._stopped.is_set():
            files = _files(self._place)
            left_s = end_s - time.monotonic()
            if files != seen or left_s <= 0:
                self._seen.files = files
                return files != seen
            self._stopped.wait(min(left_s, _LOOK_S))
        return False

    def close(self) -> None:
        """End the waits."""
        self._stopped.set()

    def _found(self, run_id: str) -> _Exported:
        found = self._read().get(run_id)
        if found is None:
            raise UnknownRun(run_id, self.url)
        return found

    def _read(self) -> dict[str, _Exported]:
        if self._stopped.is_set():
            raise UsageError(f"{self.url} is closed")
        with self._lock:
            files = _files(self._place)
            if not files:
                raise UnknownStore(self.url, f"there is no file *{SUFFIX} in it")
            if files != self._files:
                self._runs = _loaded([path for path, _, _ in files])
                self._files = files
            return self._runs


def _files(place: Path) -> _Files:
    try:
        paths = sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place]
        found = [(path, path.stat()) for path in paths]
    except OSError as error:
        raise UnknownStore(str(place), f"{error.strerror or error}") from error
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in found)


def _loaded(paths: Sequence[Path]) -> dict[str, _Exported]:
    """Read files, in the order in which their runs began."""
    places: dict[str, Path] = {}
    runs: list[_Exported] = []
    for path in paths:
        try:
            exported = load_history(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError) as error:
            raise UnknownStore(str(path), str(error)) from error
        before = places.setdefault(exported.run_id, path)
        if before is not path:
            raise UsageError(
                f"{before.name} and {path.name} in {path.parent} are both histories of run {exported.run_id!r}; "
                "open one of them"
            )
        runs.append(_Exported(_row(exported), exported.history))
    return {each.row.id: each for each in sorted(runs, key=_age)}


def _age(exported: _Exported) -> int:
    return exported.row.created_us


def _row(exported: ExportedHistory) -> RunRow:
    history = exported.history
    return RunRow(
        id=exported.run_id,
        workflow=exported.workflow,
        digest=b"",
        status=_status(history),
        length=len(history),
        due_us=None,
        owner=None,
        token=0,
        created_us=microseconds(history[0].at) if history else 0,
        updated_us=microseconds(history[-1].at) if history else 0,
        attributes=state_of(history),
        reason="",
    )


def _status(history: tuple[Transition, ...]) -> Status:
    """Return where the run stood when it was exported, as far as its history tells."""
    if not history:
        return Status.PENDING
    match history[-1].outcome:
        case Completed():
            return Status.COMPLETED
        case Failed():
            return Status.FAILED
        case WasCancelled():
            return Status.CANCELLED
        case ContinuedAs():
            return Status.RUNNING
        case None:
            kinds = {node.record.kind for node in tree_of(history).waiting.values()}
            return Status.RUNNING if kinds & _WORK else Status.WAITING
