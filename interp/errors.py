"""Every exception of interp, one tree, split by who must act.

    InterpError
    |-- WorkflowError              the author of the workflow
    |   |-- ReplayError            history and code disagree; the run is parked, nothing is lost
    |   |   |-- NondeterminismError
    |   |   `-- UndecodableHistory
    |   |-- InvalidDefinition      also a TypeError: what a decorator or `call` refuses
    |   |-- NotACommand            also a TypeError
    |   |-- ForgottenYield         also a TypeError
    |   |-- ForbiddenInWorkflow
    |   |-- Stalled
    |   |-- TaskCancelled
    |   |-- GatherFailed
    |   |-- PartTimeout            also a TimeoutError
    |   |-- UndoFailed
    |   |-- SignalTimeout          also a TimeoutError
    |   `-- SignalPayloadError
    |-- ChildError                 a child did not succeed, raised inside the workflow
    |   |-- ChildCancelled
    |   `-- ChildFailed
    |-- ActivityError              the call failed, raised inside the workflow
    |   |-- CallFailed
    |   |-- CallTimeout            also a TimeoutError
    |   `-- OutcomeUnknown
    |-- NotDone                    what a reconcile function raises: the effect has not happened
    |-- RetryAfter                 what an activity raises to be tried again later
    |-- RunError                   what `run.result()` raises when there is no result
    |   |-- RunFailed
    |   |-- RunCancelled
    |   `-- RunParked
    |-- AskError                   what `run.ask()` raises when there is no answer
    |   |-- AskFailed
    |   |-- AskRefused
    |   |-- AskTimeout             also a TimeoutError
    |   `-- AskUnanswered
    |-- StoreError                 the operator
    |   |-- JournalCorrupt
    |   |-- LeaseLost
    |   |-- NotAStore
    |   |-- PayloadLocked
    |   |-- StoreFailed
    |   |-- StoreFull
    |   |-- StoreReadOnly
    |   |-- TryAgain               nothing was written; the same again will be
    |   `-- UnknownFormat
    `-- UsageError                 the caller; also a ValueError
        |-- CodecError
        |   |-- NotDecodable
        |   `-- NotEncodable
        |-- EngineClosed
        |-- RunEnded
        |-- RunExists
        |-- UnknownRun
        |-- UnknownSchedule
        |-- UnknownStore
        `-- UnknownWorkflow

    Cancelled(BaseException)       thrown into a workflow that is being cancelled

Errors hold fields that a tool can read; `__str__` says what happened and where, what was expected and
found, and what to do now. Each class has an anchor of its own (its name in lower case) in
docs/reference/errors.md.
"""

from __future__ import annotations

from datetime import timedelta
from difflib import get_close_matches

import attrs

from interp.spans import checked_span

__all__ = [
    "ActivityError",
    "AskError",
    "AskFailed",
    "AskRefused",
    "AskTimeout",
    "AskUnanswered",
    "CallFailed",
    "CallTimeout",
    "Cancelled",
    "ChildCancelled",
    "ChildError",
    "ChildFailed",
    "CodecError",
    "EngineClosed",
    "ForbiddenInWorkflow",
    "ForgottenYield",
    "GatherFailed",
    "InterpError",
    "InvalidDefinition",
    "JournalCorrupt",
    "LeaseLost",
    "NondeterminismError",
    "NotACommand",
    "NotAStore",
    "NotDecodable",
    "NotDone",
    "NotEncodable",
    "OutcomeUnknown",
    "PartTimeout",
    "PayloadLocked",
    "ReplayError",
    "RetryAfter",
    "RunCancelled",
    "RunEnded",
    "RunError",
    "RunExists",
    "RunFailed",
    "RunParked",
    "SignalPayloadError",
    "SignalTimeout",
    "Stalled",
    "StoreError",
    "StoreFailed",
    "StoreFull",
    "StoreReadOnly",
    "TaskCancelled",
    "TryAgain",
    "UndecodableHistory",
    "UndoFailed",
    "UnknownFormat",
    "UnknownRun",
    "UnknownSchedule",
    "UnknownStore",
    "UnknownWorkflow",
    "UsageError",
    "WorkflowError",
]


# How many names an error lists: more do not help.
_MOST_NAMES = 12


class InterpError(Exception):
    """The root of every error that interp raises."""


