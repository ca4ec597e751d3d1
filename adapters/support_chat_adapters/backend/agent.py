"""The other side of the chat: what an agent reads and writes. No access rules apply here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from support_chat import values
from support_chat.errors import InvalidInputError
from support_chat.values import (
    JSON,
    Conversation,
    Identity,
    Message,
    SignedIn,
    Visitor,
    check_id,
    check_text,
)

from . import conversations, inbox, profiles
from .conversations import Page
from .inbox import Answered, Listed
from .log import Entry
from .sessions import owner_key
from .store import Store, Transaction, Work, as_it_is

T = TypeVar("T")


class Agent:
    """The agents of one backend; reach it as `backend.agent`."""

    def __init__(
        self, store: Store, clock: Callable[[], float], log: Callable[[Entry], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._log = log

    def reply(self, to: str | Identity, text: str, *, agent: values.Agent | None = None) -> Message:
        """Writes to a conversation (its id), or to a `SignedIn` or `Visitor`: in their newest
        conversation, or a new one. `agent` says who answers.

        Raises InvalidInputError if there is no such conversation, user or visitor (its reason is
        `nobody`), and for a text that is blank or cannot be carried, or an agent who has no id or
        name that can be one.
        """
        return self.answer(to, text, agent=agent).message

    def answer(
        self,
        to: str | Identity,
        text: str,
        *,
        agent: values.Agent | None = None,
        answer_id: str | None = None,
    ) -> Answered:
        """As `reply`, once for each `answer_id`: a second call with the same id stores nothing, and
        says so. The id is yours to choose, and good for one answer at this backend.

        Raises as `reply`, and InvalidInputError for the id of an answer with another text or in
        another conversation.
        """
        if not check_text("text", text).strip():
            raise InvalidInputError("The text is blank; write something.")
        if answer_id is not None:
            check_id("answer_id", answer_id)
        if agent is not None:
            check_id("agent.id", agent.id)
            check_id("agent.name", agent.id if agent.name is None else agent.name)
        now = self._clock()

        def told(answered: Answered) -> Answered:
            if not answered.again:
                self._log(Entry(now, "replied", None, None, (answered.message.id,)))
            return answered

        return self._store.write_now(lambda db: _answer(db, to, text, agent, answer_id, now), told)

    def inbox(
        self, *, waiting: bool = False, after: str | None = None, limit: int = 50
    ) -> Page[Listed]:
        """A page of everybody's conversations, those first in which something was written last; or
        of those that are `waiting` for an answer, those first that have waited longest.

        `after` is the `next_cursor` of the page before. Raises InvalidInputError for what is no
        cursor.
        """
        page = inbox.waiting if waiting else inbox.page
        return self._read(lambda db: page(db, after, limit))

    def listed(self, conversation_id: str) -> Listed | None:
        """One conversation as `inbox` lists it, None if there is none of this id."""
        return self._read(lambda db: inbox.listed(db, conversation_id))

    def history(
        self, conversation_id: str, *, before: str | None = None, limit: int = 50
    ) -> Page[Message]:
        """The last messages of a conversation, oldest first; `before` a message, which may be the
        `next_cursor` of the page that comes after. Raises InvalidInputError for what is no
        message's id.
        """
        return self._read(lambda db: inbox.history(db, conversation_id, before, limit))

    def arrivals(self, after: str | None = None) -> Page[Message]:
        """What visitors and users have written after a message, oldest first: ask again with the
        `next_cursor`, which is always there. Without a message it is where to begin: nothing has
        arrived. Raises InvalidInputError for what is no message's id.
        """
        if after is None:
            return Page((), self._read(inbox.newest))
        return self._read(lambda db: inbox.arrivals(db, after))

    def conversations(self, identity: Identity | None = None) -> tuple[Conversation, ...]:
        """The conversations of an identity, or of everybody; newest first."""

        def listed(db: Transaction) -> tuple[Conversation, ...]:
            if identity is not None:
                return conversations.listed(db, owner_key(identity))
            owners = db.execute(
                "SELECT owner FROM conversations GROUP BY owner ORDER BY max(number) DESC"
            ).fetchall()
            return tuple(one for row in owners for one in conversations.listed(db, row["owner"]))

        return self._read(listed)

    def newest(self) -> Conversation | None:
        """The conversation that was begun last, None if there is none."""
        return self._read(conversations.newest_of_all)

    def messages(self, conversation_id: str) -> tuple[Message, ...]:
        """The messages of a conversation, oldest first."""
        return self._read(lambda db: conversations.history(db, conversation_id))

    def users(self) -> tuple[SignedIn, ...]:
        """Everybody who has signed in, by id."""
        rows = self._read(lambda db: db.execute("SELECT id FROM users ORDER BY id").fetchall())
        return tuple(SignedIn(row["id"]) for row in rows)

    def visitors(self) -> tuple[Visitor, ...]:
        """Every visitor, those retired by a merge included; oldest first."""
        rows = self._read(
            lambda db: db.execute("SELECT id FROM visitors ORDER BY created_at, id").fetchall()
        )
        return tuple(Visitor(row["id"]) for row in rows)

    def merged_into(self, visitor: Visitor) -> SignedIn | None:
        """The user a visitor became, or None."""
        row = self._read(
            lambda db: db.execute(
                "SELECT user_id FROM merges WHERE visitor_id = ?", (visitor.id,)
            ).fetchone()
        )
        return None if row is None else SignedIn(row["user_id"])

    def traits(self, identity: Identity) -> dict[str, JSON]:
        """What is known of an identity: dotted path (`user.email`, `company.plan`,
        `context.page`...) to value.
        """
        return self._read(lambda db: profiles.profile(db, owner_key(identity)))

    def duplicates(self) -> int:
        """How many messages are stored that an earlier one of the same owner and client id makes
        superfluous; should be 0.
        """
        repeated = (
            "SELECT coalesce(sum(times - 1), 0) AS superfluous FROM (SELECT count(*) AS times"
            " FROM messages WHERE client_message_id IS NOT NULL"
            " GROUP BY owner, client_message_id) AS each_id"
        )
        return int(self._read(lambda db: db.execute(repeated).fetchone())["superfluous"])

    def _read(self, work: Work[T]) -> T:
        return self._store.read_now(work, as_it_is)


def _answer(
    db: Transaction,
    to: str | Identity,
    text: str,
    agent: values.Agent | None,
    answer_id: str | None,
    now: float,
) -> Answered:
    before = None if answer_id is None else inbox.answered(db, answer_id)
    if before is not None:
        if before.text != text or (isinstance(to, str) and before.conversation_id != to):
            raise InvalidInputError(
                f"The answer id {answer_id!r} was given to {before.id} in "
                f"{before.conversation_id}, which is another answer; choose another id."
            )
        return Answered(before, again=True)
    owner = _owner(db, to)
    if owner is None:
        raise InvalidInputError(
            f"There is no {to!r} to write to; look at conversations(), users() and visitors().",
            reason="nobody",
        )
    db.lock(owner)
    conversation_id = to if isinstance(to, str) else conversations.newest(db, owner)
    if conversation_id is None:
        conversation_id = conversations.start(db, owner, now)
    message = conversations.append(
        db, owner, conversation_id, "agent", text, now, agent=agent, answer_id=answer_id
    )
    return Answered(message, again=False)


def _owner(db: Transaction, to: str | Identity) -> str | None:
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
