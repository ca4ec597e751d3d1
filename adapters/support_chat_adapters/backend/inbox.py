"""What agents see: who waits for an answer, what was said, which answers were given.

A conversation *waits* from the first message that no answer came after. Which message that is, and
how many came since, is kept (`conversations.append`), so no list costs more where there is more
history. The cursor of a page is the id of a message: nothing that is written meanwhile makes a
later page repeat or skip. Each function works inside the caller's transaction.
"""

from __future__ import annotations

import attrs

from support_chat.errors import InvalidInputError
from support_chat.values import Conversation, Identity, Message, can_be_carried

from . import conversations, stream
from .conversations import Page, conversation_of, latest, message_of
from .sessions import identity_of
from .store import EVERY, Row, Transaction


@attrs.frozen
class Listed:
    """A conversation as an agent sees it."""

    conversation: Conversation
    owner: Identity
    last: Message
    unanswered: int
    """How many messages were written since the last answer."""
    waiting_since: float | None
    """When the first of these was written, in seconds since the epoch; None if there is none."""


@attrs.frozen
class Answered:
    """An agent's message as it is stored; `again` if it was there before, under the same id."""

    message: Message
    again: bool


def page(db: Transaction, after: str | None, limit: int) -> Page[Listed]:
    """Conversations, those first in which something was written last."""
    rows = db.execute(
        "SELECT * FROM conversations WHERE last_message > 0 AND last_message < ?"
        " ORDER BY last_message DESC LIMIT ?",
        (EVERY if after is None else number_of(after), limit + 1),
    ).fetchall()
    return _page(db, rows, limit, "last_message")


def waiting(db: Transaction, after: str | None, limit: int) -> Page[Listed]:
    """Conversations that wait for an answer, those first that have waited longest."""
    rows = db.execute(
        "SELECT * FROM conversations WHERE waiting_from > ? ORDER BY waiting_from LIMIT ?",
        (0 if after is None else number_of(after), limit + 1),
    ).fetchall()
    return _page(db, rows, limit, "waiting_from")


def listed(db: Transaction, conversation_id: str) -> Listed | None:
    """One conversation, None if there is none of this id."""
    if not can_be_carried(conversation_id):
        return None
    row = db.execute(
        "SELECT * FROM conversations WHERE id = ? AND last_message > 0", (conversation_id,)
    ).fetchone()
    return None if row is None else _listed(db, row)


def history(db: Transaction, conversation_id: str, before: str | None, limit: int) -> Page[Message]:
    """The last messages of a conversation, or the last before one; oldest first. The next page is
    of those before them.
    """
    rows = db.execute(
        "SELECT * FROM messages WHERE conversation_id = ? AND number < ?"
        " ORDER BY number DESC LIMIT ?",
        (conversation_id, EVERY if before is None else number_of(before), limit + 1),
    ).fetchall()
    items = [message_of(row) for row in reversed(rows[:limit])]
    return Page(items, items[0].id if len(rows) > limit else None)


def newest(db: Transaction) -> str:
    """The id of the newest message of all, also if it was deleted."""
    return f"message-{latest(db)}"


def arrivals(db: Transaction, after: str) -> Page[Message]:
    """What visitors and users have written after a message, in order; not all of it at once, where
    there is much. The next page is there at once, and may be empty.
    """
    rows = db.execute(
        "SELECT * FROM messages WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
        (number_of(after), db.settled(EVERY), stream.AT_ONCE),
    ).fetchall()
    messages = [message_of(row) for row in rows]
    written = [message for message in messages if message.author != "agent"]
    return Page(written, messages[-1].id if messages else after)


def answered(db: Transaction, answer_id: str) -> Message | None:
    """The answer of this id, None if there is none."""
    row = db.execute("SELECT * FROM messages WHERE answer_id = ?", (answer_id,)).fetchone()
    return None if row is None else message_of(row)


def number_of(message_id: str) -> int:
    """The number of a message in the order of all; raises InvalidInputError for what is no
    message's id.
    """
    number = conversations.number_of(message_id)
    if number is None:
        raise InvalidInputError(
            f"{message_id!r} is no message's id; pass one as it was told, such as message-12."
        )
    return number


def _page(db: Transaction, rows: list[Row], limit: int, cursor: str) -> Page[Listed]:
    items = [_listed(db, row) for row in rows[:limit]]
    return Page(items, f"message-{rows[limit - 1][cursor]}" if len(rows) > limit else None)


def _listed(db: Transaction, row: Row) -> Listed:
    first = row["waiting_from"]
    return Listed(
        conversation_of(row),
        identity_of(row["owner"]),
        _message(db, row["last_message"]),
        row["unanswered"],
        None if first is None else _message(db, first).created_at,
    )


def _message(db: Transaction, number: int) -> Message:
    return message_of(db.execute("SELECT * FROM messages WHERE number = ?", (number,)).fetchone())
