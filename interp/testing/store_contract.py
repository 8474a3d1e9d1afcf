"""The contract of `interp.store.Store` as a test: your store beside the memory store, and every answer compared.

Three lines prove a store:

    from interp.testing.store_contract import store_contract

    TestMyStore = store_contract(lambda: my_store.open("my:scratch"), reopen=lambda store: my_store.open(store.url))

pytest and unittest collect the class. Hypothesis draws sequences of operations by several workers, under a clock of its
own: creations that are repeated or conflict, messages, claims before and after a lease has ended, batches of which some
parts must be refused, stale tokens and wrong positions, restarts, parking, streams. After each step both stores must
list the same runs, inboxes, histories and streams. A failure prints the shortest sequence found, as a program.

What it cannot test: durability, several processes, `register`. Test these with real processes and real kills.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import TypeAlias, TypeVar

import attrs
import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from interp.errors import InterpError, TryAgain
from interp.store import (
    RUN_ID_BYTES,
    Append,
    Batch,
    Create,
    Due,
    Emission,
    Emit,
    Nest,
    Post,
    Refusal,
    Release,
    Reopen,
    RunFilter,
    RunRow,
    Status,
    Store,
    Transact,
    Transactional,
    Why,
)
from interp.streams import TOPIC_BYTES
from interp.tables import KEY_BYTES, Transaction

__all__ = ["store_contract"]

T = TypeVar("T")

_Step: TypeAlias = tuple[str, bytes, bytes | None]

# Few ids and names, so that the same ones meet often; the odd ones are those that a store may get wrong.
_RUN_IDS = st.sampled_from(["a", "b", "ä/☂ %_'\\", "x" * RUN_ID_BYTES])
_NO_IDS = st.sampled_from(["", "never made", "y" * 1000])
_ANY_IDS = st.sampled_from(range(8)).flatmap(lambda n: _RUN_IDS if n else _NO_IDS)
_WORKERS = st.sampled_from(["ann", "bob", "cy"])
_WORKFLOWS = st.sampled_from(["checkout", "checkout@2", "refund"])
_WANTED = st.sampled_from(["checkout", "checkout@1", "checkout@2", "refund", "refund@2"])
_BYTES = st.sampled_from([b"", b"\0", b"one", b"{}", b"x" * 5000])
_SPANS_US = st.sampled_from([0, 1, 5, 50])
_STATUSES = st.sampled_from(Status)

_CHILDREN = st.builds(Create, _RUN_IDS, _WORKFLOWS, _BYTES, st.just(b"start"))
_POSTS = st.builds(Post, _ANY_IDS, _BYTES)
# One begins like the other, one sorts before it by its bytes, one is as long as they may be.
_TOPICS = st.sampled_from(["a", "ab", "a!", "ä", "x" * TOPIC_BYTES])
_EMITS = st.lists(st.builds(Emit, _TOPICS, _BYTES, st.sampled_from([None, None, 1, 2])), max_size=3)
_CREATES = st.builds(
    Create,
    run_id=_RUN_IDS,
    workflow=_WORKFLOWS,
    digest=_BYTES,
    start=st.just(b"start"),
    worker=st.none() | _WORKERS,
    records=st.just(()) | st.lists(_BYTES, max_size=3),
    messages=st.just(()) | st.lists(_BYTES, max_size=2),
    attributes=st.sampled_from([b"", b'{"a":1}']),
)

# Runs that ended are of no more use to a sequence.
_NEXT_STATUSES = st.sampled_from([*[Status.RUNNING, Status.WAITING, Status.PARKED] * 4, *Status])
_SELDOM = st.sampled_from([*[False] * 5, True])

# What a user writes: the name of one table begins as the other's does, and the keys are those that sort oddly.
_TABLES = ("t", "t.1")
_KEYS = st.sampled_from([b"", b"\0", b"a", b"a\0", b"b", b"\xff", b"k" * KEY_BYTES])
_STEPS = st.lists(st.tuples(st.sampled_from(_TABLES), _KEYS, st.none() | _BYTES), max_size=4)
_PARTS = st.lists(st.tuples(_STEPS, st.booleans()), max_size=3)

# Once a change was announced by the reference, how long the tested store may take to notice its own.
_NOTICE_S = 10.0


def store_contract(
    open_store: Callable[[], Store],
    *,
    reopen: Callable[[Store], Store] | None = None,
    reference: Callable[[], Store] | None = None,
) -> type[unittest.TestCase]:
    """Return a test case that proves a store.

    Args:
        open_store: Opens an empty store; called once for each sequence. The test closes what it opened.
        reopen: For stores that persist: opens the store again that has just been closed.
        reference: Opens an empty store to compare with; the memory store by default.
    """

    class Machine(StoreMachine):
        def __init__(self) -> None:
            super().__init__((reference or _memory)(), open_store(), reopen)

    Machine.__name__ = Machine.__qualname__ = "StoreContract"
    case: type[unittest.TestCase] = Machine.TestCase
    return case


def _memory() -> Store:
    (found,) = entry_points(group="interp.stores", name="memory")
    store: Store = found.load()("memory:")
    return store


class StoreMachine(RuleBasedStateMachine):
    """Two stores, a clock and the leases as the workers know them."""

    def __init__(self, reference: Store, tested: Store, reopen: Callable[[Store], Store] | None) -> None:
        super().__init__()
        self.reference = reference
        self.tested = tested
        self.reopened = reopen
        self.now_us = 1
        self.leases: dict[str, int] = {}

    def teardown(self) -> None:
        """Close both stores, the tested one twice."""
        self.reference.close()
        self.tested.close()
        self.tested.close()

    def both(self, ask: Callable[[Store], T]) -> T | None:
        """Ask both stores; return their common answer, None if it is a refusal."""
        expected, refused = _answer(ask, self.reference)
        actual, actually_refused = _answer(ask, self.tested)
        assert (expected, refused) == (actual, actually_refused)
        return expected

    @property
    def keeps_tables(self) -> bool:
        """Whether the tested store has tables of its users, which it need not have."""
        return isinstance(self.tested, Transactional)

    def rows(self) -> dict[str, RunRow]:
        """Return the rows of the tested store."""
        return {row.id: row for row in self.tested.runs(RunFilter())}

    @initialize()
    def begin(self) -> None:
        """A worker is at work already: most of what can go wrong is about runs that somebody owns."""
        self.both(lambda store: store.renew("ann", self.now_us, 50))
        self.leases["ann"] = self.now_us + 50
        for run_id in ("a", "b"):
            self.both(lambda store, run_id=run_id: store.create(_first(run_id), self.now_us))  # type: ignore[misc]  # mypy cannot infer a lambda's default

    # --- what clients do ---

    @rule(new=_CREATES)
    def create(self, new: Create) -> None:
        """The same again says that it exists, anything else under the id is refused; a fork begins with records."""
        self.both(lambda store: store.create(new, self.now_us))

    @rule(run_id=_ANY_IDS, body=_BYTES)
    def post(self, run_id: str, body: bytes) -> None:
        """A message makes the run due, unless it has ended or there is none."""
        self.both(lambda store: store.post(Post(run_id, body), self.now_us))

    @rule(run_id=_ANY_IDS, release=st.none() | st.builds(Release, _WORKERS, st.sampled_from(["c0de", "f00d"])))
    def unpark(self, run_id: str, release: Release | None) -> None:
        """A parked run comes back, for anybody or for who has released it; others stay as they are."""
        before = self.rows().get(run_id)
        if self.both(lambda store: store.unpark(run_id, self.now_us, release)):
            assert before is not None
            after = self.rows()[run_id]
            owned = (None, before.token) if release is None else (release.worker, before.token + 1)
            assert (after.owner, after.token) == owned
            assert (after.status, after.misfit, after.released_by) == (Status.RUNNING, False, ())

    @rule(data=st.data(), length=st.sampled_from([*[0] * 5, -1, 1]), attributes=st.sampled_from([None, b"{}"]))
    def reopen_run(self, data: st.DataObject, length: int, attributes: bytes | None) -> None:
        """A failed run goes on with another record in the place of its last; others stay as they are."""
        rows = sorted(self.rows().values(), key=lambda row: row.status is not Status.FAILED)
        if rows:
            row = rows[0] if rows[0].status is Status.FAILED else data.draw(st.sampled_from(rows))
            record, messages = data.draw(st.none() | _BYTES), data.draw(st.lists(_BYTES, max_size=2))
            wanted = Reopen(row.id, row.length + length, record, messages, attributes)
            done = self.both(lambda store: store.reopen(wanted, self.now_us))
            assert done == (row.status is Status.FAILED and not length)

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """An owned run fails: what may be reopened."""
        owned = [row for row in self.rows().values() if row.owner is not None]
        if owned:
            row = data.draw(st.sampled_from(owned))
            self._commit(
                Batch(appends=[Append(row.id, row.token, row.length, [b"end"], Status.FAILED, None, self.now_us)])
            )

    # --- what workers do ---

    @rule(worker=_WORKERS, lease_us=st.none() | _SPANS_US)
    def renew_or_resign(self, worker: str, lease_us: int | None) -> None:
        """A worker extends its lease, or it leaves and what it owns is free."""
        if lease_us is None:
            self.both(lambda store: store.resign(worker))
            self.leases.pop(worker, None)
        else:
            self.both(lambda store: store.renew(worker, self.now_us, lease_us))
            self.leases[worker] = self.now_us + lease_us

    @rule(span_us=_SPANS_US)
    def pass_time(self, span_us: int) -> None:
        """Timers fire and leases end."""
        self.now_us += span_us

    @rule(
        worker=_WORKERS,
        limit=st.integers(0, 5),
        lease_us=_SPANS_US,
        workflows=st.none() | st.frozensets(_WORKFLOWS),
    )
    def claim(self, worker: str, limit: int, lease_us: int, workflows: frozenset[str] | None) -> None:
        """A worker takes what is due and owned by nobody alive; never what another one alive owns."""
        before = self.rows()
        due = self.both(
            lambda store: _clamped(store.claim(worker, limit, self.now_us, lease_us, workflows), self.now_us)
        )
        assert due is not None
        self._check_claims(due, worker, before)
        if any(before[claim.run.id].owner != worker for claim in due.claims):
            self.leases[worker] = self.now_us + lease_us

    def _check_claims(self, due: Due, worker: str, before: dict[str, RunRow]) -> None:
        for claim in due.claims:
            old = before[claim.run.id]
            assert claim.run.owner == worker
            assert claim.messages == self.tested.inbox(claim.run.id)
            if old.owner == worker:
                assert claim.run == old
            else:
                assert old.owner is None or self.leases.get(old.owner, 0) <= self.now_us, "its owner was alive"
                assert claim.run == msgspec.structs.replace(old, owner=worker, token=old.token + 1)
                assert claim.lost == old.owner

    @rule(data=st.data(), more=st.lists(_BYTES, max_size=1))
    def append(self, data: st.DataObject, more: list[bytes]) -> None:
        """An owner that knows where it stands moves its run on."""
        owned = [row for row in self.rows().values() if row.owner is not None]
        if not owned:
            self.claim("ann", 5, 50, None)
        else:
            row = data.draw(st.sampled_from(owned))
            posts = [Post(row.id, body) for body in more]
            refusals = self._commit(Batch(posts=posts, appends=[data.draw(self._appends(row))]))
            assert all(refusal.why != "fenced" for refusal in refusals)

    @rule(data=st.data(), token=st.sampled_from([-1, 0, 1]), index=st.sampled_from([-1, 0, 1]))
    def append_out_of_place(self, data: st.DataObject, token: int, index: int) -> None:
        """Whoever is not the owner any more, or is wrong about the length, is fenced."""
        rows = list(self.rows().values())
        if rows:
            row = data.draw(st.sampled_from(rows))
            append = data.draw(self._appends(row))
            append = msgspec.structs.replace(append, token=row.token + token, index=append.index + index)
            if append.index >= 0 and (row.owner is None or token or index):
                refusals = self._commit(Batch(appends=[append]))
                assert [refusal.why for refusal in refusals] == ["fenced"]

    @rule(data=st.data(), emits=_EMITS, token=st.sampled_from([0, 0, 0, -1, 1]))
    def emit(self, data: st.DataObject, emits: list[Emit], token: int) -> None:
        """An owner writes what activities emit; whoever is not the owner any more is fenced."""
        rows = list(self.rows().values())
        if rows:
            row = data.draw(st.sampled_from(rows))
            refusals = self._commit(Batch(emissions=[Emission(row.id, row.token + token, emits)]))
            assert [refusal.why for refusal in refusals] == ["fenced"] * (row.owner is None or token != 0)

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """Of a batch the parts that fit are written and the others change nothing."""
        batch = Batch(
            creates=data.draw(st.lists(_CREATES, max_size=2), label="creates"),
            posts=data.draw(st.lists(_POSTS, max_size=2), label="posts"),
        )
        rows = list(self.rows().values())
        rows += [_newborn(new) for new in batch.creates]
        rows.append(_newborn(Create("never made", "checkout", b"", b"", None)))
        appends = st.sampled_from(rows).flatmap(self._appends)
        emissions = st.sampled_from(rows).flatmap(_emissions)
        self._commit(
            msgspec.structs.replace(
                batch,
                appends=data.draw(st.lists(appends, max_size=3), label="appends"),
                emissions=data.draw(st.lists(emissions, max_size=2), label="emissions"),
            )
        )

    def _commit(self, batch: Batch) -> list[Refusal]:
        before = {run_id: self._contents(run_id) for run_id in self.rows()}
        refusals = self.both(lambda store: store.commit(batch, self.now_us))
        assert refusals is not None
        parts = [*(new.run_id for new in batch.creates), *(post.run_id for post in batch.posts)]
        parts += [append.run_id for append in batch.appends]
        parts += [emission.run_id for emission in batch.emissions]
        parts += [new.run_id for append in batch.appends for new in append.creates]
        parts += [post.run_id for append in batch.appends for post in append.posts]
        refused = [refusal.run_id for refusal in refusals]
        for run_id, contents in before.items():
            if parts.count(run_id) == refused.count(run_id):
                assert contents == self._contents(run_id), "a refused part has changed something"
        return refusals

    def _contents(self, run_id: str) -> object:
        streams = {topic: list(self.tested.stream(run_id, topic)) for topic in self.tested.topics(run_id)}
        return self.tested.run(run_id), self.tested.inbox(run_id), list(self.tested.history(run_id)), streams

    def _appends(self, row: RunRow) -> st.SearchStrategy[Append]:
        """Give appends that the owner of the run could make."""
        numbers = [message.number for message in self.tested.inbox(row.id)] if row.created_us else []
        return _SELDOM.flatmap(
            lambda restart: st.builds(
                Append,
                run_id=st.just(row.id),
                token=st.just(row.token),
                index=st.just(0 if restart else row.length),
                records=st.lists(_BYTES, max_size=3),
                status=_NEXT_STATUSES | st.just(row.status),
                due_us=st.sampled_from([None, row.due_us]) | _SPANS_US.map(lambda span_us: self.now_us + span_us),
                at_us=st.just(self.now_us),
                consumed=st.just(numbers) | st.lists(st.sampled_from([*numbers, 99]), unique=True),
                seen=st.integers(0, 4),
                attributes=st.none() | st.just(b'{"a":1}'),
                reason=st.sampled_from(["", "why not"]),
                restart=st.just(restart),
                workflow=st.none() | _WORKFLOWS if restart else st.none(),
                misfit=st.booleans(),
                release=_SELDOM,
                creates=_SELDOM.flatmap(lambda asks: st.lists(_CHILDREN, max_size=2 if asks else 0)),
                posts=_SELDOM.flatmap(lambda asks: st.lists(_POSTS, max_size=2 if asks else 0)),
                emits=_SELDOM.flatmap(lambda emits: _EMITS if emits else st.just([])),
            )
        )

    # --- what users do with tables of their own ---

    @precondition(lambda self: self.keeps_tables)
    @rule(data=st.data(), parts=_PARTS, token=st.sampled_from([*[0] * 4, -1, 1]), index=st.sampled_from([*[0] * 4, 1]))
    def transact(self, data: st.DataObject, parts: list[tuple[list[_Step], bool]], token: int, index: int) -> None:
        """What an owner writes comes with its append; what a part takes back is gone; a stale owner's never runs."""
        rows = list(self.rows().values())
        owned = [row for row in rows if row.owner is not None]
        if not rows:
            return
        row = data.draw(st.sampled_from(owned or rows))
        append = data.draw(self._appends(row))
        before = self.both(_tables)
        answer = self.both(lambda store: _transacted(store, row, (token, index), parts, append, self.now_us))
        assert answer is not None
        if row.owner is None or token or index:
            assert answer == (["fenced"], [])
            assert before == _tables(self.tested)

    @precondition(lambda self: self.keeps_tables)
    @rule(steps=_STEPS, gives_up=st.booleans())
    def write_tables(self, steps: list[_Step], gives_up: bool) -> None:
        """What is written in a `with` block is there at its end, and not if it raises."""
        before = self.both(_tables)
        self.both(lambda store: _written(store, steps, gives_up=gives_up))
        assert not gives_up or before == _tables(self.tested)

    # --- what watchers do ---

    @rule(
        statuses=st.none() | st.frozensets(_STATUSES),
        workflow=st.none() | _WANTED,
        after=st.none() | _ANY_IDS,
        limit=st.none() | st.integers(0, 3),
        newest=st.booleans(),
        from_us=st.none() | _SPANS_US,
        until_us=st.none() | _SPANS_US,
        run_id=_ANY_IDS,
        start=st.integers(0, 4),
    )
    def look(
        self,
        statuses: frozenset[Status] | None,
        workflow: str | None,
        after: str | None,
        limit: int | None,
        newest: bool,
        from_us: int | None,
        until_us: int | None,
        run_id: str,
        start: int,
    ) -> None:
        """Runs are listed by status, workflow and creation, from either end; a history is read from any record on."""
        created_from_us = None if from_us is None else self.now_us - from_us
        created_until_us = None if until_us is None else self.now_us - until_us
        where = RunFilter(statuses, workflow, limit, after, newest, created_from_us, created_until_us)
        self.both(lambda store: store.runs(where))
        self.both(lambda store: store.run(run_id))
        self.both(lambda store: store.inbox(run_id))
        self.both(lambda store: list(store.history(run_id, start)))
        self.both(lambda store: store.topics(run_id))
        for topic in ("a", "never written to", "\0", "x" * 1000):
            self.both(lambda store, topic=topic: list(store.stream(run_id, topic, start)))  # type: ignore[misc]  # mypy cannot infer a lambda's default
        self.both(lambda store: store.flush())

    @precondition(lambda self: self.reopened is not None)
    @rule()
    def reopen(self) -> None:
        """A store that is opened again is what it was."""
        assert self.reopened is not None
        self.tested.close()
        self.tested = self.reopened(self.tested)
        self.tested.changed(0)  # the first call may answer for what was before

    # --- what is always true ---

    @invariant()
    def stores_agree(self) -> None:
        """Both stores hold the same runs, messages, records and streams."""
        rows = self.both(lambda store: store.runs(RunFilter()))
        for row in rows or ():
            assert self.both(lambda store, row=row: store.run(row.id)) == row  # type: ignore[misc]  # mypy cannot infer a lambda's default
            self.both(lambda store, row=row: store.inbox(row.id))  # type: ignore[misc]  # mypy cannot infer a lambda's default
            self.both(lambda store, row=row: list(store.history(row.id)))  # type: ignore[misc]  # mypy cannot infer a lambda's default
            for topic in self.both(lambda store, row=row: store.topics(row.id)) or ():  # type: ignore[misc]  # mypy cannot infer a lambda's default
                self.both(lambda store, row=row, topic=topic: list(store.stream(row.id, topic)))  # type: ignore[misc]  # mypy cannot infer a lambda's default

    @precondition(lambda self: self.keeps_tables)
    @invariant()
    def tables_agree(self) -> None:
        """Both stores hold the same tables, whose keys are in order."""
        for table in self.both(_tables) or ():
            assert [key for key, _ in table] == sorted({key for key, _ in table})

    @invariant()
    def those_who_wait_are_woken(self) -> None:
        """What concerns others wakes them, and nothing else does."""
        expected = self.reference.changed(0)
        assert self.tested.changed(_NOTICE_S if expected else 0) == expected

    @invariant()
    def rows_are_sound(self) -> None:
        """Lengths and numbers tell the truth; runs that ended own nothing and are owned by nobody."""
        for row in self.rows().values():
            assert row.length == len(list(self.tested.history(row.id)))
            for topic in self.tested.topics(row.id):
                numbers = [item.number for item in self.tested.stream(row.id, topic)]
                assert numbers == list(range(numbers[0], numbers[-1] + 1))
            assert (row.reason == "") or row.status is Status.PARKED
            assert not (row.misfit or row.released_by) or row.status is Status.PARKED
            if row.status.ended:
                assert self.tested.inbox(row.id) == ()
            if row.status.ended or row.status is Status.PARKED:
                assert (row.owner, row.due_us) == (None, None)


