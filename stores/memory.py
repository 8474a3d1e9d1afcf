"""The store that lives in memory: `memory:` is a fresh one for each `open`, `memory:name` is shared by that name.

The reference: the shortest code that keeps the promises of `interp.store.Store`. Other stores are tested beside it, and
simulations run on it. It is thread-safe, forgets everything when the process ends, and looks at every run in each
`claim`. Since a worker cannot die without it, liveness goes by the lease alone.
"""

from __future__ import annotations

import bisect
import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager

import attrs
import msgspec

from interp.errors import RunEnded, RunExists, UnknownRun, UnknownStore, UsageError
from interp.store import (
    Append,
    Batch,
    Claim,
    Create,
    Due,
    Emission,
    Emit,
    Item,
    Message,
    Post,
    Refusal,
    Release,
    Reopen,
    RunFilter,
    RunRow,
    Status,
    Transact,
    Why,
    WorkerRow,
)
from interp.tables import Transaction

__all__ = ["MemoryStore", "open"]


def open(url: str) -> MemoryStore:
    """Open `memory:` (a fresh store) or `memory:name` (the store of that name in this process).

    Raises:
        UnknownStore: The URL is not one of the two.
    """
    scheme, colon, name = url.partition(":")
    if scheme + colon != "memory:" or name.startswith("/") or "?" in name:
        raise UnknownStore(url, "expected memory: or memory:name")
    if not name:
        return MemoryStore(url, _Contents())
    with _named_lock:
        return MemoryStore(url, _named.setdefault(name, _Contents()))


@attrs.define
class _Stream:
    """The items of one topic that are kept, and how many there ever were."""

    items: deque[Item] = attrs.field(factory=deque[Item])
    emitted: int = 0


@attrs.define
class _Run:
    """One run: its row, journal and streams, its messages and how many there ever were, and whose code released it."""

    row: RunRow
    inbox: dict[int, bytes]
    posted: int = 1
    journal: list[bytes] = attrs.field(factory=list[bytes])
    released_by: tuple[str, ...] = ()
    streams: dict[str, _Stream] = attrs.field(factory=dict[str, _Stream])


@attrs.define
class _Table:
    """A user's table: its values, and its keys in order."""

    values: dict[bytes, bytes] = attrs.field(factory=dict[bytes, bytes])
    keys: list[bytes] = attrs.field(factory=list[bytes])

    def set(self, key: bytes, value: bytes | None) -> bytes | None:
        """Set or remove a value; returns the one before."""
        old = self.values.pop(key, None)
        at = bisect.bisect_left(self.keys, key)
        if value is not None:
            self.values[key] = value
            if old is None:
                self.keys.insert(at, key)
        elif old is not None:
            del self.keys[at]
        return old


class _Cells:
    """What `interp.tables` does, with what takes it back."""

    def __init__(self, tables: dict[str, _Table]) -> None:
        self._tables = tables
        self._undo: list[tuple[str, bytes, bytes | None]] = []

    def get(self, table: str, key: bytes) -> bytes | None:
        found = self._tables.get(table)
        return found.values.get(key) if found else None

    def put(self, table: str, key: bytes, value: bytes) -> None:
        self._set(table, key, value)

    def delete(self, table: str, key: bytes) -> bool:
        return self._set(table, key, None) is not None

    def seek(self, table: str, start: bytes) -> tuple[bytes, bytes] | None:
        found = self._tables.get(table)
        at = bisect.bisect_left(found.keys, start) if found else 0
        if found is None or at == len(found.keys):
            return None
        return found.keys[at], found.values[found.keys[at]]

    def _set(self, table: str, key: bytes, value: bytes | None) -> bytes | None:
        old = self._tables.setdefault(table, _Table()).set(key, value)
        self._undo.append((table, key, old))
        return old

    def take_back(self) -> None:
        """Undo everything, the last first."""
        while self._undo:
            table, key, old = self._undo.pop()
            self._tables[table].set(key, old)


@attrs.define
class _Contents:
    """What all handles of one store share. `changes` counts the writes that others wait for, `written_by` by worker.

    `engaged` tells that a user's transaction is open; who sees that, while holding the lock, is the user's own thread.
    """

    runs: dict[str, _Run] = attrs.field(factory=dict[str, _Run])
    leases: dict[str, int] = attrs.field(factory=dict[str, int])
    tables: dict[str, _Table] = attrs.field(factory=dict[str, _Table])
    engaged: bool = False
    changes: int = 0
    written_by: Counter[str] = attrs.field(factory=Counter[str])
    changed: threading.Condition = attrs.field(factory=threading.Condition)


