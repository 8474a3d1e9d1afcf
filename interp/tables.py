"""`Transaction` and `Table`: the user's own data, kept beside the journal and written in one transaction with it.

What is here checks and refuses; the bytes are moved by a store's `Cells`. A store of another kind may give its users
more than tables: it derives its own class from `Transaction`, such as one that runs SQL.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Protocol

from interp.errors import UsageError

__all__ = ["KEY_BYTES", "TABLE_BYTES", "Cells", "Table", "Transaction", "is_open_here"]

# Keys of LMDB hold 511 bytes: 64 for the name of the table, one behind it, and room for what a store may add.
KEY_BYTES = 400
TABLE_BYTES = 64

_NAME = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)

_here = threading.local()


def is_open_here() -> bool:
    """Tell whether a transaction is open on this thread: whoever then waits for another one waits for ever."""
    return getattr(_here, "count", 0) > 0


class Cells(Protocol):
    """What a store does for one transaction. Arguments are checked already; keys are ordered as bytes are."""

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return a value, or None."""
        ...

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Set a value."""
        ...

    def delete(self, table: str, key: bytes) -> bool:
        """Remove a key; False if it is not there."""
        ...

    def seek(self, table: str, start: bytes) -> tuple[bytes, bytes] | None:
        """Return the first key at or behind `start`, with its value; None when there is none."""
        ...


class Transaction:
    """What `fn` gets in `transact(fn, ...)`, and `with engine.transaction() as tx:`: all in it happens, or nothing.

    It belongs to the thread that was given it, and ends with the function or the `with` block.
    """

    def __init__(self, cells: Cells, *, write: bool = True) -> None:
        """Begin on this thread; called by stores.

        Args:
            cells: Where the bytes are.
            write: Whether anything may be changed.
        """
        self._cells = cells
        self._write = write
        self._thread = threading.get_ident()
        self._closed = False
        _here.count = getattr(_here, "count", 0) + 1

    def table(self, name: str) -> Table:
        """Return a table; one that holds nothing need not be made.

        Args:
            name: 1 to 64 letters, digits, `_`, `-` and `.`. All names are free: the store's own data is elsewhere.

        Raises:
            UsageError: The name cannot be a table's.
        """
        if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
            raise TypeError(f"table({name!r}): takes a name, which is a string")
        if not _NAME.fullmatch(name) or len(name) > TABLE_BYTES:
            shown = repr(name if len(name) <= TABLE_BYTES else name[:40] + "...")
            raise UsageError(f"table({shown}): a name has 1 to {TABLE_BYTES} letters, digits, '_', '-' and '.'")
        return Table(self, name)

    def close(self) -> None:
        """End it; called by stores. What is still used of it afterwards is refused."""
        if not self._closed:
            self._closed = True
            _here.count -= 1

    def cells(self, *, write: bool) -> Cells:
        """Return where the bytes are, if they may be reached from here; called by tables.

        Raises:
            UsageError: The transaction has ended, is another thread's, or only reads.
        """
        if self._closed:
            raise UsageError(
                "this transaction has ended: it is good for as long as the function runs that was given it, or the "
                "`with` block\n  Return what you need; a scan that is to outlive it becomes a list: list(table.scan())."
            )
        if threading.get_ident() != self._thread:
            raise UsageError(
                "a transaction belongs to the thread that was given it, and this is another one\n"
                "  Do the slow work before, in an activity, and hand its result to the transaction."
            )
        if write and not self._write:
            raise UsageError("this transaction only reads; write with `with engine.transaction() as tx:`")
        return self._cells


class Table:
    """A sorted table of the user's, bytes to bytes, within one transaction; `Transaction.table` gives it.

    Keys have up to 400 bytes and are ordered as bytes: numbers that are to be in order are written with
    `number.to_bytes(8, "big")`. Values are of any size; how they are encoded is the user's choice.
    """

    def __init__(self, transaction: Transaction, name: str) -> None:
        self.name = name
        self._transaction = transaction

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key; None if there is none."""
        return self._transaction.cells(write=False).get(self.name, self._checked(key))

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        if not isinstance(value, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
            raise TypeError(f"table {self.name!r}: a value is bytes, and {_shown(value)} is not; {_ENCODE}")
        self._transaction.cells(write=True).put(self.name, self._checked(key), value)

    def delete(self, key: bytes) -> bool:
        """Remove a key; False if it was not there."""
        return self._transaction.cells(write=True).delete(self.name, self._checked(key))

    def scan(self, prefix: bytes = b"", *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Give keys with their values, in the order of the keys.

        What is changed meanwhile is seen if it lies ahead.

        Args:
            prefix: Only keys that begin with it.
            start: Only keys from this one on.
        """
        return self._scan(self._checked(prefix), max(prefix, self._checked(start)))

    def _scan(self, prefix: bytes, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        while found := self._transaction.cells(write=False).seek(self.name, start):
            if not found[0].startswith(prefix):
                return
            yield found
            start = found[0] + b"\0"

    def _checked(self, key: bytes) -> bytes:
        if not isinstance(key, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  for callers without types
            raise TypeError(f"table {self.name!r}: a key is bytes, and {_shown(key)} is not; {_ENCODE}")
        if len(key) > KEY_BYTES:
            raise UsageError(
                f"table {self.name!r}: the key {key[:20]!r}... has {len(key)} bytes, and {KEY_BYTES} is the most\n"
                "  Use a digest of it, such as hashlib.blake2b(key).digest(), and keep the whole in the value."
            )
        return key


_ENCODE = 'write text as text.encode(), and numbers as number.to_bytes(8, "big")'


def _shown(value: object) -> str:
    return f"{type(value).__name__} {value!r:.40}"
