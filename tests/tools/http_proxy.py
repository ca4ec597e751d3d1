"""A proxy as companies have one: it forwards HTTP requests, opens tunnels (CONNECT), may want a
password, and keeps a log.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import attrs

from piping import listening, relayed


@attrs.define
class HTTPProxy:
    """The proxy while it runs: its `url`, and what it was asked for (method and target, the query
    left out).
    """

    url: str = ""
    log: list[tuple[str, str]] = attrs.field(factory=list[tuple[str, str]])
    refused: int = 0
    """How many were refused for want of the password."""
    tunnels: bool = True
    """Whether CONNECT is allowed."""

    def targets(self, method: str) -> list[str]:
        """What was asked for with this method."""
        return [target for asked, target in self.log if asked == method]


@asynccontextmanager
async def http_proxy(*, password: str | None = None) -> AsyncGenerator[HTTPProxy, None]:
    """A proxy on the running loop; with `password` it lets only `user` with it through, and answers
    407 to everybody else.
    """
    proxy = HTTPProxy()
    wanted = (
        None
        if password is None
        else "Basic " + base64.b64encode(f"user:{password}".encode()).decode()
    )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, _, rest = head.partition("\r\n")
        method, target, version = request.split(" ")
        lines = rest.rstrip("\r\n").split("\r\n")
        given = [
            line.partition(":")[2].strip()
            for line in lines
            if line.lower().startswith("proxy-authorization:")
        ]
        proxy.log.append((method, target.partition("?")[0]))
        if wanted is not None and given != [wanted]:
            proxy.refused += 1
            writer.write(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: "
                b"Basic\r\ncontent-length: 0\r\n\r\n"
            )
            await writer.drain()
            return
        if method == "CONNECT" and not proxy.tunnels:
            writer.write(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await relayed(reader, writer, host.strip("[]"), int(port))
            return
        parts = urlsplit(target)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
        # one request a connection
        first = "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""])
        await relayed(
            reader, writer, str(parts.hostname), parts.port or 80, first.encode("latin-1")
        )

    async with listening(serve) as port:
        proxy.url = f"http://127.0.0.1:{port}"
        yield proxy
