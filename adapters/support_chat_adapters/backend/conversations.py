"""Conversations and their messages: who may see them, and what is unread.

Every message has a number that grows over the whole backend: listings, the stream of live links
(`stream`) and read marks have one order. A page of a listing goes on at a cursor, the number of the
last item of the page before, so that it neither repeats nor skips when something is added
meanwhile; and a page is all that is read at once. What is unread is kept, for each conversation and
for each owner, and changes with what it counts. So nothing here costs more where there is more
history. Each function works inside the caller's transaction.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Generic, TypeVar

import attrs

from support_chat.errors import BackendRejectedError
from support_chat.ports import Outgoing
from support_chat.values import NOTHING_SAID, About, Agent, Conversation, Message, can_be_carried

from .store import EVERY, Row, Transaction

T = TypeVar("T")


@attrs.frozen
class Page(Generic[T]):
    """Some items, and the cursor of the next page; None if this is the last one."""

    items: Sequence[T]
    next_cursor: str | None


def start(db: Transaction, owner: str, now: float, about: About = NOTHING_SAID) -> str:
    """The id of a new conversation of `owner`; the id tells nothing of others."""
    conversation_id = f"conversation-{secrets.token_hex(6)}"
    details = None if about == NOTHING_SAID else json.dumps(attrs.asdict(about))
    db.execute(
        "INSERT INTO conversations (id, owner, created_at, details) VALUES (?, ?, ?, ?)",
        (conversation_id, owner, now, details),
    )
    return conversation_id


def owner_of(db: Transaction, conversation_id: str) -> str | None:
    """Whose conversation it is, None if there is none of that id."""
    if not can_be_carried(conversation_id):
        return None
    row = db.execute("SELECT owner FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
    return None if row is None else str(row["owner"])


def newest(db: Transaction, owner: str) -> str | None:
    """The id of the newest conversation of `owner`, None if there is none."""
    row = db.execute(
        "SELECT id FROM conversations WHERE owner = ? ORDER BY number DESC LIMIT 1", (owner,)
    ).fetchone()
    return None if row is None else str(row["id"])


def newest_of_all(db: Transaction) -> Conversation | None:
    """The conversation that was begun last, whoever began it; None if there is none."""
    row = db.execute(
        "SELECT * FROM conversations WHERE number = (SELECT max(number) FROM conversations)"
    ).fetchone()
    return None if row is None else conversation_of(row)


def send(
    db: Transaction, owner: str, session: int, author: str, outgoing: Outgoing, now: float
) -> tuple[Message, bool]:
    """Stores a message of `owner` and says whether it is new; the same client id again answers with
    the stored one.

    Raises BackendRejectedError: `message_invalid` for an empty text, `conversation_not_found` for
    one that is not theirs.
    """
    if not outgoing.text.strip():
        raise BackendRejectedError("The message is empty; send some text.", code="message_invalid")
    db.lock(owner)
    known = db.execute(
        "SELECT * FROM messages WHERE owner = ? AND client_message_id = ? ORDER BY number LIMIT 1",
        (owner, outgoing.client_message_id),
    ).fetchone()
    if known is not None:
        return message_of(known), False
    conversation_id = outgoing.conversation_id
    if conversation_id is None:
        conversation_id = start(db, owner, now, outgoing.about)
    else:
        _require(db, owner, conversation_id)
    return append(
        db, owner, conversation_id, author, outgoing.text, now, session, outgoing.client_message_id
    ), True


def sent_before(
    db: Transaction, session: int, visitor: str, client_message_id: str
) -> tuple[str, Message] | None:
    """What this session has sent under this client id as the visitor with this id, who was merged
    since, and whose it is now.
    """
    row = db.execute(
        "SELECT messages.* FROM visitors JOIN messages ON owner = 'user:' || merged_into"
        " WHERE visitors.id = ? AND client_message_id = ? AND session_id = ?",
        (visitor, client_message_id, session),
    ).fetchone()
    return None if row is None else (str(row["owner"]), message_of(row))


def append(
    db: Transaction,
    owner: str,
    conversation_id: str,
    author: str,
    text: str,
    now: float,
    session: int | None = None,
    client_message_id: str | None = None,
    agent: Agent | None = None,
    answer_id: str | None = None,
) -> Message:
    """Adds a message to a conversation that is known to be `owner`'s. If an agent wrote it, it is
    unread, and answers what was written before.
    """
    number = db.execute(
        "INSERT INTO messages (conversation_id, owner, author, text, created_at, session_id, "
        "client_message_id, agent_id, agent_name, answer_id)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
        (
            conversation_id,
            owner,
            author,
            text,
            now,
            session,
            client_message_id,
            None if agent is None else agent.id,
            None if agent is None else agent.name,
            answer_id,
        ),
    ).fetchone()["number"]
    answers = int(author == "agent")
    db.execute(
        "UPDATE conversations SET messages = messages + 1, last_message = ?, unread = unread + ?,"
        " unanswered = CASE ? WHEN 1 THEN 0 ELSE unanswered + 1 END,"
        " waiting_from = CASE ? WHEN 1 THEN NULL ELSE coalesce(waiting_from, ?) END WHERE id = ?",
        (number, answers, answers, answers, number, conversation_id),
    )
    if answers:
        _add_unread(db, owner, answers)
    return Message(
        f"message-{number}", conversation_id, author, text, now, client_message_id, agent
    )


def latest(db: Transaction) -> int:
    """The number of the newest message of all, as far as it is settled; 0 if there was none."""
    return db.settled(newest_number(db))


def newest_number(db: Transaction) -> int:
    """The number of the newest message of all, also if it was deleted; 0 if there was none."""
    row = db.execute(
        "SELECT (SELECT max(number) FROM messages) AS newest, deleted_messages_up_to FROM replay"
    ).fetchone()
    return max(int(row["newest"] or 0), int(row["deleted_messages_up_to"]))


def latest_mark(db: Transaction) -> int:
    """The number of the last read mark, as far as it is settled, also if its conversation was
    deleted; 0 if there was none.
    """
    return db.settled(newest_mark(db))


def newest_mark(db: Transaction) -> int:
    """As `latest_mark`, settled or not."""
    row = db.execute(
        "SELECT (SELECT max(marked) FROM conversations WHERE marked > 0) AS newest,"
        " deleted_marks_up_to FROM replay"
    ).fetchone()
    return max(int(row["newest"] or 0), int(row["deleted_marks_up_to"]))


def listed(db: Transaction, owner: str) -> tuple[Conversation, ...]:
    """All conversations of `owner`, newest first."""
    rows = db.execute("SELECT * FROM conversations WHERE owner = ? ORDER BY number DESC", (owner,))
    return tuple(conversation_of(row) for row in rows)


def conversation(db: Transaction, owner: str, conversation_id: str) -> Conversation:
    """A conversation of `owner`; raises BackendRejectedError (`conversation_not_found`) for anybody
    else's.
    """
    return conversation_of(_require(db, owner, conversation_id))


def conversation_page(
    db: Transaction, owner: str, cursor: str | None, limit: int
) -> Page[Conversation]:
    """Conversations of `owner`, the newest first."""
    rows = db.execute(
        "SELECT * FROM conversations WHERE owner = ? AND number < ? ORDER BY number DESC LIMIT ?",
        (owner, _number(cursor, EVERY), limit + 1),
    ).fetchall()
    items = [conversation_of(row) for row in rows[:limit]]
    return Page(items, str(rows[limit - 1]["number"]) if len(rows) > limit else None)


def message_page(
    db: Transaction, owner: str, conversation_id: str, cursor: str | None, limit: int
) -> Page[Message]:
    """Messages of a conversation of `owner`, the oldest first; raises as `conversation`."""
    _require(db, owner, conversation_id)
    rows = db.execute(
        "SELECT * FROM messages WHERE conversation_id = ? AND number > ? ORDER BY number LIMIT ?",
        (conversation_id, _number(cursor, 0), limit + 1),
    ).fetchall()
    items = [message_of(row) for row in rows[:limit]]
    return Page(items, str(rows[limit - 1]["number"]) if len(rows) > limit else None)


def messages_before(
    db: Transaction, owner: str, conversation_id: str, before: str | None, limit: int
) -> Page[Message]:
    """The last messages of a conversation of `owner` before the one of this id, or of all, the
    oldest first; the next page is before the message that `next_cursor` names. Nothing is before
    what is no message's id. Raises as `conversation`.
    """
    _require(db, owner, conversation_id)
    number = EVERY if before is None else number_of(before) or 0
    rows = db.execute(
        "SELECT * FROM messages WHERE conversation_id = ? AND number < ?"
        " ORDER BY number DESC LIMIT ?",
        (conversation_id, number, limit + 1),
    ).fetchall()
    items = [message_of(row) for row in reversed(rows[:limit])]
    return Page(items, items[0].id if len(rows) > limit else None)


def messages(
    db: Transaction,
    owner: str,
    conversation_id: str,
    before: str | None = None,
    limit: int | None = None,
) -> tuple[Message, ...]:
    """The last messages of a conversation of `owner` before the one of this id, or all, the oldest
    first; raises as `messages_before`.
    """
    most = 2**31 if limit is None else limit
    return tuple(messages_before(db, owner, conversation_id, before, most).items)


def history(db: Transaction, conversation_id: str) -> tuple[Message, ...]:
    """All messages of anybody's conversation, oldest first."""
    rows = db.execute(
        "SELECT * FROM messages WHERE conversation_id = ? ORDER BY number", (conversation_id,)
    )
    return tuple(message_of(row) for row in rows)


