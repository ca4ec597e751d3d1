"""What a client looks up: its conversations with what describes them, and their messages, page by
page.

A page goes on at a cursor, the number of the last item of the page before, so that it neither
repeats nor skips when something is added meanwhile. Each function works inside the caller's
transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Generic, TypeVar

import attrs

from support_chat.errors import BackendRejectedError
from support_chat.values import NOTHING_SAID, About, Conversation, Message

from . import conversations

T = TypeVar("T")


@attrs.frozen
class Page(Generic[T]):
    """Some items, and the cursor of the next page; None if this is the last one."""

    items: Sequence[T]
    next_cursor: str | None


def describe(db: sqlite3.Connection, conversation_id: str, about: About) -> None:
    """Keeps what is said of a conversation that has just begun."""
    if about != NOTHING_SAID:
        db.execute(
            "INSERT OR IGNORE INTO conversation_details VALUES (?, ?)",
            (conversation_id, json.dumps(attrs.asdict(about))),
        )


def conversation(db: sqlite3.Connection, owner: str, conversation_id: str) -> Conversation:
    """A conversation of `owner`; raises BackendRejectedError (`conversation_not_found`) for anybody
    else's.
    """
    _of(db, owner, conversation_id)
    return described(db, conversations.listed(db, owner, only=conversation_id)[0])


def conversation_page(
    db: sqlite3.Connection, owner: str, cursor: str | None, limit: int
) -> Page[Conversation]:
    """Conversations of `owner`, the newest first."""
    rows = db.execute(
        "SELECT number, id FROM conversations WHERE owner = ? AND number < ? ORDER BY number DESC "
        "LIMIT ?",
        (owner, _number(cursor, 2**62), limit + 1),
    ).fetchall()
    items = [
        described(db, conversations.listed(db, owner, only=row["id"])[0]) for row in rows[:limit]
    ]
    return Page(items, str(rows[limit - 1]["number"]) if len(rows) > limit else None)


def message_page(
    db: sqlite3.Connection, owner: str, conversation_id: str, cursor: str | None, limit: int
) -> Page[Message]:
    """Messages of a conversation of `owner`, the oldest first, a negative `limit` for all; raises
    as `conversation`.
    """
    _of(db, owner, conversation_id)
    if limit < 0:
        return Page(conversations.history(db, conversation_id, after=_number(cursor, 0)), None)
    items = conversations.history(db, conversation_id, after=_number(cursor, 0), limit=limit + 1)
    more = len(items) > limit
    return Page(items[:limit], items[limit - 1].id.removeprefix("message-") if more else None)


def _of(db: sqlite3.Connection, owner: str, conversation_id: str) -> None:
    if conversations.owner_of(db, conversation_id) != owner:
        raise BackendRejectedError(
            "There is no such conversation; list the conversations of this session.",
            code="conversation_not_found",
        )


def _number(cursor: str | None, otherwise: int) -> int:
    """Where a page begins; a cursor that was never given out begins at the beginning."""
    return (
        int(cursor)
        if cursor is not None and cursor.isascii() and cursor.isdigit() and len(cursor) < 19
        else otherwise
    )


def described(db: sqlite3.Connection, found: Conversation) -> Conversation:
    """The conversation with what was said of it when it began."""
    row = db.execute(
        "SELECT details FROM conversation_details WHERE conversation_id = ?", (found.id,)
    ).fetchone()
    if row is None:
        return found
    stored = json.loads(row["details"])
    return attrs.evolve(found, about=About(**stored | {"tags": tuple(stored["tags"])}))
