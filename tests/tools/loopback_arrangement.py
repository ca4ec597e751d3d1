"""The arrangement that `check_transport` is tried on first: the loopback to a backend in this
process, with every control there is.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import attrs

from support_chat.errors import NetworkError
from support_chat.ports import Transport
from support_chat.values import JSON, Identity
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.transport import LoopbackTransport

SECRET: Final = "0123456789abcdef0123456789abcdef"
WIDGET: Final[dict[str, Any]] = {"workspace_id": "acme", "widget_id": "help"}


@attrs.frozen
class LoopbackArrangement:
    """A backend, the transport to it (or what a test puts in its place), and control of the other
    side.
    """

    backend: Backend
    transport: Transport
    workspace_id: str = WIDGET["workspace_id"]
    widget_id: str = WIDGET["widget_id"]

    async def token(self, user_id: str) -> str:
        return sign_identity_token(user_id, SECRET, **WIDGET)

    async def expired_token(self, user_id: str) -> str:
        return sign_identity_token(user_id, SECRET, **WIDGET, now=time.time() - 1000.0)

    async def say(self, identity: Identity, text: str) -> None:
        self.backend.agent.reply(identity, text)

    async def expire_tokens(self, user_id: str) -> None:
        self.backend.faults.expire_tokens(user_id)

    async def revoke(self, session: str) -> None:
        self.backend.faults.revoke(session)

    async def cut(self) -> None:
        self.backend.faults.drop_links()

    async def forget_history(self) -> None:
        self.backend.faults.drop_history()

    async def rate_limit(self, retry_after: float) -> None:
        self.backend.faults.rate_limit(retry_after)

    async def go_away(self) -> None:
        self.backend.faults.refuse_dials()
        self.backend.faults.fail(
            "revoke", NetworkError("The backend cannot be reached."), times=None
        )

    async def traits(self, identity: Identity) -> Mapping[str, JSON]:
        return self.backend.agent.traits(identity)

    async def open_links(self) -> int:
        return self.backend.log.open_links


@asynccontextmanager
async def loopback(db: str = ":memory:") -> AsyncGenerator[LoopbackArrangement, None]:
    """A fresh backend and the loopback to it."""
    with Backend(db, **WIDGET, keys=[IdentityKey("HS256", SECRET)]) as backend:
        yield LoopbackArrangement(backend, LoopbackTransport(backend))
