"""Read the streams of runs: from any item on, as it goes on, until the run has ended.

Readers hold nothing but their place, a number: who reads on from there misses nothing and meets nothing twice,
whichever process it is, and however often the worker that writes was restarted.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from copy import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar  # noqa: TID251  # beside a `Later`

import attrs
import msgspec

from interp._later import Later
from interp.codec import ValueCodec
from interp.errors import EngineClosed, NotDecodable, RunParked, UnknownRun, UsageError
from interp.runtime.sealed import readable, unreadable
from interp.store import Item, RunRow, Status, Store
from interp.store import Reader as StoreReader
from interp.streams import Emitted, decode_emitted

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = Later("asyncio")

__all__ = ["Bell", "Reader", "Stream", "StreamItem", "Tail", "looked", "recorded", "stream_of"]

T = TypeVar("T")

# How many items are taken out of the store at a time.
_MOST_ITEMS = 1_000

# Readers look so often anyway, in case that a ring was lost.
_LOOK_S = 2.0


class Bell:
    """Tells the readers of one engine that somebody wrote to the store; rung by one thread, heard by any number."""

    def __init__(self) -> None:
        """Begin in silence."""
        self._rung = threading.Condition()
        self._told: set[Callable[[], object]] = set()
        self.rings = 0

    def ring(self) -> None:
        """Wake everyone who waits."""
        with self._rung:
            self.rings += 1
            self._rung.notify_all()
            told, self._told = self._told, set()
        for tell in told:
            with suppress(RuntimeError):  # its event loop was closed meanwhile
                tell()

    def wait(self, seen: int, timeout_s: float | None = None) -> None:
        """Wait until it was rung more often than `seen` times, the time is up, or a look is due anyway."""
        with self._rung:
            self._rung.wait_for(lambda: self.rings > seen, _LOOK_S if timeout_s is None else min(timeout_s, _LOOK_S))

    async def heard(self, seen: int) -> None:
        """Wait likewise, on an event loop."""
        rung, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            loop.call_soon_threadsafe(rung.set)

        with self._rung:
            if self.rings > seen:
                return
            self._told.add(tell)
        try:
            async with asyncio.timeout(_LOOK_S):
                await rung.wait()
        except TimeoutError:
            pass
        finally:
            with self._rung:
                self._told.discard(tell)


class Reader(Protocol):
    """What a reader needs from the worker of its engine."""

    store: Store
    bell: Bell
    trouble: BaseException | None


@attrs.frozen
class StreamItem(Generic[T]):
    """One item of a stream, and where it comes from.

    Attributes:
        number: Its place in the stream, from 0; `start=number + 1` reads on behind it.
        at: When it was emitted.
        command_id: The command that emitted it, or the call whose activity did.
        attempt: Which attempt of the call, from 1; 0 for what the workflow itself emitted. Items of an attempt that was
            followed by another one may come again from that.
        round: How many times the run had continued as new.
        value: What was emitted.
    """

    number: int
    at: datetime
    command_id: str
    attempt: int
    round: int
    value: T


class Tail:
    """A place in a stream, from which one looks on."""

    def __init__(self, store: StoreReader, run_id: str, topic: str, start: int = 0) -> None:
        """Begin at an item.

        Args:
            store: The store of the run.
            run_id: The run.
            topic: The stream.
            start: The number of the first item to give.
        """
        if not 0 <= start < 1 << 63:
            raise UsageError(f"start={start}: items are numbered from 0")
        self.store = store
        self.run_id = run_id
        self.topic = topic
        self.start = start

    def look(self) -> tuple[list[Item], RunRow]:
        """Give the next items that are there, and how the run stood before.

        No items and a run that has ended: there will be no more.

        Raises:
            UnknownRun: There is no such run.
        """
        row = self.store.run(self.run_id)  # first: what is written until the run ends is seen by the look after it
        if row is None:
            raise UnknownRun(self.run_id, self.store.url)
        items = list(itertools.islice(self.store.stream(self.run_id, self.topic, self.start), _MOST_ITEMS))
        if items:
            self.start = items[-1].number + 1
        return items, row

    def is_over(self, row: RunRow) -> bool:
        """Tell whether nothing more will come, where a look gave no items.

        Raises:
            RunParked: Nothing will come until someone acts.
        """
        if row.status is Status.PARKED:
            raise RunParked(row.id, row.reason)
        return row.status.ended


class Stream(Generic[T]):
    """The items of one topic of a run, to be read by `for` or `async for`: those that are there, and those that come.

    It ends when the run has ended and everything was given. Each loop begins at `start` again.
    """

    def __init__(
        self,
        worker: Reader,
        tail: Tail,
        show: Callable[[StreamItem[Any]], T],
        opened: Callable[[Item], StreamItem[Any]],
    ) -> None:
        """Made by `run.stream`."""
        self.run_id = tail.run_id
        self.topic = tail.topic
        self._worker = worker
        self._begin = tail
        self._show = show
        self._opened = opened

    def items(self) -> Stream[StreamItem[T]]:
        """Return the same stream with the whole items: value, number, time and origin."""
        return Stream(self._worker, self._begin, lambda item: item, self._opened)

    def so_far(self) -> list[T]:
        """Return the items that are there, without waiting for more."""
        tail = copy(self._begin)
        return [self._read(item) for item in tail.store.stream(tail.run_id, tail.topic, tail.start)]

    def __repr__(self) -> str:
        """Name the run and the topic."""
        return f"<Stream {self.topic!r} of run {self.run_id!r}>"

    def _read(self, item: Item) -> T:
        return self._show(self._opened(item))

    def __iter__(self) -> Iterator[T]:
        """Give item after item; waits for those that are yet to come.

        Raises:
            RunParked: The run is set aside until someone acts; all items so far were given.
            NotDecodable: An item does not fit the type.
            EngineClosed: The engine was closed meanwhile.
        """
        tail = copy(self._begin)
        while True:
            seen = self._worker.bell.rings  # before the look: what is written after it rings again
            items, row = self._look(tail)
            yield from map(self._read, items)
            if not items:
                if tail.is_over(row):
                    return
                self._worker.bell.wait(seen)

    async def __aiter__(self) -> AsyncIterator[T]:
        """Give item after item, on an event loop; raises what the plain loop raises."""
        tail = copy(self._begin)
        while True:
            seen = self._worker.bell.rings
            items, row = await asyncio.to_thread(self._look, tail)
            for item in items:
                yield self._read(item)
            if not items:
                if tail.is_over(row):
                    return
                await self._worker.bell.heard(seen)

    def _look(self, tail: Tail) -> tuple[list[Item], RunRow]:
        return looked(self._worker, tail)


def looked(worker: Reader, tail: Tail) -> tuple[list[Item], RunRow]:
    """Look, unless the engine is gone: nobody would ring any more."""
    if worker.trouble is not None:
        raise worker.trouble
    try:
        return tail.look()
    except UsageError as error:
        if isinstance(error, UnknownRun):
            raise
        raise EngineClosed(str(error)) from None


def recorded(run_id: str, topic: str, item: Item) -> Emitted:
    """Return an item as it was recorded.

    Raises:
        JournalCorrupt: It is none.
        PayloadLocked: Its value went through a codec that was not given.
    """
    place = f"item {item.number} of stream {topic!r} of run {run_id!r}"
    try:
        emitted = decode_emitted(item.body)
    except msgspec.MsgspecError as error:
        raise unreadable(place, item.body, error) from None
    readable(place, emitted.payload)
    return emitted


def stream_of(worker: Reader, tail: Tail, codec: ValueCodec[T]) -> Stream[T]:
    """Return the stream behind a place, its values decoded."""

    def opened(item: Item) -> StreamItem[T]:
        emitted = recorded(tail.run_id, tail.topic, item)
        try:
            value = codec.decode(emitted.payload)
        except NotDecodable as error:
            path = f"item {item.number} of stream {tail.topic!r}{error.path.removeprefix('$')}"
            raise attrs.evolve(error, path=path) from None
        return StreamItem(item.number, emitted.at, emitted.command_id, emitted.attempt, emitted.round, value)

    return Stream(worker, tail, _value, opened)


def _value(item: StreamItem[T]) -> T:
    return item.value
