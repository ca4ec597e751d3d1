"""A backend goes away and comes back, and so do its thousand clients, each with a full outbox: what
they send comes no more at once than their dials do.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterable

import pytest

from async_tests import in_virtual_time
from support_chat import NetworkError, Settings, SupportChat
from support_chat.ports import Credentials
from support_chat.testing import CallLog, RecordingStorage, RecordingTransport, ScriptedLink

CLIENTS = 1_000
WAITING = Settings(outbox_size=10)
BUCKET = 0.1
"""Seconds."""


class Reachable:
    """A transport to a backend that is reachable, or not."""

    def __init__(self, log: CallLog, backend: dict[str, bool]) -> None:
        self.inner, self.backend = RecordingTransport(log=log), backend
        self.revoke, self.end_visitor = self.inner.revoke, self.inner.end_visitor
        self.aclose = self.inner.aclose

    async def open(self, credentials: Credentials) -> ScriptedLink:
        if not self.backend["up"]:
            raise NetworkError("Nobody is there.")
        return await self.inner.open(credentials)


def largest(times: Iterable[float]) -> int:
    """How many of these came in the bucket that has most of them."""
    return max(Counter(int(at / BUCKET) for at in times).values())


@pytest.mark.parametrize("seconds", [0.2, 60.0], ids=["a restart", "a minute"])
@in_virtual_time
async def test_messages_that_waited_come_back_no_more_at_once_than_twice_the_dials(
    seconds: float,
) -> None:
    random.seed(7)
    backend, log = {"up": True}, CallLog()
    transports = [Reachable(log, backend) for _ in range(CLIENTS)]
    chats = [
        SupportChat(
            workspace_id="acme",
            widget_id="help",
            transport=transport,
            storage=RecordingStorage(),
            settings=WAITING,
        )
        for transport in transports
    ]
    await asyncio.gather(*(chat.boot() for chat in chats))
    backend["up"] = False
    for transport in transports:
        transport.inner.link.lose()
    await asyncio.sleep(0.1)
    calls = [
        chat.send_message("text", conversation)
        for chat in chats
        for conversation in ("a", "b", None, "a", "b", None, "a", "b", None, "a")
    ]
    await asyncio.sleep(seconds)
    backend["up"], returned = True, asyncio.get_running_loop().time()
    await asyncio.gather(*calls)
    dials = [call.at for call in log.of("transport.open") if call.at >= returned]
    sends = [call.at for call in log.of("link.send")]
    assert (len(dials), len(sends)) == (CLIENTS, len(calls))
    assert largest(sends) <= 2 * largest(dials)
    await asyncio.gather(*(chat.destroy() for chat in chats))
