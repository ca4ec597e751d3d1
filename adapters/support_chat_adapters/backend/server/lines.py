"""The server's TCP connections, watched from outside of the HTTP server: what each may hold, and
how long it may keep the server waiting.

uvicorn bounds the size of a request's head and of a WebSocket's frame, and the pause between two
requests. It does not bound how long a head or a body takes, nor how long a client leaves what it
was sent, nor how much that is: it waits for room, and a connection that it closes waits until the
client has taken all. So each connection is a `Line` here, from accept to its end; the server looks
around several times a second, and cuts one that keeps it waiting too long, which no client can
delay.

Whether a request is under way only the application knows; it runs `around`, which tells the line.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias, cast

import attrs
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .addresses import household_of
from .limits import ConnectionLimits

ROOM: Final = 64 * 1024
"""Bytes that may wait for a client before the server waits for the client."""
_STATE: Final = "line"
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 15\r\nconnection: close\r\n"
    b"content-length: 0\r\n\r\n"
)
Tell: TypeAlias = Callable[[str], None]
"""Is told why a connection was cut or refused: `slow_reader`, `too_many_connections`..."""


@attrs.define(eq=False)
class Line:
    """One TCP connection; all times are the loop's."""

    transport: asyncio.Transport
    address: str
    waits_for_head_since: float | None
    """When it began to wait for the head of a request; None while one is under way."""
    waits_for_body_since: float | None = None
    waits_for_client_since: float | None = None
    """When the client was first seen not to take what waits for it."""
    body: int = 0
    """Bytes of the body of the request under way that have come so far."""
    under_way: int = 0
    is_link: bool = False
    """It has become a WebSocket."""
    counted: bool = True
    """Its address has a share of connections, and this is one of them."""

    def began(self, scope_type: str, now: float) -> None:
        """A request has come in, and is under way."""
        self.under_way += 1
        self.is_link = scope_type == "websocket"
        self.waits_for_head_since = None
        self.waits_for_body_since = None if self.is_link else now

    def has_come(self, body: bytes, *, more: bool) -> None:
        """Some of the body has come, or the rest of it."""
        self.body += len(body)
        if not more:
            self.waits_for_body_since = None

    def ended(self, now: float) -> None:
        """The request has been answered, or the link is over."""
        self.under_way -= 1
        self.body = 0
        self.waits_for_body_since = None
        if not self.under_way and not self.is_link:
            self.waits_for_head_since = now

    def too_late(self, buffered: int, limits: ConnectionLimits, now: float) -> str | None:
        """Why the line is to be cut, if it has kept the server waiting too long; `buffered` bytes
        wait for its client now.
        """
        closing = self.transport.is_closing()
        if buffered > ROOM or (buffered and closing):
            since = self.waits_for_client_since
            if since is None:
                self.waits_for_client_since = now
            elif now - since >= (limits.goodbye_seconds if closing else limits.send_seconds):
                return "slow_reader"
        else:
            self.waits_for_client_since = None
        if closing:  # it waits for no request any more
            return None
        since = self.waits_for_head_since
        if since is not None and now - since >= limits.head_seconds:
            return "slow_head"
        since = self.waits_for_body_since
        if since is not None and now - since >= limits.body_seconds:
            return "slow_body"
        return None


