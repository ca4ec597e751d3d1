"""The provider with a fault proxy between it and its server: it returns the token, whole, or fails
in time, and does nothing else.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from support_chat.errors import TokenProviderError
from support_chat_adapters.tokens import HTTPTokenProvider
from wire_faults import (
    Cut,
    Delay,
    Duplicate,
    Fault,
    FaultProxy,
    Garbage,
    Refuse,
    Slow,
    Stall,
    Status,
    Swallow,
    random_faults,
)

TOKEN = "header.payload.signature"
ANSWER = f"HTTP/1.1 200 OK\r\nContent-Length: {len(TOKEN)}\r\n\r\n{TOKEN}".encode()
PORTAL = '<html><a href="/login">Welcome to the hotel</a></html>'

FAILS: list[tuple[Fault, str]] = [
    (Refuse(), "unreachable"),
    (Status(code=503, headers=(("Retry-After", "1"),)), "http_503"),
    (Status(code=407), "http_407"),
    (Status(code=200, body=PORTAL, headers=(("Content-Type", "text/html"),)), "no_token"),
    (Status(code=302, headers=(("Location", "http://portal.example/"),)), "redirected"),
    (Stall(of="client"), "timeout"),
    (Stall(of="server", part="body", after=3), "timeout"),
    (Slow(rate=50), "timeout"),
    (Delay(seconds=5), "timeout"),
    (Cut(of="client"), "unreachable"),
    (Cut(), "unreachable"),
    (Cut(part="body", after=10), "unreachable"),
    (Garbage(), "unreachable"),
    (Garbage(part="body", data=b"\xff\xfe"), "no_token"),
    (Swallow(then="close"), "unreachable"),
    (Swallow(then="reset"), "unreachable"),
    (Swallow(then="silence"), "timeout"),
]


@pytest.mark.parametrize(("fault", "reason"), FAILS)
def test_what_the_network_does_is_a_failure_and_the_next_call_brings_the_token(
    serving: Any, fault: Fault, reason: str
) -> None:
    async def main() -> None:
        async with serving(ANSWER) as server:
            with FaultProxy(re.sub(r"/token$", "", server.url)) as proxy:
                proxy.plan(fault)
                provider = HTTPTokenProvider(f"{proxy.url}/token", timeout=0.5)
                with pytest.raises(TokenProviderError) as caught:
                    await provider()
                assert caught.value.reason == reason, caught.value.message
                proxy.heal()
                assert await provider() == TOKEN

    asyncio.run(main())


def test_a_request_that_arrives_twice_is_answered_once(serving: Any) -> None:
    async def main() -> None:
        async with serving(ANSWER) as server:
            with FaultProxy(re.sub(r"/token$", "", server.url)) as proxy:
                proxy.plan(Duplicate("POST", "/token"))
                assert await HTTPTokenProvider(f"{proxy.url}/token")() == TOKEN
                assert len(server.heads) == 2

    asyncio.run(main())


async def end_of(provider: HTTPTokenProvider) -> str | None:
    """The token, or the reason of the failure."""
    try:
        return await asyncio.wait_for(provider(), 5)
    except TokenProviderError as error:
        return error.reason


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_there_is_a_token_or_a_failure(serving: Any, seed: int) -> None:
    async def main() -> None:
        async with serving(ANSWER) as server:
            with FaultProxy(re.sub(r"/token$", "", server.url)) as proxy:
                proxy.plan(
                    *(plan for plan in random_faults(seed, 8) if not _harms_the_token(plan.fault))
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

    asyncio.run(main())


def _harms_the_token(fault: Fault) -> bool:
    """Garbage may turn a token into another word: no client sees that, the backend does."""
    return isinstance(fault, Garbage)
