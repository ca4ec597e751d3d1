"""The two sockets of a connection, and the gate that stalled bytes wait at."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import attrs

from .http1 import LIMIT


@attrs.frozen(eq=False)
class Wire:
    """One socket's streams."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    def of(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Wire:
        """Streams whose `send` returns when the kernel has the bytes."""
        writer.transport.set_write_buffer_limits(0)
        return cls(reader, writer)

    @classmethod
    async def to(cls, host: str, port: int) -> Wire:
        """A new connection."""
        return cls.of(*await asyncio.open_connection(host, port, limit=LIMIT))

    async def send(self, data: bytes) -> None:
        """Sends the bytes; returns when they have left this process."""
        self.writer.write(data)
        await self.writer.drain()

    async def pour(self, pieces: AsyncIterator[bytes]) -> int:
        """Sends the pieces as they come; returns how many bytes they were."""
        size = 0
        async for piece in pieces:
            await self.send(piece)
            size += len(piece)
        return size

    def close(self) -> None:
        """Closes, after what was sent; a second call does nothing."""
        self.writer.close()

    def reset(self) -> None:
        """Closes with a TCP reset; does nothing to a connection that is closed."""
        if not self.writer.transport.is_closing():
            raw: socket.socket = self.writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Gate:
    """Where stalled bytes wait until somebody lets them through."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()

    async def wait(self, seconds: float | None = None) -> None:
        """Waits for the next `release`, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._opened.wait()
        except TimeoutError:
            pass

    def release(self) -> None:
        """Lets through all who wait now."""
        opened, self._opened = self._opened, asyncio.Event()
        opened.set()
