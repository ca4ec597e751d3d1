"""Serving: one uvicorn server, and beside it what is looked after several times a second; how it
begins, and how it ends.

An end has three steps, which together take no longer than `goodbye_seconds` and a second. The
server says that it is not ready, and sends clients away: each link and each waiting poll is told
another number of seconds to stay away, so that they do not all come back at once. Requests under
way are answered. What is left then is cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Final

import attrs
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from ...transport.wire.frames import MAX_CLIENT_FRAME_BYTES
from .. import Ages, Backend
from .addresses import Proxies
from .app import create_app
from .condition import Condition
from .counts import Counts
from .limits import ConnectionLimits, RateLimits
from .lines import Lines
from .origins import AllowedOrigins

LOG: Final = logging.getLogger("support_chat.server")
LOOKS: Final = 0.5
"""Seconds between two looks at connections and at the database's file."""
_PRUNES: Final = 600.0
"""Seconds between two looks at what is to be pruned..."""
_PRUNES_ON: Final = 0.5
"""... and while there is more of it."""
_MAX_HEAD_BYTES: Final = 16 * 1024
"""The longest head of a request."""
_KERNELS_ROOM: Final = 128 * 1024
"""Bytes that the system keeps for a client who does not read, beside the server's own; by itself it
would take several MiB.
"""
_OTHER_FILES: Final = 64
"""Files that the process needs beside its connections."""


class DatabaseLostError(Exception):
    """The database was deleted or replaced while it was served."""


@attrs.define
class _End:
    """When the server has to end: told once, hurried by the second time."""

    asked: asyncio.Event = attrs.field(factory=asyncio.Event)
    hurried: asyncio.Event = attrs.field(factory=asyncio.Event)

    def ask(self) -> None:
        """It is to end now, or if it has been told so, at once."""
        (self.hurried if self.asked.is_set() else self.asked).set()


