"""A storage in a SQLite file, which survives the process and is shared by several: a desktop
application, a few workers.

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
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

from support_chat.errors import InvalidInputError, StorageError

from .damage import DamagedError, report, set_aside
from .files import FileLock, file_error, is_in_place
from .thread import GivenUpError, OwnThread, on_own_thread

_T = TypeVar("_T")

MARK: Final = 0x53436874
"""The application_id of a database that a storage made, as opposed to one of the user's that it was
given a table in.
"""
COMPANIONS: Final = ("-journal", "-wal", "-shm")
"""What belongs to a database: without it, its last transaction is lost; with it, a fresh database
would take it for its own.
"""
# POSIX drops *all* locks of a process on a file when it closes *any* descriptor of it, and creating
# the file closes one
_CREATING: Final = threading.Lock()

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
_OTHER_TABLES: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name != 'support_chat'"
_LOCKED: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_PASSING: Final = (*_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
# How often an operation begins anew on a fresh file. More than two are due only if somebody keeps
# damaging it.
_ATTEMPTS: Final = 5


class SQLiteStorage:
    """Keeps everything in the SQLite file at `path`, created with mode 0600 at the first operation;
    its folder must exist. Beside it lies `<name>.lock`, which is empty and stays, and during a
    change `<name>-journal`.

    Use it when a visitor should be recognised at the next start, or by several processes: all of
    them may use one file at once. `timeout` is how many seconds an operation waits while another
    process keeps the file locked; it should be below `Settings.storage_timeout`, which would
    otherwise end the waiting with a less telling error.

    A damaged file, or one that is no database, is renamed to `<name>.corrupt-<n>`, with a warning
    in the log `support_chat`, and the storage begins anew. It is never deleted, so delete it
    yourself: it may hold a visitor's secret. A file with another program's tables in it is never
    moved.

    It implements the `Storage` port. Every method raises StorageError, which names the file (not
    its folder) and the way out. A cancelled call that still waits, for those before it or for
    another process, ends at once and is never done; one at work ends when that is done. One object
    serves any number of sessions and event loops, but only the process that made it: after a fork,
    make another. Call `aclose()` when you are done.

    Raises InvalidInputError for `":memory:"` or an empty path; use `MemoryStorage` for that.
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 3.0) -> None:
        name = os.fspath(path)
        if name in ("", ":memory:"):
            raise InvalidInputError(
                "SQLiteStorage needs the path of a file; use MemoryStorage to keep nothing on disk."
            )
        # a later chdir() must not lead elsewhere, nor a rename move a link
        self._path = os.path.realpath(name)
        self._name = os.path.basename(self._path)
        self._timeout = timeout
        self._open = _OpenFile()
        self._thread = OwnThread("SQLiteStorage", self._name, timeout, self._open.close)
        self._lock = FileLock(f"{self._path}.lock", timeout=timeout)

    @on_own_thread
    def get(self, key: str) -> str | None:
        """The value stored under `key`, or None."""
        return self._done(lambda db: _value(db, key))

    @on_own_thread
    def create(self, key: str, value: str) -> str:
        """Stores `value` if `key` is absent, in one atomic step between processes; returns what is
        stored afterwards.
        """
        insert = "INSERT INTO support_chat VALUES (?, ?) ON CONFLICT DO NOTHING"
        stored = self._done(lambda db: self._changed(db, insert, (key, value), key))
        return value if stored is None else stored

    @on_own_thread
    def delete(self, *keys: str) -> Mapping[str, str]:
        """Removes the keys and returns those that were stored, each with its value, in one atomic
        step between processes; afterwards no byte of their values is left in the file or beside it.
        """

        def delete(db: sqlite3.Connection) -> Mapping[str, str]:
            with _transaction(db):
                self._thread.land()
                removed = {key: _removed(db, key) for key in dict.fromkeys(keys)}
                _wipe_free_pages(db)
            return {key: value for key, value in removed.items() if value is not None}

        return self._done(delete)

    @on_own_thread
    def keys(self) -> Sequence[str]:
        """Every key stored, of whatever scope, sorted."""
        query = "SELECT CAST(key AS BLOB) FROM support_chat ORDER BY key"
        return self._done(lambda db: tuple(_text(key) for (key,) in db.execute(query)))

    async def aclose(self) -> None:
        """Closes the file and ends the thread after the operations under way; later calls raise
        StorageError.

        Cancelling it cancels the waiting only. A second call does nothing.
        """
        await self._thread.aclose()

    def __repr__(self) -> str:
        return repr(self._thread)

    def _changed(
        self, connection: sqlite3.Connection, statement: str, values: tuple[str, ...], key: str
    ) -> str | None:
        """What is stored under `key` after the statement, in one step with it."""
        with _transaction(connection):
            self._thread.land()
            connection.execute(statement, values)
            return _value(connection, key)

    def _done(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        failure: Exception | None = None
        for _ in range(_ATTEMPTS):
            with self._lock.held(shared=True):
                try:
                    return work(self._connected())
                except GivenUpError:
                    self._open.close()  # which also rolls back
                    raise
                except (sqlite3.Error, OSError, UnicodeError, DamagedError) as error:
                    self._open.close()
                    failure = error
            if not self._set_aside(failure):
                break
        assert failure is not None
        raise storage_error(failure, self._name, self._timeout) from failure

    def _connected(self) -> sqlite3.Connection:
        if not is_in_place(self._open.file, self._path):
            self._open.close()
        return self._open.connection or self._open.connect(self._path, self._timeout)

    def _set_aside(self, error: Exception) -> bool:
        """Moves the file away if the error means that it is damaged, unless another process did;
        says whether it is gone.
        """
        if self._open.file is None:
            return False
        # alone: to rename a database under a writer is to give its journal to the next one
        with self._lock.held():
            if not is_in_place(self._open.file, self._path):
                return True
            why = _damage(error, self._path)
            # the data of another program is not a storage's to move
            if why is None or _asked(self._path, _OTHER_TABLES):
                return False
            self._thread.land()
            try:
                aside = set_aside(self._path, COMPANIONS)
            except OSError as refusal:
                raise file_error(refusal, self._name, "set aside") from error
        report(f"The storage file {self._name!r}", why, f"it was set aside as {aside!r}")
        return True


class _OpenFile:
    """The connection to a database, and which file it was when it was opened."""

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None
        self.file: os.stat_result | None = None

    def connect(self, path: str, timeout: float) -> sqlite3.Connection:
        self.file = None
        self.file = _private(path)
        self.connection = sqlite3.connect(
            _address(path), uri=True, timeout=timeout, isolation_level=None
        )
        _prepare(self.connection)
        return self.connection

    def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()


def storage_error(error: Exception, name: str, timeout: float) -> StorageError:
    """What went wrong with the file called `name`, and the way out; `reason` is SQLite's own name
    of the error.
    """
    if isinstance(error, OSError):
        return file_error(error, name, "created")
    # the upper bits tell variants of one cause apart
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _LOCKED:
        problem = (
            f"another process kept it locked for {timeout:g} s. Try again, or allow more with "
            "SQLiteStorage(timeout=...)"
        )
    else:
        problem = _WAYS_OUT.get(code, f"SQLite failed ({error}). Try again, or choose another path")
    return StorageError(
        f"The storage file {name!r} could not be used: {problem}.",
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
    # looks through the table once, so that damage is found when a file is opened
    if connection.execute("PRAGMA quick_check('support_chat')").fetchall() != [("ok",)]:
        raise DamagedError("its database is malformed")


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
    return _text(rows[0][0]) if rows else None


def _wipe_free_pages(connection: sqlite3.Connection) -> None:
    """What a killed process wrote to a page that was free is not taken back with its transaction:
    all of them are written once, and freed again; a part of a transaction.
    """
    (free,), (size,) = (
        connection.execute(f"PRAGMA {what}").fetchone() for what in ("freelist_count", "page_size")
    )
    if free:
        filler = uuid.uuid4().hex
        insert = "INSERT INTO support_chat VALUES (?, zeroblob(?))"
        connection.execute(insert, (filler, free * size))
        connection.execute("DELETE FROM support_chat WHERE key = ?", (filler,))


def _removed(connection: sqlite3.Connection, key: str) -> str | None:
    """The text that was removed, None if there was none; a part of a transaction."""
    value = None
    with contextlib.suppress(UnicodeDecodeError, DamagedError):
        value = _value(connection, key)
    connection.execute("DELETE FROM support_chat WHERE key = ?", (key,))
    return value


def _damage(error: Exception, path: str) -> str | None:
    """Why the file at `path` counts as damaged by this error of an operation on it, or None: then
    it is something else.
    """
    if isinstance(error, DamagedError):
        return str(error)
    if isinstance(error, UnicodeDecodeError):
        return "it holds a value that is not text"
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return "it is not a SQLite database"
    if code == sqlite3.SQLITE_CORRUPT:
        return "its database is malformed"
    if code == sqlite3.SQLITE_ERROR and _asked(path, "PRAGMA application_id") == [(MARK,)]:
        return "its table is not the one that was made there"
    return None


def _text(content: object) -> str:
    """The text of a column that was read as bytes; raises UnicodeDecodeError, or DamagedError if it
    is neither.
    """
    if not isinstance(content, bytes):
        raise DamagedError("it holds a value that is not text")
    return content.decode()


def _asked(path: str, question: str) -> list[tuple[object, ...]]:
    """The rows that answer it, none if the database cannot be read any more; nothing is created or
    repaired.
    """
    try:
        with contextlib.closing(
            sqlite3.connect(_address(path), uri=True, timeout=0.0)
        ) as connection:
            connection.execute("PRAGMA query_only = ON")
            return connection.execute(question).fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return []


def _address(path: str) -> str:
    """The database at `path` as the URI that opens it, and creates none."""
    return f"{Path(path).as_uri()}?mode=rw"
