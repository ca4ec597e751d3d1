"""What a boot over a WebSocket costs, on a real server on this machine."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from bare_lines import dial_widget
from served import WIDGET, WORKSPACE, Served, served
from support_chat import SupportChat
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import WidgetAPITransport

from .lines import AGAIN, Found, Line, Part

BOOT: Final = "boot(), transport in use"
COLD: Final = "boot(), transport new"
HANDSHAKE: Final = "handshake and round trip"
BARE: Final = "plain sockets"
TOOLS: Final = Path(__file__).parents[1]
ECHOES: Final = (
    "import asyncio, sys; sys.path.insert(0, sys.argv[1]); from figures.booting import echo; "
    "asyncio.run(echo())"
)

Undo = Callable[[], Awaitable[object]]
Deed = Callable[[], Awaitable[Undo]]
"""What is timed; it returns how it is undone, which is not."""


async def echo() -> None:
    """Serves whoever comes, and prints on which port."""

    async def answer(websocket: ServerConnection) -> None:
        async for message in websocket:
            await websocket.send(message)

    async with serve(answer, "127.0.0.1", 0) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


@contextmanager
def echoing() -> Generator[int, None, None]:
    """A server of websockets that echoes, in a process of its own; yields its port."""
    command = [sys.executable, "-c", ECHOES, str(TOOLS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


def deeds(server: Served, echoes: int, kept: WidgetAPITransport) -> dict[str, Deed]:
    """What is done, each by its name."""

    def session(transport: WidgetAPITransport) -> SupportChat:
        return SupportChat(
            workspace_id=WORKSPACE, widget_id=WIDGET, transport=transport, storage=MemoryStorage()
        )

    async def boot() -> Undo:
        chat = session(kept)
        await chat.boot()
        return chat.destroy

    async def cold() -> Undo:
        transport = WidgetAPITransport(server.url)
        chat = session(transport)
        await chat.boot()

        async def undo() -> None:
            await chat.destroy()
            await transport.aclose()

        return undo

    async def handshake() -> Undo:
        websocket = await connect(f"ws://127.0.0.1:{echoes}")
        await websocket.send("hello")
        await websocket.recv()
        return websocket.close

    async def bare() -> Undo:
        line = await dial_widget(server.port, time.perf_counter_ns(), hears=True)

        async def undo() -> None:
            line.close()

        return undo

    return {BOOT: boot, BOOT + AGAIN: boot, COLD: cold, HANDSHAKE: handshake, BARE: bare}


async def in_rounds(deeds: Mapping[str, Deed], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each deed in each round; the first two are forgotten."""
    found: dict[str, list[float]] = {name: [] for name in deeds}
    for turn in range(-2, rounds):
        names = list(deeds)
        for name in names if turn % 2 else reversed(names):
            began = time.perf_counter()
            undo = await deeds[name]()
            took = time.perf_counter() - began
            await undo()
            if turn >= 0:
                found[name].append(took * 1000)
    return found


def measure(quick: bool) -> Found:
    """Everything in turns, on one server of each kind."""

    async def main(server: Served, echoes: int) -> dict[str, list[float]]:
        kept = WidgetAPITransport(server.url)
        try:
            return await in_rounds(deeds(server, echoes, kept), 1 if quick else 200)
        finally:
            await kept.aclose()

    unbounded = ("--opens-per-minute=0", "--requests-per-minute=0")
    with (
        tempfile.TemporaryDirectory() as name,
        served(Path(name), *unbounded) as server,
        echoing() as port,
    ):
        return Found(asyncio.run(main(server, port)))


BOOTS: Final = Part(
    "boot",
    "A boot",
    "`boot()` of a visitor whom nobody has seen, until it returns, over loopback, against "
    "`support-chat serve` with SQLite in a process of its own: a POST whose commit reaches the "
    "disk, and a WebSocket up to its hello. Beside it stand a handshake of websockets and one "
    "round trip, with a server of websockets that echoes, also in a process of its own; and the "
    "same requests to the same server over plain sockets, with as little as a benchmark can do. "
    "Wall-clock time; the transport in use has a connection open for the POST.",
    (
        Line("the noise", "ms", BOOT, BOOT + AGAIN),
        Line("a boot", "ms", BOOT, HANDSHAKE),
        Line("a boot on a new transport", "ms", COLD, HANDSHAKE),
        Line("the same on the wire", "ms", BOOT, BARE),
        Line("what is left without the library", "ms", BARE, HANDSHAKE),
    ),
    measure,
)
