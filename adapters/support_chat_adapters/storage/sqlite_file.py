"""The SQLite file behind `SQLiteStorage`, with blocking methods for one thread: its SQL, its locks
and its errors.

- Two processes may share a file: what reads and then writes begins with `BEGIN IMMEDIATE`, so it is
  one atomic step.
- A rollback journal, which is deleted at each commit, rather than a write-ahead log, which keeps
  old pages for long; and `secure_delete`, which writes zeros over what is deleted: after a clear,
  no byte of a value is left in the folder.
- A failed operation closes the file and the next one opens it again, so that a cause that was
  removed (a lock, a full disk) stays removed.
- A damaged file is set aside, under a lock on a file beside it (`<name>.lock`, empty, stays) that
  every operation shares: a process that has the file open and has not met the damage must not write
  meanwhile, and afterwards opens what is at the path then.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Final, TypeVar

from support_chat.errors import StorageError

from .damage import DamagedError, report, set_aside
from .file_errors import file_error
from .file_lock import FileLock
from .sqlite_damage import COMPANIONS, MARK, address, check, damage, holds_other_tables, text

_T = TypeVar("_T")

_CREATING: Final = threading.Lock()
"""POSIX drops *all* locks of a process on a file when it closes *any* descriptor of it, and
creating the file closes one.
"""

_WAYS_OUT: Final = {
    sqlite3.SQLITE_CORRUPT: "it is damaged, and holds tables of another program. It was not "
    "moved; repair it, or choose another path",
    sqlite3.SQLITE_READONLY: "it cannot be written. Give this process write permission to the "
    "file and to its folder",
    sqlite3.SQLITE_PERM: "it cannot be written. Give this process write permission to the file "
    "and to its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened. The folder must exist, and this process must "
    "be allowed to write to it",
    sqlite3.SQLITE_FULL: "the disk is full. Free some space, then try again",
    sqlite3.SQLITE_IOERR: "the disk or its file system reported an error. Check it, then try again",
    sqlite3.SQLITE_ERROR: "it holds another program's data. Give the storage a file of its own",
}
_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_PASSING: Final = (*_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_ATTEMPTS: Final = 5
"""How often an operation begins anew on a fresh file. More than two are due only if somebody keeps
damaging it.
"""


class SQLiteFile:
    """Entries in the database at `path`, which is opened by the first operation; waits for locks at
    most `timeout` seconds.

    All methods must be called on one thread, block, and raise StorageError.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self._path = path
        self._name = os.path.basename(path)
        self._timeout = timeout
        self._lock = FileLock(f"{path}.lock", timeout=timeout)
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None  # which file it was when it was opened

    def get(self, key: str) -> str | None:
        """The value under `key`, or None."""
        return self._done(lambda connection: _value(connection, key))

    def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent; returns what is stored."""

        def create(connection: sqlite3.Connection) -> str:
            with _transaction(connection):
                connection.execute(
                    "INSERT INTO support_chat VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value)
                )
                stored = _value(connection, key)
            return value if stored is None else stored

        return self._done(create)

    def replace(self, key: str, old: str, new: str) -> str:
        """Stores `new` if `old` is stored; returns what is stored, or `old` for an absent key."""

        def replace(connection: sqlite3.Connection) -> str:
            with _transaction(connection):
                connection.execute(
                    "UPDATE support_chat SET value = ? WHERE key = ? AND value = ?", (new, key, old)
                )
                stored = _value(connection, key)
            return old if stored is None else stored

        return self._done(replace)

    def delete(self, keys: Sequence[str]) -> None:
        """Removes the keys and overwrites their values with zeros."""

        def delete(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany(
                    "DELETE FROM support_chat WHERE key = ?", [(key,) for key in keys]
                )

        self._done(delete)

    def keys(self) -> tuple[str, ...]:
        """Every key, sorted."""

        def keys(connection: sqlite3.Connection) -> tuple[str, ...]:
            return tuple(
                text(key)
                for (key,) in connection.execute(
                    "SELECT CAST(key AS BLOB) FROM support_chat ORDER BY key"
                )
            )

        return self._done(keys)

    def close(self) -> None:
        """Closes the file if it is open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _done(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        failure: Exception | None = None
        for _ in range(_ATTEMPTS):
            with self._lock.held(shared=True):
                try:
                    return work(self._open())
                except (sqlite3.Error, OSError, UnicodeError, DamagedError) as error:
                    self.close()  # which also rolls back
                    failure = error
            if not self._set_aside(failure):
                break
        assert failure is not None
        raise storage_error(failure, self._name, self._timeout) from failure

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and not self._is_in_place():
            self.close()
        if self._connection is None:
            self._opened = None
            self._opened = _private(self._path)
            self._connection = sqlite3.connect(
                address(self._path), uri=True, timeout=self._timeout, isolation_level=None
            )
            _prepare(self._connection)
        return self._connection

    def _is_in_place(self) -> bool:
        """Whether the file that was opened is the one that is found at the path now."""
        with contextlib.suppress(FileNotFoundError):
            return self._opened is not None and os.path.samestat(self._opened, os.stat(self._path))
        return False

    def _set_aside(self, error: Exception) -> bool:
        """Moves the file away if the error means that it is damaged, unless another process did;
        says whether it is gone.
        """
        if self._opened is None:
            return False
        # alone: to rename a database under a writer is to give its journal to the next one
        with self._lock.held():
            if not self._is_in_place():
                return True
            why = damage(error, self._path)
            if why is None or holds_other_tables(self._path):
                return False
            try:
                aside = set_aside(self._path, COMPANIONS)
            except OSError as refusal:
                raise file_error(refusal, self._name, "set aside") from error
        report(f"The storage file {self._name!r}", why, f"it was set aside as {aside!r}")
        return True


def storage_error(error: Exception, name: str, timeout: float) -> StorageError:
    """What went wrong with the file called `name`, and the way out; `reason` is SQLite's own name
    of the error.
    """
    if isinstance(error, OSError):
        return file_error(error, name, "created")
    # the upper bits tell variants of one cause apart
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _LOCKED:
        fault = (
            f"another process kept it locked for {timeout:g} s. Try again, or allow more with "
            "SQLiteStorage(timeout=...)"
        )
    else:
        fault = _WAYS_OUT.get(code, f"SQLite failed ({error}). Try again, or choose another path")
    return StorageError(
        f"The storage file {name!r} could not be used: {fault}.",
        reason=getattr(error, "sqlite_errorname", type(error).__name__),
        recoverable=code in _PASSING,
    )


def _private(path: str) -> os.stat_result:
    """Makes an absent file readable by its owner alone; SQLite gives its journal the same mode.
    Says which file it is.
    """
    with _CREATING, contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    return os.stat(path)


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA journal_mode = DELETE")
    # also shows at once, rather than at the first write, that a file is read-only
    with _transaction(connection):
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
        if "support_chat" not in tables:
            if connection.execute("PRAGMA application_id").fetchone() == (MARK,):
                raise DamagedError("the table that was made there is missing")
            if not tables:
                connection.execute(f"PRAGMA application_id = {MARK}")
            connection.execute(
                "CREATE TABLE support_chat (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT "
                "ROWID"
            )
    check(connection)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[None, None, None]:
    """One atomic step: other processes see all of it or nothing. Without a commit, closing the
    connection takes it back.
    """
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("COMMIT")


def _value(connection: sqlite3.Connection, key: str) -> str | None:
    query = (
        "SELECT CASE typeof(value) WHEN 'text' THEN CAST(value AS BLOB) END FROM support_chat "
        "WHERE key = ?"
    )
    rows = connection.execute(query, (key,)).fetchall()  # all: an open cursor locks
    return text(rows[0][0]) if rows else None
