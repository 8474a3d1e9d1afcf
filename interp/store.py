"""What the runtime needs from a store: the `Store` protocol and its rows.

A store knows bytes and rows and nothing of generators. It keeps five things per run: one **run row**, the **journal**
(index -> record bytes), the **inbox** (number -> message bytes), the time at which the run is **due** to be looked at,
and its **streams** (topic, number -> item bytes), which outlive journals and ends. All times are microseconds since the
epoch (UTC, from 0 to 2**63 - 1), handed in by the caller: a store never reads the clock, which is what makes it
testable and lets a simulation drive it.

Ownership. A worker owns a run from `claim` (or from the `Create` that names it) until it releases it, the run
ends, or the worker is dead. A worker is alive while its lease lasts; each `claim` and `renew` of the worker extends
the lease of all its runs at once. A store that can see a process die (an advisory lock on one host) trusts that more
than the lease for workers that called `register`. Every change of owner raises the run's `token`; an `Append` must
name owner's token and the expected index, so of two workers that both believe they own a run only one can write,
whatever their clocks do.

The life of a run in rows:

    create/commit(Create)   status pending, due at once, message 0 = how it starts (a fork has records instead)
    claim                   owner and token set; due runs with the messages that wait
    commit(Append)          records appended, messages consumed, status and due time set
    post                    message appended, run due at once; refused when the run has ended
    ended                   completed, failed, cancelled: no owner, never due, inbox cleared, takes no messages
    reopen                  a failed run is pending again: its last record is replaced, and messages wait
    parked                  no owner, never due, but keeps its inbox and takes messages; `unpark` makes it due again,
                            for anybody or (`Release`) for the worker that has found that it fits its code

Third parties prove their store with `interp.testing.store_contract`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import attrs
import msgspec

from interp.errors import UsageError
from interp.streams import TOPIC_BYTES, is_topic
from interp.tables import Transaction
from interp.versions import family_of, is_of

__all__ = [
    "GOING_ON",
    "RUN_ID_BYTES",
    "Append",
    "Attended",
    "Batch",
    "Claim",
    "Create",
    "Due",
    "Emission",
    "Emit",
    "Item",
    "Message",
    "Nest",
    "Post",
    "Reader",
    "Refusal",
    "Release",
    "Reopen",
    "RunFilter",
    "RunRow",
    "Status",
    "Store",
    "Transact",
    "Transactional",
    "Why",
    "WorkerRow",
    "is_run_id",
    "is_topic",
]


class Status(StrEnum):
    """Where a run stands."""

    PENDING = "pending"  # no worker has taken it up yet
    RUNNING = "running"  # calls are in flight, or a worker must look at it
    WAITING = "waiting"  # for a signal or a timer only
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARKED = "parked"  # set aside with a reason, until someone acts

    @property
    def ended(self) -> bool:
        """Whether the run is over for good."""
        return self in _ENDED


# Keys of LMDB hold 511 bytes; the rest is room for what a store puts before or after the id.
RUN_ID_BYTES = 400

GOING_ON = (Status.RUNNING, Status.WAITING)
"""How a run that its owner goes on with stands."""

_ENDED = frozenset({Status.COMPLETED, Status.FAILED, Status.CANCELLED})

Why = Literal["exists", "differs", "fenced", "unknown", "ended"]


class RunRow(msgspec.Struct, frozen=True, gc=False):
    """One run as the store lists it.

    Attributes:
        id: The run id, chosen by the caller.
        workflow: Name of the workflow, with its version if that is not the first (`interp.versions`).
        digest: What the creator gave to tell apart two creations under one id.
        status: Where the run stands.
        length: Number of records in its journal.
        due_us: When a worker must look at it next; None for never.
        owner: The worker that owns it, dead or alive; None when nobody does.
        token: Number of times that the owner changed.
        created_us: When it was created.
        updated_us: When a record was last appended; before the first, when the journal began.
        attributes: What the workflow says of itself: a JSON object, or empty.
        reason: Why it is parked; empty otherwise.
        misfit: Whether it is parked because history and code differ, so that other code may fit; False otherwise.
        released_by: While it is parked, fingerprints of the code that has released it by itself, the first one first,
            since somebody did so by hand; empty otherwise.
    """

    id: str
    workflow: str
    digest: bytes
    status: Status
    length: int
    due_us: int | None
    owner: str | None
    token: int
    created_us: int
    updated_us: int
    attributes: bytes
    reason: str
    misfit: bool = False
    released_by: tuple[str, ...] = ()


@attrs.frozen
class Message:
    """One message in a run's inbox; `number` counts from 0 and is never used twice within a run."""

    number: int
    body: bytes


