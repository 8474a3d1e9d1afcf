"""`Engine`: a worker in this process, and the door for programs. `run`: one workflow, start to result."""

from __future__ import annotations

import os
import platform
import secrets
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self, TypeVar, TypeVarTuple

import msgspec

from interp.budget import HistoryBudget
from interp.codec import ValueCodec
from interp.commands import Command, Workflow
from interp.definitions import WorkflowDefinition, find_workflow, newest_workflow, workflow_of
from interp.errors import EngineClosed, RunExists, UnknownRun, UsageError
from interp.events import Signalled
from interp.payloads import PayloadCodec
from interp.runtime.creating import describe_run, describe_start, new_run
from interp.runtime.deploys import Deploy
from interp.runtime.forking import fork
from interp.runtime.guard import GuardMode
from interp.runtime.handles import Run, result_codec
from interp.runtime.receipt import Receipt
from interp.runtime.requests import Start, Tell
from interp.runtime.schedules import (
    HEARD_WITHIN_S,
    Schedule,
    find_schedules,
    first_args,
    schedule_digest,
    schedule_workflow,
)
from interp.runtime.sealed import sealed_store
from interp.runtime.stores import open_store
from interp.runtime.vetting import vet
from interp.runtime.worker import CLOSED, Worker, WorkerOptions
from interp.schedules.specs import DAY, Overlap, checked, checked_id
from interp.schedules.times import Timing
from interp.spans import checked_span
from interp.store import RUN_ID_BYTES, RunFilter, RunRow, Store, Transactional, Why, is_run_id
from interp.tables import Transaction

