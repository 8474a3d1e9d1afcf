"""Durable execution as a Python library: workflows are generators, and what they did is never done twice."""

from typing import TYPE_CHECKING  # noqa: TID251  # beside `names_later`

from interp import runtime as runtime  # for `interp.runtime.open_store`; it imports nothing by itself
from interp._later import names_later
from interp.asking import Request
from interp.branching import cancel, gather, join, map_, race, shield, spawn, timeout
from interp.budget import HistoryBudget
from interp.commands import Call, Command, Part, RunInfo, Task, Workflow
from interp.constructors import (
    annotate,
    await_signal,
    call,
    child,
    continue_as,
    emit,
    now,
    patched,
    random,
    reply,
    run_info,
    send,
    sleep,
    sleep_until,
    transact,
    uuid,
)
from interp.definitions import activity, defined_in, workflow
from interp.errors import (
    ActivityError,
    AskError,
    AskFailed,
    AskRefused,
    AskTimeout,
    AskUnanswered,
    CallFailed,
    CallTimeout,
    Cancelled,
    ChildCancelled,
    ChildError,
    ChildFailed,
    ForbiddenInWorkflow,
    GatherFailed,
    InterpError,
    NondeterminismError,
    NotDone,
    OutcomeUnknown,
    PartTimeout,
    PayloadLocked,
    RetryAfter,
    RunCancelled,
    RunEnded,
    RunError,
    RunExists,
    RunFailed,
    RunParked,
    SignalPayloadError,
    SignalTimeout,
    StoreError,
    TaskCancelled,
    TryAgain,
    UndoFailed,
    UnknownRun,
    UsageError,
    WorkflowError,
)
from interp.policies import Retry
from interp.saga import Saga
from interp.tables import Table, Transaction

__all__ = [
    "ActivityError",
    "AskError",
    "AskFailed",
    "AskRefused",
    "AskTimeout",
    "AskUnanswered",
    "Call",
    "CallFailed",
    "CallInfo",
    "CallTimeout",
    "Cancelled",
    "ChildCancelled",
    "ChildError",
    "ChildFailed",
    "Command",
    "Compressed",
    "Encrypted",
    "Engine",
    "Fire",
    "ForbiddenInWorkflow",
    "GatherFailed",
    "HistoryBudget",
    "InterpError",
    "NondeterminismError",
    "NotDone",
    "OutcomeUnknown",
    "Part",
    "PartTimeout",
    "PayloadCodec",
    "PayloadLocked",
    "RepeatedCall",
    "Request",
    "Retry",
    "RetryAfter",
    "Run",
    "RunCancelled",
    "RunEnded",
    "RunError",
    "RunExists",
    "RunFailed",
    "RunFilter",
    "RunInfo",
    "RunLogger",
    "RunParked",
    "RunRow",
    "Saga",
    "Schedule",
    "ScheduleInfo",
    "SignalPayloadError",
    "SignalTimeout",
    "Status",
    "StoreError",
    "Stream",
    "StreamItem",
    "Table",
    "Task",
    "TaskCancelled",
    "Transaction",
    "TryAgain",
    "UndoFailed",
    "UnknownRun",
    "UsageError",
    "Workflow",
    "WorkflowError",
    "activity",
    "annotate",
    "await_signal",
    "call",
    "cancel",
    "child",
    "continue_as",
    "current_call",
    "emit",
    "gather",
    "get_logger",
    "join",
    "map_",
    "now",
    "patched",
    "race",
    "random",
    "reply",
    "run",
    "run_info",
    "send",
    "shield",
    "sleep",
    "sleep_until",
    "spawn",
    "timeout",
    "transact",
    "uuid",
    "workflow",
]

# What is above is enough to write workflows, and modules of workflows are imported by programs that run none: by tests,
# linters, whoever starts runs for other processes. The other half, which runs them, is imported with the first of these
# names, as by `from interp import Engine`: without it `import interp` takes half the time.
if TYPE_CHECKING:
    from interp.payloads import Compressed, Encrypted, PayloadCodec
    from interp.runtime.attempts import CallInfo, current_call
    from interp.runtime.engine import Engine, run
    from interp.runtime.handles import Run
    from interp.runtime.logs import RunLogger, get_logger
    from interp.runtime.repeated import RepeatedCall
    from interp.runtime.schedules import Schedule, ScheduleInfo
    from interp.runtime.streams import Stream, StreamItem
    from interp.schedules.book import Fire
    from interp.store import RunFilter, RunRow, Status
else:
    __getattr__ = names_later(
        globals(),
        {
            "interp.payloads": ("Compressed", "Encrypted", "PayloadCodec"),
            "interp.runtime.attempts": ("CallInfo", "current_call"),
            "interp.runtime.engine": ("Engine", "run"),
            "interp.runtime.handles": ("Run",),
            "interp.runtime.logs": ("RunLogger", "get_logger"),
            "interp.runtime.repeated": ("RepeatedCall",),
            "interp.runtime.schedules": ("Schedule", "ScheduleInfo"),
            "interp.runtime.streams": ("Stream", "StreamItem"),
            "interp.schedules.book": ("Fire",),
            "interp.store": ("RunFilter", "RunRow", "Status"),
        },
    )

# The workflow behind schedules: checks and tests replay it, too, in programs that have no engine.
defined_in("interp.schedules.keeper", "interp.schedule")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__} - {"TYPE_CHECKING", "defined_in", "names_later"})
