"""The loopback: a transport to a backend in the same process and event loop, for tests, demos and
offline work.

A thin wire. Every request is copied when it is made, as bytes on a socket would be, crosses through
the backend's faults and suspends on the way there and back, so the races of a network happen here
too. What it adds is the client's end of a link: once the link is over, by `abort()` or from the
other side, pending calls raise NetworkError and nothing is delivered.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

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
from support_chat.values import Changes, Conversation, Identity, Message
from support_chat_adapters.backend import Backend, Connection, Operation

from .channels import Events, link_over

T = TypeVar("T")


class LoopbackTransport:
    """Opens links to `backend`, which its maker closes; the transport itself owns nothing. Many
    sessions may share one.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    async def open(self, credentials: Credentials) -> LoopbackLink:
        """Dials the backend; when cancelled, a connection that it has already accepted is closed
        again.
        """
        connection = await self._backend.faults.cross(
            "dial",
            lambda: self._backend.connect(credentials),
            undo=lambda connection: connection.close("abandoned"),
        )
        if connection.is_closed:
            raise link_over()
        return LoopbackLink(self._backend, connection)

    async def revoke(self, session: str) -> None:
        """Ends the named backend session and no other; an unknown one is no error."""
        await self._backend.faults.cross("revoke", lambda: self._backend.revoke(session))

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        """Ends what was opened with this secret, and has it refused from then on."""
        await self._backend.faults.cross(
            "end_visitor", lambda: self._backend.end_visitor(workspace_id, widget_id, visitor)
        )

    async def aclose(self) -> None:
        """Nothing to release: the backend belongs to whoever made it."""


class LoopbackLink:
    """The client's end of one connection to the backend; made by `LoopbackTransport.open`."""

    def __init__(self, backend: Backend, connection: Connection) -> None:
        self._backend = backend
        self._connection = connection

    @property
    def welcome(self) -> Welcome:
        """What the backend answered when this link was opened."""
        return self._connection.welcome

    @property
    def heard_at(self) -> float:
        """Now, while the link is healthy; else when it fell silent or was lost. In the running
        loop's `time()`.
        """
        return self._connection.heard_at

    def events(self) -> AsyncIterator[LinkEvent]:
        """What the backend sends, in order, once; raises NetworkError when the link is over."""
        return Events(self._connection.next)

    async def identify(self, request: IdentifyRequest) -> IdentifyAnswer:
        """Upgrades the visitor to a user; AuthRefusedError leaves the visitor exactly as they
        were.
        """
        frame = copy.deepcopy(request)
        return await self._call("identify", lambda session: self._backend.identify(session, frame))

    async def renew(self, token: str) -> RenewAnswer:
        """Presents a fresh token for the same user."""
        return await self._call("renew", lambda session: self._backend.renew(session, token))

    async def update(self, changes: Changes, owner: Identity | None = None) -> UpdateAnswer:
        """Stores changed traits; paths that the backend rejects are named in the answer."""
        frame = copy.deepcopy(changes)
        return await self._call(
            "update", lambda session: self._backend.update(session, frame, owner)
        )

    async def send(self, message: Outgoing) -> Message:
        """Sends a message; returns it as the backend stored it."""
        return await self._call("send", lambda session: self._backend.send(session, message))

    async def conversations(self, asked: ListConversations) -> Sequence[Conversation]:
        """Lists the conversations of the session's identity, newest first."""
        return await self._call(
            "conversations", lambda session: self._backend.conversations(session, asked.owner)
        )

    async def messages(self, asked: ListMessages) -> Sequence[Message]:
        """Lists messages of a conversation, oldest first."""
        return await self._call(
            "messages",
            lambda session: self._backend.messages(
                session,
                asked.conversation_id,
                before=asked.before,
                limit=asked.limit,
                owner=asked.owner,
            ),
        )

    async def mark_read(self, asked: MarkRead) -> ReadAnswer:
        """Counts messages of a conversation as read, and tells every link of the identity."""
        return await self._call(
            "mark_read",
            lambda session: self._backend.mark_read(
                session, asked.conversation_id, asked.up_to, asked.owner
            ),
        )

    async def aclose(self) -> None:
        """Says goodbye and closes."""
        if not self._connection.is_closed:
            await self._backend.faults.cross(
                "close", lambda: self._connection.close("goodbye"), connection=self._connection
            )

    def abort(self) -> None:
        """Closes at once, without a goodbye; a second call does nothing."""
        self._connection.close("aborted")

    async def _call(self, operation: Operation, work: Callable[[str], T]) -> T:
        """Carries one request; whichever comes first decides: its answer, or the end of the
        link.
        """
        connection = self._connection
        if connection.is_closed:
            raise link_over()
        session = connection.welcome.session
        carried = asyncio.ensure_future(
            self._backend.faults.cross(operation, lambda: work(session), connection=connection)
        )
        try:
            await asyncio.wait((carried, connection.closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # done already, it is told by this that nobody will look at its failure
            carried.cancel()
        if connection.is_closed:
            raise link_over()
        return carried.result()
