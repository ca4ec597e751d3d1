"""The rig of the session's tests: adapters that note what they are asked, and that a test can
hold, fail and release.

Everything runs through the real `SupportChat` on virtual time. Behind the transport there is just
enough of a backend to be sure of what a caller sees: sessions that begin, resume and are revoked,
and identifies that are committed once. The words of the log:

    dial, token, identify, renew, send, revoke    an adapter was asked
    update                  changes were sent, by themselves or as the user's with an identify
    write                   the storage holds something new
    clear, clear-visitor    the storage lost a key of the user, or the visitor
    over                    the backend is told that a visitor is over
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import attrs
import pytest

from support_chat import Settings, SupportChat
from support_chat.errors import NetworkError, VisitorEndedError
from support_chat.ports import (
    Credentials,
    IdentifyAnswer,
    IdentifyRequest,
    LinkEvent,
    ListConversations,
    ListMessages,
    MarkRead,
    Outgoing,
    ReadAnswer,
    RenewAnswer,
    UpdateAnswer,
    Welcome,
)
from support_chat.testing import run
from support_chat.values import Changes, Conversation, Identity, Message

SCOPE = "support-chat/acme/help/default/"
LEFTOVER = SCOPE + "messages"
"""A key bound to the user, as a cache of an earlier version would have left it."""
FOREIGN = "support-chat/acme/help/other/visitor"
STORAGE = ("get", "create", "delete", "keys")


@attrs.define(eq=False)
class Gates:
    """Which operations are held, and how the next ones fail."""

    held: dict[str, asyncio.Event] = attrs.field(factory=dict[str, asyncio.Event])
    deaf: set[str] = attrs.field(factory=set[str])
    failures: dict[str, list[BaseException]] = attrs.field(factory=dict[str, list[BaseException]])
    waiting: int = 0

    async def through(self, operation: str) -> None:
        """Lets the operation pass, late or never, or fails it."""
        await asyncio.sleep(0)
        self.waiting += 1
        try:
            while operation in self.held:
                try:
                    await self.held[operation].wait()
                except asyncio.CancelledError:
                    if operation not in self.deaf:
                        raise
        finally:
            self.waiting -= 1
        if self.failures.get(operation):
            raise self.failures[operation].pop(0)


class StagedLink:
    """One open link; `lose()` breaks it, `push()` delivers an event."""

    def __init__(self, rig: Rig, welcome: Welcome, secret: str) -> None:
        self.rig, self.welcome, self.secret = rig, welcome, secret
        self.is_open = True
        self.closed_by: str | None = None
        self._events: asyncio.Queue[LinkEvent | None] = asyncio.Queue()

    @property
    def heard_at(self) -> float:
        return asyncio.get_running_loop().time()

    async def events(self) -> AsyncIterator[LinkEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    def push(self, event: LinkEvent) -> None:
        self._events.put_nowait(event)

    def lose(self) -> None:
        self._end("lost")

    def _end(self, by: str) -> None:
        if self.is_open:
            self.is_open, self.closed_by = False, by
            self._events.put_nowait(None)

    async def _asked(self, operation: str, owner: Identity | None = None) -> None:
        self.rig.log.append(operation)
        if owner is not None:
            self.rig.owners.append((operation, owner))
        await self.rig.gates.through(operation)
        if not self.is_open:
            raise NetworkError("The link is closed.")

    async def identify(self, request: IdentifyRequest) -> IdentifyAnswer:
        self.rig.identifies.append(request)
        await self._asked("identify")
        if request.identify_id in self.rig.closed_claims:
            raise NetworkError("Too late: its claim has been presented.")
        answer = self.rig.commit(self.welcome.session, request)
        await self.rig.gates.through("identify reply")
        return answer

    async def renew(self, token: str) -> RenewAnswer:
        await self._asked("renew")
        return RenewAnswer(**self.rig.says["renew"])

    async def update(self, changes: Changes, owner: Identity | None = None) -> UpdateAnswer:
        self.rig.updates.append((self.rig.users[self.welcome.session], dict(changes)))
        await self._asked("update", owner)
        return UpdateAnswer()

    async def send(self, message: Outgoing) -> Message:
        await self._asked("send", message.owner)
        return Message("m1", "c1", "visitor", message.text, 0.0, message.client_message_id)

    async def conversations(self, asked: ListConversations) -> Sequence[Conversation]:
        await self._asked("conversations", asked.owner)
        return ()

    async def messages(self, asked: ListMessages) -> Sequence[Message]:
        await self._asked("messages", asked.owner)
        return ()

    async def mark_read(self, asked: MarkRead) -> ReadAnswer:
        await self._asked("mark_read", asked.owner)
        return ReadAnswer(0)

    async def aclose(self) -> None:
        await self.rig.gates.through("goodbye")
        self._end("goodbye")

    def abort(self) -> None:
        self._end("abort")


class StagedTransport:
    """Opens `StagedLink`s."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    async def open(self, credentials: Credentials) -> StagedLink:
        rig = self.rig
        rig.log.append("dial")
        rig.dials.append(credentials)
        await rig.gates.through("dial")
        if credentials.visitor in rig.over:
            raise VisitorEndedError("The visitor is over.")
        user, answer = credentials.user_id, None
        session = credentials.session or f"session-{len(rig.users) + 1}"
        if credentials.claim is not None and rig.remembers:
            rig.closed_claims.add(credentials.claim.identify_id)
            answer = rig.committed.get(credentials.claim.identify_id)
            user = answer.user_id if answer else None
        elif credentials.claim is not None:
            user = rig.users[session]
        rig.users[session] = user
        visitor = f"visitor-of-{hash(credentials.visitor)}"
        said = Welcome(session, visitor, user, answer)
        said = said if rig.remembers else attrs.evolve(said, identify="repeatable")
        welcome = attrs.evolve(said, **rig.says["dial"])
        link = StagedLink(rig, welcome, credentials.visitor)
        rig.links.append(link)
        rig.most_open = max(rig.most_open, len(rig.open_links))
        return link

    async def revoke(self, session: str) -> None:
        self.rig.log.append("revoke")
        await self.rig.gates.through("revoke")
        self.rig.revoked.append(session)

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        self.rig.log.append("over")
        await self.rig.gates.through("over")
        self.rig.over.append(visitor)

    async def aclose(self) -> None:
        self.rig.closed_adapters.append("transport")


