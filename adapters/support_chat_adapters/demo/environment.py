"""What is around the session that the demo shows: a backend, the customer's own server that mints
tokens, and the wire between.

All of it is in this process, and all of it is what a real session would meet: the session under
demonstration is given no hint that it is in a demo.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any, Final

import attrs

from support_chat import Settings, SignedIn, TokenRefusedError, User
from support_chat.ports import Credentials, Link
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.transport import LoopbackTransport

from .report import Counters

WORKSPACE: Final = "demo"
WIDGET: Final = "web"
ADA: Final = User("ada", name="Ada", email="ada@example.com")
"""Who signs in."""
SIGNED_IN: Final = SignedIn(ADA.id)
"""How she is known once the backend has accepted her."""


@attrs.define
class Wire:
    """A transport like any other, which can be made `unstoppable`: a dial then goes on although it
    was cancelled.

    That is what a dial on a thread or inside a C library does, and where results that come too late
    stem from.
    """

    inner: LoopbackTransport
    unstoppable: bool = False

    async def open(self, credentials: Credentials) -> Link:
        """Dials."""
        dial = asyncio.ensure_future(self.inner.open(credentials))
        while not dial.done():
            try:
                await asyncio.wait((dial,))
            except asyncio.CancelledError:
                if not self.unstoppable:
                    dial.cancel()
        return dial.result()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@attrs.define
class Environment:
    """Everything outside the session, and how fast the demo goes; close its backend when it is
    over.

    Attributes:
        settings: The session's limits.
        latency: One way, of every request and of every answer, in seconds.
        pause: For a reader, after every step, in seconds.
        reading: The same, for every character of what came of it.
        refusing: The user was locked out: asking for a token is answered with a refusal.
        token_calls: How many tokens were asked for.
        updates: How often update() was called.
    """

    settings: Settings
    latency: float
    pause: float = 0.0
    reading: float = 0.0
    refusing: bool = False
    token_calls: int = 0
    updates: int = 0
    _secret: str = attrs.field(factory=lambda: secrets.token_urlsafe(32), repr=False, init=False)
    backend: Backend = attrs.field(init=False)
    wire: Wire = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.backend = Backend(
            workspace_id=WORKSPACE, widget_id=WIDGET, keys=[IdentityKey("HS256", self._secret)]
        )
        self.wire = Wire(LoopbackTransport(self.backend))
        self.heal()

    def heal(self) -> None:
        """The network and the backend work; only the latency is left."""
        self.backend.faults.heal()
        self.backend.faults.delay(self.latency, answer=self.latency)

    async def token(self) -> str:
        """The `token_provider` of a frontend in which Ada is signed in."""
        self.token_calls += 1
        if self.refusing:
            raise TokenRefusedError("This user may not use the chat any more.")
        return sign_identity_token(ADA, self._secret, workspace_id=WORKSPACE, widget_id=WIDGET)

    def counters(self) -> Counters:
        """What has been counted so far."""
        log = self.backend.log
        return Counters(
            dials=log.count("dial"),
            links_open=log.open_links,
            links_most=log.max_open_links,
            token_calls=self.token_calls,
            updates=self.updates,
            update_requests=log.count("update"),
        )


def brisk() -> Environment:
    """For logs and programs: about three seconds."""
    settings = Settings(
        backoff_base=0.02,
        backoff_min=0.01,
        backoff_max=0.05,
        probe_interval=0.05,
        min_refresh_interval=0.01,
        update_burst=3,
        update_window=1.2,
        update_interval=0.05,
    )
    return Environment(settings, latency=0.002)


def watchable() -> Environment:
    """For people: some twelve seconds."""
    settings = Settings(
        backoff_base=0.3,
        backoff_min=0.15,
        backoff_max=0.6,
        probe_interval=0.8,
        min_refresh_interval=0.2,
        update_burst=3,
        update_window=1.5,
        update_interval=0.25,
    )
    return Environment(settings, latency=0.06, pause=0.1, reading=0.002)
