"""The controller: performs what a person asks for on the session, keeps the status, and passes on
what happens.

No decision about the session's life is made here: which call is possible when is the session's
business, and what it refuses is shown. The controller knows one thing more than the session, which
is when the client has nothing left to do.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, get_args

import attrs

from support_chat import (
    AnyEvent,
    NotBootedError,
    OpenConversation,
    OutboxFullError,
    Phase,
    PhaseChanged,
    SupportChat,
    SupportChatError,
    TokenProvider,
    User,
)

from .commands import HELP, arguments_of, changes_of, parse
from .events import Done, Event, Failed, Sending, Warned
from .lines import Line, for_people, lines_of
from .status import Status, after

SILENT_FOR: Final = 3.0
"""Seconds after which a first boot that has neither succeeded nor failed is spoken of."""
LEAVING: Final = 5.0
"""Seconds that leaving takes at most, while an update is on its way."""
Providers = Callable[[str], TokenProvider]
"""From a user's id to the provider of their tokens; raises InvalidInputError if there can be none.
"""
Show = Callable[[Event, Sequence[Line]], None]
"""What a shell does with an event: the event itself, and the lines that it is worth for people."""


class Shell(Protocol):
    """Something that shows and reads."""

    def show(self, event: Event, lines: Sequence[Line]) -> None:
        """Shows it, soon and in order; called on the event loop."""
        ...

    async def run(self, controller: Controller) -> None:
        """Reads and passes on to the controller, until the person leaves or it is done."""
        ...


@attrs.frozen
class Person:
    """Who the client speaks for: a user, or a visitor of whom a name may be `known`; and where
    tokens for a user come from.
    """

    user: User | None
    known: Mapping[str, str]
    provider_for: Providers


class Controller:
    """Performs commands on one session; `url` is shown in its status, `answered` is set while no
    update waits for its answer.

    Attributes:
        begun: The first boot has succeeded or failed.
        over: Why there is nothing left to do: the first boot has failed, or the session has ended
            by itself.
    """

    def __init__(
        self, chat: SupportChat, person: Person, url: str, show: Show, answered: asyncio.Event
    ) -> None:
        self._status = Status(url, since=time.time())
        self.begun = asyncio.Event()
        self.over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._chat = chat
        self._person = person
        self._show = show
        self._answered = answered
        self._user = person.user
        # messages are sent in the order in which they were typed
        self._turn = asyncio.Lock()
        self._now = asyncio.get_running_loop().time
        self._updates_leave_at = -math.inf
        for kind in get_args(AnyEvent):
            chat.on(kind, self.show)

    @property
    def status(self) -> Status:
        """Where the session stands."""
        chat = self._chat
        return attrs.evolve(
            self._status,
            identity=chat.identity,
            unread=chat.unread or 0,
            sending=len(chat.outbox),
        )

    def show(self, event: Event) -> None:
        """Something has happened: it is shown, and the status follows."""
        lines = lines_of(event, self._status)
        self._status = after(self._status, event)
        if (
            isinstance(event, PhaseChanged)
            and event.current is Phase.SHUTDOWN
            and event.reason != "shutdown"
        ):
            self._end(
                f"The session ended by itself ({event.reason}); start again, with a fresh sign-in "
                "if it was refused."
            )
        self._show(event, lines)

    async def begin(self) -> None:
        """Boots for the first time, and says so if that takes long; if it fails, there is nothing
        left to do.
        """
        looking = asyncio.get_running_loop().call_later(SILENT_FOR, self._still_looking)
        try:
            await self._boot(self._user)
        except SupportChatError as error:
            self._end(for_people(error, self.status.url))
        finally:
            looking.cancel()
            self.begun.set()

    def _still_looking(self) -> None:
        if not self.status.trouble:  # else why it takes so long was told
            self.show(
                Warned(
                    f"no answer from {self.status.url} yet, still trying; is `support-chat serve` "
                    "running there, is --url right?"
                )
            )

    def _end(self, why: str) -> None:
        if not self.over.done():
            self.over.set_result(why)

    async def do(self, line: str) -> bool:
        """Does what a line asks for, and shows what came of it; False if it asks to leave."""
        command, rest = parse(line)
        try:
            if command == "send":
                await self._send(rest)
            elif command:
                arguments = arguments_of(command, rest)
                if command == "quit":
                    return False
                self.show(await self._perform(command, arguments))
        except SupportChatError as error:
            self.show(Failed(command, error))
        return True

    async def leave(self) -> None:
        """Gives the updates that were noted a moment to reach the backend."""
        left = self._updates_leave_at - self._now()
        if abs(left) < LEAVING:
            with contextlib.suppress(SupportChatError, TimeoutError):
                async with asyncio.timeout(LEAVING):
                    await asyncio.sleep(left)
                    await self._chat.conversations()  # by now it has left
                    await self._answered.wait()

    async def _perform(self, command: str, arguments: Sequence[str]) -> Done:
        match command, arguments:
            case "identify", [user_id]:
                return await self._identify(User(user_id))
            case "update", pairs:
                return await self._update(**changes_of(pairs))
            case "boot", [*user_ids]:
                await self._boot(User(*user_ids) if user_ids else self._user)
                return Done(command)
            case "shutdown", options:
                return await self._shutdown(clear=bool(options))
            case "list", _:
                return await self._list()
            case "history", _:
                return await self._history()
            case _:
                return Done("help", HELP, {"help": list(HELP)})

    async def _boot(self, user: User | None) -> None:
        if user is None:
            await self._chat.boot()
            if self._person.known:
                await self._update(user=self._person.known)
        else:
            await self._chat.boot(user=user, token_provider=self._person.provider_for(user.id))
            self._updates_leave_at = self._now()  # with what is known of the user
        self._user = user

    async def _identify(self, user: User) -> Done:
        provider = self._person.provider_for(user.id)
        result = await self._chat.identify(user=user, token_provider=provider)
        self._user = user
        count, why = result.conversations_moved, result.not_merged_because or "nothing to merge"
        moved = f"{count} conversation{'' if count == 1 else 's'} came along"
        shows = moved if result.merged else f"nothing came along: {why.replace('_', ' ')}"
        return Done("identify", (shows,), attrs.asdict(result))

    async def _update(self, **changes: Mapping[str, object]) -> Done:
        seconds = await self._chat.update(**changes)
        self._updates_leave_at = max(self._updates_leave_at, self._now() + seconds)
        waits = math.isinf(seconds)
        soon = f"leaves in {seconds:.0f} s" if seconds else "on its way"
        shows = f"update noted: {'leaves when the link is back' if waits else soon}"
        return Done("update", (shows,), {"leaves_in": None if waits else seconds})

    async def _shutdown(self, *, clear: bool) -> Done:
        await self._chat.shutdown(clear_storage=clear)
        if clear:
            self._user = self._person.user
        forgotten = ("the visitor is forgotten: nothing of this scope is stored",)
        return Done("shutdown", forgotten if clear else (), {"clear": clear})

    async def _list(self) -> Done:
        conversations = await self._chat.conversations()
        shows = [
            f"{each.id}: {each.messages} message{'' if each.messages == 1 else 's'}, "
            f"{each.unread} unread, "
            f"since {time.strftime('%Y-%m-%d %H:%M', time.localtime(each.created_at))}"
            for each in conversations
        ]
        data = {"conversations": [attrs.asdict(each) for each in conversations]}
        return Done("list", tuple(shows) or ("no conversation yet",), data)

    async def _history(self) -> Done:
        conversation = await self._conversation()
        messages = await conversation.messages()
        await conversation.mark_read()
        title = "what was said:" if messages else "nothing was said yet"
        data = {"messages": [attrs.asdict(message) for message in messages]}
        return Done("history", (title, *messages), data)

    async def _send(self, text: str) -> None:
        """Sends a message, and waits for what becomes of it; an event tells that."""
        name = uuid.uuid4().hex
        self.show(Sending(text, name))
        async with self._turn:
            await self.begun.wait()
            conversation = await self._conversation()
            call = conversation.send(text, name)
        try:
            await call
        except (NotBootedError, OutboxFullError):
            raise  # it was not taken, and no event tells it
        except SupportChatError:
            pass

    async def _conversation(self) -> OpenConversation:
        """Where something was said last, or else the newest."""
        known = self._status.conversation
        return self._chat.conversation(known) if known else await self._chat.newest_conversation()
