"""The contract of `interp.store.Store` as a test: your store beside the memory store, and every answer compared.

Three lines prove a store:

    from interp.testing.store_contract import store_contract

    TestMyStore = store_contract(lambda: my_store.open("my:scratch"), reopen=lambda store: my_store.open(store.url))

pytest and unittest collect the class. Hypothesis draws sequences of operations by several workers, under a clock of its
own: creations that are repeated or conflict, messages, claims before and after a lease has ended, batches of which some
parts must be refused, stale tokens and wrong positions, restarts, parking. After each step both stores must list the
same runs, inboxes and histories. A failure prints the shortest sequence found, as a program.

What it cannot test: durability, several processes, `register`. Test these with real processes and real kills.
"""

from __future__ import annotations

import unittest
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TypeVar

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from interp.errors import InterpError
from interp.store import RUN_ID_BYTES, Append, Batch, Create, Due, Post, RunFilter, RunRow, Status, Store

__all__ = ["store_contract"]

T = TypeVar("T")

# Few ids and names, so that the same ones meet often; the odd ones are those that a store may get wrong.
_RUN_IDS = st.sampled_from(["a", "b", "c", "d/1", "ä ☂", "%_'\\", "x" * RUN_ID_BYTES])
_ANY_IDS = _RUN_IDS | st.sampled_from(["", "never made", "y" * 1000])
_WORKERS = st.sampled_from(["ann", "bob", "cy"])
_WORKFLOWS = st.sampled_from(["checkout", "refund"])
_BYTES = st.sampled_from([b"", b"\0", b"one", b"{}", b"x" * 5000])
_SPANS_US = st.sampled_from([0, 1, 5, 50])
_STATUSES = st.sampled_from(Status)

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

    def rows(self) -> dict[str, RunRow]:
        """Return the rows of the tested store."""
        return {row.id: row for row in self.tested.runs(RunFilter())}

    # --- what clients do ---

    @rule(run_id=_RUN_IDS, workflow=_WORKFLOWS, digest=_BYTES, worker=st.none() | _WORKERS)
    def create(self, run_id: str, workflow: str, digest: bytes, worker: str | None) -> None:
        """The same again says that it exists, anything else under the id is refused."""
        self.both(lambda store: store.create(Create(run_id, workflow, digest, b"start", worker), self.now_us))

    @rule(run_id=_ANY_IDS, body=_BYTES)
    def post(self, run_id: str, body: bytes) -> None:
        """A message makes the run due, unless it has ended or there is none."""
        self.both(lambda store: store.post(Post(run_id, body), self.now_us))

    @rule(run_id=_ANY_IDS)
    def unpark(self, run_id: str) -> None:
        """A parked run comes back; others stay as they are."""
        self.both(lambda store: store.unpark(run_id, self.now_us))

    # --- what workers do ---

    @rule(worker=_WORKERS, lease_us=_SPANS_US)
    def renew(self, worker: str, lease_us: int) -> None:
        """A worker extends its lease."""
        self.both(lambda store: store.renew(worker, self.now_us, lease_us))
        self.leases[worker] = self.now_us + lease_us

    @rule(worker=_WORKERS)
    def resign(self, worker: str) -> None:
        """A worker leaves; what it owns is free."""
        self.both(lambda store: store.resign(worker))
        self.leases.pop(worker, None)

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
                assert claim.run == attrs.evolve(old, owner=worker, token=old.token + 1)
                assert claim.lost == old.owner

    @rule(data=st.data())
    def append(self, data: st.DataObject) -> None:
        """An owner that knows where it stands moves its run on."""
        owned = [row for row in self.rows().values() if row.owner is not None]
        if owned:
            row = data.draw(st.sampled_from(owned))
            self._commit(Batch(appends=[data.draw(self._appends(row, stale=False))]))

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """Of a batch the parts that fit are written and the others change nothing."""
        creates = st.builds(Create, _RUN_IDS, _WORKFLOWS, _BYTES, st.just(b"start"), st.none() | _WORKERS)
        posts = st.builds(Post, _ANY_IDS, _BYTES)
        batch = Batch(
            creates=data.draw(st.lists(creates, max_size=2), label="creates"),
            posts=data.draw(st.lists(posts, max_size=2), label="posts"),
        )
        rows = list(self.rows().values())
        rows += [_newborn(new) for new in batch.creates]
        rows.append(_newborn(Create("never made", "checkout", b"", b"", None)))
        appends = st.sampled_from(rows).flatmap(lambda row: self._appends(row, stale=True))
        self._commit(attrs.evolve(batch, appends=data.draw(st.lists(appends, max_size=3), label="appends")))

    def _commit(self, batch: Batch) -> None:
        before = {run_id: self._contents(run_id) for run_id in self.rows()}
        refusals = self.both(lambda store: store.commit(batch, self.now_us))
        assert refusals is not None
        parts = [*(new.run_id for new in batch.creates), *(post.run_id for post in batch.posts)]
        parts += [append.run_id for append in batch.appends]
        refused = [refusal.run_id for refusal in refusals]
        for run_id, contents in before.items():
            if parts.count(run_id) == refused.count(run_id):
                assert contents == self._contents(run_id), "a refused part has changed something"

    def _contents(self, run_id: str) -> object:
        return self.tested.run(run_id), self.tested.inbox(run_id), list(self.tested.history(run_id))

    def _appends(self, row: RunRow, *, stale: bool) -> st.SearchStrategy[Append]:
        """Give appends to a run, some of a stale owner or to a wrong place."""
        restarts = st.just(False) | st.booleans()
        off = st.sampled_from([0, 0, 0, 0, -1, 1]) if stale else st.just(0)
        waiting = self.tested.inbox(row.id) if row.created_us else ()
        numbers = [message.number for message in waiting]
        return restarts.flatmap(
            lambda restart: st.builds(
                Append,
                run_id=st.just(row.id),
                token=off.map(lambda by: max(row.token + by, 0)),
                index=off.map(lambda by: max((0 if restart else row.length) + by, 0)),
                records=st.lists(_BYTES, max_size=3),
                status=_STATUSES,
                due_us=st.none() | _SPANS_US.map(lambda span_us: self.now_us + span_us),
                at_us=st.just(self.now_us),
                consumed=st.lists(st.sampled_from([*numbers, 99]), unique=True),
                seen=st.integers(0, 4),
                attributes=st.none() | st.just(b'{"a":1}'),
                reason=st.sampled_from(["", "why not"]),
                restart=st.just(restart),
                release=st.booleans(),
            )
        )

    # --- what watchers do ---

    @rule(
        statuses=st.none() | st.frozensets(_STATUSES),
        workflow=st.none() | _WORKFLOWS,
        limit=st.none() | st.integers(0, 3),
    )
    def runs(self, statuses: frozenset[Status] | None, workflow: str | None, limit: int | None) -> None:
        """Runs are listed by status and workflow, oldest first."""
        self.both(lambda store: store.runs(RunFilter(statuses, workflow, limit)))

    @rule(run_id=_ANY_IDS, start=st.integers(0, 4))
    def history(self, run_id: str, start: int) -> None:
        """A history can be read from any record on."""
        self.both(lambda store: list(store.history(run_id, start)))

    @rule(run_id=_ANY_IDS)
    def look(self, run_id: str) -> None:
        """One run is looked at; there may be none of this id."""
        self.both(lambda store: store.run(run_id))
        self.both(lambda store: store.inbox(run_id))

    @rule()
    def changed(self) -> None:
        """Those who wait are woken by what concerns others, and by nothing else."""
        expected = self.reference.changed(0)
        assert self.tested.changed(_NOTICE_S if expected else 0) == expected

    @rule()
    def flush(self) -> None:
        """Everything is made durable."""
        self.both(lambda store: store.flush())

    @precondition(lambda self: self.reopened is not None)
    @rule()
    def reopen(self) -> None:
        """A store that is opened again is what it was."""
        assert self.reopened is not None
        self.tested.close()
        self.tested = self.reopened(self.tested)
        # The first call may answer for what was before.
        self.reference.changed(0)
        self.tested.changed(0)

    # --- what is always true ---

    @invariant()
    def stores_agree(self) -> None:
        """Both stores hold the same runs, messages and records."""
        rows = self.both(lambda store: store.runs(RunFilter()))
        for row in rows or ():
            assert self.both(lambda store, row=row: store.run(row.id)) == row  # type: ignore[misc]
            self.both(lambda store, row=row: store.inbox(row.id))  # type: ignore[misc]
            self.both(lambda store, row=row: list(store.history(row.id)))  # type: ignore[misc]

    @invariant()
    def rows_are_sound(self) -> None:
        """Lengths tell the truth; runs that ended own nothing and are owned by nobody."""
        for row in self.rows().values():
            assert row.length == len(list(self.tested.history(row.id)))
            assert (row.reason == "") or row.status is Status.PARKED
            if row.status.ended:
                assert self.tested.inbox(row.id) == ()
            if row.status.ended or row.status is Status.PARKED:
                assert (row.owner, row.due_us) == (None, None)


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
        length=0,
        due_us=0,
        owner=new.worker,
        token=0 if new.worker is None else 1,
        created_us=0,
        updated_us=0,
        attributes=b"",
        reason="",
    )
