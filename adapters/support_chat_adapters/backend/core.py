"""The reference backend: sessions, identities, merging and messages, without a word about how
requests travel.

Each request is one transaction (`operations`), is logged, and the live links that it concerns hear
of it (`delivery`). The methods of `Backend` do one at once, for programs that have the backend
inside; `ask` is for a server: the event loop does not wait for the disk. A transport in this
process carries requests through `backend.faults.cross` and drains the `Connection` that `connect`
returns.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import TypeVar

from support_chat.errors import SupportChatError
from support_chat.ports import (
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    MarkRead,
    Outgoing,
    ReadAnswer,
    RenewAnswer,
    UpdateAnswer,
)
from support_chat.values import Changes, Conversation, Identity, Message, check_id

from . import conversations, operations, sessions, stream
from .agent import Agent
from .connections import Connection, OpenConnections, ReadOn
from .delivery import Delivery
from .faults import Faults
from .identity_tokens import IdentityKey
from .log import REMEMBERED, Entry, Happening, Log, Operation
from .opening import Opened
from .operations import Asked, Done, Terms
from .records import Records
from .sessions import Session, number_of, owner_key, session_ref
from .sqlite_store import SQLiteStore
from .store import Store, Transaction, as_it_is
from .stream import Replay
from .widget import Widget, WidgetRules

T = TypeVar("T")
U = TypeVar("U")


class Backend:
    """A support-chat backend in this process: what the loopback talks to, in tests, demos and on a
    laptop without network; and what a server serves.

    `db` is a file, or `":memory:"`, or a `Store`, which the backend closes; a file is picked up
    again by the next Backend. `keys` vouch for identity tokens: without one nobody can sign in
    unless the rules waive tokens. `clock` returns seconds since the epoch; give a test its own.
    `remembers` is how many entries `log` keeps: none where nobody reads it, or they fill memory.
    Close it when done (`with Backend(...)`). It belongs to one thread; its links to the event loop
    that opened them.

    Every request raises StoreBusyError if another program keeps the file locked. Raises
    InvalidInputError for ids that are none, and for a file of a newer version.
    """

    def __init__(
        self,
        db: str | os.PathLike[str] | Store = ":memory:",
        *,
        workspace_id: str,
        widget_id: str,
        keys: Sequence[IdentityKey] = (),
        rules: WidgetRules | None = None,
        clock: Callable[[], float] = time.time,
        remembers: int = REMEMBERED,
    ) -> None:
        self.widget = Widget(
            workspace_id=check_id("workspace_id", workspace_id),
            widget_id=check_id("widget_id", widget_id),
            keys=tuple(keys),
            rules=rules if rules is not None else WidgetRules(),
        )
        """The widget that is served."""
        self._clock = clock
        self.store: Store = SQLiteStore(db) if isinstance(db, str | os.PathLike) else db
        """What the backend keeps its data in, and a server what its gateways share."""
        self._connections = OpenConnections()
        self.log = Log(remembers)
        """What has happened, for tests and demos to read."""
        delivery = Delivery(self._connections, self.log.add, clock)
        self.store.follow(delivery.read, delivery.tell)
        self.store.read_now(_nothing, as_it_is)
        self.agent = Agent(self.store, clock, self.log.add)
        """The agent's side of the chat."""
        self.records = Records(self.store, clock, self._connections.sessions)
        """The operator's side of what is stored."""
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
        return self._do(operations.dial(credentials))

    def connect(self, credentials: Credentials) -> Connection:
        """As `open`, with a live link on the running event loop; its outbox begins with what was
        missed.
        """

        def connected(opened: Opened) -> Connection:
            kind = "new" if credentials.session is None else "resumed"
            claim = "committed" if opened.welcome.claim else "not_committed"
            details = (kind,) if credentials.claim is None else (kind, claim)
            return self._connected(opened, self._read_on_now, *details)

        return self._do_then(operations.dial(credentials), connected)

    def attach(
        self, session: str, cursor: str | None = None, *, expiry_sent: bool = False
    ) -> Connection:
        """A live link of a session that `open` has opened; its outbox begins with what was missed
        after `cursor`.

        A session whose token has expired meanwhile is told so, unless it is said that it knows.
        Raises BackendRejectedError for a session that has ended.
        """
        return self._do_then(
            operations.listen(session, cursor),
            lambda opened: self._attached(opened, self._read_on_now, expiry_sent, echoes=True),
        )

    async def listen(
        self,
        session: str,
        cursor: str | None = None,
        *,
        marked: int | None = None,
        expiry_sent: bool = False,
        echoes: bool = True,
    ) -> Connection:
        """As `attach`, for a server: what was missed is read beside whatever is being written, with
        the read marks after `marked`, their number. A client of before there were `echoes` is told
        of none, nor of marks.
        """
        asked = operations.listen(session, cursor, marked)

        def attached(done: Done[Opened]) -> Connection:
            return self._attached(done.answer, self._read_on, expiry_sent, echoes)

        terms = self._terms()
        try:
            return await self.store.read_in_order(lambda db: asked.work(db, terms), attached)
        except SupportChatError as error:
            self._refused(asked, error)
            raise

    def identify(self, session: str, request: IdentifyRequest) -> IdentifyAnswer:
        """Turns the session's visitor into a user, all or nothing, once for each `identify_id`;
        raises AuthRefusedError.
        """
        return self._do(operations.identify(session, request))

    def renew(self, session: str, token: str) -> RenewAnswer:
        """Accepts a fresh token for the session's user; raises AuthRefusedError."""
        return self._do(operations.renew(session, token))

    def update(self, session: str, changes: Changes, owner: Identity | None = None) -> UpdateAnswer:
        """Stores traits of the session's identity; what is rejected is named in the answer and does
        not stop the rest.

        Here and below, `owner` is whom the request is for: if the session is somebody else's by
        now, it raises BackendRejectedError (`owner_changed`). None is whoever the session is for.
        """
        return self._do(operations.update(session, changes, owner))

    def send(self, session: str, message: Outgoing) -> Message:
        """Stores a message of the session's identity and delivers it to their links; the same
        client id does so once.

        Raises BackendRejectedError: `message_invalid`, or `conversation_not_found` (also for
        somebody else's).
        """
        return self._do(operations.send(session, message))

    def conversations(
        self, session: str, owner: Identity | None = None
    ) -> tuple[Conversation, ...]:
        """The conversations of the session's identity, newest first."""
        return self._do(operations.reading("conversations", session, conversations.listed, owner))

    def messages(
        self,
        session: str,
        conversation_id: str,
        *,
        before: str | None = None,
        limit: int | None = None,
        owner: Identity | None = None,
    ) -> tuple[Message, ...]:
        """The last `limit` messages of a conversation before the one with the id `before`, or all,
        oldest first; raises BackendRejectedError (`conversation_not_found`).
        """

        def read(db: Transaction, whose: str) -> tuple[Message, ...]:
            return conversations.messages(db, whose, conversation_id, before, limit)

        return self._do(operations.reading("messages", session, read, owner))

    def mark_read(
        self,
        session: str,
        conversation_id: str,
        up_to: str | None = None,
        owner: Identity | None = None,
    ) -> ReadAnswer:
        """Counts a conversation as read up to the message with the id `up_to`, or to the last one,
        and tells the identity's links; raises BackendRejectedError (`conversation_not_found`).
        """
        return self._do(operations.mark_read(session, MarkRead(conversation_id, up_to, owner)))

    def revoke(self, session: str) -> None:
        """Ends this session and no other, on behalf of its holder; an unknown or ended one is no
        error.
        """
        self._do(operations.revoke(session))

    def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        """Nobody has this visitor's secret any more: every session that was opened with it ends, a
        user's included, and it is refused from then on; one that nobody has used is no error.
        """
        self._do(operations.end_visitor(workspace_id, widget_id, visitor))

    async def ask(self, asked: Asked[T]) -> T:
        """Does what a client asks for (see `operations`), for a server: the event loop goes on
        meanwhile. Raises what the method of that name raises.
        """
        terms = self._terms()

        def work(db: Transaction) -> Done[T]:
            return asked.work(db, terms)

        try:
            if asked.writes:
                return await self.store.write(work, self._done)
            return self._done(await self.store.read(work))
        except SupportChatError as error:
            self._refused(asked, error)
            raise

    def look_around(self) -> None:
        """What a server does now and then: live links are told what other processes wrote or ended,
        and whose token has expired.
        """
        self._tell_expired(self._connections.all())
        self.store.read_now(_nothing, as_it_is)

    async def keep_up(self) -> None:
        """As `look_around`, for a server."""
        self._tell_expired(self._connections.all())
        await self.store.read_in_order(_nothing, as_it_is)

    def hang_up(self) -> None:
        """Closes every link; the backend goes on."""
        for connection in self._connections.all():
            connection.close("backend_closed")

    def close(self) -> None:
        """Closes every link and the database."""
        self.hang_up()
        self.store.close()

    def __enter__(self) -> Backend:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _do(self, asked: Asked[T]) -> T:
        return self._do_then(asked, as_it_is)

    def _do_then(self, asked: Asked[T], then: Callable[[T], U]) -> U:
        terms = self._terms()
        run = self.store.write_now if asked.writes else self.store.read_now
        try:
            return run(lambda db: asked.work(db, terms), lambda done: then(self._done(done)))
        except SupportChatError as error:
            self._refused(asked, error)
            raise

    def _terms(self) -> Terms:
        return Terms(self.widget, self._clock(), self.faults.rejected_paths, self.faults.addressed)

    def _done(self, done: Done[T]) -> T:
        for entry in done.entries:
            self.log.add(entry)
        return done.answer

    def _refused(self, asked: Asked[T], error: SupportChatError) -> None:
        ref = None if asked.session is None else session_ref(asked.session)
        detail = (asked.operation, error.code, *(() if error.reason is None else (error.reason,)))
        self._note("refused", ref, *detail)
        if ref is not None:
            self._tell_expired(self._connections.of(number_of(ref)))

    def _connected(
        self, opened: Opened, read_on: ReadOn, *detail: str, echoes: bool = True
    ) -> Connection:
        connection = Connection(opened, read_on, self._disconnected, self._clock, echoes=echoes)
        self._connections.add(connection)
        session = opened.session
        self.log.add(Entry(self._clock(), "opened", session.ref, session.identity, detail))
        return connection

    def _attached(
        self, opened: Opened, read_on: ReadOn, expiry_sent: bool, echoes: bool
    ) -> Connection:
        connection = self._connected(opened, read_on, "attached", echoes=echoes)
        connection.expiry_sent = expiry_sent
        connection.tell_expired()
        return connection

    async def _read_on_now(self, session: Session, after: int) -> Replay:
        return self.store.read_now(lambda db: _replay(db, session, after), as_it_is)

    async def _read_on(self, session: Session, after: int) -> Replay:
        return await self.store.read(lambda db: _replay(db, session, after))

    def _note(self, kind: Operation | Happening, ref: str | None, *detail: str) -> None:
        self.log.add(Entry(self._clock(), kind, ref, None, detail))

    def _requested(self, operation: Operation, connection: Connection | None) -> None:
        self._note(operation, None if connection is None else connection.session.ref)

    def _disconnected(self, connection: Connection, why: str) -> None:
        self._connections.remove(connection)
        self._note("closed", connection.session.ref, why)

    def _tell_expired(self, connections: Iterable[Connection]) -> None:
        for connection in connections:
            connection.tell_expired()

    def _revoke(self, session: str, reason: str) -> None:
        self.store.write_now(
            lambda db: sessions.revoke_by_ref(db, session_ref(session), reason), as_it_is
        )

    def _expire_tokens(self, user_id: str | None) -> None:
        now = self._clock()
        self.store.write_now(lambda db: sessions.expire(db, user_id, now), as_it_is)

    def _drop_history(self) -> None:
        self.store.write_now(stream.forget, as_it_is)


def _nothing(db: Transaction) -> None:
    """Reads nothing: it is the news before it that are wanted."""


def _replay(db: Transaction, session: Session, after: int) -> Replay:
    return stream.replay(db, owner_key(session.identity), session.number, after)
