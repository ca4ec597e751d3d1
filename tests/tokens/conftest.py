"""A customer's server, as bytes on a socket: it answers what a test gives it, well-formed or not,
and remembers what it was sent.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import attrs
import pytest

Answer: TypeAlias = "bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]"
"""What one request gets: bytes, after which the connection is closed, or a coroutine that writes as
it likes.
"""


@attrs.define
class TokenServer:
    """A server on a free port. The n-th request gets the n-th of `answers`, the last one again and
    again.
    """

    answers: list[Answer]
    url: str = ""
    heads: list[str] = attrs.field(factory=list[str])
    """The head of each request, as text."""
    asked: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set when a request has come."""
    closed: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set when a client has closed a connection before the server did."""

    tasks: list[asyncio.Future[None]] = attrs.field(factory=list[asyncio.Future[None]])

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves a connection in a task that is waited for at the end."""
        self.tasks.append(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head.decode("latin-1"))
            self.asked.set()
            answer = self.answers[min(len(self.heads), len(self.answers)) - 1]
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                watch = asyncio.ensure_future(self._until_closed(reader))
                writing = asyncio.ensure_future(answer(writer))
                await asyncio.wait((watch, writing), return_when=asyncio.FIRST_COMPLETED)
                for task in (watch, writing):
                    task.cancel()
                await asyncio.gather(watch, writing, return_exceptions=True)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.closed.set()
        finally:
            writer.close()

    async def _until_closed(self, reader: asyncio.StreamReader) -> None:
        try:
            while await reader.read(1024):
                pass
        except ConnectionError:
            pass
        self.closed.set()


Serving: TypeAlias = Callable[..., AbstractAsyncContextManager[TokenServer]]


@pytest.fixture
def serving() -> Serving:
    """`async with serving(*answers, tls=None) as server`: the server, on the running loop."""

    @asynccontextmanager
    async def serve(
        *answers: Answer, tls: ssl.SSLContext | None = None
    ) -> AsyncGenerator[TokenServer]:
        server = TokenServer(list(answers))
        listening = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=tls)
        server.url = (
            f"http{'s' if tls else ''}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/token"
        )
        async with listening:
            yield server
        await asyncio.wait_for(asyncio.gather(*server.tasks), 10)

    return serve