class StagedStorage:
    """A dict with gates."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    async def get(self, key: str) -> str | None:
        await self._asked("get")
        return self.rig.stored.get(key)

    async def create(self, key: str, value: str) -> str:
        await self._asked("create")
        if key not in self.rig.stored:
            self._write(key, value)
        self.rig.visitor_key = key
        return self.rig.stored[key]

    async def delete(self, *keys: str) -> Mapping[str, str]:
        await self._asked("delete")
        removed = {key: self.rig.stored.pop(key) for key in keys if key in self.rig.stored}
        for key in removed:
            self.rig.log.append("clear-visitor" if key == self.rig.visitor_key else "clear")
        return removed

    async def keys(self) -> Sequence[str]:
        await self._asked("keys")
        return tuple(self.rig.stored)

    async def aclose(self) -> None:
        self.rig.closed_adapters.append("storage")

    def _write(self, key: str, value: str) -> None:
        self.rig.stored[key] = value
        self.rig.log.append("write")

    async def _asked(self, operation: str) -> None:
        self.rig.storage_log.append(operation)
        await self.rig.gates.through(operation)


class Rig:
    """The adapters of one test, what they saw, and the sessions on top of them."""

    def __init__(self) -> None:
        self.gates = Gates()
        self.log: list[str] = []
        self.storage_log: list[str] = []
        self.stored: dict[str, str] = {FOREIGN: "somebody else's"}
        self.visitor_key: str | None = None
        self.users: dict[str, str | None] = {}
        self.dials: list[Credentials] = []
        self.links: list[StagedLink] = []
        self.identifies: list[IdentifyRequest] = []
        self.committed: dict[str, IdentifyAnswer] = {}
        self.closed_claims: set[str] = set()
        self.remembers = True
        """Whether the backend remembers identifies; else they are repeatable."""
        self.updates: list[tuple[str | None, dict[str, Any]]] = []
        self.revoked: list[str] = []
        self.over: list[str] = []
        """The secrets of which the backend was told that they are over."""
        self.owners: list[tuple[str, Identity]] = []
        """For whom each request on a link was."""
        self.says: dict[str, dict[str, Any]] = {"dial": {}, "identify": {}, "renew": {}}
        """What else the backend says in its answers."""
        self.closed_adapters: list[str] = []
        self.most_open = 0
        self.events: list[Any] = []
        self.complaints: list[dict[str, Any]] = []
        self.storage, self.transport = StagedStorage(self), StagedTransport(self)
        self._chats: list[SupportChat] = []

    # --- the sessions -----------------------------------------------------------------------------

    def chat(self, *, settings: Settings | None = None, **options: Any) -> SupportChat:
        """A session on this rig, destroyed at the end of the test; its events are kept in
        `events`.
        """
        chat = SupportChat(
            workspace_id="acme",
            widget_id="help",
            transport=self.transport,
            storage=self.storage,
            settings=settings,
            **options,
        )
        chat.on(object, self._heard)
        self._chats.append(chat)
        return chat

    def _heard(self, event: Any) -> None:
        self.events.append(event)

    def tokens(self, user: str) -> Callable[[], Coroutine[Any, Any, str]]:
        """A provider of opaque tokens for this user, a new one each time."""

        async def fetch() -> str:
            self.log.append("token")
            number = len(self.log)
            await self.gates.through("token")
            return f"opaque-token-{number}-of-{user}"

        return fetch

    def run(self, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Runs the scenario on virtual time; afterwards every session is destroyed and nothing was
        left unretrieved.
        """

        async def main() -> None:
            asyncio.get_running_loop().set_exception_handler(
                lambda _, context: self.complaints.append(context)
            )
            try:
                await scenario()
            finally:
                self.release()
                for chat in self._chats:
                    await chat.destroy()
                self._chats.clear()

        run(main())
        assert self.complaints == []

    async def quiet(self, seconds: float = 3.0) -> None:
        """Lets everything happen that happens within this (virtual) time."""
        await asyncio.sleep(seconds)

    async def collected(self) -> None:
        """Lets what was dropped be found by the garbage collector, and its consequences happen."""
        await self.quiet(0.01)
        gc.collect()
        await self.quiet(0.01)

    # --- the adapters -----------------------------------------------------------------------------

    def commit(self, session: str, request: IdentifyRequest) -> IdentifyAnswer:
        """An identify arrives at the backend, which does it once; its link may be gone by now."""
        if request.identify_id in self.committed:
            return self.committed[request.identify_id]
        if request.user_changes:
            self.log.append("update")
            self.updates.append((request.user_id, dict(request.user_changes)))
        answer = IdentifyAnswer(
            request.user_id, merged=True, conversations_moved=2, **self.says["identify"]
        )
        self.committed[request.identify_id] = answer
        self.users[session] = request.user_id
        return answer

    def hold(self, *operations: str, deaf: bool = False) -> None:
        """These operations do not get through until they are released; `deaf` ones ignore their
        cancellation, too.
        """
        for operation in operations:
            self.gates.held[operation] = asyncio.Event()
            if deaf:
                self.gates.deaf.add(operation)

    def release(self, *operations: str) -> None:
        """Lets these operations through, or all."""
        for operation in operations or tuple(self.gates.held):
            self.gates.held.pop(operation).set()

    def fail(self, operation: str, *errors: BaseException) -> None:
        """The next requests of this operation fail so, one after the other."""
        self.gates.failures.setdefault(operation, []).extend(errors)

    @property
    def open_links(self) -> list[StagedLink]:
        """The links that are open now."""
        return [link for link in self.links if link.is_open]

    def kept(self) -> set[str]:
        """What the scope of the session holds in the storage: `visitor`, `user`, both or
        nothing.
        """
        return {
            "visitor" if key == self.visitor_key else "user"
            for key in self.stored
            if key.startswith(SCOPE)
        }

    def forget(self) -> None:
        """Nothing was asked, stored or told so far."""
        seen: tuple[list[Any], ...] = (
            self.log,
            self.storage_log,
            self.events,
            self.links,
            self.dials,
            self.updates,
            self.revoked,
            self.over,
        )
        for things in seen:
            things.clear()
        self.stored = {FOREIGN: "somebody else's"}

    def leave_something(self) -> None:
        """Something bound to the user is in the storage, which every clear has to remove."""
        self.stored[LEFTOVER] = "cached"

    def of(self, kind: type[Any]) -> list[Any]:
        """The events of this kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def rig() -> Rig:
    return Rig()
