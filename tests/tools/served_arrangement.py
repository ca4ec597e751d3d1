"""The arrangement that `check_transport` needs for a real `serve`: a transport to it, and control
of its operator and the network.

What the backend does, it does because of what another process has written into its database, as an
operator's command would; what the network does, a fault proxy on the way does, and the rest is
killing the process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs

from served import WIDGET, WORKSPACE, Served
from support_chat.values import JSON, Identity
from support_chat_adapters.backend import sign_identity_token
from support_chat_adapters.transport import WidgetAPITransport
from support_chat_adapters.wire_faults import FaultProxy, Status

_MOMENTS: Final = 100
"""How many tenths of a second it is waited for a moment in which nothing is on its way."""
UNLIMITED: Final = ("--opens-per-minute=0", "--requests-per-minute=0")
"""Options of `serve` for suites that dial a lot."""


@attrs.frozen
class ServedArrangement:
    """A served backend, a transport that reaches it through the proxy, and control of the other
    side.
    """

    served: Served
    proxy: FaultProxy
    transport: WidgetAPITransport
    workspace_id: str = WORKSPACE
    widget_id: str = WIDGET

    async def token(self, user_id: str) -> str:
        return self.served.token(user_id)

    async def expired_token(self, user_id: str) -> str:
        then = time.time() - 10_000.0
        return sign_identity_token(
            user_id, self.served.secret, workspace_id=WORKSPACE, widget_id=WIDGET, now=then
        )

    async def say(self, identity: Identity, text: str) -> None:
        self.served.reply(identity, text)

    async def expire_tokens(self, user_id: str) -> None:
        with self.served.backend() as backend:
            backend.faults.expire_tokens(user_id)

    async def revoke(self, session: str) -> None:
        with self.served.backend() as backend:
            backend.revoke(session)

    async def cut(self) -> None:
        # between two polls there is nothing to cut, and the next one would know of nothing
        for _ in range(_MOMENTS):
            if await self.open_links():
                break
        await asyncio.to_thread(self.served.restart)

    async def forget_history(self) -> None:
        with self.served.backend() as backend:
            backend.faults.drop_history()

    async def rate_limit(self, retry_after: float) -> None:
        answer = Status(
            "POST", "/sessions/anonymous", 429, headers=(("retry-after", f"{retry_after:g}"),)
        )
        await asyncio.to_thread(self.proxy.plan, answer)

    async def go_away(self) -> None:
        await asyncio.to_thread(self.served.kill)

    async def traits(self, identity: Identity) -> Mapping[str, JSON]:
        with self.served.backend() as backend:
            return backend.agent.traits(identity)

    async def open_links(self) -> int:
        """WebSockets that are open on their way to the backend, and polls that wait there, once
        nothing is on its way any more.
        """
        for _ in range(_MOMENTS):
            passed = len(self.proxy.log)
            await asyncio.sleep(0.1)  # between two polls nothing waits
            if passed == len(self.proxy.log):
                break
        listening: set[int] = set()
        for entry in self.proxy.log:
            if entry.event in ("request", "upgraded") and entry.path.endswith("/realtime"):
                listening.add(entry.connection)
            elif entry.event in ("closed", "response"):
                listening.discard(entry.connection)
        return len(listening)


@asynccontextmanager
async def served_arrangement(
    served: Served, **options: Any
) -> AsyncGenerator[ServedArrangement, None]:
    """The arrangement of one clause; `options` are those of `WidgetAPITransport`. A backend that is
    gone is started again.
    """
    await asyncio.to_thread(served.start)
    async with FaultProxy(served.url) as proxy:
        transport = WidgetAPITransport(proxy.url, **options)
        try:
            yield ServedArrangement(served, proxy, transport)
        finally:
            await transport.aclose()