__all__ = ["Engine", "run"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# How long the doorbell thread listens at a time, in seconds: bounds how long closing takes.
_LISTEN_S = 0.5

_DEFAULT_BUDGET = HistoryBudget()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Engine:
    """A worker in this process on one store: starts runs, moves them, and takes over those that a crash left behind.

        with Engine("lmdb:journal") as engine:
            run = engine.start(checkout, order, id="order-42")
            print(run.result())

    The worker begins with the engine, not with `with`. Several engines, in one process or in many, may share a store;
    each run is owned by one of them at a time.

    In the background an engine that starts replays the runs that are parked because history and code differed, and
    releases those that fit its code; and it warns of open runs of versions that are not registered.
    """

    def __init__(
        self,
        store: str | Store | None = None,
        *,
        codec: PayloadCodec | None = None,
        threads: int = 64,
        cache: int = 1_000,
        grace: timedelta = timedelta(seconds=10),
        poison_after: int | None = 5,
        history_budget: HistoryBudget = _DEFAULT_BUDGET,
        capture_logs: int | None = None,
        guard: GuardMode = "warn",
    ) -> None:
        """Open the store and start the worker.

        Args:
            store: URL of the store (None: `$INTERP_STORE`, else `lmdb:.interp`), or an open store, which stays open
                when the engine closes.
            codec: What is done to values before the store sees them, such as `Encrypted`; None for nothing.
            threads: How many sync activities may run at once, 1 or more.
            cache: How many idle runs are kept in memory, 0 or more.
            grace: How long activities in flight may go on when the engine closes.
            poison_after: A run is parked when it has lost so many workers in a row without any progress of its own, as
                when an activity uses up the memory; None for never. An engine that is closed, and whose `grace` is too
                short for the run's calls, counts too.
            history_budget: How long the history of a run may grow before a warning is logged and recorded.
            capture_logs: From this level on, such as `logging.INFO`, lines of `interp.get_logger()` are kept with their
                run, the newest 1,000: `interp logs RUN` shows them. None keeps none.
            guard: What happens when a workflow does what it must not do, such as look at the clock, by the lint before
                a start and by watching the calls that it makes (from Python 3.12 on): `warn` logs each place once;
                `error` refuses the start, and raises `ForbiddenInWorkflow` inside the workflow at the call: for tests
                and trials; `off` does neither. A start is always refused for a command that is certainly never yielded.

        Raises:
            UnknownStore: The URL names no kind of store that is installed.
            StoreError: The store cannot be opened.
        """
        if threads < 1 or cache < 0:
            raise UsageError(f"Engine(threads={threads}, cache={cache}): threads must be 1 or more, cache 0 or more")
        if poison_after is not None and poison_after < 1:
            raise UsageError(f"Engine(poison_after={poison_after}): must be 1 or more, or None")
        if guard not in ("warn", "off", "error"):
            raise UsageError(f"Engine(guard={guard!r}): must be 'warn', 'off' or 'error'")
        checked_span("Engine(grace", grace, UsageError)
        self._guard: GuardMode = guard
        self._owns_store = store is None or isinstance(store, str)
        opened: Store = open_store(store) if store is None or isinstance(store, str) else store
        self.store: Store = opened if codec is None else sealed_store(opened, codec)
        self.name = f"{platform.node() or 'host'}-{os.getpid()}-{secrets.token_hex(4)}"
        self._grace = grace
        self._closed = threading.Event()
        options = WorkerOptions(
            threads, cache, _utc_now, poison_after, budget=history_budget, capture_logs=capture_logs, guard=guard
        )
        self._threads: list[threading.Thread] = []
        self._worker = self._employ(options)

    def _employ(self, options: WorkerOptions) -> Worker:
        """Set a worker to work, with what it needs besides; a test's engine has one that it drives itself."""
        worker = Worker(self.store, self.name, options)
        self._threads += [
            threading.Thread(target=target, name=f"interp-{name}", daemon=True)
            for name, target in (
                ("worker", worker.run),
                ("doorbell", partial(self._listen, worker)),
                ("deploy", partial(self._look_after, worker)),
            )
        ]
        for thread in self._threads:
            thread.start()
        return worker

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the engine; at once when the user has interrupted the program."""
        self.close(timedelta(0) if kind is KeyboardInterrupt else None)

    def start(
        self,
        workflow: Callable[[*Ts], Workflow[T]],
        *args: *Ts,
        id: str | None = None,
        start_at: datetime | None = None,
    ) -> Run[T]:
        """Start a run; it is durable on return. The same id and arguments again give the run that exists.

        Args:
            workflow: A function declared with `@workflow`; of several versions the one that this function is.
            *args: Its arguments.
            id: The run id, at most 400 bytes; a random one by default.
            start_at: When its workflow begins, aware; at once by default, or if it is past. The run exists before: it
                can be cancelled, and keeps signals. Of a run that exists the time stays as it was.

        Raises:
            RunExists: The id is taken by another workflow or by other arguments; another version is no other workflow.
            UsageError: `start_at` does not say in which time zone it is.
            InvalidDefinition: The function is no workflow.
            NotEncodable: An argument cannot be recorded as its annotation says.
            StoreError: The store cannot write.
        """
        definition = workflow_of(workflow)
        start = self._new(definition, definition.arguments.encode(args, {}), id, start_at)
        return self._request([start])[0]

    def start_many(
        self,
        workflow: Callable[[*Ts], Workflow[T]],
        runs: Iterable[tuple[str, tuple[*Ts]]],
        *,
        start_at: datetime | None = None,
    ) -> list[Run[T]]:
        """Start many runs of one workflow; all are durable on return, with few commits.

        Args:
            workflow: A function declared with `@workflow`.
            runs: The id and the tuple of arguments of each.
            start_at: When their workflows begin; see `start`.

        Raises:
            RunExists: An id is taken by something else; the others are started.
        """
        definition = workflow_of(workflow)
        encode = definition.arguments.encode
        return self._request([self._new(definition, encode(args, {}), run_id, start_at) for run_id, args in runs])

    def schedule(
        self,
        workflow: Callable[[*Ts], Workflow[Any]],
        *args: *Ts,
        id: str,
        cron: str | None = None,
        every: timedelta | None = None,
        timezone: str = "UTC",
        overlap: Overlap = "skip",
        catch_up: timedelta | None = DAY,
        jitter: timedelta = timedelta(0),
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Schedule:
        """Start a workflow again and again, at given times; the schedule is durable on return.

        Each fire starts a run of its own, `<id>/<scheduled time in UTC>`, so that none can happen twice. The run learns
        that time by `run_info().scheduled_at`. The same call again changes nothing; with other arguments it changes the
        schedule in place. One that is paused stays paused.

        Args:
            workflow: A function declared with `@workflow`, known to the workers by its name. Each fire takes the newest
                version that the worker knows, if that is newer than the version of this function.
            *args: Its arguments.
            id: The id of the schedule, at most 360 bytes.
            cron: When: minute, hour, day of the month, month, day of the week; or six fields, with seconds first.
            every: When: each time that this period is over, counted from `start`, else from 1970 in UTC. Give this or
                `cron`.
            timezone: In which the cron expression is read, such as `Europe/Zurich`.
            overlap: What becomes of a fire while a run that the schedule started is still at work: `skip` leaves it
                out, `queue` lets it wait, `allow` runs both, `cancel` asks the run to cancel and lets the fire wait
                until it has ended.
            catch_up: How late a fire may be made good, when no worker was there at its time; a day by default. None
                makes good nothing that is more than ten seconds late.
            jitter: Delays each fire by a random time of up to so much, always the same for the same fire. Must be
                shorter than the time between two fires.
            start: Nothing fires before this moment, aware.
            end: Nothing fires from this moment on, aware.

        Raises:
            UsageError: The times make no sense; says which part does not.
            RunExists: The id is taken by a run that is no schedule.
            InvalidDefinition: The function is no workflow, or its name does not say which one is meant.
            NotEncodable: An argument cannot be recorded as its annotation says.
        """
        definition = workflow_of(workflow)
        vet(definition, self._guard)
        find_workflow(definition.name)
        timing = Timing(cron, every, timezone, jitter, start, end)
        encoded = definition.arguments.encode(args, {})
        spec = checked(definition.name, encoded, timing, overlap=overlap, catch_up=catch_up)
        request = self._new(schedule_workflow(), first_args(spec), checked_id(id))
        request.create = msgspec.structs.replace(request.create, digest=schedule_digest)
        self._request([request])
        scheduled = Schedule(id, self.store, self._post, HEARD_WITHIN_S)
        if request.done.result() == "exists":
            scheduled.update(spec)
        return scheduled

    def get_schedule(self, schedule_id: str) -> Schedule:
        """Return a handle on a schedule that exists.

        Raises:
            UnknownSchedule: There is none of this id, or it was deleted.
        """
        found = Schedule(schedule_id, self.store, self._post, HEARD_WITHIN_S)
        found.check()
        return found

    def schedules(self) -> list[Schedule]:
        """Return the schedules of the store, the oldest first."""
        return [Schedule(row.id, self.store, self._post, HEARD_WITHIN_S) for row in find_schedules(self.store)]

    def _post(self, run_id: str, event: Signalled) -> None:
        done = Receipt[None]()
        self._worker.put(Tell(run_id, event, done))
        done.result()

    def start_json(
        self, name: str, args: bytes, *, id: str | None = None, start_at: datetime | None = None
    ) -> Run[Any]:
        """Start a run by the name of its workflow, with arguments as a JSON array; see `start`.

        Args:
            name: The name of a registered workflow, for its newest version; or with the version, as in `checkout@1`.
            args: A JSON array of its arguments.
            id: The run id; a random one by default.
            start_at: When its workflow begins; see `start`.

        Raises:
            UnknownWorkflow: No workflow is registered under the name.
            NotDecodable: The arguments do not fit the workflow.
        """
        definition = newest_workflow(name)
        positional, named = definition.arguments.decode(args)
        encoded = definition.arguments.encode(positional, named)
        return self._request([self._new(definition, encoded, id, start_at)])[0]

    def fork(
        self, run_id: str, *, at: int, results: Mapping[str, Any] | None = None, id: str | None = None
    ) -> Run[Any]:
        """Start a new run from the first records of another, and go on live from there; it is durable on return.

        What the records hold is not executed again. Calls that wait after them are made by the new run, with
        idempotency keys of its own.

        Args:
            run_id: The run to fork; it stays as it is.
            at: How many records are taken over: those with index 0 to `at - 1` (`interp show RUN --records`).
            results: Results of calls by command id: they replace recorded ones, and calls that wait are not made.
            id: The id of the new run; a random one by default. The same fork again gives the run that exists.

        Raises:
            NondeterminismError: The records do not fit the code as it is now; nothing was created.
            UnknownRun: There is no such run.
            UnknownWorkflow: Its workflow is not registered.
            RunExists: The id is taken by something else.
            UsageError: The run has not so many records, or has ended with them, or a result belongs to no call.
        """
        if self._closed.is_set():
            raise EngineClosed(CLOSED)
        forked = fork(self.store, run_id, at=at, results=results, id=None if id is None else _checked(id))
        self._worker.wake()
        return self.get(forked)

    def get(self, run_id: str) -> Run[Any]:
        """Return a handle on a run that exists.

        Raises:
            UnknownRun: There is no such run.
        """
        row = self.store.run(run_id) if is_run_id(run_id) else None
        if row is None:
            raise UnknownRun(run_id, self.store.url)
        return self._handle(run_id, result_codec(row.workflow), row.workflow)

    def transaction(self, *, write: bool = True) -> AbstractContextManager[Transaction]:
        """Open a transaction on your own tables in the store, on this thread: to fill them, and to look.

            with engine.transaction() as tx:
                tx.table("accounts").put(b"ada", b"100")

        It is committed at the end of the block, durably, and nothing of it when the block raises. Workflows use
        `transact`. Keep it short: a writing one keeps every worker from writing, and a reading one, which sees one
        moment, keeps the store's file from reusing its pages. Within it no engine can be asked for anything else.

        Args:
            write: Whether anything is to be changed.

        Raises:
            UsageError: The store keeps no tables of its users, or this thread has a transaction open already.
            TryAgain: At the end of the block: nothing was written; run the block again.
            StoreError: The store cannot write.
        """
        if not isinstance(self.store, Transactional):
            raise UsageError(f"store {self.store.url} keeps no tables of its users; `lmdb:` and `memory:` do")
        return self.store.transaction(write=write)

    @property
    def trouble(self) -> BaseException | None:
        """What has ended the worker, such as a store that failed; None while it works."""
        return self._worker.trouble

    def runs(self, where: RunFilter | None = None) -> list[RunRow]:
        """List the runs of the store, the oldest first.

        Args:
            where: Which ones; all by default.
        """
        return self.store.runs(where or RunFilter())

    def close(self, grace: timedelta | None = None) -> None:
        """Stop the worker: activities in flight may end, what is recorded stays, other engines can go on.

        Args:
            grace: How long activities in flight may go on; what the engine was made with by default.
        """
        if self._closed.is_set():
            return
        span = checked_span("close(grace", self._grace if grace is None else grace, UsageError)
        self._closed.set()
        self._worker.stop(span.total_seconds())
        for thread in self._threads:
            thread.join()
        self._worker.bell.ring()  # those who read streams learn that nothing more will come
        if self._owns_store:
            self.store.close()

    def _listen(self, worker: Worker) -> None:
        """Ring the worker when somebody else wrote to the store."""
        while not self._closed.is_set() and worker.trouble is None:
            try:
                if self.store.changed(_LISTEN_S, self.name):
                    worker.wake()
                    worker.bell.ring()
                worker.warn()
            except Exception:  # noqa: BLE001  a store that failed or was closed: the worker meets it, too, and tells
                worker.wake()
                self._closed.wait(_LISTEN_S)
        worker.bell.ring()

    def _look_after(self, worker: Worker) -> None:
        """Look after what earlier deploys have left, once the worker is there to take it."""
        worker.ready.wait()
        if worker.trouble is None:
            Deploy(self.store, self.name, _utc_now).look(self._closed)

    def _new(
        self, definition: WorkflowDefinition, args: bytes, run_id: str | None, start_at: datetime | None = None
    ) -> Start:
        """Prepare a start; nothing has happened yet."""
        vet(definition, self._guard)
        run_id = secrets.token_hex(8) if run_id is None else _checked(run_id)
        new = new_run(definition, args, run_id, start_at=start_at, worker=self.name)
        return Start(new.create, definition, new.started, Receipt())

    def _request(self, starts: list[Start]) -> list[Run[Any]]:
        """Hand starts to the worker, all at once, and wait until they are durable."""
        if self._closed.is_set():
            raise EngineClosed(CLOSED)
        for start in starts:
            self._worker.put(start)
        return [self._started(start) for start in starts]

    def _started(self, start: Start) -> Run[Any]:
        why: Why | None = start.done.result()
        if why == "differs":
            raise self._taken(start)
        # One that existed may be of another version: the handle sees that when it reads the row.
        return self._handle(start.create.run_id, start.definition.arguments.result, start.definition.name)

    def _handle(self, run_id: str, result: ValueCodec[Any], workflow: str) -> Run[Any]:
        return Run(run_id, self._worker, result, workflow)

    def _taken(self, start: Start) -> RunExists:
        run_id = start.create.run_id
        return RunExists(run_id, describe_run(self.store, run_id), describe_start(start.started))


def _checked(run_id: str) -> str:
    if not is_run_id(run_id):
        shown = repr(run_id if len(run_id) <= 40 else run_id[:40] + "...")
        raise UsageError(f"run id {shown}: it must have 1 to {RUN_ID_BYTES} bytes of UTF-8, without NUL and surrogates")
    return run_id


def run(
    workflow: Callable[[*Ts], Generator[Command[Any], Any, T]],
    *args: *Ts,
    id: str | None = None,
    store: str | Store | None = None,
    codec: PayloadCodec | None = None,
) -> T:
    """Start a workflow, or go on with it, and return its result: durable execution for a script.

    Args:
        workflow: A function declared with `@workflow`.
        *args: Its arguments.
        id: The run id: give one, so that the script finds its run again after a crash.
        store: As for `Engine`.
        codec: As for `Engine`.

    Raises:
        RunFailed: The workflow raised an exception.
        RunCancelled: The run was cancelled.
        RunParked: The run is set aside until someone acts.
        RunExists: The id is taken by another workflow or by other arguments.
    """
    with Engine(store, codec=codec) as engine:
        return engine.start(workflow, *args, id=id).result()
