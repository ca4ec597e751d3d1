"""The SQLite file behind `SQLiteStorage`, with blocking methods for one thread: its SQL, its locks and its errors.

- Two processes may share a file: what reads and then writes begins with `BEGIN IMMEDIATE`, so it is one atomic step.
- A rollback journal, which is deleted at each commit, rather than a write-ahead log, which keeps old pages for long; and
  `secure_delete`, which writes zeros over what is deleted: after a clear, no byte of a value is left in the folder.
- A failed operation closes the file and the next one opens it again, so that a cause that was removed (a lock, a full disk,
  a damaged file moved away) stays removed.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Generator, Sequence
from typing import Final

from support_chat.errors import StorageError

_CREATING: Final = threading.Lock()
"""POSIX drops *all* locks of a process on a file when it closes *any* descriptor of it, and creating the file closes one."""

_WAYS_OUT: Final = {
    sqlite3.SQLITE_NOTADB: "it is not a SQLite database. Nothing in it was changed; move it away, or choose another path",
    sqlite3.SQLITE_CORRUPT: "it is damaged. It was not repaired or removed; move it away (the visitor starts anew)",
    sqlite3.SQLITE_READONLY: "it cannot be written. Give this process write permission to the file and to its folder",
    sqlite3.SQLITE_PERM: "it cannot be written. Give this process write permission to the file and to its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened. The folder must exist, and this process must be allowed to write to it",
    sqlite3.SQLITE_FULL: "the disk is full. Free some space, then try again",
    sqlite3.SQLITE_IOERR: "the disk or its file system reported an error. Check it, then try again",
    sqlite3.SQLITE_ERROR: "it holds another program's data. Give the storage a file of its own",
}
_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_PASSING: Final = (*_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class SQLiteFile:
    """Entries in the database at `path`, which is opened by the first operation; waits for locks at most `timeout` seconds.

    All methods must be called on one thread, block, and raise StorageError.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._connection: sqlite3.Connection | None = None

    def get(self, key: str) -> str | None:
        """The value under `key`, or None."""
        with self._opened() as connection:
            return _value(connection, key)

    def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent; returns what is stored."""
        with self._opened() as connection, _transaction(connection):
            connection.execute("INSERT INTO support_chat VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value))
            stored = _value(connection, key)
        return value if stored is None else stored

    def replace(self, key: str, old: str, new: str) -> str:
        """Stores `new` if `old` is stored; returns what is stored, or `old` for an absent key."""
        with self._opened() as connection, _transaction(connection):
            connection.execute("UPDATE support_chat SET value = ? WHERE key = ? AND value = ?", (new, key, old))
            stored = _value(connection, key)
        return old if stored is None else stored

    def delete(self, keys: Sequence[str]) -> None:
        """Removes the keys and overwrites their values with zeros."""
        with self._opened() as connection, _transaction(connection):
            connection.executemany("DELETE FROM support_chat WHERE key = ?", [(key,) for key in keys])

    def keys(self) -> tuple[str, ...]:
        """Every key, sorted."""
        with self._opened() as connection:
            return tuple(key for (key,) in connection.execute("SELECT key FROM support_chat ORDER BY key"))

    def close(self) -> None:
        """Closes the file if it is open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextlib.contextmanager
    def _opened(self) -> Generator[sqlite3.Connection, None, None]:
        try:
            if self._connection is None:
                _create_private(self._path)
                self._connection = sqlite3.connect(self._path, timeout=self._timeout, isolation_level=None)
                _prepare(self._connection)
            yield self._connection
        except (sqlite3.Error, OSError, UnicodeEncodeError) as error:
            self.close()  # which also rolls back
            raise storage_error(error, os.path.basename(self._path), self._timeout) from error


def storage_error(error: Exception, name: str, timeout: float) -> StorageError:
    """What went wrong with the file called `name`, and the way out; `reason` is SQLite's own name of the error."""
    if isinstance(error, OSError):
        remedy = "Make its folder writable" if isinstance(error, PermissionError) else "Create its folder"
        return StorageError(
            f"The storage file {name!r} cannot be created: {error.strerror}. {remedy}, or choose another path.",
            reason=type(error).__name__,
            recoverable=False,
        )
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the upper bits tell variants of one cause apart
    if code in _LOCKED:
        fault = f"another process kept it locked for {timeout:g} s. Try again, or allow more with SQLiteStorage(timeout=...)"
    else:
        fault = _WAYS_OUT.get(code, f"SQLite failed ({error}). Try again, or choose another path")
    return StorageError(
        f"The storage file {name!r} could not be used: {fault}.",
        reason=getattr(error, "sqlite_errorname", type(error).__name__),
        recoverable=code in _PASSING,
    )


def _create_private(path: str) -> None:
    """Makes an absent file readable by its owner alone; SQLite gives its journal the same mode. Leaves others as they are."""
    with _CREATING, contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_mode = DELETE")
    with _transaction(connection):  # also shows at once, rather than at the first write, that a file is read-only
        connection.execute("CREATE TABLE IF NOT EXISTS support_chat (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """One atomic step: other processes see all of it or nothing. Without a commit, closing the connection takes it back."""
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _value(connection: sqlite3.Connection, key: str) -> str | None:
    rows = connection.execute("SELECT value FROM support_chat WHERE key = ?", (key,)).fetchall()  # all: an open cursor locks
    return str(rows[0][0]) if rows else None
