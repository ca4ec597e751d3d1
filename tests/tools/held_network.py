"""A network to a Redis server that holds what a storage writes, as long as a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import attrs

_PATIENCE: Final = 60.0


@attrs.define(eq=False)
class Network:
    """The way to the server: while it `holds`, scripts that write do not get through."""

    server: str
    url: str = ""
    holds: bool = True
    breaks: bool = False
    """Whether the connection of whoever sent such a script breaks as well."""
    holding: Sequence[bytes] = (b"redis.call('DEL'", b"redis.call('SET'")
    """What such a script has in it."""
    stopping: Callable[[], object] = bool
    """Done before such a script is held, or gets through."""
    came: asyncio.Event = attrs.field(factory=asyncio.Event)
    """Set when such a script has come."""
    answered: bytes = b""
    """All that the server has answered."""

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carries one connection until both ends have closed it."""
        place = urlsplit(self.server)
        back, forth = await asyncio.open_connection(place.hostname, place.port)
        await asyncio.gather(self._forth(reader, forth, writer), self._back(back, writer))
        for end in (forth, writer):
            end.close()
            with contextlib.suppress(ConnectionError):
                await end.wait_closed()

    async def _forth(
        self, reader: asyncio.StreamReader, server: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(1 << 20):
            if any(words in data for words in self.holding):
                self.stopping()
                self.came.set()
                if self.breaks:
                    back.close()
                await until(lambda: not self.holds)
            server.write(data)
        server.write_eof()

    async def _back(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 20):
            self.answered += data
            with contextlib.suppress(ConnectionError):
                client.write(data)
        client.close()  # which ends the other direction, too


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(_PATIENCE):
        while not holds():  # noqa: ASYNC110  # nobody tells when it holds
            await asyncio.sleep(0.001)


@asynccontextmanager
async def network(server: str) -> AsyncGenerator[Network, None]:
    """A network of the test's own to this server."""
    between, carrying = Network(server), set[asyncio.Task[None]]()

    def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying.add(asyncio.ensure_future(between.carry(reader, writer)))

    async with await asyncio.start_server(carry, "127.0.0.1", 0) as listening:
        between.url = f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0"
        try:
            yield between
        finally:
            between.holds = False
            listening.close()
            await asyncio.wait(carrying, timeout=_PATIENCE)
