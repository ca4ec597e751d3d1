"""News over a WebSocket: frames become link events, pings prove that the other end is alive, close
codes become what they mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.protocol import Event

from support_chat.errors import NetworkError
from support_chat.ports import LinkEvent, SessionRevoked

from .channels import ChannelBlocked, link_over
from .http_exchange import address_of
from .wire.closing import CloseCode, meaning_of
from .wire.frames import (
    MAX_FRAME_BYTES,
    Hello,
    Ping,
    Pong,
    decode_frame,
    encode_frame,
    event_of,
)
from .wire.problems import Response, error_of

Connect: TypeAlias = Callable[..., Any]
"""`websockets.asyncio.client.connect`, or something that takes the same arguments and is awaited
for a `ClientConnection`.
"""

LOG: Final = logging.getLogger("support_chat.socket")
"""What websockets has to say goes here. It would log the gateway's address and every frame, so its
DEBUG lines are off unless this logger itself is turned on: realtime tokens and what people write
have no place in a log."""
LOG.setLevel(logging.INFO)

CLOSE_PATIENCE: Final = 1.0
"""Seconds that a gateway has to end the connection after its close frame."""
# close codes from here on were sent by a gateway, not by something in between
_OURS: Final = 4000
# and so were these, which say that the way is free and the gateway is not
_SERVERS: Final = frozenset({CloseCode.GOING_AWAY, CloseCode.RESTART, CloseCode.TRY_LATER})


class _Connection(ClientConnection):
    """Waits only briefly for the end of TCP after a close frame, which has said all there is."""

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if self.protocol.close_rcvd is not None:
            self.loop.call_later(CLOSE_PATIENCE, self.transport.abort)


class ConnectDirectly(connect):
    """`connect()` that follows no redirect, which is what `process_redirect` is there to decide."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, create_connection=_Connection, **options)

    def process_redirect(self, exc: Exception) -> Exception | str:
        """What was answered is the answer."""
        return exc


async def open_socket(
    connect: Connect, url: str, options: dict[str, Any], *, ping_every: float, patience: float
) -> SocketChannel:
    """Opens the gateway at `url` and waits for its hello, `patience` seconds for both together.

    Raises ChannelBlocked if no WebSocket gets through, NetworkError and its kin for what the
    backend itself says.
    """
    try:
        async with asyncio.timeout(patience):
            socket = cast(
                ClientConnection,
                await connect(
                    url,
                    open_timeout=None,
                    ping_interval=None,
                    close_timeout=1.0,
                    max_size=MAX_FRAME_BYTES,
                    logger=LOG,
                    **options,
                ),
            )
            try:
                hello = await _hello(socket)
            except BaseException:
                socket.transport.abort()
                raise
    except InvalidStatus as refusal:
        answer = refusal.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        body = bytes(answer.body or b"")
        error = error_of(Response(answer.status_code, headers, body, address_of(url)))
        # a proxy's page, or an old server: polling may still work
        if error.code == "network_error":
            raise ChannelBlocked from None
        raise error from None
    except NetworkError:  # what the gateway itself has said
        raise
    except (WebSocketException, OSError, TimeoutError, ImportError):
        # ImportError: SOCKS, which is another library's.
        raise ChannelBlocked from None
    return SocketChannel(socket, hello, ping_every)


async def _hello(socket: ClientConnection) -> Hello:
    try:
        while True:
            frame = decode_frame(await socket.recv())
            if isinstance(frame, Hello):
                return frame
            if frame is not None:
                raise NetworkError(
                    "The gateway did not begin with a hello; check that base_url is a backend of "
                    "the Widget API."
                )
    except ConnectionClosed as closed:
        if closed.rcvd is None or (closed.rcvd.code < _OURS and closed.rcvd.code not in _SERVERS):
            raise ChannelBlocked from None
        meaning = meaning_of(closed.rcvd.code, closed.rcvd.reason)
        if isinstance(meaning, SessionRevoked):
            raise NetworkError(
                "The session ended while its link was opened; the session dials again.",
                reason=meaning.reason,
            ) from None
        raise meaning from None


class SocketChannel:
    """An open WebSocket of which the hello has been read; made by `open_socket`."""

    def __init__(self, socket: ClientConnection, attached: Hello, ping_every: float) -> None:
        self._socket = socket
        self.attached = attached
        self._loop = asyncio.get_running_loop()
        self.heard_at = self._loop.time()
        self._over = False
        self._pinging = self._loop.create_task(self._ping(ping_every), name="support-chat ping")

    async def next(self) -> LinkEvent:
        """The next event; raises what the end of the connection means."""
        while True:
            try:
                text = await self._socket.recv()
            except ConnectionClosed as closed:
                self._pinging.cancel()
                if self._over:
                    raise link_over() from None
                self._over = True
                code = closed.rcvd
                meaning = meaning_of(
                    None if code is None else code.code, "" if code is None else code.reason
                )
                if isinstance(meaning, SessionRevoked):
                    return meaning
                raise meaning from None
            if self._over:
                raise link_over()
            self.heard_at = self._loop.time()
            try:
                frame = decode_frame(text)
            except NetworkError:
                self.abort()
                raise
            if isinstance(frame, Ping):
                with contextlib.suppress(ConnectionClosed):  # which the next `recv` says
                    await self._socket.send(encode_frame(Pong()))
            event = None if frame is None else event_of(frame)
            if isinstance(event, SessionRevoked):
                self._over = True
            if event is not None:
                return event

    def renewed(self) -> None:
        """Nothing to do: the gateway remembers what it has told."""

    async def aclose(self) -> None:
        """Closes with 1000."""
        self._over = True
        self._pinging.cancel()
        await self._socket.close()

    def abort(self) -> None:
        """Drops the connection."""
        self._over = True
        self._pinging.cancel()
        self._socket.transport.abort()

    async def _ping(self, every: float) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(every)
                await (await self._socket.ping())
                self.heard_at = self._loop.time()
