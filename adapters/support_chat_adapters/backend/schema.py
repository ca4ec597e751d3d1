"""The tables in SQLite, their version, and how a file of an older version becomes one of this.

The schema carries the rules that must hold whatever the code above does: an id is one user
(`users.id`), a secret has at most one visitor who is not retired (`visitor_in_force`), a visitor is
merged at most once (`merges.visitor_id`), an identify is answered once (`identifies`), a secret
that is over stays so (`ended_visitors`). Secrets are stored as hashes only, so a copied file opens
no session.

What would have to be counted or looked for in a long history is kept instead: how many messages a
conversation has and how many are unread, which is its last one and which were never answered, the
unread number of each owner, and whose a message is. `conversations` changes them in the transaction
that changes what they count.

When a visitor or a session was last seen is when it last dialled: what nobody has heard of for long
is pruned by it. Numbers of messages, of changes of sessions and of read marks are positions that
others hold, so none is given out twice; how far they had come stays known when the last of them are
deleted. The epoch in `replay` says which database they are positions of.

What a person says about their company lives in `traits` with the rest of what they say, keyed by
who said it: a table of companies shared by everybody would let any visitor rewrite what another
one's company is called.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from support_chat.errors import InvalidInputError

VERSION: Final = 2
"""The version of the schema, which a file carries as its `user_version`. The files of before there
were versions carry 0.
"""

TABLES: Final = """
CREATE TABLE users (
  id TEXT PRIMARY KEY,
  created_at REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE visitors (
  id TEXT PRIMARY KEY,
  secret_hash TEXT NOT NULL,
  merged_into TEXT REFERENCES users(id),
  created_at REAL NOT NULL,
  seen_at REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE UNIQUE INDEX visitor_in_force ON visitors(secret_hash) WHERE merged_into IS NULL;
CREATE INDEX visitors_of_secret ON visitors(secret_hash);
CREATE INDEX visitors_by_age ON visitors(seen_at);

CREATE TABLE traits (
  owner TEXT NOT NULL,
  path TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (owner, path)
) WITHOUT ROWID;

CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  secret_hash TEXT NOT NULL UNIQUE,
  visitor_id TEXT NOT NULL REFERENCES visitors(id),
  user_id TEXT REFERENCES users(id),
  token_expires REAL,
  revoked INTEGER NOT NULL DEFAULT 0,
  revoked_because TEXT,
  revoked_after INTEGER,
  changed INTEGER NOT NULL DEFAULT 0,
  seen_at REAL NOT NULL DEFAULT 0
);
CREATE INDEX sessions_of_visitor ON sessions(visitor_id);
CREATE INDEX sessions_of_user ON sessions(user_id);
CREATE INDEX sessions_changed ON sessions(changed) WHERE changed > 0;
CREATE INDEX sessions_by_age ON sessions(seen_at);

CREATE TABLE identifies (
  secret_hash TEXT NOT NULL,
  identify_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  answer TEXT,
  PRIMARY KEY (secret_hash, identify_id)
) WITHOUT ROWID;

CREATE TABLE merges (
  visitor_id TEXT PRIMARY KEY REFERENCES visitors(id),
  user_id TEXT NOT NULL REFERENCES users(id),
  conversations INTEGER NOT NULL,
  merged_at REAL NOT NULL
) WITHOUT ROWID;

CREATE TABLE owners (
  owner TEXT PRIMARY KEY,
  unread INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE conversations (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  messages INTEGER NOT NULL DEFAULT 0,
  unread INTEGER NOT NULL DEFAULT 0,
  read_up_to INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL,
  details TEXT,
  marked INTEGER NOT NULL DEFAULT 0,
  last_message INTEGER NOT NULL DEFAULT 0,
  unanswered INTEGER NOT NULL DEFAULT 0,
  waiting_from INTEGER
);
CREATE INDEX conversations_of_owner ON conversations(owner, number);
CREATE INDEX conversations_marked ON conversations(marked) WHERE marked > 0;
CREATE INDEX conversations_marked_of_owner ON conversations(owner, marked) WHERE marked > 0;
CREATE INDEX conversations_by_last_message ON conversations(last_message);
CREATE INDEX conversations_waiting ON conversations(waiting_from) WHERE waiting_from IS NOT NULL;

CREATE TABLE messages (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  conversation_id TEXT NOT NULL REFERENCES conversations(id),
  owner TEXT NOT NULL DEFAULT '',
  author TEXT NOT NULL,
  text TEXT NOT NULL,
  created_at REAL NOT NULL,
  session_id INTEGER REFERENCES sessions(id),
  client_message_id TEXT,
  agent_id TEXT,
  agent_name TEXT,
  answer_id TEXT
);
CREATE INDEX messages_of_conversation ON messages(conversation_id, number);
CREATE INDEX messages_of_owner ON messages(owner, number);
CREATE INDEX messages_by_client_id ON messages(owner, client_message_id)
  WHERE client_message_id IS NOT NULL;
CREATE INDEX messages_of_session ON messages(session_id) WHERE session_id IS NOT NULL;
CREATE UNIQUE INDEX messages_by_answer_id ON messages(answer_id) WHERE answer_id IS NOT NULL;

CREATE TABLE replay (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  forgotten_up_to INTEGER NOT NULL,
  deleted_messages_up_to INTEGER NOT NULL DEFAULT 0,
  deleted_changes_up_to INTEGER NOT NULL DEFAULT 0,
  deleted_marks_up_to INTEGER NOT NULL DEFAULT 0,
  epoch TEXT NOT NULL DEFAULT ''
);
INSERT INTO replay (only_row, forgotten_up_to, epoch) VALUES (1, 0, lower(hex(randomblob(8))));

CREATE TABLE ended_visitors (
  secret_hash TEXT PRIMARY KEY,
  ended_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX ended_visitors_by_age ON ended_visitors(ended_at);
"""
"""The tables of today, in SQLite's words."""

_FROM_0: Final = """
CREATE TABLE IF NOT EXISTS conversation_details (
  conversation_id TEXT PRIMARY KEY REFERENCES conversations(id),
  details TEXT NOT NULL
) WITHOUT ROWID;

ALTER TABLE sessions ADD COLUMN revoked_because TEXT;
ALTER TABLE sessions ADD COLUMN revoked_after INTEGER;
ALTER TABLE sessions ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_changed ON sessions(changed) WHERE changed > 0;

ALTER TABLE sessions ADD COLUMN seen_at REAL NOT NULL DEFAULT 0;
ALTER TABLE visitors ADD COLUMN seen_at REAL NOT NULL DEFAULT 0;
UPDATE sessions SET seen_at = CAST(strftime('%s', 'now') AS REAL);
UPDATE visitors SET seen_at = CAST(strftime('%s', 'now') AS REAL);
CREATE INDEX sessions_by_age ON sessions(seen_at);
CREATE INDEX visitors_by_age ON visitors(seen_at);
ALTER TABLE replay ADD COLUMN deleted_messages_up_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE replay ADD COLUMN deleted_changes_up_to INTEGER NOT NULL DEFAULT 0;

ALTER TABLE conversations ADD COLUMN messages INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN details TEXT;
DROP INDEX IF EXISTS conversations_of_owner;
CREATE INDEX conversations_of_owner ON conversations(owner, number);

ALTER TABLE messages ADD COLUMN owner TEXT NOT NULL DEFAULT '';
UPDATE messages SET owner = (SELECT owner FROM conversations WHERE id = conversation_id);
DROP INDEX IF EXISTS messages_of_conversation;
DROP INDEX IF EXISTS messages_by_client_id;
CREATE INDEX messages_of_conversation ON messages(conversation_id, number);
CREATE INDEX messages_of_owner ON messages(owner, number);
CREATE INDEX messages_by_client_id ON messages(owner, client_message_id)
  WHERE client_message_id IS NOT NULL;
CREATE INDEX messages_of_session ON messages(session_id) WHERE session_id IS NOT NULL;

UPDATE conversations SET
  messages = (SELECT count(*) FROM messages WHERE conversation_id = id),
  unread = (SELECT count(*) FROM messages
    WHERE conversation_id = id AND author = 'agent' AND messages.number > read_up_to),
  details = (SELECT details FROM conversation_details WHERE conversation_id = id);
DROP TABLE conversation_details;

CREATE TABLE owners (
  owner TEXT PRIMARY KEY,
  unread INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO owners SELECT owner, sum(unread) FROM conversations GROUP BY owner;
"""

_FROM_1: Final = """
CREATE INDEX visitors_of_secret ON visitors(secret_hash);

ALTER TABLE messages ADD COLUMN agent_id TEXT;
ALTER TABLE messages ADD COLUMN agent_name TEXT;

ALTER TABLE conversations ADD COLUMN marked INTEGER NOT NULL DEFAULT 0;
CREATE INDEX conversations_marked ON conversations(marked) WHERE marked > 0;
CREATE INDEX conversations_marked_of_owner ON conversations(owner, marked) WHERE marked > 0;

ALTER TABLE replay ADD COLUMN deleted_marks_up_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE replay ADD COLUMN epoch TEXT NOT NULL DEFAULT '';
UPDATE replay SET epoch = lower(hex(randomblob(8)));

CREATE TABLE ended_visitors (
  secret_hash TEXT PRIMARY KEY,
  ended_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX ended_visitors_by_age ON ended_visitors(ended_at);

ALTER TABLE messages ADD COLUMN answer_id TEXT;
CREATE UNIQUE INDEX messages_by_answer_id ON messages(answer_id) WHERE answer_id IS NOT NULL;

ALTER TABLE conversations ADD COLUMN last_message INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN waiting_from INTEGER;
UPDATE conversations SET
  last_message = (SELECT coalesce(max(number), 0) FROM messages
    WHERE conversation_id = conversations.id),
  waiting_from = (SELECT min(number) FROM messages
    WHERE conversation_id = conversations.id AND number > (
      SELECT coalesce(max(number), 0) FROM messages
      WHERE conversation_id = conversations.id AND author = 'agent'));
UPDATE conversations SET unanswered = (SELECT count(*) FROM messages
  WHERE conversation_id = conversations.id AND messages.number >= waiting_from);
CREATE INDEX conversations_by_last_message ON conversations(last_message);
CREATE INDEX conversations_waiting ON conversations(waiting_from) WHERE waiting_from IS NOT NULL;
"""

_MIGRATIONS: Final[Sequence[str]] = (_FROM_0, _FROM_1)
"""What makes a file of version n one of version n + 1."""


def bring_up_to_date(db: sqlite3.Connection) -> None:
    """Makes the tables in an empty file, or those of an older version into today's, in one
    transaction; several processes may do so at once.

    Raises InvalidInputError for a file of a newer version, sqlite3.Error for one that is none of
    ours.
    """
    if _version(db) == VERSION:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        _migrate(db)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _migrate(db: sqlite3.Connection) -> None:
    version = _version(db)
    if version > VERSION:
        raise InvalidInputError(
            f"The database was written by a newer version of support-chat (its schema is {version},"
            f" this one knows {VERSION}); install that one, or name another database."
        )
    if version == 0 and not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall():
        _run(db, TABLES)
    else:
        for migration in _MIGRATIONS[version:]:
            _run(db, migration)
    db.execute(f"PRAGMA user_version = {VERSION}")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _run(db: sqlite3.Connection, script: str) -> None:
    """Runs statement by statement: `executescript` would commit first."""
    for statement in script.split(";"):
        if statement.strip():
            db.execute(statement)