_named: dict[str, _Contents] = {}
_named_lock = threading.Lock()


class MemoryStore:
    """A handle of a store in memory; see `interp.store.Store` for what each method promises."""

    def __init__(self, url: str, contents: _Contents) -> None:
        self.url = url
        self._contents = contents
        self._lock = contents.changed
        self._seen = threading.local()
        self._closed = False

    def create(self, run: Create, now_us: int) -> bool:
        """Create a run."""
        refusals = self.commit(Batch(creates=[run]), now_us)
        if refusals and refusals[0].why == "differs":
            existing = self._find(run.run_id).row
            raise RunExists(
                run.run_id,
                existing=f"{existing.workflow}, digest {existing.digest.hex()}",
                requested=f"{run.workflow}, digest {run.digest.hex()}",
            )
        return not refusals

    def post(self, post: Post, now_us: int) -> None:
        """Append a message to a run's inbox."""
        for refusal in self.commit(Batch(posts=[post]), now_us):
            if refusal.why == "unknown":
                raise UnknownRun(post.run_id, self.url)
            raise RunEnded(post.run_id, self._find(post.run_id).row.status)

    def unpark(self, run_id: str, now_us: int, release: Release | None = None) -> bool:
        """Make a parked run due again."""
        with self._lock:
            run = self._find(run_id)
            if run.row.status is not Status.PARKED:
                return False
            run.released_by = () if release is None else (*run.released_by, release.code)
            run.row = msgspec.structs.replace(
                run.row, status=Status.RUNNING, due_us=now_us, reason="", misfit=False, released_by=()
            )
            if release is not None:
                run.row = msgspec.structs.replace(run.row, owner=release.worker, token=run.row.token + 1)
            self._wake()
            return True

    def reopen(self, reopen: Reopen, now_us: int) -> bool:
        """Make a failed run go on."""
        with self._lock:
            run = self._find(reopen.run_id)
            if (run.row.status, run.row.length) != (Status.FAILED, reopen.length):
                return False
            run.journal[0 if reopen.record is None else -1 :] = [] if reopen.record is None else [reopen.record]
            run.inbox.update(enumerate(reopen.messages, run.posted))
            run.posted += len(reopen.messages)
            run.row = msgspec.structs.replace(
                run.row,
                status=Status.PENDING,
                length=len(run.journal),
                due_us=now_us,
                updated_us=now_us,
                attributes=run.row.attributes if reopen.attributes is None else reopen.attributes,
            )
            self._wake()
            return True

    def register(self, worker: str) -> None:
        """Do nothing: workers of a store in memory cannot die without it."""

    def renew(self, worker: str, now_us: int, lease_us: int) -> None:
        """Extend the worker's lease."""
        with self._lock:
            self._contents.leases[worker] = now_us + lease_us

    def resign(self, worker: str) -> None:
        """End the worker's lease."""
        with self._lock:
            self._contents.leases.pop(worker, None)
            self._wake()

    def workers(self, now_us: int) -> tuple[WorkerRow, ...]:
        """Return the workers that have a lease or own runs."""
        with self._lock:
            owned = Counter(run.row.owner for run in self._contents.runs.values() if run.row.owner is not None)
            leases = self._contents.leases
            return tuple(
                WorkerRow(name, leases.get(name, 0) > now_us, owned[name]) for name in sorted({*leases, *owned})
            )

    def claim(
        self, worker: str, limit: int, now_us: int, lease_us: int, workflows: Collection[str] | None = None
    ) -> Due:
        """Take due runs that nobody alive owns."""
        with self._lock:
            runs = [run for run in self._contents.runs.values() if workflows is None or run.row.workflow in workflows]
            dated = [(self._due_us(run.row, run.inbox, worker, now_us), run) for run in runs]
            queue = sorted(((due, run) for due, run in dated if due is not None), key=lambda pair: pair[0])
            ready = list(itertools.takewhile(lambda pair: pair[0] <= now_us, queue[:limit]))
            claims = tuple(self._claim(run, worker, now_us + lease_us) for _, run in ready)
            return Due(claims, next_us=queue[len(ready)][0] if len(ready) < len(queue) else None)

    def _due_us(self, row: RunRow, inbox: dict[int, bytes], worker: str, now_us: int) -> int | None:
        """Return when `worker` may take the run: 0 if a dead worker left it at work, None for never."""
        if row.owner not in (None, worker):
            if self._contents.leases.get(row.owner, 0) > now_us:
                return None
            if inbox or row.status in (Status.PENDING, Status.RUNNING):
                return 0
        return row.due_us

    def _claim(self, run: _Run, worker: str, lease_until_us: int) -> Claim:
        before = run.row
        if before.owner != worker:
            run.row = msgspec.structs.replace(before, owner=worker, token=before.token + 1)
            self._contents.leases[worker] = lease_until_us
        return Claim(run.row, _messages(run), lost=before.owner if before.owner != worker else None)

    def commit(self, batch: Batch, now_us: int) -> list[Refusal]:
        """Write a batch."""
        with self._lock:
            self._check_free()
            before = self._contents.changes
            try:
                return self._commit(batch, now_us)
            finally:
                self._contents.written_by[batch.by] += self._contents.changes - before

    def _commit(self, batch: Batch, now_us: int) -> list[Refusal]:
        refusals = [Refusal(new.run_id, why) for new in batch.creates if (why := self._create(new, now_us))]
        barred = {refusal.run_id for refusal in refusals}
        refusals += [Refusal(post.run_id, why) for post in batch.posts if (why := self._post(post, now_us))]
        for emission in batch.emissions:
            if why := "fenced" if emission.run_id in barred else self._emission(emission):
                refusals.append(Refusal(emission.run_id, why))
        for append in batch.appends:
            if why := "fenced" if append.run_id in barred else self._append(append):
                refusals.append(Refusal(append.run_id, why))
                barred.add(append.run_id)
            else:
                refusals += self._ask(append, now_us)
        for transact in batch.transacts:
            if transact.run_id in barred or not self._owns(transact):
                refusals.append(Refusal(transact.run_id, "fenced"))
            elif answer := transact.work(self._nest):
                refused = self._append(answer)
                assert refused is None, "the work of a transact answered with an append that does not follow"
                refusals += self._ask(answer, now_us)
        return refusals

    def _ask(self, append: Append, now_us: int) -> list[Refusal]:
        refusals = [Refusal(new.run_id, why) for new in append.creates if (why := self._create(new, now_us))]
        return refusals + [Refusal(post.run_id, why) for post in append.posts if (why := self._post(post, now_us))]

    def _owns(self, transact: Transact) -> bool:
        run = self._contents.runs.get(transact.run_id)
        if run is None or run.row.owner is None:
            return False
        return (run.row.token, run.row.length) == (transact.token, transact.index)

    def _nest(self, part: Callable[[Transaction], bool]) -> None:
        with self._opened() as (transaction, cells):
            if not part(transaction):
                cells.take_back()

    @contextmanager
    def transaction(self, *, write: bool = True) -> Generator[Transaction]:
        """Open a transaction on the users' tables."""
        with self._lock, self._opened(write=write) as (transaction, _):
            yield transaction

    @contextmanager
    def _opened(self, *, write: bool = True) -> Generator[tuple[Transaction, _Cells]]:
        self._check_free()
        cells = _Cells(self._contents.tables)
        transaction = Transaction(cells, write=write)
        self._contents.engaged = True
        try:
            yield transaction, cells
        except BaseException:
            cells.take_back()
            raise
        finally:
            self._contents.engaged = False
            transaction.close()

    def _check_free(self) -> None:
        """Refuse a second transaction within one of the same thread, as other stores must."""
        if self._contents.engaged:
            raise UsageError(
                f"store {self.url}: this thread has a transaction open on it, and can use nothing else of it now\n"
                "  Do it before or after the transaction."
            )

    def _create(self, new: Create, now_us: int) -> Why | None:
        if run := self._contents.runs.get(new.run_id):
            return "exists" if new.is_same(run.row.workflow, run.row.digest) else "differs"
        row = RunRow(
            id=new.run_id,
            workflow=new.workflow,
            digest=new.digest,
            status=Status.PENDING,
            length=len(new.records),
            due_us=now_us,
            owner=new.worker,
            token=0 if new.worker is None else 1,
            created_us=now_us,
            updated_us=now_us,
            attributes=new.attributes,
            reason="",
        )
        inbox = {} if new.records else {0: new.start}
        inbox.update(enumerate(new.messages, 1))
        self._contents.runs[new.run_id] = _Run(row, inbox, posted=1 + len(new.messages), journal=[*new.records])
        self._wake()
        return None

    def _post(self, post: Post, now_us: int) -> Why | None:
        run = self._contents.runs.get(post.run_id)
        if run is None:
            return "unknown"
        if run.row.status.ended:
            return "ended"
        run.inbox[run.posted] = post.body
        run.posted += 1
        if run.row.status is not Status.PARKED:
            run.row = msgspec.structs.replace(run.row, due_us=_sooner(run.row.due_us, now_us))
        self._wake()
        return None

    def _emission(self, emission: Emission) -> Why | None:
        run = self._contents.runs.get(emission.run_id)
        if run is None:
            return "unknown"
        if run.row.owner is None or run.row.token != emission.token:
            return "fenced"
        self._emit(run, emission.emits)
        return None

    def _emit(self, run: _Run, emits: Iterable[Emit]) -> None:
        for emit in emits:
            stream = run.streams.setdefault(emit.topic, _Stream())
            stream.items.append(Item(stream.emitted, emit.body))
            stream.emitted += 1
            while emit.keep is not None and len(stream.items) > emit.keep:
                stream.items.popleft()
            self._wake()

    def _append(self, append: Append) -> Why | None:
        run = self._contents.runs.get(append.run_id)
        if run is None:
            return "unknown"
        length = 0 if append.restart else run.row.length
        if run.row.owner is None or (run.row.token, length) != (append.token, append.index):
            return "fenced"
        if append.restart:
            run.journal.clear()
        run.journal += append.records
        for number in append.consumed:
            run.inbox.pop(number, None)
        if append.status.ended:
            run.inbox.clear()
            run.released_by = ()
        self._emit(run, append.emits)
        run.row = self._appended(run, append)
        if append.restart or run.row.owner is None:
            self._wake()
        return None

    def _appended(self, run: _Run, append: Append) -> RunRow:
        idle = append.status.ended or append.status is Status.PARKED
        unseen = any(append.release or number >= append.seen for number in run.inbox)
        due_us = _sooner(append.due_us, append.at_us) if unseen else append.due_us
        is_parked = append.status is Status.PARKED
        return msgspec.structs.replace(
            run.row,
            workflow=append.workflow or run.row.workflow,
            status=append.status,
            length=len(run.journal),
            due_us=None if idle else due_us,
            owner=None if idle or append.release else run.row.owner,
            updated_us=append.at_us if append.records or append.restart else run.row.updated_us,
            attributes=run.row.attributes if append.attributes is None else append.attributes,
            reason=append.reason if is_parked else "",
            misfit=append.misfit and is_parked,
            released_by=run.released_by if is_parked else (),
        )

    def flush(self) -> None:
        """Do nothing: there is nothing more durable here."""

    def run(self, run_id: str) -> RunRow | None:
        """Return the run's row, or None."""
        with self._lock:
            run = self._contents.runs.get(run_id)
            return run.row if run else None

    def runs(self, where: RunFilter) -> list[RunRow]:
        """List runs, the oldest creation first, or the newest."""
        with self._lock:
            return where.chosen(run.row for run in self._contents.runs.values())

    def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
        """Give the records from index `start` on."""
        with self._lock:
            return iter(self._find(run_id).journal[start:])

    def inbox(self, run_id: str) -> tuple[Message, ...]:
        """Return the messages that wait."""
        with self._lock:
            return _messages(self._find(run_id))

    def stream(self, run_id: str, topic: str, start: int = 0) -> Iterator[Item]:
        """Give the items of a stream from number `start` on."""
        with self._lock:
            stream = self._find(run_id).streams.get(topic, _Stream())
            # The newest are wanted most often, and a stream may be long.
            newest = itertools.takewhile(lambda item: item.number >= start, reversed(stream.items))
            return iter([*newest][::-1])

    def topics(self, run_id: str) -> tuple[str, ...]:
        """Return the topics of a run's streams that have items."""
        with self._lock:
            streams = self._find(run_id).streams
            return tuple(sorted((topic for topic in streams if streams[topic].items), key=str.encode))

    def changed(self, timeout_s: float, but: str = "") -> bool:
        """Wait until somebody wrote, or the time is up."""
        contents = self._contents

        def changes() -> int:
            return contents.changes - (contents.written_by[but] if but else 0)

        with self._lock:
            seen: int = vars(self._seen).get(but, 0)
            self._lock.wait_for(lambda: self._closed or changes() > seen, timeout_s)
            found = vars(self._seen)[but] = changes()
            return found > seen

    def close(self) -> None:
        """End the waits of this handle; what is stored stays for the other handles of the name."""
        with self._lock:
            self._closed = True
            self._lock.notify_all()

    def _find(self, run_id: str) -> _Run:
        if run := self._contents.runs.get(run_id):
            return run
        raise UnknownRun(run_id, self.url)

    def _wake(self) -> None:
        self._contents.changes += 1
        self._lock.notify_all()


def _messages(run: _Run) -> tuple[Message, ...]:
    return tuple(Message(number, body) for number, body in run.inbox.items())


def _sooner(due_us: int | None, now_us: int) -> int:
    return now_us if due_us is None else min(due_us, now_us)
