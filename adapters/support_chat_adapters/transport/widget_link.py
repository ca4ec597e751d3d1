"""One link to a backend on the network: requests over HTTP, news over its channel, and one end for
both.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

import attrs
import msgspec

from support_chat.errors import NetworkError
from support_chat.ports import (
    IdentifyAnswer,
    IdentifyRequest,
    LinkEvent,
    ListConversations,
    ListMessages,
    MarkRead,
    MessageArrived,
    Outgoing,
    ReadAnswer,
    RenewAnswer,
    UpdateAnswer,
    Welcome,
)
from support_chat.values import (
    Changes,
    Conversation,
    Identity,
    Message,
    SignedIn,
    Visitor,
)

from .channels import Channel, Events, link_over
from .http_exchange import HTTPExchange, seen
from .wire import codec, endpoints, payloads, translation
from .wire.endpoints import Endpoint
from .wire.problems import Response

T = TypeVar("T")
P = TypeVar("P", bound=msgspec.Struct)
Page = TypeVar("Page", payloads.ConversationsPage, payloads.MessagesPage)

MOST_PAGES: Final = 1000
"""Pages of a listing that are asked for: 200,000 items, where each page is full."""


@attrs.define
class Bearer:
    """The credential that a link's requests and polls carry now; the backend may replace it."""

    session: str = attrs.field(repr=False)


def identity_of(welcome: Welcome) -> Identity:
    """Whom a welcome is for."""
    if welcome.user_id is not None:
        return SignedIn(welcome.user_id)
    return Visitor(welcome.visitor_id or "")


