"""`support-chat forget`: deletes all that a served backend knows of one person."""

from __future__ import annotations

import argparse
import sqlite3
import time
from contextlib import closing, suppress
from typing import Final

import attrs

from .options import option
from .persons import PERSON, person
from .served import add_backend_options, is_at_a_server, open_backend
from .terminal import as_json, emit

ABOUT: Final = "Deletes a person: their conversations, traits and sessions."
MORE: Final = """\
It cannot be undone; `support-chat export-person` shows what it deletes. Works
while `support-chat serve` runs: their sessions end, and their links are closed.
Deleted text is overwritten in the database. It is not deleted from backups.

A user who signs in again, or a visitor who comes back, is somebody new.

examples:
  support-chat forget --user ada
  support-chat forget --visitor visitor-3f2a --db /srv/chat.db

exit status: 0, or 2 if there is no such person.
"""
OPTIONS: Final = (
    PERSON,
    add_backend_options,
    option("--json", action="store_true", help="what was deleted, as a line of JSON"),
)

_TOLD_WITHIN: Final = 0.5
"""Seconds in which a server on the same database has told links that their session has ended."""


def run(arguments: argparse.Namespace) -> int:
    """Deletes it."""
    whom = person(arguments)
    with open_backend(arguments) as backend:
        if backend.records.end_sessions(whom):
            time.sleep(_TOLD_WITHIN)
        forgotten = backend.records.forget(whom)
    if not is_at_a_server(arguments):
        # the log of a file holds its former pages; a server that reads just now empties it later
        with closing(sqlite3.connect(arguments.db)) as db, suppress(sqlite3.Error):
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    counts = attrs.asdict(forgotten)
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    emit(as_json("forget", counts) if arguments.json else f"deleted {said}\n")
    return 0
