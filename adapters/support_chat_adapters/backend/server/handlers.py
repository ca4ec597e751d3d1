"""What each endpoint does: reads its request, asks the backend once, and answers. One small
function an endpoint.

Nothing is decided here: who may do what is the backend's business, and so is what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping
from typing import Final, TypeAlias, TypeVar, cast

import attrs
import msgspec
from starlette.requests import Request

from support_chat.errors import NetworkError, RateLimitedError
from support_chat.ports import LinkEvent, MarkRead, Outgoing, TokenExpired
from support_chat.values import Message

from ...transport.wire import endpoints, payloads as p
from ...transport.wire.codec import MAX_ANSWER_BYTES
from ...transport.wire.frames import MessageCreated, Polled, PolledFrame, frame_of
from ...transport.wire.translation import (
    conversation_from,
    credentials_of,
    identified_of,
    identify_request_of,
    opened_of,
    outgoing_of,
    owner_text,
    payload_of,
    rejected_of,
)
from .. import Backend, Connection, conversations, operations
from ..store import Buckets, RealtimeTokens, Transaction, hashed
from . import reading
from .addresses import Proxies
from .condition import Condition
from .counts import Counts
from .limits import ConnectionLimits, Shares
from .origins import AllowedOrigins

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)

ENOUGH: Final = MAX_ANSWER_BYTES // 2
"""Bytes of items after which an answer ends, though more were asked for: a client reads no longer
one than `MAX_ANSWER_BYTES`.
"""
LIFETIME: Final = 60.0
"""How long a realtime token may wait to be used, in seconds."""


@attrs.frozen
class Site:
    """What the handlers work with."""

    backend: Backend
    origins: AllowedOrigins
    realtime_tokens: RealtimeTokens
    opens: Buckets
    requests: Buckets
    failures: Buckets
    proxies: Proxies
    connections: ConnectionLimits
    links_of_address: Shares
    links_of_session: Shares
    counts: Counts
    condition: Condition

    @contextlib.contextmanager
    def link(self, address: str, session: str) -> Generator[None, None, None]:
        """A link of this session, by WebSocket or poll, within the block; raises RateLimitedError
        if there are too many already.
        """
        try:
            with (
                self.links_of_address.one_more(address),
                self.links_of_session.one_more(hashed(session)),
            ):
                yield
        except RateLimitedError:
            self.counts.turn_away("too_many_links")
            raise


Handler: TypeAlias = Callable[[Site, Request], Awaitable[msgspec.Struct | None]]
"""Answers a request; None is an empty answer."""


async def config(site: Site, request: Request) -> p.WidgetConfig:
    """The public configuration."""
    widget = site.backend.widget
    widget.admit(reading.id_of(request, "workspace_id"), reading.id_of(request, "widget_id"))
    return p.WidgetConfig(
        workspace_id=widget.workspace_id,
        widget_id=widget.widget_id,
        identity=p.IdentityRules(
            anonymous_allowed=widget.rules.anonymous_allowed,
            jwt_required_for_identified_users=widget.rules.jwt_required_for_identified_users,
            allow_anonymous_to_identified_merge=widget.rules.allow_merge,
        ),
    )


async def open_session(site: Site, request: Request) -> p.SessionOpened:
    """Begins or resumes a session."""
    credentials = credentials_of(await reading.payload_of(request, p.OpenSession))
    opened = await site.backend.ask(operations.dial(credentials))
    return opened_of(opened.welcome, await site.realtime_tokens.mint(opened.welcome.session))


async def identify(site: Site, request: Request) -> p.Identified:
    """Turns the visitor into a user."""
    session = reading.session_of(request)
    asked = identify_request_of(await reading.payload_of(request, p.Identify))
    return identified_of(await site.backend.ask(operations.identify(session, asked)))


async def refresh(site: Site, request: Request) -> p.Refreshed | None:
    """Takes a fresh token."""
    session = reading.session_of(request)
    token = (await reading.payload_of(request, p.Refresh)).token
    renewed = (await site.backend.ask(operations.renew(session, token))).session
    return None if renewed is None else p.Refreshed(session=renewed)


async def shutdown(site: Site, request: Request) -> None:
    """Ends the session."""
    await site.backend.ask(operations.revoke(reading.session_of(request)))


async def end_visitor(site: Site, request: Request) -> None:
    """Ends what was opened with a visitor's secret."""
    over = await reading.payload_of(request, p.EndVisitor)
    await site.backend.ask(operations.end_visitor(over.workspace_id, over.widget_id, over.visitor))


