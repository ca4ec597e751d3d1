"""A chat in the terminal: what was said, what waits, and how it stands. Run it with
`Chat(transport, storage, token_for).run()`.
"""

# Textual does not say what its workers return
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import asyncio

from textual import work
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.widgets import Header, Input, RichLog, Static
from textual.worker import Worker

from support_chat import Message, Storage, SupportChat, TokenProvider, Transport, User


class Chat(App[None]):
    AUTO_FOCUS = "#say"

    def __init__(self, transport: Transport, storage: Storage, token_for: TokenProvider) -> None:
        super().__init__()
        self.chat = SupportChat(
            workspace_id="demo", widget_id="web", transport=transport, storage=storage
        )
        self.token_for, self.becoming = token_for, asyncio.Lock()

    def compose(self) -> ComposeResult:
        yield Header(id="status")
        yield Vertical(RichLog(wrap=True), Static(id="waiting", markup=False), id="said")
        yield Input(id="say", placeholder="a message, /login NAME, or /logout")

    def on_mount(self) -> None:
        self.chat.on(object, self.show)
        self.become(None)

    async def on_unmount(self) -> None:
        await self.chat.destroy()

    def show(self, _: object) -> None:
        waiting = "\n".join(f"you: {message.text} (waiting)" for message in self.chat.outbox)
        self.query_one("#waiting", Static).update(waiting)
        self.title = f"{self.chat.state} {self.chat.identity or ''} {self.chat.unread or 0} unread"

    @work(name="not sent", exit_on_error=False)
    async def on_input_submitted(self, submitted: Input.Submitted) -> None:
        submitted.input.clear()
        match submitted.value.split():
            case ["/logout"]:
                self.become(None)
            case ["/login", name]:
                self.become(User(name))
            case _:
                async with self.becoming:
                    sent = self.conversation.send(submitted.value)
                await sent

    @work(name="not signed in", exclusive=True, group="becoming", exit_on_error=False)
    async def become(self, user: User | None) -> None:
        async with self.becoming:  # what is typed meanwhile waits
            await self.chat.become(user, token_provider=self.token_for, clear_storage=True)
            self.conversation = await self.chat.newest_conversation()
            said, self.sub_title = self.query_one(RichLog).clear(), ""
        async for item in self.conversation.timeline(mark_read=True):
            if isinstance(item, Message):
                said.write(f"{'agent' if item.author == 'agent' else 'you'}: {item.text}")

    def on_worker_state_changed(self, changed: Worker.StateChanged) -> None:
        if changed.worker.error:
            self.sub_title = f"{changed.worker.name}: {changed.worker.error}"
