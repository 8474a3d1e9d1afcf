"""`get_logger`: loggers that know the run and are silent in replays, for workflows and activities."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast

import attrs

from interp.interpreter import at_work
from interp.runtime.attempts import attempt_at_work
from interp.runtime.capture import Message, capturing

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
        """Tell whether a line of this level would be written or captured here and now; never in a replay."""
        workflow = at_work()
        if workflow is not None and not workflow.is_first_time:
            return False
        captured = _captured_level()
        return (captured is not None and level >= captured) or super().isEnabledFor(level)

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Write a line, with the place where it comes from."""
        if not self.isEnabledFor(level):
            return
        place = _place()
        captured = _captured_level()
        if captured is not None and level >= captured:
            _capture(place, Message(msg, args, kwargs.get("exc_info")), self.logger.name, level)
            if not super().isEnabledFor(level):
                return
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
    attempt = attempt_at_work()
    return _Place() if attempt is None else _Place(attempt.run_id, attempt.command_id, attempt.number)


def _captured_level() -> int | None:
    """Return the lowest level that is captured here; None for none."""
    if at_work() is not None:
        capture = capturing.get()
        return None if capture is None else capture.level
    attempt = attempt_at_work()
    return None if attempt is None else attempt.captures


def _capture(place: _Place, message: Message, logger: str, level: int) -> None:
    """Keep a line with its run."""
    line = message.line(logger, level)
    attempt = attempt_at_work()
    if at_work() is None and attempt is not None:
        attempt.log(line)
    elif (capture := capturing.get()) is not None:
        capture.add(place.run_id, place.command_id, line)
