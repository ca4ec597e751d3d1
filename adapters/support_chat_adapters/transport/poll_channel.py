"""News by long polls, for networks that let no WebSocket through: the same events, each poll going
on where the last one ended.

A poll that fails ends the channel, as a broken connection would: when to dial again is not an
adapter's decision.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from support_chat.errors import AuthRefusedError, BackendRejectedError, NetworkError
from support_chat.ports import LinkEvent, OwnerChanged, SessionRevoked, TokenExpired

from .channels import link_over
from .wire.frames import Polled, event_of

Poll: TypeAlias = Callable[[str | None, int | None, float, bool], Awaitable[Polled]]
"""Asks for what came after a cursor and a read mark: these, how many seconds to wait, whether the
token is known to have expired.
"""
PAUSE: Final = 1.0
"""Seconds between a poll that was answered before its time though it brought nothing, and the next
one: a cache on the way, or a backend in trouble, may answer so for ever."""


class PollChannel:
    """Polls one after the other, each waiting up to `wait` seconds for news. The `first`, which did
    not wait, has shown that polls get through.
    """

    def __init__(self, poll: Poll, first: Polled, wait: float) -> None:
        self._poll = poll
        self._wait = wait
        self._loop = asyncio.get_running_loop()
        self.attached = first
        self._events: deque[LinkEvent] = deque()
        self._news = asyncio.Event()
        self._failure: Exception | None = None
        self._expired = False
        self._cursor = first.cursor
        self._marked = first.marked
        self.heard_at = self._loop.time()
        self._take(first)
        self._polling = self._loop.create_task(self._go_on(), name="support-chat poll")

    async def next(self) -> LinkEvent:
        """The next event; raises NetworkError when a poll has failed, after what came before it."""
        while not self._events:
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            await self._news.wait()
        return self._events.popleft()

    def renewed(self) -> None:
        """The token's expiry is news again."""
        self._expired = False

    async def aclose(self) -> None:
        """Ends the poll under way: the backend sees the connection close."""
        self.abort()
        await asyncio.gather(self._polling, return_exceptions=True)

    def abort(self) -> None:
        """Ends the poll under way and forgets what it brought."""
        self._events.clear()
        self._end(link_over())
        self._polling.cancel()

    async def _go_on(self) -> None:
        try:
            while self._failure is None:
                began, expired = self._loop.time(), self._expired
                polled = await self._poll(self._cursor, self._marked, self._wait, expired)
                self._take(polled)
                if not polled.frames and self._expired == expired:
                    await asyncio.sleep(min(PAUSE, began + self._wait - self._loop.time()))
        except BackendRejectedError as error:
            if error.code == "auth_required":
                self._tell(SessionRevoked(error.reason or "revoked"))
            self._end(
                NetworkError(
                    "The backend has ended the link; the session dials again.", reason=error.reason
                )
            )
        except AuthRefusedError as error:
            self._end(
                NetworkError(
                    "The backend does not accept this link any more; the session dials again.",
                    reason=error.reason,
                )
            )
        except Exception as error:
            # a client of the user's may raise what it likes; whoever listens has to hear of it
            self._end(error)

    def _take(self, polled: Polled) -> None:
        self.heard_at = self._loop.time()
        if self._failure is not None:
            return
        if self._is_anothers(polled):
            self._tell(OwnerChanged())
            self._end(_another())
            return
        self._cursor = polled.cursor
        self._marked = self._marked if polled.marked is None else polled.marked
        for frame in polled.frames:
            event = event_of(frame)
            if event is not None:
                self._tell(event)
            if isinstance(event, SessionRevoked):
                self._end(NetworkError("The backend has ended this session."))
            if isinstance(event, OwnerChanged):
                self._end(_another())
        if polled.token_expired and not self._expired:
            self._tell(TokenExpired())
        self._expired = polled.token_expired

    def _is_anothers(self, polled: Polled) -> bool:
        """Whether the session is another visitor's than the link was opened for: a merge elsewhere
        came between two polls.
        """
        its = polled.owner or ""
        return its.startswith("visitor:") and self.attached.owner not in (None, its)

    def _tell(self, event: LinkEvent) -> None:
        self._events.append(event)
        self._news.set()

    def _end(self, failure: Exception) -> None:
        if self._failure is None:
            self._failure = failure
        self._news.set()


def _another() -> NetworkError:
    return NetworkError("The session is another visitor's by now; the session dials again.")
