"""What is damage in a SQLite file, and whether the file may be set aside: only one that holds
nobody else's tables.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from .damage import DamagedError

MARK: Final = 0x53436874
"""The application_id of a database that a storage made, as opposed to one of the user's that it was
given a table in.
"""
COMPANIONS: Final = ("-journal", "-wal", "-shm")
"""What belongs to a database: without it, its last transaction is lost; with it, a fresh database
would take it for its own.
"""


def damage(error: Exception, path: str) -> str | None:
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


def holds_other_tables(path: str) -> bool:
    """Whether the database can be seen to hold tables of another program, whose data a storage has
    no business moving.
    """
    return bool(
        _asked(path, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name != 'support_chat'")
    )


def check(connection: sqlite3.Connection) -> None:
    """Looks through the table once, so that damage is found when a file is opened; raises
    DamagedError or sqlite3.Error.
    """
    problems = [
        problem
        for (problem,) in connection.execute("PRAGMA quick_check('support_chat')")
        if problem != "ok"
    ]
    if problems:
        raise DamagedError("its database is malformed")


def text(content: object) -> str:
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
            sqlite3.connect(address(path), uri=True, timeout=0.0)
        ) as connection:
            connection.execute("PRAGMA query_only = ON")
            return connection.execute(question).fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return []


def address(path: str) -> str:
    """The database at `path` as the URI that opens it, and creates none."""
    return f"{Path(path).as_uri()}?mode=rw"
