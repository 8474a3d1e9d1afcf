"""Which bytes of a record are values, and a record whose values have gone through a codec: a **sealed** one.

What is sealed: arguments, results, payloads, details, annotated state, seeds (all `bytes` in a record), and the texts
that may quote values: messages and tracebacks of exceptions, reasons. What stays readable: indexes, times, kinds,
ids and names, and how long a timer runs. A record in which nothing is sealed is an ordinary record, and one in which
something is begins with a byte that no other record begins with; so journals with and without a codec mix.

Pure; called by `runtime.sealed`, which stands in front of a store.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import attrs
import msgspec

from interp.events import (
    CancelRequested,
    ChildEnded,
    Event,
    Failure,
    Record,
    Transition,
    WasCancelled,
    decode_event,
    decode_transition,
    encode_event,
    encode_transition,
)

__all__ = [
    "NO_CODEC",
    "REDACTED",
    "TEXTS",
    "TIMERS",
    "Ways",
    "is_redacted",
    "is_sealed",
    "open_bytes",
    "open_text",
    "seal_bytes",
    "seal_text",
]

# 0xC1 is the one byte that MessagePack never uses, and no JSON begins with it.
_SEALED = b"\xc1\x01"
_WHOLE = b"\xc1\x00interp\x00"
_TEXT = "‹encrypted› "

NO_CODEC = "no codec was given to read it with"
"""Why a sealed value cannot be read, where there is no codec at all."""

REDACTED = '"‹encrypted›"'.encode()
"""What stands for a value that cannot be read, where one looks without the key: JSON, as values are."""

TEXTS: dict[type[msgspec.Struct], frozenset[str]] = {
    Failure: frozenset({"message", "traceback"}),
    CancelRequested: frozenset({"reason"}),
    WasCancelled: frozenset({"reason"}),
}
"""The texts of records that may quote values. All others are names, ids and places."""

TIMERS = frozenset({"sleep", "sleep_until", "await_signal", "await_request", "patched"})
"""Kinds of commands whose payload is how long they wait, or nothing: structure, no value."""


@attrs.frozen
class Ways:
    """What is done to the values of a record, and to its texts that may quote values."""

    value: Callable[[bytes], bytes]
    text: Callable[[str], str]

    def seal(self, data: bytes) -> bytes:
        """Seal a record or a message; returned as it is when nothing in it is a value."""
        plain = _read(data)
        if plain is None:
            return seal_bytes(data, self.value)
        sealed = self._through(plain)
        return data if sealed is plain else _SEALED + _write(sealed)

    def open(self, data: bytes) -> bytes:
        """Return a record or a message as it was before it was sealed."""
        if not data.startswith(_SEALED):
            return open_bytes(data, self.value)
        return _write(self._through(_read(data[len(_SEALED) :])))

    def _through(self, part: Any) -> Any:
        """Return a part of a record with its values changed; the same object when there are none."""
        if isinstance(part, bytes):
            return self.value(part) if part else part  # empty means that there is none
        if isinstance(part, tuple):
            items: tuple[Any, ...] = part  # pyright: ignore[reportUnknownVariableType]  it was Any
            changed = tuple([self._through(item) for item in items])
            return items if all(map(_same, items, changed)) else changed
        if not isinstance(part, msgspec.Struct) or (isinstance(part, Record) and part.kind in TIMERS):
            return part
        texts = TEXTS.get(type(part), frozenset())
        changes: dict[str, Any] = {}
        for name in part.__struct_fields__:
            before = getattr(part, name)
            after = self._through(before)
            if name in texts and before:
                after = self.text(before)
            if after is not before:
                changes[name] = after
        return msgspec.structs.replace(part, **changes) if changes else part


def _same(before: object, after: object) -> bool:
    return before is after


def _read(data: bytes) -> Transition | Event | None:
    """Decode a record or a message; None for what is neither."""
    for decode in (decode_transition, decode_event):
        try:
            return decode(data)
        except msgspec.MsgspecError:
            continue
    return None


def _write(part: Any) -> bytes:
    return encode_transition(part) if isinstance(part, Transition) else encode_event(part)


def is_redacted(event: Event) -> bool:
    """Tell whether what an event carries is `REDACTED`: a workflow cannot be told of it."""
    carrier = event.outcome if isinstance(event, ChildEnded) else event
    return REDACTED in (getattr(carrier, name, None) for name in ("args", "payload", "details"))


def is_sealed(data: bytes) -> bool:
    """Tell whether something is sealed in a record, a message, or bytes of a row."""
    return data.startswith((_SEALED, _WHOLE))


def seal_bytes(data: bytes, encode: Callable[[bytes], bytes]) -> bytes:
    """Seal bytes of a row as one value; empty ones stay."""
    return _WHOLE + encode(data) if data else data


def open_bytes(data: bytes, decode: Callable[[bytes], bytes]) -> bytes:
    """Return bytes of a row as they were before they were sealed."""
    return decode(data[len(_WHOLE) :]) if data.startswith(_WHOLE) else data


def seal_text(text: str, encode: Callable[[bytes], bytes]) -> str:
    """Seal a text so that it still is one."""
    return _TEXT + b64encode(encode(text.encode(errors="surrogatepass"))).decode() if text else text


def open_text(text: str, decode: Callable[[bytes], bytes]) -> str:
    """Return a text as it was before it was sealed."""
    return decode(b64decode(text[len(_TEXT) :])).decode(errors="surrogatepass") if text.startswith(_TEXT) else text
