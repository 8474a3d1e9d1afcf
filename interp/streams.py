"""Streams: what a run tells while it goes on, item after item, for readers outside.

A stream belongs to a run id and has a **topic**. Its items are numbered from 0 and never change. Topics that begin with
`~` are ours: replies to requests, and captured log lines. Here are the names and the recorded form of an item;
stores keep it as bytes.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

__all__ = [
    "RESERVED",
    "TOPIC_BYTES",
    "Emitted",
    "check_topic",
    "decode_emitted",
    "encode_emitted",
    "is_topic",
]

# With the run key and the number it is a key of LMDB, which holds 511 bytes.
TOPIC_BYTES = 200

RESERVED = "~"
"""How the topics begin that users do not write to."""


class Emitted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One item of a stream, as it is recorded.

    Attributes:
        at: When it was emitted.
        command_id: The command that emitted it, or the call whose activity did.
        attempt: Which attempt of the call, from 1; 0 for what the workflow itself emitted.
        payload: Its value, as JSON.
        round: How many times the run had continued as new.
    """

    at: datetime
    command_id: str
    attempt: int
    payload: bytes
    round: int = 0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Emitted)


def encode_emitted(item: Emitted) -> bytes:
    """Encode an item for a store."""
    return _encoder.encode(item)


def decode_emitted(data: bytes) -> Emitted:
    """Decode an item of a store; raises `msgspec.MsgspecError` when it is none."""
    return _decoder.decode(data)


def is_topic(topic: str) -> bool:
    """Whether a store can keep a stream of this name."""
    try:
        return 0 < len(topic.encode()) <= TOPIC_BYTES and "\0" not in topic
    except UnicodeEncodeError:
        return False


def check_topic(what: str, topic: object) -> None:
    """Check a topic that a user writes to.

    Args:
        what: Who is given it, for messages.
        topic: What was given.
    """
    if not isinstance(topic, str):
        raise TypeError(f"{what}({topic!r}): takes a topic, which is a string, and a value")
    if not is_topic(topic):
        shown = topic if len(topic) <= 40 else topic[:40] + "..."
        raise ValueError(
            f"{what}({shown!r}): a topic has 1 to {TOPIC_BYTES} bytes of UTF-8, without NUL and surrogates"
        )
    if topic.startswith(RESERVED):
        raise ValueError(f"{what}({topic!r}): topics that begin with {RESERVED!r} are those of interp itself")
