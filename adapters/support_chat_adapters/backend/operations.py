"""What a client asks for, each as a value: the operation, the session that asks, and the work that
does it in one transaction.

A value, so that it can be run at once (`Backend.send(...)`) or awaited (`Backend.ask(send(...))`),
and is the same either way. The work answers and says what the log is to hold; whoever else it
concerns hears of it as news.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import attrs

from support_chat.errors import AuthRefusedError, BackendRejectedError
from support_chat.ports import (
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    MarkRead,
    Outgoing,
    ReadAnswer,
    RenewAnswer,
    UpdateAnswer,
    Welcome,
)
from support_chat.values import Changes, Conversation, Identity, Message, Visitor

from . import conversations, identifying, opening, profiles, sessions
from .log import Entry, Happening, Operation, short
from .opening import Opened
from .requests import check_request
from .sessions import Session, owner_key
from .store import Transaction, hashed
from .widget import Widget

T = TypeVar("T")
A = TypeVar("A", Welcome, IdentifyAnswer)


class Addressing(Protocol):
    """Says in whose name an answer is given."""

    def __call__(self, answer: A, /) -> A:
        """The answer as it is given."""
        ...


@attrs.frozen
class Terms:
    """What a request is decided by, beside the rows."""

    widget: Widget
    now: float
    """Seconds since the epoch."""
    refused: Mapping[str, str]
    """The paths that this backend rejects on principle, with the reasons."""
    addressed: Addressing

    def entry(
        self, kind: Operation | Happening, session: Session, *detail: str, whose: Identity | None
    ) -> Entry:
        """An entry of the log."""
        return Entry(self.now, kind, session.ref, whose, short(detail))


@attrs.frozen
class Done(Generic[T]):
    """What work came to: its answer, and what the log is to hold."""

    answer: T
    entries: tuple[Entry, ...] = ()


@attrs.frozen
class Asked(Generic[T]):
    """One request."""

    operation: Operation
    session: str | None
    """The credential of the session that asks."""
    work: Callable[[Transaction, Terms], Done[T]]
    writes: bool = True


def dial(credentials: Credentials) -> Asked[Opened]:
    """Begins or resumes a session."""

    def work(db: Transaction, terms: Terms) -> Done[Opened]:
        check_request(credentials)
        opened = opening.open_session(db, terms.widget, credentials, terms.now)
        return Done(attrs.evolve(opened, welcome=terms.addressed(opened.welcome)))

    return Asked("dial", credentials.session, work)


def listen(session: str, cursor: str | None, marked: int | None = None) -> Asked[Opened]:
    """A session that was begun, with what it missed after `cursor`, and after the read mark of this
    number.
    """

    def work(db: Transaction, terms: Terms) -> Done[Opened]:
        opened = opening.reopen_session(db, session, cursor, marked, terms.now)
        return Done(attrs.evolve(opened, welcome=terms.addressed(opened.welcome)))

    return Asked("listen", session, work, writes=False)


def identify(session: str, request: IdentifyRequest) -> Asked[IdentifyAnswer]:
    """Turns the session's visitor into a user, once for each `identify_id`."""

    def work(db: Transaction, terms: Terms) -> Done[IdentifyAnswer]:
        check_request(request)
        found = sessions.find(db, session)
        done = identifying.identify(db, terms.widget, found, request, terms.refused, terms.now)
        outcome = "merged" if done.answer.merged else str(done.answer.not_merged_because)
        again = ("again",) if done.again else ()
        entry = terms.entry(
            "identified",
            done.session,
            request.identify_id,
            outcome,
            *again,
            whose=done.session.identity,
        )
        return Done(terms.addressed(done.answer), (entry,))

    return Asked("identify", session, work)


def renew(session: str, token: str) -> Asked[RenewAnswer]:
    """Accepts a fresh token for the session's user."""

    def work(db: Transaction, terms: Terms) -> Done[RenewAnswer]:
        found = sessions.find(db, session)
        if found.user_id is None:
            raise AuthRefusedError(
                "Nobody is signed in here, so there is no token to renew; call identify() first.",
                code="auth_required",
                reason="not_signed_in",
            )
        claims = terms.widget.authenticate(found.user_id, token, terms.now)
        renewed = sessions.sign_in(db, found, found.user_id, claims, terms.now)
        entry = terms.entry("renewed", renewed, whose=renewed.identity)
        return Done(RenewAnswer(), (entry,))

    return Asked("renew", session, work)


def update(session: str, changes: Changes, owner: Identity | None = None) -> Asked[UpdateAnswer]:
    """Stores traits of the session's identity."""

    def change(db: Transaction, found: Session, terms: Terms) -> Done[UpdateAnswer]:
        rejected = profiles.apply(
            db,
            owner_key(found.identity),
            changes,
            user_id=found.user_id,
            refused=terms.refused,
        )
        entry = terms.entry("updated", found, *changes, whose=found.identity)
        return Done(UpdateAnswer(rejected), (entry,))

    return _in_force("update", session, change, owner)


