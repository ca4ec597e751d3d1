"""What a process of a round does: a program of its own, which tells what has come of each step as a
line of JSON. What was told has happened; what has happened may be untold.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import socket
import sqlite3
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx2

from storages import Place
from support_chat import Settings, SupportChat, Visitor
from support_chat.errors import StorageError, SupportChatError
from support_chat.ports import Storage, Transport
from support_chat_adapters.transport import WidgetAPITransport

WORKSPACE: Final = "demo"
WIDGET: Final = "web"
SETTINGS: Final = Settings(
    backoff_base=0.05,
    backoff_min=0.01,
    backoff_max=0.1,
    boot_timeout=60.0,
    call_timeout=60.0,
    storage_timeout=60.0,
    revoke_timeout=60.0,
)
"""As short as tests want delays; whatever is asked may take its time."""
_STEPS: Final = frozenset(
    (
        *("connect", "send", "sendmsg", "recv", "recv_into", "execute", "flock", "lockf"),
        *("open", "write", "flush", "fsync", "replace", "unlink", "close"),
    )
)


class Death:
    """The process dies by SIGKILL before or after the nth of the calls by which it does something
    to the world, on whatever thread that is started from now on, from when it is armed until it is
    spared.
    """

    def __init__(self, step: int | None) -> None:
        self._armed = False
        self._left = step
        if step is not None:
            threading.setprofile(self._look)

    def arm(self) -> None:
        """On the main thread."""
        if self._left is not None:
            self._armed = True
            sys.setprofile(self._look)

    def spare(self) -> None:
        """It lives until somebody else kills it."""
        self._armed = False

    def _look(self, frame: object, event: str, called: Any) -> None:
        if not self._armed or event not in ("c_call", "c_return") or called.__name__ not in _STEPS:
            return
        of = called.__self__
        is_system = getattr(of, "__name__", "") in ("posix", "fcntl", "io", "_io")
        if is_system or isinstance(of, socket.socket | sqlite3.Connection | io.IOBase):
            self._left = (self._left or 0) - 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def tell(did: str, **more: object) -> None:
    """Tells that something has happened, at once."""
    os.write(1, json.dumps({"did": did, **more}).encode() + b"\n")


def key_of(scope: str) -> str:
    """Where a client keeps the visitor's secret, as the page about privacy says."""
    return f"support-chat/{WORKSPACE}/{WIDGET}/{scope}/visitor"


class Tab:
    """A session of the process, on the storage of the round."""

    def __init__(self, role: Mapping[str, Any], chat: SupportChat, storage: Storage) -> None:
        self.role, self.chat, self.storage = role, chat, storage

    async def boots(self) -> None:
        while True:
            try:
                identity = await self.chat.boot()
                break
            except StorageError:
                if not self.role["again"]:
                    raise
        assert isinstance(identity, Visitor)
        secret = await self.storage.get(key_of(self.role["scope"]))
        tell("booted", visitor=identity.id, secret=secret)

    async def sends(self, conversation: Any, name: str) -> None:
        try:
            message = await conversation.send(f"text of {name}", name)
        except SupportChatError as error:
            tell("failed", call=name, error=type(error).__name__)
        else:
            tell("acknowledged", call=name, id=message.id, conversation=message.conversation_id)

    async def clears(self) -> None:
        await self.chat.shutdown(clear_storage=True)
        tell("cleared")


async def dies(tab: Tab, death: Death) -> None:
    """Has its call under way, and dies of it, or is killed when it is done."""
    role = tab.role

    def under_way() -> None:
        tell("under way")
        death.arm()

    if role["call"] == "boot":
        under_way()
    await tab.boots()
    conversation = tab.chat.conversation()
    if role["begun"]:
        await tab.sends(conversation, role["begun"])
    if role["call"] in ("send", "destroy"):
        under_way()
        sending = [asyncio.ensure_future(tab.sends(conversation, name)) for name in role["calls"]]
        if role["call"] == "destroy":
            await asyncio.sleep(role["pause"])
            await tab.chat.destroy()
            tell("destroyed")
        await asyncio.gather(*sending)
    elif role["call"] == "clear":
        under_way()
        await tab.clears()


async def succeeds(tab: Tab, death: Death) -> None:
    """Takes the storage over, sends again what has no answer, looks at what is there, clears."""
    await tab.boots()
    conversation = tab.chat.conversation(tab.role["conversation"])
    for name in tab.role["calls"]:
        await tab.sends(conversation, name)
    listed = [
        [message.client_message_id for message in await tab.chat.messages(one.id)]
        for one in await tab.chat.conversations()
    ]
    tell("listed", conversations=listed)
    if tab.role["clears"]:
        await tab.clears()


@asynccontextmanager
async def reaching(url: str) -> AsyncGenerator[Transport, None]:
    """A transport to the backend there, which needs no certificates."""
    async with httpx2.AsyncClient(verify=False, trust_env=False) as http:
        transport = WidgetAPITransport(url, http=http)
        try:
            yield transport
        finally:
            await transport.aclose()


_PARTS: Final[Mapping[str, Callable[[Tab, Death], Awaitable[None]]]] = {
    "dies": dies,
    "succeeds": succeeds,
}


async def live(role: Mapping[str, Any]) -> None:
    """Lives the role, and then waits for its end."""
    death = Death(role["step"])
    async with AsyncExitStack() as closing:
        storage = Place("", Path(), role["storage"]).open()
        closing.push_async_callback(storage.aclose)
        transport = await closing.enter_async_context(reaching(role["url"]))
        chat = SupportChat(
            workspace_id=WORKSPACE,
            widget_id=WIDGET,
            transport=transport,
            storage=storage,
            settings=SETTINGS,
            scope=role["scope"],
        )
        closing.push_async_callback(chat.destroy)
        try:
            await _PARTS[role["part"]](Tab(role, chat, storage), death)
        except Exception as error:
            tell("broken", error=f"{type(error).__name__}: {error}")
        death.spare()
        tell("done")
        await asyncio.Event().wait()


def main() -> None:
    """The program."""
    asyncio.run(live(json.loads(sys.argv[1])))
