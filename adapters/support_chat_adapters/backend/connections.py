"""Live connections as the backend sees them: an outbox each, and where they are found by session
and by owner.

A transport drains the outbox of its connection and watches `closed`; what it does with the frames
is its own business. What a client has missed is read from the store a page at a time, as the client
takes it; what is written meanwhile waits there, and not in memory.

Once the token of its session has expired, a connection hands out no message and no read mark: they
wait until the token is renewed, while what ends the link, or asks for a fresh token, goes past
them. Whether it has expired is asked at the moment of handing out, so no look around can be late.

A client that takes no `echoes` is one of before there were any: it is told of messages of others,
and of its own session's token and end. A link whose session has become another visitor's is told
so, and of nothing more that is theirs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable
from typing import Final, TypeAlias, TypeVar

import attrs

from support_chat.errors import NetworkError
from support_chat.ports import (
    LinkEvent,
    MessageArrived,
    OwnerChanged,
    ReadUpTo,
    TokenExpired,
    Welcome,
)

from . import stream
from .opening import Opened
from .sessions import Session, owner_key
from .stream import Marked, Replay, Stored

K = TypeVar("K", bound=Hashable)

MAX_BEHIND: Final = 1000
"""How many messages and read marks may come while a client takes nothing; one that is slower is
cut, and gets the rest by a replay.
"""
ROOM: Final = 256 * 1024
"""Characters of text that wait in an outbox; what comes then waits in the store."""

ReadOn: TypeAlias = Callable[[Session, int], Awaitable[Replay]]
"""Reads the page of a session's replay after a number."""


class Connection:
    """One open link of a session, on the running loop. Made by `Backend.connect`."""

    def __init__(
        self,
        opened: Opened,
        read_on: ReadOn,
        on_close: Callable[[Connection, str], None],
        clock: Callable[[], float],
        *,
        echoes: bool = True,
    ) -> None:
        self.session = opened.session
        """The session as it is now."""
        self.opened_for: Final = opened.session.identity
        """Whom the welcome is for."""
        self.welcome: Welcome = opened.welcome
        """The answer to the dial."""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the connection is over, whoever ended it."""
        self.expiry_sent = False
        """The client knows that the token has expired, and need not be told again until it renews.
        """
        self._loop = asyncio.get_running_loop()
        self._echoes = echoes
        self._outbox: deque[LinkEvent] = deque(filter(self._wants, opened.missed.messages))
        self._up_to = opened.missed.up_to
        self._is_behind = opened.missed.more
        self._left_out = 0
        self._marks: dict[str, ReadUpTo] = {}
        self._marked = self._marked_before = opened.marked
        self._left = False
        self._held = sum(map(_length, self._outbox))
        self._untaken = 0
        self._read_on = read_on
        self._news = asyncio.Event()
        self._on_close = on_close
        self._clock = clock
        self.closed_because = ""
        """Why the connection is over (`revoked`, `backend_closed`, `slow_reader`...); empty while
        it is not.
        """
        self._quiet_since: float | None = None
        self.silent = False
        """Nothing passes any more, and nobody has been told."""
        for mark in opened.marks if echoes else ():
            self._put_mark(mark)

    @property
    def heard_at(self) -> float:
        """When the client last had a sign of life: now, unless the connection fell silent or is
        over; the loop's `time()`.
        """
        return self._loop.time() if self._quiet_since is None else self._quiet_since

    @property
    def is_closed(self) -> bool:
        """The connection is over; what its outbox still holds is delivered."""
        return self.closed.done()

    @property
    def withholds(self) -> bool:
        """The session's token has expired: no message is handed out until it is renewed."""
        expires = self.session.token_expires
        return expires is not None and expires <= self._clock()

    @property
    def cursor(self) -> str:
        """Where a replay has to begin so that it brings what was not handed out."""
        waiting = (event for event in self._outbox if isinstance(event, MessageArrived))
        first = next(waiting, None)
        number = self._up_to if first is None else stream.number_in(first.cursor) - 1
        epoch, _, _ = (self.welcome.cursor or "").rpartition(".")
        return stream.at(epoch, number)

    def marked(self, unsent: Iterable[LinkEvent]) -> int:
        """After which read mark another link has to begin, so that it brings what was not handed
        out, and what of it was not sent on.
        """
        waiting = any(isinstance(event, ReadUpTo) for event in (*self._outbox, *unsent))
        return self._marked_before if waiting or self._marks else self._marked

    def push(self, event: LinkEvent) -> None:
        """Puts an event that is no message and no mark into the outbox; lost if the connection is
        silent.
        """
        if not (self.silent or self.is_closed):
            self._put(event)

    def push_message(self, stored: Stored) -> None:
        """Puts a message into the outbox; left out if the replay brings it, or if the connection is
        told of none.
        """
        own = stored.session == self.session.number
        event = attrs.evolve(stored.event, own=own)
        if not self._hears or not self._wants(event) or stored.number <= self._up_to:
            return
        if self._too_slow():
            return
        if self._is_behind or (self._outbox and self._held + _length(event) > ROOM):
            self._is_behind, self._left_out = True, stored.number
            return
        self._up_to = stored.number
        self._put(event)

    def push_mark(self, mark: Marked) -> None:
        """Puts a read mark into the outbox, after the messages that came before it."""
        if not self._hears or not self._echoes:
            return
        if not self._too_slow():
            self._put_mark(mark)

    def _put_mark(self, mark: Marked) -> None:
        self._marked = mark.number
        if self._is_behind:
            self._marks[mark.event.conversation_id] = mark.event
        else:
            self._put(mark.event)

    @property
    def _hears(self) -> bool:
        """Whether the client is still told of what is the session's identity's."""
        return not (self.silent or self.is_closed or self._left)

    def _wants(self, event: LinkEvent) -> bool:
        return self._echoes or not (isinstance(event, MessageArrived) and event.own)

    def _too_slow(self) -> bool:
        """Counts what comes, and cuts a client that has taken nothing for too long."""
        self._untaken += 1
        if self._untaken > MAX_BEHIND:
            self.close("slow_reader")
        return self.is_closed

    def _put(self, event: LinkEvent) -> None:
        self._outbox.append(event)
        self._held += _length(event)
        self._news.set()

    async def next(self) -> LinkEvent:
        """The next event, in order; waits for one, and raises NetworkError when there will be
        none.
        """
        while (event := self._take()) is None:
            if self.is_closed:
                raise NetworkError("The link to the backend is lost; the session dials again.")
            if self._may_catch_up:
                await self._catch_up()
                continue
            self._news.clear()
            await self._news.wait()
        return event

    async def ready(self) -> list[LinkEvent]:
        """What may be handed out now, taken out of the outbox; the next page of the replay if that
        is nothing.
        """
        while not self._outbox and self._may_catch_up:
            await self._catch_up()
        events: list[LinkEvent] = []
        while (event := self._take()) is not None:
            events.append(event)
        return events

    def _take(self) -> LinkEvent | None:
        """The next event that may be handed out, if there is one."""
        withholds = self.withholds
        for event in self._outbox:
            if not (withholds and isinstance(event, MessageArrived | ReadUpTo)):
                self._outbox.remove(event)
                self._held -= _length(event)
                self._untaken = 0
                return event
        return None

    @property
    def _may_catch_up(self) -> bool:
        return self._is_behind and not (
            self._outbox or self.is_closed or self.silent or self.withholds or self._left
        )

    async def _catch_up(self) -> None:
        page = await self._read_on(self.session, self._up_to)
        if self.is_closed:
            return
        for event in filter(self._wants, page.messages):
            self._put(event)
        self._up_to = page.up_to
        self._is_behind = page.more or self._left_out > page.up_to
        if not self._is_behind:
            for mark in self._marks.values():
                self._put(attrs.evolve(mark, unread=page.unread))
            self._marks.clear()

    def silence(self) -> None:
        """Falls silent for good, as a half-open connection does: open for both ends, and nothing
        gets through.
        """
        self.silent = True
        self._be_quiet()

    def close(self, why: str) -> None:
        """Ends the connection and loses what was not delivered; a second call does nothing."""
        self._outbox.clear()
        self._held = 0
        self._end(why)

    def finish(self, last: LinkEvent) -> None:
        """Ends the connection after a last event, which is still delivered."""
        self.push(last)
        self._end("revoked")

    def change(self, session: Session, *, left_behind: bool = False) -> None:
        """Takes note of what the session has become; what was withheld may be handed out now. One
        that was left behind by a merge, or is another visitor's already, is told so, once.
        """
        another = session.user_id is None and session.visitor_id != self.session.visitor_id
        if (left_behind or another) and self._echoes and self._hears:
            self._left = True
            self._marks.clear()
            self.push(OwnerChanged())
        self.session = session
        self.expiry_sent &= self.withholds
        self._news.set()

    def tell_expired(self) -> None:
        """Tells the client that its session's token has expired, once, if it has."""
        if not self.expiry_sent and self.withholds:
            self.expiry_sent = True
            self.push(TokenExpired())

    def _end(self, why: str) -> None:
        if not self.is_closed:
            self._be_quiet()
            self.closed_because = why
            self.closed.set_result(None)
            self._news.set()
            self._on_close(self, why)

    def _be_quiet(self) -> None:
        if self._quiet_since is None:
            self._quiet_since = self._loop.time()