class WorkflowError(InterpError):
    """Something that the author of a workflow can mend."""


class ActivityError(InterpError):
    """A call failed; raised at the `yield` of the call."""


class ChildError(InterpError):
    """A child did not succeed; raised at the `yield` of the child."""


class RunError(InterpError):
    """A run ended, or was set aside, without a result."""


class AskError(InterpError):
    """A request was not answered by a value.

    Attributes of all of its kinds:
        run_id: The run that was asked.
        name: What it was asked under.
        request_id: The id of the request.
    """


class StoreError(InterpError):
    """Something that the operator of the store can mend."""


class UsageError(InterpError, ValueError):
    """An argument or a request that cannot be served; nothing was changed."""


class Cancelled(BaseException):
    """Thrown at the `yield` where a cancelled workflow or fiber waits.

    Derives from `BaseException`, as in asyncio, so that `except Exception` does not swallow it. It is
    thrown once; cleanup code in `except Cancelled` or `finally` may yield further commands.
    """


# --- the author ---------------------------------------------------------------------------------


class ReplayError(WorkflowError):
    """The journal and the code do not fit together; the run is parked and nothing was executed."""


@attrs.frozen(eq=False)
class NondeterminismError(ReplayError):
    """The workflow yielded something else than its history records.

    Attributes:
        run_id: The run.
        index: The record of the history where they part, from 0.
        command_id: The command where they part, or None when the outcome differs.
        recorded: What the history holds, readable; None when it holds nothing there.
        yielded: What the code yields now, readable; None when it yields nothing there.
        recorded_at: `file:line` of the yield when it was recorded, if it was.
        yielded_at: `file:line` of the yield now, if there is one.
        stack: Where the workflow stands now, outermost first: (file, line, function) each.
        hint: What probably happened and what to do.
    """

    run_id: str
    index: int
    command_id: str | None
    recorded: str | None
    yielded: str | None
    recorded_at: str | None
    yielded_at: str | None
    stack: tuple[tuple[str, int, str], ...]
    hint: str

    def __str__(self) -> str:
        """Draw both sides, one below the other."""
        command = f", command {self.command_id}" if self.command_id else ""
        # The fiber may have gone on since that line, into another function.
        is_there = self.stack and (self.yielded_at or "").endswith(f":{self.stack[-1][1]}")
        function = f", in {self.stack[-1][2]}" if is_there else ""
        place = f"  ({self.yielded_at}{function})" if self.yielded_at else ""
        recorded = self.recorded or "nothing here"
        at = f"    recorded at {self.recorded_at}" if self.recorded_at else ""
        return (
            f"run {self.run_id!r} diverged from its history at record {self.index}{command}{place}\n"
            f"  recorded: {recorded}{at}\n"
            f"  yielded:  {self.yielded or 'nothing here'}\n"
            f"{self.hint}\n"
            "docs/reference/errors.md#nondeterminismerror"
        )


@attrs.frozen(eq=False)
class UndecodableHistory(ReplayError):
    """A recorded value does not fit the type that the code declares now.

    Attributes:
        run_id: The run.
        index: The record that holds the value.
        what: Which value it is, such as `result of charge_card (command 3)`.
        reason: Why it does not decode.
    """

    run_id: str
    index: int
    what: str
    reason: str

    def __str__(self) -> str:
        """Name the value, the reason and the way out."""
        return (
            f"run {self.run_id!r}: the recorded {self.what} at record {self.index} no longer decodes\n"
            f"  {self.reason}\n"
            "The declared type changed while this run was open. Make the new type accept the old values\n"
            "(a default, a union), or register the activity under a new name for new runs."
        )


@attrs.frozen(eq=False)
class InvalidDefinition(WorkflowError, TypeError):
    """A function cannot be the workflow or activity that it is declared to be.

    Attributes:
        name: The function.
        where: `file:line` of its definition.
        problem: What is wrong.
        cure: What to write instead.
    """

    name: str
    where: str
    problem: str
    cure: str

    def __str__(self) -> str:
        """Say what is wrong and what to write instead."""
        return f"{self.name} ({self.where}) {self.problem}\n  {self.cure}"


@attrs.frozen(eq=False)
class NotACommand(WorkflowError, TypeError):
    """A workflow yielded something that is not a command.

    Attributes:
        yielded: The value, as `repr` shows it.
        where: `file:line` of the yield.
        cure: What to write instead.
    """

    yielded: str
    where: str
    cure: str

    def __str__(self) -> str:
        """Name the line and the cure."""
        return f"{self.where} yielded {self.yielded}, which is not a command\n  {self.cure}"


