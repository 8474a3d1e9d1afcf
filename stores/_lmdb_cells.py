"""The users' tables of an LMDB store: one database, in which each key begins with the name of its table.

LMDB wants a handle for each database, opened outside of the transactions that use it; one database for all tables needs
none, and no bound on their number. A name holds no NUL, so that no table's keys begin as another's do.
"""

from __future__ import annotations

import lmdb

from stores._lmdb_tables import Table

__all__ = ["LmdbCells"]


class LmdbCells:
    """What `interp.tables` does, in one transaction of LMDB.

    Attributes:
        trouble: The first error of LMDB. The code that met it is the user's and may have caught it; the transaction is
            of no more use all the same.
    """

    def __init__(self, txn: lmdb.Transaction[bytes], table: Table) -> None:
        self.trouble: lmdb.Error | None = None
        self._txn = txn
        self._table = table

    def get(self, table: str, key: bytes) -> bytes | None:
        """Return a value, or None."""
        try:
            return self._txn.get(_under(table) + key, db=self._table)
        except lmdb.Error as error:
            raise self._noted(error) from None

    def put(self, table: str, key: bytes, value: bytes) -> None:
        """Set a value."""
        try:
            self._txn.put(_under(table) + key, value, db=self._table)
        except lmdb.Error as error:
            raise self._noted(error) from None

    def delete(self, table: str, key: bytes) -> bool:
        """Remove a key; False if it is not there."""
        try:
            return self._txn.delete(_under(table) + key, db=self._table)
        except lmdb.Error as error:
            raise self._noted(error) from None

    def seek(self, table: str, start: bytes) -> tuple[bytes, bytes] | None:
        """Return the first key at or behind `start`, with its value."""
        prefix = _under(table)
        try:
            with self._txn.cursor(self._table) as cursor:
                if not cursor.set_range(prefix + start):
                    return None
                key, value = cursor.item()
        except lmdb.Error as error:
            raise self._noted(error) from None
        return (key[len(prefix) :], value) if key.startswith(prefix) else None

    def _noted(self, error: lmdb.Error) -> lmdb.Error:
        self.trouble = self.trouble or error
        return error


def _under(table: str) -> bytes:
    return table.encode() + b"\0"
