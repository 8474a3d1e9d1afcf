"""A store behind a codec: what the runtime writes is sealed on its way in, and opened on its way out.

Everything in front of it sees plain records, so that nothing but this module knows of codecs: the worker, handles,
forks, retries, checks and the command line. A program without a codec has no such store, and pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias, TypeVar, cast

import attrs
import msgspec

from interp.errors import JournalCorrupt, PayloadLocked, RunExists
from interp.payloads import PayloadCodec
from interp.sealing import NO_CODEC, REDACTED, Ways, is_sealed, open_bytes, open_text, seal_bytes, seal_text
from interp.store import (
    Append,
    Attended,
    Batch,
    Claim,
    Create,
    Due,
    Emit,
    Item,
    Message,
    Nest,
    Post,
    Reader,
    Refusal,
    Release,
    Reopen,
    RunFilter,
    RunRow,
    Store,
    Transact,
    Transactional,
    WorkerRow,
)
from interp.streams import decode_emitted, encode_emitted
from interp.tables import Transaction

__all__ = ["Locked", "SealedStore", "behind", "readable", "sealed_reader", "sealed_store", "unreadable"]

T = TypeVar("T")

_REDACTED_TEXT = "‹encrypted›"


class Locked(bytes):
    """A message that could not be opened, as it is stored; it becomes an error when somebody reads it."""

    why: str = NO_CODEC


def unreadable(place: str, data: bytes, error: Exception) -> JournalCorrupt | PayloadLocked:
    """Tell what is wrong with a record or a message that cannot be decoded: it is damaged, or sealed."""
    if isinstance(data, Locked):
        return PayloadLocked(place, data.why)
    return PayloadLocked(place, NO_CODEC) if is_sealed(data) else JournalCorrupt(place, str(error))


def readable(place: str, data: bytes) -> bytes:
    """Return bytes of a row, or raise `PayloadLocked` when they are sealed still."""
    if is_sealed(data):
        raise PayloadLocked(place, NO_CODEC)
    return data


# Digests as they were sealed, by run id and digest.
_Digests: TypeAlias = dict[tuple[str, bytes], bytes]


class SealedStore:
    """A store, and the codec between it and the runtime; see `interp.store.Store` for what each method promises."""

    def __init__(self, store: Store, codec: PayloadCodec | None, *, redacts: bool = False) -> None:
        """Put a codec in front of a store.

        Args:
            store: The store.
            codec: The codec; None, with `redacts`, to look at a store without the key.
            redacts: Whether a value that cannot be read shows as ‹encrypted› instead of raising `PayloadLocked`: for
                looking only, since what is written from it would lose the values.
        """
        self._store = store
        self._codec = codec
        self._redacts = redacts
        self._sealing = Ways(self._encode, lambda text: seal_text(text, self._encode))
        self._opening = Ways(self._value, self._text)

    @property
    def url(self) -> str:
        """The URL of the store behind."""
        return self._store.url

    # What is written.

    def create(self, run: Create, now_us: int) -> bool:
        """Create a run."""
        try:
            return self._store.create(self._created(run, {}), now_us)
        except RunExists:
            if self._is_same(run):
                return False
            raise

    def post(self, post: Post, now_us: int) -> None:
        """Append a message to a run's inbox."""
        self._store.post(self._posted(post), now_us)

    def unpark(self, run_id: str, now_us: int, release: Release | None = None) -> bool:
        """Make a parked run due again."""
        return self._store.unpark(run_id, now_us, release)

    def reopen(self, reopen: Reopen, now_us: int) -> bool:
        """Make a failed run go on."""
        sealed = attrs.evolve(
            reopen,
            record=None if reopen.record is None else self._sealing.seal(reopen.record),
            messages=self._all_sealed(reopen.messages),
            attributes=self._attributes(reopen.attributes),
        )
        return self._store.reopen(sealed, now_us)

    def commit(self, batch: Batch, now_us: int) -> list[Refusal]:
        """Write a batch."""
        digests: _Digests = {}
        creates = [*batch.creates, *(create for append in batch.appends for create in append.creates)]
        sealed = Batch(
            creates=[self._created(create, digests) for create in batch.creates],
            posts=[self._posted(post) for post in batch.posts],
            appends=[self._appended(append, digests) for append in batch.appends],
            transacts=[self._transacting(transact, creates) for transact in batch.transacts],
            emissions=[attrs.evolve(each, emits=self._all_emitted(each.emits)) for each in batch.emissions],
            by=batch.by,
        )
        refusals = self._store.commit(sealed, now_us)
        return [self._compared(creates, each) if each.why == "differs" else each for each in refusals]

    def _transacting(self, transact: Transact, creates: list[Create]) -> Transact:
        """Seal what follows from a transact; the user's own tables hold what the user writes."""

        def work(nest: Nest) -> Append | None:
            append = transact.work(nest)
            if append is None:
                return None
            creates.extend(append.creates)
            return self._appended(append, None)

        return attrs.evolve(transact, work=work)

    def _compared(self, creates: Sequence[Create], refusal: Refusal) -> Refusal:
        """Look again at a creation that was refused: the run may have been made by another process at that moment."""
        asked = {(create.workflow, create.digest): create for create in creates if create.run_id == refusal.run_id}
        if len(asked) == 1 and self._is_same(*asked.values()):
            return Refusal(refusal.run_id, "exists")
        return refusal

    def _created(self, create: Create, digests: _Digests | None) -> Create:
        """Seal a creation, its digest as well: that of a short secret would tell it to whoever tries them all."""
        return msgspec.structs.replace(
            create,
            digest=self._digest(create, digests),
            start=self._sealing.seal(create.start) if create.start else b"",
            records=self._all_sealed(create.records),
            messages=self._all_sealed(create.messages),
            attributes=seal_bytes(create.attributes, self._encode),
        )

    def _digest(self, create: Create, digests: _Digests | None) -> bytes:
        """Seal a digest to the bytes that stand for it already, since stores compare bytes: sealing is not repeatable.

        Args:
            create: Whose digest it is.
            digests: What was sealed for the same batch, by run id and digest; None inside of a transaction, where the
                store cannot be looked at.
        """
        if digests is None:
            return seal_bytes(create.digest, self._encode)
        row = self._store.run(create.run_id)
        if row is not None and self._row(row).digest == create.digest:
            return row.digest
        key = (create.run_id, create.digest)
        if key not in digests:
            digests[key] = seal_bytes(create.digest, self._encode)
        return digests[key]

    def _is_same(self, create: Create) -> bool:
        """Compare a creation with the run that has its id."""
        row = self.run(create.run_id)
        return row is not None and create.is_same(row.workflow, row.digest)

    def _posted(self, post: Post) -> Post:
        return Post(post.run_id, self._sealing.seal(post.body))

    def _appended(self, append: Append, digests: _Digests | None) -> Append:
        return msgspec.structs.replace(
            append,
            records=self._all_sealed(append.records),
            attributes=self._attributes(append.attributes),
            reason=seal_text(append.reason, self._encode),
            creates=[self._created(create, digests) for create in append.creates],
            posts=[self._posted(post) for post in append.posts],
            emits=self._all_emitted(append.emits),
        )

    def _all_emitted(self, emits: Sequence[Emit]) -> list[Emit]:
        """Seal the values of items; when, and by which command, stays readable."""
        return [attrs.evolve(emit, body=_with_value(emit.body, self._sealed_bytes)) for emit in emits]

    def _sealed_bytes(self, data: bytes) -> bytes:
        return seal_bytes(data, self._encode)

    def _all_sealed(self, parts: Sequence[bytes]) -> list[bytes]:
        return [self._sealing.seal(part) for part in parts]

    def _attributes(self, attributes: bytes | None) -> bytes | None:
        return None if attributes is None else seal_bytes(attributes, self._encode)

    def _encode(self, data: bytes) -> bytes:
        if self._codec is None:
            raise PayloadLocked(f"store {self.url}", NO_CODEC)
        return self._codec.encode(data)

    # What is read.

    def claim(
        self, worker: str, limit: int, now_us: int, lease_us: int, workflows: Collection[str] | None = None
    ) -> Due:
        """Take due runs. A message that cannot be opened must not keep the other runs: it stays `Locked`."""
        due = self._store.claim(worker, limit, now_us, lease_us, workflows)
        claims = [attrs.evolve(each, run=self._row(each.run), messages=self._messages(each)) for each in due.claims]
        return Due(tuple(claims), due.next_us)

    def run(self, run_id: str) -> RunRow | None:
        """Return the run's row, or None. What cannot be opened in it stays sealed."""
        row = self._store.run(run_id)
        return None if row is None else self._row(row)

    def runs(self, where: RunFilter) -> list[RunRow]:
        """List runs; as `run`."""
        return [self._row(row) for row in self._store.runs(where)]

    def history(self, run_id: str, start: int = 0) -> Iterator[bytes]:
        """Give the records from index `start` on.

        Raises:
            UnknownRun: There is no such run.
            PayloadLocked: At the first record that cannot be opened.
        """
        return self._records(run_id, start, self._store.history(run_id, start))

    def _records(self, run_id: str, start: int, records: Iterator[bytes]) -> Iterator[bytes]:
        for index, record in enumerate(records, start):
            yield self._opened(record, f"record {index} of run {run_id!r}")

    def stream(self, run_id: str, topic: str, start: int = 0) -> Iterator[Item]:
        """Give the items of a stream from number `start` on.

        Raises:
            UnknownRun: There is no such run.
            PayloadLocked: At the first item that cannot be opened.
        """
        for item in self._store.stream(run_id, topic, start):
            try:
                yield Item(item.number, _with_value(item.body, self._bytes))
            except PayloadLocked as error:
                place = f"item {item.number} of stream {topic!r} of run {run_id!r}"
                raise PayloadLocked(place, error.reason) from error.__cause__

    def workers(self, now_us: int) -> tuple[WorkerRow, ...]:
        """Return the workers, as far as the store behind tells."""
        return self._store.workers(now_us) if isinstance(self._store, Attended) else ()

    def topics(self, run_id: str) -> tuple[str, ...]:
        """Return the topics of a run's streams."""
        return self._store.topics(run_id)

    def inbox(self, run_id: str) -> tuple[Message, ...]:
        """Return the messages that wait; those that cannot be opened are `Locked`."""
        return tuple(map(self._message, self._store.inbox(run_id)))

    def _messages(self, claim: Claim) -> tuple[Message, ...]:
        return tuple(map(self._message, claim.messages))

    def _message(self, message: Message) -> Message:
        try:
            return Message(message.number, self._opened(message.body, "a message"))
        except PayloadLocked as error:
            locked = Locked(message.body)
            locked.why = error.reason
            return Message(message.number, locked)

    def _row(self, row: RunRow) -> RunRow:
        """Open what a row tells; a list of runs must not fail for one whose key is missing."""
        return msgspec.structs.replace(
            row,
            digest=self._or_as_it_is(row.digest, lambda data: open_bytes(data, self._decode)),
            attributes=self._or_as_it_is(row.attributes, self._bytes),
            reason=self._or_as_it_is(row.reason, lambda text: open_text(text, self._text_bytes)),
        )

    def _or_as_it_is(self, sealed: T, opened: Callable[[T], T]) -> T:
        try:
            return opened(sealed)
        except PayloadLocked:
            return sealed

    def _opened(self, data: bytes, place: str) -> bytes:
        try:
            return self._opening.open(data)
        except PayloadLocked as error:
            raise PayloadLocked(place, error.reason) from error.__cause__

    def _bytes(self, data: bytes) -> bytes:
        return open_bytes(data, self._value)

    def _value(self, data: bytes) -> bytes:
        try:
            return self._decode(data)
        except PayloadLocked:
            if self._redacts:
                return REDACTED
            raise

    def _text(self, text: str) -> str:
        return open_text(text, self._text_bytes)

    def _text_bytes(self, data: bytes) -> bytes:
        try:
            return self._decode(data)
        except PayloadLocked:
            if self._redacts:
                return _REDACTED_TEXT.encode()
            raise

    def _decode(self, data: bytes) -> bytes:
        if self._codec is None:
            raise PayloadLocked("a value", NO_CODEC)
        try:
            return self._codec.decode(data)
        except Exception as error:  # a codec of the user may raise anything
            raise PayloadLocked("a value", str(error) or type(error).__name__) from error

    # What is passed on.

    def register(self, worker: str) -> None:
        """Announce a worker."""
        self._store.register(worker)

    def renew(self, worker: str, now_us: int, lease_us: int) -> None:
        """Extend the worker's lease."""
        self._store.renew(worker, now_us, lease_us)

    def resign(self, worker: str) -> None:
        """End the worker's lease."""
        self._store.resign(worker)

    def flush(self) -> None:
        """Return when everything committed is durable."""
        self._store.flush()

    def changed(self, timeout_s: float, but: str = "") -> bool:
        """Wait until somebody wrote."""
        return self._store.changed(timeout_s, but) if but else self._store.changed(timeout_s)  # which may only read

    def close(self) -> None:
        """Close the store behind."""
        self._store.close()