@attrs.frozen(eq=False)
class ForgottenYield(WorkflowError, TypeError):
    """A command or generator was made and used as if it were its result.

    Attributes:
        what: The command or generator, readable.
        where: `file:line`, as near as it is known; empty where it is the line that raised.
        problem: What happened to it.
    """

    what: str
    where: str
    problem: str

    def __str__(self) -> str:
        """Name the line and the cure."""
        place = f"{self.where}: " if self.where else ""
        return (
            f"{place}{self.what} was {self.problem}\n"
            f"  Did you mean `yield from {self.what}`? Nothing runs until it is yielded."
        )


@attrs.frozen(eq=False)
class ForbiddenInWorkflow(WorkflowError):
    """A workflow does what makes replays differ: it looks at the clock, draws random numbers, reads files.

    Raised with `Engine(guard="error")` alone: by a start, for what the lint finds, and inside the workflow, at a
    forbidden call.

    Attributes:
        workflow: Name of the workflow.
        findings: What was found, each with its place, why it matters and the cure.
    """

    workflow: str
    findings: tuple[str, ...]

    def __str__(self) -> str:
        """List what was found."""
        told = "\n".join(self.findings)
        return f"workflow {self.workflow} would not replay\n{told}\n  What is meant: # interp: allow[code] on its line."


@attrs.frozen(eq=False)
class Stalled(WorkflowError):
    """The workflow can never move again: it is not finished and waits for nothing that can happen.

    Attributes:
        waits: What each fiber waits for, with its line.
    """

    waits: tuple[str, ...]

    def __str__(self) -> str:
        """List the fibers that wait for each other."""
        return "the workflow can never move again; its fibers wait for each other:\n  " + "\n  ".join(self.waits)


@attrs.frozen(eq=False)
class TaskCancelled(WorkflowError):
    """A task or branch was cancelled, so that it has no value.

    Raised by `join`; stands in the result of a `gather` that tolerates failures, in the place of a branch that was
    cancelled or never started.

    Attributes:
        task_id: The fiber of the task or branch.
    """

    task_id: str

    def __str__(self) -> str:
        """Name the task."""
        return f"task {self.task_id} was cancelled and has no value"


# Failures that a message lists: enough to see a pattern, and no more than a screen.
_SHOWN = 5


def _brief(error: Exception) -> str:
    """Show an exception on a line."""
    try:
        return f"{type(error).__name__}: {error}".removesuffix(": ")
    except Exception:  # noqa: BLE001  a user's __str__ may do anything
        return type(error).__name__


@attrs.frozen(eq=False)
class GatherFailed(WorkflowError):
    """More parts of a gather failed than its options tolerate.

    Attributes:
        parts: How many there were.
        needed: How many had to succeed.
        succeeded: How many had succeeded.
        failures: What those raised that had failed, by the slot of the part.
    """

    parts: int
    needed: int
    succeeded: int
    failures: dict[int, Exception]

    def __str__(self) -> str:
        """Give the counts and the first failures."""
        shown = [f"\n  part {slot}: {_brief(error)}" for slot, error in list(self.failures.items())[:_SHOWN]]
        more = f"\n  and {len(self.failures) - _SHOWN} more" if len(self.failures) > _SHOWN else ""
        return (
            f"{self.needed} of {self.parts} parts had to succeed; "
            f"{len(self.failures)} failed, {self.succeeded} had succeeded{''.join(shown)}{more}"
        )


@attrs.frozen(eq=False)
class PartTimeout(WorkflowError, TimeoutError):
    """A part of the workflow did not end in time; it was cancelled, and its cleanup has ended.

    Attributes:
        part: Which part, readable.
        timeout_s: How long it could take, in seconds.
    """

    part: str
    timeout_s: float

    def __str__(self) -> str:
        """Name the part and the time."""
        return f"{self.part} took longer than {self.timeout_s:g} s and was cancelled"