async def realtime_token(site: Site, request: Request) -> p.RealtimeToken:
    """A token for the gateway."""
    session = reading.session_of(request)
    await site.backend.ask(operations.reading("listen", session, lambda db, owner: None))
    token = await site.realtime_tokens.mint(session)
    return p.RealtimeToken(realtime_token=token, expires_in=LIFETIME)


async def list_conversations(site: Site, request: Request) -> p.ConversationsPage:
    """A page of conversations."""
    cursor, limit = reading.cursor_of(request), reading.limit_of(request)

    def page(db: Transaction, owner: str) -> tuple[tuple[p.ConversationPayload, ...], str | None]:
        return _page(
            lambda most: conversations.conversation_page(db, owner, cursor, most),
            limit,
            conversation_from,
        )

    asked = operations.reading(
        "conversations", reading.session_of(request), page, reading.owner_of(request)
    )
    items, following = await site.backend.ask(asked)
    return p.ConversationsPage(conversations=items, next_cursor=following)


async def start_conversation(site: Site, request: Request) -> p.ConversationStarted:
    """A new conversation with its first message."""
    session = reading.session_of(request)
    outgoing = attrs.evolve(
        outgoing_of(await reading.payload_of(request, p.StartConversation)),
        owner=reading.owner_of(request),
    )
    message, conversation = await site.backend.ask(operations.start(session, outgoing))
    return p.ConversationStarted(
        conversation=conversation_from(conversation), message=payload_of(message, p.MessagePayload)
    )


async def get_conversation(site: Site, request: Request) -> p.ConversationPayload:
    """One conversation."""
    conversation_id = reading.conversation_id_of(request)
    return conversation_from(
        await site.backend.ask(
            operations.reading(
                "conversations",
                reading.session_of(request),
                lambda db, owner: conversations.conversation(db, owner, conversation_id),
                reading.owner_of(request),
            )
        )
    )


async def mark_read(site: Site, request: Request) -> p.ReadUpToNow:
    """Counts a conversation as read, up to a message."""
    asked = MarkRead(
        reading.conversation_id_of(request),
        reading.message_id_of(request, "up_to"),
        reading.owner_of(request),
    )
    read = await site.backend.ask(operations.mark_read(reading.session_of(request), asked))
    return p.ReadUpToNow(unread=read.unread)


async def list_messages(site: Site, request: Request) -> p.MessagesPage:
    """A page of messages, after a cursor or before a message."""
    conversation_id, cursor, limit, before = (
        reading.conversation_id_of(request),
        reading.cursor_of(request),
        reading.limit_of(request),
        reading.message_id_of(request, "before", may_be_empty=True),
    )

    def page(db: Transaction, owner: str) -> tuple[tuple[p.MessagePayload, ...], str | None]:
        if before is None:
            return _page(
                lambda most: conversations.message_page(db, owner, conversation_id, cursor, most),
                limit,
                _message,
            )
        return _page(
            lambda most: conversations.messages_before(
                db, owner, conversation_id, before or None, most
            ),
            limit,
            _message,
            backwards=True,
        )

    asked = operations.reading(
        "messages", reading.session_of(request), page, reading.owner_of(request)
    )
    items, following = await site.backend.ask(asked)
    return p.MessagesPage(messages=items, next_cursor=following)


def _message(message: Message) -> p.MessagePayload:
    return payload_of(message, p.MessagePayload)


def _page(
    fetch: Callable[[int], conversations.Page[T]],
    limit: int,
    as_payload: Callable[[T], S],
    *,
    backwards: bool = False,
) -> tuple[tuple[S, ...], str | None]:
    """Up to `limit` items and the next cursor; fewer where that many would be more than a client
    reads: the last ones of a page that goes `backwards`, else the first.
    """
    page = fetch(limit)
    items = tuple(as_payload(item) for item in page.items)
    fitting = _fitting(items[::-1] if backwards else items)
    if fitting < len(items):
        page = fetch(fitting)
        items = items[-fitting:] if backwards else items[:fitting]
    return items, page.next_cursor


