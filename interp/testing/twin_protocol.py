"""What a determinism check and the processes that replay for it say to each other: frames of msgpack."""

from __future__ import annotations

from typing import IO, TypeAlias

import msgspec

from interp.errors import NondeterminismError

__all__ = ["Address", "Difference", "Load", "Replay", "Reply", "Request", "read_frame", "write_frame"]


class Address(msgspec.Struct, frozen=True, array_like=True):
    """Where a workflow is found.

    Attributes:
        module: Name of its module.
        file: The module's file.
        qualname: Its qualified name in there.
    """

    module: str
    file: str
    qualname: str


class Load(msgspec.Struct, frozen=True, array_like=True, tag="load"):
    """Import a workflow.

    Attributes:
        address: Where it is.
        path: `sys.path` of the asking process.
    """

    address: Address
    path: list[str]


class Replay(msgspec.Struct, frozen=True, array_like=True, tag="replay"):
    """Replay a history.

    Attributes:
        address: Where the workflow is; it was loaded before.
        run_id: The id of the run.
        records: The journal of one round.
    """

    address: Address
    run_id: str
    records: list[bytes]


class Difference(msgspec.Struct, frozen=True, array_like=True):
    """How a replay differs; the fields of `NondeterminismError` that a story needs.

    Attributes:
        index: The record.
        command_id: The command, or None.
        recorded: What the history holds; None for nothing.
        yielded: What the code yields; None for nothing.
        yielded_at: `file:line`, or None.
    """

    index: int
    command_id: str | None
    recorded: str | None
    yielded: str | None
    yielded_at: str | None

    @classmethod
    def of(cls, error: NondeterminismError) -> Difference:
        """Take what is told from the error."""
        return cls(error.index, error.command_id, error.recorded, error.yielded, error.yielded_at)


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """What came of a request.

    Attributes:
        difference: How the replay differs; None when it does not.
        trouble: Why it could not be done; empty when it was.
    """

    difference: Difference | None = None
    trouble: str = ""


Request: TypeAlias = Load | Replay


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Read the next frame; None at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    body = stream.read(int.from_bytes(head, "big"))
    return body or None


def write_frame(stream: IO[bytes], body: bytes) -> None:
    """Write a frame."""
    stream.write(len(body).to_bytes(4, "big") + body)
    stream.flush()
