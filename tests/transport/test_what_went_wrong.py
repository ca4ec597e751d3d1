"""An address that cannot be dialled is told by name, with the system's reason, and nothing of one
person is left for the next: no cookie, no connection of a loop that is over.

The backends here are a few bytes on a socket, so that they may do what no real one does.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import itertools
import json
import socket
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qs

import httpx2
import pytest

from async_tests import in_real_time
from served import Served
from support_chat.errors import (
    InvalidInputError,
    NetworkError,
    NotABackendError,
    RateLimitedError,
)
from support_chat.ports import (
    Credentials,
    ListConversations,
    ListMessages,
)
from support_chat_adapters.transport import WidgetAPITransport, widget_link

WELCOME: Final = {
    "session": "session-1.secret",
    "visitorId": "visitor-1",
    "realtimeToken": "token",
    "cursor": "0",
}
OPEN: Final = "/widget/v1/sessions/anonymous"
POLL: Final = "/widget/v1/realtime"
SECRET: Final = "correct-horse-battery-staple"

Answers = Mapping[str, tuple[int, Any] | Callable[[str], tuple[int, Any]]]
"""Path to status and body; or what makes them from the query."""


@asynccontextmanager
async def answering(
    answers: Answers, headers: str = "", live: bytes | None = None
) -> AsyncGenerator[tuple[str, list[dict[str, str]]], None]:
    """The URL of a server that answers like this, and the headers of what it was asked; `live` is
    what it sends over a WebSocket, which it never ends.
    """
    asked: list[dict[str, str]] = []
    over = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        given = {name.lower(): value for name, _, value in (line.partition(": ") for line in head)}
        await reader.readexactly(int(given.get("content-length", 0)))
        asked.append(given)
        if "upgrade" in given and live is not None:
            writer.write(_accepted(given["sec-websocket-key"]) + live)
            await over.wait()
        else:
            path, _, query = head[0].split(" ")[1].partition("?")
            made = answers.get(path, (404, ""))
            status, body = made(query) if callable(made) else made
            content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            writer.write(
                f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(content)}\r\n"
                "Connection: close\r\n\r\n".encode()
                + content
            )
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        over.set()
        server.close()


def _accepted(key: str) -> bytes:
    proof = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    return (
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {base64.b64encode(proof).decode()}\r\n\r\n"
    ).encode()


def frame(kind: int, content: bytes) -> bytes:
    """A short WebSocket frame as a server sends it."""
    return bytes([0x80 | kind, len(content)]) + content


HELLO: Final = frame(1, b'{"type": "hello", "cursor": "0"}')
GO_AWAY: Final = frame(8, (4429).to_bytes(2) + b"30")
"""Closes, and asks to stay away for 30 s."""


def visitor() -> Credentials:
    return Credentials("demo", "web", f"visitor-{uuid.uuid4().hex}")


WORKING: Final[Answers] = {OPEN: (200, WELCOME), POLL: (200, {"cursor": "0"})}


def closed_port() -> int:
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        return int(plug.getsockname()[1])


async def failure_of(transport: WidgetAPITransport, who: Credentials | None = None) -> NetworkError:
    async with asyncio.timeout(60):
        with pytest.raises(NetworkError) as caught:
            await transport.open(who or visitor())
        await transport.aclose()
    return caught.value


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@in_real_time
async def test_a_refused_connection_is_named_with_host_port_and_the_systems_word(host: str) -> None:
    port = closed_port()
    error = await failure_of(WidgetAPITransport(f"http://{host}:{port}"))
    assert error.message == (
        f"{host}:{port} cannot be reached: Connection refused; check the network and base_url."
    )
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert type(error) is NetworkError


@pytest.mark.parametrize(
    ("base_url", "proxy", "host", "way_out"),
    [
        ("https://no-such-host.invalid", None, "no-such-host.invalid", "base_url"),
        (
            "https://chat.example.com",
            f"http://user:{SECRET}@no-such-proxy.invalid:3128",
            "no-such-proxy.invalid",
            "check proxy=, or HTTPS_PROXY and NO_PROXY",
        ),
    ],
)
@in_real_time
async def test_an_unknown_host_is_named(
    base_url: str, proxy: str | None, host: str, way_out: str
) -> None:
    error = await failure_of(WidgetAPITransport(base_url, proxy=proxy))
    assert error.message.startswith(f"The host {host} is unknown (")
    assert error.message.endswith(f"{way_out}.")
    assert isinstance(error.__cause__, socket.gaierror)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, "<html>"), "answered with status 404"),
        ((200, "<html>"), "cannot be read"),
        ((200, {"ok": True}), "cannot be read"),
        ((302, ""), "answered with status 302"),
    ],
)
@in_real_time
async def test_a_page_that_is_no_widget_api_is_named(answer: tuple[int, Any], said: str) -> None:
    async with answering({OPEN: answer}) as (url, _):
        error = await failure_of(WidgetAPITransport(url))
        assert isinstance(error, NotABackendError)
        assert url.removeprefix("http://") in error.message
        assert said in error.message


@in_real_time
async def test_a_proxy_that_cannot_be_reached_is_blamed_and_its_password_is_not_shown() -> None:
    port = closed_port()
    proxy = f"http://user:{SECRET}@127.0.0.1:{port}"
    error = await failure_of(WidgetAPITransport("http://127.0.0.1:1", proxy=proxy))
    assert error.message == (
        f"The proxy 127.0.0.1:{port} cannot be reached: Connection refused; check proxy=, or "
        "HTTPS_PROXY and NO_PROXY."
    )
    cause: BaseException | None = error
    while cause is not None:
        assert SECRET not in f"{cause} {cause!r}"
        cause = cause.__cause__


@in_real_time
async def test_a_backend_that_breaks_off_is_named() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(break_off, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        error = await failure_of(WidgetAPITransport(f"http://{address}"))
        assert error.message.startswith(f"{address} did not answer: it broke off")


@pytest.mark.parametrize("end", ["/widget/v1", "/widget/v1/", "/below/widget/v1"])
def test_a_base_url_with_the_base_of_the_api_is_told(end: str) -> None:
    with pytest.raises(InvalidInputError, match=r"base_url ends with /widget/v1, .* leave it out"):
        WidgetAPITransport(f"https://chat.example.com{end}")


LEFT_BEHIND: Final = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
"""A loop that ends leaves its connections behind, which Python warns of."""
SETS: Final = "Set-Cookie: track=ada; Path=/; Max-Age=99999999\r\n"


@pytest.mark.parametrize("passed", [False, True])
@in_real_time
async def test_no_cookie_of_one_person_is_sent_for_the_next(passed: bool) -> None:
    async with answering(WORKING, SETS) as (url, asked), httpx2.AsyncClient() as client:
        transport = WidgetAPITransport(url, websocket=None, http=client if passed else None)
        for _ in range(2):
            (await transport.open(visitor())).abort()
        await transport.aclose()
        assert len(asked) >= 4
        assert all("cookie" not in headers for headers in asked)


@in_real_time
async def test_the_cookies_of_a_client_that_was_passed_are_sent_and_no_others() -> None:
    for how in ({"cookies": {"balancer": "7"}}, {"headers": {"Cookie": "balancer=7"}}):
        client = httpx2.AsyncClient(**how)  # type: ignore[arg-type]
        async with answering(WORKING, SETS) as (url, asked), client:
            transport = WidgetAPITransport(url, websocket=None, http=client)
            for _ in range(2):
                (await transport.open(visitor())).abort()
            assert {headers.get("cookie") for headers in asked} == {"balancer=7"}


@LEFT_BEHIND
def test_a_transport_serves_one_event_loop_after_the_other(lasting: Served) -> None:
    """A second asyncio.run() finds no connection of the first one."""

    @in_real_time
    async def dial() -> None:
        (await transports[0].open(visitor())).abort()

    @in_real_time
    async def close() -> None:
        await transports.pop().aclose()

    lasting.start()
    transports = [WidgetAPITransport(lasting.url, websocket=None)]
    dial()
    dial()
    close()
    gc.collect()


@LEFT_BEHIND
def test_a_client_of_another_event_loop_is_told(lasting: Served) -> None:
    @in_real_time
    async def dial() -> None:
        (await transports[0].open(visitor())).abort()

    @in_real_time
    async def dial_again() -> None:
        with pytest.raises(NetworkError, match="belongs to another event loop; make a new") as told:
            await transports.pop().open(visitor())
        assert not told.value.recoverable

    lasting.start()
    transports = [WidgetAPITransport(lasting.url, websocket=None, http=httpx2.AsyncClient())]
    dial()
    dial_again()
    gc.collect()


@in_real_time
async def test_a_listing_that_comes_back_to_a_page_ends() -> None:
    pages = {"": "1", "1": "2", "2": "1"}

    def page(query: str) -> tuple[int, Any]:
        cursor = parse_qs(query).get("cursor", [""])[0]
        return 200, {"conversations": [], "messages": [], "nextCursor": pages[cursor]}

    listings = {"/widget/v1/conversations": page, "/widget/v1/conversations/c/messages": page}
    async with answering({**WORKING, **listings}) as (url, asked):
        link = await WidgetAPITransport(url, websocket=None).open(visitor())
        for listing in (
            lambda: link.conversations(ListConversations()),
            lambda: link.messages(ListMessages("c")),
        ):
            before = len(asked)
            with pytest.raises(NetworkError, match="do not end") as caught:
                await listing()
            assert caught.value.reason == "endless_listing"
            assert len(asked) - before <= 4
        link.abort()


@in_real_time
async def test_a_listing_that_grows_without_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widget_link, "MOST_PAGES", 5)
    numbers = itertools.count(1)

    def page(query: str) -> tuple[int, Any]:
        return 200, {"conversations": [], "nextCursor": f"{next(numbers)}"}

    async with answering({**WORKING, "/widget/v1/conversations": page}) as (url, _):
        link = await WidgetAPITransport(url, websocket=None).open(visitor())
        with pytest.raises(NetworkError, match="more than 5"):
            await link.conversations(ListConversations())
        assert next(numbers) == 6
        link.abort()


@pytest.mark.parametrize("hello", [HELLO, b""], ids=["after a hello", "in place of it"])
@in_real_time
async def test_a_close_frame_is_obeyed_though_the_connection_never_ends(hello: bytes) -> None:
    async with answering(WORKING, live=hello + GO_AWAY) as (url, _):
        transport = WidgetAPITransport(url, ping_every=300.0)
        with pytest.raises(RateLimitedError) as caught:
            await anext((await transport.open(visitor())).events())
        assert caught.value.retry_after == 30.0
        await transport.aclose()
