"""A whole session told over whatever lies between it and a real backend, and judged by what is
stored and what was heard.

The frontend of the story does what a frontend does: it sends again, with the same id, what was not
sent, and asks again for what failed. What the session itself has to do, nobody does for it: come
back, renew, deliver what was missed, keep updates.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import attrs

from served import WIDGET, WORKSPACE, Served
from support_chat import Settings, SupportChat
from support_chat.errors import CallTimeoutError, NetworkError, SessionEndedError, SupportChatError
from support_chat.lifecycle.events import AnyEvent, MessageReceived
from support_chat.ports import Transport
from support_chat.values import Message, SignedIn, Visitor
from support_chat_adapters.storage import MemoryStorage

T = TypeVar("T")

IMPATIENT: Final = Settings(
    connect_timeout=1.5,
    boot_timeout=20.0,
    call_timeout=1.5,
    backoff_base=0.04,
    backoff_min=0.01,
    backoff_max=0.2,
    stable_after=0.3,
    probe_interval=0.5,
    silence_timeout=1.2,
    min_refresh_interval=0.05,
    update_interval=0.02,
    revoke_timeout=0.8,
    destroy_timeout=1.0,
)
"""The shipped settings made short: a story waits in real time."""
PING_EVERY: Final = 0.3
POLL_WAIT: Final = 0.4
LIMIT: Final = 300.0
"""How many seconds a story may take, whatever it meets."""


@attrs.define(eq=False)
class Story:
    """One session of one person; `tell()` it, then `judge()` it."""

    served: Served
    transport: Transport
    user: str = attrs.field(factory=lambda: f"user-{uuid.uuid4().hex[:8]}")
    heard: list[AnyEvent] = attrs.field(factory=list[AnyEvent])
    said: list[Message] = attrs.field(factory=list[Message])
    """What agents wrote, in order."""
    visitor: Visitor | None = None

    async def tell(self, calmed: Callable[[], Awaitable[None]]) -> None:
        """Boots, writes, signs in, changes traits, has its token expire, and shuts down; `calmed`
        ends the faults before the end.
        """
        async with asyncio.timeout(LIMIT):
            chat = SupportChat(
                workspace_id=WORKSPACE,
                widget_id=WIDGET,
                transport=self.transport,
                storage=MemoryStorage(),
                settings=IMPATIENT,
            )
            chat.on(object, self.heard.append)  # every event there is
            async with chat:
                await self._boots(chat)
                await self._writes(chat, "from a visitor")
                self._agent("to a visitor", self.visitor)
                await self._signs_in(chat)
                await chat.update(
                    user={"id": self.user, "traits": {"role": "admin"}}, context={"page": "billing"}
                )
                await self._writes(chat, "from a user")
                self._agent("to a user", SignedIn(self.user))
                self._expire()
                await self._writes(chat, "with a fresh token")
                self._agent("the last word", SignedIn(self.user))
                await self._settled(chat)
                await chat.shutdown(clear_storage=True)
                await calmed()

    async def _boots(self, chat: SupportChat) -> None:
        identity = await _insisted(lambda: chat.boot())
        assert isinstance(identity, Visitor)
        self.visitor = identity

    async def _writes(self, chat: SupportChat, text: str) -> None:
        client_id = uuid.uuid4().hex
        message = await _insisted(lambda: chat.send_message(text, client_message_id=client_id))
        assert (message.text, message.client_message_id) == (text, client_id)

    async def _signs_in(self, chat: SupportChat) -> None:
        await _insisted(
            lambda: chat.identify(
                user={"id": self.user}, token_provider=lambda: self.served.token(self.user)
            )
        )
        assert chat.identity == SignedIn(self.user)

    async def _settled(self, chat: SupportChat) -> None:
        """Everything that was said has arrived, and everything that was changed is stored: the
        session did it by itself.
        """

        def is_settled() -> bool:
            with self.served.backend() as backend:
                stored = backend.agent.traits(SignedIn(self.user))
            return (
                len(self.received()) >= len(self.said)
                and stored.get("user.traits.role") == "admin"
                and "context.page" in stored
            )

        while not is_settled():  # noqa: ASYNC110  # a row in a database
            await asyncio.sleep(0.02)

    def _agent(self, text: str, to: Visitor | SignedIn | None) -> None:
        assert to is not None
        with self.served.backend() as backend:
            self.said.append(backend.agent.reply(to, text))

    def _expire(self) -> None:
        with self.served.backend() as backend:
            backend.faults.expire_tokens(self.user)

    def received(self) -> list[str]:
        """The ids of the messages that arrived, in order."""
        return [
            event.message.id
            for event in self.heard
            if isinstance(event, MessageReceived) and event.message.author == "agent"
        ]

    def judge(self) -> None:
        """Nothing is lost, doubled or out of order: not at the backend, and not at the frontend."""
        assert self.received() == [message.id for message in self.said]
        assert self.visitor is not None
        with self.served.backend() as backend:
            agent, me = backend.agent, SignedIn(self.user)
            assert agent.users().count(me) == 1
            assert agent.merged_into(self.visitor) == me
            assert agent.conversations(self.visitor) == ()
            stored = [
                message for one in agent.conversations(me) for message in agent.messages(one.id)
            ]
            ours = sorted(
                (message.author, message.text) for message in stored if message.author != "agent"
            )
            assert ours == [
                ("user", "from a user"),
                ("user", "with a fresh token"),
                ("visitor", "from a visitor"),
            ]
            assert sorted(message.id for message in stored if message.author == "agent") == sorted(
                message.id for message in self.said
            )
            assert agent.duplicates() == 0


async def _insisted(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer, asked for again while the network is at fault; the call settles each time."""
    while True:
        try:
            return await ask()
        except (NetworkError, CallTimeoutError):
            await asyncio.sleep(0.05)
        except SessionEndedError as error:
            raise AssertionError(f"the session ended ({error.reason})") from error
        except SupportChatError as error:
            if not error.recoverable:
                raise
            await asyncio.sleep(0.05)
