"""The realtime gateway: one WebSocket, one link of a session; it says hello, replays what was
missed, and passes on what comes.

What the client sends is not read beyond its arrival: everything it asks for goes over HTTP, where
an answer belongs to its request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from support_chat.errors import BackendRejectedError, NetworkError, SupportChatError

from ...transport.wire.closing import CloseCode
from ...transport.wire.frames import Hello, encode_frame, frame_of
from ...transport.wire.problems import response_to
from .. import Connection
from .handlers import Site
from .reading import cursor_of

_CODES: Final[Mapping[str, CloseCode]] = MappingProxyType(
    {
        "revoked": CloseCode.SESSION_ENDED,
        "slow_reader": CloseCode.SLOW_READER,
        "backend_closed": CloseCode.RESTART,
    }
)
_LOG: Final = logging.getLogger("support_chat.server")
_LAST_WORDS: Final = 2.0
"""How many seconds a client has to take what was sent before its connection ended."""


async def gateway(site: Site, socket: WebSocket) -> None:
    """Serves one WebSocket until either side ends it."""
    try:
        site.origins.check(socket.headers.get("origin"))
        cursor = cursor_of(socket)
    except SupportChatError as error:
        await _deny(socket, error)
        return
    session = site.realtime_tokens.redeem(socket.query_params.get("session_token", ""))
    await socket.accept()
    _LOG.info("GET /realtime 101 %s", uuid.uuid4().hex)
    if session is None:
        await socket.close(CloseCode.DIAL_AGAIN, "realtime_token_unknown")
        return
    try:
        connection = await site.backend.listen(session, cursor)
    except BackendRejectedError as error:
        await socket.close(CloseCode.SESSION_ENDED, error.reason or error.code)
        return
    try:
        await _pass_on(socket, connection)
    finally:
        connection.close("goodbye")


async def _pass_on(socket: WebSocket, connection: Connection) -> None:
    speaking = asyncio.ensure_future(_speak(socket, connection))
    listening = asyncio.ensure_future(_listen(socket))
    tasks = (speaking, listening)
    try:
        await asyncio.wait((*tasks, connection.closed), return_when=asyncio.FIRST_COMPLETED)
        if connection.is_closed:
            await asyncio.wait(tasks, timeout=_LAST_WORDS, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                why = connection.closed_because
                with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                    await socket.close(_CODES.get(why, CloseCode.GOING_AWAY), why)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _speak(socket: WebSocket, connection: Connection) -> None:
    welcome = connection.welcome
    # the link is over, or the client has gone
    with contextlib.suppress(NetworkError, WebSocketDisconnect):
        await socket.send_text(
            encode_frame(Hello(cursor=welcome.cursor or "", gap=welcome.gap, unread=welcome.unread))
        )
        while True:
            await socket.send_text(encode_frame(frame_of(await connection.next())))


async def _listen(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass


async def _deny(socket: WebSocket, error: SupportChatError) -> None:
    request_id = uuid.uuid4().hex
    answer = response_to(error, request_id)
    _LOG.info("GET /realtime %d %s", answer.status, request_id)
    await socket.send_denial_response(Response(answer.body, answer.status, dict(answer.headers)))
