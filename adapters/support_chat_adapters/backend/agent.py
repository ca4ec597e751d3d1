"""The other side of the chat: what an agent does, for demos and tests. No access rules apply
here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from support_chat.errors import InvalidInputError
from support_chat.values import (
    JSON,
    Conversation,
    Identity,
    Message,
    SignedIn,
    Visitor,
    check_text,
)

from . import conversations, profiles
from .sessions import owner_key
from .store import Store


class Agent:
    """The agents of one backend; reach it as `backend.agent`."""

    def __init__(
        self, store: Store, clock: Callable[[], float], deliver: Callable[[Message], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._deliver = deliver

    def reply(self, to: str | Identity, text: str) -> Message:
        """Writes to a conversation (its id), or to a `SignedIn` or `Visitor`: in their newest
        conversation, or a new one.

        Raises InvalidInputError if there is no such conversation, user or visitor, and for a text
        that is blank or cannot be carried.
        """
        if not check_text("text", text).strip():
            raise InvalidInputError("The text is blank; write something.")
        with self._store.transaction() as db:
            owner = self._owner(db, to)
            if owner is None:
                raise InvalidInputError(
                    f"There is no {to!r} to write to; look at conversations(), users() and "
                    "visitors()."
                )
            if isinstance(to, str):
                conversation_id = to
            else:
                existing = conversations.listed(db, owner)
                conversation_id = (
                    existing[0].id if existing else conversations.start(db, owner, self._clock())
                )
            message = conversations.append(db, conversation_id, "agent", text, self._clock())
        self._deliver(message)
        return message

    def conversations(self, identity: Identity | None = None) -> tuple[Conversation, ...]:
        """The conversations of an identity, or of everybody; newest first."""
        with self._store.transaction() as db:
            if identity is not None:
                return conversations.listed(db, owner_key(identity))
            owners = [
                row["owner"]
                for row in db.execute(
                    "SELECT owner FROM conversations GROUP BY owner ORDER BY max(number) DESC"
                )
            ]
            return tuple(
                conversation for owner in owners for conversation in conversations.listed(db, owner)
            )

    def messages(self, conversation_id: str) -> tuple[Message, ...]:
        """The messages of a conversation, oldest first."""
        with self._store.transaction() as db:
            return conversations.history(db, conversation_id)

    def users(self) -> tuple[SignedIn, ...]:
        """Everybody who has signed in, by id."""
        with self._store.transaction() as db:
            return tuple(
                SignedIn(row["id"]) for row in db.execute("SELECT id FROM users ORDER BY id")
            )

    def visitors(self) -> tuple[Visitor, ...]:
        """Every visitor, those retired by a merge included; oldest first."""
        with self._store.transaction() as db:
            return tuple(
                Visitor(row["id"])
                for row in db.execute("SELECT id FROM visitors ORDER BY created_at, id")
            )

    def merged_into(self, visitor: Visitor) -> SignedIn | None:
        """The user a visitor became, or None."""
        with self._store.transaction() as db:
            row = db.execute(
                "SELECT user_id FROM merges WHERE visitor_id = ?", (visitor.id,)
            ).fetchone()
            return None if row is None else SignedIn(row["user_id"])

    def traits(self, identity: Identity) -> dict[str, JSON]:
        """What is known of an identity: dotted path (`user.email`, `company.plan`,
        `context.page`...) to value.
        """
        with self._store.transaction() as db:
            return profiles.profile(db, owner_key(identity))

    def duplicates(self) -> int:
        """How many messages are stored that an earlier one of the same owner and client id makes
        superfluous; should be 0.
        """
        with self._store.transaction() as db:
            return int(
                db.execute(
                    "SELECT count(client_message_id) - count(DISTINCT owner || char(0) || "
                    "client_message_id)"
                    " FROM messages JOIN conversations ON conversation_id = conversations.id"
                ).fetchone()[0]
            )

    def _owner(self, db: sqlite3.Connection, to: str | Identity) -> str | None:
        """Who is written to, or None if there is nobody: a retired visitor would never read it."""
        if isinstance(to, str):
            return conversations.owner_of(db, to)
        if isinstance(to, Visitor):
            found = db.execute(
                "SELECT 1 FROM visitors WHERE id = ? AND merged_into IS NULL", (to.id,)
            ).fetchone()
        else:
            found = db.execute("SELECT 1 FROM users WHERE id = ?", (to.user_id,)).fetchone()
        return None if found is None else owner_key(to)
