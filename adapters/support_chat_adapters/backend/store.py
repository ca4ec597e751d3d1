"""The backend's memory: one SQLite database, in memory or in a file, behind one connection and
explicit transactions.

The schema carries the rules that must hold whatever the code above does: an id is one user
(`users.id`), a secret has at most one visitor who is not retired (`visitor_in_force`), a visitor is
merged at most once (`merges.visitor_id`), an identify is answered once (`identifies`). Secrets are
stored as hashes only, so a copied file opens no session.

What a person says about their company lives in `traits` with the rest of what they say, keyed by
who said it: a table of companies shared by everybody would let any visitor rewrite what another
one's company is called.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from support_chat.errors import WrongThreadError

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS visitors (
  id TEXT PRIMARY KEY,
  secret_hash TEXT NOT NULL,
  merged_into TEXT REFERENCES users(id),
  created_at REAL NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS visitor_in_force
  ON visitors(secret_hash) WHERE merged_into IS NULL;

CREATE TABLE IF NOT EXISTS users (
  id TEXT PRIMARY KEY,
  created_at REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS traits (
  owner TEXT NOT NULL,
  path TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (owner, path)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  secret_hash TEXT NOT NULL UNIQUE,
  visitor_id TEXT NOT NULL REFERENCES visitors(id),
  user_id TEXT REFERENCES users(id),
  token_expires REAL,
  revoked INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS sessions_of_visitor ON sessions(visitor_id);
CREATE INDEX IF NOT EXISTS sessions_of_user ON sessions(user_id);

CREATE TABLE IF NOT EXISTS identifies (
  secret_hash TEXT NOT NULL,
  identify_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  answer TEXT,
  PRIMARY KEY (secret_hash, identify_id)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS merges (
  visitor_id TEXT PRIMARY KEY REFERENCES visitors(id),
  user_id TEXT NOT NULL REFERENCES users(id),
  conversations INTEGER NOT NULL,
  merged_at REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS conversations (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  read_up_to INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS conversations_of_owner ON conversations(owner);

CREATE TABLE IF NOT EXISTS conversation_details (
  conversation_id TEXT PRIMARY KEY REFERENCES conversations(id),
  details TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS messages (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  conversation_id TEXT NOT NULL REFERENCES conversations(id),
  author TEXT NOT NULL,
  text TEXT NOT NULL,
  created_at REAL NOT NULL,
  session_id INTEGER REFERENCES sessions(id),
  client_message_id TEXT
);
CREATE INDEX IF NOT EXISTS messages_of_conversation ON messages(conversation_id);
CREATE INDEX IF NOT EXISTS messages_by_client_id ON messages(client_message_id);

CREATE TABLE IF NOT EXISTS replay (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  forgotten_up_to INTEGER NOT NULL
);
INSERT OR IGNORE INTO replay VALUES (1, 0);
"""
"""Every table of the backend; safe to run again on a file that has them."""


class Store:
    """An open database and its transactions; `path` is a file or `":memory:"`. Use it from the
    thread that made it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        _make_private(path)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.executescript(SCHEMA)
        self._version = 0
        self._home = _here()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection, None, None]:
        """All of the block or nothing of it; a second process on the same file waits for its end.

        Raises WrongThreadError in another thread than the one that made this, and after a fork.
        """
        if _here() != self._home:
            raise WrongThreadError(
                "This Backend belongs to the thread and the process that made it. Make one of your "
                "own here, on the same file, or run the session on that thread's event loop."
            )
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def others_wrote(self) -> bool:
        """Whether another connection, of another process, has changed the file since this was asked
        last; cheap to ask often.
        """
        version = int(self._db.execute("PRAGMA data_version").fetchone()[0])
        before, self._version = self._version, version
        return version != before

    def close(self) -> None:
        """Closes the database; a second call does nothing."""
        self._db.close()


def _here() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def _make_private(path: str | os.PathLike[str]) -> None:
    """Makes a new database the owner's alone, whatever the umask; SQLite gives the files beside it
    the same mode.
    """
    if os.fspath(path) == ":memory:":
        return
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def hashed(secret: str) -> str:
    """The form in which a secret of a visitor or session is stored. The secrets are random, so one
    plain hash is enough.
    """
    # what UTF-8 cannot carry is nobody's secret, and has a hash all the same
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
