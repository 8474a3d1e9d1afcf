"""Codecs for values at rest: what is done to a value's bytes before a store sees them.

A codec stands between the runtime and a store (docs/decisions/0024-values-at-rest.md). It works on bytes and knows
nothing of records; which bytes of a record are values is told by `interp.sealing`. Replay and comparison see plain
bytes only, so that the same value may be encoded differently each time.
"""

from __future__ import annotations

import hashlib
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Protocol, runtime_checkable

from interp.errors import UsageError

__all__ = ["Compressed", "Encrypted", "PayloadCodec"]

_KEY_ID = 4

# Never the begin of JSON; long enough that the random seed of a run does not look like it.
_ZIPPED = b"\x00zlib\x00"

# Below this, zlib adds more than it takes away.
_FEW = 128


@runtime_checkable
class PayloadCodec(Protocol):
    """What is done to the bytes of a value before a store sees them, and how it is undone.

    Both methods are called on the worker's thread and on those of callers, in any order. `decode(encode(data)) == data`
    for all bytes. `encode` need not give the same bytes twice, and must not fail: an exception stops the worker, with
    nothing lost. `decode` raises an exception, whose text says why, for bytes that it cannot read.
    """

    def encode(self, data: bytes, /) -> bytes:
        """Return what is stored in place of a value."""
        ...

    def decode(self, data: bytes, /) -> bytes:
        """Return the value again."""
        ...


class Encrypted:
    """Encrypts values, and notices when an encrypted one was changed.

    Each value is a Fernet token (AES-128-CBC and HMAC-SHA256, https://github.com/fernet/spec), kept without its base64,
    behind four bytes that name the key. Needs the extra `interp[crypto]`.

        codec = Encrypted(os.environ["ORDERS_KEY"])
    """

    def __init__(self, *keys: str | bytes) -> None:
        """Take the keys.

        Args:
            *keys: 32 random bytes in URL-safe base64, each as `Encrypted.new_key()` makes it. The first one encrypts;
                all of them decrypt, so that a key is rotated by putting the new one in front.

        Raises:
            UsageError: There is no key, or one is none.
            ModuleNotFoundError: The library `cryptography` is not installed.
        """
        if not keys:
            raise UsageError("Encrypted(): give a key; Encrypted.new_key() makes one")
        fernet = _fernet()
        self._ciphers: dict[bytes, Any] = {}
        for place, key in enumerate(keys):
            raw = key.encode() if isinstance(key, str) else key
            try:
                cipher = fernet(raw)
            except ValueError:  # the key itself must not be in the message
                problem = f"key {place + 1} of {len(keys)} is not 32 bytes in URL-safe base64"
                raise UsageError(f"Encrypted(...): {problem}; Encrypted.new_key() makes one") from None
            self._ciphers.setdefault(hashlib.blake2b(raw, digest_size=_KEY_ID).digest(), cipher)
        self._first, self._cipher = next(iter(self._ciphers.items()))

    def __repr__(self) -> str:
        """Name the keys by what their values begin with, never the keys."""
        return f"<Encrypted with {self._names()}>"

    @staticmethod
    def new_key() -> str:
        """Return a new random key. Keep it where you keep secrets: without it the values are lost."""
        key: bytes = _fernet().generate_key()
        return key.decode()

    def encode(self, data: bytes, /) -> bytes:
        """Encrypt with the first key."""
        return self._first + urlsafe_b64decode(self._cipher.encrypt(data))

    def decode(self, data: bytes, /) -> bytes:
        """Decrypt with the key that the bytes name.

        Raises:
            ValueError: That key was not given, or the bytes were changed.
        """
        cipher = self._ciphers.get(data[:_KEY_ID])
        if cipher is None:
            raise ValueError(f"encrypted with key {data[:_KEY_ID].hex()}, which was not given; given: {self._names()}")
        try:
            plain: bytes = cipher.decrypt(urlsafe_b64encode(data[_KEY_ID:]))
        except Exception as error:  # InvalidToken, whose text is empty
            raise ValueError(f"damaged: it is not what key {data[:_KEY_ID].hex()} has written") from error
        return plain

    def _names(self) -> str:
        return ", ".join(f"key {name.hex()}" for name in self._ciphers)


class Compressed:
    """Compresses values with zlib, where that makes them smaller.

        codec = Compressed(Encrypted(key))  # compressed first: what is encrypted cannot be compressed

    Values written before compression was switched on are read as they are.
    """

    def __init__(self, then: PayloadCodec | None = None, *, level: int = 6) -> None:
        """Choose how.

        Args:
            then: What is done to the compressed values; None for nothing.
            level: From 1, the fastest, to 9, the smallest.
        """
        if not 1 <= level <= 9:
            raise UsageError(f"Compressed(level={level}): must be from 1 to 9")
        self._then = then
        self._level = level

    def encode(self, data: bytes, /) -> bytes:
        """Compress, then do the rest."""
        if len(data) >= _FEW:
            small = _ZIPPED + zlib.compress(data, self._level)
            if len(small) < len(data):
                data = small
        elif data.startswith(_ZIPPED):  # plain bytes that would be taken for compressed ones
            data = _ZIPPED + zlib.compress(data, self._level)
        return data if self._then is None else self._then.encode(data)

    def decode(self, data: bytes, /) -> bytes:
        """Undo both.

        Raises:
            ValueError: The bytes are damaged, or the codec behind this one cannot read them.
        """
        data = data if self._then is None else self._then.decode(data)
        if not data.startswith(_ZIPPED):
            return data
        try:
            return zlib.decompress(data[len(_ZIPPED) :])
        except zlib.error as error:
            raise ValueError(f"damaged: {error}") from error


def _fernet() -> Any:
    try:
        from cryptography.fernet import Fernet  # noqa: PLC0415  an optional dependency
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Encrypted needs the library `cryptography`: pip install 'interp[crypto]'") from error
    return Fernet
