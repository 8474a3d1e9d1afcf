"""`get_logger`: loggers that know the run and are silent in replays, for workflows and activities."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

import attrs

from interp.interpreter import at_work
from interp.runtime.attempts import call_at_work

__all__ = ["RunLogger", "get_logger"]


@attrs.frozen
class _Place:
    """Where a line comes from; the attributes are the fields of its log record."""

    run_id: str = ""
    command_id: str = ""
    attempt: int = 0

    def __str__(self) -> str:
        command = f"/{self.command_id}" if self.command_id else ""
        attempt = f" #{self.attempt}" if self.attempt else ""
        return f"[{self.run_id}{command}{attempt}] " if self.run_id else ""


class RunLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger for workflows and activities; see `get_logger`."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  the name is logging's
        """Tell whether a line of this level would be written here and now; never in a replay."""
        workflow = at_work()
        return (workflow is None or workflow.is_first_time) and super().isEnabledFor(level)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a line, with the place where it comes from."""
        if not self.isEnabledFor(level):
            return
        place = _place()
        extra = cast("Mapping[str, object]", kwargs.pop("extra", None) or {})
        prefix = str(place)
        if args:
            prefix = prefix.replace("%", "%%")
        told = prefix + str(msg)
        stacklevel = kwargs.pop("stacklevel", 1) + 1  # the line belongs to the caller, not to this method
        fields = {**attrs.asdict(place), **extra}
        self.logger.log(level, told, *args, extra=fields, stacklevel=stacklevel, **kwargs)


def get_logger(name: str | None = None) -> RunLogger:
    """Return a logger for workflows and activities, on top of the standard `logging`.

    In a workflow it is silent while recorded work is replayed, so that each line is written when the workflow comes
    there first. A worker that dies before it has recorded the step writes its lines again: they are no record.

    Each line begins with `[run id/command id #attempt]`, and its log record has the fields `run_id`, `command_id` and
    `attempt`. In a workflow the command is the one that was passed last, and the attempt 0. Elsewhere there is no
    prefix, and the fields are empty.

    Args:
        name: Name of the standard logger below; `interp.runs` by default.
    """
    return RunLogger(logging.getLogger(name or "interp.runs"))


def _place() -> _Place:
    workflow = at_work()
    if workflow is not None:
        return _Place(workflow.run_id, workflow.position)
    call = call_at_work()
    return _Place() if call is None else _Place(call.run_id, call.command_id, call.attempt)
