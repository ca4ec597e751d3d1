"""A transport that knows whether an update is still without its answer, which no event tells."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import attrs

from support_chat.ports import Credentials, Link, Transport, UpdateAnswer
from support_chat.values import Changes


@attrs.frozen(eq=False)
class ObservedTransport:
    """Passes everything on to `inner`; `answered` is set while no update waits for its answer."""

    inner: Transport
    answered: asyncio.Event = attrs.field(factory=asyncio.Event)

    def __attrs_post_init__(self) -> None:
        self.answered.set()

    async def open(self, credentials: Credentials) -> Link:
        """Dials."""
        return cast("Link", _ObservedLink(await self.inner.open(credentials), self.answered))

    async def revoke(self, session: str) -> None:
        """Ends the named backend session."""
        await self.inner.revoke(session)

    async def aclose(self) -> None:
        """Releases what the inner transport holds."""
        await self.inner.aclose()


@attrs.frozen(eq=False)
class _ObservedLink:
    inner: Link
    answered: asyncio.Event

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def update(self, changes: Changes) -> UpdateAnswer:
        self.answered.clear()
        try:
            return await self.inner.update(changes)
        finally:
            self.answered.set()