def _length(event: LinkEvent) -> int:
    return len(event.message.text) if isinstance(event, MessageArrived) else 0


@attrs.define(eq=False)
class OpenConnections:
    """The open connections by the number of their session, and by its owner."""

    _by_session: dict[int, list[Connection]] = attrs.field(factory=dict[int, list[Connection]])
    _by_owner: dict[str, list[Connection]] = attrs.field(factory=dict[str, list[Connection]])

    def add(self, connection: Connection) -> None:
        """Takes a new connection in."""
        self._by_session.setdefault(connection.session.number, []).append(connection)
        self._by_owner.setdefault(owner_key(connection.session.identity), []).append(connection)

    def remove(self, connection: Connection) -> None:
        """Forgets a connection that is over."""
        _take_out(self._by_session, connection.session.number, connection)
        _take_out(self._by_owner, owner_key(connection.session.identity), connection)

    def change(self, session: Session, *, left_behind: bool) -> list[Connection]:
        """The connections of a session that has changed, which are its owner's of now."""
        connections = self.of(session.number)
        for connection in connections:
            _take_out(self._by_owner, owner_key(connection.session.identity), connection)
            connection.change(session, left_behind=left_behind)
            self._by_owner.setdefault(owner_key(session.identity), []).append(connection)
        return connections

    def of(self, session: int) -> list[Connection]:
        """The open connections of a session, by its number."""
        return list(self._by_session.get(session, ()))

    def of_owner(self, owner: str) -> list[Connection]:
        """The open connections of an owner's sessions."""
        return list(self._by_owner.get(owner, ()))

    def sessions(self) -> tuple[int, ...]:
        """The numbers of the sessions that have a connection open."""
        return tuple(self._by_session)

    def all(self) -> list[Connection]:
        """Every open connection."""
        return [connection for those in self._by_session.values() for connection in those]


def _take_out(connections: dict[K, list[Connection]], key: K, connection: Connection) -> None:
    remaining = [other for other in connections.get(key, ()) if other is not connection]
    if remaining:
        connections[key] = remaining
    else:
        connections.pop(key, None)
