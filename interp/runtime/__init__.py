"""The impure half: the worker's loop, executors, handles, and the opening of stores."""

from interp.runtime.attempts import CallInfo, current_call
from interp.runtime.engine import Engine, run
from interp.runtime.handles import Run
from interp.runtime.logs import RunLogger, get_logger
from interp.runtime.repeated import RepeatedCall
from interp.runtime.schedules import Schedule, ScheduleInfo
from interp.runtime.stores import default_url, open_store
from interp.runtime.streams import Stream, StreamItem

__all__ = [
    "CallInfo",
    "Engine",
    "RepeatedCall",
    "Run",
    "RunLogger",
    "Schedule",
    "ScheduleInfo",
    "Stream",
    "StreamItem",
    "current_call",
    "default_url",
    "get_logger",
    "open_store",
    "run",
]