def is_run_id(text: str) -> bool:
    """Whether a store can keep a run under this id."""
    try:
        return 0 < len(text.encode()) <= RUN_ID_BYTES and "\0" not in text
    except UnicodeEncodeError:  # a lone surrogate
        return False


class Create(msgspec.Struct, frozen=True, gc=False):
    """A run to be created, owned by `worker` from birth if one is named (then its token is 1, else 0).

    A run that begins with records (a fork) has no message 0: its records say how it started.

    Attributes:
        run_id: At most 400 bytes of UTF-8 without NUL, not empty.
        workflow: Name of the workflow, with its version if that is not the first (`interp.versions`).
        digest: Equal digests, and workflows of one name, mean that the same thing was asked for again.
        start: Body of message 0; not used when there are records.
        worker: Its owner, or None.
        records: The journal that it begins with.
        messages: Bodies of the messages from number 1 on.
        attributes: What the workflow says of itself in these records: a JSON object, or empty.
    """

    run_id: str
    workflow: str
    digest: bytes
    start: bytes
    worker: str | None = None
    records: Sequence[bytes] = ()
    messages: Sequence[bytes] = ()
    attributes: bytes = b""

    def __post_init__(self) -> None:
        """Refuse a run id that a store cannot keep as a key."""
        if not is_run_id(self.run_id):
            raise UsageError(
                f"run_id={self.run_id!r}: expected text of 1 to {RUN_ID_BYTES} bytes, without NUL and surrogates"
            )

    def is_same(self, workflow: str, digest: bytes) -> bool:
        """Whether a run that exists is what this asks for; it may have begun under another version of the workflow."""
        return (family_of(workflow), digest) == (family_of(self.workflow), self.digest)


@attrs.frozen
class Post:
    """A message for a run's inbox."""

    run_id: str
    body: bytes


def _is_topic(emit: Emit, field: attrs.Attribute[str], topic: str) -> None:
    """Refuse a topic that a store cannot keep as a key."""
    if not is_topic(topic):
        raise UsageError(f"topic={topic!r}: expected text of 1 to {TOPIC_BYTES} bytes, without NUL and surrogates")


@attrs.frozen
class Emit:
    """An item for a stream of a run: it gets the next number there, from 0 on.

    Attributes:
        topic: Which stream; at most 200 bytes of UTF-8 without NUL, not empty.
        body: The item.
        keep: Of this stream keep only so many of the newest items, 1 or more; None for all of them.
    """

    topic: str = attrs.field(validator=_is_topic)
    body: bytes
    keep: int | None = attrs.field(default=None, validator=attrs.validators.optional(attrs.validators.ge(1)))


@attrs.frozen
class Emission:
    """Items that activities emit: written while the run's owner is the one that the token names, and not else.

    Attributes:
        run_id: The run.
        token: The owner's token.
        emits: The items.
    """

    run_id: str
    token: int
    emits: Sequence[Emit]


@attrs.frozen
class Item:
    """One item of a stream; `number` counts from 0 and is never used twice within the stream."""

    number: int
    body: bytes


class Append(msgspec.Struct, frozen=True, gc=False):
    """What one run's owner wants to write.

    A struct, not an attrs class: one is made for each step, in a ninth of the time (decision 34).

    Attributes:
        run_id: The run.
        token: The owner's token.
        index: Where the first record goes; must equal the present length.
        records: The records; may be empty (only the row changes).
        status: The new status. An ended or parked run loses its owner and its due time.
        due_us: When to look at it next; None for never. Messages left in the inbox that the owner has not seen make it
            due at `at_us` all the same; when the owner gives the run up, every message left does.
        at_us: The time of this change.
        consumed: Numbers of the messages that the records have taken in; they leave the inbox.
        seen: The owner has been handed the messages below this number. Told, not remembered by the store: claiming a
            run anew writes nothing, and what the store kept in memory would be lost in a crash.
        attributes: New attributes, or None to leave them.
        reason: Why it is parked.
        restart: Drop the journal written so far before appending (index must be 0 then): `continue_as`.
        workflow: What it goes on as, with `restart` only: another version of its workflow. None leaves it.
        misfit: Whether it is parked because history and code differ.
        release: Give the run up; others may claim it.
        creates: Runs that the records start (children, owned by nobody yet). Written if, and only if, the append is; a
            refused one is listed under its own id and does not touch the append.
        posts: Messages that the records send to other runs, or to this one; likewise.
        emits: Items that the records add to streams of the run; likewise.
    """

    run_id: str
    token: int
    index: int
    records: Sequence[bytes]
    status: Status
    due_us: int | None
    at_us: int
    consumed: Sequence[int] = ()
    seen: int = 0
    attributes: bytes | None = None
    reason: str = ""
    restart: bool = False
    release: bool = False
    creates: Sequence[Create] = ()
    posts: Sequence[Post] = ()
    workflow: str | None = None
    misfit: bool = False
    emits: Sequence[Emit] = ()


