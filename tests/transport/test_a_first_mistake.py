"""A newcomer's first mistake is told by the first attempt to connect, before anything is tried
again, in a sentence that names it.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import pytest
import trustme

from piping import listening
from support_chat import AttemptFailed, SupportChat, ports
from support_chat.testing import RecordingStorage
from support_chat_adapters.transport import WidgetAPITransport
from tls_relay import tls_relay

Transports = Callable[[], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def nobody() -> AsyncGenerator[ports.Transport, None]:
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        port = plug.getsockname()[1]
    transport = WidgetAPITransport(f"http://127.0.0.1:{port}")
    yield transport
    await transport.aclose()


@asynccontextmanager
async def unknown_host() -> AsyncGenerator[ports.Transport, None]:
    transport = WidgetAPITransport("https://no-such-host.invalid")
    yield transport
    await transport.aclose()


@asynccontextmanager
async def page() -> AsyncGenerator[ports.Transport, None]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
        writer.close()

    async with listening(answer) as port:
        transport = WidgetAPITransport(f"http://127.0.0.1:{port}")
        yield transport
        await transport.aclose()


@asynccontextmanager
async def untrusted() -> AsyncGenerator[ports.Transport, None]:
    async with tls_relay("http://127.0.0.1:1", trustme.CA()) as url:
        transport = WidgetAPITransport(url)
        yield transport
        await transport.aclose()


class Slip:
    """A transport of one's own, in which one name is mistyped."""

    async def open(self, credentials: ports.Credentials) -> Any:
        return credentials.visitr  # type: ignore[attr-defined]

    async def revoke(self, session: str) -> None:
        return

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        return

    async def aclose(self) -> None:
        return


@asynccontextmanager
async def slip() -> AsyncGenerator[ports.Transport, None]:
    yield Slip()


MISTAKES: Final[dict[str, tuple[Transports, str]]] = {
    "a backend that is not there": (nobody, r"127\.0\.0\.1:\d+ cannot be reached: Connection ref"),
    "an unknown host": (unknown_host, r"The host no-such-host\.invalid is unknown"),
    "an untrusted certificate": (untrusted, r"127\.0\.0\.1:\d+ shows a certificate that is not "),
    "a page that is no backend": (page, r"127\.0\.0\.1:\d+ .*it is no Widget API"),
    "a typing slip": (slip, r"AttributeError \(test_a_first_mistake\.py, line \d+\)"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_it_is_told_by_the_first_attempt(mistake: str) -> None:
    async def scenario() -> None:
        make, sentence = MISTAKES[mistake]
        async with make() as transport:
            chat = SupportChat(
                workspace_id="demo",
                widget_id="web",
                transport=transport,
                storage=RecordingStorage(),
            )
            told = asyncio.get_running_loop().create_future()

            def tell(event: AttemptFailed) -> None:
                if not told.done():
                    told.set_result(event)

            chat.on(AttemptFailed, tell)
            boot = chat.boot()
            ended = asyncio.ensure_future(_error_of(boot))
            await asyncio.wait((told, ended), return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                assert told.result().attempt == 1
                error = told.result().error
            else:  # a boot that no second attempt can help ends at once
                error = ended.result()
            assert re.search(sentence, str(error)), error
            await chat.destroy()
            await ended

    async def limited() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(limited())


async def _error_of(call: Any) -> BaseException:
    try:
        await call
    except Exception as error:
        return error
    raise AssertionError("it has succeeded")
