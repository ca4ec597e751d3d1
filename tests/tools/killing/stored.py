"""What the database holds, read by plain SQL: the judge trusts no code of the backend, and a test
can doctor every value.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import attrs

_LOCKED: Final = 60.0
"""Seconds that it may be locked, as while what a process has left is mended."""


@attrs.frozen
class StoredVisitor:
    """A row of `visitors`."""

    id: str
    merged_into: str | None


@attrs.frozen
class StoredMerge:
    """A row of `merges`."""

    visitor_id: str
    user_id: str
    conversations: int


@attrs.frozen
class StoredSession:
    """A row of `sessions`."""

    secret_hash: str
    visitor_id: str
    user_id: str | None
    revoked: bool


@attrs.frozen
class StoredMessage:
    """A row of `messages`, with its conversation's owner."""

    number: int
    conversation_id: str
    owner: str
    author: str
    text: str
    client_message_id: str | None


@attrs.frozen
class Stored:
    """The whole database, as rows."""

    users: tuple[str, ...] = ()
    visitors: tuple[StoredVisitor, ...] = ()
    merges: tuple[StoredMerge, ...] = ()
    sessions: tuple[StoredSession, ...] = ()
    conversations: tuple[tuple[str, str], ...] = ()
    """Each one's id and owner, the oldest first."""
    messages: tuple[StoredMessage, ...] = ()
    traits: dict[tuple[str, str], Any] = attrs.field(factory=dict[tuple[str, str], Any])
    """By owner and path."""
    damage: tuple[str, ...] = ()
    """What SQLite itself finds wrong with the file."""

    def final(self, owner: str) -> str:
        """Whose it is today what was `owner`'s once: a merged visitor's is the user's."""
        kind, _, name = owner.partition(":")
        merged = [
            visitor.merged_into
            for visitor in self.visitors
            if kind == "visitor" and visitor.id == name
        ]
        return f"user:{merged[0]}" if merged and merged[0] is not None else owner


def hashed(secret: str) -> str:
    """The form in which the database knows a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def read(path: Path, *, look_for_damage: bool = False) -> Stored:
    """The database at `path`, in one transaction."""
    with closing(sqlite3.connect(path, timeout=_LOCKED, isolation_level=None)) as db:
        damage: list[str] = []
        if look_for_damage:
            damage += [
                str(row[0]) for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"
            ]
            damage += [
                f"a row of {row[0]} refers to nothing"
                for row in db.execute("PRAGMA foreign_key_check")
            ]
        db.execute("BEGIN")
        return Stored(
            users=tuple(row[0] for row in db.execute("SELECT id FROM users")),
            visitors=tuple(
                StoredVisitor(*row) for row in db.execute("SELECT id, merged_into FROM visitors")
            ),
            merges=tuple(
                StoredMerge(*row)
                for row in db.execute("SELECT visitor_id, user_id, conversations FROM merges")
            ),
            sessions=tuple(
                StoredSession(secret_hash, visitor_id, user_id, bool(revoked))
                for secret_hash, visitor_id, user_id, revoked in db.execute(
                    "SELECT secret_hash, visitor_id, user_id, revoked FROM sessions"
                )
            ),
            conversations=tuple(db.execute("SELECT id, owner FROM conversations ORDER BY number")),
            messages=tuple(
                StoredMessage(*row)
                for row in db.execute(
                    "SELECT messages.number, conversation_id, conversations.owner, author, text, "
                    "client_message_id"
                    " FROM messages JOIN conversations ON conversation_id = conversations.id "
                    "ORDER BY messages.number"
                )
            ),
            traits={
                (owner, path): json.loads(value)
                for owner, path, value in db.execute("SELECT owner, path, value FROM traits")
            },
            damage=tuple(damage),
        )


def newest(path: Path) -> int:
    """The number of the newest message, 0 if there is none."""
    with closing(sqlite3.connect(path, timeout=_LOCKED)) as db:
        return int(db.execute("SELECT coalesce(max(number), 0) FROM messages").fetchone()[0])