@attrs.frozen
class Release:
    """Who makes a parked run go on without being asked.

    Attributes:
        worker: It owns the run from then on: another one, with other code, might only park it again.
        code: Fingerprint of its code, hexadecimal; remembered until the run is released by hand or ends.
    """

    worker: str
    code: str


Nest: TypeAlias = Callable[[Callable[[Transaction], bool]], None]
"""Runs a function on a transaction of its own within that of the batch: what it wrote is kept if it returns True, and
taken back if it returns False. The function raises nothing; trouble of the store is raised past it."""


@attrs.frozen(eq=False)
class Transact:
    """Work of a run's owner on the user's tables, and what follows from it, in the transaction of the batch.

    Only for a store that is `Transactional`.

    Attributes:
        run_id: The run.
        token: The owner's token.
        index: How many records the run has then, an append of the same batch included. Token and index are compared
            before the work is done: a stale owner's is not.
        work: Does it, on the thread that commits, and returns what to append at `index`; None for nothing, as when the
            batch has taken long enough. It is called once for each `commit`, and what it says is written with what it
            did, or neither is.
    """

    run_id: str
    token: int
    index: int
    work: Callable[[Nest], Append | None]


@attrs.frozen
class Reopen:
    """Take back the record with which a run failed, so that it goes on.

    Attributes:
        run_id: The run.
        length: The length of its journal, the last record included: the fence, since nobody owns a run that has ended.
        record: What stands in the place of the last record; None drops the whole journal, and the run starts over.
        messages: Bodies of the messages that wait for its next owner.
        attributes: New attributes, or None to leave them.
    """

    run_id: str
    length: int
    record: bytes | None
    messages: Sequence[bytes] = ()
    attributes: bytes | None = None


class Batch(msgspec.Struct, frozen=True, gc=False):
    """What is written in one transaction, in this order.

    Creates, posts, emissions, and appends, each of these with what it emits, starts and sends; last come the transacts,
    each with the append that follows from it.

    Attributes:
        creates: Runs to create.
        posts: Messages to send.
        appends: What runs add to their journals.
        transacts: What runs do to the users' tables.
        emissions: Items that activities emit.
        by: The worker that writes it, which `Store.changed` need not tell; empty for nobody.
    """

    creates: Sequence[Create] = ()
    posts: Sequence[Post] = ()
    appends: Sequence[Append] = ()
    transacts: Sequence[Transact] = ()
    emissions: Sequence[Emission] = ()
    by: str = ""


@attrs.frozen
class Refusal:
    """One part of a batch that was not written; the rest was.

    Attributes:
        run_id: The run.
        why: `exists` (create: the same was created before), `differs` (create: the id is taken by something else),
            `fenced` (append, emission, transact: token or index do not match), `unknown` (no such run), `ended` (post:
            takes no messages).
    """

    run_id: str
    why: Why


@attrs.frozen
class Claim:
    """A due run, owned by the claiming worker now.

    Attributes:
        run: Its row, token and owner already those of the claimer.
        messages: All messages in its inbox, in order, consumed ones excluded.
        lost: The dead worker that owned it before, if one did.
    """

    run: RunRow
    messages: tuple[Message, ...]
    lost: str | None


