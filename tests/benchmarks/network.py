"""What the network costs: `python tests/benchmarks/network.py`. Medians and ratios of one run,
never a test with a stop-watch.

A real `support-chat serve` runs in its own process. Beside each thing that the library does stands
the least that it could cost: the same request made with httpx2 alone, the same frame read with the
standard library's json. The rounds are interleaved, so that a busy machine slows all of them alike;
the ratios are what to look at.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import httpx2

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from served import WIDGET, WORKSPACE, Served, served
from support_chat import SupportChat
from support_chat.ports import Credentials, Link, MessageArrived, Outgoing, Storage
from support_chat.values import Message
from support_chat_adapters.backend import Backend
from support_chat_adapters.storage import FileStorage, MemoryStorage, SQLiteStorage
from support_chat_adapters.transport import LoopbackTransport, WidgetAPITransport
from support_chat_adapters.transport.wire.frames import (
    decode_frame,
    encode_frame,
    event_of,
    frame_of,
)

Deed = Callable[[], Awaitable[object]]


@attrs.frozen
class Line:
    """One line of the table: what is done, and the line that it is held against."""

    name: str
    deed: Deed
    against: str


async def medians(lines: list[Line], rounds: int) -> dict[str, float]:
    """The median of each deed, in seconds, over rounds in which every deed has its turn."""
    times: dict[str, list[float]] = {line.name: [] for line in lines}
    for turn in range(rounds + 2):
        for line in lines:
            began = time.perf_counter()
            await line.deed()
            if turn >= 2:  # the first rounds open connections
                times[line.name].append(time.perf_counter() - began)
    return {name: statistics.median(taken) for name, taken in times.items()}


def show(title: str, lines: list[Line], taken: dict[str, float]) -> None:
    """Prints one part of the table."""
    print(f"\n{title}")
    for line in lines:
        print(
            f"  {line.name:<52} {taken[line.name] * 1e6:>12,.0f} us   "
            f"{taken[line.name] / taken[line.against]:>7.2f}x {line.against}"
        )


def credentials() -> Credentials:
    """A visitor nobody has seen."""
    return Credentials(WORKSPACE, WIDGET, uuid.uuid4().hex)


async def on_the_network(server: Served, rounds: int) -> None:
    """Messages and dials."""
    transport, polls = (
        WidgetAPITransport(server.url),
        WidgetAPITransport(server.url, websocket=None),
    )
    with Backend(workspace_id=WORKSPACE, widget_id=WIDGET) as backend:
        loopback = LoopbackTransport(backend)
        async with (
            httpx2.AsyncClient(base_url=f"{server.url}/widget/v1") as bare,
            SupportChat(
                workspace_id=WORKSPACE,
                widget_id=WIDGET,
                transport=transport,
                storage=MemoryStorage(),
            ) as chat,
        ):
            await chat.boot()
            link, near = await transport.open(credentials()), await loopback.open(credentials())
            begun = await link.send(Outgoing(uuid.uuid4().hex, "Hello"))
            near_begun = await near.send(Outgoing(uuid.uuid4().hex, "Hello"))
            chat_begun = await chat.send_message("Hello")
            path = f"/conversations/{begun.conversation_id}/messages"
            headers = {"authorization": f"Bearer {link.welcome.session}"}

            async def post() -> None:
                await bare.post(
                    path,
                    json={"text": "Hello", "clientMessageId": uuid.uuid4().hex},
                    headers=headers,
                )

            async def open_bare() -> None:
                asked = credentials()
                opening = {"workspaceId": WORKSPACE, "widgetId": WIDGET, "visitor": asked.visitor}
                await bare.post("/sessions/anonymous", json=opening)

            def dial(over: WidgetAPITransport) -> Deed:
                async def deed() -> None:
                    (await over.open(credentials())).abort()

                return deed

            def send(over: Link, conversation: str) -> Deed:
                return lambda: over.send(Outgoing(uuid.uuid4().hex, "Hello", conversation))

            sending = [
                Line("httpx2 alone, one POST", post, "httpx2 alone, one POST"),
                Line(
                    "a message over a link of WidgetAPITransport",
                    send(link, begun.conversation_id),
                    "httpx2 alone, one POST",
                ),
                Line(
                    "... through a session",
                    lambda: chat.send_message("Hello", chat_begun.conversation_id),
                    "httpx2 alone, one POST",
                ),
                Line(
                    "... over the loopback, no network",
                    send(near, near_begun.conversation_id),
                    "httpx2 alone, one POST",
                ),
            ]
            show("a message", sending, await medians(sending, rounds))
            dialling = [
                Line(
                    "httpx2 alone, opening a session", open_bare, "httpx2 alone, opening a session"
                ),
                Line("a dial with a WebSocket", dial(transport), "httpx2 alone, opening a session"),
                Line("a dial with polls", dial(polls), "httpx2 alone, opening a session"),
            ]
            show("a dial", dialling, await medians(dialling, max(2, rounds // 5)))
            link.abort()
            near.abort()
    await transport.aclose()
    await polls.aclose()


async def in_the_codec(rounds: int) -> None:
    """A frame, a thousand times: written and read by ours, and by the standard library without a
    check of anything.
    """
    event = MessageArrived(
        Message("message-1", "conversation-1", "agent", "Hello, how can I help? " * 4, 1.5, None),
        "17",
        3,
    )
    plain: dict[str, Any] = {
        "type": "message.created",
        "message": attrs.asdict(event.message),
        "cursor": "17",
        "unread": 3,
    }

    async def ours() -> None:
        for _ in range(1000):
            frame = decode_frame(encode_frame(frame_of(event)))
            assert frame is not None
            event_of(frame)

    async def theirs() -> None:
        for _ in range(1000):
            read = json.loads(json.dumps(plain))
            MessageArrived(Message(**read["message"]), read["cursor"], read["unread"])

    lines = [
        Line("json, without any check", theirs, "json, without any check"),
        Line("the codec", ours, "json, without any check"),
    ]
    show("a thousand frames", lines, await medians(lines, rounds))


async def in_storages(folder: Path, rounds: int) -> None:
    """What a boot and a full clear ask of a storage: create, list, delete."""
    storages: dict[str, Storage] = {
        "MemoryStorage": MemoryStorage(),
        "FileStorage": FileStorage(folder / "visitor.json"),
        "SQLiteStorage": SQLiteStorage(folder / "visitor.db"),
    }

    def life(storage: Storage) -> Deed:
        async def deed() -> None:
            await storage.create("support-chat/a/b/c/visitor", "one")
            await storage.delete(*await storage.keys())

        return deed

    lines = [Line(name, life(storage), "SQLiteStorage") for name, storage in storages.items()]
    show("create, list and delete", lines, await medians(lines, rounds))
    for storage in storages.values():
        await storage.aclose()


def main(arguments: list[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a few rounds only, to see that it runs"
    )
    rounds = 3 if parser.parse_args(arguments).quick else 300
    with (
        tempfile.TemporaryDirectory() as name,
        served(Path(name), "--opens-per-minute=0", "--requests-per-minute=0") as server,
    ):
        asyncio.run(on_the_network(server, rounds))
        asyncio.run(in_the_codec(min(rounds, 50)))
        asyncio.run(in_storages(Path(name), rounds))


if __name__ == "__main__":
    main()
