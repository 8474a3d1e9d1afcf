"""`Engine`: a worker in this process, and the door for programs. `run`: one workflow, start to result."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar, TypeVarTuple

from interp.codec import ANY, render_value
from interp.commands import Command, Workflow
from interp.definitions import WorkflowDefinition, find_workflow, workflow_of
from interp.errors import EngineClosed, InvalidDefinition, RunExists, UnknownRun, UnknownWorkflow, UsageError
from interp.events import Started, encode_event
from interp.runtime.forking import fork
from interp.runtime.guard import GuardMode
from interp.runtime.handles import Run
from interp.runtime.live import decoded
from interp.runtime.requests import Start
from interp.runtime.stores import open_store
from interp.runtime.vetting import vet
from interp.runtime.worker import CLOSED, Worker, WorkerOptions
from interp.store import RUN_ID_BYTES, Create, RunFilter, RunRow, Store, Why

__all__ = ["Engine", "run"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# How long the doorbell thread listens at a time, in seconds: bounds how long closing takes.
_LISTEN_S = 0.5


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Engine:
    """A worker in this process on one store: starts runs, moves them, and takes over those that a crash left behind.

        with Engine("lmdb:journal") as engine:
            run = engine.start(checkout, order, id="order-42")
            print(run.result())

    The worker begins with the engine, not with `with`. Several engines, in one process or in many, may share a store;
    each run is owned by one of them at a time.
    """

    def __init__(
        self,
        store: str | Store | None = None,
        *,
        threads: int = 64,
        cache: int = 1_000,
        grace: timedelta = timedelta(seconds=10),
        poison_after: int | None = 5,
        guard: GuardMode = "warn",
    ) -> None:
        """Open the store and start the worker.

        Args:
            store: URL of the store (None: `$INTERP_STORE`, else `lmdb:.interp`), or an open store, which stays open
                when the engine closes.
            threads: How many sync activities may run at once, 1 or more.
            cache: How many idle runs are kept in memory, 0 or more.
            grace: How long activities in flight may go on when the engine closes.
            poison_after: A run is parked when it has lost so many workers in a row without any progress of its own, as
                when an activity uses up the memory; None for never. An engine that is closed, and whose `grace` is too
                short for the run's calls, counts too.
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
        self._guard: GuardMode = guard
        self._owns_store = store is None or isinstance(store, str)
        self.store: Store = open_store(store) if store is None or isinstance(store, str) else store
        self.name = f"{platform.node() or 'host'}-{os.getpid()}-{secrets.token_hex(4)}"
        self._grace = grace
        self._closed = threading.Event()
        self._worker = Worker(self.store, self.name, WorkerOptions(threads, cache, _utc_now, poison_after, guard=guard))
        self._threads = [
            threading.Thread(target=target, name=f"interp-{name}", daemon=True)
            for name, target in (("worker", self._worker.run), ("doorbell", self._listen))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        """Return the engine."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the engine; at once when the user has interrupted the program."""
        self.close(timedelta(0) if kind is KeyboardInterrupt else None)

    def start(self, workflow: Callable[[*Ts], Workflow[T]], *args: *Ts, id: str | None = None) -> Run[T]:
        """Start a run; it is durable on return. The same id and arguments again give the run that exists.

        Args:
            workflow: A function declared with `@workflow`.
            *args: Its arguments.
            id: The run id, at most 400 bytes; a random one by default.

        Raises:
            RunExists: The id is taken by another workflow or by other arguments.
            InvalidDefinition: The function is no workflow.
            NotEncodable: An argument cannot be recorded as its annotation says.
            StoreError: The store cannot write.
        """
        definition = workflow_of(workflow)
        start = self._new(definition, definition.arguments.encode(args, {}), id)
        return self._request([start])[0]

    def start_many(
        self, workflow: Callable[[*Ts], Workflow[T]], runs: Iterable[tuple[str, tuple[*Ts]]]
    ) -> list[Run[T]]:
        """Start many runs of one workflow; all are durable on return, with few commits.

        Args:
            workflow: A function declared with `@workflow`.
            runs: The id and the tuple of arguments of each.

        Raises:
            RunExists: An id is taken by something else; the others are started.
        """
        definition = workflow_of(workflow)
        encode = definition.arguments.encode
        return self._request([self._new(definition, encode(args, {}), run_id) for run_id, args in runs])

    def start_json(self, name: str, args: bytes, *, id: str | None = None) -> Run[Any]:
        """Start a run by the name of its workflow, with arguments as a JSON array; see `start`.

        Args:
            name: The name of a registered workflow.
            args: A JSON array of its arguments.
            id: The run id; a random one by default.

        Raises:
            UnknownWorkflow: No workflow is registered under the name.
            NotDecodable: The arguments do not fit the workflow.
        """
        definition = find_workflow(name)
        positional, named = definition.arguments.decode(args)
        return self._request([self._new(definition, definition.arguments.encode(positional, named), id)])[0]

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
        row = self.store.run(run_id) if _possible(run_id) else None
        if row is None:
            raise UnknownRun(run_id, self.store.url)
        try:
            codec = find_workflow(row.workflow).arguments.result
        except (UnknownWorkflow, InvalidDefinition):  # not known by its name alone; its result is then plain JSON
            codec = ANY
        return Run(run_id, self._worker, codec)

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
        self._closed.set()
        self._worker.stop((self._grace if grace is None else grace).total_seconds())
        for thread in self._threads:
            thread.join()
        if self._owns_store:
            self.store.close()

    def _listen(self) -> None:
        """Ring the worker when another process, or another thread, wrote to the store."""
        while not self._closed.is_set() and self._worker.trouble is None:
            try:
                if self.store.changed(_LISTEN_S):
                    self._worker.wake()
            except Exception:  # noqa: BLE001  a store that failed or was closed: the worker meets it, too, and tells
                self._worker.wake()
                self._closed.wait(_LISTEN_S)

    def _new(self, definition: WorkflowDefinition, args: bytes, run_id: str | None) -> Start:
        """Prepare a start; nothing has happened yet."""
        vet(definition, self._guard)
        run_id = secrets.token_hex(8) if run_id is None else _checked(run_id)
        started = Started(definition.name, args, secrets.token_bytes(16))
        digest = hashlib.blake2b(args, digest_size=16).digest()
        create = Create(run_id, definition.name, digest, encode_event(started), self.name)
        return Start(create, definition, started, Future())

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
        return Run(start.create.run_id, self._worker, start.definition.arguments.result)

    def _taken(self, start: Start) -> RunExists:
        requested = f"{start.started.workflow}{_parenthesised(start.started.args)}"
        return RunExists(start.create.run_id, describe_run(self.store, start.create.run_id), requested)


def describe_run(store: Store, run_id: str) -> str:
    """Show what a run was started as, such as `checkout('42') (completed)`."""
    row = store.run(run_id)
    if row is None:
        return "gone"
    first = next(decoded(run_id, store.history(run_id)), None)
    if first is None or not isinstance(first.cause, Started):
        return f"{row.workflow}(...)  ({row.status})"
    started = first.cause
    made = ""
    if started.forked_from:
        made = f", a fork of {started.forked_from[-1].run_id!r}"
    elif started.parent is not None:
        made = f", a child of {started.parent[0]!r}"
    return f"{row.workflow}{_parenthesised(started.args)}  ({row.status}{made})"


def _parenthesised(args: bytes) -> str:
    text = render_value(args)
    return f"({text[1:-1]})" if text.startswith("[") else f"({text})"


def _checked(run_id: str) -> str:
    if not _possible(run_id):
        shown = repr(run_id if len(run_id) <= 40 else run_id[:40] + "...")
        raise UsageError(f"run id {shown}: it must have 1 to {RUN_ID_BYTES} bytes of UTF-8, without NUL and surrogates")
    return run_id


def _possible(run_id: str) -> bool:
    try:
        return 0 < len(run_id.encode()) <= RUN_ID_BYTES and "\0" not in run_id
    except UnicodeEncodeError:
        return False


def run(
    workflow: Callable[[*Ts], Generator[Command[Any], Any, T]],
    *args: *Ts,
    id: str | None = None,
    store: str | Store | None = None,
) -> T:
    """Start a workflow, or go on with it, and return its result: durable execution for a script.

    Args:
        workflow: A function declared with `@workflow`.
        *args: Its arguments.
        id: The run id: give one, so that the script finds its run again after a crash.
        store: As for `Engine`.

    Raises:
        RunFailed: The workflow raised an exception.
        RunCancelled: The run was cancelled.
        RunParked: The run is set aside until someone acts.
        RunExists: The id is taken by another workflow or by other arguments.
    """
    with Engine(store) as engine:
        return engine.start(workflow, *args, id=id).result()
