"""Rows of the LMDB store as bytes: the one place that knows the layout of keys and values.

Pure functions and values, called by the other modules of the store. `docs/reference/journal-format.md` describes the
same layout in words; a change of it is a new `FORMAT`. All integers are big-endian, so that keys sort by number.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from zlib import crc32

import attrs
import msgspec

from interp.errors import JournalCorrupt
from interp.store import RunRow, Status

__all__ = [
    "FORMAT",
    "NO_PARKING",
    "Parking",
    "Row",
    "Worker",
    "decode_due",
    "decode_item",
    "decode_record",
    "due_key",
    "encode_item",
    "encode_records",
    "encode_texts",
    "inbox_key",
    "item_key",
    "number_of",
    "number_within",
    "record_key",
    "record_time",
    "running_key",
    "status_key",
    "stream_key",
    "topic_of",
    "worker_key",
]

# Written to `meta` when a store is created; raised when an older version could misread what a newer one writes.
FORMAT = 1

_U32 = struct.Struct(">I")
_STAMP = struct.Struct(">Iq")
_RECORD = struct.Struct(">8sI")
_INBOX = struct.Struct(">8sQ")
_DUE = struct.Struct(">IQ8s")
_RUNNING = struct.Struct(">I8s")
# status, owner, token, due, created, began, posted, waiting, restarts
_ROW = struct.Struct(">BIQqqqQQI")
_TEXTS = struct.Struct(">HHHII")
_WORKER = struct.Struct(">qQ")

# In this order since format 1: the number of a status is its place here.
_STATUSES = (
    Status.PENDING,
    Status.RUNNING,
    Status.WAITING,
    Status.COMPLETED,
    Status.FAILED,
    Status.CANCELLED,
    Status.PARKED,
)
_STATUS_NUMBERS = {status: number for number, status in enumerate(_STATUSES)}
_AT_WORK = (Status.PENDING, Status.RUNNING)
_NEVER = -1

record_key = _RECORD.pack  # (run key, index)
inbox_key = _INBOX.pack  # (run key, message number)
running_key = _RUNNING.pack  # (worker number, run key)
worker_key = _U32.pack  # (worker number)


def number_of(key: bytes) -> int:
    """Return the number that a run's or worker's key is."""
    return int.from_bytes(key, "big")


def number_within(key: bytes) -> int:
    """Return the number that follows the run in the key of a record or message."""
    return int.from_bytes(key[8:], "big")


def due_key(owner: int, due_us: int, run: bytes) -> bytes:
    """Return the key of a due time: the owner first, so that a worker never meets what others alive own."""
    return _DUE.pack(owner, due_us, run)


def decode_due(key: bytes) -> tuple[int, bytes]:
    """Return due time and run key."""
    _, due_us, run = _DUE.unpack(key)
    return due_us, run


def stream_key(run: bytes, topic: str) -> bytes:
    """Return what the keys of a stream begin with. No topic has a NUL: none begins like another one's."""
    return run + topic.encode() + b"\0"


def item_key(stream: bytes, number: int) -> bytes:
    """Return the key of an item of a stream."""
    return stream + number.to_bytes(8, "big")


def topic_of(key: bytes) -> str:
    """Return the topic from the key of an item."""
    return key[8:-9].decode()


def encode_item(key: bytes, body: bytes) -> bytes:
    """Encode an item: a checksum over number and body, and the body."""
    return _U32.pack(crc32(body, crc32(key[-8:]))) + body


def decode_item(key: bytes, value: bytes) -> bytes:
    """Return the body of an item.

    Raises:
        JournalCorrupt: The checksum does not match.
    """
    body = value[_U32.size :]
    if value[: _U32.size] != _U32.pack(crc32(body, crc32(key[-8:]))):
        raise JournalCorrupt(
            f"item {number_of(key[-8:])} of stream {topic_of(key)!r} of run number {number_of(key[:8])}",
            "its checksum does not match",
        )
    return body


def status_key(status: Status) -> bytes:
    """Return the key under which the runs of a status are listed."""
    return bytes((_STATUS_NUMBERS[status],))


def encode_records(records: Sequence[bytes], index: int, at_us: int) -> list[bytes]:
    """Encode records: each a checksum over index, time and record (LMDB has none), the time, the record.

    Done before the write transaction begins: others wait while that lasts.
    """
    pack = _STAMP.pack
    encoded: list[bytes] = []
    for record in records:  # a comprehension is a call of its own on Python 3.11, and mostly there is one record
        encoded.append(pack(crc32(record, crc32(pack(index, at_us))), at_us) + record)
        index += 1
    return encoded


def decode_record(key: bytes, value: bytes) -> tuple[int, bytes]:
    """Return time and bytes of a record.

    Raises:
        JournalCorrupt: The checksum does not match.
    """
    try:
        checksum, at_us = _STAMP.unpack_from(value)
    except struct.error as error:
        raise _corrupt(key, str(error)) from error
    record = value[_STAMP.size :]
    if checksum != crc32(record, crc32(_STAMP.pack(number_within(key), at_us))):
        raise _corrupt(key, "its checksum does not match")
    return at_us, record


def record_time(value: bytes) -> int:
    """Return the time of a record without checking it: a damaged record must not keep its run from being listed."""
    at_us: int
    _, at_us = _STAMP.unpack_from(value)
    return at_us


