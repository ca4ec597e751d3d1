"""The proxy: a port in front of one upstream, and the switches of everything that can go wrong
between the two.

It runs in a thread with an event loop of its own, so that it works for whatever the client is: in
the test's loop, in a loop with virtual time, in a thread, in another process. Its delays are real
time. It speaks no TLS.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from .connection import Connection
from .faults import Fault
from .http1 import LIMIT
from .log import Entry, Log
from .plans import Plan, Plans
from .streams import Gate, Wire

_T = TypeVar("_T")

HOST = "127.0.0.1"
PATIENCE = 10.0
"""How many seconds the thread has to do what it is told."""


class FaultProxy:
    """A proxy in front of `upstream` (`http://host:port` or `(host, port)`); use it as `with` or
    `async with`.

    `with FaultProxy(url) as proxy`: clients go to `proxy.url` (or `proxy.ws_url`);
    `proxy.plan(fault)` says what the next of them meet, `proxy.applied()` what they have met,
    `proxy.log` what has passed. Leaving it, like `heal()`, raises AssertionError when a planned
    fault never took effect; an error of the block itself goes first. Every method may be called
    from any thread.
    """

    def __init__(self, upstream: str | tuple[str, int]) -> None:
        self._upstream = _address(upstream)
        self._plans, self._gate = Plans(), Gate()
        self._server: asyncio.Server | None = None
        self._log = Log()
        self._bugs: list[BaseException] = []
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main()), name="fault proxy", daemon=True
        )
        self._started: Future[None] = Future()
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._count = 0

    def __enter__(self) -> Self:
        self._reserved = _bound(0)
        self._port: int = self._reserved.getsockname()[1]
        self._thread.start()
        self._started.result(PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        unmet = self._plans.clear()
        if kind is None:
            if self._bugs:
                raise self._bugs[0]
            self._complain(unmet)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)

    @property
    def port(self) -> int:
        """The port that clients go to, on 127.0.0.1."""
        return self._port

    @property
    def url(self) -> str:
        """Where clients go, without a slash at its end."""
        return f"http://{HOST}:{self._port}"

    @property
    def ws_url(self) -> str:
        """The same for WebSockets."""
        return f"ws://{HOST}:{self._port}"

    @property
    def log(self) -> tuple[Entry, ...]:
        """Everything that passed and was applied so far, in order."""
        return self._log.entries

    def applied(self, *kinds: type[Fault]) -> tuple[Entry, ...]:
        """The faults that took effect so far, of these classes or of all, in order."""
        return self._log.applied(*kinds)

    def plan(
        self, *faults: Fault | Plan, times: int | None = 1, skip: int = 0, required: bool = True
    ) -> None:
        """Plans faults: the next `times` requests (connections, WebSockets) that each addresses
        meet it, after `skip` unharmed ones.

        `times=None`: all of them, until `heal()`. A `Plan` brings its own numbers. Of several plans
        that fit the first is met; one request meets one fault. A WebSocket that is open already is
        met too, at once where `after=0`.
        """
        plans = [
            fault if isinstance(fault, Plan) else Plan(fault, times, skip, required)
            for fault in faults
        ]
        self._call(self._add(plans))

    def release(self) -> None:
        """Lets through what is stalled now; the plans stay."""
        self._call(self._release())

    def heal(self) -> None:
        """Forgets every plan, lets stalled bytes through and listens again; AssertionError if a
        required plan was not met.
        """
        self._complain(self._call(self._heal()))

    def down(self) -> None:
        """Stops listening: connections are refused by the system, and none of them is seen here.
        Open ones stay.
        """
        self._call(self._stop_listening())

    def up(self) -> None:
        """Listens again on the same port; does nothing while it listens."""
        self._call(self._listen())

    def point_to(self, upstream: str | tuple[str, int]) -> None:
        """New connections to the upstream go there: it was started again on another port."""
        self._upstream = _address(upstream)

    def wait_until(
        self, happened: Callable[[tuple[Entry, ...]], bool], *, within: float = PATIENCE
    ) -> None:
        """Blocks until `happened(log)`; AssertionError with the log after `within` seconds."""
        self._log.wait(lambda: happened(self._log.entries), within)

    async def until(
        self, happened: Callable[[tuple[Entry, ...]], bool], *, within: float = PATIENCE
    ) -> None:
        """The same for a loop: waits without holding it up."""
        await asyncio.to_thread(self.wait_until, happened, within=within)

    async def until_applied(
        self, *kinds: type[Fault], times: int = 1, within: float = PATIENCE
    ) -> None:
        """Waits until faults of these classes (of any, if none is named) took effect so many times,
        counted from the beginning.
        """
        await self.until(lambda _: len(self._log.applied(*kinds)) >= times, within=within)

    def _complain(self, unmet: tuple[str, ...]) -> None:
        if unmet:
            raise AssertionError(
                "\n".join(["Planned faults that were not met:", *unmet, "The log:", str(self._log)])
            )

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            await self._listen()
        except BaseException as error:
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        await self._stop.wait()
        await self._stop_listening()
        self._reserved.close()
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # for transports that were closed just now

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._accept, sock=self._reserved, limit=LIMIT
            )
            self._log.add("up")

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._reserved = _bound(self._port)
            self._log.add("down")

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._count += 1
        connection = Connection(
            self._count, Wire.of(reader, writer), self._upstream, self._plans, self._log, self._gate
        )
        task = self._loop.create_task(connection.run())
        self._connections[task] = connection
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._connections[task]
        if not task.cancelled() and (bug := task.exception()) is not None:
            self._bugs.append(bug)

    # a change is a coroutine, so that it is made on the proxy's own loop

    async def _add(self, plans: Sequence[Plan]) -> None:
        for plan in plans:
            self._plans.add(plan)
        for connection in self._connections.values():
            if connection.tunnel is not None:
                connection.tunnel.look()

    async def _release(self) -> None:
        self._gate.release()

    async def _heal(self) -> tuple[str, ...]:
        unmet = self._plans.clear()
        self._gate.release()
        await self._listen()
        return unmet

    def _call(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)


def _address(upstream: str | tuple[str, int]) -> tuple[str, int]:
    if isinstance(upstream, tuple):
        return upstream
    parts = urlsplit(upstream)
    if parts.hostname is None or parts.port is None:
        raise ValueError("upstream names no host and port; pass one like http://127.0.0.1:8000")
    return parts.hostname, parts.port


def _bound(port: int) -> socket.socket:
    """A socket that keeps the port and does not listen: whoever connects is refused."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound
