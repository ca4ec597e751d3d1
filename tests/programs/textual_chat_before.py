"""A chat in the terminal, as it has to be written while a session has neither timelines nor an
outbox.

It keeps by itself what was said (`said`, by id, since history, replay, arrivals and its own sends
overlap), what is not sent yet (`waiting`, by client id, in the order of typing), and where the
conversation goes on. Run it with `Chat(transport, storage, token_for).run()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input, Static

from support_chat import (
    AuthChanged,
    ConnectionChanged,
    Message,
    MessageReceived,
    MessageSent,
    NetworkError,
    NotBootedError,
    PhaseChanged,
    SignedIn,
    Storage,
    SupportChat,
    SupportChatError,
    Transport,
    UnreadChanged,
    User,
    Visitor,
)

NO_LINK = (NetworkError, NotBootedError)


class Chat(App[None]):
    CSS = "#status { background: $primary }"
    AUTO_FOCUS = "#say"

    def __init__(
        self, transport: Transport, storage: Storage, token_for: Callable[[str], str]
    ) -> None:
        super().__init__()
        self.chat = SupportChat(
            workspace_id="demo", widget_id="web", transport=transport, storage=storage
        )
        self.token_for, self.trouble, self.typed = token_for, "", asyncio.Event()
        self.forget()

    def forget(self) -> None:
        self.conversation: str | None = None
        self.said: dict[str, Message] = {}
        self.waiting: dict[str, str] = {}

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(id="said", markup=False)
        yield Static(id="status", markup=False)
        yield Input(id="say", placeholder="a message, /login NAME, or /logout")

    def on_mount(self) -> None:
        self.chat.on(PhaseChanged | AuthChanged | UnreadChanged, lambda _: self.show())
        self.chat.on(MessageReceived | MessageSent, lambda event: self.add(event.message))
        self.chat.on(ConnectionChanged, self.load)
        self.chat.on(UnreadChanged, self.mark_read)
        self.run_worker(self.send_what_waits())
        self.run_worker(self.become(None))

    async def on_unmount(self) -> None:
        await self.chat.destroy()

    def show(self) -> None:
        if not self.query("#status"):  # it is told of its own end, too
            return
        said = sorted(self.said.values(), key=lambda message: message.created_at)
        lines = [f"{'agent' if m.author == 'agent' else 'you'}: {m.text}" for m in said]
        lines += [f"you: {text} (waiting)" for text in self.waiting.values()]
        self.query_one("#said", Static).update("\n".join(lines))
        self.query_one(VerticalScroll).scroll_end(animate=False)
        who = self.chat.identity
        name = who.user_id if isinstance(who, SignedIn) else "visitor" if who else "nobody"
        status = f"{self.chat.state}  {name}  {self.chat.unread or 0} unread  {self.trouble}"
        self.query_one("#status", Static).update(status)

    def add(self, *messages: Message) -> None:
        """Shows what is new of these, whichever way it came."""
        for message in messages:
            self.conversation = self.conversation or message.conversation_id
            self.said[message.id] = message
            self.waiting.pop(message.client_message_id or "", None)
        self.show()

    async def load(self, event: ConnectionChanged | None = None) -> None:
        """What was said, also while there was no link; and what was typed can go."""
        if event is None or event.connected:
            with contextlib.suppress(*NO_LINK):  # the next link does it
                if self.conversation is None:
                    for conversation in (await self.chat.conversations())[:1]:
                        self.conversation = conversation.id
                if self.conversation is not None:
                    self.add(*await self.chat.messages(self.conversation))
            await self.mark_read()
            self.typed.set()

    async def mark_read(self, _: object = None) -> None:
        with contextlib.suppress(*NO_LINK):  # the next link does it
            if self.chat.unread and self.conversation is not None:
                await self.chat.mark_read(self.conversation)

    async def send_what_waits(self) -> None:
        """Each again until it is answered, under its id; the next one then, or they lose their
        order.
        """
        while await self.typed.wait():
            self.typed.clear()
            while self.waiting and self.chat.connected:
                one, text = next(iter(self.waiting.items()))
                try:
                    self.add(await self.chat.send_message(text, self.conversation, one))
                except NO_LINK as error:  # not sent, or nobody knows
                    await asyncio.sleep(getattr(error, "retry_after", 0.0) or 0.5)
                except SupportChatError as error:
                    self.waiting.pop(one, None)
                    self.trouble = f"not sent: {text[:20]}... ({error})"

    async def become(self, name: str | None) -> None:
        """Whoever it is from now on; a visitor who signs in takes along what they wrote."""
        user, before = None if name is None else User(name), self.chat.identity
        provider = None if name is None else lambda: self.token_for(name)
        self.trouble = ""
        try:
            if user is not None and isinstance(before, Visitor):
                await self.chat.identify(user=user, token_provider=provider)
                self.conversation = None  # the user may have a newer one
                return await self.load()
            if isinstance(before, SignedIn) and before.user_id != name:
                await self.chat.shutdown(clear_storage=True)
                self.forget()
            await self.chat.boot(user=user, token_provider=provider)
        except SupportChatError as error:
            self.trouble = str(error)
        self.show()

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        submitted.input.clear()
        match submitted.value.split():
            case ["/logout"]:
                self.run_worker(self.become(None))
            case ["/login", name]:
                self.run_worker(self.become(name))
            case [_, *_]:
                self.waiting[uuid.uuid4().hex] = submitted.value
                self.typed.set()
                self.show()
            case _:
                pass
