"""Conversations and their messages: who may see them, what a reconnect has missed, what is unread.

Every message has a number that grows over the whole backend; as text it is the *cursor*. A message
is never delivered to the session that sent it, neither live nor on a replay: that session has the
answer to its send, or asks again with the same client id.

A page of a listing goes on at a cursor, the number of the last item of the page before, so that it
neither repeats nor skips when something is added meanwhile. Each function works inside the caller's
transaction.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import attrs

from support_chat.errors import BackendRejectedError
from support_chat.ports import MessageArrived, Outgoing
from support_chat.values import NOTHING_SAID, About, Conversation, Message, can_be_carried

from .sessions import of_owner

T = TypeVar("T")

_UNREAD: Final = "author = 'agent' AND messages.number > read_up_to"
_CONVERSATION: Final = f"""
SELECT conversations.number, id, created_at, details,
  (SELECT count(*) FROM messages WHERE messages.conversation_id = id) AS messages,
  (SELECT count(*) FROM messages WHERE messages.conversation_id = id AND {_UNREAD}) AS unread
FROM conversations LEFT JOIN conversation_details ON conversation_details.conversation_id = id
"""

_MESSAGE: Final = (
    "SELECT messages.*, conversations.owner FROM messages JOIN conversations ON "
    "conversation_id = conversations.id"
)


@attrs.frozen
class Missed:
    """What a reconnect missed: the messages in order, whether some are lost, and where the replay
    ends.
    """

    messages: tuple[MessageArrived, ...]
    gap: bool
    cursor: str


@attrs.frozen
class Page(Generic[T]):
    """Some items, and the cursor of the next page; None if this is the last one."""

    items: Sequence[T]
    next_cursor: str | None


def start(db: sqlite3.Connection, owner: str, now: float) -> str:
    """The id of a new conversation of `owner`; the id tells nothing of others."""
    conversation_id = f"conversation-{secrets.token_hex(6)}"
    db.execute(
        "INSERT INTO conversations (id, owner, created_at) VALUES (?, ?, ?)",
        (conversation_id, owner, now),
    )
    return conversation_id


def owner_of(db: sqlite3.Connection, conversation_id: str) -> str | None:
    """Whose conversation it is, None if there is none of that id."""
    if not can_be_carried(conversation_id):
        return None
    row = db.execute("SELECT owner FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
    return None if row is None else str(row["owner"])


def send(
    db: sqlite3.Connection, owner: str, session: int, author: str, outgoing: Outgoing, now: float
) -> tuple[Message, bool]:
    """Stores a message of `owner` and says whether it is new; the same client id again answers with
    the stored one.

    Raises BackendRejectedError: `message_invalid` for an empty text, `conversation_not_found` for
    one that is not theirs.
    """
    if not outgoing.text.strip():
        raise BackendRejectedError("The message is empty; send some text.", code="message_invalid")
    known = db.execute(
        f"{_MESSAGE} WHERE client_message_id = ? AND owner = ?", (outgoing.client_message_id, owner)
    ).fetchone()
    if known is not None:
        return _message(known), False
    conversation_id = outgoing.conversation_id
    if conversation_id is None:
        conversation_id = start(db, owner, now)
        _describe(db, conversation_id, outgoing.about)
    _require(db, owner, conversation_id)
    return append(
        db, conversation_id, author, outgoing.text, now, session, outgoing.client_message_id
    ), True


def append(
    db: sqlite3.Connection,
    conversation_id: str,
    author: str,
    text: str,
    now: float,
    session: int | None = None,
    client_message_id: str | None = None,
) -> Message:
    """Adds a message to a conversation that is known to exist."""
    number = db.execute(
        "INSERT INTO messages (conversation_id, author, text, created_at, session_id, "
        "client_message_id) VALUES (?, ?, ?, ?, ?, ?)",
        (conversation_id, author, text, now, session, client_message_id),
    ).lastrowid
    return _message(db.execute(f"{_MESSAGE} WHERE messages.number = ?", (number,)).fetchone())


def arrival(db: sqlite3.Connection, owner: str, message: Message) -> MessageArrived:
    """The link event that brings a message to its owner."""
    return MessageArrived(message, _cursor(message), unread(db, owner))


def latest(db: sqlite3.Connection) -> int:
    """The number of the newest message of all, 0 if there is none."""
    return int(db.execute("SELECT coalesce(max(number), 0) FROM messages").fetchone()[0])


def since(db: sqlite3.Connection, number: int) -> list[tuple[int, list[int], MessageArrived]]:
    """Each message after this number, in order, with its number and the sessions it is for: its
    owner's, but the one that sent it.
    """
    rows = db.execute(
        f"{_MESSAGE} WHERE messages.number > ? ORDER BY messages.number", (number,)
    ).fetchall()
    return [
        (
            row["number"],
            [session for session in of_owner(db, row["owner"]) if session != row["session_id"]],
            arrival(db, row["owner"], _message(row)),
        )
        for row in rows
    ]


def missed(db: sqlite3.Connection, owner: str, session: int, cursor: str | None) -> Missed:
    """What arrived for `owner` after `cursor`, from anybody but this very session; without a cursor
    nothing was missed.
    """
    last = latest(db)
    forgotten = int(db.execute("SELECT forgotten_up_to FROM replay").fetchone()[0])
    if cursor is None:
        return Missed((), False, str(last))
    # A cursor that this backend never gave out says nothing about what was missed: that is a gap,
    # not an error.
    after = _number(cursor, last + 1)
    rows = db.execute(
        f"{_MESSAGE} WHERE owner = ? AND messages.number > ? AND session_id IS NOT ? ORDER BY "
        "messages.number",
        (owner, max(after, forgotten), session),
    ).fetchall()
    messages = tuple(arrival(db, owner, _message(row)) for row in rows)
    return Missed(messages, not forgotten <= after <= last, str(last))


def forget(db: sqlite3.Connection) -> None:
    """Lets no message sent so far be replayed any more; the conversations keep them."""
    db.execute(
        "UPDATE replay SET forgotten_up_to = (SELECT coalesce(max(number), 0) FROM messages)"
    )


def listed(db: sqlite3.Connection, owner: str) -> tuple[Conversation, ...]:
    """The conversations of `owner`, newest first."""
    rows = db.execute(
        f"{_CONVERSATION} WHERE owner = ? ORDER BY conversations.number DESC", (owner,)
    )
    return tuple(_conversation(row) for row in rows)


def conversation(db: sqlite3.Connection, owner: str, conversation_id: str) -> Conversation:
    """A conversation of `owner`; raises BackendRejectedError (`conversation_not_found`) for anybody
    else's.
    """
    _require(db, owner, conversation_id)
    return _conversation(db.execute(f"{_CONVERSATION} WHERE id = ?", (conversation_id,)).fetchone())


def conversation_page(
    db: sqlite3.Connection, owner: str, cursor: str | None, limit: int
) -> Page[Conversation]:
    """Conversations of `owner`, the newest first."""
    rows = db.execute(
        f"{_CONVERSATION} WHERE owner = ? AND conversations.number < ?"
        " ORDER BY conversations.number DESC LIMIT ?",
        (owner, _number(cursor, 2**62), limit + 1),
    ).fetchall()
    items = [_conversation(row) for row in rows[:limit]]
    return Page(items, str(rows[limit - 1]["number"]) if len(rows) > limit else None)


def message_page(
    db: sqlite3.Connection, owner: str, conversation_id: str, cursor: str | None, limit: int
) -> Page[Message]:
    """Messages of a conversation of `owner`, the oldest first; raises as `conversation`."""
    _require(db, owner, conversation_id)
    items = history(db, conversation_id, after=_number(cursor, 0), limit=limit + 1)
    more = len(items) > limit
    return Page(items[:limit], _cursor(items[limit - 1]) if more else None)


def messages(db: sqlite3.Connection, owner: str, conversation_id: str) -> tuple[Message, ...]:
    """All messages of a conversation of `owner`, the oldest first; raises as `conversation`."""
    _require(db, owner, conversation_id)
    return history(db, conversation_id)


def history(
    db: sqlite3.Connection, conversation_id: str, *, after: int = 0, limit: int = -1
) -> tuple[Message, ...]:
    """The messages of anybody's conversation after a number, oldest first; `limit` of them, or
    all.
    """
    where = "WHERE conversation_id = ? AND messages.number > ? ORDER BY messages.number LIMIT ?"
    return tuple(
        _message(row) for row in db.execute(f"{_MESSAGE} {where}", (conversation_id, after, limit))
    )


def unread(db: sqlite3.Connection, owner: str) -> int:
    """How many messages of agents `owner` has not read, over all conversations."""
    count = (
        "SELECT count(*) FROM messages JOIN conversations ON conversation_id = conversations.id"
        f" WHERE owner = ? AND {_UNREAD}"
    )
    return int(db.execute(count, (owner,)).fetchone()[0])


def mark_read(db: sqlite3.Connection, owner: str, conversation_id: str) -> None:
    """Counts every message of the conversation so far as read; raises BackendRejectedError if it is
    not `owner`'s.
    """
    _require(db, owner, conversation_id)
    db.execute(
        "UPDATE conversations SET read_up_to = (SELECT coalesce(max(number), 0) FROM messages) "
        "WHERE id = ?",
        (conversation_id,),
    )


def move(db: sqlite3.Connection, owner: str, new_owner: str) -> int:
    """Gives every conversation of `owner` to `new_owner`; returns how many there were."""
    return db.execute(
        "UPDATE conversations SET owner = ? WHERE owner = ?", (new_owner, owner)
    ).rowcount


def _message(row: sqlite3.Row) -> Message:
    return Message(
        f"message-{row['number']}",
        row["conversation_id"],
        row["author"],
        row["text"],
        row["created_at"],
        row["client_message_id"],
    )


def _conversation(row: sqlite3.Row) -> Conversation:
    about = NOTHING_SAID
    if row["details"] is not None:
        stored = json.loads(row["details"])
        about = About(**stored | {"tags": tuple(stored["tags"])})
    return Conversation(row["id"], row["messages"], row["unread"], row["created_at"], about)


def _describe(db: sqlite3.Connection, conversation_id: str, about: About) -> None:
    if about != NOTHING_SAID:
        db.execute(
            "INSERT INTO conversation_details VALUES (?, ?)",
            (conversation_id, json.dumps(attrs.asdict(about))),
        )


def _require(db: sqlite3.Connection, owner: str, conversation_id: str) -> None:
    if owner_of(db, conversation_id) != owner:
        raise BackendRejectedError(
            "There is no such conversation; list the conversations of this session.",
            code="conversation_not_found",
        )


def _cursor(message: Message) -> str:
    return message.id.removeprefix("message-")


def _number(cursor: str | None, otherwise: int) -> int:
    """The number that a cursor names; one that was never given out names none."""
    known = cursor is not None and cursor.isascii() and cursor.isdigit() and len(cursor) < 19
    return int(cursor) if cursor is not None and known else otherwise
