"""The desk: performs what a person asks for on the session, keeps the status, and passes on what is
told.

No decision about the session's life is made here: which call is possible when is the session's
business, and what it refuses is shown. The desk knows one thing more than the session, which is
when the client has nothing left to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import attrs

from support_chat import SupportChat, SupportChatError, TokenProvider, User
from support_chat.lifecycle.events import AuthChanged, MessageReceived, MessageSent, PhaseChanged
from support_chat.lifecycle.names import Phase

from .commands import (
    HELP,
    Boot,
    Command,
    Help,
    History,
    Identify,
    ListConversations,
    Quit,
    Retry,
    Say,
    Shutdown,
    Update,
    command_of,
    word_of,
)
from .lines import Line, lines_of
from .outbox import Outbox
from .status import Status, after
from .told import EVENTS, Done, Failed, Said, Told, Warned

SILENT_FOR: Final = 3.0
"""Seconds after which a first boot that has neither succeeded nor failed is spoken of."""
Show = Callable[[Told, Sequence[Line]], None]
"""What a shell does with what is told: the thing itself, and the lines that it is worth for people.
"""


class Shell(Protocol):
    """Something that shows and reads."""

    def show(self, told: Told, lines: Sequence[Line]) -> None:
        """Shows it, soon and in order; called on the event loop."""
        ...

    async def run(self, desk: Desk) -> None:
        """Reads and passes on to the desk, until the person leaves or the desk is done."""
        ...


@attrs.frozen
class Person:
    """Who the client speaks for: a user, or a visitor of whom a name may be `known`; and where
    tokens for a user come from.
    """

    user: User | None
    known: Mapping[str, str]
    provider_for: Callable[[str], TokenProvider]


class Desk:
    """Performs commands on one session; `url` is shown in its status."""

    def __init__(self, chat: SupportChat, person: Person, url: str, show: Show) -> None:
        self.status = Status(url, since=time.time())
        self.begun = asyncio.Event()
        """The first boot has succeeded or failed."""
        self.done = asyncio.Event()
        """There is nothing left to do: the first boot has failed, or the session has ended by
        itself.
        """
        self.failure: str | None = None
        """Why there is nothing left to do."""
        self._chat = chat
        self._person = person
        self._show = show
        self._outbox = Outbox(chat, self.begun, self.tell)
        for kind in EVENTS:
            chat.on(kind, self.tell)

    def tell(self, told: Told) -> None:
        """Something is to be shown; the status follows."""
        lines = lines_of(told, self.status)
        self.status = after(self.status, told)
        match told:
            case AuthChanged():
                self._outbox.another_identity()
            case MessageSent() | MessageReceived():
                self._outbox.heard(told)
            case PhaseChanged(current=Phase.SHUTDOWN) if told.reason != "shutdown":
                self._over(
                    f"The session ended by itself ({told.reason}); start again, with a fresh "
                    "sign-in if it was refused."
                )
            case _:
                pass
        self._show(told, lines)

    async def begin(self) -> None:
        """Boots for the first time, and says so if that takes long; if it fails, the desk is
        done.
        """
        looking = asyncio.get_running_loop().call_later(SILENT_FOR, self._still_looking)
        try:
            await self._boot(self._person.user)
            if self._person.known:
                await self._chat.update(user=self._person.known)
        except SupportChatError as error:
            self._over(error.message)
        finally:
            looking.cancel()
            self.begun.set()

    def _still_looking(self) -> None:
        self.tell(
            Warned(
                f"no answer from {self.status.url} yet, still trying; is `support-chat serve` "
                "running there, is --url right?"
            )
        )

    async def do(self, line: str) -> bool:
        """Does what a line asks for, and tells what came of it; False if it asks to leave."""
        try:
            command = command_of(line)
            if command == Quit():
                return False
            if command is not None:
                await self._perform(command)
        except SupportChatError as error:
            self.tell(Failed(word_of(line), error))
        return True

    async def _perform(self, command: Command) -> None:
        match command:
            case Say():
                await self._outbox.send(command.text)
            case Retry():
                waiting = self._outbox.unsent
                sent = await self._outbox.retry()
                says = f"sent {sent} of {waiting}" if waiting else "there is nothing to send again"
                self.tell(Done("retry", (says,), {"sent": sent, "of": waiting}))
            case Identify():
                await self._identify(command.user_id)
            case Update():
                seconds = await self._chat.update(
                    user=command.user, company=command.company, context=command.context
                )
                soon = (
                    "on its way"
                    if seconds == 0
                    else f"leaves in {seconds:.0f} s"
                    if seconds < 1e9
                    else "leaves when the link is back"
                )
                self.tell(
                    Done(
                        "update",
                        (f"update noted: {soon}",),
                        {"leaves_in": seconds if seconds < 1e9 else None},
                    )
                )
            case Boot():
                await self._boot(
                    self._person.user if command.user_id is None else User(command.user_id)
                )
                self.tell(Done("boot"))
            case Shutdown():
                await self._chat.shutdown(clear_storage=command.clear)
                forgotten = (
                    ("the visitor is forgotten: nothing of this scope is stored",)
                    if command.clear
                    else ()
                )
                self.tell(Done("shutdown", forgotten, {"clear": command.clear}))
            case ListConversations():
                await self._list()
            case History():
                await self._history()
            case Help() | Quit():
                self.tell(Done("help", HELP, {"help": list(HELP)}))

    async def _boot(self, user: User | None) -> None:
        if user is None:
            await self._chat.boot()
        else:
            await self._chat.boot(user=user, token_provider=self._person.provider_for(user.id))

    async def _identify(self, user_id: str) -> None:
        result = await self._chat.identify(
            user=User(user_id), token_provider=self._person.provider_for(user_id)
        )
        if result.merged:
            count = result.conversations_moved
            says = f"{count} conversation{'' if count == 1 else 's'} came along"
        else:
            says = (
                "nothing came along: "
                f"{(result.not_merged_because or 'nothing to merge').replace('_', ' ')}"
            )
        self.tell(Done("identify", (says,), attrs.asdict(result)))

    async def _list(self) -> None:
        conversations = await self._chat.conversations()
        says = [
            f"{each.id}: {each.messages} message{'' if each.messages == 1 else 's'}, "
            f"{each.unread} unread, "
            f"since {time.strftime('%Y-%m-%d %H:%M', time.localtime(each.created_at))}"
            for each in conversations
        ]
        data = {"conversations": [attrs.asdict(each) for each in conversations]}
        self.tell(Done("list", tuple(says) or ("no conversation yet",), data))

    async def _history(self) -> None:
        conversation_id = await self._outbox.newest()
        messages = () if conversation_id is None else await self._chat.messages(conversation_id)
        if conversation_id is not None:
            await self._chat.mark_read(conversation_id)
        self.tell(Said(tuple(messages)))

    def _over(self, why: str) -> None:
        if self.failure is None:
            self.failure = why
        self.done.set()
