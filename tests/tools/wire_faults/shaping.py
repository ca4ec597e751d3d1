"""What a fault does to the bytes of one message on their way: a stream of pieces in, a stream of
pieces out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from .faults import Cut, Delay, Fault, Garbage, Sender, ShapeFault, Slow, Stall
from .wires import Gate

Took = Callable[[int], None]
"""Told when a fault takes effect, with the number of bytes that have passed."""


class CutOffError(Exception):
    """Here the message is cut."""


def shape_of(fault: Fault | None, of: Sender) -> ShapeFault | None:
    """The fault, if it is one that changes the bytes that `of` sends."""
    return (
        fault
        if isinstance(fault, Stall | Delay | Slow | Cut | Garbage) and fault.of in (of, "both")
        else None
    )


def shaped(
    pieces: AsyncIterator[bytes], head: int, fault: ShapeFault | None, took: Took, gate: Gate
) -> AsyncIterator[bytes]:
    """The message as it comes out; `head` is the size of its head. Raises CutOffError where it is
    cut.
    """
    match fault:
        case None:
            return pieces
        case Slow(rate=rate):
            return _slow(pieces, rate, took)
        case Delay(seconds=seconds):
            return _stopped(pieces, 0, took, lambda: asyncio.sleep(seconds))
        case Stall(after=after, part=part, seconds=limit):
            return _stopped(pieces, after + head * (part == "body"), took, lambda: gate.wait(limit))
        case Cut(after=after, part=part):
            return _stopped(pieces, after + head * (part == "body"), took, _cut)
        case Garbage(at=at, part=part, data=data):
            return _replaced(pieces, at + head * (part == "body"), data, took)


async def _cut() -> None:
    raise CutOffError


async def _slow(
    pieces: AsyncIterator[bytes], rate: float, took: Took
) -> AsyncGenerator[bytes, None]:
    took(0)
    async for piece in pieces:
        async for part in trickle(piece, rate):
            yield part


async def trickle(data: bytes, rate: float) -> AsyncGenerator[bytes, None]:
    """The bytes in small parts, `rate` bytes a second."""
    step = max(1, int(rate / 50))
    for begin in range(0, len(data), step):
        yield data[begin : begin + step]
        await asyncio.sleep(step / rate)


async def _stopped(
    pieces: AsyncIterator[bytes], offset: int, took: Took, there: Callable[[], Awaitable[None]]
) -> AsyncGenerator[bytes, None]:
    """Passes `offset` bytes, does `there` if there are more, passes the rest."""
    position, reached = 0, False
    async for piece in pieces:
        if not reached and position + len(piece) > offset:
            before, piece = piece[: offset - position], piece[offset - position :]
            if before:
                yield before
            reached = True
            took(offset)
            await there()
        position += len(piece)
        yield piece


async def _replaced(
    pieces: AsyncIterator[bytes], offset: int, data: bytes, took: Took
) -> AsyncGenerator[bytes, None]:
    position, end = 0, offset + len(data)
    async for piece in pieces:
        begin, finish = max(offset, position), min(end, position + len(piece))
        if begin < finish:
            took(begin)
            new = data[begin - offset : finish - offset]
            yield piece[: begin - position] + new + piece[finish - position :]
        else:
            yield piece
        position += len(piece)
