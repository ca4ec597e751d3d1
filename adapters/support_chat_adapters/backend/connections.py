"""Live connections as the backend sees them: an outbox each, and where they are found by session.

A transport drains the outbox of its connection and watches `closed`; what it does with the frames
is its own business.

Once the token of its session has expired, a connection hands out no message: they wait in the
outbox until the token is renewed, while what ends the link, or asks for a fresh token, goes past
them. Whether it has expired is asked at the moment of handing out, so no look around can be late.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import attrs

from support_chat.errors import NetworkError
from support_chat.ports import LinkEvent, MessageArrived, Welcome

from .sessions import Session

MAX_BEHIND: Final = 1000
"""How many events a client may be behind, beyond what is replayed to it; one that is slower is cut,
and gets the rest by a replay.
"""


class Connection:
    """One open link of a session, on the running loop. Made by `Backend.connect`."""

    def __init__(
        self,
        session: Session,
        welcome: Welcome,
        replay: Iterable[MessageArrived],
        on_close: Callable[[Connection, str], None],
        clock: Callable[[], float],
    ) -> None:
        self.session = session
        """The session as it was when the connection was opened."""
        self.welcome = welcome
        """The answer to the dial."""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done once the connection is over, whoever ended it."""
        self.expiry_sent = False
        """The client knows that the token has expired, and need not be told again until it renews.
        """
        self._loop = asyncio.get_running_loop()
        self._outbox: deque[LinkEvent] = deque(replay)
        self._room = len(self._outbox) + MAX_BEHIND
        self._replayed_up_to = int(welcome.cursor or 0)
        self._news = asyncio.Event()
        self._on_close = on_close
        self._clock = clock
        self._token_expires = session.token_expires
        self.closed_because = ""
        """Why the connection is over (`revoked`, `backend_closed`, `slow_reader`...); empty while
        it is not.
        """
        self._quiet_since: float | None = None
        self.silent = False
        """Nothing passes any more, and nobody has been told."""

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
        """The token that the session was signed in with last has expired: no message is handed out
        until it is renewed.
        """
        return self._token_expires is not None and self._token_expires <= self._clock()

    def token_expires(self, at: float | None) -> None:
        """Takes note of when the session's token expires now, in epoch seconds; what was withheld
        is handed out if that is ahead.
        """
        self._token_expires = at
        self._news.set()

    def push(self, event: LinkEvent) -> None:
        """Puts an event into the outbox; lost if the connection is silent, or if it is a message
        that the replay has brought.
        """
        replayed = isinstance(event, MessageArrived) and int(event.cursor) <= self._replayed_up_to
        if len(self._outbox) >= self._room:
            self.close("slow_reader")
        elif not self.silent and not replayed:
            self._outbox.append(event)
            self._news.set()

    async def next(self) -> LinkEvent:
        """The next event, in order; waits for one, and raises NetworkError when there will be
        none.
        """
        while (event := self._take()) is None:
            if self.is_closed:
                raise NetworkError("The link to the backend is lost; the session dials again.")
            self._news.clear()
            await self._news.wait()
        return event

    def ready(self) -> list[LinkEvent]:
        """What may be handed out now, taken out of the outbox."""
        return list(iter(self._take, None))

    def _take(self) -> LinkEvent | None:
        """The next event that may be handed out, if there is one."""
        if not self._outbox:
            return None
        if not self.withholds:
            return self._outbox.popleft()
        told = (event for event in self._outbox if not isinstance(event, MessageArrived))
        event = next(told, None)
        if event is not None:
            self._outbox.remove(event)
        return event

    def silence(self) -> None:
        """Falls silent for good, as a half-open connection does: open for both ends, and nothing
        gets through.
        """
        self.silent = True
        self._be_quiet()

    def close(self, why: str) -> None:
        """Ends the connection and loses what was not delivered; a second call does nothing."""
        self._outbox.clear()
        self._end(why)

    def finish(self, last: LinkEvent) -> None:
        """Ends the connection after a last event, which is still delivered."""
        self.push(last)
        self._end("revoked")

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


@attrs.define(eq=False)
class OpenConnections:
    """The open connections by the number of their session."""

    _by_session: dict[int, list[Connection]] = attrs.field(factory=dict[int, list[Connection]])

    def add(self, connection: Connection) -> None:
        """Takes a new connection in."""
        self._by_session.setdefault(connection.session.number, []).append(connection)

    def remove(self, connection: Connection) -> None:
        """Forgets a connection that is over."""
        remaining = [
            other
            for other in self._by_session[connection.session.number]
            if other is not connection
        ]
        if remaining:
            self._by_session[connection.session.number] = remaining
        else:
            del self._by_session[connection.session.number]

    def of(self, sessions: Iterable[int]) -> list[Connection]:
        """The open connections of these sessions."""
        return [
            connection for number in sessions for connection in self._by_session.get(number, ())
        ]

    def all(self) -> list[Connection]:
        """Every open connection."""
        return self.of(tuple(self._by_session))