def unread(db: Transaction, owner: str) -> int:
    """How many messages of agents `owner` has not read, over all conversations."""
    row = db.execute("SELECT unread FROM owners WHERE owner = ?", (owner,)).fetchone()
    return 0 if row is None else int(row["unread"])


def mark_read(db: Transaction, owner: str, conversation_id: str, up_to: str | None = None) -> int:
    """Counts the messages of the conversation as read, up to the one with the id `up_to`, or all so
    far; returns how many of `owner`'s are unread then. Raises BackendRejectedError if it is not
    theirs.

    A mark before the one in force, in another conversation or at a message that there never was
    changes nothing; at one that was deleted it is a position all the same. It is told in any case:
    whoever asked waits for it.
    """
    db.lock(owner)
    row = _require(db, owner, conversation_id)
    before, position = int(row["read_up_to"]), _marked_at(db, conversation_id, up_to)
    left = int(row["unread"])
    if position > before and left:
        counted = "SELECT count(*) AS unread FROM messages WHERE conversation_id = ?"
        left = db.execute(
            f"{counted} AND number > ? AND author = 'agent'", (conversation_id, position)
        ).fetchone()["unread"]
    db.execute(
        "UPDATE conversations SET unread = ?, read_up_to = ?, marked = ? WHERE id = ?",
        (left, max(before, position), db.following(newest_mark(db)), conversation_id),
    )
    if left != row["unread"]:
        _add_unread(db, owner, left - int(row["unread"]))
    return unread(db, owner)


