"""What a write transaction of an LMDB store does: one `Change` per transaction, thrown away with it.

Each part of a batch is checked before the first byte of it is written, so that a refused part changes nothing. The
hot path is `_append`: one new journal record, and the row and its indexes only where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import attrs
import lmdb
from msgspec.structs import replace

from interp.store import (
    GOING_ON,
    Append,
    Batch,
    Claim,
    Create,
    Emission,
    Emit,
    Post,
    Refusal,
    Release,
    Reopen,
    Status,
    Transact,
    Why,
)
from interp.tables import Transaction
from stores._lmdb_cells import LmdbCells
from stores._lmdb_claim import NOBODY
from stores._lmdb_rows import (
    Parking,
    Row,
    Worker,
    due_key,
    encode_item,
    encode_records,
    encode_texts,
    inbox_key,
    item_key,
    number_of,
    record_key,
    running_key,
    status_key,
    stream_key,
    worker_key,
)
from stores._lmdb_standing import Stood
from stores._lmdb_tables import CHANGES, Table, Tables, View

__all__ = ["Change"]

_LAST_RUN = b"last_run"
_LAST_WORKER = b"last_worker"


class Change:
    """The changes of one write transaction; `finish` writes the counters at its end.

    Attributes:
        view: What the transaction sees, its own changes included.
        wakes: Whether something was written that others may wait for.
        found: Keys of the run ids met on the way; valid for others only once the transaction is committed.
        stood: Runs as this transaction leaves them; None for those of which nothing is to be remembered.
        appended: Whether a record was put, so that the transaction takes a number of its own.
        news: Its number among the changes that others may wait for; 0 when it is none.
    """

    def __init__(
        self,
        txn: lmdb.Transaction[bytes],
        tables: Tables,
        known: Mapping[str, bytes],
        standing: Mapping[bytes, Stood],
        inside: Callable[[], lmdb.Transaction[bytes]],
    ) -> None:
        """Begin with a transaction that is open.

        Args:
            txn: The transaction.
            tables: The store's tables.
            known: Keys of run ids that are known already.
            standing: Runs as they stand at the beginning, as far as that is known.
            inside: Opens a transaction within this one.
        """
        self.view = View(txn, tables)
        self.wakes = False
        self.found: dict[str, bytes] = {}
        self.stood: dict[bytes, Stood | None] = {}
        self.appended = False
        self.news = 0
        self._txn = txn
        self._tables = tables
        self._journal = txn.cursor(tables.journal)
        self._known = known
        self._standing = standing
        self._newborn: dict[bytes, tuple[Row, Sequence[bytes]]] = {}
        self._inside = inside
        self._last_run: int | None = None
        self._owned: dict[int, int] = {}
        self._numbers: dict[str, int] = {}

    def commit(self, batch: Batch, encoded: Sequence[Sequence[bytes]], now_us: int) -> list[Refusal]:
        """Write a batch whose appends are encoded already."""
        # Mostly there is only an append; and a comprehension over nothing is a call, too, on Python 3.11.
        refusals = self._all_created(batch.creates, now_us) if batch.creates else []
        barred = {refusal.run_id for refusal in refusals} if refusals else set[str]()
        refusals += self._all_posted(batch.posts, now_us) if batch.posts else ()
        for emission in batch.emissions:
            if why := "fenced" if emission.run_id in barred else self._emission(emission):
                refusals.append(Refusal(emission.run_id, why))
        for append, records in zip(batch.appends, encoded, strict=True):
            if why := "fenced" if append.run_id in barred else self._append(append, records):
                refusals.append(Refusal(append.run_id, why))
                barred.add(append.run_id)
            elif append.creates or append.posts:
                refusals += self._ask(append, now_us)
        while self._newborn:
            self._settle(next(iter(self._newborn)))
        for transact in batch.transacts:
            if transact.run_id in barred or not self._owns(transact):
                refusals.append(Refusal(transact.run_id, "fenced"))
            elif answer := transact.work(self._nest):
                why = self._append(answer, encode_records(answer.records, answer.index, answer.at_us))
                assert why is None, "the work of a transact answered with an append that does not follow"
                refusals += self._ask(answer, now_us)
        return refusals

    def _ask(self, append: Append, now_us: int) -> list[Refusal]:
        """Write what an append starts and sends."""
        return self._all_created(append.creates, now_us) + self._all_posted(append.posts, now_us)

    def _all_created(self, creates: Iterable[Create], now_us: int) -> list[Refusal]:
        return [Refusal(new.run_id, why) for new in creates if (why := self._create(new, now_us))]

    def _all_posted(self, posts: Iterable[Post], now_us: int) -> list[Refusal]:
        return [Refusal(post.run_id, why) for post in posts if (why := self._post(post, now_us))]

    def _owns(self, transact: Transact) -> bool:
        """Whether whoever asks is the owner of the run, and right about its length."""
        run = self._find(transact.run_id)
        if run is None:
            return False
        row = self.view.row(run)
        end = self.view.end(run)
        return row.token == transact.token and row.owner != NOBODY and (end[0] if end else 0) == transact.index

    def _nest(self, part: Callable[[Transaction], bool]) -> None:
        """Run a part on a transaction within this one."""
        txn = self._inside()
        cells = LmdbCells(txn, self._tables.user)
        transaction = Transaction(cells)
        try:
            kept = part(transaction)
            if cells.trouble is not None:
                raise cells.trouble
        except BaseException:
            txn.abort()
            raise
        finally:
            transaction.close()
        if kept:
            txn.commit()
        else:
            txn.abort()
        # LMDB carries open cursors into the inner transaction and back; a fresh one does not depend on that.
        self._journal = self._txn.cursor(self._tables.journal)

    def finish(self) -> None:
        """Write the counters."""
        if self._last_run is not None:
            self._set_counter(_LAST_RUN, self._last_run)
        for number, owned in self._owned.items():
            worker = self.view.worker(number)
            assert worker is not None, "a run is owned by a worker without a row"
            self._put_worker(number, attrs.evolve(worker, owned=worker.owned + owned))
        if self.wakes:
            self.news = self.view.counter(CHANGES) + 1
            self._set_counter(CHANGES, self.news)

    # --- runs ---

    def _create(self, new: Create, now_us: int) -> Why | None:
        if run := self._find(new.run_id):
            return "exists" if new.is_same(*self.view.row(run).identity) else "differs"
        if self._last_run is None:
            self._last_run = self.view.counter(_LAST_RUN)
        self._last_run += 1
        run = self._last_run.to_bytes(8, "big")
        name = new.run_id.encode()
        owner = NOBODY if new.worker is None else self.worker_number(new.worker)
        row = Row(
            status=Status.PENDING,
            owner=owner,
            token=0 if owner == NOBODY else 1,
            due_us=now_us,
            created_us=now_us,
            began_us=now_us,
            posted=1 + len(new.messages),
            waiting=len(new.messages) + (0 if new.records else 1),
            restarts=0,
            texts=encode_texts(name, new.workflow.encode(), new.digest, b"", new.attributes),
        )
        self._txn.put(name, run, db=self._tables.ids)
        for index, record in enumerate(encode_records(new.records, 0, now_us)):
            self._journal.put(record_key(run, index), record)
        inbox = new.messages if new.records else (new.start, *new.messages)
        self._newborn[run] = (row, inbox)
        if owner == NOBODY or len(inbox) > 1 or new.records:
            self._settle(run)
        self.found[new.run_id] = run
        self.wakes = True
        return None

    def _settle(self, run: bytes) -> None:
        """Write row and inbox of a run that was just created.

        Those of a run with an owner wait for its first append, which mostly is in the same batch: it writes another
        row, with other indexes, and takes the one message from the inbox. Of fourteen puts and deletes that leaves six.
        """
        row, inbox = self._newborn.pop(run)
        for number, body in enumerate(inbox, row.posted - len(inbox)):
            self._txn.put(inbox_key(run, number), body, db=self._tables.inbox)
        self._write_row(run, None, row)

    def _post(self, post: Post, now_us: int) -> Why | None:
        run = self._find(post.run_id)
        if run is None:
            return "unknown"
        before = self.view.row(run)
        if before.status.ended:
            return "ended"
        self._txn.put(inbox_key(run, before.posted), post.body, db=self._tables.inbox)
        due_us = None if before.status is Status.PARKED else _sooner(before.due_us, now_us)
        row = replace(before, posted=before.posted + 1, waiting=before.waiting + 1, due_us=due_us)
        self._write_row(run, before, row)
        self.wakes = True
        return None

    def unpark(self, run: bytes, now_us: int, release: Release | None) -> bool:
        """Make a parked run due again."""
        before = self.view.row(run)
        if before.status is not Status.PARKED:
            return False
        row = replace(before, status=Status.RUNNING, due_us=now_us)
        if release is None:
            self._note_parking(run, Parking())
        else:
            row.owner, row.token = self.worker_number(release.worker), before.token + 1
            self._note_parking(run, Parking(False, (*self.view.parking(run).released_by, release.code)))
        row.rewrite(attributes=None, reason="")
        self._write_row(run, before, row)
        self.wakes = True
        return True

    def reopen(self, run: bytes, reopen: Reopen, now_us: int) -> bool:
        """Replace the last record of a failed run, and make it due again."""
        before = self.view.row(run)
        end = self.view.end(run)
        if before.status is not Status.FAILED or (end[0] if end else 0) != reopen.length:
            return False
        # Readers see by the number of restarts that what they have read is not what they would go on with.
        row = replace(before, status=Status.PENDING, due_us=now_us, restarts=before.restarts + 1)
        if reopen.record is None:
            self._drop(self._tables.journal, run)
            row.began_us = now_us
        else:
            last = max(reopen.length - 1, 0)
            (record,) = encode_records([reopen.record], last, now_us)
            self._journal.put(record_key(run, last), record)
        for number, body in enumerate(reopen.messages, before.posted):
            self._txn.put(inbox_key(run, number), body, db=self._tables.inbox)
        row.posted = before.posted + len(reopen.messages)
        row.waiting = len(reopen.messages)
        if reopen.attributes is not None:
            row.rewrite(attributes=reopen.attributes, reason="")
        self._write_row(run, before, row)
        self.wakes = True
        return True

    def take(self, run: bytes, worker: int) -> Claim:
        """Make the worker the owner of a run that is due, unless it is already."""
        before = self.view.row(run)
        lost = None
        if before.owner != worker:
            lost = self.view.worker_name(before.owner)
            self._write_row(run, before, replace(before, owner=worker, token=before.token + 1))
        return Claim(self.view.listed(run), self.view.messages(run), lost)

    # --- the hot path ---

    def _append(self, append: Append, records: Sequence[bytes]) -> Why | None:
        run = self._key(append.run_id)
        if run is None:
            return "unknown"
        if run in self._newborn:
            if _takes_start(append):
                return self._append_first(run, append, records)
            self._settle(run)
        stood = self.stood[run] if run in self.stood else self._standing.get(run)
        before = self.view.row(run) if stood is None else stood.row
        if before.token != append.token or before.owner == NOBODY:
            return "fenced"
        if append.restart or stood is None:
            if not self._fits(run, append):
                return "fenced"
        elif append.index != stood.length:
            return "fenced"
        if append.restart:
            self._drop(self._tables.journal, run)
        self._lengthen(run, append, records)
        if _only_longer(before, append):
            self.stood[run] = Stood(before, append.index + len(records))
        else:
            taken = sum(self._txn.delete(inbox_key(run, number), db=self._tables.inbox) for number in append.consumed)
            row = self._appended(run, before, append, taken)
            if row != before:
                self._write_row(run, before, row)
            self._remember(run, row, append.index + len(records))
            if row.owner == NOBODY or append.restart:
                self.wakes = True
        return None

    def _append_first(self, run: bytes, append: Append, records: Sequence[bytes]) -> Why | None:
        """Write the first records of a run together with the run; its start is taken in before it was written."""
        before, _ = self._newborn[run]
        if before.token != append.token or before.owner == NOBODY or append.index != 0:
            return "fenced"
        del self._newborn[run]
        self._lengthen(run, append, records)
        row = self._appended(run, before, append, taken=1)
        self._write_row(run, None, row)
        self._remember(run, row, len(records))
        return None

    def _lengthen(self, run: bytes, append: Append, records: Sequence[bytes]) -> None:
        """Put the records, and the items that go with them."""
        put, index = self._journal.put, append.index
        for record in records:
            # overwrite=False is the second fence: two owners of one run could never both write a record.
            fresh = put(record_key(run, index), record, overwrite=False)
            assert fresh, "a record lies beyond the end of its journal"
            index += 1  # by hand, as `enumerate` makes an object, and mostly there is one record
            self.appended = True
        if append.emits:
            self._emit(run, append.emits)

    def _remember(self, run: bytes, row: Row, length: int) -> None:
        self.stood[run] = None if row.status.ended else Stood(row, length)

    def _fits(self, run: bytes, append: Append) -> bool:
        """Whether the append goes exactly behind the last record."""
        if append.restart:
            return append.index == 0
        found = self._journal.set_key
        if append.index and not found(record_key(run, append.index - 1)):
            return False
        return not found(record_key(run, append.index))

    def _appended(self, run: bytes, before: Row, append: Append, taken: int) -> Row:
        """Return the row as it is after the append, which has taken so many messages from the inbox."""
        ended, parked = append.status.ended, append.status is Status.PARKED
        row = replace(before, status=append.status, due_us=append.due_us, waiting=before.waiting - taken)
        if append.restart:
            row.began_us = append.at_us
            row.restarts += 1
        if ended and row.waiting:
            self._drop(self._tables.inbox, run)
            row.waiting = 0
        if append.release or ended or parked:
            row.owner = NOBODY
        if ended or parked:
            row.due_us = None
        elif row.waiting and (append.release or self._unseen(run, append.seen)):
            row.due_us = _sooner(append.due_us, append.at_us)
        if append.attributes is not None or parked or append.workflow is not None:
            reason = append.reason if parked else ""
            row.rewrite(attributes=append.attributes, reason=reason, workflow=append.workflow)
        if parked:
            self._note_parking(run, attrs.evolve(self.view.parking(run), misfit=append.misfit))
        elif ended:
            self._txn.delete(run, db=self._tables.parked)
        return row

    def _note_parking(self, run: bytes, parking: Parking) -> None:
        """Remember how a run is parked and who has released it, if there is anything to remember."""
        if parking == Parking():
            self._txn.delete(run, db=self._tables.parked)
        else:
            self._txn.put(run, parking.encode(), db=self._tables.parked)

    def _unseen(self, run: bytes, seen: int) -> bool:
        with self._txn.cursor(self._tables.inbox) as cursor:
            return cursor.set_range(inbox_key(run, seen)) and cursor.key().startswith(run)

    # --- streams ---

    def _emission(self, emission: Emission) -> Why | None:
        run = self._find(emission.run_id)
        if run is None:
            return "unknown"
        row = self.view.row(run)
        if row.token != emission.token or row.owner == NOBODY:
            return "fenced"
        self._emit(run, emission.emits)
        return None

    def _emit(self, run: bytes, emits: Iterable[Emit]) -> None:
        """Add items to the ends of their streams."""
        numbers: dict[bytes, int] = {}
        for emit in emits:
            stream = stream_key(run, emit.topic)
            number = numbers[stream] if stream in numbers else self.view.next_item(stream)
            key = item_key(stream, number)
            fresh = self._txn.put(key, encode_item(key, emit.body), db=self._tables.streams, overwrite=False)
            assert fresh, "an item lies beyond the end of its stream"
            numbers[stream] = number + 1
            if emit.keep is not None:
                self._drop_before(stream, number + 1 - emit.keep)
            self.wakes = True

    def _drop_before(self, stream: bytes, number: int) -> None:
        """Delete the items of a stream below a number."""
        with self._txn.cursor(self._tables.streams) as cursor:
            found = cursor.set_range(stream)
            while found and cursor.key().startswith(stream) and number_of(cursor.key()[-8:]) < number:
                found = cursor.delete()

    # --- workers ---

    def worker_number(self, name: str) -> int:
        """Return a worker's number, a new one if it has none."""
        number = self._numbers.get(name) or self.view.worker_number(name)
        if number is None:
            number = self.view.counter(_LAST_WORKER) + 1
            self._set_counter(_LAST_WORKER, number)
            self._put_worker(number, Worker(name))
        self._numbers[name] = number
        return number

    def lease(self, number: int, until_us: int) -> None:
        """Set the end of a worker's lease."""
        worker = self.view.worker(number)
        assert worker is not None
        self._put_worker(number, attrs.evolve(worker, lease_until_us=until_us))

    def forget(self, number: int) -> bool:
        """Remove a dead worker that owns nothing; return whether it did own nothing."""
        worker = self.view.worker(number)
        if worker is None or worker.owned + self._owned.get(number, 0):
            return False
        self._owned.pop(number, None)
        self._numbers.clear()
        return self._txn.delete(worker_key(number), db=self._tables.workers)

    # --- tables ---

    def _find(self, run_id: str) -> bytes | None:
        run = self._key(run_id)
        if run in self._newborn:
            self._settle(run)
        return run

    def _key(self, run_id: str) -> bytes | None:
        run = self._known.get(run_id) or self.found.get(run_id)
        if run is None and (run := self.view.find(run_id)):
            self.found[run_id] = run
        return run

    def _write_row(self, run: bytes, before: Row | None, row: Row) -> None:
        """Write the row, and the entries of the indexes that differ from those of the row before."""
        tables = self._tables
        self.stood[run] = None
        self._txn.put(run, row.encode(), db=tables.runs)
        self._move(tables.due, _due_entry(run, before), _due_entry(run, row))
        self._move(tables.running, _running_entry(run, before), _running_entry(run, row))
        if before is None or before.status is not row.status:
            if before:
                self._txn.delete(status_key(before.status), run, db=tables.by_status)
            self._txn.put(status_key(row.status), run, db=tables.by_status)
        old = before.owner if before else NOBODY
        if old != row.owner:
            for owner, owned in ((old, -1), (row.owner, 1)):
                if owner != NOBODY:
                    self._owned[owner] = self._owned.get(owner, 0) + owned

    def _move(self, table: Table, old: bytes | None, new: bytes | None) -> None:
        if old != new:
            if old is not None:
                self._txn.delete(old, db=table)
            if new is not None:
                self._txn.put(new, b"", db=table)

    def _drop(self, table: Table, run: bytes) -> None:
        """Delete everything that a run has in a table."""
        with self._txn.cursor(table) as cursor:
            found = cursor.set_range(run)
            while found and cursor.key().startswith(run):
                found = cursor.delete()

    def _set_counter(self, name: bytes, value: int) -> None:
        self._txn.put(name, value.to_bytes(8, "big"), db=self._tables.meta)

    def _put_worker(self, number: int, worker: Worker) -> None:
        self._txn.put(worker_key(number), worker.encode(), db=self._tables.workers)


def _only_longer(before: Row, append: Append) -> bool:
    """Whether the row stays as it is: true of most appends, and cheaper to see than to work out the same row again."""
    return (
        append.status is before.status
        and append.due_us == before.due_us
        and append.attributes is None
        and not (before.waiting or append.restart or append.release)
        and append.status in GOING_ON
    )


def _takes_start(append: Append) -> bool:
    """Whether an append is the first of a run, and takes in the one message that this was created with."""
    return append.index == 0 and list(append.consumed) == [0] and not append.restart


def _due_entry(run: bytes, row: Row | None) -> bytes | None:
    return None if row is None or row.due_us is None else due_key(row.owner, row.due_us, run)


def _running_entry(run: bytes, row: Row | None) -> bytes | None:
    return None if row is None or not row.at_work else running_key(row.owner, run)


def _sooner(due_us: int | None, now_us: int) -> int:
    return now_us if due_us is None else min(due_us, now_us)
