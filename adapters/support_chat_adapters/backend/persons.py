"""What the backend knows of one person: to be handed over to them, or deleted, as the law asks of
an operator.

A user is everything under their id, and every visitor who was merged into them. A visitor is what
was done without a sign-in. A session of a user was opened with some visitor's secret, too; that
visitor may be somebody else at the same machine, and is none of the user's.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

import attrs

from support_chat.errors import InvalidInputError
from support_chat.values import JSON, Identity, SignedIn, Visitor

from . import conversations, profiles
from .sessions import newest_change, owner_key, revoke_by_ref
from .store import Transaction, hashed


@attrs.frozen
class Person:
    """Somebody, by what their rows are found with."""

    user_id: str | None
    visitors: tuple[str, ...]

    @property
    def owners(self) -> tuple[str, ...]:
        """Whose conversations and traits are theirs."""
        user = () if self.user_id is None else (owner_key(SignedIn(self.user_id)),)
        return (*user, *(owner_key(Visitor(visitor)) for visitor in self.visitors))


@attrs.frozen
class Forgotten:
    """How much was deleted."""

    conversations: int
    messages: int
    traits: int
    sessions: int


def find(db: Transaction, identity: Identity) -> Person:
    """The person of this identity; raises InvalidInputError if there is none, and for a visitor who
    has become a user.
    """
    if isinstance(identity, SignedIn):
        user_id = identity.user_id
        if db.execute("SELECT 1 FROM users WHERE id = ?", (user_id,)).fetchone() is None:
            raise InvalidInputError(f"There is no user {user_id!r}.")
        merged = db.execute("SELECT id FROM visitors WHERE merged_into = ?", (user_id,))
        return Person(user_id, tuple(str(row["id"]) for row in merged))
    row = db.execute("SELECT merged_into FROM visitors WHERE id = ?", (identity.id,)).fetchone()
    if row is None:
        raise InvalidInputError(f"There is no visitor {identity.id!r}.")
    if row["merged_into"] is not None:
        raise InvalidInputError(
            f"The visitor {identity.id} has become the user {row['merged_into']!r}; name the user."
        )
    return Person(None, (identity.id,))


def export(db: Transaction, person: Person) -> dict[str, JSON]:
    """All that is known of a person, without what only the backend can use: hashes of secrets.
    Times are seconds since the epoch.
    """
    user = None
    if person.user_id is not None:
        user = _row(db, "SELECT id, created_at FROM users WHERE id = ?", person.user_id)
    return {
        "user": user,
        "visitors": [
            _row(db, "SELECT id, created_at, seen_at FROM visitors WHERE id = ?", visitor)
            for visitor in person.visitors
        ],
        "traits": {
            path: value
            for owner in person.owners
            for path, value in profiles.profile(db, owner).items()
        },
        "sessions": [
            {
                "id": f"session-{row['id']}",
                "seen_at": row["seen_at"],
                "token_expires": row["token_expires"],
                "ended": bool(row["revoked"]),
            }
            for row in _sessions(db, person)
        ],
        "conversations": [
            _conversation(db, owner, listed.id)
            for owner in person.owners
            for listed in conversations.listed(db, owner)
        ],
    }


def end_sessions(db: Transaction, person: Person) -> int:
    """Ends every session of a person, which their links are told; returns how many there were."""
    live = [row for row in _sessions(db, person) if not row["revoked"]]
    for row in live:
        revoke_by_ref(db, f"session-{row['id']}", "forgotten")
    return len(live)


def forget(db: Transaction, person: Person) -> Forgotten:
    """Deletes everything that is known of a person. Their sessions are unknown from then on, and a
    visitor's secret, or a user's next token, begins anew.
    """
    db.lock(*person.owners)
    keep_numbers(db)
    sessions = [int(row["id"]) for row in _sessions(db, person)]
    deleted = {
        table: sum(
            db.execute(f"DELETE FROM {table} WHERE owner = ?", (owner,)).rowcount
            for owner in person.owners
        )
        for table in ("messages", "conversations", "traits", "owners")
    }
    for number in sessions:
        delete_session(db, number)
    for visitor in person.visitors:
        _delete_visitor(db, visitor)
    if person.user_id is not None:
        # what is left are merges of visitors who were deleted before
        for table, column in (("identifies", "user_id"), ("merges", "user_id"), ("users", "id")):
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (person.user_id,))
    return Forgotten(
        deleted["conversations"], deleted["messages"], deleted["traits"], len(sessions)
    )


def keep_numbers(db: Transaction) -> None:
    """Takes note of how far the numbers have come, before the last of them are deleted."""
    db.lock("numbers")
    db.execute(
        "UPDATE replay SET deleted_messages_up_to = ?, deleted_changes_up_to = ?,"
        " deleted_marks_up_to = ?",
        (conversations.newest_number(db), newest_change(db), conversations.newest_mark(db)),
    )


def delete_session(db: Transaction, number: int) -> None:
    """Deletes a session; what it has sent stays."""
    db.execute("UPDATE messages SET session_id = NULL WHERE session_id = ?", (number,))
    db.execute("DELETE FROM sessions WHERE id = ?", (number,))


def _delete_visitor(db: Transaction, visitor: str) -> None:
    """Deletes a visitor. If sessions of users were opened with their secret, a row stays for these
    that stands for nobody.
    """
    secret_hash = db.execute(
        "SELECT secret_hash FROM visitors WHERE id = ?", (visitor,)
    ).fetchone()["secret_hash"]
    db.execute("DELETE FROM merges WHERE visitor_id = ?", (visitor,))
    used = "SELECT 1 FROM sessions WHERE visitor_id = ? LIMIT 1"
    if db.execute(used, (visitor,)).fetchone() is None:
        db.execute("DELETE FROM visitors WHERE id = ?", (visitor,))
    else:
        db.execute(
            "UPDATE visitors SET secret_hash = ?, merged_into = NULL WHERE id = ?",
            (hashed(secrets.token_urlsafe(24)), visitor),
        )
    others = "SELECT 1 FROM visitors WHERE secret_hash = ? LIMIT 1"
    if db.execute(others, (secret_hash,)).fetchone() is None:
        db.execute("DELETE FROM identifies WHERE secret_hash = ?", (secret_hash,))


def _sessions(db: Transaction, person: Person) -> list[Any]:
    of_user = (
        []
        if person.user_id is None
        else db.execute(
            "SELECT * FROM sessions WHERE user_id = ? ORDER BY id", (person.user_id,)
        ).fetchall()
    )
    of_visitors = [
        row
        for visitor in person.visitors
        for row in db.execute(
            "SELECT * FROM sessions WHERE visitor_id = ? AND user_id IS NULL ORDER BY id",
            (visitor,),
        )
    ]
    return [*of_user, *of_visitors]


def _conversation(db: Transaction, owner: str, conversation_id: str) -> dict[str, JSON]:
    about = db.execute(
        "SELECT created_at, details FROM conversations WHERE id = ?", (conversation_id,)
    ).fetchone()
    return {
        "id": conversation_id,
        "created_at": about["created_at"],
        "about": None if about["details"] is None else json.loads(about["details"]),
        "messages": [
            {
                "id": message.id,
                "author": message.author,
                "text": message.text,
                "created_at": message.created_at,
            }
            for message in conversations.messages(db, owner, conversation_id)
        ],
    }


def _row(db: Transaction, sql: str, *values: str) -> dict[str, JSON]:
    return dict(db.execute(sql, values).fetchone())