def _marked_at(db: Transaction, conversation_id: str, up_to: str | None) -> int:
    """The number up to which a mark reads; 0 for one that says nothing of this conversation."""
    if up_to is None:
        newest = "SELECT max(number) AS newest FROM messages WHERE conversation_id = ?"
        return int(db.execute(newest, (conversation_id,)).fetchone()["newest"] or 0)
    number = number_of(up_to)
    if number is None or number > newest_number(db):
        return 0
    its = db.execute("SELECT conversation_id FROM messages WHERE number = ?", (number,)).fetchone()
    return number if its is None or its["conversation_id"] == conversation_id else 0


def move(db: Transaction, owner: str, new_owner: str) -> int:
    """Gives every conversation of `owner` to `new_owner`; returns how many there were. What is
    unread then is told to whoever is connected as `new_owner`, by a mark that reads nothing more.
    """
    db.lock(owner, new_owner)
    db.execute(
        "UPDATE conversations SET marked = ? WHERE number ="
        " (SELECT max(number) FROM conversations WHERE owner = ? AND unread > 0)",
        (db.following(newest_mark(db)), owner),
    )
    moved = db.execute(
        "UPDATE conversations SET owner = ? WHERE owner = ?", (new_owner, owner)
    ).rowcount
    db.execute("UPDATE messages SET owner = ? WHERE owner = ?", (new_owner, owner))
    _add_unread(db, new_owner, unread(db, owner))
    db.execute("DELETE FROM owners WHERE owner = ?", (owner,))
    return moved


def _add_unread(db: Transaction, owner: str, count: int) -> None:
    db.execute(
        "INSERT INTO owners (owner, unread) VALUES (?, ?)"
        " ON CONFLICT (owner) DO UPDATE SET unread = owners.unread + excluded.unread",
        (owner, count),
    )


def message_of(row: Row) -> Message:
    """The message of a row."""
    return Message(
        f"message-{row['number']}",
        row["conversation_id"],
        row["author"],
        row["text"],
        row["created_at"],
        row["client_message_id"],
        None if row["agent_id"] is None else Agent(row["agent_id"], row["agent_name"]),
    )


def conversation_of(row: Row) -> Conversation:
    """The conversation of a row."""
    about = NOTHING_SAID
    if row["details"] is not None:
        stored = json.loads(row["details"])
        about = About(**stored | {"tags": tuple(stored["tags"])})
    return Conversation(row["id"], row["messages"], row["unread"], row["created_at"], about)


def _require(db: Transaction, owner: str, conversation_id: str) -> Row:
    """The row of a conversation of `owner`."""
    row = None
    if can_be_carried(conversation_id):
        row = db.execute("SELECT * FROM conversations WHERE id = ?", (conversation_id,)).fetchone()
    if row is None or row["owner"] != owner:
        raise BackendRejectedError(
            "There is no such conversation; list the conversations of this session.",
            code="conversation_not_found",
        )
    found: Row = row
    return found


def number_of(message_id: str) -> int | None:
    """The number in the id of a message, None for what is none."""
    number = message_id.removeprefix("message-")
    is_one = number != message_id and number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if is_one else None


def _number(cursor: str | None, otherwise: int) -> int:
    """The number that a cursor names; one that was never given out names none."""
    known = cursor is not None and cursor.isascii() and cursor.isdigit() and len(cursor) < 19
    return int(cursor) if cursor is not None and known else otherwise