async def serve(
    backend: Backend,
    listener: socket.socket,
    *,
    origins: AllowedOrigins | None = None,
    limits: RateLimits | None = None,
    connections: ConnectionLimits | None = None,
    proxies: Proxies | None = None,
    database: Path | None = None,
    status: socket.socket | None = None,
    ages: Ages | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Serves `backend` on a bound socket until the process is asked to end (SIGINT or SIGTERM);
    `started` is called once it answers.

    `database` is the backend's file, which is watched; `status` a bound socket for the operator;
    `ages` says what is kept for how long. Clients are told to come back, and their polls answered,
    before it returns. The backend stays open. Raises DatabaseLostError if the file was deleted
    meanwhile: then it has ended by itself.
    """
    held = _within_the_systems_limit(connections or ConnectionLimits())
    believed = proxies or Proxies()
    counts, condition = Counts(time.monotonic), Condition(database)
    own = frozenset(() if status is None else (int(status.getsockname()[1]),))
    lines = Lines(held, counts.turn_away, believed.include, own)
    app: ASGIApp = create_app(
        backend,
        origins=origins,
        limits=limits,
        connections=held,
        proxies=believed,
        counts=counts,
        condition=condition,
    )
    if status is not None:
        from .status import status_app

        app = _by_port(own, status_app(counts, condition, lines), app)
    config = uvicorn.Config(
        lines.around(app),
        http=lines.http,
        ws=lines.websocket,
        log_config=None,
        # It would log the query, and with it realtime tokens; so does uvicorn's own word on a
        # WebSocket. And a line for each client that sends what is no HTTP is a way to fill a disk.
        access_log=False,
        log_level="critical",
        server_header=False,
        lifespan="off",
        proxy_headers=False,
        h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        ws_max_size=MAX_CLIENT_FRAME_BYTES,
        ws_per_message_deflate=False,  # it holds as much memory a link as all the rest of a link
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    watch = _Watch(backend, server, lines, counts, condition, ages or Ages())
    sockets = [each for each in (listener, status) if each is not None]
    serving = asyncio.ensure_future(server.serve(sockets=sockets))
    beside = asyncio.ensure_future(watch.keep(started))
    try:
        await asyncio.wait((serving,))
    finally:
        for task in (beside, serving):  # who took the signals over last gives them back first
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        lines.cut_all()
    await serving
    if condition.lost:
        raise DatabaseLostError


@attrs.frozen
class _Watch:
    """What is looked after beside a server, and its end."""

    backend: Backend
    server: uvicorn.Server
    lines: Lines
    counts: Counts
    condition: Condition
    ages: Ages
    end: _End = attrs.field(factory=_End)

    async def keep(self, started: Callable[[], None]) -> None:
        """Until the server is to end, and then through its end."""
        while not self.server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.005)
        beside = [asyncio.ensure_future(each) for each in (self._keep_up(), self._prune())]
        try:
            with _asked_by_signals(self.end):
                started()
                while not (self.end.asked.is_set() or self.condition.lost):
                    self.lines.look_around()
                    self.counts.look_around()
                    self.condition.look_around()
                    self._listen()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self.end.asked.wait(), LOOKS)
                await self._take_leave()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    def _listen(self) -> None:
        """Sends clients away while no news are heard of."""
        deaf = self.backend.store.is_deaf
        if deaf and not self.condition.deaf:
            self.condition.grows_deaf(self.counts.links)
            self.backend.hang_up()
        elif self.condition.deaf and not deaf:
            self.condition.hears_again()

    async def _keep_up(self) -> None:
        """Tells live links what other processes have written. A look that fails is not the
        last.
        """
        while True:
            try:
                await self.backend.keep_up()
            except Exception as error:
                self.condition.database_failed("reading", error)
            else:
                self.condition.database_works("reading")
            await asyncio.sleep(self.backend.store.looks)

    async def _prune(self) -> None:
        """Deletes now and then what nobody has heard of for long; a failure is told, and tried
        again.
        """
        while True:
            more = False
            try:
                pruned = await self.backend.records.prune(self.ages)
            except Exception as error:
                LOG.warning(
                    "pruning failed: %s", error, extra={"fields": {"event": "pruning_failed"}}
                )
            else:
                more = pruned.more
                if pruned.sessions or pruned.visitors:
                    counts = {"sessions": pruned.sessions, "visitors": pruned.visitors}
                    LOG.info(
                        "pruned %(sessions)d sessions, %(visitors)d visitors",
                        counts,
                        extra={"fields": {"event": "pruned", **counts}},
                    )
            await asyncio.sleep(_PRUNES_ON if more else _PRUNES)

    async def _take_leave(self) -> None:
        links = self.counts.links
        self.condition.drain(links)
        LOG.info("stopping", extra={"fields": {"event": "stopping", "links": links}})
        self.backend.hang_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.lines.limits.goodbye_seconds):
                while self.lines.busy and not self.end.hurried.is_set():
                    self.lines.look_around()
                    await asyncio.sleep(0.05)
        self.lines.cut_all(but_idle=True)
        self.server.should_exit = True


@contextlib.contextmanager
def _asked_by_signals(end: _End) -> Generator[None, None, None]:
    """SIGINT and SIGTERM ask for the end within the block, where signals come to this thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def asked(*_: object) -> None:
        loop.call_soon_threadsafe(end.ask)

    before = {each: signal.signal(each, asked) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _by_port(ports: frozenset[int], own: ASGIApp, app: ASGIApp) -> ASGIApp:
    """What comes in at the operator's ports is answered by `own`, everything else by `app`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        port = (scope.get("server") or ("", None))[1]
        await (own if port in ports else app)(scope, receive, send)

    return answer


def _within_the_systems_limit(connections: ConnectionLimits) -> ConnectionLimits:
    """No more connections than the process may open files; as many of those as it may have."""
    try:
        import resource
    except ImportError:  # Windows counts otherwise
        return connections
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most == resource.RLIM_INFINITY:
        return connections
    with contextlib.suppress(ValueError, OSError):  # not everywhere may a process raise its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    may_open = max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES)
    return attrs.evolve(connections, connections=min(connections.connections or most, may_open))


def bound(host: str, port: int) -> socket.socket:
    """A listening socket on this address; port 0 takes a free one. Raises OSError if the address
    cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it every answer
    # would be 40 ms late.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNELS_ROOM)
    try:
        listener.bind((host, port))
        # until then a second server could bind the same port, and fail later with less to say
        listener.listen()
    except (OSError, OverflowError, UnicodeError):
        listener.close()
        raise
    return listener
