"""Conversations and their messages: who may see them, what a reconnect has missed, what is unread.

Every message has a number that grows over the whole backend; as text it is the *cursor*. A message
is never delivered to the session that sent it, neither live nor on a replay: that session has the
answer to its send, or asks again with the same client id.

A page of a listing, or of a replay, goes on at a cursor, the number of the last item of the page
before, so that it neither repeats nor skips when something is added meanwhile; and a page is all
that is read at once. What is unread is kept, for each conversation and for each owner, and changes
with what it counts. So nothing here costs more where there is more history. Each function works
inside the caller's transaction.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

import attrs

from support_chat.errors import BackendRejectedError
from support_chat.ports import MessageArrived, Outgoing
from support_chat.values import NOTHING_SAID, About, Conversation, Message, can_be_carried

from .store import Row, Transaction

T = TypeVar("T")

REPLAYED_AT_ONCE: Final = 100
"""Messages that are looked at for one page of a replay."""
REPLAYED_BYTES: Final = 256 * 1024
"""Characters of text after which a page of a replay ends."""


@attrs.frozen
class Replay:
    """A page of what was missed: its messages in order, the number up to which it goes, and whether
    there may be more after it.
    """

    messages: tuple[MessageArrived, ...]
    up_to: int
    more: bool


@attrs.frozen
class Missed:
    """What a reconnect missed: the first page, whether some of it is lost, and where the replay
    ends.
    """

    replay: Replay
    gap: bool
    cursor: str


@attrs.frozen
class Stored:
    """A message as other links are to hear of it: its number, whose it is, and the session that
    sent it (which does not).
    """

    number: int
    owner: str
    session: int | None
    event: MessageArrived


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


def append(
    db: Transaction,
    owner: str,
    conversation_id: str,
    author: str,
    text: str,
    now: float,
    session: int | None = None,
    client_message_id: str | None = None,
    answer_id: str | None = None,
) -> Message:
    """Adds a message to a conversation that is known to be `owner`'s. If an agent wrote it, it is
    unread, and answers what was written before.
    """
    number = db.execute(
        "INSERT INTO messages (conversation_id, owner, author, text, created_at, session_id, "
        "client_message_id, answer_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
        (conversation_id, owner, author, text, now, session, client_message_id, answer_id),
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
    return Message(f"message-{number}", conversation_id, author, text, now, client_message_id)


def latest(db: Transaction) -> int:
    """The number of the newest message of all, also if it was deleted; 0 if there was none."""
    row = db.execute(
        "SELECT (SELECT max(number) FROM messages) AS newest, deleted_messages_up_to FROM replay"
    ).fetchone()
    return max(int(row["newest"] or 0), int(row["deleted_messages_up_to"]))


def since(db: Transaction, number: int) -> tuple[Stored, ...]:
    """The messages after this number, in order; not all of them at once, where there are many."""
    rows = db.execute(
        "SELECT * FROM messages WHERE number > ? ORDER BY number LIMIT ?",
        (number, REPLAYED_AT_ONCE),
    ).fetchall()
    owed = {owner: unread(db, owner) for owner in {str(row["owner"]) for row in rows}}
    return tuple(
        Stored(row["number"], row["owner"], row["session_id"], _arrived(row, owed[row["owner"]]))
        for row in rows
    )


def missed(db: Transaction, owner: str, session: int, cursor: str | None) -> Missed:
    """What arrived for `owner` after `cursor`, from anybody but this very session; without a cursor
    nothing was missed.
    """
    last = latest(db)
    if cursor is None:
        return Missed(Replay((), last, more=False), gap=False, cursor=str(last))
    forgotten = int(db.execute("SELECT forgotten_up_to FROM replay").fetchone()["forgotten_up_to"])
    # A cursor that this backend never gave out says nothing about what was missed: that is a gap,
    # not an error.
    after = _number(cursor, last + 1)
    page = replay(db, owner, session, max(after, forgotten))
    if not page.more:
        page = attrs.evolve(page, up_to=last)
    return Missed(page, not forgotten <= after <= last, str(last))


def replay(db: Transaction, owner: str, session: int, after: int) -> Replay:
    """A page of the messages of `owner` after a number, without those that this session sent."""
    rows = db.execute(
        "SELECT * FROM messages WHERE owner = ? AND number > ? ORDER BY number LIMIT ?",
        (owner, after, REPLAYED_AT_ONCE),
    ).fetchall()
    owed, size, kept = unread(db, owner), 0, list[Row]()
    for row in rows:
        size += len(row["text"])
        if kept and size > REPLAYED_BYTES:
            break
        kept.append(row)
    return Replay(
        tuple(_arrived(row, owed) for row in kept if row["session_id"] != session),
        kept[-1]["number"] if kept else after,
        more=len(kept) < len(rows) or len(rows) == REPLAYED_AT_ONCE,
    )


def forget(db: Transaction) -> None:
    """Lets no message sent so far be replayed any more; the conversations keep them."""
    db.lock()
    db.execute(
        "UPDATE replay SET forgotten_up_to = (SELECT coalesce(max(number), 0) FROM messages)"
    )


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
        (owner, _number(cursor, 2**62), limit + 1),
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


def messages(db: Transaction, owner: str, conversation_id: str) -> tuple[Message, ...]:
    """All messages of a conversation of `owner`, the oldest first; raises as `conversation`."""
    _require(db, owner, conversation_id)
    return history(db, conversation_id)


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


def mark_read(db: Transaction, owner: str, conversation_id: str) -> int:
    """Counts every message of the conversation so far as read; returns how many of `owner`'s are
    unread then. Raises BackendRejectedError if it is not theirs.
    """
    db.lock(owner)
    read = int(_require(db, owner, conversation_id)["unread"])
    if read:
        db.execute(
            "UPDATE conversations SET unread = 0, read_up_to = ? WHERE id = ?",
            (latest(db), conversation_id),
        )
        _add_unread(db, owner, -read)
    return unread(db, owner)


def move(db: Transaction, owner: str, new_owner: str) -> int:
    """Gives every conversation of `owner` to `new_owner`; returns how many there were."""
    db.lock(owner, new_owner)
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
    )


def _arrived(row: Row, unread: int) -> MessageArrived:
    return MessageArrived(message_of(row), str(row["number"]), unread)


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


def _number(cursor: str | None, otherwise: int) -> int:
    """The number that a cursor names; one that was never given out names none."""
    known = cursor is not None and cursor.isascii() and cursor.isdigit() and len(cursor) < 19
    return int(cursor) if cursor is not None and known else otherwise
