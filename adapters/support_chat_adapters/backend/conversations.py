"""Conversations and their messages: who may see them, what a reconnect has missed, what is unread.

Every message has a number that grows over the whole backend; as text it is the *cursor*. A message
is never delivered to the session that sent it, neither live nor on a replay: that session has the
answer to its send, or asks again with the same client id. Each function works inside the caller's
transaction.
"""

from __future__ import annotations

import secrets
import sqlite3

import attrs

from support_chat.errors import BackendRejectedError
from support_chat.ports import MessageArrived, Outgoing
from support_chat.values import Conversation, Message

from .sessions import of_owner

_MESSAGE = (
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
    if outgoing.conversation_id is None:
        conversation_id = start(db, owner, now)
    elif owner_of(db, outgoing.conversation_id) == owner:
        conversation_id = outgoing.conversation_id
    else:
        raise BackendRejectedError(
            "There is no such conversation; list the conversations of this session.",
            code="conversation_not_found",
        )
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
    return MessageArrived(message, message.id.removeprefix("message-"), unread(db, owner))


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
    after = int(cursor) if cursor.isascii() and cursor.isdigit() and len(cursor) < 19 else last + 1
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


def listed(
    db: sqlite3.Connection, owner: str, *, only: str | None = None
) -> tuple[Conversation, ...]:
    """The conversations of `owner`, newest first; or `only` the one of this id."""
    rows = db.execute(
        "SELECT id, created_at, (SELECT count(*) FROM messages WHERE conversation_id = "
        "conversations.id) AS messages,"
        " (SELECT count(*) FROM messages WHERE conversation_id = conversations.id AND author = "
        "'agent'"
        "  AND messages.number > read_up_to) AS unread FROM conversations WHERE owner = ? AND id "
        "= coalesce(?, id)"
        " ORDER BY number DESC",
        (owner, only),
    )
    return tuple(
        Conversation(row["id"], row["messages"], row["unread"], row["created_at"]) for row in rows
    )


def history(
    db: sqlite3.Connection, conversation_id: str, *, after: int = 0, limit: int = -1
) -> tuple[Message, ...]:
    """The messages of a conversation after a number, oldest first; `limit` of them, or all."""
    where = "WHERE conversation_id = ? AND messages.number > ? ORDER BY messages.number LIMIT ?"
    return tuple(
        _message(row) for row in db.execute(f"{_MESSAGE} {where}", (conversation_id, after, limit))
    )


def unread(db: sqlite3.Connection, owner: str) -> int:
    """How many messages of agents `owner` has not read, over all conversations."""
    return sum(conversation.unread for conversation in listed(db, owner))


def mark_read(db: sqlite3.Connection, owner: str, conversation_id: str) -> None:
    """Counts every message of the conversation so far as read; raises BackendRejectedError if it is
    not `owner`'s.
    """
    if owner_of(db, conversation_id) != owner:
        raise BackendRejectedError("There is no such conversation.", code="conversation_not_found")
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