@attrs.frozen(eq=False)
class UndoFailed(WorkflowError):
    """A saga could not undo all that it had done; the other undo steps were carried out.

    Its `__cause__` is why the saga was undone.

    Attributes:
        reason: Why it was undone, readable.
        steps: How many undo steps there were.
        failures: Which of them failed, readable, and what each raised, in the order in which they ran.
    """

    reason: str
    steps: int
    failures: tuple[tuple[str, Exception], ...]

    def __str__(self) -> str:
        """List what is still to be undone, and why."""
        shown = [f"\n  {step}: {_brief(error)}" for step, error in self.failures]
        return (
            f"{len(self.failures)} of {self.steps} undo steps failed, after {self.reason}{''.join(shown)}\n"
            "These are still to be undone, by hand."
        )


@attrs.frozen(eq=False)
class SignalTimeout(WorkflowError, TimeoutError):
    """No signal came in time.

    Attributes:
        name: The signal that was awaited.
        timeout_s: How long it was awaited, in seconds.
    """

    name: str
    timeout_s: float

    def __str__(self) -> str:
        """Name the signal and the time."""
        return f"no signal {self.name!r} within {self.timeout_s:g} s"


@attrs.frozen(eq=False)
class SignalPayloadError(WorkflowError):
    """A signal came whose payload is not of the type that `await_signal` declares; it is used up.

    Attributes:
        name: The signal.
        payload: What came, as JSON, shortened.
        reason: Why it does not fit.
    """

    name: str
    payload: str
    reason: str

    def __str__(self) -> str:
        """Show the payload and the reason."""
        return f"signal {self.name!r} carries {self.payload}: {self.reason}"


# --- the call -----------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class CallFailed(ActivityError):
    """An activity failed with an exception that it does not declare in `raises=`.

    Attributes:
        activity: Name of the activity.
        type_name: Qualified name of the exception's class.
        message: `str` of the exception.
        attempts: How many attempts were made.
        remote_traceback: The traceback of the last attempt, as text.
    """

    activity: str
    type_name: str
    message: str
    attempts: int
    remote_traceback: str = attrs.field(repr=False)

    def __str__(self) -> str:
        """Give the cause in one line; the remote traceback stays a field."""
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        return f"{self.activity} failed after {tries}: {self.type_name}: {self.message}"


@attrs.frozen(eq=False)
class CallTimeout(ActivityError, TimeoutError):
    """An activity did not begin or finish in time, in none of its attempts.

    Attributes:
        activity: Name of the activity.
        timeout_s: The limit that it broke, in seconds.
        attempts: How many attempts were made.
        limit: Which limit it was: `timeout` of the last attempt, `deadline` of the whole call, `heartbeat` or
            `start_timeout`.
    """

    activity: str
    timeout_s: float
    attempts: int
    limit: str = "timeout"

    def __str__(self) -> str:
        """Name the call and the limit."""
        tries = "1 attempt" if self.attempts == 1 else f"{self.attempts} attempts"
        match self.limit:
            case "heartbeat":
                told = f"gave no heartbeat for {self.timeout_s:g} s"
            case "deadline":
                told = f"was not done within its deadline of {self.timeout_s:g} s"
            case "start_timeout":
                told = f"did not begin within {self.timeout_s:g} s"
            case _:
                told = f"took longer than {self.timeout_s:g} s"
        return f"{self.activity} {told} ({tries})"


@attrs.frozen(eq=False)
class OutcomeUnknown(ActivityError):
    """The worker was lost during an attempt, and the call is not to be attempted again (`on_unknown=`).

    Attributes:
        activity: Name of the activity.
        attempts: How many attempts were begun, or may have been.
        reason: Why nothing more is done about it; empty where `on_unknown="fail"` wants it so.
    """

    activity: str
    attempts: int
    reason: str

    def __str__(self) -> str:
        """Say what is not known."""
        told = f"\n  {self.reason}" if self.reason else ""
        return f"{self.activity}: its worker was lost, and whether attempt {self.attempts} took effect is unknown{told}"


class NotDone(InterpError):
    """Raised by a reconcile function (`on_unknown=`): the effect has not happened, and the call is attempted again."""


class RetryAfter(InterpError):
    """Raised by an activity that wants to be tried again after `delay`, instead of after the pause of its policy.

        raise RetryAfter(timedelta(seconds=30)) from error

    It counts as a failure by the policy, and `never=` and `only=` are not asked. The failure that is recorded is that
    of the cause, if there is one.

    Attributes:
        delay: The next attempt begins so much later, at the earliest.
    """

    def __init__(self, delay: timedelta) -> None:
        """Take the delay, which must not be negative."""
        if checked_span("RetryAfter(delay", delay, UsageError) < timedelta(0):
            raise UsageError(f"RetryAfter({delay!r}): must not be negative")
        super().__init__(f"asked for another attempt after {delay.total_seconds():g} s")
        self.delay = delay


