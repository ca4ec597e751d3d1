"""The tables in PostgreSQL: those of SQLite in PostgreSQL's words, how numbers are drawn, and what
gateways share.

All numbers come from one sequence. Who draws one holds a lock until the end of the transaction that
says after which number it was drawn (`draw`). So it is known, of all that was drawn so far, which
number is settled: nothing at or below it can become visible any more (`settled`). The locks are
shared ones, so nobody waits for anybody; and they are those of this database, so nobody else's
transactions, however long, hold a number back.

What gateways share is in tables that need no fsync: it is lost if the database's server crashes.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

from support_chat.errors import InvalidInputError

from ..schema import TABLES, VERSION

DRAWING: Final = 0x5C_D0
"""The class of the advisory locks of those who have drawn a number."""
OWNERS: Final = 0x5C_D1
"""The class of the advisory locks of owners."""
_SCHEMA: Final = 0x5C_D2
"""The class of the advisory lock of who makes tables."""
_ALL: Final = 2**31 - 1
"""A lock has room for the last 31 bits of a number."""

_WORDS: Final = (
    (" WITHOUT ROWID", ""),
    ("INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT PRIMARY KEY DEFAULT draw()"),
    ("INTEGER", "BIGINT"),
    ("REAL", "DOUBLE PRECISION"),
    ("TEXT", 'TEXT COLLATE "C"'),
    ("lower(hex(randomblob(8)))", "left(replace(gen_random_uuid()::text, '-', ''), 16)"),
)
"""How SQLite's words are said in PostgreSQL."""

_NUMBERS: Final = f"""
CREATE SEQUENCE numbers MINVALUE 0 START 0;
SELECT nextval('numbers');

CREATE FUNCTION draw() RETURNS BIGINT LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared({DRAWING}, (last_value & {_ALL})::int) FROM numbers;
  RETURN nextval('numbers');
END $$;

CREATE FUNCTION settled() RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
  drawn BIGINT;
BEGIN
  SELECT last_value INTO drawn FROM numbers;
  RETURN drawn - coalesce((
    SELECT max((drawn - objid::bigint) & {_ALL}) FROM pg_locks
    WHERE locktype = 'advisory' AND classid = {DRAWING} AND objsubid = 2
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (drawn - objid::bigint) & {_ALL} < {_ALL // 2}  -- not of one who drew since
  ), 0);
END $$;
"""

_SHARED: Final = """
CREATE UNLOGGED TABLE realtime_tokens (
  token_hash TEXT COLLATE "C" PRIMARY KEY,
  session BYTEA NOT NULL,
  until DOUBLE PRECISION NOT NULL
);
CREATE INDEX realtime_tokens_by_age ON realtime_tokens(until);

CREATE UNLOGGED TABLE buckets (
  name TEXT COLLATE "C" NOT NULL,
  caller TEXT COLLATE "C" NOT NULL,
  level DOUBLE PRECISION NOT NULL,
  at DOUBLE PRECISION NOT NULL,
  PRIMARY KEY (name, caller)
);
CREATE INDEX buckets_by_age ON buckets(at);

CREATE TABLE schema_version (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  version INTEGER NOT NULL
);
"""


def bring_up_to_date(db: psycopg.Connection[Any]) -> None:
    """Makes the tables in a database that has none of ours, in one transaction; several gateways
    may do so at once. Where they are there, it needs no right to make any.

    Raises InvalidInputError for those of another version.
    """
    version = _version(db)
    if version is None:
        with db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(%s, 0)", (_SCHEMA,))
            version = _version(db)
            if version is None:
                db.execute(_NUMBERS.encode())
                db.execute((_translated(TABLES) + _SHARED).encode())
                db.execute("INSERT INTO schema_version VALUES (1, %s)", (VERSION,))
                version = VERSION
    if version != VERSION:
        raise InvalidInputError(
            f"The database was written by another version of support-chat (its schema is {version},"
            f" this one knows {VERSION}); install that one, or name another database."
        )


def the_row(answer: psycopg.Cursor[Any]) -> Any:
    """The row of a statement that answers with one."""
    row = answer.fetchone()
    assert row is not None
    return row


def _version(db: psycopg.Connection[Any]) -> int | None:
    found = db.execute("SELECT to_regclass('schema_version') AS found")
    if the_row(found)["found"] is None:
        return None
    return int(the_row(db.execute("SELECT version FROM schema_version"))["version"])


def _translated(sql: str) -> str:
    for word, ours in _WORDS:
        sql = sql.replace(word, ours)
    return sql
