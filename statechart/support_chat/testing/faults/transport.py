"""A transport that misbehaves as planned, around any other, and so do its links."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from ... import ports
from ...errors import NetworkError
from ...values import Changes, Conversation, Identity, Message
from .plans import Fault, FaultLog, Faults, Injector

_T = TypeVar("_T")


class FaultyTransport:
    """Passes every call on to `inner`, with faults, and gives links that do so; what happened is in
    `log`.

    The operations are `open`, `revoke` and `end_visitor` here, and `identify`, `renew`, `update`,
    `send`, `conversations`, `messages`, `mark_read`, `close` (a link's `aclose`) and `events` on
    links.
    What *fails* or is *dropped* raises NetworkError, and what is dropped was done: a message is
    stored, a user identified, a session begun whose link is gone. A *duplicate* is asked twice: a
    dial begins two sessions, of whose links the second is given. A *reordered* call is asked after
    the next one on any link.

    An event is *delayed* with those behind it; it *fails* by the link's being lost in its place;
    *hanging* or *stubborn*, it and all later ones never come; it comes twice (*duplicate*), not at
    all (*drop*), or after the next one (*reorder*). Whatever waits here ends when its link is
    aborted. `aclose()` and `abort()` always work.
    """

    def __init__(
        self, inner: ports.Transport, faults: Faults, *, log: FaultLog | None = None
    ) -> None:
        self.inner = inner
        self.log: FaultLog = FaultLog() if log is None else log
        self._faults = faults
        self._dials = Injector("transport", faults, self.log, _failure)
        self._calls = Injector("link", faults, self.log, _failure)

    async def open(self, credentials: ports.Credentials) -> FaultyLink:
        """Dials."""

        def dispose(link: ports.Link) -> None:
            opened.remove(link)
            link.abort()

        async def dial() -> ports.Link:
            link = await self.inner.open(credentials)
            opened.append(link)
            return link

        opened: list[ports.Link] = []
        try:
            link = await self._dials.call("open", dial, undo=dispose)
        except BaseException:
            for unclaimed in opened:  # a dial that is cancelled leaves nothing open
                unclaimed.abort()
            raise
        return FaultyLink(link, self._calls, self._faults.longest)

    async def revoke(self, session: str) -> None:
        """Ends the named backend session."""
        await self._dials.call("revoke", lambda: self.inner.revoke(session))

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        """Ends the visitor."""
        await self._dials.call(
            "end_visitor", lambda: self.inner.end_visitor(workspace_id, widget_id, visitor)
        )

    async def aclose(self) -> None:
        """Closes the inner transport."""
        await self.inner.aclose()


class FaultyLink:
    """A link of a `FaultyTransport`."""

    def __init__(self, inner: ports.Link, injector: Injector, longest: float) -> None:
        self.inner = inner
        self._injector, self._longest = injector, longest
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._events: AsyncIterator[ports.LinkEvent] | None = None
        self._ready: deque[ports.LinkEvent] = deque()
        self._stuck: Fault | None = None
        self._pull: asyncio.Task[ports.LinkEvent] | None = None

    @property
    def welcome(self) -> ports.Welcome:
        """What the backend answered when this link was opened."""
        return self.inner.welcome

    @property
    def heard_at(self) -> float:
        """When the last sign of life came, by the inner link."""
        return self.inner.heard_at

    async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
        """Upgrades the visitor to a user."""
        return await self._call("identify", lambda: self.inner.identify(request))

    async def renew(self, token: str) -> ports.RenewAnswer:
        """Presents a fresh token."""
        return await self._call("renew", lambda: self.inner.renew(token))

    async def update(self, changes: Changes, owner: Identity | None = None) -> ports.UpdateAnswer:
        """Stores changes."""
        return await self._call("update", lambda: self.inner.update(changes, owner))

    async def send(self, message: ports.Outgoing) -> Message:
        """Sends a message."""
        return await self._call("send", lambda: self.inner.send(message))

    async def conversations(self, asked: ports.ListConversations) -> Sequence[Conversation]:
        """Lists the conversations."""
        return await self._call("conversations", lambda: self.inner.conversations(asked))

    async def messages(self, asked: ports.ListMessages) -> Sequence[Message]:
        """Lists the messages of a conversation."""
        return await self._call("messages", lambda: self.inner.messages(asked))

    async def mark_read(self, asked: ports.MarkRead) -> ports.ReadAnswer:
        """Counts messages as read."""
        return await self._call("mark_read", lambda: self.inner.mark_read(asked))

    async def aclose(self) -> None:
        """Says goodbye and closes; if that goes wrong, the link is as it was, for whoever aborts
        it.
        """
        await self._injector.call("close", self.inner.aclose, over=self._over)
        self._end()

    def abort(self) -> None:
        """Closes at once; whatever waits here ends."""
        self._end()
        self.inner.abort()

    def events(self) -> AsyncIterator[ports.LinkEvent]:
        """The events of the inner link, with faults."""
        return _Events(self._next)

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)
        self._ready.clear()
        if self._pull is not None:
            self._pull.cancel()
            if self._pull.done() and not self._pull.cancelled():
                self._pull.exception()  # looked at, so that asyncio does not report it

    async def _call(self, operation: str, work: Callable[[], Awaitable[_T]]) -> _T:
        if self._over.done():
            raise _lost()
        answer = await self._injector.call(operation, work, over=self._over)
        if self._over.done():
            raise _lost()
        return answer

    # --- events -----------------------------------------------------------------------------------

    async def _next(self) -> ports.LinkEvent:
        while not self._over.done():
            if self._stuck is not None:
                await self._injector.hang(self._stuck, self._over)
            elif self._ready:
                return self._ready.popleft()
            elif (event := await self._pulled(None)) is not None:
                try:
                    await self._meet(event)
                except asyncio.CancelledError:
                    self._ready.append(event)  # whoever asks next gets it
                    raise
        raise _lost()

    async def _meet(self, event: ports.LinkEvent) -> None:
        """Makes ready what is to be delivered now that this event has come."""
        fault, seconds = self._injector.meets("events")
        match fault:
            case Fault.DROP:
                pass
            case Fault.FAIL:
                self.abort()
            case Fault.HANG | Fault.STUBBORN:
                self._stuck = fault
            case Fault.DELAY:
                await self._injector.pause(seconds, self._over)
                self._ready.append(event)
            case Fault.DUPLICATE:
                self._ready.extend((event, event))
            case Fault.REORDER:
                following = None
                # that the link is lost comes after this event
                with contextlib.suppress(NetworkError, StopAsyncIteration):
                    following = await self._pulled(self._longest)
                self._ready.extend((event,) if following is None else (following, event))
            case None:
                self._ready.append(event)

    async def _pulled(self, patience: float | None) -> ports.LinkEvent | None:
        """The next event of the inner link; None if it does not come in time, or if the link is
        over.

        A pull that nobody waits for any more goes on: what it brings is not lost to the next one.
        """
        if self._events is None:
            self._events = self.inner.events()
        if self._pull is None:
            self._pull = asyncio.ensure_future(_anext(self._events))
        either: set[asyncio.Future[ports.LinkEvent] | asyncio.Future[None]] = {
            self._pull,
            self._over,
        }
        await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if self._over.done() or not self._pull.done():
            return None
        pull, self._pull = self._pull, None
        return pull.result()


class _Events:
    """An iterator over the events of a link, which leaves nothing to finalise."""

    def __init__(self, following: Callable[[], Awaitable[ports.LinkEvent]]) -> None:
        self._following = following

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> ports.LinkEvent:
        return await self._following()


async def _anext(events: AsyncIterator[ports.LinkEvent]) -> ports.LinkEvent:
    return await anext(events)


def _failure(operation: str) -> NetworkError:
    return NetworkError(
        f"FaultyTransport lets this {operation} fail, as its faults say; what was asked may have "
        "happened."
    )


def _lost() -> NetworkError:
    return NetworkError("The link is over; open another.")
