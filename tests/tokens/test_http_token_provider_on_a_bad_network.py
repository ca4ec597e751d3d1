"""The provider with a fault proxy between it and its server: it returns the token, whole, or fails
in time, and does nothing else.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from async_tests import in_real_time
from support_chat.errors import TokenProviderError
from support_chat_adapters import wire_faults as wire
from support_chat_adapters.tokens import HTTPTokenProvider

TOKEN = "header.payload.signature"
ANSWER = f"HTTP/1.1 200 OK\r\nContent-Length: {len(TOKEN)}\r\n\r\n{TOKEN}".encode()
PORTAL = '<html><a href="/login">Welcome to the hotel</a></html>'

FAILS: list[tuple[wire.Fault, str]] = [
    (wire.Refuse(), "unreachable"),
    (wire.Status(code=503, headers=(("Retry-After", "1"),)), "http_503"),
    (wire.Status(code=407), "http_407"),
    (wire.Status(code=200, body=PORTAL, headers=(("Content-Type", "text/html"),)), "no_token"),
    (wire.Status(code=302, headers=(("Location", "http://portal.example/"),)), "redirected"),
    (wire.Stall(of="client"), "timeout"),
    (wire.Stall(of="server", part="body", after=3), "timeout"),
    (wire.Slow(rate=50), "timeout"),
    (wire.Stall(of="server", seconds=5), "timeout"),
    (wire.Cut(of="client"), "unreachable"),
    (wire.Cut(), "unreachable"),
    (wire.Cut(part="body", after=10), "unreachable"),
    (wire.Garbage(), "unreachable"),
    (wire.Garbage(part="body", data=b"\xff\xfe"), "no_token"),
    (wire.Swallow(then="close"), "unreachable"),
    (wire.Swallow(then="reset"), "unreachable"),
    (wire.Swallow(then="silence"), "timeout"),
]


@pytest.mark.parametrize(("fault", "reason"), FAILS)
@in_real_time
async def test_what_the_network_does_is_a_failure_and_the_next_call_brings_the_token(
    serving: Any, fault: wire.Fault, reason: str
) -> None:
    async with serving(ANSWER) as server:
        with wire.FaultProxy(re.sub(r"/token$", "", server.url)) as proxy:
            proxy.plan(fault)
            patience = 1.0 if reason == "timeout" else 60.0
            provider = HTTPTokenProvider(f"{proxy.url}/token", timeout=patience)
            with pytest.raises(TokenProviderError) as caught:
                await provider()
            assert caught.value.reason == reason, caught.value.message
            proxy.heal()
            assert await provider() == TOKEN


@in_real_time
async def test_a_request_that_arrives_twice_is_answered_once(serving: Any) -> None:
    async with serving(ANSWER) as server:
        with wire.FaultProxy(re.sub(r"/token$", "", server.url)) as proxy:
            proxy.plan(wire.Duplicate("POST", "/token"))
            assert await HTTPTokenProvider(f"{proxy.url}/token")() == TOKEN
            assert len(server.heads) == 2


async def end_of(provider: HTTPTokenProvider) -> str | None:
    """The token, or the reason of the failure."""
    try:
        return await asyncio.wait_for(provider(), 60)
    except TokenProviderError as error:
        return error.reason


@pytest.mark.parametrize("seed", range(10))
@in_real_time
async def test_whatever_happens_there_is_a_token_or_a_failure(serving: Any, seed: int) -> None:
    async with serving(ANSWER) as server:
        with wire.FaultProxy(re.sub(r"/token$", "", server.url)) as proxy:
            proxy.plan(
                *(plan for plan in wire.random_faults(seed, 8) if not _harms_the_token(plan.fault))
            )
            provider = HTTPTokenProvider(f"{proxy.url}/token", timeout=2)
            ends = [await end_of(provider) for _ in range(8)]
            assert set(ends) <= {
                TOKEN,
                "unreachable",
                "timeout",
                "http_429",
                "http_500",
                "http_502",
                "http_503",
                "http_504",
            }


def _harms_the_token(fault: wire.Fault) -> bool:
    """Garbage may turn a token into another word: no client sees that, the backend does."""
    return isinstance(fault, wire.Garbage)