# --- the child ----------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class ChildFailed(ChildError):
    """A child's workflow raised an exception.

    Attributes:
        run_id: The child.
        type_name: Qualified name of the exception's class.
        message: `str` of the exception.
        remote_traceback: Traceback of the child's workflow, as text.
    """

    run_id: str
    type_name: str
    message: str
    remote_traceback: str = attrs.field(repr=False)

    def __str__(self) -> str:
        """Give the cause in one line; the remote traceback stays a field."""
        return f"child {self.run_id!r} failed: {self.type_name}: {self.message}"


@attrs.frozen(eq=False)
class ChildCancelled(ChildError):
    """A child was cancelled, and not by this workflow.

    Attributes:
        run_id: The child.
        reason: What the one who cancelled it gave as the reason.
    """

    run_id: str
    reason: str

    def __str__(self) -> str:
        """Name the child and the reason."""
        return f"child {self.run_id!r} was cancelled" + (f": {self.reason}" if self.reason else "")


# --- the outcome of a run -----------------------------------------------------------------------


@attrs.frozen(eq=False)
class RunFailed(RunError):
    """The workflow raised an exception.

    Attributes:
        run_id: The run.
        type_name: Qualified name of the exception's class.
        message: `str` of the exception.
        remote_traceback: Traceback of the workflow, as text.
    """

    run_id: str
    type_name: str
    message: str
    remote_traceback: str = attrs.field(repr=False)

    def __str__(self) -> str:
        """Give the cause, then the traceback of the workflow."""
        detail = f"\n\n{self.remote_traceback.rstrip()}" if self.remote_traceback else ""
        return f"run {self.run_id!r} failed: {self.type_name}: {self.message}{detail}"


@attrs.frozen(eq=False)
class RunCancelled(RunError):
    """The run was cancelled.

    Attributes:
        run_id: The run.
        reason: What the one who cancelled it gave as the reason.
    """

    run_id: str
    reason: str

    def __str__(self) -> str:
        """Name the reason."""
        return f"run {self.run_id!r} was cancelled" + (f": {self.reason}" if self.reason else "")


@attrs.frozen(eq=False)
class RunParked(RunError):
    """The run is set aside with a reason, until someone acts.

    Attributes:
        run_id: The run.
        reason: Why; for a divergence the text of the error that names both sides.
    """

    run_id: str
    reason: str

    def __str__(self) -> str:
        """Give the reason."""
        return f"{self.reason}\nThe run is parked; `interp retry {self.run_id}` releases it when that is mended."


# --- requests -----------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class AskRefused(AskError):
    """A request was refused before the workflow saw it: by its validator, or since the payload does not fit.

    Attributes:
        run_id: The run that was asked.
        name: What it was asked under.
        request_id: The id of the request.
        reason: Why.
    """

    run_id: str
    name: str
    request_id: str
    reason: str

    def __str__(self) -> str:
        """Give the reason."""
        return f"run {self.run_id!r} refused request {self.name!r}: {self.reason}"


@attrs.frozen(eq=False)
class AskFailed(AskError):
    """The workflow answered a request by `reply(request, error=...)`.

    Attributes:
        run_id: The run that was asked.
        name: What it was asked under.
        request_id: The id of the request.
        reason: The error that it gave.
    """

    run_id: str
    name: str
    request_id: str
    reason: str

    def __str__(self) -> str:
        """Give the error."""
        return f"run {self.run_id!r} answered request {self.name!r} with an error: {self.reason}"


@attrs.frozen(eq=False)
class AskTimeout(AskError, TimeoutError):
    """A request was not answered in time. It stays with the run, which may answer it yet.

    Attributes:
        run_id: The run that was asked.
        name: What it was asked under.
        request_id: The id of the request.
        timeout_s: How long was waited, in seconds.
    """

    run_id: str
    name: str
    request_id: str
    timeout_s: float

    def __str__(self) -> str:
        """Name the request, and how to get its answer later."""
        return (
            f"run {self.run_id!r} has not answered request {self.name!r} within {self.timeout_s:g} s\n"
            f"The request stays with the run: asked again with id={self.request_id!r} it is only waited for."
        )


