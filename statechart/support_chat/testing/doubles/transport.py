"""A transport and its links: a test sees their calls, holds and fails them, and is the backend at
the other end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, TypeVar

from ... import ports
from ...errors import NetworkError
from ...values import Changes, Conversation, Identity, Message
from .script import CallLog, PortCall, Script

_T = TypeVar("_T")

_WORK: Final = ("identify", "renew", "update", "send", "conversations", "messages", "mark_read")
_ENDED: Final = (*_WORK, "close")
"""The calls of a link that end when it does; `close` is `aclose()`."""


class ScriptedLink:
    """A `Link` that a `RecordingTransport` opened, its `number`-th; the test is the backend at its
    other end.

    Calls are recorded as `link.identify` and so on, each with the link's number, and settled by the
    transport's script. By default an identify merges, an update is accepted whole, a message comes
    back as stored, there are no conversations, and the link is heard from at every moment until
    `fall_silent()`.

    After `abort()`, `aclose()` or `lose()` every call raises NetworkError, those that wait too;
    after the first two the link also delivers nothing any more. (Closing and aborting always work.)
    While `events` is held, whoever reads them waits, even if the link ends meanwhile.
    """

    def __init__(self, welcome: ports.Welcome, script: Script, number: int) -> None:
        self.number = number
        self._welcome = welcome
        self._script = script
        self._loop = asyncio.get_running_loop()
        self._user_id = welcome.user_id
        self._messages = 0
        self._heard_at: float | None = None
        self._lost = False
        self._released = False
        self._stream: asyncio.Queue[ports.LinkEvent | NetworkError | None] = asyncio.Queue()

    # --- for the test ---

    def emit(self, *events: ports.LinkEvent) -> None:
        """Sends events, as the backend does; nothing arrives on a link that is closed, aborted or
        lost.
        """
        if self.is_open:
            for event in events:
                self._stream.put_nowait(event)

    def lose(self, *, quietly: bool = False) -> None:
        """Breaks the link: what was emitted still arrives, then `events()` raises NetworkError, or
        `quietly` just ends.
        """
        if self.is_open:
            self.fall_silent()
            self._lost = True
            self._stream.put_nowait(
                None if quietly else NetworkError("The link was lost, as the test asked.")
            )
            self._end(*_ENDED)

    def fall_silent(self) -> None:
        """From now on no sign of life comes: `heard_at` stays where it is, and calls are still
        answered if they are made.
        """
        if self._heard_at is None:
            self._heard_at = self._loop.time()

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed, aborted nor lost."""
        return not self._lost and not self._released

    @property
    def is_released(self) -> bool:
        """Whether it was closed or aborted, which a lost link must be too, since its resources are
        its session's.
        """
        return self._released

    # --- for the session ---

    @property
    def welcome(self) -> ports.Welcome:
        """What the backend answered when this link was opened."""
        return self._welcome

    @property
    def heard_at(self) -> float:
        """When the last sign of life came, in the loop's `time()`: now, unless the link fell
        silent.
        """
        return self._loop.time() if self._heard_at is None else self._heard_at

    def events(self) -> AsyncIterator[ports.LinkEvent]:
        """What the test emits, in order, once."""
        self._script.log.add(self._call("events"))
        return self._events()

    async def _events(self) -> AsyncIterator[ports.LinkEvent]:
        while True:
            await self._script.answer(self._call("events"), lambda: None)
            event = await self._stream.get()
            if self._released or event is None:
                break
            if isinstance(event, NetworkError):
                self._stream.put_nowait(None)
                raise event
            yield event
        self._stream.put_nowait(None)  # for whoever should ask again

    async def identify(self, request: ports.IdentifyRequest) -> ports.IdentifyAnswer:
        """Merges; records the identify_id, the user and the names of the changes that travel
        along.
        """

        def answer() -> ports.IdentifyAnswer:
            self._user_id = request.user_id
            return ports.IdentifyAnswer(request.user_id, merged=True)

        call = self._call(
            "identify",
            request,
            identify_id=request.identify_id,
            user_id=request.user_id,
            visitor_changes=tuple(request.visitor_changes),
            user_changes=tuple(request.user_changes),
        )
        return await self._perform(call, answer)

    async def renew(self, token: str) -> ports.RenewAnswer:
        """Accepts the token; the log has it as `request` only."""
        return await self._perform(self._call("renew", token), ports.RenewAnswer)

    async def update(self, changes: Changes, owner: Identity | None = None) -> ports.UpdateAnswer:
        """Accepts the changes; records their names."""
        return await self._perform(
            self._call("update", changes, paths=tuple(changes), owner=owner), ports.UpdateAnswer
        )

    async def send(self, message: ports.Outgoing) -> Message:
        """Stores the message in the conversation it names, or in the first; records the ids, not
        the text.
        """

        def answer() -> Message:
            self._messages += 1
            return Message(
                id=f"message {self.number}.{self._messages}",
                conversation_id=message.conversation_id or "conversation 1",
                author="visitor" if self._user_id is None else "user",
                text=message.text,
                created_at=self._loop.time(),
                client_message_id=message.client_message_id,
            )

        ids = {
            "client_message_id": message.client_message_id,
            "conversation_id": message.conversation_id,
        }
        return await self._perform(self._call("send", message, **ids), answer)

    async def conversations(self, asked: ports.ListConversations) -> Sequence[Conversation]:
        """Lists none."""
        return await self._perform(self._call("conversations", asked), lambda: ())

    async def messages(self, asked: ports.ListMessages) -> Sequence[Message]:
        """Lists none."""
        call = self._call("messages", asked, conversation_id=asked.conversation_id)
        return await self._perform(call, lambda: ())

    async def mark_read(self, asked: ports.MarkRead) -> ports.ReadAnswer:
        """Leaves nothing unread."""
        call = self._call("mark_read", asked, conversation_id=asked.conversation_id)
        return await self._perform(call, lambda: ports.ReadAnswer(0))

    async def aclose(self) -> None:
        """Closes, also a link that is lost; recorded as `link.close`."""
        if self.is_open:
            await self._perform(self._call("close"), lambda: self._release(*_WORK))
        else:
            self._script.log.add(self._call("close"))
            self._release(*_WORK)

    def abort(self) -> None:
        """Closes at once; recorded as `link.abort`. A second call is recorded and does nothing."""
        self._script.log.add(self._call("abort"))
        self._release(*_ENDED)

    def _call(self, operation: str, request: object = None, **arguments: object) -> PortCall:
        return PortCall(
            "link", operation, {"link": self.number, **arguments}, self._loop.time(), request
        )

    async def _perform(self, call: PortCall, default: Callable[[], _T]) -> _T:
        if not self.is_open:
            self._script.log.add(call)
            raise NetworkError(f"Link {self.number} is closed or lost; open another.")
        return await self._script.perform(call, default)

    def _release(self, *ended: str) -> None:
        self._released = True
        self.fall_silent()
        self._stream.put_nowait(None)
        self._end(*ended)

    def _end(self, *operations: str) -> None:
        """Ends what waits on this link; the script knows of other links too."""
        for pending in self._script.waiting(*operations):
            if pending.call.arguments["link"] == self.number:
                pending.fail(
                    NetworkError(
                        f"Link {self.number} was closed or lost while this call waited; open "
                        "another."
                    )
                )


