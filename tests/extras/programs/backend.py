"""The backend in this process, with signed tokens, behind the loopback."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import attrs

from support_chat.testing import check_transport
from support_chat.values import Identity
from support_chat_adapters.backend import Backend, IdentityKey, sign_identity_token
from support_chat_adapters.transport import LoopbackTransport

SECRET = "a secret of thirty-two bytes, at least"


@attrs.frozen
class Arrangement:
    """A backend and its agent."""

    backend: Backend
    transport: LoopbackTransport
    workspace_id: str = "demo"
    widget_id: str = "web"

    async def token(self, user_id: str) -> str:
        return sign_identity_token(
            user_id, SECRET, workspace_id=self.workspace_id, widget_id=self.widget_id
        )

    async def say(self, identity: Identity, text: str) -> None:
        self.backend.agent.reply(identity, text)


@asynccontextmanager
async def arranged() -> AsyncGenerator[Arrangement, None]:
    with Backend(
        workspace_id="demo", widget_id="web", keys=[IdentityKey("HS256", SECRET)]
    ) as backend:
        yield Arrangement(backend, LoopbackTransport(backend))


report = check_transport(arranged)
print(len(report.passed), "clauses passed,", len(report.not_applicable), "not applicable")
