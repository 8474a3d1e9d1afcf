"""`Run`: a handle on one run, for the program that started it or came by later."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from concurrent.futures import Future
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, overload  # noqa: TID251  # beside a `Later`

import attrs

from interp._later import Later
from interp.asking import answer_topic, check_request_id
from interp.codec import ANY, ValueCodec, codec_for, encode_payload
from interp.definitions import find_workflow
from interp.errors import (
    InvalidDefinition,
    NotDecodable,
    UnknownRun,
    UnknownWorkflow,
    UsageError,
)
from interp.events import Asked, CancelRequested, Signalled, Transition
from interp.runtime.asking import answer
from interp.runtime.ended import Ended, Found, ended_of, value_of
from interp.runtime.live import decoded
from interp.runtime.receipt import Receipt
from interp.runtime.repeated import RepeatedCall, repeated_calls
from interp.runtime.requests import Tell
from interp.runtime.retrying import retry
from interp.runtime.sealed import readable
from interp.runtime.streams import Bell, Stream, Tail, looked, stream_of
from interp.spans import checked_span
from interp.store import RunRow, Status, Store
from interp.streams import RESERVED

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Later("asyncio")

__all__ = ["Run", "result_codec"]

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741  an item


class _Worker(Protocol):
    """What a handle needs from the worker."""

    store: Store
    bell: Bell
    trouble: BaseException | None

    def put(self, request: Tell) -> None: ...

    def watch(self, run_id: str) -> Future[Found]: ...

    def ended(self, run_id: str) -> Found | None: ...

    def wake(self) -> None: ...


class Run(Generic[T]):
    """A handle on a run. Handles are cheap, hold nothing, and may be used from any thread."""

    def __init__(self, run_id: str, worker: _Worker, result: ValueCodec[T], workflow: str) -> None:
        """Made by `Engine.start` and `Engine.get`."""
        self.id = run_id
        self._worker = worker
        self._result = result
        self._workflow = workflow

    def __repr__(self) -> str:
        """Name the run and its store."""
        return f"<Run {self.id!r} in {self._worker.store.url}>"

    def result(self, timeout: timedelta | None = None) -> T:
        """Wait for the run to end and return what the workflow returned.

        Args:
            timeout: How long to wait; None for ever. The run goes on when the time is up.

        Raises:
            RunFailed: The workflow raised an exception.
            RunCancelled: The run was cancelled.
            RunParked: The run is set aside until someone acts.
            TimeoutError: The time was up.
            EngineClosed: The engine was closed meanwhile; the run goes on when another one opens the store.
            UsageError: The timeout is no `timedelta`.
        """
        if timeout is not None:
            checked_span("result(timeout", timeout, UsageError)
        while (ended := self._ended(self._worker.ended(self.id) or self._awaited(timeout))) is None:
            pass  # somebody has just retried it
        return self._value(ended)

    def _awaited(self, timeout: timedelta | None) -> Found:
        """Wait for the run to end."""
        watch = self._worker.watch(self.id)
        try:
            return watch.result(None if timeout is None else timeout.total_seconds())
        except TimeoutError:
            if timeout is not None and watch.cancel():
                raise TimeoutError(f"run {self.id!r} has not ended within {timeout.total_seconds():g} s") from None
            return watch.result()  # it has ended at the last moment

    def __await__(self) -> Generator[Any, Any, T]:
        """Wait for the run to end, on an event loop; raises what `result` raises."""
        ended = None
        while ended is None:  # again if somebody has just retried it
            found = self._worker.ended(self.id)
            if found is None:
                found = yield from asyncio.wrap_future(self._worker.watch(self.id)).__await__()
            ended = self._ended(found)
        return self._value(ended)

    def signal(self, name: str, payload: Any = None, *, type: Any = None) -> None:
        """Send a signal; it is durable on return, and kept until the workflow awaits it.

        Args:
            name: Which signal.
            payload: Its value: plain JSON values, or anything of the given type.
            type: What the payload is encoded as; the payload's own class by default.

        Raises:
            UnknownRun: There is no such run.
            RunEnded: The run has ended.
            NotEncodable: The payload cannot be recorded.
        """
        self._tell(Signalled(name, encode_payload(payload, type)))

    @overload
    def ask(
        self,
        name: str,
        payload: Any = None,
        *,
        type: type[I],
        timeout: timedelta | None = None,
        id: str | None = None,
        payload_type: Any = None,
    ) -> I: ...
    @overload
    def ask(
        self,
        name: str,
        payload: Any = None,
        *,
        type: Any = ...,
        timeout: timedelta | None = None,
        id: str | None = None,
        payload_type: Any = None,
    ) -> Any: ...
    def ask(
        self,
        name: str,
        payload: Any = None,
        *,
        type: Any = Any,
        timeout: timedelta | None = None,
        id: str | None = None,
        payload_type: Any = None,
    ) -> Any:
        """Send a request and wait for the workflow's answer, which it gives by `reply`.

        The request is durable as soon as it is sent, and kept until the workflow awaits it.

        Args:
            name: What it is asked under: `await_signal(name, Request[...])` takes it.
            payload: What is asked: plain JSON values, or anything of the payload's type.
            type: What the answer is decoded as; plain JSON values by default.
            timeout: How long to wait; None for ever. The request stays with the run when the time is up.
            id: Tells the request from all others of the run, at most 180 bytes; a random one by default. Asked again
                under the same id, the request is not repeated, and its answer is the same.
            payload_type: What the payload is encoded as; its own class by default.

        Raises:
            AskRefused: The validator refused it, or the payload does not fit; the workflow has not seen it.
            AskFailed: The workflow answered with an error.
            AskTimeout: The time was up.
            AskUnanswered: The run ended without answering.
            RunEnded: The run had ended before.
            RunParked: The run is set aside until someone acts; the request stays with it.
            UnknownRun: There is no such run.
            NotEncodable: The payload cannot be recorded.
            NotDecodable: The answer does not fit the type.
        """
        request_id = secrets.token_hex(8) if id is None else check_request_id(id)
        if timeout is not None:
            checked_span("ask(timeout", timeout, UsageError)
        worker = self._worker
        seen = worker.bell.rings  # before the look that follows, so that no ring is missed

        def wait(left_s: float | None) -> None:
            nonlocal seen
            worker.bell.wait(seen, left_s)
            seen = worker.bell.rings

        given = answer(
            Asked(name, encode_payload(payload, payload_type), request_id),
            Tail(worker.store, self.id, answer_topic(request_id)),
            send=self._tell,
            look=lambda tail: looked(worker, tail),
            wait=wait,
            timeout=timeout,
        )
        try:
            return codec_for(type).decode(given)
        except NotDecodable as error:
            path = f"answer to request {name!r}{error.path.removeprefix('$')}"
            raise attrs.evolve(error, path=path) from None

    @overload
    def stream(self, topic: str, *, type: type[I], start: int = 0) -> Stream[I]: ...
    @overload
    def stream(self, topic: str, *, type: Any = ..., start: int = 0) -> Stream[Any]: ...
    def stream(self, topic: str, *, type: Any = Any, start: int = 0) -> Stream[Any]:
        """Read a stream of the run: the items that are there, and live those that come.

            for token in run.stream("tokens", type=str):
                print(token, end="")

        It ends when the run has ended and everything was given; `async for` works as well. Readers may come late and
        read on where they were; a stream is the same over restarts of the worker and over `continue_as`.

        Args:
            topic: Which stream; one that nothing was emitted to yet is empty so far.
            type: What the values are decoded as; plain JSON values by default.
            start: The number of the first item to give.
        """
        return stream_of(self._worker, Tail(self._worker.store, self.id, topic, start), codec_for(type))

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics of the run's streams that have items.

        Raises:
            UnknownRun: There is no such run.
        """
        return tuple(topic for topic in self._worker.store.topics(self.id) if not topic.startswith(RESERVED))

    def cancel(self, reason: str = "") -> None:
        """Ask the run to cancel; the request is durable on return. Its cleanup code runs first.

        Args:
            reason: Why; the run's end tells it.

        Raises:
            UnknownRun: There is no such run.
            RunEnded: The run has ended.
        """
        self._tell(CancelRequested(reason))

    def retry(self) -> None:
        """Make a parked or failed run go on from where it stands; what is recorded and paid for is kept.

        A parked run is replayed with the code of now. Of a failed one the record that ended it is taken back: if a
        call had failed, it is made anew with all of its attempts, else what had happened happens again.

        Raises:
            UnknownRun: There is no such run.
            UsageError: It is neither parked nor failed.
        """
        retry(self._worker.store, self.id)
        self._worker.wake()

    @property
    def row(self) -> RunRow:
        """What the store lists of the run.

        Raises:
            UnknownRun: There is no such run.
        """
        row = self._worker.store.run(self.id)
        if row is None:
            raise UnknownRun(self.id, self._worker.store.url)
        return row

    @property
    def status(self) -> Status:
        """Where the run stands."""
        return self.row.status

    @property
    def state(self) -> dict[str, Any]:
        """What the workflow says of itself by `annotate`."""
        attributes = readable(f"the state of run {self.id!r}", self.row.attributes)
        return cast("dict[str, Any]", ANY.decode(attributes)) if attributes else {}

    def history(self) -> tuple[Transition, ...]:
        """Return the records of the run so far."""
        return tuple(decoded(self.id, self._worker.store.history(self.id)))

    def repeated_calls(self) -> tuple[RepeatedCall, ...]:
        """List the calls whose effects may have happened twice: a worker was lost during one of their attempts.

        Those that failed instead of being attempted again (`on_unknown="fail"`) are listed too; those of which a
        reconcile function told what came of them are not. Of a run that continues as new the present round is read.
        """
        return repeated_calls(self.history())

    def _tell(self, event: Signalled | Asked | CancelRequested) -> None:
        done = Receipt[None]()
        self._worker.put(Tell(self.id, event, done))
        done.result()

    def _ended(self, found: Found) -> Ended | None:
        return found if isinstance(found, Ended) else ended_of(found, self._worker.store)

    def _value(self, ended: Ended) -> T:
        codec = self._result
        # A run may have begun under an older version than it was asked for, or have gone on in a newer one.
        if ended.workflow != self._workflow:
            codec = cast("ValueCodec[T]", result_codec(ended.workflow))
        return value_of(self.id, ended, codec.decode)


def result_codec(workflow: str) -> ValueCodec[Any]:
    """Return how the result of a workflow is recorded; as plain JSON where the name alone does not tell which it is."""
    try:
        return find_workflow(workflow).arguments.result
    except (UnknownWorkflow, InvalidDefinition):
        return ANY