def _fitting(items: Iterable[msgspec.Struct]) -> int:
    """How many of these an answer has room for; one at the least, which always fits."""
    count, size = 0, 0
    for item in items:
        size += len(msgspec.json.encode(item))
        if count and size > ENOUGH:
            break
        count += 1
    return count


async def send_message(site: Site, request: Request) -> p.MessagePayload:
    """A message to a conversation."""
    session, conversation_id = reading.session_of(request), reading.conversation_id_of(request)
    sent = await reading.payload_of(request, p.SendMessage)
    owner = reading.owner_of(request)
    outgoing = Outgoing(sent.client_message_id, sent.text, conversation_id, owner=owner)
    stored = await site.backend.ask(operations.send(session, outgoing))
    return payload_of(stored, p.MessagePayload)


async def send_event(site: Site, request: Request) -> p.EventTaken:
    """Changed traits."""
    session = reading.session_of(request)
    event = await reading.payload_of(request, p.ClientEvent)
    asked = operations.update(session, event.changes, reading.owner_of(request))
    answer = await site.backend.ask(asked)
    return p.EventTaken(rejected=rejected_of(answer.rejected))


async def poll(site: Site, request: Request) -> Polled:
    """What the gateway would send: at once if there is something, else when there is, or when the
    time is over.
    """
    wait, known = reading.wait_of(request), reading.says(request, "token_expired")
    session, cursor = reading.session_of(request), reading.cursor_of(request)
    marked, echoes = reading.marked_of(request), reading.says(request, "echoes")
    with site.link(site.proxies.caller(request), session):
        connection = await site.backend.listen(
            session, cursor, marked=marked, expiry_sent=known, echoes=echoes
        )
        try:
            news = await connection.ready() or await _news(request, connection, wait)
            events = [event for event in news if not isinstance(event, TokenExpired)]
            frames = [cast("PolledFrame", frame_of(event)) for event in events]
            frames = frames[: _fitting(frames)]  # the next poll brings the rest
            withheld, go_on = connection.withholds, connection.cursor
            marked = connection.marked(unsent=events[len(frames) :])
        finally:
            connection.close("polled")
    messages = [frame for frame in frames if isinstance(frame, MessageCreated)]
    welcome = connection.welcome
    if withheld and not messages:
        # the next poll begins where this one would have: what was missed is told once the token is
        # renewed, how much it is included
        return Polled(
            cursor=cursor or go_on,
            frames=tuple(frames),
            token_expired=True,
            marked=marked,
            owner=owner_text(connection.opened_for),
        )
    return Polled(
        cursor=messages[-1].cursor if messages else go_on,
        frames=tuple(frames),
        gap=welcome.gap,
        unread=messages[-1].unread if messages else welcome.unread,
        token_expired=withheld,
        marked=marked,
        owner=owner_text(connection.opened_for),
    )


async def _news(request: Request, connection: Connection, wait: float) -> list[LinkEvent]:
    """What comes while the caller waits; nothing if the time is over, the link is closed, or the
    caller has gone.
    """
    coming = asyncio.ensure_future(connection.next())
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((coming, gone), timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        first: list[LinkEvent] = []
        with contextlib.suppress(NetworkError):
            first = [coming.result()] if coming.done() else []
        return [*first, *await connection.ready()]
    finally:
        coming.cancel()
        gone.cancel()


async def _gone(request: Request) -> None:
    """Returns once the caller has hung up; what comes before that is the request's body, also if it
    is empty.
    """
    while (await request.receive())["type"] != "http.disconnect":
        pass


HANDLERS: Final[Mapping[endpoints.Endpoint, Handler]] = {
    endpoints.CONFIG: config,
    endpoints.OPEN: open_session,
    endpoints.IDENTIFY: identify,
    endpoints.REFRESH: refresh,
    endpoints.SHUTDOWN: shutdown,
    endpoints.END_VISITOR: end_visitor,
    endpoints.REALTIME_TOKEN: realtime_token,
    endpoints.CONVERSATIONS: list_conversations,
    endpoints.START: start_conversation,
    endpoints.CONVERSATION: get_conversation,
    endpoints.MARK_READ: mark_read,
    endpoints.MESSAGES: list_messages,
    endpoints.SEND: send_message,
    endpoints.EVENTS: send_event,
    endpoints.POLL: poll,
}
"""Who answers what."""