def _with_value(body: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return an item with its value changed; what is no item is changed whole."""
    try:
        emitted = decode_emitted(body)
    except msgspec.MsgspecError:
        return change(body)
    return encode_emitted(msgspec.structs.replace(emitted, payload=change(emitted.payload)))


class _SealedTables(SealedStore):
    """The same in front of a store that keeps tables of its users: what they write there is theirs to encrypt."""

    def __init__(self, store: Transactional, codec: PayloadCodec | None, *, redacts: bool = False) -> None:
        super().__init__(cast("Store", store), codec, redacts=redacts)
        self._tables = store

    def transaction(self, *, write: bool = True) -> AbstractContextManager[Transaction]:
        """Open a transaction on the user's tables."""
        return self._tables.transaction(write=write)


def behind(reader: Reader | None) -> Reader | None:
    """Return the reader behind a codec, whose class tells what it can; one that has no codec itself."""
    return reader._store if isinstance(reader, SealedStore) else reader  # pyright: ignore[reportPrivateUsage]  our own


def sealed_reader(reader: Reader, codec: PayloadCodec | None, *, redacts: bool = False) -> Reader:
    """Put a codec in front of what is only read; see `SealedStore`."""
    return SealedStore(cast("Store", reader), codec, redacts=redacts)


def sealed_store(store: Store, codec: PayloadCodec | None, *, redacts: bool = False) -> SealedStore:
    """Put a codec in front of a store; see `SealedStore`.

    Args:
        store: The store.
        codec: As for `SealedStore`.
        redacts: As for `SealedStore`.

    Returns:
        A store that is `Transactional` if the one behind is.
    """
    kind = _SealedTables if isinstance(store, Transactional) else SealedStore
    return kind(cast("Any", store), codec, redacts=redacts)
