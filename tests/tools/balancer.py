"""A balancer of TCP connections, as stands before several gateways, or between a gateway and its
database: each connection goes to the next of the ends that answer. What passes can be swallowed, as
a broken network does, and every connection cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import contextmanager

from piping import hung_up, listening


class Balancer:
    """A balancer on a thread of its own, before ports on 127.0.0.1. Made by `balancing`."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        self.port = 0
        self.swallowed: Callable[[int], bool] = lambda port: False
        """From and to which ports, on this side, nothing passes, and nobody is told."""
        self._ports = list(ports)
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._over = asyncio.Event()
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    @property
    def url(self) -> str:
        """Where clients of gateways go to."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_ports(self) -> set[int]:
        """The ports, on this side, of the connections that are open."""
        return {int(writer.get_extra_info("peername")[1]) for writer, _ in tuple(self._pairs)}

    def cut(self) -> None:
        """Ends every connection."""

        def all_of_them() -> None:
            for pair in self._pairs:
                for writer in pair:
                    writer.transport.abort()

        self._loop.call_soon_threadsafe(all_of_them)

    def start(self) -> None:
        """Begins."""
        self._thread.start()
        self._started.result(60.0)

    def end(self) -> None:
        """Ends."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60.0)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with listening(self._serve) as port:
            self.port = port
            self._started.set_result(None)
            await self._over.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in self._ports:
            port = self._ports.pop(0)
            self._ports.append(port)
            with contextlib.suppress(OSError):
                onward, back = await asyncio.open_connection("127.0.0.1", port)
                break
        else:
            return
        pair = (writer, back)
        self._pairs.add(pair)
        port = int(writer.get_extra_info("peername")[1])
        try:
            ways = [
                asyncio.ensure_future(self._passed(port, *way))
                for way in ((reader, back), (onward, writer))
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._pairs.discard(pair)
            await hung_up(back)

    async def _passed(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(64 * 1024):
                if not self.swallowed(port):
                    writer.write(data)
                    await writer.drain()


@contextmanager
def balancing(*ports: int) -> Generator[Balancer, None, None]:
    """A balancer before these ports, within the block."""
    balancer = Balancer(ports)
    balancer.start()
    try:
        yield balancer
    finally:
        balancer.end()