@attrs.frozen(eq=False)
class AskUnanswered(AskError):
    """The run ended without answering a request.

    Attributes:
        run_id: The run that was asked.
        name: What it was asked under.
        request_id: The id of the request.
        status: How the run ended.
    """

    run_id: str
    name: str
    request_id: str
    status: str

    def __str__(self) -> str:
        """Name the request and how the run ended."""
        return f"run {self.run_id!r} has ended ({self.status}) without answering request {self.name!r}"


# --- the store ----------------------------------------------------------------------------------


@attrs.frozen(eq=False)
class JournalCorrupt(StoreError):
    """The store holds bytes that cannot be what was written.

    Attributes:
        place: File, or run and record.
        reason: What was found.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        """Name the place and the ways out."""
        return (
            f"{self.place} is damaged: {self.reason}\n"
            "Nothing was changed. Restore the store from a backup, or move it aside to start afresh."
        )


@attrs.frozen(eq=False)
class PayloadLocked(StoreError):
    """Values of a run went through a codec that was not given here, or was given with other keys.

    Attributes:
        place: Run and record.
        reason: Why they cannot be read.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        """Name the place and the cure."""
        return (
            f"{self.place} cannot be read: {self.reason}\n"
            "Nothing was changed. Give the codec and all of its keys: Engine(store, codec=...), or on the command line "
            "--codec or $INTERP_CODEC."
        )


@attrs.frozen(eq=False)
class LeaseLost(StoreError):
    """Another worker owns the run now; what this one wanted to append was refused.

    Attributes:
        run_id: The run.
    """

    run_id: str

    def __str__(self) -> str:
        """Name the run."""
        return f"run {self.run_id!r} belongs to another worker now; nothing was written"


@attrs.frozen(eq=False)
class NotAStore(StoreError):
    """The path holds something else than a store of interp.

    Attributes:
        place: The path.
        reason: What was found there.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        """Name the path and what to do."""
        return f"{self.place} is not a store of interp: {self.reason}\nNothing was changed. Choose another directory."


@attrs.frozen(eq=False)
class StoreFailed(StoreError):
    """The store failed in a way that leaves the last commit's outcome unknown; reopen it.

    Attributes:
        place: The store.
        reason: What the system said.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        """Name the store and what to do."""
        return (
            f"{self.place} failed: {self.reason}\n"
            "It is not known whether the last commit was kept. Close and reopen the store: recovery sorts it out."
        )


@attrs.frozen(eq=False)
class StoreFull(StoreError):
    """There is no room for the commit; nothing of it was written.

    Attributes:
        place: The store.
        reason: What the system said.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        """Name the store and what to do."""
        return (
            f"{self.place} has no room left: {self.reason}\nNothing is lost. Free some space; runs go on by themselves."
        )


@attrs.frozen(eq=False)
class StoreReadOnly(StoreError):
    """The store cannot be written to.

    Attributes:
        place: The store.
        reason: What the system said.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        """Name the store and what to do."""
        return f"{self.place} cannot be written to: {self.reason}\nCheck its owner, its mode and the mount."


@attrs.frozen(eq=False)
class TryAgain(StoreError):
    """A transaction was given up and nothing of it was written; the same again will probably be.

    The worker does so by itself. The error reaches who writes with `with engine.transaction():`, since only the caller
    can run the block again.

    Attributes:
        place: The store.
        reason: What was in the way.
    """

    place: str
    reason: str

    def __str__(self) -> str:
        """Name the store and what to do."""
        return f"{self.place}: {self.reason}\nNothing was written. Run the whole block again."


@attrs.frozen(eq=False)
class UnknownFormat(StoreError):
    """The store was written by a version of interp whose format this one does not know.

    Attributes:
        place: The store.
        found: The format number found.
        known: The format numbers that this version reads.
    """

    place: str
    found: int
    known: tuple[int, ...]

    def __str__(self) -> str:
        """Name both numbers and what to do."""
        known = ", ".join(map(str, self.known))
        return (
            f"{self.place} has format {self.found}; this version of interp knows {known}\n"
            "Nothing was changed. Use the version of interp that wrote it, or a newer one."
        )