def send(session: str, message: Outgoing) -> Asked[Message]:
    """Stores a message of the session's identity; the same client id does so once."""

    def work(db: Transaction, found: Session, terms: Terms) -> Done[Message]:
        return _sent(db, found, message, terms)

    def again(db: Transaction, found: Session) -> Message | None:
        before = _sent_before(db, found, message)
        return None if before is None else before[1]

    return _in_force("send", session, work, message.owner, again=again)


def start(session: str, message: Outgoing) -> Asked[tuple[Message, Conversation]]:
    """As `send`, with the conversation that the message is in."""

    def begin(db: Transaction, found: Session, terms: Terms) -> Done[tuple[Message, Conversation]]:
        sent = _sent(db, found, message, terms)
        return Done(_with_conversation(db, owner_key(found.identity), sent.answer), sent.entries)

    def again(db: Transaction, found: Session) -> tuple[Message, Conversation] | None:
        before = _sent_before(db, found, message)
        return None if before is None else _with_conversation(db, *before)

    return _in_force("send", session, begin, message.owner, again=again)


def mark_read(session: str, asked: MarkRead) -> Asked[ReadAnswer]:
    """Counts the messages of a conversation as read, up to one or all so far."""

    def mark(db: Transaction, found: Session, terms: Terms) -> Done[ReadAnswer]:
        owner = owner_key(found.identity)
        unread = conversations.mark_read(db, owner, asked.conversation_id, asked.up_to)
        return Done(ReadAnswer(unread))

    return _in_force("mark_read", session, mark, asked.owner)


def revoke(session: str) -> Asked[None]:
    """Ends this session and no other; an unknown or ended one is no error."""

    def work(db: Transaction, terms: Terms) -> Done[None]:
        sessions.revoke(db, session)
        return Done(None)

    return Asked("revoke", session, work)


def end_visitor(workspace_id: str, widget_id: str, visitor: str) -> Asked[None]:
    """Ends the sessions that were opened with this secret, and refuses it from then on."""

    def work(db: Transaction, terms: Terms) -> Done[None]:
        terms.widget.admit(workspace_id, widget_id)
        sessions.end_visitor(db, hashed(visitor), terms.now)
        return Done(None)

    return Asked("end_visitor", None, work)


def reading(
    operation: Operation,
    session: str,
    read: Callable[[Transaction, str], T],
    owner: Identity | None = None,
) -> Asked[T]:
    """Reads what belongs to the owner of a session that is in force; `read` is given the owner."""

    def work(db: Transaction, found: Session, terms: Terms) -> Done[T]:
        return Done(read(db, owner_key(found.identity)))

    return _in_force(operation, session, work, owner, writes=False)


def _in_force(
    operation: Operation,
    session: str,
    work: Callable[[Transaction, Session, Terms], Done[T]],
    owner: Identity | None,
    *,
    writes: bool = True,
    again: Callable[[Transaction, Session], T | None] = lambda _, __: None,
) -> Asked[T]:
    """Work of a session that is in force, for its `owner`; None is whoever it is. What was done for
    a former owner is answered `again`.

    Raises BackendRejectedError for a session that has ended, or that is somebody else's
    (`owner_changed`); AuthRefusedError (`auth_expired`) for one whose token has expired.
    """

    def checked(db: Transaction, terms: Terms) -> Done[T]:
        found = sessions.succeeded(db, sessions.find(db, session), terms.now)
        if owner not in (None, found.identity):
            if (done := again(db, found)) is not None:
                return Done(done)
            raise BackendRejectedError(
                "The session is somebody else's by now: its visitor was merged into a user. Dial "
                "again to learn whose it is.",
                code="owner_changed",
            )
        sessions.require_fresh_token(found, terms.now)
        return work(db, found, terms)

    return Asked(operation, session, checked, writes)


def _sent(db: Transaction, found: Session, message: Outgoing, terms: Terms) -> Done[Message]:
    check_request(message)
    author = "visitor" if found.user_id is None else "user"
    stored, new = conversations.send(
        db, owner_key(found.identity), found.number, author, message, terms.now
    )
    entry = terms.entry("sent", found, stored.id, "new" if new else "again", whose=found.identity)
    return Done(stored, (entry,))


def _sent_before(db: Transaction, found: Session, message: Outgoing) -> tuple[str, Message] | None:
    """A copy of a request may come late, when the visitor that it was sent as has been merged."""
    if not isinstance(message.owner, Visitor):
        return None
    return conversations.sent_before(db, found.number, message.owner.id, message.client_message_id)


def _with_conversation(db: Transaction, owner: str, sent: Message) -> tuple[Message, Conversation]:
    return sent, conversations.conversation(db, owner, sent.conversation_id)
