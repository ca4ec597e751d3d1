"""`OpenConversation`: one conversation of a session to hold on to, as a chat window does."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final, Protocol

from .errors import (
    EventsLostError,
    InvalidInputError,
    NetworkError,
    NotBootedError,
    RateLimitedError,
    SessionDestroyedError,
)
from .lifecycle import timeline as t
from .lifecycle.events import (
    AnyEvent,
    AuthChanged,
    ConnectionChanged,
    MessageReceived,
    MessageSent,
)
from .lifecycle.timeline import Item
from .ports import ReadAnswer
from .runtime.calls import Call
from .runtime.listeners import EventStream, Subscription
from .values import NOTHING_SAID, Message

PAGE: Final = 100
"""How many messages of the past are asked for at a time."""
_AGAIN: Final = 1.0
"""Seconds until a page is asked for again that an open link did not bring."""
_KINDS: Final = (MessageReceived, MessageSent, ConnectionChanged, AuthChanged)

Send = Callable[..., Call[Message]]


class Messenger(Protocol):
    """What a conversation needs of its session."""

    @property
    def connected(self) -> bool:
        """Whether a link is open."""
        ...

    def messages(
        self, conversation_id: str, *, before: str | None = None, limit: int | None = None
    ) -> Call[Sequence[Message]]:
        """Lists messages."""
        ...

    def mark_read(self, conversation_id: str, up_to: str | None = None) -> Call[ReadAnswer]:
        """Counts messages as read."""
        ...

    def on(self, kind: type[MessageSent], handler: Callable[[MessageSent], object]) -> Subscription:
        """Calls the handler with each event of this kind."""
        ...

    def events(self, *kinds: type[Any]) -> EventStream[Any]:
        """A stream of events."""
        ...


class OpenConversation:
    """A conversation of whoever is live, made by `chat.conversation()`; without an id it begins
    with its first message.
    """

    def __init__(self, chat: Messenger, send: Send, conversation_id: str | None) -> None:
        self._chat = chat
        self._send = send
        self._id = conversation_id
        self._thread = uuid.uuid4().hex
        self._sent: set[str] = set()
        self._learning: Subscription | None = None
        self._last: str | None = None

    def __repr__(self) -> str:
        return f"<OpenConversation {self._id or 'that has not begun'}>"

    @property
    def id(self) -> str | None:
        """The conversation's id; None before the backend has its first message."""
        return self._id

    def send(
        self,
        text: str,
        client_message_id: str | None = None,
        *,
        queue: bool = True,
        timeout: float | None = None,
    ) -> Call[Message]:
        """Sends a message into the conversation, as send_message() does and with its errors; the
        first one begins it.

        Messages that are sent before the first has an answer wait for its id, and fail with it if
        it is refused.
        """
        name = client_message_id or uuid.uuid4().hex
        call = self._send(text, self._id, name, NOTHING_SAID, queue, timeout, self._thread)
        if self._id is None:
            self._sent.add(name)
            if self._learning is None:
                self._learning = self._chat.on(MessageSent, self._learn)
        return call

    def messages(
        self, *, before: str | None = None, limit: int | None = None
    ) -> Call[Sequence[Message]]:
        """Lists its messages as `SupportChat.messages()` does, with its errors.

        Raises InvalidInputError on the line while the conversation has not begun.
        """
        if self._id is None:
            raise InvalidInputError("This conversation has not begun: send() its first message.")
        return self._chat.messages(self._id, before=before, limit=limit)

    async def mark_read(self) -> None:
        """Counts as read what its timeline has told so far, and nothing that has come since; does
        nothing where it has told nothing. Raises as `SupportChat.mark_read()`.
        """
        if self._id is not None and self._last is not None:
            await self._chat.mark_read(self._id, self._last)

    async def timeline(self) -> AsyncGenerator[Item]:
        """Each message of the conversation once, in the backend's order: first those of the past,
        then own ones and others' as they come; `async for` over it.

        After a lost link it goes on where it was, by itself; messages that the link missed are
        loaded. A `Gap` says where some may be missing that the backend has no longer. It waits
        where nobody is live yet or the conversation has not begun, and ends with the session.

        Raises BackendRejectedError for a conversation that is not theirs.
        """
        line = t.Timeline()
        while True:
            async with self._chat.events(*_KINDS) as stream:
                try:
                    async for after, items in self._told(line, stream):
                        line = after
                        for item in items:
                            if isinstance(item, Message):
                                self._last = item.id
                            yield item
                    return
                except EventsLostError:  # whoever iterates is slow
                    line = t.missed(line)

    async def _told(
        self, line: t.Timeline, stream: EventStream[AnyEvent]
    ) -> AsyncGenerator[tuple[t.Timeline, Sequence[Item]]]:
        """What is to be told, each time with the record after it."""
        while True:
            while line.loading and self._id is not None and self._chat.connected:
                asked = self._chat.messages(self._id, before=t.before(line), limit=PAGE)
                try:
                    line, items = t.page(line, await asked, PAGE)
                except (NotBootedError, SessionDestroyedError):
                    break  # the stream tells the end
                except NetworkError as error:
                    after = error.retry_after if isinstance(error, RateLimitedError) else _AGAIN
                    await asyncio.sleep(max(after, _AGAIN))
                    continue
                yield line, items
            event = await anext(stream, None)
            match event:
                case None | AuthChanged(identity=None):
                    return
                case ConnectionChanged(connected=True, gap=True):
                    line = t.missed(line)
                case MessageReceived(message) | MessageSent(message):
                    if isinstance(event, MessageSent):
                        self._learn(event)
                    if message.conversation_id == self._id:
                        line, items = t.heard(line, message)
                        yield line, items
                case _:
                    pass

    def _learn(self, event: MessageSent) -> None:
        """The backend has one of our messages, and so the conversation has an id."""
        if self._id is None and event.message.client_message_id in self._sent:
            self._id = event.message.conversation_id
            self._sent.clear()
            if self._learning is not None:
                self._learning()
