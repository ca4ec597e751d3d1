"""The transport of a session, watched where the wire begins: what leaves may be nobody else's.

A watcher may not raise (a session takes that for an error of the adapter): what it sees goes to
`World.broken`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from support_chat.errors import AuthRefusedError
from support_chat.ports import Credentials, IdentifyRequest, Link, Transport
from support_chat.values import Changes, Identity

if TYPE_CHECKING:
    from .world import Session

T = TypeVar("T")


@attrs.define(eq=False)
class Wire:
    """What one session has sent, and whom it may speak for."""

    session: Session
    refused: set[str] = attrs.field(factory=set[str])
    """The tokens that the backend has refused since the last boot() or identify()."""
    begun: set[str] = attrs.field(factory=set[str])
    """The sessions that its dials have begun at the backend."""
    sent: set[str] = attrs.field(factory=set[str])

    def send(self, values: Changes, user: str | None, what: str) -> None:
        """Values leave as this user's, or as the visitor's."""
        for value in map(str, values.values()):
            epoch, owner, _ = value.split("|")
            is_current = epoch == str(self.session.epoch)
            self._insist(is_current, f"S4 {what} carries a value of an earlier session")
            whose = user or "visitor"
            self._insist(owner == whose, f"S7 {what} carries {owner}'s value as {whose}'s")
            self.sent.add(value)

    async def present(self, token: str | None, what: str, ask: Callable[[], Awaitable[T]]) -> T:
        """A token leaves, and the backend may refuse it."""
        self._insist(token not in self.refused, f"S15 {what} presents a refused token")
        try:
            return await ask()
        except AuthRefusedError:
            self.refused.add(token or "")
            raise

    def revoke(self, session: str) -> None:
        """A revocation leaves."""
        mine = self.session.shell.snapshot.context.session
        self._insist(session in self.begun, "S24 a session revokes one that it did not begin")
        self._insist(session != mine, "S24 a session revokes the one it lives in")

    def end(self, visitor: str) -> None:
        """It is told that a visitor is over."""
        stored = self.session.world.contents.values()
        self._insist(visitor not in stored, "S31 a visitor is over whose secret is still stored")

    def _insist(self, holds: bool, promise: str) -> None:
        if not holds:
            self.session.world.broken.append(promise)


class WatchedTransport:
    """Passes everything on, but for how it misbehaves: it raises, lies, or does not hear that a
    dial is cancelled.
    """

    def __init__(self, wire: Wire, inner: Transport) -> None:
        self._wire, self._inner = wire, inner
        self.behaves = "well"

    async def aclose(self) -> None:
        """Closes."""
        await self._inner.aclose()

    async def open(self, credentials: Credentials) -> Link:
        """Dials."""
        return await self.answer(self._open, credentials)  # type: ignore[no-any-return]

    async def _open(self, credentials: Credentials) -> Any:
        dial = partial(self._dial, credentials)
        link = await self._wire.present(credentials.token, "a dial", dial)
        self._wire.begun.add(link.welcome.session)
        return WatchedLink(self, self._wire, link)

    async def _dial(self, credentials: Credentials) -> Link:
        if self.behaves != "deaf":
            return await self._inner.open(credentials)
        dial = asyncio.ensure_future(self._inner.open(credentials))
        while not dial.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([dial])
        return dial.result()

    async def revoke(self, session: str) -> None:
        """Ends a session at the backend."""
        self._wire.revoke(session)
        await self._inner.revoke(session)

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        """Tells that a visitor is over."""
        self._wire.end(visitor)
        await self._inner.end_visitor(workspace_id, widget_id, visitor)

    async def answer(self, ask: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """What a call comes to."""
        if self.behaves == "raises":
            raise OSError("no route")
        return 42 if self.behaves == "lies" else await ask(*arguments)


class WatchedLink:
    """One link of a session; `user` is whom the backend takes for the one who speaks on it."""

    def __init__(self, transport: WatchedTransport, wire: Wire, inner: Link) -> None:
        self._transport, self._wire, self._inner = transport, wire, inner
        self.user = inner.welcome.user_id

    def __getattr__(self, name: str) -> Any:
        passed_on = getattr(self._inner, name)
        uses = ("send", "conversations", "messages", "mark_read")
        return partial(self._transport.answer, passed_on) if name in uses else passed_on

    async def identify(self, request: IdentifyRequest) -> Any:
        """The visitor becomes a user."""
        self._wire.send(request.visitor_changes, None, "an identify")
        self._wire.send(request.user_changes, request.user_id, "an identify")
        ask = partial(self._transport.answer, self._inner.identify, request)
        answer = await self._wire.present(request.token, "an identify", ask)
        self.user = getattr(answer, "user_id", self.user)
        return answer

    async def renew(self, token: str) -> Any:
        """A token takes the place of another."""
        ask = partial(self._transport.answer, self._inner.renew, token)
        return await self._wire.present(token, "a renewal", ask)

    async def update(self, changes: Changes, owner: Identity | None = None) -> Any:
        """Traits change."""
        self._wire.send(changes, self.user, "an update")
        return await self._transport.answer(self._inner.update, changes, owner)

    def abort(self) -> None:
        """The link is over."""
        self._inner.abort()
        if self._transport.behaves == "raises":
            raise OSError("the socket is gone")
