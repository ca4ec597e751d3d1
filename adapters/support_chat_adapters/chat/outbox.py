"""Messages on their way: one after the other, all in one conversation, and none forgotten that was
not sent.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from support_chat import SupportChat, SupportChatError
from support_chat.lifecycle.events import MessageFailed, MessageReceived, MessageSent

from .told import Sending, Told


class Outbox:
    """Sends for one session; `tell` is told of each message before it leaves, and of what fails
    before the session hears of it.

    What is typed before the session has `begun` waits for that.

    A message keeps its client id from its first attempt to its last, so that however often it is
    sent, it arrives once.
    """

    def __init__(
        self, chat: SupportChat, begun: asyncio.Event, tell: Callable[[Told], None]
    ) -> None:
        self._chat = chat
        self._begun = begun
        self._tell = tell
        # the second message belongs into the conversation that the first one began
        self._turn = asyncio.Lock()
        self._conversation: str | None = None
        self._unsent: dict[str, str] = {}

    @property
    def unsent(self) -> int:
        """How many messages were not sent."""
        return len(self._unsent)

    def another_identity(self) -> None:
        """The session belongs to somebody else: their newest conversation is another one."""
        self._conversation = None

    def heard(self, event: MessageSent | MessageReceived) -> None:
        """A message has arrived, of whomever: the conversation goes on there, and if it is one of
        ours it is not sent again.
        """
        self._conversation = event.message.conversation_id
        self._unsent.pop(event.message.client_message_id or "", None)

    async def send(self, text: str) -> None:
        """Sends a message, once those before it are settled; what fails is told, and kept for
        `retry`.
        """
        client_message_id = uuid.uuid4().hex
        self._tell(Sending(text, client_message_id))
        await self._attempt(text, client_message_id)

    async def retry(self) -> int:
        """Sends again what was not sent, the oldest first, and stops at the first that fails again;
        returns how many were sent.
        """
        sent = 0
        for client_message_id, text in tuple(self._unsent.items()):
            self._tell(Sending(text, client_message_id))
            if not await self._attempt(text, client_message_id):
                break
            sent += 1
        return sent

    async def _attempt(self, text: str, client_message_id: str) -> bool:
        told = False

        def hears(event: MessageFailed) -> None:
            nonlocal told
            told = told or event.client_message_id == client_message_id

        async with self._turn:
            await self._begun.wait()
            with self._chat.on(MessageFailed, hears):
                try:
                    await self._chat.send_message(text, await self.newest(), client_message_id)
                except SupportChatError as error:
                    self._unsent[client_message_id] = text
                    if not told:
                        self._tell(MessageFailed(client_message_id, error, outcome_unknown=False))
                    return False
        self._unsent.pop(client_message_id, None)
        return True

    async def newest(self) -> str | None:
        """Where the conversation goes on; None to begin one."""
        if self._conversation is None:
            conversations = await self._chat.conversations()
            self._conversation = conversations[0].id if conversations else None
        return self._conversation
