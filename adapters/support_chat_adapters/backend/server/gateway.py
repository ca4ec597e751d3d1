"""The realtime gateway: one WebSocket, one link of a session; it says hello, replays what was
missed, and passes on what comes.

Of what the client sends, a `ping` is answered, and nothing else is read: everything it asks for
goes over HTTP, where an answer belongs to its request.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from support_chat.errors import (
    BackendRejectedError,
    NetworkError,
    RateLimitedError,
    SupportChatError,
)

from ...transport.wire.closing import CloseCode
from ...transport.wire.frames import Hello, Ping, Pong, decode_frame, encode_frame, frame_of
from ...transport.wire.problems import response_to
from ...transport.wire.translation import owner_text
from .. import Connection
from ..in_memory import MemoryBuckets
from .handlers import Site
from .logs import log_request
from .reading import cursor_of, says

_CODES: Final[Mapping[str, CloseCode]] = MappingProxyType(
    {"revoked": CloseCode.SESSION_ENDED, "slow_reader": CloseCode.SLOW_READER}
)
_LOG: Final = logging.getLogger("support_chat.server")
_LAST_WORDS: Final = 2.0
"""How many seconds a client has to take what was sent before its connection ended."""


async def gateway(site: Site, socket: WebSocket) -> None:
    """Serves one WebSocket until either side ends it."""
    request_id = site.proxies.request_id(socket)
    try:
        site.origins.check(socket.headers.get("origin"))
        cursor, echoes = cursor_of(socket), says(socket, "echoes")
        site.condition.admit(new=False)
    except SupportChatError as error:
        await _deny(socket, error, request_id)
        return
    await socket.accept()
    log_request("GET", "/realtime", 101, request_id)
    site.counts.links += 1
    try:
        await _linked(site, socket, cursor, echoes=echoes)
    except (WebSocketDisconnect, ConnectionError):  # the client has gone
        pass
    except Exception:
        _LOG.exception("the gateway failed (%s)", request_id)
        raise
    finally:
        site.counts.links -= 1


async def _linked(site: Site, socket: WebSocket, cursor: str | None, *, echoes: bool) -> None:
    """One link, from its token to its goodbye."""
    address = site.proxies.caller(socket)
    try:
        site.condition.admit(new=True)
        await site.failures.check(address)
        token = socket.query_params.get("session_token", "")
        session = await site.realtime_tokens.redeem(token)
        if session is None:
            with contextlib.suppress(RateLimitedError):
                await site.failures.take(address)
            await _close(site, socket, CloseCode.DIAL_AGAIN, "realtime_token_unknown")
            return
        with site.link(address, session):
            connection = await site.backend.listen(session, cursor, echoes=echoes)
            try:
                await _pass_on(site, socket, connection)
            finally:
                connection.close("goodbye")
    except RateLimitedError as error:
        await _send_away(site, socket, error)
    except BackendRejectedError as error:
        await _close(site, socket, CloseCode.SESSION_ENDED, error.reason or error.code)
    except Exception as error:
        if site.backend.store.trouble(error, "reading") is None:
            raise
        await _send_away(site, socket, site.condition.database_failed("reading", error))


async def _pass_on(site: Site, socket: WebSocket, connection: Connection) -> None:
    if connection.withholds:
        # what a hello says of the session is nobody's to know now, and a link that began without
        # it would never learn it
        await _close(site, socket, CloseCode.DIAL_AGAIN, "token_expired")
        return
    speaking = asyncio.ensure_future(_speak(socket, connection))
    listening = asyncio.ensure_future(_listen(socket, site.connections.frames_per_minute))
    tasks = (speaking, listening)
    try:
        await asyncio.wait((*tasks, connection.closed), return_when=asyncio.FIRST_COMPLETED)
        if connection.is_closed:
            await asyncio.wait(tasks, timeout=_LAST_WORDS, return_when=asyncio.FIRST_COMPLETED)
            if not listening.done():
                await _say_goodbye(site, socket, connection.closed_because)
        elif listening.done() and isinstance(error := listening.exception(), RateLimitedError):
            site.counts.turn_away("too_many_frames")
            await _send_away(site, socket, error)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _say_goodbye(site: Site, socket: WebSocket, why: str) -> None:
    if why == "backend_closed":
        # all clients hear this at once, and each is told another time to be back
        await _close(site, socket, CloseCode.RESTART, f"{site.condition.stay_away():g}")
    else:
        await _close(site, socket, _CODES.get(why, CloseCode.GOING_AWAY), why)


async def _send_away(site: Site, socket: WebSocket, error: RateLimitedError) -> None:
    codes = {"restarting": CloseCode.RESTART, "busy": CloseCode.TRY_LATER}
    code = codes.get(error.reason or "", CloseCode.RATE_LIMITED)
    await _close(site, socket, code, f"{error.retry_after:.1f}")


async def _close(site: Site, socket: WebSocket, code: CloseCode, reason: str) -> None:
    site.counts.closed[code] += 1
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.close(code, reason)


async def _speak(socket: WebSocket, connection: Connection) -> None:
    welcome = connection.welcome
    # the link is over, or the client has gone
    with contextlib.suppress(NetworkError, WebSocketDisconnect):
        hello = Hello(
            cursor=welcome.cursor or "",
            gap=welcome.gap,
            unread=welcome.unread,
            owner=owner_text(connection.opened_for),
        )
        await socket.send_text(encode_frame(hello))
        while True:
            await socket.send_text(encode_frame(frame_of(await connection.next())))


async def _listen(socket: WebSocket, frames_per_minute: float) -> None:
    """Until the client has gone; raises RateLimitedError for one that sends frame after frame."""
    frames = MemoryBuckets(frames_per_minute, asyncio.get_running_loop().time)
    while (message := await socket.receive())["type"] != "websocket.disconnect":
        await frames.take("")
        if _asks(message.get("text")):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):  # it has gone meanwhile
                await socket.send_text(encode_frame(Pong()))


def _asks(text: str | None) -> bool:
    """Whether a frame is a `ping`; what cannot be read is nothing that anybody wants to know."""
    try:
        return text is not None and isinstance(decode_frame(text), Ping)
    except NetworkError:
        return False


async def _deny(socket: WebSocket, error: SupportChatError, request_id: str) -> None:
    answer = response_to(error, request_id)
    log_request("GET", "/realtime", answer.status, request_id)
    await socket.send_denial_response(Response(answer.body, answer.status, dict(answer.headers)))