def _transacted(
    store: Store,
    row: RunRow,
    off: tuple[int, int],
    parts: Sequence[tuple[list[_Step], bool]],
    append: Append,
    now_us: int,
) -> tuple[list[Why], list[bytes | None]]:
    """Commit a transact until it goes through; returns the refusals and what its work read."""
    assert isinstance(store, Transactional)
    seen: list[bytes | None] = []

    def work(nest: Nest) -> Append:
        seen.clear()
        for steps, kept in parts:

            def part(tx: Transaction, steps: list[_Step] = steps, kept: bool = kept) -> bool:
                seen.extend(_do(tx, steps))
                return kept

            nest(part)
        return append

    batch = Batch(transacts=[Transact(row.id, row.token + off[0], row.length + off[1], work)])
    while True:
        try:
            refusals = store.commit(batch, now_us)
        except TryAgain:
            continue
        return [refusal.why for refusal in refusals if refusal.run_id == row.id and refusal.why == "fenced"], seen


def _written(store: Store, steps: list[_Step], *, gives_up: bool) -> list[bytes | None]:
    """Write in a `with` block until it goes through; returns what was read."""
    assert isinstance(store, Transactional)
    seen: list[bytes | None] = []
    while True:
        try:
            with store.transaction() as tx:
                seen = _do(tx, steps)
                if gives_up:
                    raise _GaveUp
        except TryAgain:
            continue
        except _GaveUp:
            pass
        return seen


