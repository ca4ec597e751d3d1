"""How an open link ends: close codes and what they mean, frames that are none or too long,
connections cut in the middle.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest

from dialling import (
    frame,
    link_of,
    on_loop,
    say,
    soon,
    texts_of,
    transport_to,
    upcoming,
    visitor,
)
from served import Served
from support_chat.errors import NetworkError, RateLimitedError
from support_chat.ports import (
    Link,
    ListConversations,
    SessionRevoked,
)
from support_chat_adapters.transport.wire.frames import MAX_FRAME_BYTES
from support_chat_adapters.wire_faults import (
    CloseWith,
    CutFrame,
    Fault,
    FaultProxy,
    RepeatFrame,
    ReplaceFrame,
)
from support_chat_adapters.wire_faults.websocket import close_frame


@asynccontextmanager
async def link_meeting(served: Served, fault: Fault) -> AsyncGenerator[Link, None]:
    """An open link over a proxy whose fault it meets in the block."""
    async with (
        FaultProxy(served.url) as proxy,
        transport_to(proxy.url) as transport,
        link_of(transport) as link,
    ):
        proxy.plan(fault)
        yield link
        assert len(proxy.applied(type(fault))) == 1


RECOVERABLE = (1000, 1001, 1011, 1012, 3000, 4000, 4401, 4408, 4999)


@pytest.mark.parametrize("code", RECOVERABLE)
@on_loop
async def test_a_recoverable_close_is_a_network_error_that_names_the_code(
    backend: Served, code: int
) -> None:
    async with link_meeting(backend, CloseWith("/realtime", code, "secret words")) as link:
        with pytest.raises(NetworkError) as caught:
            await upcoming(link)
        assert (type(caught.value), caught.value.reason, caught.value.recoverable) == (
            NetworkError,
            f"close_{code}",
            True,
        )
        with pytest.raises(NetworkError):
            await link.conversations(ListConversations())


@pytest.mark.parametrize(
    ("code", "reason", "seconds"),
    [(4429, "7", 7.0), (1013, "2.5", 2.5), (4429, "", 5.0), (1013, "later", 5.0)],
)
@on_loop
async def test_a_close_may_ask_to_stay_away(
    backend: Served, code: int, reason: str, seconds: float
) -> None:
    async with link_meeting(backend, CloseWith("/realtime", code, reason)) as link:
        with pytest.raises(RateLimitedError) as caught:
            await upcoming(link)
        assert caught.value.retry_after == seconds


@pytest.mark.parametrize(("reason", "told"), [("blocked", "blocked"), ("", "revoked")])
@on_loop
async def test_the_terminal_close_is_the_end_of_the_session(
    backend: Served, reason: str, told: str
) -> None:
    async with link_meeting(backend, CloseWith("/realtime", 4403, reason)) as link:
        assert await upcoming(link) == SessionRevoked(told)
        with pytest.raises(NetworkError):
            await upcoming(link)


INSTEAD_OF_A_HELLO: dict[int, type[NetworkError]] = {
    4429: RateLimitedError,
    1013: RateLimitedError,
    1001: NetworkError,
    1012: RateLimitedError,
    4401: NetworkError,
    4403: NetworkError,
}


@pytest.mark.parametrize(("code", "kind"), INSTEAD_OF_A_HELLO.items())
@on_loop
async def test_a_close_instead_of_a_hello_is_the_gateways_word(
    backend: Served, code: int, kind: type[NetworkError]
) -> None:
    async with FaultProxy(backend.url) as proxy:
        proxy.plan(ReplaceFrame("/realtime", 1, close_frame(code, "7")))
        async with transport_to(proxy.url) as transport:
            with pytest.raises(kind) as caught:
                await soon(transport.open(visitor()))
            assert (type(caught.value), getattr(caught.value, "retry_after", 7.0)) == (kind, 7.0)
            (await soon(transport.open(visitor()))).abort()
            assert sum(entry.event == "upgraded" for entry in proxy.log) == 2


LOSING: dict[str, Fault] = {
    **{
        name: ReplaceFrame("/realtime", 1, data)
        for name, data in {
            "no JSON": frame(b"hello"),
            "a message without an author": frame(
                b'{"type": "message.created", "cursor": "1", "message": {"id": "m"}}'
            ),
            "no UTF-8": frame(b'{"type": "\xff"}'),
            "bytes": frame(b"\x00\x01", opcode=2),
            "noise": b"\xff\xff\xff\xff",
            "a frame that a server may not send": b"\x81\x85\x00\x00\x00\x00hello",
            "more than a frame may hold": frame(
                b'{"type": "agent.typing", "x": "' + b"x" * MAX_FRAME_BYTES + b'"}'
            ),
            "a frame that says it is endless": bytes([0x81, 127]) + (2**62).to_bytes(8, "big"),
            "nested too deeply": frame(b'{"type": "hello", "cursor": ' + b"[" * 100_000),
        }.items()
    },
    "cut after a byte": CutFrame("/realtime", 1, 1),
    "cut after forty": CutFrame("/realtime", 1, 40),
    "cut off": CloseWith("/realtime", 1006),
}


@pytest.mark.parametrize("fault", LOSING.values(), ids=LOSING)
@on_loop
async def test_a_frame_that_is_none_or_half_ends_the_link_and_the_message_comes_with_the_next(
    backend: Served, fault: Fault
) -> None:
    who = visitor()
    async with (
        FaultProxy(backend.url) as proxy,
        transport_to(proxy.url) as transport,
        link_of(transport, who) as link,
    ):
        proxy.plan(fault)
        say(backend, link)
        with pytest.raises(NetworkError):
            await upcoming(link)
        await proxy.until_applied(type(fault))
        resuming = attrs.evolve(who, session=link.welcome.session, cursor=link.welcome.cursor)
        async with link_of(transport, resuming) as again:
            assert texts_of(await upcoming(again)) == ["news"]


@on_loop
async def test_a_frame_of_a_newer_backend_is_skipped(backend: Served) -> None:
    unknown = frame(b'{"type": "agent.typing", "agent": {"name": "Kim"}}')
    async with link_meeting(backend, ReplaceFrame("/realtime", 1, unknown)) as link:
        say(backend, link, "replaced by what nobody knows yet")
        say(backend, link, "known")
        assert texts_of(await upcoming(link)) == ["known"]


@on_loop
async def test_a_message_that_comes_twice_in_a_row_is_delivered_once(backend: Served) -> None:
    async with link_meeting(backend, RepeatFrame("/realtime", 1)) as link:
        say(backend, link, "one")
        say(backend, link, "two")
        assert texts_of(await upcoming(link), await upcoming(link)) == ["one", "two"]


@on_loop
async def test_a_link_that_says_goodbye_closes_with_1000(backend: Served) -> None:
    async with FaultProxy(backend.url) as proxy, transport_to(proxy.url) as transport:
        link = await transport.open(visitor())
        await soon(link.aclose())
        await proxy.until(
            lambda log: any(entry.event == "close" and entry.of == "client" for entry in log)
        )
        assert [
            entry.status for entry in proxy.log if entry.event == "close" and entry.of == "client"
        ] == [1000]


@on_loop
async def test_a_backend_that_stops_says_goodbye_and_the_link_is_lost_not_revoked(
    fresh: Served,
) -> None:
    ways: list[dict[str, Any]] = [{}, {"websocket": None}]
    for options in ways:
        fresh.start()
        async with transport_to(fresh.url, **options) as transport, link_of(transport) as link:
            waiting = asyncio.ensure_future(anext(link.events()))
            await asyncio.to_thread(fresh.stop)
            with pytest.raises(NetworkError):
                await soon(waiting)
