"""The reference backend: sessions, identities, merging and messages, without a word about how
requests travel.

Each method of `Backend` is one request: it runs in one transaction, is logged, and tells the live
links it concerns. A transport carries requests to it through `backend.faults.cross` and drains the
`Connection` that `connect` returns.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import TracebackType

from support_chat.errors import AuthRefusedError, SupportChatError
from support_chat.ports import (
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    Outgoing,
    ReadAnswer,
    SessionRevoked,
    TokenExpired,
    UpdateAnswer,
)
from support_chat.values import Changes, Conversation, Identity, Message, check_id

from . import conversations, identifying, opening, profiles, sessions
from .agent import Agent
from .connections import Connection, OpenConnections
from .faults import Faults
from .identity_tokens import IdentityKey
from .log import Entry, Happening, Log, Operation, short
from .opening import Opened
from .requests import check_request
from .sessions import Session, owner_key, session_ref
from .store import Store
from .widget import Widget, WidgetRules


class Backend:
    """A support-chat backend in this process: what the loopback talks to, in tests, demos and on a
    laptop without network.

    `db` is a file, or `":memory:"`; a file is picked up again by the next Backend. `keys` vouch for
    identity tokens: without one nobody can sign in unless the rules waive tokens. `clock` returns
    seconds since the epoch; give a test its own. Close it when done (`with Backend(...)`). It
    belongs to one thread; its links to the event loop that opened them.

    Raises InvalidInputError for ids that are none.
    """

    def __init__(
        self,
        db: str | os.PathLike[str] = ":memory:",
        *,
        workspace_id: str,
        widget_id: str,
        keys: Sequence[IdentityKey] = (),
        rules: WidgetRules | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.widget = Widget(
            workspace_id=check_id("workspace_id", workspace_id),
            widget_id=check_id("widget_id", widget_id),
            keys=tuple(keys),
            rules=rules if rules is not None else WidgetRules(),
        )
        """The widget that is served."""
        self._clock = clock
        self._store = Store(db)
        self._connections = OpenConnections()
        with self._store.transaction() as db_now:
            self._delivered = conversations.latest(db_now)
        self.log = Log()
        """What has happened, for tests and demos to read."""
        self.agent = Agent(self._store, clock, self._replied)
        """The agent's side of the chat."""
        self.faults = Faults(
            self._connections,
            requested=self._requested,
            revoke=self._revoke,
            expire_tokens=self._expire_tokens,
            drop_history=self._drop_history,
        )
        """The switches that make the network or the backend misbehave; all off."""

    def open(self, credentials: Credentials) -> Opened:
        """Begins or resumes a session for what a dial presents, without a live link.

        Raises AuthRefusedError for a token or identity that is not accepted, BackendRejectedError
        for a session that was revoked or a widget that is not served.
        """
        with self._refusals("dial", credentials.session), self._store.transaction() as db:
            check_request(credentials)
            return opening.open_session(db, self.widget, credentials, self._clock())

    def connect(self, credentials: Credentials) -> Connection:
        """As `open`, with a live link on the running event loop; its outbox begins with what was
        missed.
        """
        opened = self.open(credentials)
        claim = (
            ()
            if credentials.claim is None
            else ("committed" if opened.welcome.claim else "not_committed",)
        )
        return self._connected(opened, "new" if credentials.session is None else "resumed", *claim)

    def attach(
        self, session: str, cursor: str | None = None, *, expiry_sent: bool = False
    ) -> Connection:
        """A live link of a session that `open` has opened; its outbox begins with what was missed
        after `cursor`.

        A session whose token has expired meanwhile is told so, unless it is said that it knows.
        Raises BackendRejectedError for a session that has ended.
        """
        with self._refusals("listen", session), self._store.transaction() as db:
            opened = opening.reopen_session(db, session, cursor, self._clock())
        connection = self._connected(opened, "attached")
        connection.expiry_sent = expiry_sent
        self.tell_expired(connection)
        return connection

    def _connected(self, opened: Opened, *detail: str) -> Connection:
        connection = Connection(
            opened.session,
            self.faults.addressed(opened.welcome),
            opened.replay,
            self._disconnected,
            self._clock,
        )
        self._connections.add(connection)
        self._note("opened", opened.session.ref, opened.session.identity, *detail)
        return connection

    def identify(self, session: str, request: IdentifyRequest) -> IdentifyAnswer:
        """Turns the session's visitor into a user, all or nothing, once for each `identify_id`;
        raises AuthRefusedError.
        """
        with self._refusals("identify", session), self._store.transaction() as db:
            check_request(request)
            found = sessions.find(db, session)
            done = identifying.identify(
                db, self.widget, found, request, self.faults.rejected_paths, self._clock()
            )
        self._fresh_token(done.session)
        outcome = "merged" if done.answer.merged else str(done.answer.not_merged_because)
        again = ("again",) if done.again else ()
        self._note(
            "identified",
            done.session.ref,
            done.session.identity,
            request.identify_id,
            outcome,
            *again,
        )
        return self.faults.addressed(done.answer)

    def renew(self, session: str, token: str) -> None:
        """Accepts a fresh token for the session's user; raises AuthRefusedError."""
        with self._refusals("renew", session), self._store.transaction() as db:
            found = sessions.find(db, session)
            if found.user_id is None:
                raise AuthRefusedError(
                    "Nobody is signed in here, so there is no token to renew; call identify() "
                    "first.",
                    code="auth_required",
                    reason="not_signed_in",
                )
            claims = self.widget.authenticate(found.user_id, token, self._clock())
            renewed = sessions.sign_in(db, found, found.user_id, claims, self._clock())
        self._fresh_token(renewed)
        self._note("renewed", renewed.ref, renewed.identity)

    def update(self, session: str, changes: Changes) -> UpdateAnswer:
        """Stores traits of the session's identity; what is rejected is named in the answer and does
        not stop the rest.
        """
        with self.request("update", session) as (db, found):
            rejected = profiles.apply(
                db,
                owner_key(found.identity),
                changes,
                user_id=found.user_id,
                refused=self.faults.rejected_paths,
            )
        self._note("updated", found.ref, found.identity, *changes)
        return UpdateAnswer(rejected)

    def send(self, session: str, message: Outgoing) -> Message:
        """Stores a message of the session's identity and delivers it to their other links; the same
        client id does so once.

        Raises BackendRejectedError: `message_invalid`, or `conversation_not_found` (also for
        somebody else's).
        """
        with self.request("send", session) as (db, found):
            check_request(message)
            author = "visitor" if found.user_id is None else "user"
            stored, new = conversations.send(
                db, owner_key(found.identity), found.number, author, message, self._clock()
            )
        self._note("sent", found.ref, found.identity, stored.id, "new" if new else "again")
        if new:
            self.deliver_news()
        return stored

    def conversations(self, session: str) -> tuple[Conversation, ...]:
        """The conversations of the session's identity, newest first."""
        with self.request("conversations", session) as (db, found):
            return conversations.listed(db, owner_key(found.identity))

    def messages(self, session: str, conversation_id: str) -> tuple[Message, ...]:
        """The messages of a conversation, oldest first; raises BackendRejectedError
        (`conversation_not_found`).
        """
        with self.request("messages", session) as (db, found):
            return conversations.messages(db, owner_key(found.identity), conversation_id)

    def mark_read(self, session: str, conversation_id: str) -> ReadAnswer:
        """Counts a conversation as read up to now; raises BackendRejectedError
        (`conversation_not_found`).
        """
        with self.request("mark_read", session) as (db, found):
            owner = owner_key(found.identity)
            conversations.mark_read(db, owner, conversation_id)
            return ReadAnswer(conversations.unread(db, owner))

    def revoke(self, session: str) -> None:
        """Ends this session and no other, on behalf of its holder; an unknown or ended one is no
        error.
        """
        with self._store.transaction() as db:
            ended = sessions.revoke(db, session)
        if ended is not None:
            self._revoked(ended, "revoked")

    @contextmanager
    def request(
        self, operation: Operation, session: str
    ) -> Generator[tuple[sqlite3.Connection, Session], None, None]:
        """One transaction of a session that is in force, for requests that are more than the
        methods here; see `conversations`.

        Raises BackendRejectedError for a session that has ended, AuthRefusedError (`auth_expired`)
        for one whose token has expired, which is told so once.
        """
        with self._refusals(operation, session), self._store.transaction() as db:
            found = sessions.find(db, session)
            try:
                sessions.require_fresh_token(found, self._clock())
            except AuthRefusedError:
                self._tell_expired(found)
                raise
            yield db, sessions.succeeded(db, found, self._clock())

    def deliver_news(self) -> None:
        """Tells live links of the messages stored since the last time, whichever process on this
        file has stored them.
        """
        with self._store.transaction() as db:
            news = conversations.since(db, self._delivered)
        for number, addressees, event in news:
            self._delivered = number
            for connection in self._connections.of(addressees):
                connection.push(event)

    def look_around(self) -> None:
        """What a server does now and then: live links are told what other processes wrote or ended,
        and whose token has expired.
        """
        if self._store.others_wrote():
            self._take_note_of_others_tokens()
            self.deliver_news()
            self._end_what_others_revoked()
        unaware = {
            connection.session.number
            for connection in self._connections.all()
            if not connection.expiry_sent
        }
        if unaware:
            with self._store.transaction() as db:
                expired = sessions.expired_among(db, unaware, self._clock())
            for session in expired:
                self._tell_expired(session)

    def tell_expired(self, connection: Connection) -> None:
        """Tells a link that its session's token has expired, once, if it has."""
        if connection.expiry_sent:
            return
        with self._store.transaction() as db:
            expired = sessions.has_expired(db, connection.session.number, self._clock())
        if expired:
            connection.expiry_sent = True
            connection.push(TokenExpired())

    def hang_up(self) -> None:
        """Closes every link; the backend goes on."""
        for connection in self._connections.all():
            connection.close("backend_closed")

    def close(self) -> None:
        """Closes every link and the database."""
        self.hang_up()
        self._store.close()

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _refusals(self, operation: Operation, session: str | None) -> Generator[None, None, None]:
        try:
            yield
        except SupportChatError as error:
            ref = None if session is None else session_ref(session)
            self._note(
                "refused",
                ref,
                None,
                operation,
                error.code,
                *(() if error.reason is None else (error.reason,)),
            )
            raise

    def _note(
        self, kind: Operation | Happening, ref: str | None, identity: Identity | None, *detail: str
    ) -> None:
        self.log.add(Entry(self._clock(), kind, ref, identity, short(detail)))

    def _requested(self, operation: Operation, connection: Connection | None) -> None:
        self._note(operation, None if connection is None else connection.session.ref, None)

    def _disconnected(self, connection: Connection, why: str) -> None:
        self._connections.remove(connection)
        self._note("closed", connection.session.ref, None, why)

    def _replied(self, message: Message) -> None:
        self._note("replied", None, None, message.id)
        self.deliver_news()

    def _revoke(self, session: str, reason: str) -> None:
        with self._store.transaction() as db:
            ended = sessions.revoke_by_ref(db, session_ref(session))
        if ended is not None:
            self._revoked(ended, reason)

    def _revoked(self, session: Session, reason: str) -> None:
        self._note("revoked", session.ref, session.identity, reason)
        for connection in self._connections.of([session.number]):
            connection.finish(SessionRevoked(reason))

    def _end_what_others_revoked(self) -> None:
        live = {connection.session.number for connection in self._connections.all()}
        with self._store.transaction() as db:
            ended = sessions.revoked_among(db, live)
        for session in ended:
            self._revoked(session, "revoked")

    def _take_note_of_others_tokens(self) -> None:
        live = {connection.session.number for connection in self._connections.all()}
        with self._store.transaction() as db:
            found = sessions.numbered(db, live)
        for session in found:
            for connection in self._connections.of([session.number]):
                connection.token_expires(session.token_expires)
                connection.expiry_sent &= connection.withholds

    def _expire_tokens(self, user_id: str | None) -> None:
        with self._store.transaction() as db:
            expired = sessions.expire(db, user_id, self._clock())
        for session in expired:
            self._tell_expired(session)

    def _tell_expired(self, session: Session) -> None:
        for connection in self._connections.of([session.number]):
            connection.token_expires(session.token_expires)
            if not connection.expiry_sent:
                connection.expiry_sent = True
                connection.push(TokenExpired())

    def _fresh_token(self, session: Session) -> None:
        for connection in self._connections.of([session.number]):
            connection.expiry_sent = False
            connection.token_expires(session.token_expires)

    def _drop_history(self) -> None:
        with self._store.transaction() as db:
            conversations.forget(db)
