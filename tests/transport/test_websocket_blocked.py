"""A network that lets no WebSocket through: polls are used instead, it is remembered for a while,
and a free way is used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from dialling import (
    hears,
    link_of,
    on_loop,
    soon,
    texts_of,
    transport_to,
    until,
    upcoming,
    visitor,
)
from piping import listening
from served import Served
from support_chat.errors import BackendRejectedError, NetworkError, RateLimitedError
from support_chat.ports import Link, Outgoing
from support_chat.values import Visitor
from support_chat_adapters import wire_faults as wire
from support_chat_adapters.transport import WidgetAPITransport, widget_api
from support_chat_adapters.transport.wire.problems import response_to
from support_chat_adapters.wire_faults.websocket import close_frame

PATIENCE = 0.6
"""What hangs is given up soon, in seconds."""
PORTAL = b"<html><body>Sign in to the network</body></html>"
BLOCKED: dict[str, wire.Fault] = {
    "forbidden": wire.Status("UPGRADE", "/realtime", 403),
    "an upgrade is required": wire.Status("UPGRADE", "/realtime", 426),
    "an old proxy": wire.Status("UPGRADE", "/realtime", 400),
    "a proxy without an answer": wire.Status("UPGRADE", "/realtime", 502),
    "no end": wire.Stall("UPGRADE", "/realtime"),
    "a sign-in page with 200": wire.Status(
        "GET", "/realtime", 200, PORTAL, (("content-type", "text/html"),)
    ),
    "a sign-in page elsewhere": wire.Status(
        "GET", "/realtime", 302, b"", (("location", "https://portal.example/sign-in"),)
    ),
    "a reset instead of an answer": wire.Swallow("GET", "/realtime", "reset"),
    "a reset after the handshake": wire.CutFrame("/realtime", 1, 0),
    "a close after the handshake": wire.ReplaceFrame("/realtime", 1, close_frame(1002, "")),
    "nothing after the handshake": wire.StallFrames("/realtime", stalled="server", seconds=30.0),
    "half of a hello": wire.CutFrame("/realtime", 1, 3),
    "noise instead of a hello": wire.ReplaceFrame("/realtime", 1, b"\xff\xff\xff\xff"),
}


@asynccontextmanager
async def proxied(
    served: Served, *faults: wire.Fault
) -> AsyncGenerator[tuple[wire.FaultProxy, WidgetAPITransport], None]:
    """A transport to the backend, and the proxy on its way, whose faults must have been met in the
    end.
    """
    async with wire.FaultProxy(served.url) as proxy:
        proxy.plan(*faults)
        transport = WidgetAPITransport(proxy.url, socket_patience=PATIENCE)
        try:
            yield proxy, transport
        finally:
            await transport.aclose()


async def works(served: Served, link: Link) -> None:
    """Calls are answered, and news comes."""
    assert (await soon(link.send(Outgoing("m-1", "hello")))).text == "hello"
    await hears(served, link)


def websockets(proxy: wire.FaultProxy) -> int:
    """How many upgrades were asked for so far, and polls not counted."""
    return sum(entry.event == "upgraded" for entry in proxy.log)


@pytest.mark.parametrize("fault", BLOCKED.values(), ids=BLOCKED.keys())
@on_loop
async def test_polls_are_used_where_no_websocket_gets_through(
    backend: Served, fault: wire.Fault
) -> None:
    async with proxied(backend, fault) as (proxy, transport), link_of(transport) as link:
        await works(backend, link)
        assert len(proxy.applied(type(fault))) == 1


@on_loop
async def test_a_redirect_is_not_followed_to_another_gateway(backend: Served) -> None:
    visits: list[str] = []

    async def elsewhere(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        visits.append("followed")

    async with listening(elsewhere) as port:
        to = (("location", f"ws://127.0.0.1:{port}/widget/v1/realtime?session_token=x"),)
        async with (
            proxied(backend, wire.Status("GET", "/realtime", 307, b"", to)) as (
                _,
                transport,
            ),
            link_of(transport) as link,
        ):
            await works(backend, link)
        assert visits == []


@on_loop
async def test_a_blocked_way_is_remembered_and_tried_again_after_a_while(
    backend: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(widget_api, "BLOCKED_FOR", 1.0)
    async with proxied(backend, wire.Status("UPGRADE", "/realtime", 403)) as (proxy, transport):
        (await soon(transport.open(visitor()))).abort()
        began = asyncio.get_running_loop().time()
        while asyncio.get_running_loop().time() < began + 0.5:
            (await soon(transport.open(visitor()))).abort()
            assert websockets(proxy) == 0
        await asyncio.sleep(began + 1.0 - asyncio.get_running_loop().time())
        async with link_of(transport) as link:
            assert websockets(proxy) == 1
            await works(backend, link)


@on_loop
async def test_a_backend_that_is_gone_is_no_blocked_way(backend: Served) -> None:
    async with proxied(backend) as (proxy, transport):
        proxy.plan(wire.Status("UPGRADE", "/realtime", 502), wire.Status("GET", "/realtime", 502))
        with pytest.raises(NetworkError):
            await soon(transport.open(visitor()))
        async with link_of(transport):
            assert websockets(proxy) == 1


@on_loop
async def test_a_network_that_is_known_to_block_is_not_asked_for_a_websocket(
    backend: Served,
) -> None:
    async with (
        wire.FaultProxy(backend.url) as proxy,
        transport_to(proxy.url, websocket=None) as transport,
        link_of(transport) as link,
    ):
        await works(backend, link)
        assert websockets(proxy) == 0


@on_loop
async def test_a_dial_that_is_cancelled_while_the_gateway_is_silent_closes_its_socket(
    backend: Served,
) -> None:
    async with proxied(backend, wire.StallFrames("/realtime", stalled="server", seconds=30.0)) as (
        proxy,
        transport,
    ):
        dialling = asyncio.ensure_future(transport.open(visitor()))
        await proxy.until_applied(wire.StallFrames)  # the hello is on its way, and will be for long
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        [upgraded] = [entry.connection for entry in proxy.log if entry.event == "upgraded"]
        await proxy.until(
            lambda log: any(
                entry.event == "closed" and entry.connection == upgraded for entry in log
            )
        )


@on_loop
async def test_a_gateway_that_refuses_is_heard_and_not_taken_for_a_network_that_blocks(
    backend: Served,
) -> None:
    refusals = (
        (BackendRejectedError("No such page.", code="invalid_origin"), BackendRejectedError),
        (RateLimitedError("Busy.", retry_after=7.0), RateLimitedError),
    )
    for said, heard in refusals:
        answer = response_to(said, "request-1")
        async with proxied(
            backend,
            wire.Status(
                "GET", "/realtime", answer.status, answer.body, tuple(answer.headers.items())
            ),
        ) as (
            proxy,
            transport,
        ):
            with pytest.raises(heard) as caught:
                await soon(transport.open(visitor()))
            assert getattr(caught.value, "retry_after", 7.0) == 7.0
            async with link_of(transport):
                assert websockets(proxy) == 1


@on_loop
async def test_polls_that_bring_nothing_before_their_time_do_not_follow_each_other_at_once(
    backend: Served,
) -> None:
    async with (
        wire.FaultProxy(backend.url) as proxy,
        transport_to(proxy.url, websocket=None) as transport,
    ):
        proxy.plan(
            wire.Status(
                "GET",
                "/realtime",
                200,
                b'{"cursor": "0"}',
                (("content-type", "application/json"),),
            ),
            times=None,
        )
        link = await transport.open(visitor())
        await asyncio.sleep(1.5)
        assert 2 <= len(proxy.applied(wire.Status)) <= 3
        link.abort()
        proxy.heal()


@on_loop
async def test_polls_that_bring_something_follow_each_other_at_once(backend: Served) -> None:
    async with transport_to(backend.url, websocket=None) as transport, link_of(transport) as link:
        began = asyncio.get_running_loop().time()
        for number in range(5):
            backend.reply(Visitor(link.welcome.visitor_id or ""), f"{number}")
            assert texts_of(await upcoming(link)) == [f"{number}"]
        assert asyncio.get_running_loop().time() - began < 2.5
        await until(lambda: True)
