"""The world around the session that the demo shows: a backend, the customer's own server, and the
wire between.

All of it is in this process, and all of it is what a real session would meet: the session under
demonstration is given no hint that it is in a play.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Final

import attrs

from support_chat.errors import TokenRefusedError
from support_chat.ports import Credentials, Link, Transport
from support_chat.settings import Settings
from support_chat.values import SignedIn, User
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.transport import LoopbackTransport

from .report import Counters

WORKSPACE: Final = "demo"
WIDGET: Final = "web"
ADA: Final = User("ada", name="Ada", email="ada@example.com")
"""Who signs in."""
SIGNED_IN: Final = SignedIn(ADA.id)
"""How she is known once the backend has accepted her."""


@attrs.frozen
class Pace:
    """How fast the demo goes: the session's limits, the network's latency and the pauses for a
    reader, in seconds.
    """

    settings: Settings
    latency: float
    """One way, of every request and of every answer."""
    pause: float
    """After every step..."""
    reading: float
    """... and for every character of what came of it."""


@attrs.define
class Customer:
    """The server of a company that uses the chat: it knows who has signed in and mints identity
    tokens for them.
    """

    secret: str = attrs.field(factory=lambda: secrets.token_urlsafe(32), repr=False)
    calls: int = 0
    """How many tokens were asked for."""
    refusing: bool = False
    """The user was locked out: asking for a token is answered with a refusal."""

    def provider_for(self, user: User) -> Callable[[], Awaitable[str]]:
        """The `token_provider` of a frontend in which this user is signed in."""

        async def fetch() -> str:
            self.calls += 1
            if self.refusing:
                raise TokenRefusedError("This user may not use the chat any more.")
            return sign_identity_token(user, self.secret, workspace_id=WORKSPACE, widget_id=WIDGET)

        return fetch


@attrs.define
class Wire:
    """A transport like any other, which can be made `unstoppable`: a dial then goes on although it
    was cancelled.

    That is what a dial on a thread or inside a C library does, and where results that come too late
    stem from.
    """

    inner: Transport
    unstoppable: bool = False

    async def open(self, credentials: Credentials) -> Link:
        """Dials."""
        if not self.unstoppable:
            return await self.inner.open(credentials)
        dial = asyncio.ensure_future(self.inner.open(credentials))
        while not dial.done():
            try:
                await asyncio.wait((dial,))
            except asyncio.CancelledError:
                continue  # this is the point of it
        return dial.result()

    async def revoke(self, session: str) -> None:
        """Ends the named backend session."""
        await self.inner.revoke(session)

    async def aclose(self) -> None:
        """Releases what the inner transport holds."""
        await self.inner.aclose()


@attrs.define
class World:
    """Everything outside the session."""

    backend: Backend
    customer: Customer
    wire: Wire
    pace: Pace
    updates: int = 0
    """How often update() was called."""

    @classmethod
    def begin(cls, pace: Pace) -> World:
        """A world in which nothing has happened; close its backend when it is over."""
        customer = Customer()
        backend = Backend(
            workspace_id=WORKSPACE, widget_id=WIDGET, keys=[IdentityKey("HS256", customer.secret)]
        )
        world = cls(backend, customer, Wire(LoopbackTransport(backend)), pace)
        world.heal()
        return world

    def heal(self) -> None:
        """The network and the backend work; only the latency is left."""
        self.backend.faults.heal()
        self.backend.faults.delay(self.pace.latency, answer=self.pace.latency)

    def counters(self) -> Counters:
        """What has been counted so far."""
        log = self.backend.log
        return Counters(
            dials=log.count("dial"),
            links_open=log.open_links,
            links_most=log.max_open_links,
            token_calls=self.customer.calls,
            updates=self.updates,
            update_requests=log.count("update"),
        )
