"""The rules of `interp.store` by example, on every store: what the contract checks, in sentences."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from interp.errors import RunEnded, RunExists, UnknownRun, UsageError
from interp.store import (
    Append,
    Batch,
    Create,
    Message,
    Post,
    Refusal,
    Release,
    Reopen,
    RunFilter,
    RunRow,
    Status,
    Store,
)
from stores import lmdb, memory

LEASE_US = 100
RUN = Create("order-7", "checkout", b"digest", b"start")


@pytest.fixture(params=["memory", "lmdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    openers: dict[str, Callable[[], Store]] = {
        "memory": lambda: memory.open("memory:"),
        "lmdb": lambda: lmdb.open(f"lmdb://{tmp_path}/store?durability=none"),
    }
    store = openers[request.param]()
    yield store
    store.close()


def appended(token: int, index: int, *records: bytes, status: Status = Status.RUNNING, at_us: int = 2) -> Append:
    return Append("order-7", token, index, records, status, due_us=None, at_us=at_us)


def claimed(store: Store, worker: str, now_us: int) -> list[str]:
    return [claim.run.id for claim in store.claim(worker, 10, now_us, LEASE_US).claims]


def test_creating_the_same_run_again_says_that_it_existed(store: Store) -> None:
    assert store.create(RUN, 1)
    assert not store.create(RUN, 2)


def test_another_piece_of_work_under_the_same_id_is_refused(store: Store) -> None:
    store.create(RUN, 1)

    with pytest.raises(RunExists, match="refund"):
        store.create(replace(RUN, workflow="refund"), 2)


@pytest.mark.parametrize("run_id", ["", "x" * 401, "a\0b", "\ud800"])
def test_a_run_id_that_no_store_can_keep_is_refused_where_it_is_written(run_id: str) -> None:
    with pytest.raises(UsageError, match="run_id="):
        Create(run_id, "checkout", b"", b"")


def test_a_new_run_is_due_at_once_and_is_claimed_with_its_start(store: Store) -> None:
    store.create(RUN, 1)

    (claim,) = store.claim("ann", 10, 1, LEASE_US).claims

    assert claim.messages == (Message(0, b"start"),)
    assert (claim.run.owner, claim.run.token, claim.lost) == ("ann", 1, None)


def test_a_run_of_a_living_worker_is_not_claimed_by_another(store: Store) -> None:
    store.create(RUN, 1)
    assert claimed(store, "ann", 1) == ["order-7"]

    assert claimed(store, "bob", 1 + LEASE_US - 1) == []


def test_a_run_whose_owner_died_at_work_is_due_at_once_and_names_the_lost_worker(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    store.commit(Batch(appends=[replace(appended(1, 0, b"one"), consumed=[0])]), 2)

    (claim,) = store.claim("bob", 10, 1 + LEASE_US, LEASE_US).claims

    assert (claim.run.owner, claim.run.token, claim.lost) == ("bob", 2, "ann")


def test_a_waiting_run_of_a_dead_worker_stays_on_its_timer(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    sleeping = replace(appended(1, 0, b"one", status=Status.WAITING), due_us=900, consumed=[0])
    store.commit(Batch(appends=[sleeping]), 2)
    store.resign("ann")

    assert store.claim("bob", 10, 10, LEASE_US).next_us == 900
    assert claimed(store, "bob", 900) == ["order-7"]


def test_a_worker_that_resigns_leaves_its_work_to_others_at_once(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    store.resign("ann")

    assert claimed(store, "bob", 2) == ["order-7"]


def test_a_worker_claims_only_workflows_that_it_knows(store: Store) -> None:
    store.create(RUN, 1)

    assert store.claim("ann", 10, 1, LEASE_US, {"refund"}).claims == ()
    assert len(store.claim("ann", 10, 1, LEASE_US, {"checkout"}).claims) == 1


@pytest.mark.parametrize("stale", [appended(1, 1, b"two"), appended(2, 0, b"two"), appended(2, 2, b"two")])
def test_an_append_of_a_stale_owner_or_to_a_wrong_place_changes_nothing(store: Store, stale: Append) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    store.commit(Batch(appends=[appended(1, 0, b"one")]), 2)
    claimed(store, "bob", 1 + LEASE_US)
    before = store.run("order-7")

    assert store.commit(Batch(appends=[stale]), 300) == [Refusal("order-7", "fenced")]
    assert (store.run("order-7"), list(store.history("order-7"))) == (before, [b"one"])


def test_one_refused_part_does_not_hold_up_the_rest_of_its_batch(store: Store) -> None:
    batch = Batch(
        creates=[replace(RUN, worker="ann"), replace(RUN, workflow="refund")],
        posts=[Post("never made", b"hello"), Post("order-7", b"hello")],
    )

    assert store.commit(batch, 1) == [Refusal("order-7", "differs"), Refusal("never made", "unknown")]
    assert store.inbox("order-7") == (Message(0, b"start"), Message(1, b"hello"))


def test_a_batch_that_may_not_create_a_run_may_not_append_to_it_either(store: Store) -> None:
    born = replace(RUN, worker="ann")
    store.create(born, 1)

    refusals = store.commit(Batch(creates=[born], appends=[appended(1, 0, b"one")]), 2)

    assert refusals == [Refusal("order-7", "exists"), Refusal("order-7", "fenced")]


def test_a_run_is_created_and_moved_in_one_batch_by_its_owner_from_birth(store: Store) -> None:
    first = replace(appended(1, 0, b"one"), consumed=[0])

    assert store.commit(Batch(creates=[replace(RUN, worker="ann")], appends=[first]), 1) == []
    assert (list(store.history("order-7")), store.inbox("order-7")) == ([b"one"], ())


def test_a_message_that_the_owner_has_not_seen_keeps_the_run_due(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    store.post(Post("order-7", b"hello"), 2)
    moved = replace(appended(1, 0, b"one", status=Status.WAITING, at_us=3), consumed=[0], seen=1)
    store.commit(Batch(appends=[moved]), 3)

    assert claimed(store, "ann", 3) == ["order-7"]

    store.commit(Batch(appends=[replace(moved, index=1, consumed=(), seen=2)]), 4)

    assert claimed(store, "ann", 4) == []


def test_a_run_that_is_given_up_is_due_for_others_when_messages_are_left(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    given_up = replace(appended(1, 0, status=Status.WAITING), seen=1, release=True)
    store.commit(Batch(appends=[given_up]), 2)

    assert claimed(store, "bob", 2) == ["order-7"]


def test_a_waiting_run_whose_dead_owner_had_taken_messages_is_due_at_once(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    waiting = replace(appended(1, 0, b"one", status=Status.WAITING), seen=1)
    store.commit(Batch(appends=[waiting]), 2)
    assert claimed(store, "ann", 3) == []
    store.resign("ann")

    assert claimed(store, "bob", 3) == ["order-7"]


def test_messages_leave_the_inbox_even_if_nothing_else_changes(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    store.commit(Batch(appends=[replace(appended(1, 0, b"one"), seen=1)]), 2)
    store.commit(Batch(appends=[replace(appended(1, 1, b"two"), seen=1, consumed=[0])]), 3)

    assert store.inbox("order-7") == ()


def test_a_run_that_ended_owns_nothing_and_takes_no_messages(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    store.commit(Batch(appends=[appended(1, 0, b"done", status=Status.COMPLETED)]), 2)

    row = store.run("order-7")
    assert row is not None
    assert (row.owner, row.due_us, store.inbox("order-7")) == (None, None, ())
    with pytest.raises(RunEnded, match="completed"):
        store.post(Post("order-7", b"hello"), 3)
    assert claimed(store, "ann", 999) == []


def test_a_parked_run_keeps_its_messages_until_somebody_unparks_it(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    parked = replace(appended(1, 0, status=Status.PARKED), reason="it diverged", consumed=[0])
    store.commit(Batch(appends=[parked]), 2)
    store.post(Post("order-7", b"hello"), 3)

    (row,) = store.runs(RunFilter(statuses=frozenset({Status.PARKED})))
    assert (row.reason, row.owner, row.due_us) == ("it diverged", None, None)
    assert claimed(store, "ann", 4) == []

    assert store.unpark("order-7", 5)
    assert not store.unpark("order-7", 5)
    (claim,) = store.claim("ann", 10, 5, LEASE_US).claims
    assert claim.messages == (Message(1, b"hello"),)
    assert (claim.run.status, claim.run.reason) == (Status.RUNNING, "")


def test_a_restarted_run_has_a_new_journal_and_its_old_inbox(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    store.commit(Batch(appends=[appended(1, 0, b"one", b"two")]), 2)
    store.commit(Batch(appends=[replace(appended(1, 0, b"anew", at_us=7), restart=True)]), 7)

    row = store.run("order-7")
    assert row is not None
    assert (list(store.history("order-7")), row.length, row.updated_us) == ([b"anew"], 1, 7)
    assert store.inbox("order-7") == (Message(0, b"start"),)


def test_a_run_that_was_given_up_is_free_for_others_when_it_is_due(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    given_up = replace(appended(1, 0, status=Status.WAITING), release=True, due_us=9, consumed=[0])
    store.commit(Batch(appends=[given_up]), 2)

    assert claimed(store, "bob", 8) == []
    assert claimed(store, "bob", 9) == ["order-7"]


def test_when_the_limit_cuts_the_list_short_the_next_run_is_due_now(store: Store) -> None:
    for number in range(3):
        store.create(replace(RUN, run_id=f"order-{number}"), 1)

    due = store.claim("ann", 2, 5, LEASE_US)

    assert [claim.run.id for claim in due.claims] == ["order-0", "order-1"]
    assert due.next_us is not None
    assert due.next_us <= 5


def test_plain_progress_of_a_run_wakes_nobody(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    store.changed(0)
    store.commit(Batch(appends=[appended(1, 0, b"one")]), 2)

    assert not store.changed(0)


@pytest.mark.parametrize(
    "telling",
    [
        appended(1, 1, b"two", status=Status.COMPLETED),
        appended(1, 1, b"two", status=Status.PARKED),
        replace(appended(1, 1), release=True),
        replace(appended(1, 0), restart=True),
    ],
    ids=["ended", "parked", "given up", "restarted"],
)
def test_what_others_may_wait_for_wakes_them(store: Store, telling: Append) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    store.commit(Batch(appends=[appended(1, 0, b"one")]), 2)
    store.changed(0)
    store.commit(Batch(appends=[telling]), 3)

    assert store.changed(0)


def test_a_worker_is_not_woken_by_its_own_batches_but_everybody_else_is(store: Store) -> None:
    create = replace(RUN, worker="ann")
    for but in ("", "ann", "bob"):
        store.changed(0, but)
    store.commit(Batch(creates=[create], by="ann"), 1)

    assert [True, False, True] == [store.changed(0, but) for but in ("", "ann", "bob")]
    store.commit(Batch(posts=[Post(RUN.run_id, b"from bob")], by="bob"), 2)
    store.commit(Batch(posts=[Post(RUN.run_id, b"from ann")], by="ann"), 3)
    assert [True, True, True] == [store.changed(0, but) for but in ("", "ann", "bob")]
    store.post(Post(RUN.run_id, b"from nobody"), 4)
    assert [True, True, True] == [store.changed(0, but) for but in ("", "ann", "bob")]
    assert [False, False, False] == [store.changed(0, but) for but in ("", "ann", "bob")]


def test_a_change_by_another_is_heard_however_it_lies_among_the_workers_own(store: Store) -> None:
    store.changed(0, "ann")
    for number in range(40):
        by = "bob" if number % 4 == 3 else "ann"
        store.commit(Batch(creates=[replace(RUN, run_id=f"order-{number}")], by=by), number)

        assert (by == "bob") == store.changed(0, "ann")


@pytest.mark.parametrize("waits", ["ann", "bob", ""])
def test_who_waits_is_woken_by_the_batches_of_others(store: Store, waits: str) -> None:
    answers: list[bool] = []

    def wait() -> None:
        while store.changed(0, waits):
            pass
        begun.set()
        answers.append(store.changed(60, waits))

    begun = threading.Event()
    waiting = threading.Thread(target=wait)
    waiting.start()
    begun.wait()
    store.commit(Batch(creates=[RUN], by="ann"), 1)
    if waits == "ann":  # it sleeps on until somebody else writes
        waiting.join(0.05)
        assert [] == answers
        store.commit(Batch(posts=[Post(RUN.run_id, b"hello")], by="bob"), 2)
    waiting.join(60)

    assert [True] == answers


@pytest.mark.parametrize("run_id", ["never made", "", "x" * 1000])
def test_asking_for_a_run_that_is_not_there_says_so(store: Store, run_id: str) -> None:
    assert store.run(run_id) is None
    for ask in (store.history, store.inbox, lambda name: store.unpark(name, 1)):
        with pytest.raises(UnknownRun):
            ask(run_id)


# --- forks and retries ------------------------------------------------------------------------------------------------


def test_a_run_that_begins_with_records_is_due_and_has_no_start_in_its_inbox(store: Store) -> None:
    new = replace(RUN, records=[b"zero", b"one"], messages=[b"given"], attributes=b'{"a":1}')

    assert store.create(new, 5)
    assert not store.create(new, 6)

    (claim,) = store.claim("ann", 9, 6, 50).claims
    assert (Status.PENDING, 2, b'{"a":1}', 5) == (
        claim.run.status,
        claim.run.length,
        claim.run.attributes,
        claim.run.updated_us,
    )
    assert [(1, b"given")] == [(message.number, message.body) for message in claim.messages]
    assert [b"zero", b"one"] == list(store.history(RUN.run_id))
    assert [] == store.commit(Batch(appends=[Append(RUN.run_id, 1, 2, [b"two"], Status.WAITING, None, 7)]), 7)


def failed(store: Store, length: int = 3) -> None:
    """Let a run fail with its last record."""
    store.create(replace(RUN, worker="ann"), 1)
    records = [str(index).encode() for index in range(length)]
    assert [] == store.commit(Batch(appends=[Append(RUN.run_id, 1, 0, records, Status.FAILED, None, 2)]), 2)


def test_a_failed_run_that_is_reopened_has_another_last_record_and_is_due(store: Store) -> None:
    failed(store)

    assert store.reopen(Reopen(RUN.run_id, 3, b"retried", [b"again"], b"{}"), 5)

    assert [b"0", b"1", b"retried"] == list(store.history(RUN.run_id))
    (claim,) = store.claim("bob", 9, 5, 50).claims
    assert (Status.PENDING, 3, "bob", 2, b"{}") == (
        claim.run.status,
        claim.run.length,
        claim.run.owner,
        claim.run.token,
        claim.run.attributes,
    )
    assert [(1, b"again")] == [(message.number, message.body) for message in claim.messages]
    assert claim.lost is None
    assert [] == store.commit(Batch(appends=[Append(RUN.run_id, 2, 3, [b"more"], Status.WAITING, None, 7)]), 7)


def test_a_run_is_reopened_once_and_only_at_its_length_and_only_if_it_failed(store: Store) -> None:
    failed(store)

    assert not store.reopen(Reopen(RUN.run_id, 2, b"early"), 5)
    assert store.reopen(Reopen(RUN.run_id, 3, None), 5)
    assert not store.reopen(Reopen(RUN.run_id, 0, b"twice"), 6)
    assert [] == list(store.history(RUN.run_id))
    with pytest.raises(UnknownRun):
        store.reopen(Reopen("nobody", 1, None), 5)


def test_the_old_owner_cannot_write_to_a_reopened_run(store: Store) -> None:
    failed(store)
    assert store.reopen(Reopen(RUN.run_id, 3, b"retried"), 5)

    (refusal,) = store.commit(Batch(appends=[Append(RUN.run_id, 1, 3, [b"late"], Status.WAITING, None, 7)]), 7)

    assert "fenced" == refusal.why


def test_a_reader_of_a_run_that_is_reopened_sees_no_mixture(store: Store) -> None:
    failed(store, length=2_500)
    reading = store.history(RUN.run_id)
    read = [next(reading)]

    assert store.reopen(Reopen(RUN.run_id, 2_500, b"retried"), 5)
    read += reading

    assert b"retried" not in read
    assert read == [str(index).encode() for index in range(len(read))]


def test_a_fresh_journal_may_be_that_of_another_version_of_its_workflow(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    fresh = replace(appended(1, 0, b"new"), restart=True, workflow="checkout@2")
    assert store.commit(Batch(appends=[fresh]), 2) == []
    store.resign("ann")

    assert store.claim("bob", 10, 3, LEASE_US, {"checkout"}).claims == ()
    assert [claim.run.workflow for claim in store.claim("bob", 10, 3, LEASE_US, {"checkout@2"}).claims] == [
        "checkout@2"
    ]


def test_the_same_start_is_the_same_run_whatever_its_version(store: Store) -> None:
    store.create(RUN, 1)

    assert not store.create(replace(RUN, workflow="checkout@2"), 2)
    with pytest.raises(RunExists):
        store.create(replace(RUN, workflow="checkout@2", digest=b"other"), 2)


def test_who_has_released_a_run_is_remembered_until_somebody_does_so_by_hand_or_it_ends(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)

    def park(token: int) -> RunRow:
        append = replace(appended(token, 0, status=Status.PARKED), reason="why", misfit=True)
        assert store.commit(Batch(appends=[append]), 3) == []
        row = store.run("order-7")
        assert row is not None
        return row

    first = park(1)
    assert (first.misfit, first.released_by) == (True, ())
    assert store.unpark("order-7", 4, Release("bob", "c0de"))
    assert park(2).released_by == ("c0de",)
    assert store.unpark("order-7", 5, Release("bob", "f00d"))
    assert park(3).released_by == ("c0de", "f00d")
    assert store.unpark("order-7", 6)
    claimed(store, "ann", 6)
    assert park(4).released_by == ()


def test_a_run_that_is_parked_for_another_reason_is_no_misfit(store: Store) -> None:
    store.create(RUN, 1)
    claimed(store, "ann", 1)
    store.commit(Batch(appends=[replace(appended(1, 0, status=Status.PARKED), reason="poison")]), 3)

    row = store.run("order-7")
    assert row is not None and not row.misfit


def test_a_long_list_is_read_in_pages(store: Store) -> None:
    for number in range(5):
        store.create(replace(RUN, run_id=f"run-{number}"), 1)
    listed: list[str] = []
    page = store.runs(RunFilter(limit=2))
    while page:
        listed += [row.id for row in page]
        page = store.runs(RunFilter(limit=2, after=page[-1].id))

    assert listed == [f"run-{number}" for number in range(5)]
    assert store.runs(RunFilter(after="never made")) == []
