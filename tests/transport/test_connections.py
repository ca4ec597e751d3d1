"""Connections that are kept: reused while they are fresh, given up before the other end closes
them, replaced when it has.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dialling import link_of, on_loop, sockets, soon, transport_to, until, visitor
from piping import listening, relayed
from served import Served
from support_chat.errors import InvalidInputError
from support_chat.ports import (
    ListConversations,
    Outgoing,
)
from support_chat_adapters.transport import WidgetAPITransport, http_exchange


@pytest.fixture
def kept_for(monkeypatch: pytest.MonkeyPatch) -> float:
    """How long idle connections are kept in this test, in seconds."""
    monkeypatch.setattr(http_exchange, "KEPT_FOR", 0.3)
    return 0.3


@asynccontextmanager
async def relay(backend: Served) -> AsyncGenerator[tuple[str, list[asyncio.StreamWriter]], None]:
    """The address of one before the backend, and the connections that it accepts, each with the
    end that hangs up.
    """
    accepted: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.append(writer)
        await relayed(reader, writer, "127.0.0.1", backend.port)

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}", accepted


def test_idle_connections_are_closed_by_us_before_the_backend_closes_them() -> None:
    from uvicorn import Config

    assert Config("app").timeout_keep_alive > http_exchange.KEPT_FOR


@on_loop
async def test_a_call_after_an_idle_while_gets_a_new_connection(
    backend: Served, kept_for: float
) -> None:
    async with (
        relay(backend) as (url, accepted),
        transport_to(url) as transport,
        link_of(transport) as link,
    ):
        await link.send(Outgoing("m-1", "hello"))
        before = len(accepted)
        await asyncio.sleep(2 * kept_for)
        await link.send(Outgoing("m-2", "hello"))
        assert len(accepted) == before + 1


@on_loop
async def test_a_connection_that_the_backend_has_closed_meanwhile_fails_no_call(
    backend: Served,
) -> None:
    async with (
        relay(backend) as (url, accepted),
        transport_to(url, websocket=None) as transport,
        link_of(transport) as link,
    ):
        for number in range(3):
            assert (await soon(link.send(Outgoing(f"m-{number}", "hello")))).text == "hello"
            before = len(accepted)
            accepted[-1].close()  # the one that has just been used
            await asyncio.sleep(0.05)
            assert (await soon(link.update({"user.name": "V"}))).rejected == ()
            assert len(accepted) == before + 1


@on_loop
async def test_a_backend_that_was_restarted_is_asked_over_new_connections(backend: Served) -> None:
    async with transport_to(backend.url) as transport:
        for _ in range(3):
            async with link_of(transport):
                await asyncio.to_thread(backend.restart)
        (await soon(transport.open(visitor()))).abort()


@on_loop
async def test_cancelled_calls_close_what_they_used(backend: Served) -> None:
    async with transport_to(backend.url) as transport, link_of(transport) as link:
        await link.conversations(ListConversations())
        before = len(sockets())
        for step in range(20):
            call = asyncio.ensure_future(link.conversations(ListConversations()))
            await asyncio.sleep(0.0004 * step)
            call.cancel()
            await asyncio.wait((call,))
        await until(lambda: len(sockets()) <= before, "the closing of what was cancelled")
        assert list(await link.conversations(ListConversations())) == []


@on_loop
async def test_a_call_that_is_cancelled_while_dead_connections_are_closed_closes_all_of_them(
    backend: Served,
) -> None:
    async with relay(backend) as (url, accepted), transport_to(url) as transport:
        for step, times in itertools.product(range(8), (1, 2)):
            accepted.clear()
            await asyncio.gather(*(transport.revoke("nobody") for _ in range(3)))
            assert len(accepted) == 3, "three are kept"
            for writer in accepted:
                writer.close()
            await asyncio.sleep(0.05)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always", ResourceWarning)
                call = asyncio.ensure_future(transport.revoke("nobody"))
                for _ in range(step):
                    await asyncio.sleep(0)
                for _ in range(times):
                    call.cancel()
                    await asyncio.sleep(0)
                await asyncio.wait((call,))
                await asyncio.sleep(0.05)
                gc.collect()
            assert [str(warning.message) for warning in told] == [], (step, times)


@on_loop
async def test_a_path_in_front_of_the_api_and_a_slash_at_the_end_are_kept_and_left_out(
    backend: Served,
) -> None:
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b" ")[1].partition(b"?")[0].decode())
        await relayed(
            reader, writer, "127.0.0.1", backend.port, head.replace(b" /chat/eu/", b" /", 1)
        )

    async with (
        listening(serve) as port,
        transport_to(f"HTTP://127.0.0.1:{port}/chat/eu/") as transport,
        link_of(transport),
    ):
        assert asked == ["/chat/eu/widget/v1/sessions/anonymous", "/chat/eu/widget/v1/realtime"]


@on_loop
async def test_ipv6_addresses_are_addresses(backend: Served) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await relayed(reader, writer, "127.0.0.1", backend.port)

    try:
        async with (
            listening(serve, host="::1") as port,
            transport_to(f"http://[::1]:{port}") as transport,
            link_of(transport) as link,
        ):
            assert list(await link.conversations(ListConversations())) == []
    except OSError as error:
        if type(error) is OSError:
            pytest.skip("this machine has no IPv6")
        raise


NO_ADDRESSES: list[Any] = [
    "",
    "chat.example.com",
    "ws://chat.example.com",
    "ftp://chat.example.com",
    "http://",
    "http:///widget",
    "https://chat.example.com?x=1",
    "https://chat.example.com#top",
    "https://chat.example.com:99999",
    "https://chat.example.com:0",
    "https://chat.example.com:port",
    "http://[::1",
    None,
    5,
    b"https://chat.example.com",
]


@pytest.mark.parametrize("base_url", NO_ADDRESSES, ids=repr)
def test_what_is_no_address_of_a_backend_is_refused_at_once(base_url: Any) -> None:
    with pytest.raises(InvalidInputError, match="base_url"):
        WidgetAPITransport(base_url)


def test_an_address_with_a_password_is_refused_and_not_shown() -> None:
    with pytest.raises(InvalidInputError) as caught:
        WidgetAPITransport("https://user:hunter2@chat.example.com")
    assert "hunter2" not in f"{caught.value!r}"


@pytest.mark.parametrize(
    "times",
    [
        {"ping_every": 0.0},
        {"ping_every": -1.0},
        {"poll_wait": 0.0},
        {"poll_wait": 31.0},
        {"socket_patience": 0.0},
    ],
)
def test_times_that_cannot_be_are_refused_at_once(times: dict[str, float]) -> None:
    with pytest.raises(InvalidInputError, match="poll_wait"):
        # a mapping of its floats
        WidgetAPITransport("https://chat.example.com", **times)  # type: ignore[arg-type]


def test_a_transport_shows_its_host_and_nothing_else() -> None:
    transport = WidgetAPITransport(
        "https://chat.example.com/eu", proxy="http://user:hunter2@proxy.example.com:3128"
    )
    assert repr(transport) == "<WidgetAPITransport chat.example.com>"