# --- the caller ---------------------------------------------------------------------------------


class CodecError(UsageError):
    """A value and its declared type do not fit."""


@attrs.frozen(eq=False)
class NotEncodable(CodecError):
    """A value cannot be written to the journal as its declared type.

    Attributes:
        path: Where in the argument or result, such as `order.items[3].price`.
        type_name: The type of the value found there.
        reason: Why it is refused, and what to write instead.
    """

    path: str
    type_name: str
    reason: str

    def __str__(self) -> str:
        """Name the place, the type and the reason."""
        return f"{self.path}: a value of type {self.type_name} cannot be recorded: {self.reason}"


@attrs.frozen(eq=False)
class NotDecodable(CodecError):
    """Recorded JSON does not fit the declared type.

    Attributes:
        path: Where in the value, such as `$.items[3].price`.
        expected: The declared type.
        found: What is there, shortened.
        reason: Why it is refused.
    """

    path: str
    expected: str
    found: str
    reason: str

    def __str__(self) -> str:
        """Name the place and both sides."""
        reason = f" ({self.reason})" if self.reason else ""
        return f"{self.path}: expected {self.expected}, found {self.found}{reason}"


@attrs.frozen(eq=False)
class EngineClosed(UsageError):
    """The engine was asked for something after it had been closed, or had failed.

    Attributes:
        reason: Why it is closed.
    """

    reason: str

    def __str__(self) -> str:
        """Give the reason."""
        return f"the engine is closed: {self.reason}"


@attrs.frozen(eq=False)
class RunEnded(UsageError):
    """A message was sent to a run that has ended.

    Attributes:
        run_id: The run.
        status: How it ended.
    """

    run_id: str
    status: str

    def __str__(self) -> str:
        """Name the run and how it ended."""
        return f"run {self.run_id!r} has ended ({self.status}); it takes no more messages"


@attrs.frozen(eq=False)
class RunExists(UsageError):
    """The run id is taken by a run of another workflow or with other arguments.

    Attributes:
        run_id: The run id.
        existing: What runs under this id, readable.
        requested: What was asked for, readable.
    """

    run_id: str
    existing: str
    requested: str

    def __str__(self) -> str:
        """Draw both sides, one below the other."""
        return (
            f"run id {self.run_id!r} is taken\n"
            f"  existing:  {self.existing}\n"
            f"  requested: {self.requested}\n"
            "Use another id for another piece of work; the same id and arguments give the existing run."
        )


@attrs.frozen(eq=False)
class UnknownRun(UsageError):
    """There is no run with this id in the store.

    Attributes:
        run_id: The id asked for.
        store: URL of the store.
    """

    run_id: str
    store: str

    def __str__(self) -> str:
        """Name the id and the store."""
        return (
            f"there is no run {self.run_id!r} in {self.store}\n`interp list --store {self.store}` shows what there is."
        )


@attrs.frozen(eq=False)
class UnknownSchedule(UsageError):
    """There is no schedule with this id in the store, or it was deleted.

    Attributes:
        schedule_id: The id asked for.
        store: URL of the store.
        known: The ids of those that there are.
    """

    schedule_id: str
    store: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        """Name the id, the store and the schedules that there are."""
        near = get_close_matches(self.schedule_id, self.known)
        names = [*near, *(name for name in self.known if name not in near)]
        known = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "") or "none"
        return f"there is no schedule {self.schedule_id!r} in {self.store} (there are: {known})"


@attrs.frozen(eq=False)
class UnknownStore(UsageError):
    """A store URL that nothing can open.

    Attributes:
        url: The URL.
        reason: Why, and what would be understood.
    """

    url: str
    reason: str

    def __str__(self) -> str:
        """Name the URL and the reason."""
        return f"cannot open store {self.url!r}: {self.reason}"


@attrs.frozen(eq=False)
class UnknownWorkflow(UsageError):
    """No workflow of this name is known to this program.

    Attributes:
        name: The name asked for.
        known: The names that are known.
    """

    name: str
    known: tuple[str, ...]

    def __str__(self) -> str:
        """Name the workflow and what is known."""
        near = get_close_matches(self.name, self.known)
        names = [*near, *(name for name in self.known if name not in near)]
        known = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "") or "none"
        return (
            f"no workflow is registered as {self.name!r} (known: {known})\n"
            "Import the module that defines it before the engine starts."
        )
