"""Enough of HTTP/1.1 to know where a message begins and ends; its bytes pass as they came.

With one exception: an upgrade offers no WebSocket extensions. Compressed, a frame would depend on
those before it, and one that is lost or repeated would damage all that follow, which no network
does.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from urllib.parse import urlsplit

import attrs

LIMIT = 1 << 20
"""The largest head, in bytes."""


class UnreadableError(ValueError):
    """What came is no HTTP/1.1."""


@attrs.frozen
class Request:
    """One request, read to its end."""

    method: str
    path: str
    upgrade: bool
    head: bytes = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)


@attrs.frozen
class Response:
    """One response, whose body is still to come."""

    status: int
    keep: bool
    head: bytes = attrs.field(repr=False)
    body: AsyncGenerator[bytes, None] = attrs.field(repr=False)


@attrs.frozen
class _Head:
    words: list[str]
    headers: dict[str, str]
    raw: bytes

    def says(self, name: str, word: str) -> bool:
        return word in [part.strip() for part in self.headers.get(name, "").lower().split(",")]


async def _read_head(reader: asyncio.StreamReader) -> _Head:
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError as error:
        raise UnreadableError("a head without end") from error
    lines = raw.decode("latin-1").split("\r\n")
    pairs = [line.partition(":") for line in lines[1:] if line]
    words = lines[0].split(" ", 2)
    if len(words) < 2:
        raise UnreadableError("no start line")
    return _Head(words, {name.strip().lower(): value.strip() for name, _, value in pairs}, raw)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request; None if the connection ends before one begins."""
    try:
        head = await _read_head(reader)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    if len(head.words) != 3:
        raise UnreadableError("no request line")
    body = b"".join([piece async for piece in _body(reader, head, until_closed=False)])
    method, target, _ = head.words
    upgrade = head.says("upgrade", "websocket")
    raw = (
        re.sub(rb"\r\nsec-websocket-extensions:[^\r]*", b"", head.raw, flags=re.IGNORECASE)
        if upgrade
        else head.raw
    )
    return Request(method, urlsplit(target).path, upgrade, raw, body)


async def read_response(reader: asyncio.StreamReader, method: str) -> Response:
    """The next response to a request of this method; interim ones (100, 103) are part of its
    head.
    """
    before = b""
    while True:
        head = await _read_head(reader)
        if not head.words[0].startswith("HTTP/1.") or not head.words[1].isdecimal():
            raise UnreadableError("no status line")
        status = int(head.words[1])
        if status == 101 or status >= 200:
            break
        before += head.raw
    empty = method == "HEAD" or status in (101, 204, 304)
    sized = empty or "content-length" in head.headers or head.says("transfer-encoding", "chunked")
    framed = attrs.evolve(head, headers={}) if empty else head  # of what length it says it would be
    body = _body(reader, framed, until_closed=not sized)
    keep = sized and not head.says("connection", "close") and head.words[0] != "HTTP/1.0"
    return Response(status, keep, before + head.raw, body)


async def _body(
    reader: asyncio.StreamReader, head: _Head, *, until_closed: bool
) -> AsyncGenerator[bytes, None]:
    if head.says("transfer-encoding", "chunked"):
        async for piece in _chunks(reader):
            yield piece
    elif until_closed:
        while piece := await reader.read(65536):
            yield piece
    else:
        try:
            left = int(head.headers.get("content-length", "0"))
        except ValueError as error:
            raise UnreadableError("a content length that is no number") from error
        while left > 0:
            piece = await reader.read(min(left, 65536))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    size = -1
    while size != 0:
        line = await reader.readuntil(b"\r\n")
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError as error:
            raise UnreadableError("a chunk without a size") from error
        yield line + (await reader.readexactly(size + 2) if size else b"")
    while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
        yield line
    yield line
