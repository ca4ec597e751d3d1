"""A transport to a backend that remembers no identify, but takes one again: around the loopback to
one that does remember, which is never asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

import attrs

from support_chat.errors import AuthRefusedError, NetworkError, RateLimitedError, SupportChatError
from support_chat.ports import (
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    Link,
    Transport,
    Welcome,
)
from support_chat_adapters.backend import Backend

LATE: Final = 1.5
"""Seconds after which an identify arrives whose link is gone."""


class RepeatableTransport:
    """Presents no claim, and says so in its welcome. An identify whose link is lost, or whose
    caller has gone, arrives a while later.
    """

    def __init__(self, inner: Transport, backend: Backend) -> None:
        self._inner, self._backend = inner, backend

    async def open(self, credentials: Credentials) -> Any:
        claim, bare = credentials.claim, attrs.evolve(credentials, claim=None)
        try:
            link = await self._inner.open(bare)
        except AuthRefusedError:
            if claim is None:
                raise
            # the session may be the user's by now
            link = await self._inner.open(attrs.evolve(bare, user_id=claim.user_id))
        return RepeatableLink(link, self._backend)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class RepeatableLink:
    """A link of it."""

    def __init__(self, inner: Link, backend: Backend) -> None:
        self._inner, self._backend = inner, backend

    @property
    def welcome(self) -> Welcome:
        return attrs.evolve(self._inner.welcome, identify="repeatable")

    async def identify(self, request: IdentifyRequest) -> IdentifyAnswer:
        try:
            return await self._inner.identify(request)
        except RateLimitedError:
            raise  # which was refused, and does not arrive
        except (NetworkError, asyncio.CancelledError):
            asyncio.get_running_loop().call_later(LATE, self._arrives, request)
            raise

    def _arrives(self, request: IdentifyRequest) -> None:
        with contextlib.suppress(SupportChatError):  # nobody hears of a no
            self._backend.identify(self.welcome.session, request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
