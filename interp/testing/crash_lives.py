"""The lives of a crash sweep: processes that move one run on a real store, and are killed at a write."""

from __future__ import annotations

import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn

import attrs
import msgspec

from interp.errors import RunError, RunParked
from interp.events import Signalled, Started, Transition, decode_event
from interp.runtime.attempts import Attempt, Completion, idempotency_key
from interp.runtime.handles import Run
from interp.runtime.live import decoded, moment
from interp.store import Batch, Refusal, RunFilter, Store
from interp.testing.driven import NothingHappens
from interp.testing.play import EPOCH
from interp.testing.story import outcome_line
from interp.testing.stubs import Stubs
from interp.testing.virtual import VirtualEngine

__all__ = ["Death", "Entry", "Life", "Script", "Written", "ending_of", "live", "read_ledger", "read_life"]


@attrs.frozen
class Script:
    """What is played in each life.

    Attributes:
        workflow: The workflow.
        args: Its arguments.
        id: The run id.
        activities: Stubs.
        signals: Signals that are sent once each, as soon as the run has started.
        open: Opens the store.
    """

    workflow: Callable[..., Any]
    args: tuple[Any, ...]
    id: str
    activities: Stubs
    signals: Mapping[str, Any]
    open: Callable[[str], Store]


@attrs.frozen
class Death:
    """When a life ends.

    Attributes:
        write: At which of its writes, from 1.
        after: Whether the write is durable then.
    """

    write: int
    after: bool

    def __str__(self) -> str:
        """Say when."""
        return f"{'after' if self.after else 'before'} write {self.write}"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A line of the ledger: what an attempt did, told by itself.

    Attributes:
        life: In which life.
        what: `begun`, or how it ended: `done`, `declared` (it raised what it declares), `failed`.
        key: The idempotency key of the call.
        attempt: Which attempt of the call, from 1.
        activity: Its name.
        payload: Its arguments when it began, else what it returned; JSON.
    """

    life: int
    what: Literal["begun", "done", "declared", "failed"]
    key: str
    attempt: int
    activity: str
    payload: str


class Written(msgspec.Struct, frozen=True):
    """What one write held: how many records of which run, from which index on."""

    records: list[tuple[str, int, int]]


class Life(msgspec.Struct, frozen=True):
    """What a life that was not killed tells.

    Attributes:
        ending: How the run ended, in words; `does not end` where it cannot.
        histories: The records of all runs.
        writes: What it wrote, in order.
        trouble: What went wrong in the process, outside of the run; empty for nothing.
    """

    ending: str = ""
    histories: dict[str, list[bytes]] = {}
    writes: list[Written] = []
    trouble: str = ""


def live(folder: Path, number: int, script: Script, death: Death | None) -> NoReturn:
    """Live one life; the body of a process, which ends in it.

    Args:
        folder: Where the store and the ledger are; what it tells is left there as `life-<number>`.
        number: Which life of the run it is, from 1.
        script: What is played.
        death: When it is killed; None for never.
    """
    try:
        told = _lived(folder, number, script, death)
    except BaseException as error:  # noqa: BLE001  nothing may get out of this process into the test's code
        told = Life(trouble="".join(traceback.format_exception(error)))
    _report(folder, number).write_bytes(msgspec.json.encode(told))
    os._exit(0)


def read_life(folder: Path, number: int) -> Life | None:
    """Read what a life told; None if it was killed."""
    path = _report(folder, number)
    return msgspec.json.decode(path.read_bytes(), type=Life) if path.exists() else None


def read_ledger(folder: Path) -> list[Entry]:
    """Read what the activities of all lives did, in order."""
    path = folder / "ledger"
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(line, type=Entry) for line in lines]


def _report(folder: Path, number: int) -> Path:
    return folder / f"life-{number}"


def _lived(folder: Path, number: int, script: Script, death: Death | None) -> Life:
    # A killed process leaves to the system what it has written, so that nothing need be forced to the disk here.
    store = script.open(f"lmdb://{folder}/journal?durability=process")
    writes = _watch_writes(store, death)
    latest = max((row.updated_us for row in store.runs(RunFilter())), default=0)
    engine = VirtualEngine(
        script.activities,
        at=max(EPOCH, moment(latest)),
        store=store,
        name=f"life-{number}",
        observer=_Ledger(folder, number),
    )
    run = engine.start(script.workflow, *script.args, id=script.id)
    for name, payload in script.signals.items():
        if not _has_come(store, run, name):
            run.signal(name, payload)
    ending = _ending(run)
    histories = {row.id: list(store.history(row.id)) for row in store.runs(RunFilter())}
    return Life(ending, histories, writes)


def _ending(run: Run[Any]) -> str:
    """Let the run end, and say how, as the history has it."""
    try:
        run.result()
    except (RunParked, NothingHappens) as error:
        return f"does not end: {error}"
    except RunError:
        pass
    return ending_of(run.history())


def ending_of(history: Sequence[Transition]) -> str:
    """Say how a run has ended, in words, such as `returns 'r-1'` or `fails with Declined: no funds`."""
    outcome = history[-1].outcome
    if outcome is None:
        return "does not end"
    line = outcome_line(outcome)
    return f"{line.verb} {'with ' if line.verb == 'fails' else ''}{line.text}"


def _has_come(store: Store, run: Run[Any], name: str) -> bool:
    """Whether an earlier life has sent a signal: it waits, or is in the history, or that has gone on without it."""
    causes = [transition.cause for transition in decoded(run.id, store.history(run.id))]
    waiting = [decode_event(message.body) for message in store.inbox(run.id)]
    first = causes[0] if causes else None
    return (isinstance(first, Started) and first.round > 0) or any(
        isinstance(event, Signalled) and event.name == name for event in [*causes, *waiting]
    )


def _watch_writes(store: Store, death: Death | None) -> list[Written]:
    """Note each write of a store, and kill this process at one of them."""
    commit = store.commit
    writes: list[Written] = []

    def killing(batch: Batch, now_us: int) -> list[Refusal]:
        here = death is not None and len(writes) + 1 == death.write
        if here and death is not None and not death.after:
            os.kill(os.getpid(), signal.SIGKILL)
        refusals = commit(batch, now_us)
        if here:
            os.kill(os.getpid(), signal.SIGKILL)
        writes.append(Written([(part.run_id, part.index, len(part.records)) for part in batch.appends]))
        return refusals

    vars(store)["commit"] = killing
    return writes


class _Ledger:
    """Writes down what attempts do, line by line, so that a kill loses nothing of it."""

    def __init__(self, folder: Path, life: int) -> None:
        self._folder = folder
        self._life = life
        self._file = (folder / "ledger").open("ab", buffering=0)

    def answered(self) -> Counter[str]:
        """Count the attempts of earlier lives."""
        return Counter(entry.activity for entry in read_ledger(self._folder) if entry.what == "begun")

    def begun(self, attempt: Attempt) -> None:
        """Note that an attempt begins."""
        self._note("begun", attempt, attempt.payload)

    def ended(self, completion: Completion) -> None:
        """Note how it ended: from here on its effect has happened, whatever becomes of this process."""
        if completion.payload is not None:
            self._note("done", completion.attempt, completion.payload)
        else:
            self._note("declared" if completion.declared else "failed", completion.attempt, b"")

    def _note(self, what: Literal["begun", "done", "declared", "failed"], attempt: Attempt, payload: bytes) -> None:
        key = idempotency_key(attempt.run_id, attempt.round, attempt.command_id)
        entry = Entry(self._life, what, key, attempt.number, attempt.definition.name, payload.decode())
        self._file.write(msgspec.json.encode(entry) + b"\n")
