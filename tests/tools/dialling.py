"""People who dial a served backend, and a loop that tells what a test has left open."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import signal
import struct
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, ParamSpec, TypeVar

from async_tests import LIMIT
from served import WIDGET, WORKSPACE, Served
from support_chat.ports import Credentials, Link, LinkEvent, MessageArrived, Transport
from support_chat.values import SignedIn, Visitor
from support_chat_adapters.transport import WidgetAPITransport

T = TypeVar("T")
P = ParamSpec("P")

PATIENCE: Final = 120.0
"""How many seconds a test waits for what must come."""


def visitor(**more: Any) -> Credentials:
    """What a visitor presents whom nobody has seen before."""
    return Credentials(WORKSPACE, WIDGET, f"visitor-{uuid.uuid4().hex}", **more)


def user(served: Served, **more: Any) -> Credentials:
    """What a user presents whom nobody has seen before."""
    user_id = f"user-{uuid.uuid4().hex[:8]}"
    return visitor(user_id=user_id, token=served.token(user_id), **more)


def texts_of(*events: LinkEvent) -> list[str]:
    """The texts of messages that arrived."""
    return [event.message.text for event in events if isinstance(event, MessageArrived)]


@asynccontextmanager
async def transport_to(url: str, **options: Any) -> AsyncGenerator[WidgetAPITransport, None]:
    """A transport to the backend at this address, closed in the end."""
    transport = WidgetAPITransport(url, **options)
    try:
        yield transport
    finally:
        await transport.aclose()


@asynccontextmanager
async def link_of(
    transport: Transport, who: Credentials | None = None
) -> AsyncGenerator[Link, None]:
    """An open link, a new visitor's by default, aborted in the end."""
    link = await soon(transport.open(visitor() if who is None else who))
    try:
        yield link
    finally:
        link.abort()


async def soon(awaited: Awaitable[T]) -> T:
    """What comes, before patience is over."""
    async with asyncio.timeout(PATIENCE):
        return await awaited


async def upcoming(link: Link) -> LinkEvent:
    """The next event of a link that is no echo of what its session sent."""
    events: AsyncIterator[LinkEvent] = link.events()
    while True:
        event = await soon(anext(events))
        if not (isinstance(event, MessageArrived) and event.own):
            return event


def say(served: Served, link: Link, text: str = "news") -> None:
    """An agent writes to whoever opened this link."""
    welcome = link.welcome
    user = welcome.user_id
    served.reply(Visitor(welcome.visitor_id or "") if user is None else SignedIn(user), text)


async def hears(served: Served, link: Link) -> None:
    """What an agent writes comes."""
    say(served, link)
    assert texts_of(await upcoming(link)) == ["news"]


async def until(holds: Callable[[], object], what: str = "it") -> None:
    """Waits until `holds()`; AssertionError when patience is over."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not holds():
        assert asyncio.get_running_loop().time() < deadline, f"{what} did not happen"
        await asyncio.sleep(0.01)


def frame(content: bytes, opcode: int = 1) -> bytes:
    """A WebSocket frame as a server sends it; text by default."""
    return bytes([0x80 | opcode, 127]) + struct.pack(">Q", len(content)) + content


@contextmanager
def suspended(served: Served) -> Generator[None, None, None]:
    """The backend's process is stopped: its connections stay open, and nothing is answered."""
    os.kill(served.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(served.pid, signal.SIGCONT)


def sockets() -> set[str]:
    """The sockets that this process has open, but for those of the loop itself and of whatever else
    was open before.
    """
    found: set[str] = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the listing itself
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


def on_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs an asynchronous test, after which no task, no socket and no unseen failure may be
    left.
    """

    @functools.wraps(test)
    def tried(*args: P.args, **kwargs: P.kwargs) -> None:
        unseen: list[str] = []

        def see(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            # a server of the test's, of whose clients debug mode tells
            if "incoming connection" not in context["message"]:
                unseen.append(repr(context))

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(see)
            before = sockets()
            async with asyncio.timeout(LIMIT):
                await test(*args, **kwargs)
            this = {asyncio.current_task()}
            await until(
                lambda: asyncio.all_tasks() == this, f"the end of {asyncio.all_tasks() - this}"
            )
            await until(lambda: sockets() <= before, "the closing of every socket")

        asyncio.run(main())
        gc.collect()
        assert not unseen, unseen

    return tried