@attrs.frozen
class Due:
    """The answer to `claim`.

    Attributes:
        claims: Due runs: first what dead workers left at work, then the longest due, the older run first among equals.
            Runs that the worker owned already are among them (nothing is written for those).
        next_us: When the next run becomes due that this worker may claim, those in `claims` aside; None when none is
            known. When the limit cut the list short, this is not later than now. The death of another worker cannot
            be foreseen: ask again at least once in a lease.
    """

    claims: tuple[Claim, ...]
    next_us: int | None


@attrs.frozen
class RunFilter:
    """Which runs to list; None means any.

    Attributes:
        statuses: One of these.
        workflow: Name of the workflow, for all its versions; or one version of it: `checkout@1`, `checkout@2`.
        limit: At most so many.
        after: Id of a run: only those that come after it in the list, none if there is no such run. For long lists,
            page by page.
        newest: Whether the list begins with the newest creation, instead of the oldest.
        created_from_us: Only those created at this moment or later.
        created_until_us: Only those created before this moment.
    """

    statuses: frozenset[Status] | None = None
    workflow: str | None = None
    limit: int | None = None
    after: str | None = None
    newest: bool = False
    created_from_us: int | None = None
    created_until_us: int | None = None

    def matches(self, row: RunRow) -> bool:
        """Whether the run is one of those asked for, the limit and the order aside."""
        return self.fits(row.status, row.workflow, row.created_us)

    def fits(self, status: Status, workflow: str, created_us: int) -> bool:
        """Whether a run of which no more is known yet is one of those asked for, the limit and the order aside."""
        return (
            (self.statuses is None or status in self.statuses)
            and (self.workflow is None or is_of(workflow, self.workflow))
            and (self.created_from_us is None or created_us >= self.created_from_us)
            and (self.created_until_us is None or created_us < self.created_until_us)
        )

    def chosen(self, rows: Iterable[RunRow]) -> list[RunRow]:
        """Return of all runs, in the order of their creation, those asked for in the order asked for."""
        listed: Iterable[RunRow] = reversed([*rows]) if self.newest else rows
        if self.after is not None:
            listed = itertools.islice(itertools.dropwhile(lambda row: row.id != self.after, listed), 1, None)
        return list(itertools.islice(filter(self.matches, listed), self.limit))


class Reader(Protocol):
    """What can be read of a store: that nothing is written is seen from the type. Safe to use from several threads.

    Every method may raise a `StoreError`.
    """

    @property
    def url(self) -> str:
        """The URL that opens this store again."""
        ...

    def run(self, run_id: str) -> RunRow | None:
        """Return the run's row, or None."""
        ...

    def runs(self, where: RunFilter) -> list[RunRow]:
        """List runs: the oldest creation first, or the newest."""
        ...

    def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
        """Give the records from index `start` on, as they stood when the iteration began or later.

        The iteration may end early when the run starts its journal afresh meanwhile (`Append.restart`, `reopen`); it
        never mixes the two.

        Raises:
            UnknownRun: There is no such run.
        """
        ...

    def inbox(self, run_id: str) -> tuple[Message, ...]:
        """Return the messages that wait.

        Raises:
            UnknownRun: There is no such run.
        """
        ...

    def stream(self, run_id: str, topic: str, start: int = 0) -> Iterator[Item]:
        """Give the items of a stream from number `start` on, in order, as they stood when the iteration began or later.

        A stream that nobody has written to is empty. What `Emit.keep` has dropped is left out.

        Raises:
            UnknownRun: There is no such run.
        """
        ...

    def topics(self, run_id: str) -> tuple[str, ...]:
        """Return the topics of a run's streams that have items, sorted by their UTF-8.

        Raises:
            UnknownRun: There is no such run.
        """
        ...

    def changed(self, timeout_s: float) -> bool:
        """Wait until somebody (another thread or process) wrote since the last call, or the time is up.

        What counts is what another may wait for: a run created, ended, parked, given up or restarted, a message, an
        item of a stream, a worker that resigned. Appends that only move a run on do not. "The last call" is that of the
        same thread; its first call may return at once.

        Returns:
            Whether somebody wrote; False when the time is up or the store was closed.
        """
        ...

    def close(self) -> None:
        """Release what the store holds; closing twice is fine."""
        ...


