"""For each clause of the transport suite a transport with that fault, around the loopback.

`Healthy` and `HealthyLink` pass everything on, and what breaks a clause does one thing otherwise.
Where the fault is in a link, the class is a link, and the transport around it is the healthy one.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import attrs

from broken import breaker, but_for
from loopback_arrangement import LoopbackArrangement, loopback
from support_chat import ports
from support_chat.errors import (
    AuthRefusedError,
    BackendRejectedError,
    NetworkError,
    RateLimitedError,
    SupportChatError,
    VisitorEndedError,
)
from support_chat.values import About, Changes, Conversation, Message

E = TypeVar("E", bound=SupportChatError)

Kind = type[Any]
"""A transport, or a link."""


def arranged(kind: Kind) -> Callable[[], AbstractAsyncContextManager[LoopbackArrangement]]:
    """An arrangement with this transport, or with links of this kind."""

    @asynccontextmanager
    async def made() -> AsyncGenerator[LoopbackArrangement, None]:
        async with loopback() as arrangement:
            inner = arrangement.transport
            transport = Healthy(inner, kind) if issubclass(kind, HealthyLink) else kind(inner)
            yield attrs.evolve(arrangement, transport=transport)

    return made


class HealthyLink:
    """A link without a fault of its own."""

    def __init__(
        self, inner: ports.Link, transport: Healthy, credentials: ports.Credentials
    ) -> None:
        self.inner, self.transport, self.credentials = inner, transport, credentials

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Healthy:
    """A transport without a fault of its own; `dial` is what becomes a link."""

    def __init__(self, inner: ports.Transport, link: type[HealthyLink] = HealthyLink) -> None:
        self.inner, self.link = inner, link
        self.links: list[HealthyLink] = []
        self.seen: set[object] = set()
        self.closed = False

    async def dial(self, credentials: ports.Credentials) -> ports.Link:
        return await self.inner.open(credentials)

    async def open(self, credentials: ports.Credentials) -> Any:
        link = self.link(await self.dial(credentials), self, credentials)
        self.links.append(link)
        return link

    async def revoke(self, session: str) -> None:
        await self.inner.revoke(session)

    async def end_visitor(self, workspace_id: str, widget_id: str, visitor: str) -> None:
        await self.inner.end_visitor(workspace_id, widget_id, visitor)

    async def aclose(self) -> None:
        self.closed = True
        await self.inner.aclose()


# --- faults of one shape --------------------------------------------------------------------------


def presenting(change: Callable[[ports.Credentials], ports.Credentials]) -> Kind:
    """It presents something else than it is given."""

    def dial(transport: Healthy, credentials: ports.Credentials) -> Awaitable[ports.Link]:
        return transport.inner.open(change(credentials))

    return but_for(Healthy, "dial", dial)


def translating(kind: type[E], into: Callable[[E, ports.Credentials], Exception]) -> Kind:
    """It takes an error of a dial for another one."""

    async def dial(transport: Healthy, credentials: ports.Credentials) -> ports.Link:
        try:
            return await transport.inner.open(credentials)
        except kind as error:
            raise into(error, credentials) from error

    return but_for(Healthy, "dial", dial)


def welcomed(change: Callable[[ports.Welcome], ports.Welcome]) -> Kind:
    """Its welcome is not what the backend answered."""
    return but_for(HealthyLink, "welcome", property(lambda link: change(link.inner.welcome)))


def asking(operation: str, change: Callable[[HealthyLink, Any], Any]) -> Kind:
    """It asks for something else than it is asked for."""

    def ask(link: HealthyLink, given: object) -> Any:
        return getattr(link.inner, operation)(change(link, given))

    return but_for(HealthyLink, operation, ask)


def answering(operation: str, change: Callable[[Any], Any]) -> Kind:
    """It answers something else than the backend."""

    async def answer(link: HealthyLink, *given: object) -> Any:
        return change(await getattr(link.inner, operation)(*given))

    return but_for(HealthyLink, operation, answer)


def losing(operation: str, kind: type[SupportChatError]) -> Kind:
    """It takes an answer that is an error for a loss."""

    async def lose(link: HealthyLink, *given: object) -> Any:
        try:
            return await getattr(link.inner, operation)(*given)
        except kind as error:
            raise NetworkError("The server closed the connection.") from error

    return but_for(HealthyLink, operation, lose)


def closing(operation: str, kind: type[BaseException]) -> Kind:
    """It closes when a call ends so."""

    async def close(link: HealthyLink, *given: object) -> Any:
        try:
            return await getattr(link.inner, operation)(*given)
        except kind:
            link.abort()
            raise

    return but_for(HealthyLink, operation, close)


def delivering(times: Callable[[HealthyLink, ports.LinkEvent], int]) -> Kind:
    """It delivers an event so many times."""

    async def events(link: HealthyLink) -> AsyncIterator[ports.LinkEvent]:
        async for event in link.inner.events():
            for _ in range(times(link, event)):
                yield event

    return but_for(HealthyLink, "events", events)


def begins_anew(credentials: ports.Credentials) -> ports.Credentials:
    return attrs.evolve(credentials, session=None)


def as_a_visitor(credentials: ports.Credentials, **more: Any) -> ports.Credentials:
    return attrs.evolve(credentials, user_id=None, token=None, **more)


def one_further(cursor: str | None) -> str | None:
    epoch, dot, number = (cursor or "").rpartition(".")
    return f"{epoch}{dot}{int(number) + 1}" if number else None


BROKEN: dict[str, Kind] = {
    "transport.welcomes-visitor": welcomed(lambda w: attrs.evolve(w, user_id=w.user_id or "")),
    "transport.welcomes-user": presenting(as_a_visitor),
    "transport.same-visitor": presenting(lambda c: attrs.evolve(c, visitor=secrets.token_hex())),
    "transport.another-visitor": presenting(lambda c: attrs.evolve(c, visitor="the one")),
    "transport.resumes-visitor": presenting(lambda c: c if c.user_id else begins_anew(c)),
    "transport.resumes-user": presenting(lambda c: begins_anew(c) if c.user_id else c),
    "transport.unknown-session": translating(
        BackendRejectedError, lambda _, __: NetworkError("The server closed the connection.")
    ),
    "transport.refuses-no-token": presenting(lambda c: c if c.token else as_a_visitor(c)),
    "transport.refuses-bad-token": translating(AuthRefusedError, lambda _, __: NetworkError("401")),
    "transport.refuses-token-of-another": translating(
        AuthRefusedError, lambda _, __: BackendRejectedError("403")
    ),
    "transport.refuses-expired-token": translating(
        AuthRefusedError,
        lambda error, _: RateLimitedError("Later.") if error.code == "auth_expired" else error,
    ),
    "transport.errors-hide-secrets": translating(
        AuthRefusedError,
        lambda _, c: AuthRefusedError(f"Authorization: Bearer {c.token} was refused."),
    ),
    "transport.other-widget": presenting(lambda c: attrs.evolve(c, widget_id="help")),
    "transport.rate-limited": translating(RateLimitedError, lambda _, __: NetworkError("429")),
    "transport.unreachable": translating(NetworkError, lambda _, __: ConnectionRefusedError("111")),
    "transport.claim-answered": welcomed(lambda w: attrs.evolve(w, claim=None)),
    "transport.claim-closed": presenting(lambda c: as_a_visitor(c, claim=None) if c.claim else c),
    # says what the backend does not do
    "transport.identify-late": welcomed(lambda w: attrs.evolve(w, identify="repeatable")),
    "link.identify-merges": answering(
        "identify", lambda answer: attrs.evolve(answer, conversations_moved=0)
    ),
    "link.identify-once": asking(
        "identify", lambda _, asked: attrs.evolve(asked, identify_id=secrets.token_hex())
    ),
    "link.identify-refused": closing("identify", AuthRefusedError),
    # authorises the merge itself
    "link.identify-needs-the-visitor": asking(
        "identify", lambda link, asked: attrs.evolve(asked, visitor=link.credentials.visitor)
    ),
    "link.identify-carries-changes": asking(
        "identify", lambda _, asked: attrs.evolve(asked, visitor_changes={}, user_changes={})
    ),
    "link.token-expired": losing("conversations", AuthRefusedError),
    "link.update-rejected": answering("update", lambda _: ports.UpdateAnswer()),
    "link.send": answering("send", lambda sent: attrs.evolve(sent, client_message_id=None)),
    "link.send-rejected": losing("send", BackendRejectedError),
    # lists the oldest first
    "link.conversations": answering("conversations", lambda listed: listed[::-1]),
    "link.describes": asking("send", lambda _, message: attrs.evolve(message, about=About())),
    # lists one page
    "link.messages": answering("messages", lambda listed: listed[:3]),
    "link.cancelled-call": closing("send", asyncio.CancelledError),
    "link.events": delivering(lambda _, event: 2),
    "link.replay": presenting(lambda c: attrs.evolve(c, cursor=None)),
    "link.replay-from-welcome": welcomed(lambda w: attrs.evolve(w, cursor=None)),
    "link.unread": welcomed(lambda w: attrs.evolve(w, unread=0)),
    "link.gap": welcomed(lambda w: attrs.evolve(w, gap=False)),
    "link.token-expired-event": delivering(
        lambda _, event: not isinstance(event, ports.TokenExpired)
    ),
    "link.revoked-event": delivering(lambda _, event: not isinstance(event, ports.SessionRevoked)),
    # looks at another clock
    "link.heard-at": but_for(
        HealthyLink, "heard_at", property(lambda link: link.inner.heard_at + 1e6)
    ),
    # hears on when it is lost
    "link.heard-no-more": but_for(
        HealthyLink, "heard_at", property(lambda _: asyncio.get_running_loop().time())
    ),
    # lower-cases ids
    "link.odd-user-ids": presenting(
        lambda c: c if c.user_id is None else attrs.evolve(c, user_id=c.user_id.lower())
    ),
    "link.owner": asking("send", lambda _, message: attrs.evolve(message, owner=None)),
    # as those of before there were echoes
    "link.own-messages": delivering(
        lambda _, event: not (isinstance(event, ports.MessageArrived) and event.own)
    ),
    # asks for no echo of what was sent before it was there
    "link.own-replayed": delivering(
        lambda link, event: (
            not (isinstance(event, ports.MessageArrived) and event.own and link.credentials.session)
        )
    ),
    "link.merge-told": delivering(lambda _, event: not isinstance(event, ports.OwnerChanged)),
    "transport.visitor-ended": translating(
        VisitorEndedError, lambda _, __: AuthRefusedError("401", code="invalid_token")
    ),
    "link.read-told": delivering(lambda _, event: not isinstance(event, ports.ReadUpTo)),
    # marks all that there is
    "link.read-up-to": asking("mark_read", lambda _, asked: attrs.evolve(asked, up_to=None)),
    "link.identify-unread": answering("identify", lambda a: attrs.evolve(a, unread=0)),
    "link.messages-before": asking("messages", lambda _, asked: attrs.evolve(asked, before=None)),
    # takes what it does not understand for none
    "link.cursor-of-nowhere": presenting(
        lambda c: attrs.evolve(c, cursor=None if c.cursor == "nowhere.1" else c.cursor)
    ),
    # counts what it has not delivered
    "link.cut-replay": presenting(lambda c: attrs.evolve(c, cursor=one_further(c.cursor))),
}
breaks = breaker(BROKEN)


# --- dials ----------------------------------------------------------------------------------------


@breaks("transport.revoked-session", Healthy, "dial")
async def begins_anew_when_it_is_rejected(
    transport: Healthy, credentials: ports.Credentials
) -> ports.Link:
    try:
        return await transport.inner.open(credentials)
    except BackendRejectedError:
        return await transport.inner.open(begins_anew(credentials))


@breaks("transport.lost-reply", Healthy, "dial")
async def presents_the_claim_the_second_time(
    transport: Healthy, credentials: ports.Credentials
) -> ports.Link:
    claim: ports.Claim | None = credentials.claim
    if claim is not None and claim not in transport.seen:
        transport.seen.add(claim)
        credentials = as_a_visitor(credentials, claim=None, session=None)
    return await transport.inner.open(credentials)


@breaks("transport.cancelled-open", Healthy, "dial")
async def dials_on_when_it_is_cancelled(
    transport: Healthy, credentials: ports.Credentials
) -> ports.Link:
    return await asyncio.shield(asyncio.ensure_future(transport.inner.open(credentials)))


@breaks("transport.many-links", Healthy, "open")
async def has_one_link(transport: Healthy, credentials: ports.Credentials) -> HealthyLink:
    await Healthy.open(transport, credentials)
    return transport.links[0]


@breaks("transport.revoke", Healthy, "revoke")
async def revokes_nothing(transport: Healthy, session: str) -> None:
    pass


@breaks("transport.revoke-unknown", Healthy, "revoke")
async def insists_on_what_it_revokes(transport: Healthy, session: str) -> None:
    if all(link.welcome.session != session for link in transport.links):
        raise BackendRejectedError("404")
    await transport.inner.revoke(session)


# --- calls ----------------------------------------------------------------------------------------


def remembers_visitors_itself(link: HealthyLink) -> ports.Welcome:
    visitor = link.credentials.visitor
    first = next(one for one in link.transport.links if one.credentials.visitor == visitor)
    return attrs.evolve(link.inner.welcome, visitor_id=first.inner.welcome.visitor_id)


BROKEN["link.retired-visitor"] = but_for(
    HealthyLink, "welcome", property(remembers_visitors_itself)
)


@breaks("link.renew", HealthyLink, "renew")
async def renews_nothing(link: HealthyLink, token: str) -> ports.RenewAnswer:
    return ports.RenewAnswer()


@breaks("link.renew-refused", HealthyLink, "renew")
async def renews_with_anything(link: HealthyLink, token: str) -> ports.RenewAnswer:
    with contextlib.suppress(AuthRefusedError):
        return await link.inner.renew(token)
    return ports.RenewAnswer()


@breaks("link.update", HealthyLink, "update")
async def updates_nothing(link: HealthyLink, changes: Changes, *_: Any) -> ports.UpdateAnswer:
    return ports.UpdateAnswer()


@breaks("link.mark-read", HealthyLink, "mark_read")
async def marks_nothing(link: HealthyLink, asked: ports.MarkRead) -> ports.ReadAnswer:
    return ports.ReadAnswer(1)


def minting(client_id: Callable[[HealthyLink, str], str]) -> Kind:
    """It sends under a client id of its own."""

    async def send(link: HealthyLink, message: ports.Outgoing) -> Message:
        own = client_id(link, message.client_message_id)
        sent = await link.inner.send(attrs.evolve(message, client_message_id=own))
        return attrs.evolve(sent, client_message_id=message.client_message_id)

    return but_for(HealthyLink, "send", send)


BROKEN["link.send-once"] = minting(lambda _, __: secrets.token_hex())
BROKEN["link.send-once-over-links"] = minting(lambda link, given: f"{id(link)} {given}")


BROKEN["link.merge-sends-once"] = minting(lambda _, given: f"{given} {secrets.token_hex()}")


# --- several sessions -----------------------------------------------------------------------------


def numbers_its_visitors(link: HealthyLink) -> ports.Welcome:
    welcome = link.inner.welcome
    number = link.transport.links.index(link)
    return attrs.evolve(welcome, visitor_id=f"{welcome.visitor_id}-{number}")


BROKEN["transport.one-successor"] = but_for(HealthyLink, "welcome", property(numbers_its_visitors))


@breaks("transport.end-visitor", Healthy, "end_visitor")
async def ends_nobody(transport: Healthy, *_: str) -> None:
    pass


# --- events ---------------------------------------------------------------------------------------


@breaks(
    "link.events-of-user", delivering(lambda link, _: link not in link.transport.seen), "identify"
)
async def hears_nothing_once_identified(
    link: HealthyLink, request: ports.IdentifyRequest
) -> ports.IdentifyAnswer:
    link.transport.seen.add(link)
    return await link.inner.identify(request)


@breaks("link.events-of-nobody-else", HealthyLink, "events")
def reads_the_link_opened_last(link: HealthyLink) -> AsyncIterator[ports.LinkEvent]:
    return link.transport.links[-1].inner.events()


# --- the end --------------------------------------------------------------------------------------


@breaks("link.cut", HealthyLink, "events")
async def does_not_notice_that_it_is_lost(link: HealthyLink) -> AsyncIterator[ports.LinkEvent]:
    with contextlib.suppress(NetworkError):
        async for event in link.inner.events():
            yield event
    await asyncio.get_running_loop().create_future()


@breaks("link.abort-is-synchronous", HealthyLink, "abort")
def aborts_later(link: HealthyLink) -> None:
    asyncio.get_running_loop().call_later(0.02, link.inner.abort)


@breaks("link.abort-ends-pending", HealthyLink, "update")
async def hangs_when_it_is_aborted(
    link: HealthyLink, changes: Changes, *_: Any
) -> ports.UpdateAnswer:
    try:
        return await link.inner.update(changes)
    except NetworkError:
        await asyncio.get_running_loop().create_future()
        raise


@breaks("link.abort-delivers-nothing")
class DeliversWhatItHasBuffered(HealthyLink):
    def __init__(
        self, inner: ports.Link, transport: Healthy, credentials: ports.Credentials
    ) -> None:
        super().__init__(inner, transport, credentials)
        self.buffer: asyncio.Queue[ports.LinkEvent | None] = asyncio.Queue()
        self.pump = asyncio.ensure_future(self._pump())

    async def _pump(self) -> None:
        with contextlib.suppress(NetworkError):
            async for event in self.inner.events():
                self.buffer.put_nowait(event)
        self.buffer.put_nowait(None)

    async def events(self) -> AsyncIterator[ports.LinkEvent]:
        while (event := await self.buffer.get()) is not None:
            yield event
        self.buffer.put_nowait(None)


@breaks("link.abort-twice")
class AbortsOnce(HealthyLink):
    aborted = False

    def abort(self) -> None:
        if self.aborted:
            raise RuntimeError("already aborted")
        self.aborted = True
        self.inner.abort()


@breaks("link.abort-closes")
class AbortsForItself(HealthyLink):
    aborted = False

    def abort(self) -> None:
        self.aborted = True

    async def conversations(self, asked: ports.ListConversations) -> Sequence[Conversation]:
        if self.aborted:
            raise NetworkError("aborted")
        return await self.inner.conversations(asked)


@breaks("link.abort-leaves-no-task")
class LeavesItsHeartbeat(HealthyLink):
    beat: Any = None

    async def conversations(self, asked: ports.ListConversations) -> Sequence[Conversation]:
        self.beat = asyncio.ensure_future(asyncio.sleep(60))
        return await self.inner.conversations(asked)


@breaks("link.abort-keeps-session", HealthyLink, "aclose")
async def revokes_when_it_closes(link: HealthyLink) -> None:
    await link.transport.revoke(link.inner.welcome.session)
    await link.inner.aclose()


@breaks("link.closed", HealthyLink, "aclose")
async def does_not_close(link: HealthyLink) -> None:
    pass


@breaks("transport.closed", HealthyLink, "conversations")
async def needs_its_transport(
    link: HealthyLink, asked: ports.ListConversations
) -> Sequence[Conversation]:
    if link.transport.closed:
        raise RuntimeError("Cannot send a request, as the client has been closed.")
    return await link.inner.conversations(asked)
