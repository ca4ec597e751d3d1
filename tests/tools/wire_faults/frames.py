"""Enough of WebSocket (RFC 6455) to know where a frame begins and ends; its bytes pass as they
came.
"""

from __future__ import annotations

import asyncio
import struct

import attrs

CLOSE = 8


@attrs.frozen
class Frame:
    """One frame, masked if it was."""

    opcode: int
    raw: bytes = attrs.field(repr=False)
    code: int = 0
    """Of a close frame."""

    @property
    def is_data(self) -> bool:
        """Text, binary or a continuation; not a ping, a pong or a close."""
        return self.opcode < CLOSE


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """The next frame; None if the connection ends before one begins."""
    try:
        raw = await reader.readexactly(2)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    opcode, size, masked = raw[0] & 0x0F, raw[1] & 0x7F, bool(raw[1] & 0x80)
    if size >= 126:
        longer = await reader.readexactly(2 if size == 126 else 8)
        raw, size = raw + longer, int.from_bytes(longer, "big")
    mask = await reader.readexactly(4) if masked else bytes(4)
    payload = await reader.readexactly(size)
    code = 0
    if opcode == CLOSE and size >= 2:
        code = (payload[0] ^ mask[0]) << 8 | payload[1] ^ mask[1]
    return Frame(opcode, raw + (mask if masked else b"") + payload, code)


def close_frame(code: int, reason: str) -> bytes:
    """A close frame as a server sends it."""
    payload = struct.pack("!H", code) + reason.encode()
    if len(payload) > 125:
        raise ValueError("the reason of a close has at most 123 bytes")
    return bytes([0x80 | CLOSE, len(payload)]) + payload