class _GaveUp(Exception):
    pass


def _do(tx: Transaction, steps: list[_Step]) -> list[bytes | None]:
    """Write, and return what was there before."""
    seen: list[bytes | None] = []
    for name, key, value in steps:
        table = tx.table(name)
        seen.append(table.get(key))
        if value is None:
            assert table.delete(key) == (seen[-1] is not None)
        else:
            table.put(key, value)
        assert table.get(key) == value
    return seen


def _tables(store: Store) -> list[list[tuple[bytes, bytes]]]:
    """Return all that the tables hold, and a part of it."""
    assert isinstance(store, Transactional)
    with store.transaction(write=False) as tx:
        return [found for name in _TABLES for found in (list(tx.table(name).scan()), list(tx.table(name).scan(b"a")))]


def _emissions(row: RunRow) -> st.SearchStrategy[Emission]:
    """Give emissions that the owner of the run could make."""
    return st.builds(Emission, st.just(row.id), st.just(row.token), _EMITS)


def _first(run_id: str) -> Create:
    return Create(run_id, "checkout", b"", b"start", worker="ann")


def _answer(ask: Callable[[Store], T], store: Store) -> tuple[T | None, str]:
    try:
        return ask(store), ""
    except InterpError as error:
        return None, type(error).__name__


def _clamped(due: Due, now_us: int) -> Due:
    """Return the answer without what is left to the store: how long a run has been due that was cut off."""
    return due if due.next_us is None else attrs.evolve(due, next_us=max(due.next_us, now_us))


def _newborn(new: Create) -> RunRow:
    """Return what an append to a run of the same batch may count on; created at 0, which no real run is."""
    return RunRow(
        id=new.run_id,
        workflow=new.workflow,
        digest=new.digest,
        status=Status.PENDING,
        length=len(new.records),
        due_us=0,
        owner=new.worker,
        token=0 if new.worker is None else 1,
        created_us=0,
        updated_us=0,
        attributes=new.attributes,
        reason="",
    )
