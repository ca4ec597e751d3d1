"""The two sockets of a connection, the gate that stalled bytes wait at, and what a fault does to
bytes on their way.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import attrs

from .faults import ByteFault, Cut, Fault, Garbage, Sender, Slow, Stall
from .http1 import LIMIT

TakeEffect: TypeAlias = Callable[[int], None]
"""Called when a fault takes effect, with the number of bytes that have passed."""


class CutError(Exception):
    """Here the message is cut."""


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
    """Where stalled bytes wait until they are released."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()

    async def wait(self, seconds: float | None = None) -> None:
        """Waits for the next `release`, at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._opened.wait()

    def release(self) -> None:
        """Lets through all who wait now."""
        opened, self._opened = self._opened, asyncio.Event()
        opened.set()


def byte_fault(fault: Fault | None, of: Sender) -> ByteFault | None:
    """The fault, if it is one that changes the bytes that `of` sends."""
    return fault if isinstance(fault, ByteFault) and fault.of in (of, "both") else None


def faulty(
    pieces: AsyncIterator[bytes],
    head: int,
    fault: ByteFault | None,
    take_effect: TakeEffect,
    gate: Gate,
) -> AsyncIterator[bytes]:
    """The bytes of a message as they come out; `head` is the size of its head. Raises CutError
    where it is cut.
    """
    match fault:
        case None:
            return pieces
        case Slow(rate=rate):
            return _slow(pieces, rate, take_effect)
        case Stall(after=after, part=part, seconds=limit):
            offset = after + head * (part == "body")
            return _stopped(pieces, offset, take_effect, lambda: gate.wait(limit))
        case Cut(after=after, part=part):
            return _stopped(pieces, after + head * (part == "body"), take_effect, _cut)
        case Garbage(at=at, part=part, data=data):
            return _replaced(pieces, at + head * (part == "body"), data, take_effect)


async def trickle(data: bytes, rate: float) -> AsyncGenerator[bytes, None]:
    """The bytes in small parts, `rate` bytes a second."""
    step = max(1, int(rate / 50))
    for begin in range(0, len(data), step):
        yield data[begin : begin + step]
        await asyncio.sleep(step / rate)


async def _slow(
    pieces: AsyncIterator[bytes], rate: float, take_effect: TakeEffect
) -> AsyncGenerator[bytes, None]:
    take_effect(0)
    async for piece in pieces:
        async for part in trickle(piece, rate):
            yield part


async def _cut() -> None:
    raise CutError


async def _stopped(
    pieces: AsyncIterator[bytes],
    offset: int,
    take_effect: TakeEffect,
    stop: Callable[[], Awaitable[None]],
) -> AsyncGenerator[bytes, None]:
    """Passes `offset` bytes, awaits `stop()` if there are more, passes the rest."""
    position, stopped = 0, False
    async for piece in pieces:
        if not stopped and position + len(piece) > offset:
            before, piece = piece[: offset - position], piece[offset - position :]
            if before:
                yield before
            stopped = True
            take_effect(offset)
            await stop()
        position += len(piece)
        yield piece


async def _replaced(
    pieces: AsyncIterator[bytes], offset: int, data: bytes, take_effect: TakeEffect
) -> AsyncGenerator[bytes, None]:
    position, end = 0, offset + len(data)
    async for piece in pieces:
        begin, finish = max(offset, position), min(end, position + len(piece))
        if begin < finish:
            take_effect(begin)
            new = data[begin - offset : finish - offset]
            yield piece[: begin - position] + new + piece[finish - position :]
        else:
            yield piece
        position += len(piece)
