"""Serving: one uvicorn server, and beside it what a backend looks after several times a second."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import uvicorn

from ...transport.wire.frames import MAX_CLIENT_FRAME_BYTES
from .. import Backend
from .app import create_app
from .limits import RateLimits
from .origins import AllowedOrigins

LOOKS: Final = 0.1
"""Seconds between two looks around: how late a message is that another process has stored."""


async def serve(
    backend: Backend,
    listener: socket.socket,
    *,
    origins: AllowedOrigins | None = None,
    limits: RateLimits | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serves `backend` on a bound socket until the process is asked to end (SIGINT or SIGTERM);
    `started` is called once it answers.

    Clients are told to come back, and their polls answered, before it returns. The backend stays
    open.
    """
    config = uvicorn.Config(
        create_app(backend, origins=origins, limits=limits),
        log_config=None,
        # it would log the query, and with it realtime tokens; so does uvicorn's own word on a
        # WebSocket
        access_log=False,
        log_level="warning",
        server_header=False,
        lifespan="off",
        ws="websockets-sansio",
        ws_max_size=MAX_CLIENT_FRAME_BYTES,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    beside = asyncio.ensure_future(_look_around(backend, server, started))
    try:
        await server.serve(sockets=[listener])
    finally:
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)


async def _look_around(
    backend: Backend, server: uvicorn.Server, started: Callable[[], None]
) -> None:
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    started()
    while not server.should_exit:
        await backend.keep_up()
        await asyncio.sleep(LOOKS)
    backend.hang_up()


def bound(host: str, port: int) -> socket.socket:
    """A listening socket on this address; port 0 takes a free one. Raises OSError if the address
    cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it every answer
    # would be 40 ms late.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # until then a second server could bind the same port, and fail later with less to say
        listener.listen()
    except (OSError, OverflowError, UnicodeError):
        listener.close()
        raise
    return listener