@attrs.define(eq=False)
class Lines:
    """Every TCP connection of a server. `trusted` says which hosts have no share of their own, as
    named proxies; `own` are the ports of the operator, which are never refused.
    """

    limits: ConnectionLimits
    tell: Tell
    trusted: Callable[[str], bool]
    own: frozenset[int] = frozenset()
    _lines: dict[asyncio.Transport, Line] = attrs.field(factory=dict[asyncio.Transport, Line])
    _of_address: Counter[str] = attrs.field(factory=Counter[str])

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def buffered(self) -> int:
        """Bytes that wait in this process for clients, or that clients have sent of a body."""
        return sum(
            transport.get_write_buffer_size() + line.body for transport, line in self._lines.items()
        )

    @property
    def busy(self) -> bool:
        """Whether a request is under way, or a link open, of anybody but the operator."""
        return any(line.under_way or line.is_link for line in self._lines.values() if line.counted)

    @property
    def http(self) -> type[asyncio.Protocol]:
        """What uvicorn makes of each accepted connection."""
        # uvicorn only calls it
        return cast("type[asyncio.Protocol]", functools.partial(_Watched, self, H11Protocol))

    @property
    def websocket(self) -> type[asyncio.Protocol]:
        """What uvicorn makes of a connection that becomes a WebSocket."""
        own = functools.partial(_Watched, self, WebSocketsSansIOProtocol)
        return cast("type[asyncio.Protocol]", own)

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, which tells its line what is under way."""

        async def watched(scope: Scope, receive: Receive, send: Send) -> None:
            line: Line = scope["state"].pop(_STATE)
            loop = asyncio.get_running_loop()

            async def receive_body() -> Message:
                message = await receive()
                line.has_come(message.get("body", b""), more=message.get("more_body", False))
                return message

            line.began(scope["type"], loop.time())
            try:
                await app(scope, receive_body, send)
            finally:
                line.ended(loop.time())

        return watched

    def look_around(self) -> None:
        """Cuts who keeps the server waiting too long, or holds too much of its memory."""
        now = asyncio.get_running_loop().time()
        holding: list[tuple[int, Line]] = []
        for transport, line in tuple(self._lines.items()):
            buffered = transport.get_write_buffer_size()
            why = line.too_late(buffered, self.limits, now)
            if why is not None:
                self._cut(line, why)
            elif buffered or line.body:
                holding.append((buffered + line.body, line))
        excess = sum(held for held, _ in holding) - self.limits.buffered
        if self.limits.buffered and excess > 0:
            for held, line in sorted(holding, key=lambda each: -each[0]):
                if excess > 0:
                    excess -= held
                    self._cut(line, "too_much_buffered")

    def _cut(self, line: Line, why: str) -> None:
        self.tell(why)
        _abort(line.transport)
        self.ended(line.transport)

    def cut_all(self, *, but_idle: bool = False) -> None:
        """Ends every connection at once, without a word about it; or those only where something is
        under way.
        """
        for transport, line in tuple(self._lines.items()):
            if line.under_way or line.is_link or not but_idle:
                _abort(transport)

    def begun(self, transport: asyncio.Transport) -> Line | None:
        """The line of a connection, None if it was refused: then it is being closed."""
        line = self._lines.get(transport)
        if line is not None:
            return line
        host, own = _ends(transport)
        transport.set_write_buffer_limits(high=ROOM)
        address = household_of(host)
        counted = own not in self.own and not self.trusted(host)
        if own not in self.own and self._full(address, counted):
            self.tell("too_many_connections")
            transport.write(_FULL)
            transport.close()
            return None
        line = Line(transport, address, asyncio.get_running_loop().time(), counted=counted)
        self._lines[transport] = line
        self._of_address[address] += counted
        return line

    def ended(self, transport: asyncio.Transport) -> None:
        """A connection is over."""
        line = self._lines.pop(transport, None)
        if line is not None and line.counted:
            self._of_address[line.address] -= 1
            if not self._of_address[line.address]:
                del self._of_address[line.address]

    def _full(self, address: str, counted: bool) -> bool:
        all_of, of_address = self.limits.connections, self.limits.connections_per_address
        return bool(all_of and len(self._lines) >= all_of) or bool(
            counted and of_address and self._of_address[address] >= of_address
        )


class _Watched(asyncio.Protocol):
    """One of uvicorn's protocols, and the line that it serves. Both of them, HTTP and then
    WebSocket, are told of the same connection.
    """

    def __init__(self, lines: Lines, uvicorns: Callable[..., asyncio.Protocol], **how: Any) -> None:
        self._lines = lines
        self._make = functools.partial(uvicorns, **how)
        self._app_state = how["app_state"]
        self._protocol: asyncio.Protocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        line = self._lines.begun(self._transport)
        if line is not None:
            self._protocol = self._make(app_state={**self._app_state, _STATE: line})
            self._protocol.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._protocol is not None:
            self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._protocol is None else self._protocol.eof_received()

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lines.ended(self._transport)
        if self._protocol is not None:
            self._protocol.connection_lost(exc)


def _abort(transport: asyncio.Transport) -> None:
    """Ends a connection so that the system, too, keeps nothing of what its client has not taken."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):  # it is over already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _ends(transport: asyncio.Transport) -> tuple[str, int]:
    """The host at the other end, and the port at this one."""
    peer: Iterable[Any] = transport.get_extra_info("peername") or ("",)
    own: Any = transport.get_extra_info("sockname") or ("", 0)
    return str(next(iter(peer))), int(own[1])
