"""Where an example is played: one store and one world, and processes that die on them.

A life is a process of its own that starts runs, or takes them over from the life before, and is killed (SIGKILL) at a
moment that the test gives: right after so many deeds, before anybody could record the last of them; when all its runs
wait; or so many seconds after they were started. The last act is played in the test's own process, with a clock that
can be put forward.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from threading import Lock, Timer
from typing import Any, Literal, TypeAlias
from unittest.mock import patch

import attrs

from examples.scenarios import world
from interp import Engine, Run, RunError, Status
from interp.events import Rejected, Resolved, Signalled, Transition
from interp.runtime import open_store
from interp.runtime.live import decoded
from tests.runtime.helpers import WAIT, WAIT_S, causes, eventually

__all__ = ["Stage", "Start", "took", "waits"]

# Processes are forked from one that has imported the library, and has neither threads nor stores: far faster than
# starting Python for each life.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.scenarios.stage"])

Death: TypeAlias = int | float | Literal["waiting"]
"""When a life ends: right after so many deeds, some seconds after its runs were started, or when they all wait."""

# Whoever dies so often makes no progress.
_MOST_LIVES = 60


@attrs.frozen
class Start:
    """A run to be started, or to be gone on with.

    Attributes:
        workflow: Its workflow; as `module:name` where this process must not have imported that code.
        args: Its arguments.
        id: Its run id.
        signal: A signal that it is sent; none if empty.
    """

    workflow: Callable[..., Any] | str
    args: tuple[Any, ...] = ()
    id: str = "run"
    signal: str = ""

    def on(self, engine: Engine) -> Run[Any]:
        """Start it, unless it is there already."""
        run = engine.start(_found(self.workflow), *self.args, id=self.id)
        if self.signal:
            run.signal(self.signal)
        return run


@attrs.define
class Stage:
    """One store and one world, from one life to the next.

    Attributes:
        folder: Where they are.
        ahead: How far the clock of this process has been put forward; lives begin with the same.
        poison_after: After how many lost workers without progress a run is parked; None for never.
        processes: Those of all lives.
    """

    folder: Path
    ahead: timedelta = timedelta(0)
    poison_after: int | None = 5
    processes: list[ForkServerProcess] = attrs.field(factory=list[ForkServerProcess])

    @property
    def url(self) -> str:
        """The store."""
        return f"lmdb://{self.folder}/journal?durability=process"

    @property
    def world(self) -> Path:
        """The world."""
        return self.folder / "world"

    def now(self) -> datetime:
        """Tell the time by the clock of this process."""
        return datetime.now(UTC) + self.ahead

    def jump(self, engine: Engine, delta: timedelta) -> None:
        """Put the clock forward."""
        self.ahead += delta
        engine._worker.wake()  # pyright: ignore[reportPrivateUsage]  nothing public tells of a clock

    def engine(self) -> Engine:
        """Begin the last act: an engine in this process, by this process's clock."""
        return Engine(self.url, poison_after=self.poison_after)

    def begin(self, *starts: Start, dies: Death | None = None, scratch: str = "") -> ForkServerProcess:
        """Begin a life."""
        stage = (self.folder, self.ahead, self.poison_after)
        process = _processes.Process(target=_live, args=(stage, starts, dies, scratch), daemon=True)
        process.start()
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Kill whoever still lives."""
        for process in self.processes:
            process.kill()
            process.join(WAIT_S)
            process.close()

    def life(self, *starts: Start, dies: Death, scratch: str = "") -> bool:
        """Let a process work until it dies; tells whether it did, and had not come to the end of all runs before."""
        process = self.begin(*starts, dies=dies, scratch=scratch)
        process.join(WAIT_S)
        assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
        return bool(process.exitcode)

    def killed(self, workflow: Callable[..., Any] | str, *args: Any, dies: Death, scratch: str = "") -> None:
        """Start one run in a process, and kill that at a moment before its end."""
        assert self.life(Start(workflow, args), dies=dies, scratch=scratch), "it ended before it was killed"

    def killed_again_and_again(self, workflow: Callable[..., Any], *args: Any, dies: int = 2) -> int:
        """Play one run to its end in many processes; returns how many died.

        Where deeds come one by one, each process repeats the deed of which the one before did not know, makes one more
        and dies: the run is killed after every one of them.
        """
        for deaths in range(_MOST_LIVES):
            if not self.life(Start(workflow, args), dies=dies):
                return deaths
        raise AssertionError("no progress")

    def history(self, run_id: str = "run") -> tuple[Transition, ...]:
        """Return the records of a run so far, whoever works on it; none before it has started."""
        store = open_store(self.url)
        try:
            return tuple(decoded(run_id, store.history(run_id))) if store.run(run_id) else ()
        finally:
            store.close()

    def calls_at_once(self) -> list[int]:
        """Return how many calls of the run were open, from record to record."""
        levels = [0]
        for record in self.history():
            ended = isinstance(record.cause, Resolved | Rejected)
            begun = sum(command.kind == "call" for command in record.commands)
            levels.append(levels[-1] - ended + begun)
        return levels

    def played(self, workflow: Callable[..., Any], *args: Any) -> Any:
        """Go on with one run in this process to its end, and return its result."""
        with self.engine() as engine:
            return engine.start(workflow, *args, id="run").result(WAIT)


def waits(run: Run[Any]) -> None:
    """Return when a run waits for a timer or for a message."""
    eventually(lambda: run.status is Status.WAITING)


def took(run: Run[Any], signals: int) -> None:
    """Return when a run has taken so many signals in."""
    eventually(lambda: signals == sum(isinstance(cause, Signalled) for cause in causes(run)))


def _live(
    where: tuple[Path, timedelta, int | None], starts: tuple[Start, ...], dies: Death | None, scratch: str
) -> None:
    """Live: the body of a process."""
    stage = Stage(*where)
    os.environ.update(WORLD=str(stage.world), SCRATCH=scratch)
    do = _dying(dies) if isinstance(dies, int) else world.do
    with patch.object(world, "do", do), patch("interp.runtime.engine._utc_now", stage.now), stage.engine() as engine:
        runs = [start.on(engine) for start in starts]
        if isinstance(dies, float):
            Timer(dies, os.kill, (os.getpid(), signal.SIGKILL)).start()
        if dies == "waiting":
            for run in runs:
                waits(run)
            os.kill(os.getpid(), signal.SIGKILL)
        for run in runs:
            with suppress(RunError):  # how a run ends is looked at by the test
                run.result()


def _found(workflow: Callable[..., Any] | str) -> Callable[..., Any]:
    if not isinstance(workflow, str):
        return workflow
    module, _, name = workflow.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def _dying(deeds: int) -> Callable[[str], str]:
    """Return a way to act that ends the process after so many deeds."""
    do, lock, left = world.do, Lock(), [deeds]

    def dying(what: str) -> str:
        with lock:  # the last deed is the last of all threads
            reference = do(what)
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return reference

    return dying
