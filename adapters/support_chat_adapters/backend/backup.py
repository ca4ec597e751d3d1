"""A copy of a database while it is served: whole, of one moment, and fit to be put in its place.

The copy has an epoch of its own, and its counters of messages, conversations, sessions, changes and
read marks stand far ahead of the original's. Clients hold positions from after the copy was made;
put in place, it knows them for another database's, and gives none of those numbers out a second
time, so nobody takes a new message for one that they have.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from support_chat.errors import StorageError

from .schema import VERSION

AHEAD: Final = 1_000_000
"""By how much the counters of a copy are ahead."""


def back_up(database: Path, to: Path) -> None:
    """Copies a database to a new file, which others cannot open; writers go on meanwhile.

    Raises FileExistsError if there is such a file already, OSError or sqlite3.Error if either
    cannot be used, StorageError for a copy that is not sound, or of a database of another version.
    """
    draft = to.with_name(f".{to.name}.{os.getpid()}")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True)) as source,
            closing(sqlite3.connect(draft)) as copy,
        ):
            source.backup(copy)  # in one step: a step at a time begins again with each change
            copy.execute("PRAGMA journal_mode = DELETE")
            _check(copy)
            with copy:
                copy.execute("UPDATE sqlite_sequence SET seq = seq + ?", (AHEAD,))
                copy.execute(
                    "UPDATE replay SET epoch = lower(hex(randomblob(8))),"
                    " deleted_changes_up_to = ? + max(deleted_changes_up_to,"
                    " (SELECT coalesce(max(changed), 0) FROM sessions)),"
                    " deleted_marks_up_to = ? + max(deleted_marks_up_to,"
                    " (SELECT coalesce(max(marked), 0) FROM conversations))",
                    (AHEAD, AHEAD),
                )
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        os.link(draft, to)  # which, unlike a rename, takes nobody's place
    finally:
        draft.unlink()


def _check(copy: sqlite3.Connection) -> None:
    if copy.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        raise StorageError(
            "The database is of another version of support-chat; back it up with that one.",
            recoverable=False,
        )
    found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if found != "ok":
        raise StorageError(f"The database is damaged: {found}.", recoverable=False)
