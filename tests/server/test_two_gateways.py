"""Two gateways whose store shares what gateways share: a realtime token of one opens a link at the
other, once, and a caller's rate is counted over both.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from async_tests import in_real_time
from serving import serving
from support_chat_adapters.backend import Backend, SQLiteStore
from support_chat_adapters.backend.in_memory import MemoryBuckets, MemoryTokens
from support_chat_adapters.backend.server.limits import RateLimits
from widget_client import BASE, problem

OPENS = 2


class SharingStore(SQLiteStore):
    """A store that gives all its gateways the same tokens and buckets."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.shared: dict[str, Any] = {}

    def realtime_tokens(self, lifetime: float) -> MemoryTokens:
        made: MemoryTokens = self.shared.setdefault("", super().realtime_tokens(lifetime))
        return made

    def buckets(self, name: str, per_minute: float) -> MemoryBuckets:
        made: MemoryBuckets = self.shared.setdefault(name, super().buckets(name, per_minute))
        return made


@asynccontextmanager
async def two_gateways() -> AsyncGenerator[tuple[str, str], None]:
    limits = RateLimits(opens_per_minute=OPENS)
    with Backend(SharingStore(), workspace_id="demo", widget_id="web") as backend:
        async with serving(backend, limits=limits) as one, serving(backend, limits=limits) as other:
            yield one, other


async def begun(url: str) -> httpx2.Response:
    body = {"workspaceId": "demo", "widgetId": "web", "visitor": secrets.token_urlsafe(24)}
    async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=60.0) as http:
        return await http.post(f"{BASE}/sessions/anonymous", json=body)


async def dialled(url: str, token: str) -> str | int:
    """The first thing that a link says, or the code that it is closed with."""
    address = f"ws{url.removeprefix('http')}{BASE}/realtime?session_token={token}"
    async with connect(address, proxy=None) as socket:
        try:
            return str(await socket.recv())
        except ConnectionClosed:
            assert socket.close_code is not None
            return socket.close_code


@in_real_time
async def test_a_realtime_token_of_one_gateway_opens_one_link_at_any() -> None:
    async with two_gateways() as (one, other):
        token = (await begun(one)).raise_for_status().json()["realtimeToken"]
        assert '"hello"' in str(await dialled(other, token))
        for url in (one, other):
            assert await dialled(url, token) == 4401


@in_real_time
async def test_a_callers_rate_is_counted_over_all_gateways() -> None:
    async with two_gateways() as (one, other):
        for url in (one, other):
            (await begun(url)).raise_for_status()
        for url in (one, other):
            assert problem(await begun(url)) == (429, "rate_limited", None)
