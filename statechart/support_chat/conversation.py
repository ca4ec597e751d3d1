"""`OpenConversation`: one conversation of a session to hold on to, as a chat window does."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final, Protocol

from .errors import (
    EventsLostError,
    NetworkError,
    NotBootedError,
    OutboxFullError,
    RateLimitedError,
    SessionDestroyedError,
    SessionEndedError,
)
from .lifecycle import timeline as t
from .lifecycle.events import (
    AnyEvent,
    AuthChanged,
    ConnectionChanged,
    MessageFailed,
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

    @property
    def unread(self) -> int | None:
        """How many messages are unread."""
        ...

    def messages(
        self, conversation_id: str, *, before: str | None = None, limit: int | None = None
    ) -> Call[Sequence[Message]]:
        """Lists messages."""
        ...

    def mark_read(self, conversation_id: str, up_to: str | None = None) -> Call[ReadAnswer]:
        """Counts messages as read."""
        ...

    def on(self, kind: Any, handler: Callable[[Any], object]) -> Subscription:
        """Calls the handler with each event of these kinds."""
        ...

    def events(self, *kinds: type[Any]) -> EventStream[Any]:
        """A stream of events."""
        ...


class OpenConversation:
    """A conversation of whoever is live, made by `chat.conversation()` or
    `chat.newest_conversation()`; without an id it begins with its first message or, if it `joins`,
    with the first of any conversation that begins here or elsewhere.
    """

    def __init__(
        self, chat: Messenger, send: Send, conversation_id: str | None, *, joins: bool = False
    ) -> None:
        self._chat = chat
        self._send = send
        self._id = conversation_id
        self._joins = joins
        self._thread = uuid.uuid4().hex
        self._sent: set[str] = set()
        self._learning: Subscription | None = None
        self._last: Message | None = None
        """The newest message that was told..."""
        self._read: Message | None = None
        """... and that counts as read."""
        if joins:
            self._learn()

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
            self._learn()
        return call

    async def messages(
        self, *, before: str | None = None, limit: int | None = None
    ) -> Sequence[Message]:
        """Lists its messages as `SupportChat.messages()` does, with its errors; none while it has
        not begun.
        """
        if self._id is None:
            return ()
        messages = await self._chat.messages(self._id, before=before, limit=limit)
        for message in messages[-1:]:
            self._tell(message)
        return messages

    async def mark_read(self) -> None:
        """Counts as read what its timeline and messages() have told so far, and nothing that has
        come since; does nothing where they have told nothing. Raises as `SupportChat.mark_read()`.
        """
        last = self._last
        if self._id is not None and last is not None:
            await self._chat.mark_read(self._id, last.id)
            self._read = last

    async def timeline(
        self, *, mark_read: bool = False, until: type[AnyEvent] | None = None
    ) -> AsyncGenerator[Item]:
        """Each message of the conversation once, in the backend's order: first those of the past,
        then own ones and others' as they come; `async for` over it.

        After a lost link it goes on where it was, by itself; messages that the link missed are
        loaded. A `Gap` says where some may be missing that the backend has no longer. It waits
        where nobody is live yet or the conversation has not begun, and ends with the session, or
        with the first event of the kind `until`. With `mark_read` what was told counts as read once
        the next is asked for.

        Raises BackendRejectedError for a conversation that is not theirs.
        """
        line = t.Timeline()
        kinds = _KINDS if until is None else (*_KINDS, until)
        while True:
            async with self._chat.events(*kinds) as stream:
                try:
                    async for after, items in self._told(line, stream, until):
                        line = after
                        for item in items:
                            if isinstance(item, Message):
                                self._tell(item)
                            yield item
                        if mark_read:
                            await self._mark_told()
                    return
                except EventsLostError:  # whoever iterates is slow
                    line = t.missed(line)

    async def _told(
        self, line: t.Timeline, stream: EventStream[AnyEvent], until: type[AnyEvent] | None
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
            if until is not None and isinstance(event, until):
                return
            match event:
                case None | AuthChanged(identity=None):
                    return
                case ConnectionChanged(connected=True, gap=True):
                    line = t.missed(line)
                case MessageReceived(message) | MessageSent(message):
                    self._hear(event)
                    if message.conversation_id == self._id:
                        line, items = t.heard(line, message)
                        yield line, items
                case _:
                    pass

    async def _mark_told(self) -> None:
        """What was told counts as read, if something is unread."""
        if self._chat.unread and self._last != self._read:
            # the stream tells the end; a mark for which there is no room the next one makes up for
            with contextlib.suppress(
                NotBootedError, OutboxFullError, SessionEndedError, SessionDestroyedError
            ):
                await self.mark_read()

    def _tell(self, message: Message) -> None:
        if self._last is None or self._last.created_at <= message.created_at:
            self._last = message

    def _learn(self) -> None:
        """From now on it learns which conversation it is."""
        if self._learning is None:
            self._learning = self._chat.on(
                MessageSent | MessageReceived | MessageFailed, self._hear
            )

    def _hear(self, event: MessageSent | MessageReceived | MessageFailed) -> None:
        """It is the conversation that the first message of its own has begun or, if nothing is on
        its way into it and it joins, whichever has begun.
        """
        if isinstance(event, MessageFailed):
            self._sent.discard(event.client_message_id)
            return
        message = event.message
        own = message.client_message_id in self._sent
        if self._id is None and (own or (self._joins and not self._sent)):
            self._id = message.conversation_id
            self._sent.clear()
            if self._learning is not None:
                self._learning()
