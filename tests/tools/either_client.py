"""A program against the calls that the former version of the library has and this one, too: a whole
life in two tabs. It says what it has done as lines of JSON, and waits for the word to go on.

Run with the packages of either version on PYTHONPATH: `either_client.py URL WAY USER TOKEN`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from support_chat import MessageReceived, MessageSent, SupportChat, User
from support_chat_adapters.storage import MemoryStorage
from support_chat_adapters.transport import WidgetAPITransport

LIMIT = 60.0
"""Seconds that anything may take."""


class Tab:
    """One tab, and what it was told."""

    def __init__(self, url: str, way: str, storage: MemoryStorage) -> None:
        more: dict[str, Any] = {"websocket": None, "poll_wait": 1.0} if way == "polls" else {}
        self.chat = SupportChat(
            workspace_id="demo",
            widget_id="web",
            transport=WidgetAPITransport(url, **more),
            storage=storage,
        )
        self.received: list[str] = []
        self.sent: list[str] = []
        self.news = asyncio.Event()
        self.chat.on(MessageReceived, self._has_received)
        self.chat.on(MessageSent, lambda event: self.sent.append(event.message.text))

    def _has_received(self, event: MessageReceived) -> None:
        self.received.append(event.message.text)
        self.news.set()

    async def hears(self, text: str) -> None:
        """Waits until a message of this text has come."""
        while text not in self.received:
            self.news.clear()
            await self.news.wait()


def say(**what: Any) -> None:
    """Tells the test."""
    print(json.dumps(what), flush=True)


async def told() -> None:
    """Waits for the test."""
    assert await asyncio.to_thread(sys.stdin.readline)


async def main(url: str, way: str, user: str, token: str) -> None:
    """The whole life."""
    storage = MemoryStorage()
    tab, other = Tab(url, way, storage), Tab(url, way, storage)
    chat = tab.chat
    await chat.boot()
    await other.chat.boot()
    message = await chat.send_message("hello")
    conversation = message.conversation_id
    await chat.send_message("and more", conversation_id=conversation)
    await other.hears("and more")
    say(conversation=conversation)
    await told()
    await tab.hears("coming")
    await other.hears("coming")
    unread = chat.unread
    await chat.mark_read(conversation)
    say(unread=unread, read=chat.unread, count=len(await chat.messages(conversation)))
    result = await chat.identify(user=User(user), token_provider=lambda: token)
    await chat.update(user={"id": user, "traits": {"role": "admin"}})
    mine = await chat.send_message("as the user", conversation_id=conversation)
    say(merged=result.merged, author=mine.author, listed=len(await chat.conversations()))
    await told()
    await tab.hears("to the user")
    await chat.shutdown(clear_storage=True)
    await chat.boot()
    say(anew=len(await chat.conversations()))
    for one in (tab, other):
        await one.chat.destroy()
    say(received=tab.received, sent=tab.sent, other=other.received, phase=chat.state.value)


asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), LIMIT))
