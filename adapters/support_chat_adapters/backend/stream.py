"""The stream of an owner's links: messages and read marks in the order in which they were stored,
live and, after a reconnect, again.

Every message has a number that grows over the whole backend. With the backend's epoch before it,
that is the *cursor* (`5f0c9a2e7b1d4e83.17`): a position in this database. One of another epoch, as
after a restore, and one ahead of the backend say nothing about what was missed, which is a gap. A
bare number is a cursor, too: what was given out before there were epochs.

The session that sent a message gets it as the others do, as its *own*. What is unread goes with
each event, as it is when the event is read. A page of a replay is all that is read at once; it goes
on after the last number of the page before, so that it neither repeats nor skips when something is
added meanwhile. Each function works inside the caller's transaction.
"""

from __future__ import annotations

from typing import Final

import attrs

from support_chat.ports import MessageArrived, ReadUpTo

from .conversations import latest, latest_mark, message_of, newest_number, unread
from .store import EVERY, Row, Transaction

AT_ONCE: Final = 100
"""Messages that are looked at for one page of a replay, or for one part of the news."""
REPLAYED_BYTES: Final = 256 * 1024
"""Characters of text after which a page of a replay ends."""


@attrs.frozen
class Replay:
    """A page of what was missed: its messages in order, the number up to which it goes, whether
    there may be more after it, and what is unread as it is read.
    """

    messages: tuple[MessageArrived, ...]
    up_to: int
    more: bool
    unread: int = 0


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
    """A message as links are to hear of it: its number, whose it is, and the session that sent
    it.
    """

    number: int
    owner: str
    session: int | None
    event: MessageArrived


@attrs.frozen
class Marked:
    """A read mark as links are to hear of it: its number among the marks, and whose it is."""

    number: int
    owner: str
    event: ReadUpTo


def number_in(cursor: str) -> int:
    """The number of a message in a cursor of this backend's."""
    return int(cursor.rpartition(".")[2])


def epoch(db: Transaction) -> str:
    """What tells the positions in this database from those in another, an older copy of it
    included.
    """
    return str(db.execute("SELECT epoch FROM replay").fetchone()["epoch"])


def at(epoch: str, number: int) -> str:
    """The cursor of a number."""
    return f"{epoch}.{number}"


def since(db: Transaction, number: int) -> tuple[Stored, ...]:
    """The messages after this number, in order; not all of them at once, where there are many."""
    rows = db.execute(
        "SELECT * FROM messages WHERE number > ? AND number <= ? ORDER BY number LIMIT ?",
        (number, db.settled(EVERY), AT_ONCE),
    ).fetchall()
    if not rows:
        return ()
    its_epoch = epoch(db)
    owed = {owner: unread(db, owner) for owner in {str(row["owner"]) for row in rows}}
    return tuple(
        Stored(
            row["number"],
            row["owner"],
            row["session_id"],
            _arrived(row, its_epoch, owed[row["owner"]]),
        )
        for row in rows
    )


def marked_since(db: Transaction, number: int) -> tuple[Marked, ...]:
    """The read marks after this one, in order; not all of them at once, where there are many. Of
    several in one conversation it is the last.
    """
    rows = db.execute(
        "SELECT * FROM conversations WHERE marked > 0 AND marked > ? AND marked <= ?"
        " ORDER BY marked LIMIT ?",
        (number, db.settled(EVERY), AT_ONCE),
    ).fetchall()
    return _marks(db, rows)


def marked_for(db: Transaction, owner: str, after: int) -> tuple[Marked, ...]:
    """The read marks of `owner` after this one, in order."""
    rows = db.execute(
        "SELECT * FROM conversations WHERE owner = ? AND marked > 0 AND marked > ? AND marked <= ?"
        " ORDER BY marked",
        (owner, min(after, latest_mark(db)), db.settled(EVERY)),
    ).fetchall()
    return _marks(db, rows)


def missed(db: Transaction, owner: str, session: int, cursor: str | None) -> Missed:
    """What arrived for `owner` after `cursor`; without a cursor nothing was missed."""
    last, its_epoch = latest(db), epoch(db)
    if cursor is None:
        nothing = Replay((), last, more=False, unread=unread(db, owner))
        return Missed(nothing, gap=False, cursor=at(its_epoch, last))
    forgotten = int(db.execute("SELECT forgotten_up_to FROM replay").fetchone()["forgotten_up_to"])
    after = _position(cursor, its_epoch)
    newest = newest_number(db)
    is_ours = after is not None and after <= newest
    after = after if after is not None and is_ours else newest + 1
    page = replay(db, owner, session, max(after, forgotten))
    up_to = max(last, after) if is_ours else last  # another gateway may know more to be settled
    if not page.more:
        page = attrs.evolve(page, up_to=up_to)
    return Missed(page, not (is_ours and forgotten <= after), at(its_epoch, up_to))


def replay(db: Transaction, owner: str, session: int, after: int) -> Replay:
    """A page of the messages of `owner` after a number, as this session gets them."""
    rows = db.execute(
        "SELECT * FROM messages WHERE owner = ? AND number > ? AND number <= ?"
        " ORDER BY number LIMIT ?",
        (owner, after, db.settled(EVERY), AT_ONCE),
    ).fetchall()
    its_epoch, owed, size, kept = epoch(db), unread(db, owner), 0, list[Row]()
    for row in rows:
        size += len(row["text"])
        if kept and size > REPLAYED_BYTES:
            break
        kept.append(row)
    return Replay(
        tuple(_arrived(row, its_epoch, owed, own=row["session_id"] == session) for row in kept),
        kept[-1]["number"] if kept else after,
        more=len(kept) < len(rows) or len(rows) == AT_ONCE,
        unread=owed,
    )


def forget(db: Transaction) -> None:
    """Lets no message sent so far be replayed any more; the conversations keep them."""
    db.lock()
    db.execute(
        "UPDATE replay SET forgotten_up_to = (SELECT coalesce(max(number), 0) FROM messages)"
    )


def _marks(db: Transaction, rows: list[Row]) -> tuple[Marked, ...]:
    owed = {owner: unread(db, owner) for owner in {str(row["owner"]) for row in rows}}
    return tuple(
        Marked(
            row["marked"],
            row["owner"],
            ReadUpTo(row["id"], f"message-{row['read_up_to']}", owed[row["owner"]]),
        )
        for row in rows
    )


def _arrived(row: Row, epoch: str, unread: int, *, own: bool = False) -> MessageArrived:
    return MessageArrived(message_of(row), at(epoch, row["number"]), unread, own)


def _position(cursor: str, epoch: str) -> int | None:
    """The number that a cursor names; None for one of another database, or that none gave out."""
    its, dot, number = cursor.rpartition(".")
    known = number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if known and its in ("", epoch) and bool(its) == bool(dot) else None
