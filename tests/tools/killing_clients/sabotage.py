"""Clients and storages that are broken on purpose, each in one place: a program text that breaks
them in the processes of a round.

Such a round must be judged as a violation; else the rounds that pass would show nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs

from .plans import CALLS, STORAGES, TURN, Call, Kept, Plan, plan_of


@attrs.frozen
class Sabotage:
    """What is broken, the rounds that come upon it, and words of the violation that they are judged
    as. The process dies at one of `steps`, in a round for each; without any, once it is done.
    """

    what: str
    call: Call
    storage: Kept
    seen_as: str
    breaks: str = attrs.field(repr=False)
    steps: tuple[int | None, ...] = (None,)
    changes: dict[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def plans(self) -> Iterator[Plan]:
        """The rounds."""
        number = CALLS.index(self.call) + len(CALLS) * STORAGES.index(self.storage)
        for step in self.steps:
            plain = {"step": step, "after": None, "held": False, "watched": False, "successors": 0}
            yield attrs.evolve(plan_of(number), **{**plain, **self.changes})
            number += TURN


SABOTAGES: Final = (
    Sabotage("a client whose messages get another id", "send", "file", "was never sent", """
import attrs, itertools
from support_chat_adapters.transport.widget_link import WidgetLink
really, numbers = WidgetLink.send, itertools.count()

async def send(self, message):
    id = f"{message.client_message_id}-{next(numbers)}"
    return await really(self, attrs.evolve(message, client_message_id=id))

WidgetLink.send = send
"""),
    Sabotage("a client that sends the newest first", "send", "sqlite", "in this order", """
from support_chat.lifecycle import outbox
outbox.first = lambda given: (
    iter(given.entries[-1:]) if not any(one.under_way for one in given.entries) else iter(())
)
""", changes={"messages": 5, "begun": True}),
    Sabotage("a client that answers before it has sent", "destroy", "file", "is not stored", """
from support_chat import Message
from support_chat_adapters.transport.widget_link import WidgetLink

async def send(self, message):
    given = message.conversation_id or "conversation-0", "visitor", message.text, 0.0
    return Message("message-0", *given, message.client_message_id)

WidgetLink.send = send
""", changes={"pause": 0.5}),
    Sabotage("a client that does not tell of a clear", "clear", "sqlite", "still takes", """
from support_chat_adapters.transport import WidgetAPITransport

async def end_visitor(self, *who):
    pass

WidgetAPITransport.end_visitor = end_visitor
"""),
    Sabotage("a client that tells of a clear first", "clear", "file", "is not the successor's", """
from support_chat.lifecycle import requests as r
from support_chat.runtime import adapters as a
clear = a._clear

async def told(adapters, request, payload):
    secret = await adapters.storage.get(payload.visitor)
    await adapters.transport.end_visitor("demo", "web", secret)
    return await clear(adapters, request, payload)

a._PERFORMERS = {**a._PERFORMERS, r.Clear: told}
""", steps=(40, 44, 48, 52)),
    Sabotage("a storage that deletes later", "clear", "file", "the clear had succeeded", """
from support_chat_adapters.storage import FileStorage

async def delete(self, *keys):
    return {}

FileStorage.delete = delete
"""),
    Sabotage("a storage that deletes by halves", "clear", "file", "neither the visitor's", """
from support_chat_adapters.storage import FileStorage
from support_chat_adapters.storage.thread import on_own_thread
really = FileStorage.delete

@on_own_thread
def cut(self, keys):
    with self._entries() as entries:
        entries.update({key: entries[key][:20] for key in keys if key in entries})

async def delete(self, *keys):
    await cut(self, keys)
    return await really(self, *keys)

FileStorage.delete = delete
""", steps=(60, 70, 80, 90)),
    Sabotage("a storage that creates what is there", "send", "sqlite", "is not the successor's", """
from support_chat_adapters.storage import SQLiteStorage
really = SQLiteStorage.create

async def create(self, key, value):
    await self.delete(key)
    return await really(self, key, value)

SQLiteStorage.create = create
"""),
    Sabotage("a storage that keeps a copy", "boot", "file", "a secret is still in", """
import os, shutil
really = os.replace

def replace(new, path):
    if os.path.exists(path):
        shutil.copy(path, f"{path}.bak")
    really(new, path)

os.replace = replace
"""),
    Sabotage("a storage whose lock outlives its holder", "boot", "file", "a later boot failed", """
import contextlib, os
from support_chat_adapters.storage.files import FileLock

@contextlib.contextmanager
def held(self, *, shared=False):
    os.mkdir(f"{self._path}ed")
    yield
    os.rmdir(f"{self._path}ed")

FileLock.held = held
""", steps=(1, 2)),
    Sabotage("a server that takes what is late", "clear", "redis", "after its deadline", """
from support_chat_adapters.storage import redis
from support_chat_adapters.storage.deadline import IN_TIME
redis._DELETE = redis._DELETE.replace(IN_TIME, "")
""", changes={"held": True, "in_time": False, "successors": 1}),
)  # fmt: skip
"""Those that the tests run."""
