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

from support_chat.errors import AuthRefusedError
from support_chat.ports import (
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    Outgoing,
    ReadAnswer,
    UpdateAnswer,
    Welcome,
)
from support_chat.values import Changes, Conversation, Identity, Message

from . import conversations, identifying, opening, profiles, sessions
from .log import Entry, Happening, Operation, short
from .opening import Opened
from .requests import check_request
from .sessions import Session, owner_key
from .store import Transaction
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


def listen(session: str, cursor: str | None) -> Asked[Opened]:
    """A session that was begun, with what it missed after `cursor`."""

    def work(db: Transaction, terms: Terms) -> Done[Opened]:
        opened = opening.reopen_session(db, session, cursor, terms.now)
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


def renew(session: str, token: str) -> Asked[None]:
    """Accepts a fresh token for the session's user."""

    def work(db: Transaction, terms: Terms) -> Done[None]:
        found = sessions.find(db, session)
        if found.user_id is None:
            raise AuthRefusedError(
                "Nobody is signed in here, so there is no token to renew; call identify() first.",
                code="auth_required",
                reason="not_signed_in",
            )
        claims = terms.widget.authenticate(found.user_id, token, terms.now)
        renewed = sessions.sign_in(db, found, found.user_id, claims, terms.now)
        return Done(None, (terms.entry("renewed", renewed, whose=renewed.identity),))

    return Asked("renew", session, work)


def update(session: str, changes: Changes) -> Asked[UpdateAnswer]:
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

    return _in_force("update", session, change)


def send(session: str, message: Outgoing) -> Asked[Message]:
    """Stores a message of the session's identity; the same client id does so once."""
    return _in_force("send", session, lambda db, found, terms: _sent(db, found, message, terms))


def start(session: str, message: Outgoing) -> Asked[tuple[Message, Conversation]]:
    """As `send`, with the conversation that the message is in."""

    def begin(db: Transaction, found: Session, terms: Terms) -> Done[tuple[Message, Conversation]]:
        sent = _sent(db, found, message, terms)
        conversation = conversations.conversation(
            db, owner_key(found.identity), sent.answer.conversation_id
        )
        return Done((sent.answer, conversation), sent.entries)

    return _in_force("send", session, begin)


def mark_read(session: str, conversation_id: str) -> Asked[ReadAnswer]:
    """Counts a conversation as read up to now."""

    def mark(db: Transaction, found: Session, terms: Terms) -> Done[ReadAnswer]:
        owner = owner_key(found.identity)
        return Done(ReadAnswer(conversations.mark_read(db, owner, conversation_id)))

    return _in_force("mark_read", session, mark)


def revoke(session: str) -> Asked[None]:
    """Ends this session and no other; an unknown or ended one is no error."""

    def work(db: Transaction, terms: Terms) -> Done[None]:
        sessions.revoke(db, session)
        return Done(None)

    return Asked("revoke", session, work)


def reading(operation: Operation, session: str, read: Callable[[Transaction, str], T]) -> Asked[T]:
    """Reads what belongs to the owner of a session that is in force; `read` is given the owner."""

    def work(db: Transaction, found: Session, terms: Terms) -> Done[T]:
        return Done(read(db, owner_key(found.identity)))

    return _in_force(operation, session, work, writes=False)


def _in_force(
    operation: Operation,
    session: str,
    work: Callable[[Transaction, Session, Terms], Done[T]],
    *,
    writes: bool = True,
) -> Asked[T]:
    """Work of a session that is in force.

    Raises BackendRejectedError for a session that has ended, AuthRefusedError (`auth_expired`) for
    one whose token has expired.
    """

    def checked(db: Transaction, terms: Terms) -> Done[T]:
        found = sessions.find(db, session)
        sessions.require_fresh_token(found, terms.now)
        return work(db, sessions.succeeded(db, found, terms.now), terms)

    return Asked(operation, session, checked, writes)


def _sent(db: Transaction, found: Session, message: Outgoing, terms: Terms) -> Done[Message]:
    check_request(message)
    author = "visitor" if found.user_id is None else "user"
    stored, new = conversations.send(
        db, owner_key(found.identity), found.number, author, message, terms.now
    )
    entry = terms.entry("sent", found, stored.id, "new" if new else "again", whose=found.identity)
    return Done(stored, (entry,))
