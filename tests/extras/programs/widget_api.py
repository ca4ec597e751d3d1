"""WidgetAPITransport with nothing beside it, over WebSocket and over polls, to a backend that
another environment serves.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from support_chat.testing import check_transport
from support_chat.values import Identity, Visitor
from support_chat_adapters.transport import WidgetAPITransport


async def command(*words: str) -> str:
    """What a `support-chat` command of the other environment prints."""
    process = await asyncio.create_subprocess_exec(
        os.environ["SUPPORT_CHAT"],
        *words,
        f"--db={os.environ['DB']}",
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, words
    return said.decode().strip()


@attrs.frozen
class Arrangement:
    """A transport, and an operator who has the command line only."""

    transport: WidgetAPITransport
    workspace_id: str = "demo"
    widget_id: str = "web"

    async def token(self, user_id: str) -> str:
        return await command("token", "--user", user_id)

    async def say(self, identity: Identity, text: str) -> None:
        whom = (
            ("--visitor", identity.id)
            if isinstance(identity, Visitor)
            else ("--user", identity.user_id)
        )
        await command("reply", text, *whom)


def over(**options: Any) -> Any:
    @asynccontextmanager
    async def arranged() -> AsyncGenerator[Arrangement, None]:
        transport = WidgetAPITransport(os.environ["URL"], **options)
        try:
            yield Arrangement(transport)
        finally:
            await transport.aclose()

    return arranged


check_transport(over())
report = check_transport(over(websocket=None))
print(
    len(report.passed),
    "clauses passed over WebSocket and over polls,",
    len(report.not_applicable),
    "not applicable",
)
