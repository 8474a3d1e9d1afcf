"""Stand at a record of a run: its history is replayed up to there, with no effects.

The replay is the ordinary one (`interp.replay`): recorded answers are fed, and what the code yields is compared. No
activity is called, nothing is written, and nothing that the workflow prints or logs is heard.

A step forward is cheap: the live interpreter is kept and fed the next record. A step back replays from the beginning.
Suspended generators must end on the thread that ran them, so each thread keeps its own standing, one, and ends it
when another one takes its place, when the thread ends, or when the program does.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import attrs

from interp.definitions import WorkflowDefinition
from interp.events import Transition
from interp.explore.quiet import quiet
from interp.explore.scenes import FRAMES, Memo, Scene, scene_of
from interp.frames import StackFrame, message, raised_at
from interp.interpreter import Interpreter
from interp.replay import follow, opened

__all__ = ["Standing", "Trouble", "let_go", "standing"]


@attrs.frozen
class Trouble:
    """Why a record cannot be stood at.

    Attributes:
        index: The first record that cannot.
        why: What is in the way, in words; may have several lines.
    """

    index: int
    why: str


@attrs.define(eq=False)
class Standing:
    """A run, held at one of its records.

    Attributes:
        run_id: The run.
        definition: Its workflow.
        history: Its records.
        interpreter: The run as it is there; None before `go`.
        trouble: What was met, on the way to a record that cannot be reached.
    """

    run_id: str
    definition: WorkflowDefinition
    history: Sequence[Transition]
    interpreter: Interpreter | None = None
    trouble: Trouble | None = None
    _memo: Memo = attrs.field(factory=Memo)
    _scenes: dict[int, Scene] = attrs.field(factory=dict[int, Scene])

    @property
    def index(self) -> int:
        """The record stood at; -1 for none."""
        return -1 if self.interpreter is None else self.interpreter.length - 1

    def go(self, index: int) -> int:
        """Stand at a record, or at the last one before it that can be reached.

        Args:
            index: The record.

        Returns:
            The record stood at; -1 when not even the first one can be reached.
        """
        last = len(self.history) - 1 if self.trouble is None else self.trouble.index - 1
        wanted = min(index, last)
        if wanted < self.index:
            self.close()
        for following in range(self.index + 1, wanted + 1):
            try:
                self._follow(following)
            except Exception as error:  # noqa: BLE001  the code may do anything; it is told, and the rest is shown
                self.trouble = Trouble(following, _told(error))
                self.close()
                return self.go(following - 1)
            except BaseException:  # the user's Ctrl-C: where the run stands now nobody knows
                self.close()
                raise
        return self.index

    def look(self, index: int) -> tuple[int, Scene | None, Scene | None]:
        """Stand at a record, or at the last one before it that can be reached, and look.

        Args:
            index: The record.

        Returns:
            The record stood at (-1 for none), the scene one record before, and the scene there.
        """
        _, before = self._scene(index - 1)
        reached, scene = self._scene(index)
        if reached < index:
            _, before = self._scene(reached - 1)
            reached, scene = self._scene(reached)
        self._scenes = {at: self._scenes[at] for at in (reached - 1, reached) if at in self._scenes}
        return reached, before, scene

    def _scene(self, index: int) -> tuple[int, Scene | None]:
        """Return the scene at a record, or at the last one before it that can be reached, and which that is."""
        if index in self._scenes:  # as it was, and no need to go back for it
            return index, self._scenes[index]
        reached = self.go(index) if index >= 0 else -1
        if self.interpreter is None or reached < 0:
            return -1, None
        if reached not in self._scenes:
            self._scenes[reached] = scene_of(self.interpreter, self.history[reached].at, self._memo)
        return reached, self._scenes[reached]

    def frames(self, fiber_id: str) -> tuple[StackFrame, ...]:
        """Return the live frames of a fiber; where the run has failed those of the root are the exception's."""
        if self.interpreter is None:
            return ()
        error = self.interpreter.error
        if error is not None:
            return raised_at(error)[-FRAMES:] if not fiber_id else ()
        return self.interpreter.stack(fiber_id)[-FRAMES:]

    def _follow(self, index: int) -> None:
        transition = self.history[index]
        if self.interpreter is None:
            self.interpreter = opened(self.definition, transition, self.run_id)
        follow(self.interpreter, transition)

    def serves(self, run_id: str, definition: WorkflowDefinition, history: Sequence[Transition]) -> bool:
        """Tell whether this standing is as good as a fresh one for a history: the same, or the same gone on."""
        if self.run_id != run_id or self.definition is not definition:
            return False
        if self.history is history:
            return True
        at = self.index
        return (
            self.trouble is None
            and 0 <= at < min(len(history), len(self.history))
            and self.history[0] == history[0]
            and self.history[at] == history[at]
        )

    def close(self) -> None:
        """Drop what is alive of the run."""
        interpreter, self.interpreter = self.interpreter, None
        if interpreter is not None:
            interpreter.close()


def _told(error: Exception) -> str:
    text = message(error)
    return text if type(error).__module__ == "interp.errors" else f"{type(error).__name__}: {text}"


class _Holder:
    """Ends a standing when the thread that it belongs to ends."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing

    def __del__(self) -> None:
        with quiet():
            self.standing.close()


class _Kept(threading.local):
    """What each thread keeps."""

    holder: _Holder | None = None


_kept = _Kept()


def let_go() -> None:
    """End the standing of this thread, if there is one."""
    _kept.holder = None


atexit.register(let_go)


@contextmanager
def standing(run_id: str, definition: WorkflowDefinition, history: Sequence[Transition]) -> Generator[Standing]:
    """Give the standing of a run on this thread, in silence; it is kept for the next time.

    Args:
        run_id: The run.
        definition: Its workflow.
        history: Its records.
    """
    holder = _kept.holder
    if holder is None or not holder.standing.serves(run_id, definition, history):
        let_go()
        holder = _kept.holder = _Holder(Standing(run_id, definition, history))
    holder.standing.history = history
    with quiet():
        yield holder.standing