class WidgetLink:
    """An open session and its channel; made by `WidgetAPITransport.open`. `pages_before`: the
    backend lists messages before one.
    """

    def __init__(
        self,
        exchange: HTTPExchange,
        welcome: Welcome,
        channel: Channel,
        bearer: Bearer,
        *,
        pages_before: bool,
    ) -> None:
        self._exchange = exchange
        self._bearer = bearer
        self._pages_before = pages_before
        self.welcome = welcome
        """What the backend answered when this link was opened."""
        self._channel = channel
        self._over = False
        self._cursor: str | None = None
        self._under: set[asyncio.Task[Any]] = set()

    @property
    def heard_at(self) -> float:
        """When the last frame, the answer to a ping or the answer to a poll came, in the running
        loop's `time()`.
        """
        return self._channel.heard_at

    def events(self) -> AsyncIterator[LinkEvent]:
        """What the backend sends, in order, once; raises NetworkError when the link is over."""
        return Events(self.next)

    async def identify(self, request: IdentifyRequest) -> IdentifyAnswer:
        """Upgrades the visitor to a user; AuthRefusedError leaves the visitor exactly as they
        were.
        """
        answer = await self._ask(
            endpoints.IDENTIFY,
            payloads.Identified,
            translation.payload_of(request, payloads.Identify),
        )
        self._channel.renewed()
        self._bearer.session = answer.session or self._bearer.session
        return translation.identify_answer_of(answer)

    async def renew(self, token: str) -> RenewAnswer:
        """Presents a fresh token for the same user."""
        answer = codec.may_answer_of(
            endpoints.REFRESH,
            await self._carry(self._sent(endpoints.REFRESH, payloads.Refresh(token=token))),
            payloads.Refreshed,
        )
        self._channel.renewed()
        if answer is None:
            return RenewAnswer()
        self._bearer.session = answer.session
        return RenewAnswer(answer.session)

    async def update(self, changes: Changes, owner: Identity | None = None) -> UpdateAnswer:
        """Stores changed traits; paths that the backend rejects are named in the answer."""
        answer = await self._ask(
            endpoints.EVENTS,
            payloads.EventTaken,
            payloads.ClientEvent(changes=dict(changes)),
            owner=owner,
        )
        return UpdateAnswer(translation.rejections_of(answer.rejected))

    async def send(self, message: Outgoing) -> Message:
        """Sends a message; returns it as the backend stored it."""
        if message.conversation_id is None:
            begins = translation.beginning_of(message)
            started = await self._ask(
                endpoints.START, payloads.ConversationStarted, begins, owner=message.owner
            )
            return translation.value_of(started.message, Message)
        sent = payloads.SendMessage(text=message.text, client_message_id=message.client_message_id)
        stored = await self._ask(
            endpoints.SEND,
            payloads.MessagePayload,
            sent,
            owner=message.owner,
            conversation_id=message.conversation_id,
        )
        return translation.value_of(stored, Message)

    async def conversations(self, asked: ListConversations) -> Sequence[Conversation]:
        """Lists the conversations of the session's identity, newest first: all pages."""
        pages = self._pages(endpoints.CONVERSATIONS, payloads.ConversationsPage, asked.owner)
        return [
            translation.conversation_to(item) async for page in pages for item in page.conversations
        ]

    async def messages(self, asked: ListMessages) -> Sequence[Message]:
        """Lists messages of a conversation, oldest first: as many pages as that takes."""
        if self._pages_before and (asked.before, asked.limit) != (None, None):
            return await self._messages_before(asked)
        pages = self._pages(
            endpoints.MESSAGES, payloads.MessagesPage, asked.owner, asked.conversation_id
        )
        listed = [
            translation.value_of(item, Message) async for page in pages for item in page.messages
        ]
        ids = [message.id for message in listed]
        end = ids.index(asked.before) if asked.before in ids else len(listed)
        return listed[0 if asked.limit is None else max(0, end - asked.limit) : end]

    async def _messages_before(self, asked: ListMessages) -> Sequence[Message]:
        """Page by page from the last one backwards, until there are as many as were asked for."""
        wanted = endpoints.LARGEST_PAGE * MOST_PAGES if asked.limit is None else asked.limit
        listed: list[Message] = []
        before: str | None = asked.before or ""
        while before is not None and len(listed) < wanted:
            limit = min(wanted - len(listed), endpoints.LARGEST_PAGE)
            page = await self._ask(
                endpoints.MESSAGES,
                payloads.MessagesPage,
                owner=asked.owner,
                conversation_id=asked.conversation_id,
                query={"before": before, "limit": str(limit)},
            )
            listed[:0] = [translation.value_of(item, Message) for item in page.messages]
            before = page.next_cursor if page.messages else None
        return listed

    async def mark_read(self, asked: MarkRead) -> ReadAnswer:
        """Counts messages of a conversation as read, and tells every link of the identity."""
        answer = await self._ask(
            endpoints.MARK_READ,
            payloads.ReadUpToNow,
            owner=asked.owner,
            conversation_id=asked.conversation_id,
            query=None if asked.up_to is None else {"up_to": asked.up_to},
        )
        return ReadAnswer(answer.unread)

    async def aclose(self) -> None:
        """Says goodbye and closes."""
        self._end()
        await self._channel.aclose()

    def abort(self) -> None:
        """Closes at once, without a goodbye; a second call does nothing."""
        self._end()
        self._channel.abort()

    async def next(self) -> LinkEvent:
        """The next event; when there will be none any more, the whole link is over, and so is what
        is asked over it.

        A message that is sent twice in a row, which its cursor tells, comes once.
        """
        while True:
            try:
                event = await self._channel.next()
            except NetworkError:
                self._end()
                raise
            if not isinstance(event, MessageArrived):
                return event
            if event.cursor != self._cursor:
                self._cursor = event.cursor
                return event

    async def _pages(
        self,
        endpoint: Endpoint,
        kind: type[Page],
        owner: Identity | None,
        conversation_id: str | None = None,
    ) -> AsyncIterator[Page]:
        """The pages of a listing. Raises NetworkError for one that would not end: it comes back to
        a page, or is longer than a listing may be.
        """
        cursor, before = "", set[str]()
        for _ in range(MOST_PAGES):
            query = {"limit": str(endpoints.LARGEST_PAGE), **({"cursor": cursor} if cursor else {})}
            page = await self._ask(
                endpoint, kind, owner=owner, conversation_id=conversation_id, query=query
            )
            yield page
            if page.next_cursor is None:
                return
            before.add(cursor)
            cursor = page.next_cursor
            if cursor in before:
                break
        raise NetworkError(
            f"The answers to {endpoint.name} do not end: the listing comes back to a page, or has "
            f"more than {MOST_PAGES}. Check the backend.",
            reason="endless_listing",
        )

    async def _ask(
        self,
        endpoint: Endpoint,
        kind: type[P],
        payload: msgspec.Struct | None = None,
        *,
        owner: Identity | None = None,
        conversation_id: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> P:
        sent = self._sent(endpoint, payload, owner, conversation_id, query)
        return codec.answer_of(endpoint, await self._carry(sent), kind)

    async def _sent(
        self,
        endpoint: Endpoint,
        payload: msgspec.Struct | None = None,
        owner: Identity | None = None,
        conversation_id: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Response:
        request = codec.request_to(
            endpoint,
            payload,
            session=self._bearer.session,
            owner=None if owner is None else translation.owner_text(owner),
            conversation_id=conversation_id,
            query=query,
        )
        return await self._exchange.send(request)

    async def _carry(self, work: Coroutine[Any, Any, T]) -> T:
        """Does the work unless the link is over; when it ends meanwhile, so does the work."""
        if self._over:
            work.close()
            raise link_over()
        task = asyncio.ensure_future(work)
        task.add_done_callback(seen)
        self._under.add(task)
        try:
            await asyncio.wait((task,))
        finally:
            self._under.discard(task)
            task.cancel()
        if self._over:
            raise link_over()
        return task.result()

    def _end(self) -> None:
        self._over = True
        for task in self._under:
            task.cancel()