class RecordingTransport:
    """A `Transport` to a backend that welcomes everyone; it records every call of its own and of
    its links.

    A dial is answered with a `Welcome` to whom it asks to be: the `user_id` of the credentials, one
    visitor id for each visitor credential, the session that it resumes or a new one, no remembered
    claim, nothing missed. `links` holds every link it opened, oldest first.

    `hold`, `release`, `waiting`, `answer_next` and `fail_next` are those of `Script`, for the
    operations `open`, `revoke`, `end_visitor` and `aclose` and for those of its links: `identify`,
    `renew`, `update`, `send`, `conversations`, `messages`, `mark_read`, `close` (a link's `aclose`)
    and `events` (each turn of a reader). For `open` an answer is the `Welcome` of the link;
    anything else is returned in the link's place.
    """

    def __init__(self, *, log: CallLog | None = None) -> None:
        self.log: CallLog = CallLog() if log is None else log
        self.links: list[ScriptedLink] = []
        self._sessions = 0
        self._visitors: dict[str, str] = {}
        self._script = Script(
            self.log, ("open", "revoke", "end_visitor", "aclose", *_ENDED, "events")
        )
        self.hold = self._script.hold
        self.release = self._script.release
        self.waiting = self._script.waiting
        self.answer_next = self._script.answer_next
        self.fail_next = self._script.fail_next

    @property
    def link(self) -> ScriptedLink:
        """The link opened last; raises NetworkError if there was none yet."""
        if not self.links:
            raise NetworkError(
                "This RecordingTransport has opened no link yet; boot a session on it first."
            )
        return self.links[-1]

    @property
    def open_links(self) -> list[ScriptedLink]:
        """The links that are neither closed, aborted nor lost: a session has at most one."""
        return [link for link in self.links if link.is_open]

    async def open(self, credentials: ports.Credentials) -> ScriptedLink:
        """Dials; records whom it asked to be, whether it resumes a session, the claim and the
        cursor.
        """

        # and no ports.Welcome for sure, for a test may try what becomes of a wrong answer
        def welcome() -> object:
            return self._welcome(credentials)

        call = PortCall(
            "transport",
            "open",
            {
                "user_id": credentials.user_id,
                "resumes": credentials.session is not None,
                "claim": credentials.claim,
                "cursor": credentials.cursor,
            },
            request=credentials,
        )
        answer = await self._script.perform(call, welcome)
        if not isinstance(answer, ports.Welcome):
            return answer  # type: ignore[return-value]
        link = ScriptedLink(answer, self._script, len(self.links) + 1)
        self.links.append(link)
        return link

    async def revoke(self, session: str) -> None:
        """Ends the backend session; the log has its credential as `request` only."""
        await self._script.perform(PortCall("transport", "revoke", request=session), lambda: None)

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        """Ends the visitor; the log has the secret as `request` only."""
        await self._script.perform(
            PortCall("transport", "end_visitor", request=visitor), lambda: None
        )

    async def aclose(self) -> None:
        """Does nothing; links stay as they are."""
        await self._script.perform(PortCall("transport", "aclose"), lambda: None)

    def _welcome(self, credentials: ports.Credentials) -> ports.Welcome:
        session = credentials.session
        if session is None:
            self._sessions += 1
            session = f"session {self._sessions}"
        visitor_id = self._visitors.setdefault(
            credentials.visitor, f"visitor {len(self._visitors) + 1}"
        )
        return ports.Welcome(session, visitor_id, credentials.user_id, cursor=credentials.cursor)