class Row(msgspec.Struct, gc=False):
    """A run's row. It changes less often than its journal grows: length and time come from the last record.

    Attributes:
        status: Where the run stands.
        owner: Number of the worker that owns it, 0 for nobody.
        token: Number of times that the owner changed.
        due_us: When to look at it next; None for never.
        created_us: When it was created.
        began_us: When its present journal began.
        posted: Number of messages that it ever got.
        waiting: Number of messages in its inbox.
        restarts: Number of times that its journal began anew.
        texts: Id, workflow, digest, reason and attributes, encoded.
    """

    status: Status
    owner: int
    token: int
    due_us: int | None
    created_us: int
    began_us: int
    posted: int
    waiting: int
    restarts: int
    texts: bytes

    @classmethod
    def decode(cls, key: bytes, value: bytes) -> Row:
        """Read a row.

        Raises:
            JournalCorrupt: The checksum does not match.
        """
        body = value[4:]
        if value[:4] != _U32.pack(crc32(body)) or len(body) < _ROW.size:
            raise JournalCorrupt(f"row of run number {number_of(key)}", "its checksum does not match")
        numbers: tuple[int, ...] = _ROW.unpack_from(body)
        status, owner, token, due_us, created_us, began_us, posted, waiting, restarts = numbers
        return cls(
            _STATUSES[status],
            owner,
            token,
            None if due_us == _NEVER else due_us,
            created_us,
            began_us,
            posted,
            waiting,
            restarts,
            body[_ROW.size :],
        )

    def encode(self) -> bytes:
        """Write the row."""
        body = (
            _ROW.pack(
                _STATUS_NUMBERS[self.status],
                self.owner,
                self.token,
                _NEVER if self.due_us is None else self.due_us,
                self.created_us,
                self.began_us,
                self.posted,
                self.waiting,
                self.restarts,
            )
            + self.texts
        )
        return _U32.pack(crc32(body)) + body

    @property
    def at_work(self) -> bool:
        """Whether another worker must take the run over at once when its owner dies."""
        return self.owner != 0 and (self.waiting > 0 or self.status in _AT_WORK)

    @property
    def identity(self) -> tuple[str, bytes]:
        """Workflow and digest: equal ones mean that the same run was asked for."""
        _, workflow, digest, _, _ = _decode_texts(self.texts)
        return workflow.decode(), digest

    @property
    def workflow(self) -> str:
        """Name of the workflow, with its version if that is not the first."""
        return self.identity[0]

    def rewrite(self, *, attributes: bytes | None, reason: str, workflow: str | None = None) -> None:
        """Replace the attributes and the workflow (None leaves them) and the reason."""
        run_id, before, digest, _, old = _decode_texts(self.texts)
        name = before if workflow is None else workflow.encode()
        new = old if attributes is None else attributes
        self.texts = encode_texts(run_id, name, digest, reason.encode(errors="replace"), new)

    def listed(self, *, length: int, updated_us: int, owner: str | None, parking: Parking) -> RunRow:
        """Return the row in the form of the protocol, given what other tables know."""
        run_id, workflow, digest, reason, attributes = _decode_texts(self.texts)
        return RunRow(
            id=run_id.decode(),
            workflow=workflow.decode(),
            digest=digest,
            status=self.status,
            length=length,
            due_us=self.due_us,
            owner=owner,
            token=self.token,
            created_us=self.created_us,
            updated_us=updated_us,
            attributes=attributes,
            reason=reason.decode(),
            misfit=parking.misfit,
            released_by=parking.released_by,
        )


def encode_texts(*texts: bytes) -> bytes:
    """Join id, workflow, digest, reason and attributes behind their lengths."""
    return _TEXTS.pack(*map(len, texts)) + b"".join(texts)


def _decode_texts(value: bytes) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    run_id, workflow, digest, reason, _ = _TEXTS.unpack_from(value)  # written out: each row that is listed comes here
    first = _TEXTS.size
    second = first + run_id
    third = second + workflow
    fourth = third + digest
    last = fourth + reason
    return value[first:second], value[second:third], value[third:fourth], value[fourth:last], value[last:]


@attrs.frozen
class Parking:
    """What is known of a run that is or was parked; most runs have none.

    Attributes:
        misfit: Whether it is parked because history and code differ.
        released_by: Fingerprints of the code that has released it by itself.
    """

    misfit: bool = False
    released_by: tuple[str, ...] = ()

    @classmethod
    def decode(cls, value: bytes) -> Parking:
        """Read what the table holds; nothing for a run that it does not know."""
        return cls(value[:1] == b"\1", tuple(value[1:].decode().split()))

    def encode(self) -> bytes:
        """Write it."""
        return (b"\1" if self.misfit else b"\0") + " ".join(self.released_by).encode()


@attrs.frozen
class Worker:
    """A worker's row: it stays as long as the worker lives or owns a run.

    Attributes:
        name: Its name.
        lease_until_us: When its lease ends; 0 when it has none.
        owned: Number of runs it owns.
    """

    name: str
    lease_until_us: int = 0
    owned: int = 0

    @classmethod
    def decode(cls, value: bytes) -> Worker:
        """Read a worker's row."""
        lease_until_us, owned = _WORKER.unpack_from(value)
        return cls(value[_WORKER.size :].decode(), lease_until_us, owned)

    def encode(self) -> bytes:
        """Write the row."""
        return _WORKER.pack(self.lease_until_us, self.owned) + self.name.encode()


NO_PARKING = Parking()


def _corrupt(key: bytes, reason: str) -> JournalCorrupt:
    run, index = _RECORD.unpack(key)
    return JournalCorrupt(f"record {index} of run number {number_of(run)}", reason)