class Store(Reader, Protocol):
    """A journal and its indexes. Safe to use from several threads.

    Every method may raise a `StoreError`. When `commit`, `create` or `post` raise `StoreFull` or `StoreReadOnly`,
    nothing was written and the same call may be made again; after `StoreFailed` the outcome is unknown and the store
    must be reopened.
    """

    def changed(self, timeout_s: float, but: str = "") -> bool:
        """Wait as a reader does.

        Args:
            timeout_s: How long to wait at most, in seconds.
            but: A worker of this process whose batches do not count: it knows what it wrote.
        """
        ...

    def create(self, run: Create, now_us: int) -> bool:
        """Create a run, durably.

        Returns:
            True if it is new, False if the same run (workflow and digest) existed.

        Raises:
            RunExists: The id is taken by another workflow or digest.
        """
        ...

    def post(self, post: Post, now_us: int) -> None:
        """Append a message to a run's inbox, durably, and make the run due.

        Raises:
            UnknownRun: There is no such run.
            RunEnded: The run takes no more messages.
        """
        ...

    def unpark(self, run_id: str, now_us: int, release: Release | None = None) -> bool:
        """Make a parked run due again, with status running; False if it is not parked.

        Args:
            run_id: The run.
            now_us: The time.
            release: Who does so by itself, and owns it then. None when somebody asked for it: what is remembered of
                earlier releases is forgotten.

        Raises:
            UnknownRun: There is no such run.
        """
        ...

    def reopen(self, reopen: Reopen, now_us: int) -> bool:
        """Make a failed run go on, durably: pending, due at once; False if it has not failed or is not of that length.

        Who reads the history meanwhile sees it end early: the old record and the new ones are never mixed.

        Raises:
            UnknownRun: There is no such run.
        """
        ...

    def register(self, worker: str) -> None:
        """Announce a worker of this process, whose death the store may see sooner than its lease ends."""
        ...

    def renew(self, worker: str, now_us: int, lease_us: int) -> None:
        """Extend the worker's lease to `now_us + lease_us`."""
        ...

    def resign(self, worker: str) -> None:
        """End the worker's lease: it counts as dead from now on, as after a crash."""
        ...

    def claim(
        self, worker: str, limit: int, now_us: int, lease_us: int, workflows: Collection[str] | None = None
    ) -> Due:
        """Take at most `limit` due runs that nobody alive owns; renews the worker's lease when it writes.

        A run is due at once whose owner died while its status was running (or pending) or its inbox not empty.

        Args:
            worker: The claiming worker.
            limit: How many runs at most.
            now_us: The time.
            lease_us: How long the worker counts as alive from now on.
            workflows: Names of the workflows whose runs it can move; None for all. Other runs stay for others.
        """
        ...

    def commit(self, batch: Batch, now_us: int) -> list[Refusal]:
        """Write a batch in one transaction; durable on return unless the store's durability level says later.

        Each part stands or falls alone: a refused one is listed and has changed nothing. An append or an emission
        for a run whose create in the same batch was refused is refused as well (its token cannot match).

        Raises:
            TryAgain: Only of a batch with transacts: nothing was written, and the same may be asked for again at once.
        """
        ...

    def flush(self) -> None:
        """Return when everything committed is durable."""
        ...


@runtime_checkable
class Transactional(Protocol):
    """What a store can besides, if it keeps the user's own data: its `commit` takes transacts.

    The user's tables (`interp.tables`) are apart from the store's own, whatever their names. A store may hand out a
    transaction of its own class, which can do more.
    """

    def transaction(self, *, write: bool = True) -> AbstractContextManager[Transaction]:
        """Open a transaction on the user's tables, on this thread; it ends with the `with` block.

        A writing one is committed at the end of the block, durably, and given up when the block raises. It keeps all
        others from writing meanwhile. A reading one sees one moment. Either must be short, and this thread must not
        use the store otherwise while it is open.

        Raises:
            UsageError: This thread has one open already.
            TryAgain: At the end of the block: nothing was written; run the block again.
        """
        ...


@attrs.frozen
class WorkerRow:
    """A worker that a store knows of.

    Attributes:
        name: The worker.
        is_alive: Whether it is, as far as the store knows: its process lives, or its lease has not ended.
        runs: How many runs it owns.
    """

    name: str
    is_alive: bool
    runs: int


@runtime_checkable
class Attended(Protocol):
    """What a store can besides, if it can tell which workers it knows: for those who look, nothing depends on it."""

    def workers(self, now_us: int) -> tuple[WorkerRow, ...]:
        """Return the workers that it knows: one that is dead at least as long as it owns runs."""
        ...
